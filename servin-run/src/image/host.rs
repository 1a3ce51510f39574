//! `--rootfs host`: a root file system made out of the host's own essential programs, the quick start that
//! needs no network and no image.
//!
//! Below `HOME/rootfs`: `host-<fingerprint>` is a tree, complete since it has that name; `host` is the manifest
//! of the newest one, which a later run compares with the host by one lstat(2) a file; `.lock` is held by whoever
//! builds; `.building` is a tree in the making, and left by a killed build it is removed by the next.
//! Trees of former versions of the host's programs stay, since a container may be using one: `servin system
//! prune`, which knows the containers, removes them.

mod files;
mod libraries;
mod selection;
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(crate) mod tests;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, OFlags, RenameFlags};
use rustix::io::{self, Errno};

use self::files::{File, Host, Kind, cut, directory, stamp, status_at};
use self::selection::Selection;
use super::copy::{DIRECTORY, Tree, make_directory, open_at, remove_tree};
use super::elf::Source;
use crate::error::{Error, Result};
use crate::fs::copy::write_all;

/// Changes whenever the same host files make another tree: other generated files, other rules.
const FORMAT: u64 = 1;

const MANIFEST: &str = "host";
const LOCK: &str = ".lock";
const BUILDING: &str = ".building";
/// The last line of a complete manifest: without it a power failure has cut it off.
const END: &str = "end";

/// Empty directories that programs and the runtime expect, with their modes.
const DIRECTORIES: [(&str, u32); 15] = [
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("mnt", 0o755),
    ("opt", 0o755),
    ("proc", 0o755),
    ("root", 0o700),
    ("run", 0o755),
    ("srv", 0o755),
    ("sys", 0o755),
    ("tmp", 0o1777),
    ("usr/local/bin", 0o755),
    ("var/cache", 0o755),
    ("var/log", 0o755),
    ("var/tmp", 0o1777),
];

/// Configuration. passwd and group are not the host's: a container has no use for the names, homes and shells
/// of the people there, and should not be told them. These are the few that Debian, Fedora and Alpine agree
/// on; `tty` is the group that devpts gives its terminals to.
const TEXTS: [(&str, &str); 7] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\n\
         daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin\n\
         bin:x:2:2:bin:/bin:/usr/sbin/nologin\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\ndaemon:x:1:\nbin:x:2:\ntty:x:5:\nnogroup:x:65534:\n"),
    ("etc/hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"),
    ("etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n"),
    // Both for the runtime to write or to mount over.
    ("etc/resolv.conf", ""),
    ("etc/hostname", ""),
    ("etc/shells", "/bin/sh\n"),
];

/// The path of a root file system made of the host's own programs, built below `home` when there is none or
/// when those programs have changed since.
///
/// It is shared by all containers that use it: mount it read-only, or under an overlay.
pub fn host_root(home: &str) -> Result<String> {
    root_of(&Host::new(""), home)
}

fn root_of(host: &Host, home: &str) -> Result<String> {
    let base = [home.trim_end_matches('/'), "/rootfs"].concat();
    let name = match open_base(&base).ok().and_then(|folder| current(host, folder.as_fd())) {
        Some(name) => name,
        None => make_folder(&base).and_then(|folder| build(host, folder.as_fd())).map_err(|error| {
            let error = error.within(["make a root file system of this host in ", &base].concat());
            match error.errno() {
                // The kernel refused: here it is nearly always HOME that is not there, not ours or full.
                Some(_) => error.hint("--home DIR or SERVIN_HOME=DIR keeps Servin's files somewhere else"),
                None => error,
            }
        })?,
    };
    Ok([&base, "/", &name].concat())
}

/// Makes HOME and the folder of trees below it for their owner alone, and for everyone what is missing above
/// them (/var/lib on an initramfs).
fn make_folder(base: &str) -> Result<OwnedFd> {
    make_all(directory(base), 0o700)?;
    make_all(base, 0o700)?;
    open_base(base).map_err(|errno| failed("open ", base, errno))
}

/// The folder may be a link to a larger disk.
#[inline(never)]
fn open_base(base: &str) -> io::Result<OwnedFd> {
    open_at(CWD, base, DIRECTORY.difference(OFlags::NOFOLLOW))
}

