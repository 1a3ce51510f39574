//! The host's files as a selection sees them: paths walked one component at a time, so that every symbolic
//! link on the way is known and can be made again in the new tree.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use rustix::fd::{BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, OFlags, Stat};
use rustix::io::Errno;

use crate::image::copy::open_at;
use crate::image::elf::Source;

/// Where the host's file system starts: "" outside of the tests.
pub struct Host {
    prefix: String,
}

/// One thing that the tree is to have, at the path where the host has it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The path, absolute, with no symbolic link among its directories.
    pub path: String,
    /// Size, time and inode of the host's file in words; empty for what the host does not have.
    pub stamp: String,
    /// What it is.
    pub kind: Kind,
}

/// What an [`Entry`] is.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A regular file: its mode, and device and inode, by which hard links are known.
    File(u32, (u64, u64)),
    /// A symbolic link and its target, as on the host.
    Link(String),
}

/// As many as the kernel follows (path_resolution(7)).
const MAX_LINKS: usize = 40;
/// `PATH_MAX`, the most that the kernel keeps.
const MAX_TARGET: usize = 4096;
/// Configuration is read up to this size.
const MAX_TEXT: usize = 64 << 10;

impl Host {
    /// The host whose root directory is `prefix`.
    pub fn new(prefix: &str) -> Host {
        Host { prefix: prefix.to_string() }
    }

    /// Status of `path` itself, no link followed at its end unless `flags` are empty.
    #[inline(never)]
    pub fn status(&self, path: &str, flags: AtFlags) -> Option<Stat> {
        status_at(CWD, &[&self.prefix, path].concat(), flags)
    }

    /// Opens `path`, which a walk has led to.
    pub fn open(&self, path: &str) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        open_at(CWD, &[&self.prefix, path].concat(), flags)
    }

    /// Follows `path` to where it leads. The last entry is that place; those before it are the symbolic links
    /// passed on the way. `None` when it leads nowhere.
    pub fn walk(&self, path: &str) -> Option<Vec<Entry>> {
        let mut entries = Vec::new();
        let mut at = String::new();
        let mut todo = path.to_string();
        while !todo.is_empty() {
            let (name, rest) = cut(&todo, b'/');
            if name == ".." {
                at.truncate(directory(&at).len());
            } else if !name.is_empty() && name != "." {
                let next = [&at, "/", name].concat();
                let status = self.status(&next, AtFlags::SYMLINK_NOFOLLOW)?;
                if FileType::from_raw_mode(status.st_mode) == FileType::Symlink {
                    let target = self.target(&next)?;
                    if target.starts_with('/') {
                        at.clear();
                    }
                    todo = [&target, "/", rest].concat();
                    entries.push(Entry { path: next, stamp: stamp(&status), kind: Kind::Link(target) });
                    if entries.len() > MAX_LINKS {
                        return None;
                    }
                    continue;
                }
                at = next;
            }
            todo = rest.to_string();
        }
        // Below a file there is nothing; that it is one shows here, when lstat has not shown it before.
        let status = self.status(if at.is_empty() { "/" } else { &at }, AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = match FileType::from_raw_mode(status.st_mode) {
            FileType::RegularFile => Kind::File(status.st_mode, (status.st_dev, status.st_ino)),
            FileType::Directory => Kind::Directory,
            _ => return None,
        };
        entries.push(Entry { path: at, stamp: stamp(&status), kind });
        Some(entries)
    }

    fn target(&self, path: &str) -> Option<String> {
        let mut buffer = [0; MAX_TARGET];
        let path = [&self.prefix, path].concat();
        let length = rustix::fs::readlinkat_raw(CWD, path, &mut buffer).ok()?;
        core::str::from_utf8(&buffer[..length]).ok().map(ToString::to_string)
    }

    /// The text of a small configuration file, or nothing.
    #[inline(never)]
    pub fn text(&self, path: &str) -> String {
        let walk = self.walk(path).unwrap_or_default();
        let Some(file) = walk.last().and_then(|entry| self.open(&entry.path).ok()) else {
            return String::new();
        };
        let mut text = vec![0; MAX_TEXT];
        let length = File(file).read_at(0, &mut text);
        text.truncate(length);
        String::from_utf8(text).unwrap_or_default()
    }

    /// The names in a directory, sorted.
    #[inline(never)]
    pub fn names(&self, path: &str) -> Vec<String> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut names: Vec<String> = Vec::new();
        let opened = open_at(CWD, &[&self.prefix, path].concat(), flags).and_then(Dir::new);
        let Ok(mut folder) = opened else { return names };
        while let Some(Ok(entry)) = folder.read() {
            if let Ok(name) = entry.file_name().to_str() {
                // A folder of configuration is small: a sort proper is more code than it is worth.
                let place = names.iter().position(|other| &**other > name).unwrap_or(names.len());
                names.insert(place, name.to_string());
            }
        }
        names
    }
}

/// Status of `path` below `parent`.
#[inline(never)]
pub fn status_at(parent: BorrowedFd<'_>, path: &str, flags: AtFlags) -> Option<Stat> {
    crate::sys::path::statat(parent, path, flags).ok()
}

/// Size, time of change and inode, by which a file is known to be the one that was copied.
#[inline(never)]
pub fn stamp(status: &Stat) -> String {
    format!("{}\t{}.{}\t{}", status.st_size, status.st_mtime, status.st_mtime_nsec, status.st_ino)
}

/// What is before the first `separator` and what is behind it.
#[inline(never)]
pub fn cut(text: &str, separator: u8) -> (&str, &str) {
    match text.bytes().position(|byte| byte == separator) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, ""),
    }
}

/// The directory of an absolute path, "" for the root.
pub fn directory(path: &str) -> &str {
    path[..path.len() - base_name(path).len()].strip_suffix('/').unwrap_or("")
}

/// The last name of a path.
#[inline(never)]
pub fn base_name(path: &str) -> &str {
    &path[path.bytes().rposition(|byte| byte == b'/').map_or(0, |slash| slash + 1)..]
}

/// An open file as a [`Source`].
pub struct File(pub OwnedFd);

impl Source for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut length = 0;
        while length < buffer.len() {
            match rustix::io::pread(&self.0, &mut buffer[length..], offset.saturating_add(length as u64)) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(Errno::INTR) => {}
                Err(_) => break,
            }
        }
        length
    }
}
