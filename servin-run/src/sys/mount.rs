//! mount_setattr(2); the other calls of the new mount API are in rustix.

use core::ffi::CStr;

use linux_raw_sys::general::{__NR_mount_setattr, AT_EMPTY_PATH, AT_RECURSIVE, mount_attr};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::io;
use servin_init::syscall;

/// A change to the attributes of a mount.
#[derive(Debug, Clone, Copy, Default)]
pub struct MountAttr<'fd> {
    /// `MOUNT_ATTR_*` bits to set.
    pub set: u64,
    /// `MOUNT_ATTR_*` bits to clear; a change of access times clears `MOUNT_ATTR__ATIME` first.
    pub clear: u64,
    /// One of `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE`, `MS_UNBINDABLE`, or 0 to leave the propagation alone.
    pub propagation: u64,
    /// The user namespace whose id mapping the mount takes (with `MOUNT_ATTR_IDMAP` set).
    pub user_namespace: Option<BorrowedFd<'fd>>,
}

/// Changes the mount `mount` itself, and with `recursive` all mounts below it (mount_setattr(2), Linux 5.12).
pub fn mount_setattr(mount: impl AsFd, recursive: bool, change: &MountAttr<'_>) -> io::Result<()> {
    let path: &CStr = c"";
    let flags = AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    let attributes = mount_attr {
        attr_set: change.set,
        attr_clr: change.clear,
        propagation: change.propagation,
        userns_fd: change.user_namespace.map_or(0, |fd| fd.as_raw_fd() as u64),
    };
    let descriptor = mount.as_fd().as_raw_fd();
    let size = size_of::<mount_attr>();
    // SAFETY: the path ends with a NUL, and the kernel only reads `size` bytes of the struct.
    unsafe { syscall!(__NR_mount_setattr, descriptor, path.as_ptr(), flags, &raw const attributes, size) }
        .map(drop)
}
