//! Files: paths that stay inside a root, and what every other module needs of descriptors.

pub mod copy;
pub mod descriptors;
pub mod mountinfo;
pub mod resolve;
pub mod tree;
pub mod whole;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::buffer::spare_capacity;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io;

use crate::error::{Error, Result, Step};
use crate::sys::path::openat;

/// Opens the file at `path`, to be read or to be named to the kernel.
pub fn open(path: &str) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).step(|| format!("open {path}"))
}

/// The text of the file at `path`.
pub fn read_text(path: &str) -> Result<String> {
    let bytes = read_to_end(open(path)?).step(|| format!("read {path}"))?;
    String::from_utf8(bytes).map_err(|_| Error::new(format_args!("{path}: not UTF-8")))
}

/// The text of a file in which anybody may have put anything, such as a process its name in /proc. What is not UTF-8
/// is replaced: it must not hide the rest.
pub fn read_lossy(path: &str) -> Result<String> {
    let bytes = read_to_end(open(path)?).step(|| format!("read {path}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads a regular file, of which less than was asked for is the end.
pub fn read_whole(file: impl AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(4096);
        let room = bytes.capacity() - bytes.len();
        if io::retry_on_intr(|| io::read(&file, spare_capacity(&mut bytes)))? < room {
            return Ok(bytes);
        }
    }
}

/// Reads a file from where it stands to its end.
pub fn read_to_end(file: impl AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        bytes.reserve(4096);
        if io::retry_on_intr(|| io::read(&file, spare_capacity(&mut bytes)))? == 0 {
            return Ok(bytes);
        }
    }
}
