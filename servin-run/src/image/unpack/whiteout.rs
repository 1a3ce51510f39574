//! What a layer removes. In an archive it is an empty file `.wh.NAME`, and `.wh..wh..opq` for all that a directory
//! had before; on disk what overlayfs wants to see: a character device 0:0, and an attribute of the directory
//! ([overlayfs.rst, "whiteouts and opaque directories"][overlayfs]).
//!
//! [overlayfs]: https://docs.kernel.org/filesystems/overlayfs.html#whiteouts-and-opaque-directories

use rustix::fd::BorrowedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, XattrFlags, fgetxattr, fsetxattr};
use rustix::io::{self, Errno};

use super::place::Current;
use crate::error::{Error, Result};
use crate::sys::path::{mknodat, openat, statat};

const PREFIX: &[u8] = b".wh.";
/// What aufs kept for itself.
const RESERVED: &[u8] = b".wh..wh.";
/// All that the directory had is removed.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// How removals are kept on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Whiteouts {
    /// There is nothing below to remove from: the marks of an archive are for nobody.
    #[default]
    None,
    /// As overlayfs wants it, with attributes that only root may set.
    Trusted,
    /// The same with attributes that users may set (the mount's option `userxattr`).
    User,
    /// As in the archive, where the file system cannot hold devices 0:0: it is an overlay itself.
    Files,
}

/// Whether it is overlayfs's mark for what was removed.
pub fn is_whiteout(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice && stat.st_rdev == 0
}

impl Whiteouts {
    /// The attribute of a directory that hides all below it.
    pub fn opaque_attribute(self) -> Option<&'static str> {
        match self {
            Whiteouts::Trusted => Some("trusted.overlay.opaque"),
            Whiteouts::User => Some("user.overlay.opaque"),
            Whiteouts::None | Whiteouts::Files => None,
        }
    }

    /// Marks a directory as hiding what has its name in layers below.
    pub fn hide_below(self, directory: BorrowedFd<'_>) -> io::Result<()> {
        match (self.opaque_attribute(), self) {
            (Some(attribute), _) => fsetxattr(directory, attribute, b"y", XattrFlags::empty()),
            (None, Whiteouts::Files) => mark(directory, OPAQUE),
            (None, _) => Ok(()),
        }
    }

    /// Whether a directory is marked so.
    pub fn hides_below(self, directory: BorrowedFd<'_>) -> bool {
        let mut value = [0; 1];
        match self.opaque_attribute() {
            Some(attribute) => fgetxattr(directory, attribute, &mut value[..]).is_ok() && value == *b"y",
            None => self == Whiteouts::Files && statat(directory, OPAQUE, AtFlags::SYMLINK_NOFOLLOW).is_ok(),
        }
    }

    /// Whether the entry `name` of the current directory is a mark; if it is, it is kept in this way.
    pub fn read(self, current: &Current, name: &[u8]) -> Result<bool> {
        use rustix::fd::AsFd;
        let Some(removed) = name.strip_prefix(PREFIX) else { return Ok(false) };
        if name == OPAQUE {
            self.hide_below(current.as_fd())
                .map_err(|errno| Error::os("mark the directory as opaque", errno))?;
            return Ok(true);
        }
        if name.starts_with(RESERVED) {
            return Ok(true);
        }
        if matches!(removed, b"" | b"." | b"..") {
            return Err(Error::new("it is the mark of a removed file without a name"));
        }
        self.remove(current.as_fd(), removed)
            .map_err(|errno| Error::os("mark the file as removed", errno))?;
        Ok(true)
    }

    /// Marks `name` as removed from the layers below. What this very layer has of that name stays.
    pub fn remove(self, directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
        match self {
            Whiteouts::None => return Ok(()),
            Whiteouts::Files => return mark(directory, &[PREFIX, name].concat()),
            Whiteouts::Trusted | Whiteouts::User => {}
        }
        match mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0) {
            Err(Errno::EXIST) => {
                let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                    return Ok(());
                }
                let flags = super::super::copy::DIRECTORY;
                self.hide_below(rustix::fd::AsFd::as_fd(&openat(directory, name, flags, Mode::empty())?))
            }
            made => made,
        }
    }
}

/// Makes an empty file; one that exists is good.
fn mark(directory: BorrowedFd<'_>, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(directory, name, flags, Mode::empty()).map(drop)
}
