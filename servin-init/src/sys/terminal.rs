//! What a terminal says of the process groups that it serves (ioctl_tty(2)).

use linux_raw_sys::general::__NR_ioctl;
use linux_raw_sys::ioctl::{TIOCGPGRP, TIOCSCTTY, TIOCSPGRP};
use rustix::fd::{AsRawFd, BorrowedFd};
use rustix::process::Pid;

/// The group in the foreground, of which one outside the PID namespace is shown as None. There is no answer but from
/// the controlling terminal.
pub fn foreground(terminal: BorrowedFd<'_>) -> Option<Option<Pid>> {
    let mut group = 0_i32;
    // SAFETY: this request writes the group's number.
    unsafe { crate::syscall!(__NR_ioctl, terminal.as_raw_fd(), TIOCGPGRP, &raw mut group) }.ok()?;
    Some(Pid::from_raw(group))
}

/// Makes a terminal that is nobody's the controlling one of this session, if that is possible.
pub fn acquire(terminal: BorrowedFd<'_>) {
    // SAFETY: this request takes a number.
    let _ = unsafe { crate::syscall!(__NR_ioctl, terminal.as_raw_fd(), TIOCSCTTY, 0) };
}

/// Puts `group` into the foreground.
pub fn set_foreground(terminal: BorrowedFd<'_>, group: Pid) {
    let group = group.as_raw_pid();
    // SAFETY: this request reads the group's number.
    let _ = unsafe { crate::syscall!(__NR_ioctl, terminal.as_raw_fd(), TIOCSPGRP, &raw const group) };
}
