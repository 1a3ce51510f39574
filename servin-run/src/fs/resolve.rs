//! Paths inside a root that belongs to somebody else: an image, a container, whatever runs in it.
//!
//! Nothing here ever leaves the root: absolute links start at the root again and `..` stops at it. openat2(2)
//! does this in the kernel (Linux 5.6); where it is missing, and where something is to be created on the way,
//! a walk takes one component at a time, never following a link in the kernel and climbing only over
//! directories that it has come through (CVE-2021-30465, CVE-2024-45310).

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::path::{mkdirat, openat, readlinkat, statat};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{self, Errno};

/// As many links as the kernel follows before it says ELOOP (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// What may be missing at the end of a path, and is then made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Create {
    /// A directory, and those above it, with mode 0755.
    Directory,
    /// An empty file of mode 0644 in directories of mode 0755, to mount a file or device on.
    File,
}

/// Opens `path` inside `root` with `flags` (`O_CLOEXEC` is added). Links are followed, within the root.
pub fn open(root: impl AsFd, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    open_with(root.as_fd(), path, flags, ResolveFlags::IN_ROOT)
}

/// As [`open`], but a link anywhere on the way is an error (ELOOP): for the paths where an image has no
/// business with links (/proc, /sys, /dev).
pub fn open_without_links(root: impl AsFd, path: &str, flags: OFlags) -> io::Result<OwnedFd> {
    open_with(root.as_fd(), path, flags, ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS)
}

/// Opens `path` inside `root` as `O_PATH`, making what is missing.
pub fn open_or_create(root: impl AsFd, path: &str, create: Create) -> io::Result<OwnedFd> {
    match open(&root, path, OFlags::PATH) {
        Err(Errno::NOENT) => Walk::new(root.as_fd(), true, Some(create)).run(path),
        other => other,
    }
}

/// As [`open_or_create`], but a link anywhere on the way is an error (ELOOP).
pub fn open_or_create_without_links(root: impl AsFd, path: &str, create: Create) -> io::Result<OwnedFd> {
    match open_without_links(&root, path, OFlags::PATH) {
        Err(Errno::NOENT) => Walk::new(root.as_fd(), false, Some(create)).run(path),
        other => other,
    }
}

