//! Mounts: each is built detached, attributes and all, and only then attached to a descriptor of its target
//! (Linux 5.2: fsopen, fsmount, open_tree, move_mount; 5.12: mount_setattr). Where the kernel lacks these, the
//! old mount(2) does the same through /proc/self/fd ([`super::old_mount`]).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general::MOUNT_ATTR_IDMAP;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, fstatfs};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_reconfigure, fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, fspick, move_mount,
    open_tree,
};

use super::{old_mount, overlay};
use crate::error::{Error, Result, Step};
use crate::fs::copy::copy_tree;
use crate::fs::resolve::{self, Create};
use crate::plan::mounts::{Attributes, Mount, Propagation, Source};
use crate::sys::mount::{MountAttr, mount_setattr};
use crate::sys::path::openat;

/// `PROC_SUPER_MAGIC` of linux/magic.h.
pub const PROC_MAGIC: u64 = 0x9fa0;

/// Mounts that a kernel may be built without, although every default configuration has them.
const OPTIONAL: &[&str] = &["mqueue", "cgroup2"];

/// What came of a mount.
pub enum Outcome {
    /// It stands; the descriptor is its root.
    Mounted(OwnedFd),
    /// The kernel has no such file system, and the container can do without: a warning.
    Without(String),
}

/// Makes `mount` in `root`. `prepared` is the source's tree where it had to be opened outside the container's
/// user namespace, `user_namespace` the one whose ids an id-mapped mount takes.
pub fn mount(
    root: BorrowedFd<'_>,
    mount: &Mount,
    prepared: Option<OwnedFd>,
    user_namespace: Option<BorrowedFd<'_>>,
) -> Result<Outcome> {
    let already_mapped = prepared.is_some();
    // A file system takes its attributes when it is mounted, a copied tree afterwards.
    let mut own_attributes = match mount.source {
        Source::FileSystem { .. } => Attributes::default(),
        _ => mount.attributes,
    };
    let detached = match (&mount.source, prepared) {
        (_, Some(tree)) => Some(tree),
        (Source::FileSystem { old_flags, .. }, None) if *old_flags != 0 => None,
        (Source::FileSystem { kind, name, parameters, .. }, None) => {
            match new_file_system(kind, name, parameters, mount.attributes) {
                // A cgroup namespace that is not of this user namespace: the host's mount, as runc does it.
                Err(error) if error.errno() == Some(Errno::PERM) && kind == "cgroup2" => {
                    own_attributes = mount.attributes;
                    new_api(clone_path("/sys/fs/cgroup", true))?
                }
                Err(error) if error.errno() == Some(Errno::NODEV) && OPTIONAL.contains(&kind.as_str()) => {
                    return Ok(Outcome::Without(format!(
                        "{mount}: this kernel has no {kind}; going on without"
                    )));
                }
                other => new_api(other)?,
            }
        }
        (Source::Bind { path, recursive }, None) => new_api(clone_path(path, *recursive))?,
        (Source::Remount { parameters }, None) => return remount(root, mount, parameters.as_deref()),
    };
    let Some(detached) = detached else {
        return old_mount::mount(root, mount).map(Outcome::Mounted);
    };
    if let Some(mapping) = mount.id_mapping.as_ref().filter(|_| !already_mapped) {
        map_ids(&detached, mapping.recursive, user_namespace)?;
    }
    let target = open_target(root, mount, &detached)?;
    if mount.copy_up {
        let covered =
            resolve::reopen(&target, OFlags::RDONLY | OFlags::DIRECTORY).step(|| "open what is covered")?;
        copy_tree(&covered, &detached).map_err(|error| error.within("copy up"))?;
    }
    let late = set_detached(&detached, own_attributes, mount.recursive)?;
    attach(&detached, &target).step(|| "attach")?;
    if let Some(attributes) = late {
        old_mount::set_attributes(&detached, attributes).step(|| "set the attributes")?;
    }
    if let Some(propagation) = mount.propagation {
        set_propagation(&detached, propagation).step(|| format!("make it {propagation}"))?;
    }
    Ok(Outcome::Mounted(detached))
}

/// A detached mount is of no use where the kernel, or a filter around us, does not let it be attached. Asked with
/// descriptors that are none, which a call that exists refuses in other words.
fn can_attach() -> rustix::io::Result<()> {
    let none = rustix::fs::ABS;
    match move_mount(none, c"", none, c"", MoveMountFlags::empty()) {
        // Filters of older container engines answer EPERM to calls that they have never heard of.
        Err(Errno::NOSYS | Errno::PERM) => Err(Errno::NOSYS),
        _ => Ok(()),
    }
}

