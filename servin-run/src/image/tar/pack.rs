//! A tree of files as an archive: for `export` all that is there, for `commit` the changes that an overlay has kept.

use alloc::vec;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fgetxattr, flistxattr, major, minor};
use rustix::io::{self, Errno};

use super::super::unpack::{Whiteouts, is_whiteout, look};
use super::{Entry, Kind, Time, padding, shown, write};
use crate::error::{Error, Result};
use crate::fs::copy::write_all;
use crate::order;
use crate::sys::path::{openat, readlinkat, statat};

/// An archive of a tree in the making.
struct Packer<'a> {
    root: BorrowedFd<'a>,
    to: BorrowedFd<'a>,
    whiteouts: Whiteouts,
    /// Files with several names, and the first of them.
    linked: Vec<(u64, u64, Vec<u8>)>,
    buffer: Vec<u8>,
}

/// Writes all that is below `root` as an archive to `to`. Removals that an overlay has marked become those of a
/// layer; where `whiteouts` is none, there are no such marks.
pub fn pack(root: &OwnedFd, to: BorrowedFd<'_>, whiteouts: Whiteouts) -> Result<()> {
    Packer::new(root, to, whiteouts).tree(Vec::new())
}

/// Writes the file or the directory `name` of `root` as an archive to `to`.
pub fn pack_one(root: &OwnedFd, name: &[u8], is_directory: bool, to: BorrowedFd<'_>) -> Result<()> {
    let mut packer = Packer::new(root, to, Whiteouts::None);
    if is_directory {
        return packer.tree(name.to_vec());
    }
    let stat = step(statat(root, name, AtFlags::SYMLINK_NOFOLLOW), "look at the file")?;
    packer.file(root, name, name.to_vec(), &stat)?;
    packer.bytes(&write::END)
}

fn step<T>(result: io::Result<T>, what: &'static str) -> Result<T> {
    result.map_err(|errno| Error::os(what, errno))
}

impl<'a> Packer<'a> {
    fn new(root: &'a OwnedFd, to: BorrowedFd<'a>, whiteouts: Whiteouts) -> Packer<'a> {
        let buffer = vec![0; super::super::stream::BUFFER];
        Packer { root: root.as_fd(), to, whiteouts, linked: Vec::new(), buffer }
    }

    /// The directory `top` and all that is in it, to the end of the archive.
    fn tree(&mut self, top: Vec<u8>) -> Result<()> {
        let mut ahead = vec![top];
        while let Some(path) = ahead.pop() {
            let named = |error: Error| error.within(format_args!("archive {}", shown(&path)));
            self.directory(&path, &mut ahead).map_err(named)?;
        }
        self.bytes(&write::END)
    }
}

