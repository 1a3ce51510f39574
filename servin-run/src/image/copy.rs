//! Writing a tree of files: copies that share their data with the original where the file system can, and
//! the removal of what a killed build has left.

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags};
use rustix::io::{Errno, Result};

use crate::fs::copy::{copy_data, write_all};

/// How a directory is opened, links to one refused.
pub const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// How a new file is opened.
const CREATE: OFlags = OFlags::RDWR.union(OFlags::CREATE).union(OFlags::EXCL).union(OFlags::CLOEXEC);

/// Opens `path` below `parent`; a new file is its owner's alone until it has its mode.
#[inline(never)]
pub fn open_at(parent: BorrowedFd<'_>, path: &str, flags: OFlags) -> Result<OwnedFd> {
    crate::sys::path::openat(parent, path, flags, Mode::RUSR | Mode::WUSR)
}

/// Makes the directory `path` below `parent` with exactly `mode`, whatever the umask; one that exists is left.
#[inline(never)]
pub fn make_directory(parent: BorrowedFd<'_>, path: &str, mode: u32) -> Result<()> {
    match crate::sys::path::mkdirat(parent, path, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
        Ok(()) if mode == 0o700 => Ok(()),
        Ok(()) => rustix::fs::fchmod(open_at(parent, path, DIRECTORY)?, Mode::from_raw_mode(mode)),
    }
}

/// A directory that a tree is written into. Paths are relative and have no symbolic link among their
/// directories. All that is made belongs to the user who makes it: root, or in a user namespace whoever
/// becomes root.
pub struct Tree {
    root: OwnedFd,
    /// Directories known to exist.
    made: Vec<String>,
}

impl Tree {
    /// Writes into `root`.
    pub fn new(root: OwnedFd) -> Tree {
        Tree { root, made: Vec::new() }
    }

    /// Makes the directory `path` and those above it; `mode` is for the last one alone.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<()> {
        if path.is_empty() || self.made.iter().any(|made| made == path) {
            return Ok(());
        }
        self.above(path)?;
        make_directory(self.root.as_fd(), path, mode)?;
        self.made.push(path.to_string());
        Ok(())
    }

    #[inline(never)]
    fn above(&mut self, path: &str) -> Result<()> {
        let end = path.bytes().rposition(|byte| byte == b'/').unwrap_or(0);
        self.directory(&path[..end], 0o755)
    }

    /// Makes the symbolic link `path` to `target`.
    pub fn link(&mut self, path: &str, target: &str) -> Result<()> {
        self.above(path)?;
        crate::sys::path::symlinkat(target, &self.root, path)
    }

    /// Gives the file `path` of the tree another name.
    pub fn same(&mut self, path: &str, name: &str) -> Result<()> {
        self.above(name)?;
        crate::sys::path::linkat(&self.root, path, &self.root, name, AtFlags::empty())
    }

    /// Writes a new file `path` of a few lines.
    pub fn text(&mut self, path: &str, text: &str) -> Result<()> {
        let file = self.create(path, 0o644)?;
        write_all(file.as_fd(), text.as_bytes())
    }

    /// Copies `source` to the new file `path`. The mode loses its set-user-ID and set-group-ID bits: nothing
    /// in a container of the host's own programs is to gain what its user has not got.
    pub fn copy(&mut self, source: BorrowedFd<'_>, path: &str, mode: u32) -> Result<()> {
        let file = self.create(path, mode & 0o777)?;
        copy_data(source, file.as_fd())
    }

    fn create(&mut self, path: &str, mode: u32) -> Result<OwnedFd> {
        self.above(path)?;
        let file = open_at(self.root.as_fd(), path, CREATE)?;
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok(file)
    }
}

/// Removes the directory `name` below `parent` with all that is in it, following no link and crossing into
/// no mount (which ends it with EBUSY). It is no error that there is nothing.
///
/// However deep a container has nested its directories: what is two levels down is moved up one, so that two
/// descriptors are enough.
pub fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> Result<()> {
    remove_named(parent, &CString::new(name).map_err(|_| Errno::INVAL)?)
}

/// Removes whatever has the name `name` in `parent`, with all that is in it.
pub fn remove_any(parent: BorrowedFd<'_>, name: &[u8]) -> Result<()> {
    let name = &CString::new(name).map_err(|_| Errno::INVAL)?;
    match remove(parent, name, AtFlags::empty()) {
        Err(Errno::ISDIR) => remove_named(parent, name),
        removed => removed,
    }
}

