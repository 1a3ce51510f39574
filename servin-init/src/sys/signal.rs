//! Holding, receiving and sending signals.
//!
//! Every signal stays blocked for this program's whole life and is fetched with rt_sigtimedwait(2), so there are no
//! handlers, and the dispositions that it was started with pass to the child untouched. A blocked signal waits for
//! us whatever its disposition is, PID 1's immunity included (`sig_ignored` in the kernel's signal.c). A fault
//! of our own is still fatal: the kernel forces those through (`force_sig_info_to_task`).

use super::clock::{Nanoseconds, SECOND};
use core::mem::MaybeUninit;
use linux_raw_sys::general::{
    __NR_kill, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_rt_sigtimedwait, __kernel_old_timespec,
    SIG_SETMASK, SIGCHLD, SIGTSTP,
};
use rustix::io::Errno;
use rustix::process::{Pid, getpid};

/// The kernel's sigset_t: bit N-1 is signal N.
type Set = u64;
static EVERY: Set = !0;
const SET_SIZE: usize = size_of::<Set>();

/// Room for the kernel's struct sigaction on every architecture (two to three words and a set). It is only
/// ever all zero, the default action, or what the kernel filled in, so its fields need no names.
type Action = [usize; 5];
const DEFAULT: Action = [0; 5];

/// What was changed when all signals were held, for the child to change back.
#[derive(Default)]
pub struct Held {
    mask: Set,
    on_child: Action,
}

/// Blocks every signal and makes sure that ended children are reported.
pub fn hold_all(held: &mut Held) {
    set_mask(EVERY, Some(&mut held.mask));
    held.on_child = DEFAULT;
    let on_child = &raw mut held.on_child;
    // A parent that ignores SIGCHLD hands that down, and the kernel would then reap our children itself
    // and throw their exit codes away (wait(2), notes).
    // SAFETY: the kernel has read the new action, the default one, before it writes the old one, which fits.
    let _ = unsafe { crate::syscall!(__NR_rt_sigaction, SIGCHLD, on_child, on_child, SET_SIZE) };
}

impl Held {
    /// Gives a forked child the mask and the dispositions that this process was started with. Signals that are
    /// pending stay with the parent (fork(2)), which forwards them.
    pub fn release(&self) {
        // SAFETY: the kernel itself filled in this action, and no handler survives an execve.
        let _ = unsafe { crate::syscall!(__NR_rt_sigaction, SIGCHLD, &raw const self.on_child, 0, SET_SIZE) };
        set_mask(self.mask, None);
    }
}

fn set_mask(mask: Set, old: Option<&mut Set>) {
    let old = old.map_or(core::ptr::null_mut(), core::ptr::from_mut);
    // SAFETY: one set is read, another written where its pointer is not null.
    let _ = unsafe { crate::syscall!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const mask, old, SET_SIZE) };
}

/// A signal that has come.
pub struct Received {
    /// Its number, 1 to 64.
    pub number: u8,
    /// Whether a process sent it, rather than the kernel on an event (sigaction(2), si_code).
    pub is_from_process: bool,
}

/// Waits for the next signal; None when `limit` has passed. Without a limit this process does not wake up until
/// there is one.
pub fn wait(limit: Option<Nanoseconds>) -> Option<Received> {
    let limit =
        limit.map(|n| __kernel_old_timespec { tv_sec: (n / SECOND) as _, tv_nsec: (n % SECOND) as _ });
    let limit = limit.as_ref().map_or(core::ptr::null(), core::ptr::from_ref);
    // The kernel's siginfo_t, 128 bytes, begins with number, errno and code.
    let mut info = MaybeUninit::<[i32; 32]>::uninit();
    loop {
        // SAFETY: the set and the limit are read, the siginfo is written, all during the call alone.
        let result = unsafe {
            crate::syscall!(__NR_rt_sigtimedwait, &raw const EVERY, info.as_mut_ptr(), limit, SET_SIZE)
        };
        match result {
            Ok(number) => {
                // SAFETY: the kernel has filled in all of it (`copy_siginfo_to_user`).
                let code = unsafe { info.assume_init_ref() }[2];
                return Some(Received { number: number as u8, is_from_process: code <= 0 });
            }
            Err(Errno::AGAIN) => return None,
            // EINTR: stopped and continued, or traced.
            Err(_) => {}
        }
    }
}

/// Whom to signal (kill(2)).
#[derive(Clone, Copy)]
pub enum Target {
    /// One process.
    Process(Pid),
    /// All members of a process group.
    Group(Pid),
    /// All processes that can be seen and signalled, except PID 1 and the caller.
    Everyone,
}

/// Sends signal `number`. Whoever has ended in the meantime needs no signal, so there is no error to report.
pub fn send(target: Target, number: u8) {
    let pid = match target {
        Target::Process(pid) => pid.as_raw_pid(),
        Target::Group(pid) => -pid.as_raw_pid(),
        Target::Everyone => -1,
    };
    // SAFETY: kill takes no pointers.
    let _ = unsafe { crate::syscall!(__NR_kill, pid, number) };
}

/// Stops this process as Ctrl-Z would have, until SIGCONT. Nothing happens where nobody could continue it: to PID 1,
/// and in an orphaned process group (credentials(7), setpgid(2)); nor where SIGTSTP was ignored from the start.
pub fn stop_self() {
    send(Target::Process(getpid()), SIGTSTP as u8);
    set_mask(EVERY & !(1 << (SIGTSTP - 1)), None);
    set_mask(EVERY, None);
}
