//! Files: paths that stay inside a root, and what every other module needs of descriptors.

pub mod copy;
pub mod descriptors;
pub mod mountinfo;
pub mod resolve;

use alloc::vec::Vec;

use rustix::fd::AsFd;
use rustix::io::{self, Errno};

/// Reads a file from where it stands to its end.
pub fn read_to_end(file: impl AsFd) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    loop {
        let filled = bytes.len();
        bytes.resize(filled + 4096, 0);
        match io::read(&file, &mut bytes[filled..]) {
            Err(Errno::INTR) => bytes.truncate(filled),
            other => {
                let length = other?;
                bytes.truncate(filled + length);
                if length == 0 {
                    return Ok(bytes);
                }
            }
        }
    }
}
