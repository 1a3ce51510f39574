//! A path as the kernel takes it, put together without an allocator.

use core::ffi::CStr;
use heapless::Vec;

/// Bytes with a NUL at their end, PATH_MAX at the most.
#[derive(Default)]
pub struct Path(Vec<u8, 4096>);

impl Path {
    /// An empty one.
    pub const fn new() -> Path {
        Path(Vec::new())
    }

    /// Becomes `name` in `directory`, of which an empty one means the working directory. Whether there was room.
    pub fn join(&mut self, directory: &[u8], name: &[u8]) -> bool {
        let slash: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        self.0.clear();
        [directory, slash, name, b"\0"].iter().all(|part| self.0.extend_from_slice(part).is_ok())
    }

    /// For a system call: empty if there was no room.
    pub fn as_c_str(&self) -> &CStr {
        match self.0.last() {
            // SAFETY: the last byte ends the string, if none before it does; the borrow keeps it as it is.
            Some(0) => unsafe { CStr::from_ptr(self.0.as_ptr().cast()) },
            _ => c"",
        }
    }
}