/// `None` where the kernel, or a filter around us, does not have the new calls.
fn new_api(made: Result<OwnedFd>) -> Result<Option<OwnedFd>> {
    match made {
        Err(error) if error.errno() == Some(Errno::NOSYS) => Ok(None),
        other => other.map(Some),
    }
}

/// A file system of its own, not attached anywhere yet (fsopen(2), fsmount(2)).
pub fn new_file_system(
    kind: &str,
    name: &str,
    parameters: &[String],
    attributes: Attributes,
) -> Result<OwnedFd> {
    let context = can_attach()
        .and_then(|()| fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC))
        .step(|| format!("open file system {kind}"))?;
    // The source's name is nothing but a label to most, and what is mounted to the others.
    fsconfig_set_string(&context, "source", name)
        .map_err(|errno| explain(&context, "set the source", errno))?;
    // Of an overlay's layers some are named by descriptors.
    let _open = match kind {
        "overlay" => overlay::configure(&context, parameters)?,
        _ => set_parameters(&context, parameters).map(|()| Vec::new())?,
    };
    fsconfig_create(&context).map_err(|errno| explain(&context, "create the file system", errno))?;
    let flags = MountAttrFlags::from_bits_retain(attributes.set as u32);
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, flags)
        .map_err(|errno| explain(&context, "mount the file system", errno))
}

fn set_parameters(context: &OwnedFd, parameters: &[String]) -> Result<()> {
    for parameter in parameters {
        match parameter.split_once('=') {
            Some((key, value)) => fsconfig_set_string(context, key, value),
            None => fsconfig_set_flag(context, parameter.as_str()),
        }
        .map_err(|errno| explain(context, &format!("option {parameter}"), errno))?;
    }
    Ok(())
}

/// The file system's own words for a refusal, which the context keeps for its reader: a letter, a space, a text.
pub(super) fn explain(context: &OwnedFd, step: &str, errno: Errno) -> Error {
    let mut text = [0; 256];
    let error = Error::os(step, errno);
    match rustix::io::read(context, &mut text) {
        Ok(length) if length > 2 => {
            error.hint(String::from(String::from_utf8_lossy(&text[2..length]).trim_end()))
        }
        _ => error,
    }
}

/// A detached copy of the tree at `path` (open_tree(2)).
pub fn clone_path(path: &str, recursive: bool) -> Result<OwnedFd> {
    let flags = clone_flags(recursive);
    can_attach().and_then(|()| open_tree(CWD, path, flags)).step(|| format!("open {path}"))
}

/// A detached copy of the mount that `place` is in, from `place` down.
pub fn clone_place(place: impl AsFd, recursive: bool) -> rustix::io::Result<OwnedFd> {
    can_attach()?;
    open_tree(place, c"", clone_flags(recursive) | OpenTreeFlags::AT_EMPTY_PATH)
}

fn clone_flags(recursive: bool) -> OpenTreeFlags {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    if recursive { flags | OpenTreeFlags::AT_RECURSIVE } else { flags }
}

/// Attaches a detached mount on top of `target`, which is a descriptor: nobody can swap it (CVE-2021-30465).
pub fn attach(detached: &OwnedFd, target: impl AsFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(detached, c"", target, c"", flags)
}

/// Gives a detached tree the ids of `user_namespace`.
pub fn map_ids(tree: &OwnedFd, recursive: bool, user_namespace: Option<BorrowedFd<'_>>) -> Result<()> {
    let change = MountAttr { set: u64::from(MOUNT_ATTR_IDMAP), user_namespace, ..MountAttr::default() };
    mount_setattr(tree, recursive, &change).map_err(|errno| {
        Error::os("map the ids of the mount", errno).hint(match errno {
            Errno::NOSYS => "id-mapped mounts need Linux 5.12",
            _ => "the file system must support id-mapped mounts (FS_ALLOW_IDMAP)",
        })
    })
}

/// Sets attributes while the tree is detached. What the kernel cannot do (before 5.12) and the old call can,
/// once the mount is attached, is returned.
fn set_detached(tree: &OwnedFd, own: Attributes, recursive: Attributes) -> Result<Option<Attributes>> {
    if !recursive.is_empty() {
        change(tree, true, recursive).map_err(|errno| {
            let error = Error::os("set attributes of the whole tree", errno);
            if errno == Errno::NOSYS {
                error.hint("recursive options such as rro need mount_setattr: Linux 5.12")
            } else {
                error
            }
        })?;
    }
    if own.is_empty() {
        return Ok(None);
    }
    match change(tree, false, own) {
        Err(Errno::NOSYS) => Ok(Some(own)),
        other => other.step(|| "set the attributes").map(|()| None),
    }
}

