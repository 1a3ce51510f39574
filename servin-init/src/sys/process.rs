//! Making, replacing and ending processes, and what the kernel records about them.

use super::start::Strings;
use core::ffi::CStr;
use linux_raw_sys::general::{
    __NR_clone, __NR_execve, __NR_exit_group, __NR_getpgid, __NR_getpid, __NR_kill, __NR_prctl, __NR_wait4,
    SIGABRT, SIGCHLD, WNOHANG, WUNTRACED,
};
use linux_raw_sys::prctl::{PR_GET_CHILD_SUBREAPER, PR_SET_CHILD_SUBREAPER, PR_SET_NAME, PR_SET_PDEATHSIG};
use rustix::io::{Errno, Result};
use rustix::process::Pid;

/// Ends the process with `code` (exit_group(2)).
pub fn exit(code: i32) -> ! {
    loop {
        // SAFETY: exit_group takes no pointers and does not return.
        let _ = unsafe { crate::syscall!(__NR_exit_group, code) };
    }
}

/// Ends the process with SIGABRT, or with code 134 where PID 1 is immune to it.
pub fn abort() -> ! {
    // SAFETY: getpid takes no pointers.
    if let Ok(own) = unsafe { crate::syscall!(__NR_getpid) } {
        // SAFETY: kill takes no pointers.
        let _ = unsafe { crate::syscall!(__NR_kill, own, SIGABRT) };
    }
    exit(134)
}

/// Copies this process: the child's id, or None in the child. clone(2), since the newer architectures have no
/// fork; with a signal and no other flag, its arguments mean the same on all of them.
#[inline(always)]
pub fn fork() -> Result<Option<Pid>> {
    // SAFETY: without CLONE_VM the child has its own copy of all memory, the stack included, and this program
    // has neither threads nor locks that the copy could find half-way through something.
    let child = unsafe { crate::syscall!(__NR_clone, SIGCHLD) }?;
    Ok(Pid::from_raw(child as i32))
}

/// What has become of a child (wait(2)).
#[derive(Clone, Copy)]
pub struct Status(u32);

impl Status {
    /// If it has ended, its exit code, or 128+N if signal N ended it, as shells have it.
    pub fn code(self) -> Option<u8> {
        match self.0 as u8 & 0x7f {
            0x7f => None,
            0 => Some((self.0 >> 8) as u8),
            signal => Some(128 + signal),
        }
    }

    /// If it was stopped, the signal that did it.
    pub fn of_stop(self) -> u8 {
        (self.0 >> 8) as u8
    }
}

/// The next child that has ended or stopped; None if there is none yet (wait4(2)).
pub fn next_change() -> Result<Option<(Pid, Status)>> {
    let mut status = 0_u32;
    // SAFETY: the status is written, and a null asks for no usage.
    let pid = unsafe { crate::syscall!(__NR_wait4, -1_i32, &raw mut status, WNOHANG | WUNTRACED, 0) }?;
    Ok(Pid::from_raw(pid as i32).map(|pid| (pid, Status(status))))
}

/// Becomes the program at `path`; returns only to say why not (execve(2)).
pub fn execute(path: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    let (argv, envp) = (arguments.as_ptr(), environment.as_ptr());
    // SAFETY: the three are NUL- and null-terminated by their types, and outlive the call.
    match unsafe { crate::syscall!(__NR_execve, path.as_ptr(), argv, envp) } {
        Err(error) => error,
        Ok(_) => Errno::NOSYS,
    }
}

/// The process group of `process`, of the caller for None. No answer where there is no such process, nor where
/// its group began outside this PID namespace: the kernel shows that as 0 (getpgid(2)), which rustix assumes away.
pub fn group_of(process: Option<Pid>) -> Option<Pid> {
    // SAFETY: getpgid takes no pointers.
    let group = unsafe { crate::syscall!(__NR_getpgid, Pid::as_raw(process)) };
    Pid::from_raw(group.ok()? as i32)
}

/// Orphans among the descendants become children of this process (PR_SET_CHILD_SUBREAPER(2const)).
pub fn become_subreaper() -> Result<()> {
    // SAFETY: this operation takes a number.
    unsafe { crate::syscall!(__NR_prctl, PR_SET_CHILD_SUBREAPER, 1) }.map(drop)
}

/// This program's own.
pub const NAME: &CStr = c"servin-init";

/// Takes the name that ps(1) shows: executed from memory, it would be that of the memory (PR_SET_NAME(2const)).
pub fn take_name() {
    // SAFETY: this operation reads a string that ends with a NUL. It does not fail.
    let _ = unsafe { crate::syscall!(__NR_prctl, PR_SET_NAME, NAME.as_ptr()) };
}

/// Whether a parent, or the program before the last execve, has already done so.
pub fn is_subreaper() -> bool {
    let mut set = 0_i32;
    // SAFETY: this operation writes one int.
    let result = unsafe { crate::syscall!(__NR_prctl, PR_GET_CHILD_SUBREAPER, &raw mut set) };
    result.is_ok() && set != 0
}

/// Asks for signal `number` when the parent ends (PR_SET_PDEATHSIG(2const)).
pub fn signal_on_parent_death(number: u8) -> Result<()> {
    // SAFETY: this operation takes a number.
    unsafe { crate::syscall!(__NR_prctl, PR_SET_PDEATHSIG, number) }.map(drop)
}
