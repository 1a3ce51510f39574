//! The three descriptors that a process is born with, and files that are read.

use core::ffi::CStr;
use linux_raw_sys::general::{__NR_close, __NR_openat, __NR_read, AT_FDCWD, O_CLOEXEC, O_NONBLOCK, O_RDONLY};
use rustix::fd::{BorrowedFd, RawFd};

/// Standard input.
pub const INPUT: BorrowedFd<'static> = standard(0);
/// Standard output.
pub const OUTPUT: BorrowedFd<'static> = standard(1);
/// Standard error.
pub const ERROR: BorrowedFd<'static> = standard(2);

/// One of the three.
pub const fn standard(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: nothing in this program closes these three. Where the parent had closed one, a call on it fails
    // with EBADF, or reaches whatever was opened in its place, which breaks no memory.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// A file that is open for reading, without waiting for whoever writes it. What goes wrong reads as its end.
pub struct File(usize);

impl File {
    /// Opens the file at `path` (openat(2)).
    pub fn open(path: &CStr) -> Option<File> {
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;
        // SAFETY: the path ends with a NUL, and outlives the call.
        let opened = unsafe { crate::syscall!(__NR_openat, AT_FDCWD, path.as_ptr(), flags) };
        opened.ok().map(File)
    }

    /// Reads as much as there is room for; how many bytes it was (read(2)).
    pub fn read(&self, room: &mut [u8]) -> usize {
        // SAFETY: the kernel writes as many bytes as the room has, at most.
        unsafe { crate::syscall!(__NR_read, self.0, room.as_mut_ptr(), room.len()) }.unwrap_or(0)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: close takes no pointers, and nothing else uses this descriptor.
        let _ = unsafe { crate::syscall!(__NR_close, self.0) };
    }
}