pub(super) fn make_all(path: &str, mode: u32) -> Result<()> {
    if path.is_empty() || status_at(CWD, path, AtFlags::empty()).is_some() {
        return Ok(());
    }
    make_all(directory(path), 0o755)?;
    make_directory(CWD, path, mode).map_err(|errno| failed("make directory ", path, errno))
}

#[inline(never)]
fn failed(step: &str, path: &str, errno: Errno) -> Error {
    Error::os([step, path].concat(), errno)
}

/// The name of the tree that the manifest describes, if host and tree are still as it says.
fn current(host: &Host, folder: BorrowedFd<'_>) -> Option<String> {
    let file = open_at(folder, MANIFEST, OFlags::RDONLY | OFlags::CLOEXEC).ok()?;
    let size = rustix::fs::fstat(&file).ok()?.st_size;
    let mut text = vec![0; usize::try_from(size).ok().filter(|size| *size < 1 << 20)?];
    let length = File(file).read_at(0, &mut text);
    is_current(host, folder, core::str::from_utf8(&text[..length]).ok()?)
}

/// The tree's name, if `manifest` is true of it and of the host.
fn is_current(host: &Host, folder: BorrowedFd<'_>, manifest: &str) -> Option<String> {
    let (name, lines) = cut(manifest, b'\n');
    let mut rest = lines.strip_suffix(END)?;
    while !rest.is_empty() {
        let (line, next) = cut(rest, b'\n');
        rest = next;
        let (path, known) = cut(line.get(1..)?, b'\t');
        let copied = line.starts_with('=');
        let status = host.status(path, if copied { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() })?;
        if stamp(&status) != known || copied && size_in(folder, name, path)? != status.st_size {
            return None;
        }
    }
    Some(name.to_string())
}

/// The size of a file of a tree. Data is not flushed before a tree gets its name, which could take seconds;
/// a power failure soon after shows as a wrong size here, and the tree is then built again.
#[inline(never)]
fn size_in(folder: BorrowedFd<'_>, tree: &str, path: &str) -> Option<i64> {
    status_at(folder, &[tree, path].concat(), AtFlags::SYMLINK_NOFOLLOW).map(|status| status.st_size)
}

/// Builds the tree, unless another process has just done so, and says its name.
fn build(host: &Host, folder: BorrowedFd<'_>) -> Result<String> {
    let _lock = lock(folder)?;
    if let Some(name) = current(host, folder) {
        return Ok(name);
    }
    let selection = Selection::new(host)?;
    let (name, manifest) = manifest(&selection);
    // The tree may be there, and only the manifest be older than what else changed on the host, or be missing.
    if is_current(host, folder, &manifest).is_none() {
        write_tree(&selection, folder)?;
        publish(folder, &name).map_err(|errno| failed("rename .building to ", &name, errno))?;
    }
    write_manifest(folder, &manifest).map_err(|errno| failed("write ", MANIFEST, errno))?;
    Ok(name)
}

/// Waits until nobody else builds; the descriptor is the lock.
fn lock(folder: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC;
    let lock = open_at(folder, LOCK, flags).map_err(|errno| failed("open ", LOCK, errno))?;
    match io::retry_on_intr(|| rustix::fs::flock(&lock, FlockOperation::LockExclusive)) {
        Ok(()) => Ok(lock),
        Err(errno) => Err(failed("lock ", LOCK, errno)),
    }
}

/// Removes the trees of former versions of the host's programs but those that `used` says containers are made of.
pub fn prune(home: &str, used: &dyn Fn(&str) -> bool) -> Result<()> {
    let base = [home.trim_end_matches('/'), "/rootfs"].concat();
    let folder = match open_base(&base) {
        Err(Errno::NOENT) => return Ok(()),
        folder => folder.map_err(|errno| failed("open ", &base, errno))?,
    };
    let _lock = lock(folder.as_fd())?;
    let newest = current(&Host::new(""), folder.as_fd());
    let failed = |errno| failed("list ", &base, errno);
    for entry in Dir::read_from(&folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        // One with a ~ was moved out of the way while it was perhaps in use, by its former name.
        let former = name.trim_end_matches('~');
        if former.starts_with("host-") && newest.as_deref() != Some(name) && !used(former) {
            remove_tree(folder.as_fd(), name).map_err(failed)?;
        }
    }
    Ok(())
}