fn open_with(root: BorrowedFd<'_>, path: &str, flags: OFlags, how: ResolveFlags) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    // The kernel answers EAGAIN when a rename somewhere made it unsure about a "..": ask again, it is rare.
    for _ in 0..16 {
        match openat2(root, path, flags, Mode::empty(), how | ResolveFlags::NO_MAGICLINKS) {
            Err(Errno::AGAIN) => {}
            Err(Errno::NOSYS) => return walk_and_open(root, path, flags, how),
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

fn walk_and_open(root: BorrowedFd<'_>, path: &str, flags: OFlags, how: ResolveFlags) -> io::Result<OwnedFd> {
    let follow = !how.contains(ResolveFlags::NO_SYMLINKS);
    let found = Walk::new(root, follow, None).run(path)?;
    if flags.contains(OFlags::PATH) {
        return Ok(found);
    }
    reopen(&found, flags)
}

/// Turns an `O_PATH` descriptor into one that reads or writes the same file.
pub fn reopen(found: &OwnedFd, flags: OFlags) -> io::Result<OwnedFd> {
    match FileType::from_raw_mode(rustix::fs::fstat(found)?.st_mode) {
        FileType::Directory => openat(found, c".", flags | OFlags::CLOEXEC, Mode::empty()),
        _ => openat(
            rustix::fs::CWD,
            super::descriptors::path_of(found),
            flags | OFlags::CLOEXEC,
            Mode::empty(),
        ),
    }
}

/// A walk through a root, one component at a time.
struct Walk<'root> {
    root: BorrowedFd<'root>,
    follow: bool,
    create: Option<Create>,
    /// The directories come through, from below the root to the current one.
    above: Vec<OwnedFd>,
    /// The components still to go, the next one last.
    ahead: Vec<String>,
    links: usize,
}

impl<'root> Walk<'root> {
    fn new(root: BorrowedFd<'root>, follow: bool, create: Option<Create>) -> Self {
        Walk { root, follow, create, above: Vec::new(), ahead: Vec::new(), links: 0 }
    }

    fn run(mut self, path: &str) -> io::Result<OwnedFd> {
        self.push(path);
        while let Some(name) = self.ahead.pop() {
            match name.as_str() {
                // `..` of the root is the root.
                ".." => drop(self.above.pop()),
                name => self.enter(name)?,
            }
        }
        match self.above.pop() {
            Some(found) => Ok(found),
            None => openat(self.root, c".", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()),
        }
    }

    /// Puts the components of `path` before those still to go.
    fn push(&mut self, path: &str) {
        let components = path.split('/').filter(|c| !c.is_empty() && *c != ".");
        self.ahead.extend(components.rev().map(ToOwned::to_owned));
    }

    fn here(&self) -> BorrowedFd<'_> {
        self.above.last().map_or(self.root, AsFd::as_fd)
    }

    fn enter(&mut self, name: &str) -> io::Result<()> {
        let found = match self.component(name) {
            Err(Errno::NOENT) => self.make(name)?,
            other => other?,
        };
        if !is_link(&found)? {
            self.above.push(found);
            return Ok(());
        }
        self.links += 1;
        if !self.follow || self.links > MOST_LINKS {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(&found, c"", Vec::new())?;
        let target = target.to_str().map_err(|_| Errno::ILSEQ)?;
        if target.starts_with('/') {
            self.above.clear();
        }
        self.push(target);
        Ok(())
    }

    fn component(&self, name: &str) -> io::Result<OwnedFd> {
        openat(self.here(), name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
    }

    /// Makes the missing `name` here and opens it. Whoever puts something else there meanwhile gains nothing:
    /// it is opened without following, like everything on the way.
    fn make(&self, name: &str) -> io::Result<OwnedFd> {
        let create = self.create.ok_or(Errno::NOENT)?;
        let made = if create == Create::Directory || !self.ahead.is_empty() {
            mkdirat(self.here(), name, Mode::from_raw_mode(0o755))
        } else {
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
            openat(self.here(), name, flags, Mode::from_raw_mode(0o644)).map(drop)
        };
        match made {
            Ok(()) | Err(Errno::EXIST) => self.component(name),
            Err(errno) => Err(errno),
        }
    }
}

fn is_link(found: &OwnedFd) -> io::Result<bool> {
    let stat = statat(found, c"", AtFlags::EMPTY_PATH)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, fstat};
    use std::os::unix::fs::{MetadataExt, symlink};
    use std::path::PathBuf;

    /// A directory that is removed with the value.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("servin-resolve-{}-{name}", std::process::id()));
            std::fs::create_dir_all(path.join("root/a/b")).expect("a scratch directory");
            std::fs::create_dir_all(path.join("outside")).expect("a scratch directory");
            Scratch(path)
        }

        fn root(&self) -> OwnedFd {
            openat(CWD, self.0.join("root").to_str().expect("UTF-8"), OFlags::PATH, Mode::empty())
                .expect("open the root")
        }

        fn inode(&self, path: &str) -> u64 {
            std::fs::symlink_metadata(self.0.join(path)).expect("stat").ino()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).expect("remove the scratch directory");
        }
    }

    /// Both ways to resolve: the kernel's and the walk.
    fn both(scratch: &Scratch, path: &str) -> [io::Result<u64>; 2] {
        let root = scratch.root();
        [open(&root, path, OFlags::PATH), Walk::new(root.as_fd(), true, None).run(path)]
            .map(|found| found.map(|fd| fstat(fd).expect("fstat").st_ino))
    }

    #[test]
    fn links_and_parents_stay_inside_the_root() {
        let scratch = Scratch::new("inside");
        let root = scratch.0.join("root");
        symlink("/a", root.join("absolute")).expect("symlink");
        symlink("../../../outside", root.join("a/out")).expect("symlink");
        symlink("loop", root.join("loop")).expect("symlink");
        std::fs::create_dir(root.join("outside")).expect("mkdir");
        for (path, expected) in [
            ("/a/b", "root/a/b"),
            ("absolute/b", "root/a/b"),
            ("a/b/../../../../a", "root/a"),
            ("a/out", "root/outside"),
            ("/", "root"),
            ("..", "root"),
        ] {
            assert_eq!(
                both(&scratch, path),
                [Ok(scratch.inode(expected)), Ok(scratch.inode(expected))],
                "{path}"
            );
        }
        assert_eq!(both(&scratch, "loop"), [Err(Errno::LOOP), Err(Errno::LOOP)]);
        assert_eq!(both(&scratch, "a/missing"), [Err(Errno::NOENT), Err(Errno::NOENT)]);
    }

    #[test]
    fn what_is_missing_is_made_inside_the_root_through_dangling_links_too() {
        let scratch = Scratch::new("create");
        let root = scratch.0.join("root");
        symlink("../../../outside/new/file", root.join("a/dangling")).expect("symlink");
        open_or_create(scratch.root(), "/a/dangling", Create::File).expect("create through the link");
        assert!(root.join("outside/new/file").is_file());
        assert!(!scratch.0.join("outside/new").exists(), "the outside was written");
        open_or_create(scratch.root(), "x/y/z", Create::Directory).expect("create directories");
        assert!(root.join("x/y/z").is_dir());
    }

    #[test]
    fn a_link_is_refused_where_links_have_no_business() {
        let scratch = Scratch::new("links");
        symlink("a", scratch.0.join("root/proc")).expect("symlink");
        let root = scratch.root();
        let refused = open_or_create_without_links(&root, "/proc/b", Create::Directory).map(drop);
        assert_eq!(refused, Err(Errno::LOOP));
        assert_eq!(Walk::new(root.as_fd(), false, None).run("proc").map(drop), Err(Errno::LOOP));
        assert!(open_without_links(&root, "/a/b", OFlags::PATH).is_ok());
    }
}
