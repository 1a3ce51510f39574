//! Which descriptors survive an exec.

use linux_raw_sys::general::__NR_close_range;
use rustix::io;
use servin_init::syscall;

/// `CLOSE_RANGE_CLOEXEC` of linux/close_range.h.
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// Marks every descriptor from `first` on close-on-exec (close_range(2), Linux 5.11 for this flag).
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointers; marking a descriptor closes none that this process still uses.
    unsafe { syscall!(__NR_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }.map(drop)
}

/// Borrows a descriptor that came from the caller by number, as `--preserve-fds` counts them.
pub fn inherited(number: i32) -> rustix::fd::BorrowedFd<'static> {
    // SAFETY: the callers pass numbers that they found open (in /proc/self/fd); nothing here closes them.
    unsafe { rustix::fd::BorrowedFd::borrow_raw(number) }
}

/// Standard input, output or error (0, 1, 2). The program's start makes sure that all three are open, and it
/// closes none of them.
pub fn standard(number: i32) -> rustix::fd::BorrowedFd<'static> {
    debug_assert!((0..=2).contains(&number));
    inherited(number)
}
