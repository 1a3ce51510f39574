//! Paths of the container that are hidden or cannot be written. The root is switched by now: a path is the
//! container's own, and a missing one needs no hiding.

use alloc::string::String;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, makedev};
use rustix::io::Errno;

use linux_raw_sys::general::MOUNT_ATTR_RDONLY;

use super::mount::{attach, change, clone_place, new_file_system, set_attributes};
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::path_of;
use crate::plan::mounts::Attributes;
use crate::sys::path::openat;

const READ_ONLY: Attributes = Attributes { set: MOUNT_ATTR_RDONLY as u64, clear: 0 };

/// What hides: each is made for the first path that needs it.
#[derive(Default)]
pub struct Masks {
    /// The container's /dev/null.
    null: Option<OwnedFd>,
    /// An empty read-only directory, mounted on the first hidden one.
    empty: Option<OwnedFd>,
}

impl Masks {
    /// Hides what is at `path`: a directory behind an empty one, anything else behind /dev/null.
    pub fn mask(&mut self, path: &str) -> Result<()> {
        let Some(place) = find(path)? else { return Ok(()) };
        let kind = FileType::from_raw_mode(fstat(&place).step(|| "look at it")?.st_mode);
        match (kind, &self.empty) {
            (FileType::Directory, Some(empty)) => cover(empty, &place),
            (FileType::Directory, None) => {
                self.empty = Some(cover_with_nothing(&place, path)?);
                Ok(())
            }
            _ => {
                let null = match self.null.take() {
                    Some(null) => null,
                    None => null_device()?,
                };
                cover(self.null.insert(null), &place)
            }
        }
    }
}

/// Makes what is at `path` read-only, whatever it is.
pub fn make_read_only(path: &str) -> Result<()> {
    let Some(place) = find(path)? else { return Ok(()) };
    match clone_place(&place, true) {
        Ok(tree) => {
            // Before it is seen, where the kernel can; else right after.
            let early = set_attributes_detached(&tree)?;
            attach(&tree, &place).step(|| "attach")?;
            if early { Ok(()) } else { set_attributes(&tree, READ_ONLY).step(|| "set the attribute") }
        }
        Err(Errno::NOSYS) => {
            rustix::mount::mount_bind_recursive(path_of(&place), path_of(&place)).step(|| "bind")?;
            match find(path)? {
                Some(mounted) => set_attributes(&mounted, READ_ONLY).step(|| "set the attribute"),
                None => Err(Error::os("open it again", Errno::NOENT)),
            }
        }
        Err(errno) => Err(Error::os("take its mount", errno)),
    }
}

/// `false` where the kernel cannot change a mount that is not attached (before Linux 5.12).
fn set_attributes_detached(tree: &OwnedFd) -> Result<bool> {
    match change(tree, false, READ_ONLY) {
        Err(Errno::NOSYS) => Ok(false),
        other => other.step(|| "set the attribute").map(|()| true),
    }
}

fn find(path: &str) -> Result<Option<OwnedFd>> {
    match openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        other => other.map(Some).step(|| "open it"),
    }
}

fn cover(with: &OwnedFd, place: &OwnedFd) -> Result<()> {
    match clone_place(with, false) {
        Ok(tree) => attach(&tree, place).step(|| "attach"),
        Err(Errno::NOSYS) => rustix::mount::mount_bind(path_of(with), path_of(place)).step(|| "bind"),
        Err(errno) => Err(Error::os("copy the mount that hides", errno)),
    }
}

fn cover_with_nothing(place: &OwnedFd, path: &str) -> Result<OwnedFd> {
    // The smallest size that tmpfs takes: one block, which nothing can fill.
    let parameters = [String::from("ro"), String::from("nr_blocks=1")];
    match new_file_system("tmpfs", "tmpfs", &parameters, READ_ONLY) {
        Ok(tree) => {
            attach(&tree, place).step(|| "attach")?;
            Ok(tree)
        }
        Err(error) if error.errno() == Some(Errno::NOSYS) => {
            let flags = rustix::mount::MountFlags::RDONLY;
            rustix::mount::mount(c"tmpfs", path_of(place), c"tmpfs", flags, c"nr_blocks=1")
                .step(|| "mount tmpfs")?;
            find(path)?.ok_or_else(|| Error::os("open it again", Errno::NOENT))
        }
        Err(error) => Err(error),
    }
}

/// The container's /dev/null, proved to be the device 1:3 (CVE-2025-31133).
fn null_device() -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let null =
        openat(CWD, c"/dev/null", flags, Mode::empty()).step(|| "open /dev/null, which hides files")?;
    let stat = fstat(&null).step(|| "look at /dev/null")?;
    let is_null = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice
        && stat.st_rdev as u64 == makedev(1, 3) as u64;
    if is_null { Ok(null) } else { Err(Error::new("/dev/null is not the null device")) }
}
