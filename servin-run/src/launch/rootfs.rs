//! The root file system: a mount of its own, and then `/`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, mount_move, unmount};
use rustix::process::{chroot, fchdir, pivot_root};

use super::mount::{attach, clone_place, set_attributes};
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::path_of;
use crate::fs::mountinfo;
use crate::plan::mounts::{Attributes, Propagation};
use crate::sys::path::{openat, readlinkat};

/// Sets the propagation of the whole tree, before anything is mounted in it.
pub fn set_tree_propagation(propagation: Propagation) -> Result<()> {
    let flags = MountPropagationFlags::from_bits_retain(propagation.kind) | MountPropagationFlags::REC;
    mount_change(c"/", flags).step(|| "mount /")
}

/// Makes the directory at `path` a mount of its own, which pivot_root(2) demands, and returns it. `prepared` is
/// its tree where that had to be opened outside the container's user namespace.
pub fn mount_root(path: &str, prepared: Option<OwnedFd>, shared: bool) -> Result<OwnedFd> {
    let directory = open_root(path)?;
    if shared {
        // A mount below a shared one would appear on the host too, and pivot_root(2) refuses such a parent.
        make_parent_private(&directory)?;
    }
    let tree = match prepared.map_or_else(|| clone_place(&directory, true), Ok) {
        Ok(tree) => tree,
        Err(Errno::NOSYS) => return bind_old(path, &directory),
        Err(errno) => return Err(Error::os("copy its mounts", errno)),
    };
    attach(&tree, &directory).step(|| "attach")?;
    Ok(tree)
}

/// Opens the root directory as a place.
pub fn open_root(path: &str) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).step(|| format!("open the root file system {path} (root.path)"))
}

fn bind_old(path: &str, directory: &OwnedFd) -> Result<OwnedFd> {
    rustix::mount::mount_bind_recursive(path_of(directory), path_of(directory)).step(|| "bind")?;
    open_root(path)
}

/// The mount that holds `directory` is found by trying its path and those above: only a mount's root takes a
/// propagation.
fn make_parent_private(directory: &OwnedFd) -> Result<()> {
    let path = readlinkat(CWD, path_of(directory), Vec::new()).step(|| "find its mount")?;
    let mut path = String::from(path.to_string_lossy());
    loop {
        match mount_change(path.as_str(), MountPropagationFlags::PRIVATE) {
            Err(Errno::INVAL) if path != "/" => {
                path.truncate(path.rfind('/').unwrap_or(0));
                if path.is_empty() {
                    path.push('/');
                }
            }
            other => return other.step(|| format!("make {path} private")),
        }
    }
}

/// Makes `root` the root of this mount namespace and lets the old tree go. `shared` says that the old tree is
/// shared with the host's.
pub fn switch(root: &OwnedFd, shared: bool) -> Result<()> {
    let old = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open the old root")?;
    fchdir(root).step(|| "enter the new root")?;
    // With the same place twice the old root ends up on top of the new one, from where it is unmounted: no
    // directory for it is needed in the image (pivot_root(2), "pivot_root(".", ".")").
    match pivot_root(c".", c".") {
        // The root is an initramfs, which cannot be exchanged; or a filter knows no such call.
        Err(Errno::INVAL | Errno::NOSYS) => return move_to_root(root),
        other => other.step(|| "pivot_root")?,
    }
    fchdir(&old).step(|| "enter the old root")?;
    if shared {
        let slave = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(c".", slave).step(|| "make the old root a slave")?;
    }
    unmount(c".", UnmountFlags::DETACH).step(|| "unmount the old root")?;
    rustix::process::chdir(c"/").step(|| "enter the new root")
}

/// The other way for a root that cannot be exchanged: the new root is moved on top of `/`, and whatever else was
/// mounted in the old tree is unmounted. What stays below is the initramfs alone, without /proc, /sys and disks,
/// and no path leads there: `..` of the new root ends on the new root.
pub fn move_to_root(root: &OwnedFd) -> Result<()> {
    let old = openat(CWD, c"/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open the old root")?;
    let mounts = mountinfo::read().map_err(|error| error.within("find the old tree's mounts"))?;
    let bottom = mounts.iter().find(|m| m.target == "/").map(|m| m.id);
    fchdir(root).step(|| "enter the new root")?;
    mount_move(c".", c"/").step(|| "move the new root to /")?;
    fchdir(&old).step(|| "enter the old root")?;
    for mount in mounts.iter().filter(|m| Some(m.parent) == bottom && m.target != "/").rev() {
        // From the old root's own mount, which the path does not climb back into.
        let below = mount.target.trim_start_matches('/');
        match unmount(below, UnmountFlags::DETACH) {
            // The new root was there; or the mount is locked by a user namespace above this one: it cannot be
            // taken away, nor seen through.
            Ok(()) | Err(Errno::INVAL) => {}
            Err(errno) => return Err(Error::os(format_args!("unmount {}", mount.target), errno)),
        }
    }
    fchdir(root).step(|| "enter the new root")?;
    chroot(c".").step(|| "change the root")?;
    rustix::process::chdir(c"/").step(|| "enter the new root")
}

/// Makes `/` read-only, but not what is mounted below it.
pub fn make_read_only() -> Result<()> {
    let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step(|| "open /")?;
    let read_only = Attributes { set: u64::from(linux_raw_sys::general::MOUNT_ATTR_RDONLY), clear: 0 };
    set_attributes(root.as_fd(), read_only).step(|| "set the attribute")
}

/// Sets the propagation of `/` alone or with what is below.
pub fn set_root_propagation(propagation: Propagation) -> Result<()> {
    let recursive =
        if propagation.recursive { MountPropagationFlags::REC } else { MountPropagationFlags::empty() };
    let flags = MountPropagationFlags::from_bits_retain(propagation.kind) | recursive;
    mount_change(c"/", flags).step(|| "mount /")
}
