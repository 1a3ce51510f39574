//! Descriptors as a whole: which survive an exec, and how a path is given to a call that takes no descriptor.

use alloc::format;
use alloc::string::String;

use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustix::io::{self, Errno, FdFlags};

use crate::error::{Result, Step};
use crate::sys;
use crate::sys::path::openat;

/// Marks every descriptor from `first` on close-on-exec: whatever the caller left open, the container never sees.
pub fn close_on_exec_from(first: u32) -> Result<()> {
    match sys::descriptors::close_on_exec_from(first) {
        // EINVAL: Linux 5.9 and 5.10 have the call without the flag.
        Err(Errno::NOSYS | Errno::INVAL) => one_by_one(first),
        other => other.step(|| "mark inherited descriptors close-on-exec"),
    }
}

fn one_by_one(first: u32) -> Result<()> {
    let step = || "list /proc/self/fd, to mark inherited descriptors close-on-exec";
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, c"/proc/self/fd", flags, Mode::empty()).step(step)?;
    for entry in Dir::new(directory).step(step)? {
        let entry = entry.step(step)?;
        let number = entry.file_name().to_str().ok().and_then(|name| name.parse().ok());
        if let Some(number) = number.filter(|&n: &i32| n >= 0 && n as u32 >= first) {
            // A descriptor of the listing itself may be gone by now.
            let _ = io::fcntl_setfd(sys::descriptors::inherited(number), FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

/// An error unless the caller has left the descriptor of that number open.
pub fn require_open(number: u32) -> Result<()> {
    io::fcntl_getfd(sys::descriptors::inherited(number as i32)).map(drop).step(|| "look for it")
}

/// A path that names an open descriptor, for the old calls that take nothing else (needs /proc).
pub fn path_of(descriptor: impl AsFd) -> String {
    format!("/proc/self/fd/{}", descriptor.as_fd().as_raw_fd())
}

/// Standard input.
pub fn stdin() -> BorrowedFd<'static> {
    sys::descriptors::standard(0)
}

/// Standard output.
pub fn stdout() -> BorrowedFd<'static> {
    sys::descriptors::standard(1)
}

/// Standard error.
pub fn stderr() -> BorrowedFd<'static> {
    sys::descriptors::standard(2)
}

/// Opens /dev/null in place of each of the three that the caller left closed: the next file to be opened would
/// otherwise become the container's standard input, say.
pub fn fill_standard() -> Result<()> {
    for number in 0..=2 {
        if io::fcntl_getfd(sys::descriptors::standard(number)) == Err(Errno::BADF) {
            // The lowest free number is this one.
            let null = openat(CWD, c"/dev/null", OFlags::RDWR, Mode::empty()).step(|| "open /dev/null")?;
            core::mem::forget(null);
        }
    }
    Ok(())
}
