//! A path as the kernel takes it, put together without an allocator.

use core::ffi::CStr;
use core::mem::MaybeUninit;

/// PATH_MAX of linux/limits.h: the longest path, the NUL at its end included.
const LONGEST: usize = 4096;

/// Room for a path.
pub struct Path {
    bytes: MaybeUninit<[u8; LONGEST]>,
    length: usize,
}

impl Default for Path {
    /// One without a path in it. What it has room for is not touched: it may be a whole page.
    fn default() -> Path {
        Path { bytes: MaybeUninit::uninit(), length: 0 }
    }
}

impl Path {
    /// `name` in `directory`, of which an empty one means the working directory; None if there is no room.
    pub fn join(&mut self, directory: &[u8], name: &[u8]) -> Option<&CStr> {
        self.length = 0;
        if !directory.is_empty() {
            self.push(directory)?;
            self.push(b"/")?;
        }
        self.push(name)?;
        self.push(b"\0")?;
        // SAFETY: `length` bytes have been written, of which the last ends the string, if none before it does; the
        // borrow keeps them as they are.
        Some(unsafe { CStr::from_ptr(self.bytes.as_ptr().cast()) })
    }

    #[inline(never)]
    fn push(&mut self, part: &[u8]) -> Option<()> {
        let start = self.length;
        if part.len() > LONGEST - start {
            return None;
        }
        self.length += part.len();
        // SAFETY: the part ends within the room, as was just checked, and does not overlap it, which is borrowed.
        unsafe {
            self.bytes
                .as_mut_ptr()
                .cast::<u8>()
                .add(start)
                .copy_from_nonoverlapping(part.as_ptr(), part.len())
        };
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_joined_as_long_as_there_is_room() {
        let mut path = Path::default();
        assert_eq!(path.join(b"/bin", b"sh"), Some(c"/bin/sh"));
        assert_eq!(path.join(b"", b"sh"), Some(c"sh"));
        let long = [b'x'; LONGEST];
        assert_eq!(path.join(b"", &long[1..]).map(CStr::count_bytes), Some(LONGEST - 1));
        assert_eq!(path.join(b"", &long), None);
        assert_eq!(path.join(b"/", &long[1..]), None);
        assert_eq!(path.join(&long, b""), None);
    }
}
