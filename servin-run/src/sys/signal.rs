//! Signal masks, dispositions and descriptors.

use linux_raw_sys::general::{
    __NR_kill, __NR_pidfd_send_signal, __NR_rt_sigaction, __NR_rt_sigprocmask, __NR_signalfd4, O_CLOEXEC,
    SIG_SETMASK,
};
use linux_raw_sys::general::{SIGKILL, SIGSTOP, kernel_sigaction};
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io;
use rustix::process::Pid;
use servin_init::syscall;

/// The number of the last signal (`_NSIG` of these architectures).
pub const LAST: u32 = 64;

/// A set of signals, bit N-1 for signal N, as the kernel has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// No signal.
    pub const EMPTY: SignalSet = SignalSet(0);
    /// Every signal; the kernel leaves SIGKILL and SIGSTOP out by itself.
    pub const ALL: SignalSet = SignalSet(u64::MAX);
}

/// Replaces the mask of blocked signals and returns the old one (rt_sigprocmask(2)).
pub fn set_mask(mask: SignalSet) -> io::Result<SignalSet> {
    let mut old = SignalSet::EMPTY;
    // SAFETY: both pointers are to eight bytes, the size that is passed.
    unsafe {
        syscall!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const mask.0, &raw mut old.0, size_of::<u64>())
    }?;
    Ok(old)
}

/// Sends signal `number`, real-time ones included, to a process (kill(2)).
pub fn kill(pid: Pid, number: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    unsafe { syscall!(__NR_kill, pid.as_raw_nonzero().get(), number) }.map(drop)
}

/// Sends signal `number` to the process that `process` (a pidfd) means, and never to a later one of the same pid
/// (pidfd_send_signal(2)).
pub fn pidfd_send_signal(process: impl AsFd, number: u32) -> io::Result<()> {
    // SAFETY: the null pointer asks for the same siginfo as kill(2); the call takes no other.
    unsafe { syscall!(__NR_pidfd_send_signal, process.as_fd().as_raw_fd(), number, 0, 0) }.map(drop)
}

/// Gives every signal its default disposition, so that a container does not inherit what its caller ignored
/// (rt_sigaction(2)).
pub fn reset_dispositions() {
    // SAFETY: all-zero is SIG_DFL without flags.
    let default: kernel_sigaction = unsafe { core::mem::zeroed() };
    for signal in (1..=LAST).filter(|&s| s != SIGKILL && s != SIGSTOP) {
        // SAFETY: the kernel reads the struct; SIG_DFL names no code. It cannot fail for these signals.
        let _ = unsafe { syscall!(__NR_rt_sigaction, signal, &raw const default, 0, size_of::<u64>()) };
    }
}

/// A descriptor from which blocked signals are read (signalfd(2)).
pub struct SignalFd(OwnedFd);

impl SignalFd {
    /// Watches `set`, which must be blocked.
    pub fn new(set: SignalSet) -> io::Result<SignalFd> {
        // SAFETY: the pointer is to eight bytes, the size that is passed.
        let raw =
            unsafe { syscall!(__NR_signalfd4, usize::MAX, &raw const set.0, size_of::<u64>(), O_CLOEXEC) }?;
        // SAFETY: the kernel has just made this descriptor for us.
        Ok(SignalFd(unsafe { OwnedFd::from_raw_fd(raw as i32) }))
    }

    /// Waits for the next signal and returns its number.
    pub fn read(&self) -> io::Result<u32> {
        // `struct signalfd_siginfo` is 128 bytes and begins with the signal's number.
        let mut info = [0u8; 128];
        let count = io::retry_on_intr(|| io::read(&self.0, &mut info[..]))?;
        match count {
            128 => Ok(u32::from_ne_bytes([info[0], info[1], info[2], info[3]])),
            _ => Err(io::Errno::IO),
        }
    }
}

impl AsFd for SignalFd {
    fn as_fd(&self) -> rustix::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}
