//! The three descriptors that a process is born with.

use rustix::fd::{BorrowedFd, RawFd};

/// Standard input.
pub const INPUT: BorrowedFd<'static> = standard(0);
/// Standard output.
pub const OUTPUT: BorrowedFd<'static> = standard(1);
/// Standard error.
pub const ERROR: BorrowedFd<'static> = standard(2);

const fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: nothing in this program closes these three. Where the parent had closed one, a call on it fails
    // with EBADF, or reaches whatever was opened in its place, which breaks no memory.
    unsafe { BorrowedFd::borrow_raw(number) }
}
