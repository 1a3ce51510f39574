//! Unpacking an archive into a directory, which may be a layer of an image: what it removes from the layers below
//! is then marked as overlayfs marks it.
//!
//! The archive is hostile. Every path is walked from the directory's descriptor and no link on it is followed
//! ([`place`]); names are made of components that are neither empty nor `.` nor `..`; nothing that exists is written
//! through: it is removed and made anew.
//!
//! What a changeset is: [OCI image specification, layer.md][layer].
//!
//! [layer]: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md

use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, SeekFrom, Uid, XattrFlags, fchmod, fchown, fsetxattr, ftruncate, futimens,
    lsetxattr, makedev, seek, utimensat,
};
use rustix::io::{self, Errno};

use super::copy::{DIRECTORY, remove_any};
use super::tar::{Archive, Entry, Kind, shown};
use crate::error::{Error, Result};
use crate::fs::copy::write_all;
use crate::fs::descriptors::path_of;
use crate::sys::path::{chownat, linkat, mkdirat, mknodat, openat, statat, symlinkat};

mod merge;
mod place;
#[cfg(test)]
mod tests;
mod whiteout;

pub use merge::complete;
pub use place::look;
use place::{Current, timestamps};
pub use whiteout::{Whiteouts, is_whiteout};

/// How an archive is unpacked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How it says what is removed from layers below.
    pub whiteouts: Whiteouts,
    /// In a user namespace: devices are left out, and attributes that only the host's root may set.
    pub unprivileged: bool,
    /// Everything belongs to who unpacks it, because he can be nobody else.
    pub one_owner: bool,
}

/// What could not be known from one layer alone, for [`complete`].
#[derive(Debug, Default)]
pub struct Unpacked {
    /// Directories that have no entry of their own: their attributes are those of a layer below.
    pub implicit: Vec<Vec<u8>>,
    /// Hard links to files that are not in this layer: name and target.
    pub links: Vec<(Vec<u8>, Vec<u8>)>,
    /// The memory that both take.
    noted: usize,
}

/// The most of that: one name of a thousand directories in a row makes half a thousand times its own length of them.
const MAX_NOTED: usize = 64 << 20;

impl Unpacked {
    /// Counts names that are to be kept.
    fn count(&mut self, names: &[&[u8]]) -> Result<()> {
        for name in names {
            self.noted += name.len() + size_of::<Vec<u8>>();
        }
        match self.noted > MAX_NOTED {
            true => {
                Err(Error::new("the archive has too many directories without entries, or links to nothing"))
            }
            false => Ok(()),
        }
    }

    fn add_implicit(&mut self, path: &[u8]) -> Result<()> {
        self.count(&[path])?;
        self.implicit.push(path.to_vec());
        Ok(())
    }
}

/// Unpacks `archive` into `root` to its end.
pub fn unpack(archive: &mut Archive, root: &OwnedFd, options: &Options) -> Result<Unpacked> {
    let _umask = Umask::clear();
    let mut unpacker =
        Unpacker { current: Current::new(root), options, result: Unpacked::default(), path: Vec::new() };
    while let Some(entry) = archive.next_entry()? {
        unpacker
            .entry(archive, &entry)
            .map_err(|error| error.within(format_args!("unpack {}", entry.name())))?;
    }
    unpacker.current.leave();
    archive.finish()?;
    Ok(unpacker.result)
}

/// Modes are what the archive says.
struct Umask(Mode);

impl Umask {
    fn clear() -> Umask {
        Umask(rustix::process::umask(Mode::empty()))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

struct Unpacker<'a> {
    current: Current<'a>,
    options: &'a Options,
    result: Unpacked,
    /// The current entry's path, cleaned.
    path: Vec<u8>,
}

/// The components of `path`, joined: relative, and never upwards.
fn clean(path: &[u8], to: &mut Vec<u8>) -> Result<()> {
    to.clear();
    for component in path.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => continue,
            b".." => return Err(Error::new(format_args!("the name {} leads upwards", shown(path)))),
            _ if component.len() > 255 => {
                return Err(Error::os(format_args!("the name {}", shown(path)), Errno::NAMETOOLONG));
            }
            _ => {}
        }
        if !to.is_empty() {
            to.push(b'/');
        }
        to.extend(component);
    }
    if path.contains(&0) {
        return Err(Error::new(format_args!("the name {} has a zero in it", shown(path))));
    }
    Ok(())
}

/// The directory part of a clean path and the name in it.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Puts the kernel's answer in words.
fn step<T>(result: io::Result<T>, what: &'static str) -> Result<T> {
    result.map_err(|errno| {
        let error = Error::os(what, errno);
        match errno {
            Errno::INVAL if what == OWNER => error.hint(
                "this user namespace has no such ids: more are given by lines in /etc/subuid and /etc/subgid",
            ),
            _ => error,
        }
    })
}