/// Changes attributes with the new call alone.
pub fn change(tree: impl AsFd, recursive: bool, attributes: Attributes) -> rustix::io::Result<()> {
    let change = MountAttr { set: attributes.set, clear: attributes.clear, ..MountAttr::default() };
    match mount_setattr(tree, recursive, &change) {
        // As above; where the kernel itself meant it, the older call is refused too.
        Err(Errno::PERM) if can_attach().is_err() => Err(Errno::NOSYS),
        other => other,
    }
}

/// Sets attributes of an attached mount.
pub fn set_attributes(mounted: impl AsFd, attributes: Attributes) -> rustix::io::Result<()> {
    match change(&mounted, false, attributes) {
        Err(Errno::NOSYS) => old_mount::set_attributes(mounted, attributes),
        other => other,
    }
}

/// Sets the propagation of an attached mount.
pub fn set_propagation(mounted: impl AsFd, propagation: Propagation) -> rustix::io::Result<()> {
    let change = MountAttr { propagation: u64::from(propagation.kind), ..MountAttr::default() };
    match mount_setattr(&mounted, propagation.recursive, &change) {
        Err(Errno::NOSYS | Errno::PERM) => old_mount::set_propagation(mounted, propagation),
        other => other,
    }
}

fn remount(root: BorrowedFd<'_>, mount: &Mount, parameters: Option<&[String]>) -> Result<Outcome> {
    let step = || format!("open {}", mount.destination);
    let mounted = resolve::open(root, &mount.destination, OFlags::PATH).step(step)?;
    if let Some(parameters) = parameters.filter(|p| !p.is_empty()) {
        match fspick(
            &mounted,
            c"",
            rustix::mount::FsPickFlags::FSPICK_EMPTY_PATH | rustix::mount::FsPickFlags::FSPICK_CLOEXEC,
        ) {
            Err(Errno::NOSYS) => old_mount::reconfigure(&mounted, mount, parameters)?,
            context => {
                let context = context.step(|| "open the file system")?;
                set_parameters(&context, parameters)?;
                fsconfig_reconfigure(&context).map_err(|errno| explain(&context, "reconfigure", errno))?;
            }
        }
    }
    if !mount.attributes.is_empty() {
        set_attributes(&mounted, mount.attributes).step(|| "set the attributes")?;
    }
    set_detached(&mounted, Attributes::default(), mount.recursive)?;
    if let Some(propagation) = mount.propagation {
        set_propagation(&mounted, propagation).step(|| format!("make it {propagation}"))?;
    }
    Ok(Outcome::Mounted(mounted))
}

/// Opens the place inside the root, making it where it is missing: a file for a bound file, else a directory.
pub fn open_target(root: BorrowedFd<'_>, mount: &Mount, source: &OwnedFd) -> Result<OwnedFd> {
    let is_directory = is_directory(source).step(|| "look at the source")?;
    let destination = mount.destination.as_str();
    let create = if is_directory { Create::Directory } else { Create::File };
    // An image has no business with links at these places (CVE-2019-19921, CVE-2023-27561, CVE-2023-28642).
    let opened = match destination {
        "/" => openat(root, c".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        "/proc" | "/sys" | "/dev" => resolve::open_or_create_without_links(root, destination, create),
        _ => resolve::open_or_create(root, destination, create),
    };
    let target = opened.map_err(|errno| {
        let error = Error::os(format_args!("open the target {destination}"), errno);
        match errno {
            Errno::LOOP => error.hint("the root file system has a symbolic link there"),
            Errno::ROFS => error.hint("it does not exist, and the root file system is read-only"),
            _ => error,
        }
    })?;
    if is_directory && !self::is_directory(&target).step(|| "look at the target")? {
        return Err(Error::os(format_args!("open the target {destination}"), Errno::NOTDIR));
    }
    check_proc(mount, &target, source)?;
    Ok(target)
}

/// Whatever links led to it: the target must not lie in a proc file system, but for the files that the plan lets
/// through by name, and what is bound on /proc must be one (CVE-2019-16884, CVE-2025-52881).
fn check_proc(mount: &Mount, target: &OwnedFd, source: &OwnedFd) -> Result<()> {
    let destination = mount.destination.as_str();
    if destination == "/proc" {
        return match mount.source {
            Source::Bind { .. } if !is_proc(source)? => {
                Err(Error::new("only a proc file system may be mounted on /proc"))
            }
            _ => Ok(()),
        };
    }
    if is_proc(target)? && !destination.starts_with("/proc/") {
        return Err(Error::new(format_args!("the target {destination} leads into /proc")));
    }
    Ok(())
}

fn is_proc(place: &OwnedFd) -> Result<bool> {
    Ok(fstatfs(place).step(|| "ask for the file system")?.f_type as u64 == PROC_MAGIC)
}

fn is_directory(place: &OwnedFd) -> rustix::io::Result<bool> {
    Ok(FileType::from_raw_mode(fstat(place)?.st_mode) == FileType::Directory)
}
