//! Tools beside a container's files, for one process that looks into it (`servin exec --with`).
//!
//! An image may hold one static program and nothing else: no shell, no loader, no directory to mount anything on. So the
//! tools are not put among its files, where a program with libraries finds neither its loader nor them; the process has
//! a root of its own, in memory, whose entries are links into the tools' tree, and sees the container's root below
//! [`CONTAINER`]. Its /proc, /sys and /dev are the container's, as are all namespaces but that of mounts, which is a copy
//! of the container's: no other process of the container sees any of these mounts among its own, and nothing of the host
//! is in that copy but the tools, which nobody can write to.
//!
//! Changing the root by chroot(2) alone is enough here: what lies outside it is the container, and that the process is to see.

use alloc::format;

use linux_raw_sys::general::{MOUNT_ATTR_NODEV, MOUNT_ATTR_NOSUID, MOUNT_ATTR_RDONLY, MS_PRIVATE, MS_SLAVE};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{chroot, fchdir};

use super::mount::{attach, clone_path, clone_place, new_file_system};
use super::rootfs::{open_root, set_tree_propagation};
use crate::error::{Error, Result, Step};
use crate::plan::mounts::{Attributes, Propagation, Source};
use crate::sys::clone::{CloneFlags, unshare};
use crate::sys::mount::{MountAttr, mount_setattr};
use crate::sys::path::{mkdirat, openat, symlinkat};

/// Where the tools' tree is; a directory of mere programs is searched there.
pub const TOOLS: &str = "/.tools";
/// Where the container's root is.
pub const CONTAINER: &str = "/container";

/// What is the container's own, in the place where every program looks for it.
const SHARED: [&str; 3] = ["proc", "sys", "dev"];
/// Names and addresses are those of the container's network.
const SHARED_CONFIGURATION: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Takes the tools' tree, attached nowhere: by a process that has joined the container's user namespace, whose rights over
/// mounts it has, and no other namespace of mounts yet, so that paths are the host's.
pub fn open(source: &Source) -> Result<OwnedFd> {
    unshare(CloneFlags::NEWNS).step(|| "make a mount namespace")?;
    let tree = match source {
        Source::Bind { path, recursive } => clone_path(path, *recursive)?,
        Source::FileSystem { kind, name, parameters, .. } => {
            new_file_system(kind, name, parameters, Attributes::default())?
        }
        Source::Remount { .. } => return Err(Error::new("they have no source")),
    };
    let change = MountAttr {
        set: u64::from(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV),
        propagation: u64::from(MS_PRIVATE),
        ..MountAttr::default()
    };
    mount_setattr(&tree, true, &change).map_err(|errno| {
        let error = Error::os("make them read-only", errno);
        if errno == Errno::NOSYS { error.hint("--with needs mount_setattr: Linux 5.12") } else { error }
    })?;
    Ok(tree)
}

/// Makes the root described above that of this process, in a copy of the container's mount namespace.
pub fn enter(tools: &OwnedFd) -> Result<()> {
    unshare(CloneFlags::NEWNS).step(|| "make a mount namespace")?;
    // What is mounted from here on stays here; what the container mounts is seen here too.
    set_tree_propagation(Propagation { kind: MS_SLAVE, recursive: true })?;
    let root = open_root("/")?;
    let container = clone_place(&root, true).step(|| "copy the container's mounts")?;
    let attributes = Attributes { set: u64::from(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV), clear: 0 };
    let place = new_file_system("tmpfs", "tools", &["mode=755".into(), "size=64m".into()], attributes)?;
    // On top of the container's root, whose files are neither needed for that nor covered for anybody else.
    attach(&place, &root).step(|| "attach")?;
    for (path, tree) in [(TOOLS, tools), (CONTAINER, &container)] {
        let name = path.trim_start_matches('/');
        let step = || format!("attach {path}");
        mkdirat(&place, name, Mode::from_raw_mode(0o755)).step(step)?;
        attach(tree, openat(&place, name, DIRECTORY, Mode::empty()).step(step)?).step(step)?;
    }
    fill(&place).step(|| "link to what is in them")?;
    fchdir(&place).step(|| "enter the new root")?;
    chroot(c".").step(|| "change the root")
}

fn fill(place: &OwnedFd) -> rustix::io::Result<()> {
    mkdirat(place, c"tmp", Mode::from_raw_mode(0o1777))?;
    for name in SHARED {
        symlinkat(format!("container/{name}"), place, name)?;
    }
    mkdirat(place, c"etc", Mode::from_raw_mode(0o755))?;
    for name in SHARED_CONFIGURATION {
        symlinkat(format!("../container/etc/{name}"), place, format!("etc/{name}"))?;
    }
    link_all(place, ".tools", "", "")?;
    match link_all(place, ".tools/etc", "etc/", "../") {
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(()),
        other => other,
    }
}

/// Links of the same names to all that is in `from`, unless something is there.
fn link_all(place: &OwnedFd, from: &str, to: &str, up: &str) -> rustix::io::Result<()> {
    for entry in Dir::read_from(openat(place.as_fd(), from, DIRECTORY, Mode::empty())?)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy();
        if name == "." || name == ".." {
            continue;
        }
        match symlinkat(format!("{up}{from}/{name}"), place, format!("{to}{name}")) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