/// Gives the tree its name. A damaged one of that name is moved out of the way, not removed: a container may
/// be using it.
fn publish(folder: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    let mut aside = name.to_string();
    while status_at(folder, &aside, AtFlags::SYMLINK_NOFOLLOW).is_some() {
        aside.push('~');
    }
    match rename(folder, name, &aside) {
        // There was none: it would have been renamed to itself.
        Err(Errno::NOENT) => {}
        moved => moved?,
    }
    rename(folder, BUILDING, name)
}

#[inline(never)]
fn rename(folder: BorrowedFd<'_>, from: &str, to: &str) -> io::Result<()> {
    rustix::fs::renameat_with(folder, from, folder, to, RenameFlags::empty())
}

/// The tree's name, and what it was made from. The name has a fingerprint of all that matters of each file:
/// FNV-1a, since it only has to tell versions apart and nobody gains by a collision in their own directory.
fn manifest(selection: &Selection<'_>) -> (String, String) {
    let mut lines = String::new();
    for entry in &selection.entries {
        if !matches!(entry.kind, Kind::Directory) && !entry.stamp.is_empty() {
            add_line(&mut lines, "=", &entry.path, &entry.stamp);
        }
    }
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ FORMAT;
    for byte in lines.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    }
    for path in &selection.watched {
        if let Some(status) = selection.host.status(path, AtFlags::empty()) {
            add_line(&mut lines, "?", path, &stamp(&status));
        }
    }
    let name = format!("host-{hash:016x}");
    let text = [&name, "\n", &lines, END].concat();
    (name, text)
}

#[inline(never)]
fn add_line(lines: &mut String, kind: &str, path: &str, stamp: &str) {
    for part in [kind, path, "\t", stamp, "\n"] {
        lines.push_str(part);
    }
}

fn write_manifest(folder: BorrowedFd<'_>, manifest: &str) -> io::Result<()> {
    let temporary = ".manifest";
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC;
    let file = open_at(folder, temporary, flags)?;
    write_all(file.as_fd(), manifest.as_bytes())?;
    rename(folder, temporary, MANIFEST)
}

fn write_tree(selection: &Selection<'_>, folder: BorrowedFd<'_>) -> Result<()> {
    let mut tree = make_tree(folder).map_err(|errno| failed("make directory ", BUILDING, errno))?;
    for index in 0..selection.entries.len() {
        let path = &selection.entries[index].path;
        write_entry(&mut tree, selection, index).map_err(|errno| failed("copy ", path, errno))?;
    }
    write_fixed(&mut tree).map_err(|errno| failed("write ", "the configuration in /etc", errno))
}

fn make_tree(folder: BorrowedFd<'_>) -> io::Result<Tree> {
    remove_tree(folder, BUILDING)?;
    // Whoever a container runs as must be able to search its root.
    make_directory(folder, BUILDING, 0o755)?;
    Ok(Tree::new(open_at(folder, BUILDING, DIRECTORY)?))
}

fn write_fixed(tree: &mut Tree) -> io::Result<()> {
    for (path, mode) in DIRECTORIES {
        tree.directory(path, mode)?;
    }
    for (path, text) in TEXTS {
        tree.text(path, text)?;
    }
    tree.link("var/run", "/run")?;
    tree.link("etc/mtab", "/proc/self/mounts")
}

fn write_entry(tree: &mut Tree, selection: &Selection<'_>, index: usize) -> io::Result<()> {
    let entry = &selection.entries[index];
    let path = entry.path.trim_start_matches('/');
    match &entry.kind {
        Kind::Directory => tree.directory(path, 0o755),
        Kind::Link(target) => tree.link(path, target),
        Kind::File(mode, identity) => {
            for other in &selection.entries[..index] {
                if matches!(&other.kind, Kind::File(_, first) if first == identity) {
                    return tree.same(other.path.trim_start_matches('/'), path);
                }
            }
            tree.copy(selection.host.open(&entry.path)?.as_fd(), path, *mode)
        }
    }
}