/// Sets an attribute to a value.
type SetXattr<'a> = &'a dyn Fn(&[u8], &[u8]) -> io::Result<()>;

const OWNER: &str = "give it its owner";

impl Unpacker<'_> {
    fn entry(&mut self, archive: &mut Archive, entry: &Entry) -> Result<()> {
        let mut path = core::mem::take(&mut self.path);
        let done = clean(&entry.path, &mut path).and_then(|()| self.at(archive, entry, &path));
        self.path = path;
        done
    }

    fn at(&mut self, archive: &mut Archive, entry: &Entry, path: &[u8]) -> Result<()> {
        if path.is_empty() {
            // The root itself; what else calls itself that is nothing.
            if entry.kind != Kind::Directory {
                return Err(Error::new("the root of an archive is a directory"));
            }
            self.current.enter(b"", self.options.whiteouts, &mut self.result)?;
            return self.attributes_of_directory(entry);
        }
        let (directory, name) = split(path);
        self.current.enter(directory, self.options.whiteouts, &mut self.result)?;
        if self.whiteout(name)? {
            return Ok(());
        }
        self.current.touched();
        match entry.kind {
            Kind::File => self.file(archive, entry, name),
            Kind::Directory => self.directory(entry, path, name),
            Kind::HardLink => self.hard_link(entry, path, name),
            Kind::Symlink => {
                let made = || symlinkat(&entry.link[..], &self.current, name);
                step(self.anew(name, &made), "make the symbolic link")?;
                self.attributes_by_name(entry, name)
            }
            Kind::Fifo | Kind::Character | Kind::Block => self.special(entry, name),
        }
    }

    /// Makes something new, in place of whatever has its name.
    fn anew<T>(&self, name: &[u8], make: &dyn Fn() -> io::Result<T>) -> io::Result<T> {
        match make() {
            Err(Errno::EXIST) => {
                remove_any(self.current.as_fd(), name)?;
                make()
            }
            made => made,
        }
    }

    fn file(&self, archive: &mut Archive, entry: &Entry, name: &[u8]) -> Result<()> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(entry.mode & 0o777);
        let file = step(self.anew(name, &|| openat(&self.current, name, flags, mode)), "make the file")?;
        match &entry.segments {
            None => content(archive, file.as_fd(), u64::MAX)?,
            Some(segments) => {
                for segment in segments {
                    step(seek(&file, SeekFrom::Start(segment.offset)), "go to a place in the file")?;
                    content(archive, file.as_fd(), segment.length)?;
                }
                step(ftruncate(&file, entry.size), "make the file as long as it is")?;
            }
        }
        let owner_changed = self.owner(&file, entry)?;
        if owner_changed || entry.mode & 0o7000 != 0 {
            step(fchmod(&file, Mode::from_raw_mode(entry.mode)), "give it its mode")?;
        }
        self.xattrs(entry, &|name, value| fsetxattr(&file, name, value, XattrFlags::empty()))?;
        step(futimens(&file, &timestamps(entry.mtime)), "give it its time")
    }

    fn directory(&mut self, entry: &Entry, path: &[u8], name: &[u8]) -> Result<()> {
        let mut hides = false;
        match mkdirat(&self.current, name, Mode::RWXU) {
            Err(Errno::EXIST) => {
                let stat =
                    step(statat(&self.current, name, AtFlags::SYMLINK_NOFOLLOW), "look at what is there")?;
                if !place::is_directory(&stat) {
                    hides = is_whiteout(&stat);
                    let made = self.anew(name, &|| mkdirat(&self.current, name, Mode::RWXU));
                    step(made, "make the directory")?;
                }
            }
            made => step(made, "make the directory")?,
        }
        let directory = step(openat(&self.current, name, DIRECTORY, Mode::empty()), "open the directory")?;
        if hides {
            step(self.options.whiteouts.hide_below(directory.as_fd()), "mark the directory as opaque")?;
        }
        // What comes next is most often in it.
        self.current.go_to(directory, path)?;
        self.attributes_of_directory(entry)
    }

    /// Of the directory that we are in.
    fn attributes_of_directory(&mut self, entry: &Entry) -> Result<()> {
        self.owner(&self.current, entry)?;
        step(fchmod(&self.current, Mode::from_raw_mode(entry.mode)), "give it its mode")?;
        self.xattrs(entry, &|name, value| fsetxattr(&self.current, name, value, XattrFlags::empty()))?;
        self.current.set_times(timestamps(entry.mtime));
        Ok(())
    }

    fn hard_link(&mut self, entry: &Entry, path: &[u8], name: &[u8]) -> Result<()> {
        let mut target = Vec::new();
        clean(&entry.link, &mut target)?;
        let (directory, target_name) = split(&target);
        let found = self.current.look(directory).and_then(|place| {
            let stat = statat(&place, target_name, AtFlags::SYMLINK_NOFOLLOW)?;
            if is_whiteout(&stat) {
                return Err(Errno::NOENT);
            }
            Ok((place, stat))
        });
        let (place, stat) = match found {
            Err(Errno::NOENT) => {
                self.result.count(&[path, &target])?;
                self.result.links.push((path.to_vec(), target));
                return Ok(());
            }
            found => step(found, "find the file that the hard link is to")?,
        };
        if let Ok(own) = statat(&self.current, name, AtFlags::SYMLINK_NOFOLLOW)
            && (own.st_dev, own.st_ino) == (stat.st_dev, stat.st_ino)
        {
            return Ok(());
        }
        let made = || linkat(&place, target_name, &self.current, name, AtFlags::empty());
        step(self.anew(name, &made), "make the hard link")
    }

    fn special(&self, entry: &Entry, name: &[u8]) -> Result<()> {
        let (kind, device) = match entry.kind {
            Kind::Fifo => (rustix::fs::FileType::Fifo, 0),
            // Not to be had here, and not needed: a container gets its own /dev.
            _ if self.options.unprivileged => return Ok(()),
            Kind::Block => (rustix::fs::FileType::BlockDevice, makedev(entry.device.0, entry.device.1)),
            _ => (rustix::fs::FileType::CharacterDevice, makedev(entry.device.0, entry.device.1)),
        };
        let mode = Mode::from_raw_mode(entry.mode);
        step(self.anew(name, &|| mknodat(&self.current, name, kind, mode, device)), "make the node")?;
        self.attributes_by_name(entry, name)?;
        if entry.mode & 0o7000 != 0 {
            let changed = crate::sys::path::chmodat(&self.current, name, mode, AtFlags::empty());
            step(changed, "give it its mode")?;
        }
        Ok(())
    }

    /// Of what cannot be opened. It is new and in a directory of ours: nobody can have swapped it.
    fn attributes_by_name(&self, entry: &Entry, name: &[u8]) -> Result<()> {
        if !self.options.one_owner {
            let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
            let changed = chownat(&self.current, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW);
            step(changed, OWNER)?;
        }
        if !entry.xattrs.is_empty() {
            let path = [path_of(&self.current).as_bytes(), b"/", name].concat();
            self.xattrs(entry, &|name, value| lsetxattr(&path[..], name, value, XattrFlags::empty()))?;
        }
        let times = timestamps(entry.mtime);
        step(utimensat(&self.current, name, &times, AtFlags::SYMLINK_NOFOLLOW), "give it its time")
    }

    /// Whether a call was needed for it.
    fn owner(&self, file: &dyn AsFdDyn, entry: &Entry) -> Result<bool> {
        if self.options.one_owner || self.current.gives_owner(entry.uid, entry.gid) {
            return Ok(false);
        }
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        step(fchown(file.descriptor(), Some(uid), Some(gid)), OWNER).map(|()| true)
    }

    fn xattrs(&self, entry: &Entry, set: SetXattr) -> Result<()> {
        for (name, value) in &entry.xattrs {
            if foreign(name) {
                continue;
            }
            match set(name, value) {
                Ok(()) | Err(Errno::OPNOTSUPP) => {}
                Err(Errno::PERM | Errno::ACCESS | Errno::INVAL) if self.options.unprivileged => {}
                Err(errno) => {
                    return Err(Error::os(format_args!("set the extended attribute {}", shown(name)), errno));
                }
            }
        }
        Ok(())
    }

    /// Whether `name` is a mark of what is removed, which is then obeyed.
    fn whiteout(&mut self, name: &[u8]) -> Result<bool> {
        let handled = self.options.whiteouts.read(&self.current, name)?;
        if handled {
            self.current.touched();
        }
        Ok(handled)
    }
}

/// Attributes that mean something to a host's overlayfs, which an image has no say in, or to a host's policy.
pub fn foreign(name: &[u8]) -> bool {
    [&b"trusted.overlay."[..], b"user.overlay.", b"security.selinux"]
        .iter()
        .any(|known| name.starts_with(known))
}

/// Writes the entry's content, at most `limit` bytes of it.
fn content(archive: &mut Archive, file: BorrowedFd<'_>, mut limit: u64) -> Result<()> {
    while limit > 0 {
        let some = archive.content()?;
        let length = some.len().min(usize::try_from(limit).unwrap_or(usize::MAX));
        if length == 0 {
            break;
        }
        step(write_all(file, &some[..length]), "write the file")?;
        archive.consume(length);
        limit -= length as u64;
    }
    Ok(())
}

/// What has a descriptor, by reference.
trait AsFdDyn {
    fn descriptor(&self) -> BorrowedFd<'_>;
}

impl<T: AsFd> AsFdDyn for T {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.as_fd()
    }
}
