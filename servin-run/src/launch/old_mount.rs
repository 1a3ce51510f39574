//! The same mounts by the calls of older kernels: mount(2), given descriptors as /proc/self/fd paths.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME, MS_NOATIME, MS_NODEV, MS_NODIRATIME,
    MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_RELATIME, MS_STRICTATIME,
};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustix::mount::{
    MountFlags, MountPropagationFlags, mount_bind, mount_bind_recursive, mount_change, mount_remount,
};

use super::mount::open_target;
use super::overlay;
use crate::error::{Error, Result, Step};
use crate::fs::copy::copy_tree;
use crate::fs::descriptors::path_of;
use crate::fs::resolve;
use crate::plan::mounts::{Attributes, Mount, Propagation, Source};
use crate::sys::path::openat;

/// The attributes that the old call knows too.
const FLAGS: &[(u32, u32)] = &[
    (MOUNT_ATTR_RDONLY, MS_RDONLY),
    (MOUNT_ATTR_NOSUID, MS_NOSUID),
    (MOUNT_ATTR_NODEV, MS_NODEV),
    (MOUNT_ATTR_NOEXEC, MS_NOEXEC),
    (MOUNT_ATTR_NODIRATIME, MS_NODIRATIME),
    (MOUNT_ATTR_NOATIME, MS_NOATIME),
    (MOUNT_ATTR_STRICTATIME, MS_STRICTATIME),
];

/// Makes `mount` in `root` and returns a descriptor of its root.
pub fn mount(root: BorrowedFd<'_>, mount: &Mount) -> Result<OwnedFd> {
    if !mount.recursive.is_empty() || mount.id_mapping.is_some() {
        return Err(Error::new("recursive attributes and id mapping need mount_setattr: Linux 5.12"));
    }
    let copied;
    match &mount.source {
        Source::FileSystem { kind, name, parameters, old_flags, .. } => {
            // Any directory stands for the source here: the target of a file system is one.
            let target = open_target(root, mount, &open(c"/")?)?;
            copied = mount.copy_up.then(|| resolve::reopen(&target, OFlags::RDONLY | OFlags::DIRECTORY));
            let flags =
                MountFlags::from_bits_retain(old_flags | flags(mount.attributes) | super_flags(parameters));
            let (parameters, _open) = match kind.as_str() {
                "overlay" => overlay::for_old_mount(parameters)?,
                _ => (parameters.clone(), Vec::new()),
            };
            let data = data(&parameters)?;
            rustix::mount::mount(name.as_str(), path_of(&target), kind.as_str(), flags, &*data)
                .map_err(|errno| Error::os(format_args!("mount {kind}"), errno))?;
        }
        Source::Bind { .. } if mount.subpath.is_some() => {
            return Err(Error::os("bind a part of it", Errno::NOSYS));
        }
        Source::Bind { path, recursive } => {
            let source = openat(CWD, path.as_str(), OFlags::PATH | OFlags::CLOEXEC, Mode::empty())
                .step(|| format!("open {path}"))?;
            let target = open_target(root, mount, &source)?;
            copied = None;
            let (from, to) = (path_of(&source), path_of(&target));
            match recursive {
                true => mount_bind_recursive(from, to),
                false => mount_bind(from, to),
            }
            .step(|| "bind")?;
        }
        Source::Remount { .. } => return Err(Error::os("remount", Errno::INVAL)),
    }
    // The same path now ends in what has just been mounted there.
    let mounted = resolve::open(root, &mount.destination, OFlags::PATH).step(|| "open the new mount")?;
    if let Some(covered) = copied {
        let covered = covered.step(|| "open what is covered")?;
        copy_tree(&covered, &mounted).map_err(|error| error.within("copy up"))?;
    }
    if matches!(mount.source, Source::Bind { .. }) && !mount.attributes.is_empty() {
        set_attributes(&mounted, mount.attributes).step(|| "set the attributes")?;
    }
    if let Some(propagation) = mount.propagation {
        set_propagation(&mounted, propagation).step(|| format!("make it {propagation}"))?;
    }
    Ok(mounted)
}

fn open(path: &core::ffi::CStr) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step(|| "open /")
}

