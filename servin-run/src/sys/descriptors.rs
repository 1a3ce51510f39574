//! Which descriptors survive an exec.

use alloc::vec::Vec;

use linux_raw_sys::general::{__NR_close, __NR_close_range};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{self, Errno};
use servin_init::syscall;

use crate::order;

/// `CLOSE_RANGE_CLOEXEC` of linux/close_range.h.
const CLOSE_RANGE_CLOEXEC: u32 = 1 << 2;

/// Marks every descriptor from `first` on close-on-exec (close_range(2), Linux 5.11 for this flag).
pub fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointers; marking a descriptor closes none that this process still uses.
    unsafe { syscall!(__NR_close_range, first, u32::MAX, CLOSE_RANGE_CLOEXEC) }.map(drop)
}

/// Borrows a descriptor that came from the caller by number, as `--preserve-fds` counts them.
pub fn inherited(number: i32) -> BorrowedFd<'static> {
    // SAFETY: the callers pass numbers that they found open (in /proc/self/fd); nothing here closes them.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Standard input, output or error (0, 1, 2). The program's start makes sure that all three are open, and it
/// closes none of them.
pub fn standard(number: i32) -> BorrowedFd<'static> {
    debug_assert!((0..=2).contains(&number));
    inherited(number)
}

/// Closes every descriptor but `kept` (close_range(2), Linux 5.9; before, one after the other). Only for a process
/// that was just cloned and shares no other code's idea of what is open: it uses nothing but `kept` from here on,
/// and never returns.
pub fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut numbers: Vec<u32> = kept.iter().map(|kept| kept.as_raw_fd().cast_unsigned()).collect();
    order::sort(&mut numbers);
    let mut first = 0;
    for number in numbers {
        if number > first {
            close_range(first, number - 1)?;
        }
        first = number + 1;
    }
    close_range(first, u32::MAX)
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointers; see above for whose descriptors these are.
    match unsafe { syscall!(__NR_close_range, first, last, 0) } {
        Err(Errno::NOSYS) => {
            let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
            let limit = limit.map_or(u32::MAX, |limit| limit as u32);
            for number in first..=last.min(limit) {
                // SAFETY: as above; one that is not open is an error that does not matter.
                let _ = unsafe { syscall!(__NR_close, number) };
            }
            Ok(())
        }
        other => other.map(drop),
    }
}

/// Takes a descriptor over that this very program has left open for itself across an exec; an error where there is
/// none of that number.
pub fn adopt(number: i32) -> io::Result<OwnedFd> {
    if number <= 2 {
        return Err(Errno::BADF);
    }
    io::fcntl_getfd(inherited(number))?;
    // SAFETY: it is open, and nothing in the new program can own it yet.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}