fn remove_named(parent: BorrowedFd<'_>, name: &CStr) -> Result<()> {
    if remove_directory(parent, name)? {
        return Ok(());
    }
    let top = open_own(parent, name)?;
    let mut moved = 0u32;
    loop {
        let before = moved;
        for entry in Dir::read_from(&top)? {
            let entry = entry?;
            let Some(name) = remove_entry(top.as_fd(), &entry)? else { continue };
            let inner = open_own(top.as_fd(), name)?;
            for entry in Dir::read_from(&inner)? {
                let entry = entry?;
                let Some(name) = remove_entry(inner.as_fd(), &entry)? else { continue };
                move_up(&inner, name, &top, &mut moved)?;
            }
            remove(top.as_fd(), name, AtFlags::REMOVEDIR)?;
        }
        // A listing may or may not show what has come while it was read.
        if moved == before {
            return remove(parent, name, AtFlags::REMOVEDIR);
        }
    }
}

/// Whether it is gone; false when there is something in it.
fn remove_directory(parent: BorrowedFd<'_>, name: &CStr) -> Result<bool> {
    match remove(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(true),
        Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Removes what an entry names; the name is returned of a directory that has something in it.
fn remove_entry<'e>(parent: BorrowedFd<'_>, entry: &'e DirEntry) -> Result<Option<&'e CStr>> {
    let name = entry.file_name();
    if name == c"." || name == c".." {
        return Ok(None);
    }
    if entry.file_type() != FileType::Directory {
        return remove(parent, name, AtFlags::empty()).map(|()| None);
    }
    Ok(if remove_directory(parent, name)? { None } else { Some(name) })
}

/// Opens a directory that is going to be removed, whatever its mode.
fn open_own(parent: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd> {
    let open = || crate::sys::path::openat(parent, name, DIRECTORY, Mode::empty());
    match open() {
        Err(Errno::ACCESS) => {
            // Of one of our own; and no link, because it was listed as a directory and rmdir(2) found it to be one.
            crate::sys::path::chmodat(parent, name, Mode::RWXU, AtFlags::empty())?;
            open()
        }
        opened => opened,
    }
}

fn move_up(from: &OwnedFd, name: &CStr, to: &OwnedFd, moved: &mut u32) -> Result<()> {
    loop {
        *moved += 1;
        match crate::sys::path::renameat(from, name, to, alloc::format!(".removed-{moved}").as_str()) {
            // Somebody has used the name.
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => {}
            other => return other,
        }
    }
}

#[inline(never)]
fn remove(parent: BorrowedFd<'_>, name: &CStr, flags: AtFlags) -> Result<()> {
    crate::sys::path::unlinkat(parent, name, flags)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::host::tests::Scratch;

    #[test]
    fn what_the_kernel_does_not_copy_is_read_and_written() {
        // proc has neither shared extents nor copy_file_range, and sizes of 0.
        let scratch = Scratch::new("copy");
        let root = open_at(rustix::fs::CWD, scratch.path(), DIRECTORY).unwrap();
        let mut tree = Tree::new(root);
        let read = || std::fs::read("/proc/kallsyms").unwrap();
        for name in (0..10).map(|number| format!("a/{number}")) {
            let before = read();
            let source = open_at(rustix::fs::CWD, "/proc/kallsyms", OFlags::RDONLY).unwrap();
            tree.copy(source.as_fd(), &name, 0o4711).unwrap();
            let copy = std::fs::read(format!("{}/{name}", scratch.path())).unwrap();
            assert!(copy.len() > 64 << 10);
            // Whoever loads a BPF program somewhere adds its name.
            if read() == before {
                return assert!(copy == before);
            }
        }
        panic!("the kernel's symbols never stay the same");
    }

    #[test]
    fn a_tree_is_removed_without_following_its_links() {
        let scratch = Scratch::new("remove");
        scratch.write("kept/file", "");
        scratch.write("tree/a/b/c", "");
        scratch.link("tree/a/out", "../../kept");
        scratch.write("tree/x/y/z/deep", "");
        scratch.write("tree/.removed-1/file", "");
        scratch.write("tree/.removed-2", "");
        let strange = std::os::unix::ffi::OsStrExt::from_bytes(&b"\xff\n"[..]);
        std::fs::create_dir(
            std::path::Path::new(scratch.path()).join("tree/a").join::<&std::ffi::OsStr>(strange),
        )
        .unwrap();
        let parent = open_at(rustix::fs::CWD, scratch.path(), DIRECTORY).unwrap();
        // Deeper than this process may open files, and than a path may be long.
        let mut deep = open_at(parent.as_fd(), "tree", DIRECTORY).unwrap();
        for _ in 0..5000 {
            make_directory(deep.as_fd(), "down", 0o755).unwrap();
            deep = open_at(deep.as_fd(), "down", DIRECTORY).unwrap();
        }
        remove_tree(parent.as_fd(), "tree").unwrap();
        remove_tree(parent.as_fd(), "tree").unwrap();
        let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(std::fs::exists(format!("{}/kept/file", scratch.path())).unwrap());
    }
}
