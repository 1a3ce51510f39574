//! Writing a tree of files: copies that share their data with the original where the file system can, and
//! the removal of what a killed build has left.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
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
    rustix::fs::openat(parent, path, flags, Mode::RUSR | Mode::WUSR)
}

/// Makes the directory `path` below `parent` with exactly `mode`, whatever the umask; one that exists is left.
#[inline(never)]
pub fn make_directory(parent: BorrowedFd<'_>, path: &str, mode: u32) -> Result<()> {
    match rustix::fs::mkdirat(parent, path, Mode::RWXU) {
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
        rustix::fs::symlinkat(target, &self.root, path)
    }

    /// Gives the file `path` of the tree another name.
    pub fn same(&mut self, path: &str, name: &str) -> Result<()> {
        self.above(name)?;
        rustix::fs::linkat(&self.root, path, &self.root, name, AtFlags::empty())
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
pub fn remove_tree(parent: BorrowedFd<'_>, name: &str) -> Result<()> {
    let directory = match open_at(parent, name, DIRECTORY) {
        Err(Errno::NOENT) => return Ok(()),
        opened => opened?,
    };
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_str().map_err(|_| Errno::ILSEQ)?;
        if entry.file_type() != FileType::Directory {
            remove(directory.as_fd(), name, AtFlags::empty())?;
        } else if name != "." && name != ".." {
            remove_tree(directory.as_fd(), name)?;
        }
    }
    remove(parent, name, AtFlags::REMOVEDIR)
}

#[inline(never)]
fn remove(parent: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<()> {
    rustix::fs::unlinkat(parent, name, flags)
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
        let source = open_at(rustix::fs::CWD, "/proc/kallsyms", OFlags::RDONLY).unwrap();
        Tree::new(root).copy(source.as_fd(), "a/b", 0o4711).unwrap();
        let copy = std::fs::read(format!("{}/a/b", scratch.path())).unwrap();
        assert!(copy.len() > 64 << 10 && copy == std::fs::read("/proc/kallsyms").unwrap());
    }

    #[test]
    fn a_tree_is_removed_without_following_its_links() {
        let scratch = Scratch::new("remove");
        scratch.write("kept/file", "");
        scratch.write("tree/a/b/c", "");
        scratch.link("tree/a/out", "../../kept");
        let parent = open_at(rustix::fs::CWD, scratch.path(), DIRECTORY).unwrap();
        remove_tree(parent.as_fd(), "tree").unwrap();
        remove_tree(parent.as_fd(), "tree").unwrap();
        let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert!(std::fs::exists(format!("{}/kept/file", scratch.path())).unwrap());
    }
}