fn flags(attributes: Attributes) -> u32 {
    let known = FLAGS.iter().filter(|(attribute, _)| attributes.set & u64::from(*attribute) != 0);
    known.fold(0, |flags, (_, flag)| flags | flag)
}

/// The words for a file system that mount(2) takes as flags.
fn super_flags(parameters: &[String]) -> u32 {
    let flag = |word: &String| match word.as_str() {
        "sync" => MountFlags::SYNCHRONOUS.bits(),
        "dirsync" => MountFlags::DIRSYNC.bits(),
        "mand" => MountFlags::PERMIT_MANDATORY_FILE_LOCKING.bits(),
        "lazytime" => MountFlags::LAZYTIME.bits(),
        "ro" => MS_RDONLY,
        _ => 0,
    };
    parameters.iter().fold(0, |flags, word| flags | flag(word))
}

/// The other words, joined as the file system wants them.
fn data(parameters: &[String]) -> Result<CString> {
    const FLAGS: &[&str] =
        &["sync", "async", "dirsync", "mand", "nomand", "lazytime", "nolazytime", "ro", "rw"];
    let mut data = String::new();
    for word in parameters.iter().filter(|word| !FLAGS.contains(&word.as_str())) {
        if !data.is_empty() {
            data.push(',');
        }
        match word.split_once('=') {
            // The categories of an SELinux context are separated by commas too; fsconfig(2) takes it as it is.
            Some(("context", label)) => data.push_str(&format!("context=\"{label}\"")),
            _ => data.push_str(word),
        }
    }
    CString::new(data).map_err(|_| Error::new("a mount option holds a NUL byte"))
}

/// Sets attributes of an attached mount. The old call replaces all of them, so those that stay are asked for
/// first; in a user namespace the kernel would refuse to lose one that is locked.
pub fn set_attributes(mounted: impl AsFd, attributes: Attributes) -> rustix::io::Result<()> {
    if attributes.set & !FLAGS.iter().fold(0, |all, (attribute, _)| all | u64::from(*attribute)) != 0 {
        return Err(Errno::NOSYS);
    }
    let has = fstatvfs(&mounted)?.f_flag;
    let kept = [
        (StatVfsMountFlags::RDONLY, MOUNT_ATTR_RDONLY, MS_RDONLY),
        (StatVfsMountFlags::NOSUID, MOUNT_ATTR_NOSUID, MS_NOSUID),
        (StatVfsMountFlags::NODEV, MOUNT_ATTR_NODEV, MS_NODEV),
        (StatVfsMountFlags::NOEXEC, MOUNT_ATTR_NOEXEC, MS_NOEXEC),
        (StatVfsMountFlags::NODIRATIME, MOUNT_ATTR_NODIRATIME, MS_NODIRATIME),
        (StatVfsMountFlags::NOATIME, MOUNT_ATTR__ATIME, MS_NOATIME),
        (StatVfsMountFlags::RELATIME, MOUNT_ATTR__ATIME, MS_RELATIME),
    ]
    .iter()
    .filter(|(flag, attribute, _)| has.contains(*flag) && attributes.clear & u64::from(*attribute) == 0)
    .fold(0, |all, (_, _, flag)| all | flag);
    let flags = MountFlags::from_bits_retain(MountFlags::BIND.bits() | kept | flags(attributes));
    mount_remount(path_of(&mounted), flags, c"")
}

/// Sets the propagation of an attached mount.
pub fn set_propagation(mounted: impl AsFd, propagation: Propagation) -> rustix::io::Result<()> {
    let recursive =
        if propagation.recursive { MountPropagationFlags::REC } else { MountPropagationFlags::empty() };
    mount_change(path_of(mounted), MountPropagationFlags::from_bits_retain(propagation.kind) | recursive)
}

/// Changes a file system's own options (mount(2), MS_REMOUNT).
pub fn reconfigure(mounted: &OwnedFd, mount: &Mount, parameters: &[String]) -> Result<()> {
    let flags = MountFlags::from_bits_retain(flags(mount.attributes) | super_flags(parameters));
    mount_remount(path_of(mounted), flags, &*data(parameters)?).step(|| "reconfigure")
}