impl Packer<'_> {
    fn bytes(&self, bytes: &[u8]) -> Result<()> {
        step(write_all(self.to, bytes), "write the archive")
    }

    /// A directory and what is in it but for the directories, which are for later.
    fn directory(&mut self, path: &[u8], ahead: &mut Vec<Vec<u8>>) -> Result<()> {
        let directory = step(look(self.root, path), "open the directory")?;
        let stat = step(rustix::fs::fstat(&directory), "look at the directory")?;
        let name = if path.is_empty() { b"./".to_vec() } else { [path, b"/"].concat() };
        let mut entry = entry(name, Kind::Directory, &stat);
        entry.xattrs = step(xattrs(&directory), "read the extended attributes")?;
        self.bytes(&write::header(&entry))?;
        if self.whiteouts.hides_below(directory.as_fd()) {
            self.mark(path, b".wh..wh..opq", &stat)?;
        }
        let mut names: Vec<Vec<u8>> = Vec::new();
        for found in step(Dir::read_from(&directory), "list the directory")? {
            let found = step(found, "list the directory")?;
            let name = found.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(name.to_vec());
            }
        }
        order::sort(&mut names);
        let mut below = Vec::new();
        for name in &names {
            let path = if path.is_empty() { name.clone() } else { [path, b"/", &name[..]].concat() };
            let stat = match statat(&directory, &name[..], AtFlags::SYMLINK_NOFOLLOW) {
                // The container may be at work.
                Err(Errno::NOENT) => continue,
                stat => step(stat, "look at a file")?,
            };
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                below.push(path);
            } else {
                let named = |error: Error| error.within(format_args!("archive {}", shown(name)));
                self.file(&directory, name, path, &stat).map_err(named)?;
            }
        }
        // The first is the next one.
        ahead.extend(below.into_iter().rev());
        Ok(())
    }

    /// The mark of what is removed below.
    fn mark(&self, directory: &[u8], name: &[u8], stat: &Stat) -> Result<()> {
        let path = if directory.is_empty() { name.to_vec() } else { [directory, b"/", name].concat() };
        let mut mark = entry(path, Kind::File, stat);
        mark.mode = 0;
        self.bytes(&write::header(&mark))
    }

    fn file(&mut self, directory: &OwnedFd, name: &[u8], path: Vec<u8>, stat: &Stat) -> Result<()> {
        if self.whiteouts != Whiteouts::None && is_whiteout(stat) {
            let at = path.len() - name.len();
            return self.mark(
                path[..at].strip_suffix(b"/").unwrap_or_default(),
                &[b".wh.", name].concat(),
                stat,
            );
        }
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Symlink,
            FileType::CharacterDevice => Kind::Character,
            FileType::BlockDevice => Kind::Block,
            FileType::Fifo => Kind::Fifo,
            // Behind a socket that is unpacked there is nobody.
            _ => return Ok(()),
        };
        let mut entry = entry(path, kind, stat);
        if stat.st_nlink > 1 {
            let (device, inode) = (stat.st_dev, stat.st_ino);
            let known = self.linked.iter().find(|(d, i, _)| (*d, *i) == (device, inode));
            if let Some((.., first)) = known {
                entry.kind = Kind::HardLink;
                entry.link.clone_from(first);
                return self.bytes(&write::header(&entry));
            }
            self.linked.push((device, inode, entry.path.clone()));
        }
        match kind {
            Kind::Symlink => {
                entry.link = step(readlinkat(directory, name, Vec::new()), "read the link")?.into_bytes();
                self.bytes(&write::header(&entry))
            }
            Kind::File => {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let file = step(openat(directory, name, flags, Mode::empty()), "open the file")?;
                entry.size = stat.st_size as u64;
                entry.xattrs = step(xattrs(&file), "read the extended attributes")?;
                self.bytes(&write::header(&entry))?;
                self.content(&file, entry.size)
            }
            _ => {
                entry.device = (major(stat.st_rdev as _), minor(stat.st_rdev as _));
                self.bytes(&write::header(&entry))
            }
        }
    }

    /// As much as the header said, whatever becomes of the file meanwhile.
    fn content(&mut self, file: &OwnedFd, size: u64) -> Result<()> {
        let mut left = size;
        while left > 0 {
            let most = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let read = io::retry_on_intr(|| io::read(file, &mut self.buffer[..most]));
            let mut length = step(read, "read the file")?;
            if length == 0 {
                self.buffer[..most].fill(0);
                length = most;
            }
            self.bytes(&self.buffer[..length])?;
            left -= length as u64;
        }
        self.bytes(&write::END[..padding(size) as usize])
    }
}

fn entry(path: Vec<u8>, kind: Kind, stat: &Stat) -> Entry {
    Entry {
        path,
        kind,
        link: Vec::new(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        mtime: Time { seconds: stat.st_mtime as _, nanoseconds: stat.st_mtime_nsec as _ },
        size: 0,
        device: (0, 0),
        xattrs: Vec::new(),
        segments: None,
    }
}

/// Attributes that belong to the file: not what overlayfs has noted, nor the host's labels.
fn xattrs(file: &OwnedFd) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut empty: [u8; 0] = [];
    let length = match flistxattr(file, &mut empty[..]) {
        Err(Errno::OPNOTSUPP) | Ok(0) => return Ok(Vec::new()),
        length => length?,
    };
    let mut names = vec![0u8; length];
    let length = flistxattr(file, &mut names[..])?;
    let mut found = Vec::new();
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if super::super::unpack::foreign(name) {
            continue;
        }
        let size = fgetxattr(file, name, &mut empty[..])?;
        let mut value = vec![0u8; size];
        let size = fgetxattr(file, name, &mut value[..])?;
        value.truncate(size);
        found.push((name.to_vec(), value));
    }
    order::sort(&mut found);
    Ok(found)
}
