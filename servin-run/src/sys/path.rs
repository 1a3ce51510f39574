//! System calls that take paths. Each is here once, whatever its path is kept in: rustix has one of its own for each
//! kind of text and of directory that it is called with.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{self, Access, AtFlags, CWD, Dev, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io::{self, Errno};

/// What may name a file: text, bytes, or what the kernel has listed.
pub trait Path {
    /// The path without its end.
    fn bytes(&self) -> &[u8];
}

impl Path for str {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Path for String {
    fn bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Path for [u8] {
    fn bytes(&self) -> &[u8] {
        self
    }
}

impl Path for CStr {
    fn bytes(&self) -> &[u8] {
        self.to_bytes()
    }
}

impl Path for CString {
    fn bytes(&self) -> &[u8] {
        self.to_bytes()
    }
}

impl<T: Path + ?Sized> Path for &T {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
}

/// As the kernel reads it: up to a NUL.
fn ended(path: &[u8]) -> io::Result<CString> {
    CString::new(path).map_err(|_| Errno::INVAL)
}

macro_rules! at {
    ($($(#[$about:meta])* fn $name:ident($($more:ident: $kind:ty),*) -> $answer:ty;)*) => { $(
        $(#[$about])*
        pub fn $name(directory: impl AsFd, path: impl Path $(, $more: $kind)*) -> io::Result<$answer> {
            fn call(directory: BorrowedFd<'_>, path: &[u8] $(, $more: $kind)*) -> io::Result<$answer> {
                fs::$name(directory, ended(path)?.as_c_str() $(, $more)*)
            }
            call(directory.as_fd(), path.bytes() $(, $more)*)
        }
    )* };
}

at! {
    /// openat(2).
    fn openat(flags: OFlags, mode: Mode) -> OwnedFd;
    /// fstatat(2).
    fn statat(flags: AtFlags) -> Stat;
    /// unlinkat(2).
    fn unlinkat(flags: AtFlags) -> ();
    /// mkdirat(2).
    fn mkdirat(mode: Mode) -> ();
    /// mknodat(2).
    fn mknodat(kind: FileType, mode: Mode, device: Dev) -> ();
    /// fchmodat(2).
    fn chmodat(mode: Mode, flags: AtFlags) -> ();
    /// fchownat(2).
    fn chownat(user: Option<Uid>, group: Option<Gid>, flags: AtFlags) -> ();
    /// faccessat(2), with the real ids.
    fn accessat(access: Access, flags: AtFlags) -> ();
}

/// access(2).
pub fn access(path: impl Path, access: Access) -> io::Result<()> {
    accessat(CWD, path, access, AtFlags::empty())
}

/// stat(2).
pub fn stat(path: impl Path) -> io::Result<Stat> {
    statat(CWD, path, AtFlags::empty())
}

/// readlinkat(2).
pub fn readlinkat(directory: impl AsFd, path: impl Path, reuse: Vec<u8>) -> io::Result<CString> {
    fn call(directory: BorrowedFd<'_>, path: &[u8], reuse: Vec<u8>) -> io::Result<CString> {
        fs::readlinkat(directory, ended(path)?.as_c_str(), reuse)
    }
    call(directory.as_fd(), path.bytes(), reuse)
}

/// symlinkat(2).
pub fn symlinkat(target: impl Path, directory: impl AsFd, path: impl Path) -> io::Result<()> {
    fn call(target: &[u8], directory: BorrowedFd<'_>, path: &[u8]) -> io::Result<()> {
        fs::symlinkat(ended(target)?.as_c_str(), directory, ended(path)?.as_c_str())
    }
    call(target.bytes(), directory.as_fd(), path.bytes())
}

/// renameat(2).
pub fn renameat(from: impl AsFd, old: impl Path, to: impl AsFd, new: impl Path) -> io::Result<()> {
    fn call(from: BorrowedFd<'_>, old: &[u8], to: BorrowedFd<'_>, new: &[u8]) -> io::Result<()> {
        fs::renameat(from, ended(old)?.as_c_str(), to, ended(new)?.as_c_str())
    }
    call(from.as_fd(), old.bytes(), to.as_fd(), new.bytes())
}

/// linkat(2).
pub fn linkat(
    from: impl AsFd,
    old: impl Path,
    to: impl AsFd,
    new: impl Path,
    flags: AtFlags,
) -> io::Result<()> {
    fn call(
        from: BorrowedFd<'_>,
        old: &[u8],
        to: BorrowedFd<'_>,
        new: &[u8],
        flags: AtFlags,
    ) -> io::Result<()> {
        fs::linkat(from, ended(old)?.as_c_str(), to, ended(new)?.as_c_str(), flags)
    }
    call(from.as_fd(), old.bytes(), to.as_fd(), new.bytes(), flags)
}
