//! The system calls that the tests and their programs make: the only `unsafe` code here.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::File;
use std::os::fd::FromRawFd;
use std::ptr;

pub fn fork() -> i32 {
    // SAFETY: the callers go on with system calls, or are single-threaded.
    unsafe { libc::fork() }
}

pub fn exit(code: i32) -> ! {
    // SAFETY: it only ends this process.
    unsafe { libc::_exit(code) }
}

pub fn parent() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getppid() }
}

pub fn own_group() -> i32 {
    // SAFETY: no arguments.
    unsafe { libc::getpgrp() }
}

pub fn new_session() {
    // SAFETY: no arguments.
    unsafe { libc::setsid() };
}

pub fn foreground_group(terminal: i32) -> i32 {
    // SAFETY: takes a descriptor.
    unsafe { libc::tcgetpgrp(terminal) }
}

pub fn close(descriptor: i32) {
    // SAFETY: the callers own the descriptor.
    unsafe { libc::close(descriptor) };
}

pub fn pipe() -> (i32, i32) {
    let mut ends = [0; 2];
    // SAFETY: writes two descriptors.
    assert_eq!(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    (ends[0], ends[1])
}

pub fn read_byte(descriptor: i32) {
    let mut byte = [0_u8; 1];
    // SAFETY: one byte of room.
    unsafe { libc::read(descriptor, byte.as_mut_ptr().cast(), 1) };
}

pub fn wait_for(process: i32) -> i32 {
    let mut status = 0;
    // SAFETY: writes one int.
    unsafe { libc::waitpid(process, &raw mut status, 0) };
    status
}

/// None while the process lives.
pub fn try_wait(process: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: writes one int.
    let waited = unsafe { libc::waitpid(process, &raw mut status, libc::WNOHANG) };
    (waited == process).then_some(status)
}

pub fn send(process: i32, signal: i32) {
    // SAFETY: takes numbers.
    assert_eq!(unsafe { libc::kill(process, signal) }, 0, "kill {process} {signal}");
}

/// Kills a process, which may have ended by itself.
pub fn end(process: i32) {
    // SAFETY: takes numbers.
    unsafe { libc::kill(process, libc::SIGKILL) };
}

fn set_mask(mask: u64) {
    // The C library would leave out 32 and 33, which it keeps for itself.
    // SAFETY: reads eight bytes.
    let result =
        unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const mask, 0_usize, 8) };
    assert_eq!(result, 0);
}

pub fn block_all_signals() {
    set_mask(!0);
}

/// The number of the next signal.
pub fn next_signal() -> i32 {
    let all = !0_u64;
    let (nowhere, forever) = (0_usize, 0_usize);
    // SAFETY: reads eight bytes.
    let signal = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const all, nowhere, forever, 8) };
    signal as i32
}

/// Calls this before `main`, when the C library is ready and the test harness has changed nothing yet.
// SAFETY: the section holds pointers to functions of this type.
#[unsafe(link_section = ".init_array")]
#[used]
static BEFORE_MAIN: extern "C" fn() = super::programs::become_program;

/// The file of a descriptor that nobody else owns.
pub fn own(descriptor: i32) -> File {
    // SAFETY: the callers have just made it.
    unsafe { File::from_raw_fd(descriptor) }
}

/// How a process is to start.
pub struct Start {
    pub program: CString,
    pub arguments: Vec<CString>,
    pub environment: Vec<CString>,
    /// In PID and mount namespaces of its own, with its own /proc.
    pub as_pid_1: bool,
    pub blocked: u64,
    pub ignored: Vec<i32>,
    /// Descriptors for input and for output.
    pub input: i32,
    pub output: i32,
    /// Whether the input becomes the controlling terminal.
    pub controlling: bool,
}

/// Starts it: its process id.
pub fn start(start: &Start) -> i32 {
    let pointers =
        |strings: &[CString]| -> Vec<_> { strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect() };
    let (arguments, environment) = (pointers(&start.arguments), pointers(&start.environment));
    let namespaces = if start.as_pid_1 { libc::CLONE_NEWPID | libc::CLONE_NEWNS } else { 0 };
    let flags = (namespaces | libc::SIGCHLD) as usize;
    // SAFETY: a fork; what follows in the child are system calls on memory that was prepared before.
    let process = unsafe { libc::syscall(libc::SYS_clone, flags, 0_usize, 0_usize, 0_usize, 0_usize) } as i32;
    assert!(process >= 0, "clone: {} (these tests run as root)", std::io::Error::last_os_error());
    if process == 0 {
        // SAFETY: the arrays end with null.
        unsafe { become_started(start, &arguments, &environment) }
    }
    process
}

/// # Safety
/// The arrays end with null. Only for the child of a fork.
unsafe fn become_started(
    start: &Start,
    arguments: &[*const libc::c_char],
    environment: &[*const libc::c_char],
) -> ! {
    new_session();
    if start.controlling {
        // SAFETY: takes numbers.
        unsafe { libc::ioctl(start.input, libc::TIOCSCTTY, 0) };
    }
    for (from, to) in [(start.input, 0), (start.output, 1), (start.output, 2)] {
        // SAFETY: takes numbers.
        unsafe { libc::dup2(from, to) };
    }
    if start.as_pid_1 {
        let (nothing, root) = (ptr::null(), c"/".as_ptr());
        // SAFETY: takes C strings.
        unsafe { libc::mount(nothing, root, nothing, libc::MS_REC | libc::MS_PRIVATE, nothing.cast()) };
        let (kind, target) = (c"proc".as_ptr(), c"/proc".as_ptr());
        // SAFETY: takes C strings.
        unsafe { libc::mount(kind, target, kind, 0, nothing.cast()) };
    }
    for descriptor in 3..256 {
        close(descriptor);
    }
    for signal in 1..=64 {
        // A whole sigaction on every architecture, of which the first word is the handler.
        let action =
            [if start.ignored.contains(&signal) { libc::SIG_IGN } else { libc::SIG_DFL }, 0, 0, 0, 0];
        // Not through the C library, which keeps 32 and 33 for itself.
        // SAFETY: reads an action that is no handler.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), 0_usize, 8) };
    }
    set_mask(start.blocked);
    // SAFETY: the caller's contract.
    unsafe { libc::execve(start.program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    exit(99)
}

/// A new pseudo-terminal: its two ends.
pub fn terminal() -> (i32, i32) {
    let (mut near, mut far) = (0, 0);
    let (name, modes, size) = (ptr::null_mut(), ptr::null_mut(), ptr::null_mut());
    // SAFETY: writes two descriptors.
    let result = unsafe { libc::openpty(&raw mut near, &raw mut far, name, modes, size) };
    assert_eq!(result, 0, "openpty: {}", std::io::Error::last_os_error());
    for end in [near, far] {
        // SAFETY: takes numbers.
        unsafe { libc::fcntl(end, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    (near, far)
}
