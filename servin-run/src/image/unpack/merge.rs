//! What a layer cannot know by itself, since layers are unpacked side by side: the attributes of directories that
//! it only passes through, and files of layers below that it has hard links to.

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, fstat};
use rustix::io::{self, Errno};

use super::place::{look, look_for};
use super::whiteout::is_whiteout;
use super::{Unpacked, Whiteouts, shown};
use crate::error::{Error, Result};
use crate::fs::copy::{copy_entry, copy_metadata, put_times_back};
use crate::sys::path::{linkat, openat, statat, unlinkat};

/// Completes the layer `root` with what the layers below it say; the highest of them comes first.
pub fn complete(root: &OwnedFd, unpacked: &Unpacked, below: &[OwnedFd], whiteouts: Whiteouts) -> Result<()> {
    for path in &unpacked.implicit {
        complete_directory(root, path, below, whiteouts)
            .map_err(|errno| Error::os(format_args!("complete the directory {}", shown(path)), errno))?;
    }
    for (path, target) in &unpacked.links {
        complete_link(root, path, target, below).map_err(|errno| {
            let (path, target) = (shown(path), shown(target));
            Error::os(format_args!("make the hard link {path} to {target}"), errno)
        })?;
    }
    Ok(())
}

fn complete_directory(
    root: &OwnedFd,
    path: &[u8],
    below: &[OwnedFd],
    whiteouts: Whiteouts,
) -> io::Result<()> {
    let own = look(root.as_fd(), path)?;
    for layer in below {
        match look(layer.as_fd(), path) {
            Ok(lower) => {
                let hides = whiteouts.hides_below(own.as_fd());
                copy_metadata(&lower, &own, &fstat(&lower)?)?;
                return if hides { whiteouts.hide_below(own.as_fd()) } else { Ok(()) };
            }
            Err(Errno::NOENT) => {}
            // It is something else there, or it was removed there.
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

/// The file comes up into this layer, under both names.
fn complete_link(root: &OwnedFd, path: &[u8], target: &[u8], below: &[OwnedFd]) -> io::Result<()> {
    let (own, own_name) = look_for(root.as_fd(), path)?;
    let own_stat = fstat(&own)?;
    for layer in below {
        let Ok((lower, name)) = look_for(layer.as_fd(), target) else { continue };
        match statat(&lower, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if !is_whiteout(&stat) && !super::place::is_directory(&stat) => {}
            Err(Errno::NOENT) => continue,
            _ => break,
        }
        let lower =
            openat(&lower, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
        let _ = unlinkat(&own, own_name, AtFlags::empty());
        let name = &*alloc::ffi::CString::new(name).map_err(|_| Errno::INVAL)?;
        let own_name = &*alloc::ffi::CString::new(own_name).map_err(|_| Errno::INVAL)?;
        copy_entry(&lower, name, &own, own_name)?;
        // The other name hides the file below; where this layer has no such directory, a copy below is left as it is.
        if let Ok((place, target_name)) = look_for(root.as_fd(), target) {
            let times = fstat(&place)?;
            match linkat(&own, own_name, &place, target_name, AtFlags::empty()) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(errno) => return Err(errno),
            }
            put_times_back(&place, &times)?;
        }
        return put_times_back(&own, &own_stat);
    }
    Err(Errno::NOENT)
}
