//! The directory that entries are being unpacked into. Most entries follow others in the same directory, so it is
//! kept open; and what is done in it changes its time, which is put back when the next one is entered.

use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Mode, ResolveFlags, Stat, Timespec, Timestamps, fstat, futimens, openat2,
};
use rustix::io::{self, Errno};

use super::super::copy::DIRECTORY;
use super::super::tar::Time;
use super::whiteout::{Whiteouts, is_whiteout};
use super::{Unpacked, shown, split};
use crate::error::{Error, Result};
use crate::sys::path::{mkdirat, openat, statat, unlinkat};

/// Where we are in the tree.
pub struct Current<'a> {
    root: &'a OwnedFd,
    directory: Option<OwnedFd>,
    path: Vec<u8>,
    /// What its times are to be.
    times: Timestamps,
    touched: bool,
    /// New files in it belong to its group.
    set_group_id: bool,
    ids: (u32, u32),
}

/// An entry's time as the kernel takes it.
pub fn timestamps(time: Time) -> Timestamps {
    let time = Timespec { tv_sec: time.seconds as _, tv_nsec: time.nanoseconds as _ };
    Timestamps { last_access: time, last_modification: time }
}

/// Whether it is a directory.
pub fn is_directory(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Directory
}

impl AsFd for Current<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.directory.as_ref().unwrap_or(self.root).as_fd()
    }
}

impl<'a> Current<'a> {
    /// Nowhere yet.
    pub fn new(root: &'a OwnedFd) -> Self {
        let ids = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        let times = timestamps(Time::default());
        Current { root, directory: None, path: Vec::new(), times, touched: false, set_group_id: false, ids }
    }

    /// What is here is changed.
    pub fn touched(&mut self) {
        self.touched = true;
    }

    /// The times that the directory is to have.
    pub fn set_times(&mut self, times: Timestamps) {
        self.times = times;
        self.touched = true;
    }

    /// Whether what is made here belongs to these without being told.
    pub fn gives_owner(&self, uid: u32, gid: u32) -> bool {
        (uid, gid) == self.ids && !self.set_group_id
    }

    /// Puts the directory's times back.
    pub fn leave(&mut self) {
        if self.touched
            && let Some(directory) = &self.directory
        {
            // Of one that was removed meanwhile there is nothing to put back.
            let _ = futimens(directory, &self.times);
        }
        self.touched = false;
    }

    /// Goes on in `directory`, whose attributes come next.
    pub fn go_to(&mut self, directory: OwnedFd, path: &[u8]) -> Result<()> {
        self.leave();
        let stat = fstat(&directory).map_err(|errno| Error::os("look at a directory", errno))?;
        let time = |seconds, nanoseconds: i64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
        self.times = Timestamps {
            last_access: time(stat.st_atime as _, stat.st_atime_nsec as i64),
            last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as i64),
        };
        self.set_group_id = stat.st_mode & 0o2000 != 0;
        self.directory = Some(directory);
        self.path.clear();
        self.path.extend(path);
        Ok(())
    }

    /// Goes to the directory `path`, a clean one; directories that are missing are made and noted.
    pub fn enter(&mut self, path: &[u8], whiteouts: Whiteouts, notes: &mut Unpacked) -> Result<()> {
        if self.directory.is_some() && self.path == path {
            return Ok(());
        }
        let opened = match self.look(path) {
            Err(Errno::NOENT | Errno::NOTDIR) => return self.make(path, whiteouts, notes),
            opened => opened.map_err(|errno| refused(path, errno))?,
        };
        self.go_to(opened, path)
    }

    /// Opens the directory `path`, following no link.
    pub fn look(&self, path: &[u8]) -> io::Result<OwnedFd> {
        look(self.root.as_fd(), path)
    }

    /// Makes what is missing on the way to `path`, one component at a time.
    fn make(&mut self, path: &[u8], whiteouts: Whiteouts, notes: &mut Unpacked) -> Result<()> {
        let mut end = 0;
        let failed = |errno| refused(path, errno);
        self.enter(b"", whiteouts, notes)?;
        while end < path.len() {
            let start = if end == 0 { 0 } else { end + 1 };
            end = path[start..].iter().position(|byte| *byte == b'/').map_or(path.len(), |at| start + at);
            let name = &path[start..end];
            let opened = match openat(&*self, name, DIRECTORY, Mode::empty()) {
                Err(Errno::NOENT) => {
                    notes.add_implicit(&path[..end])?;
                    self.directory(name)
                }
                Err(Errno::NOTDIR) => {
                    // In this layer it was removed before, so that what was in it stays hidden.
                    let stat = statat(&*self, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
                    if !is_whiteout(&stat) {
                        return Err(failed(if is_link(&stat) { Errno::LOOP } else { Errno::NOTDIR }));
                    }
                    unlinkat(&*self, name, AtFlags::empty()).map_err(failed)?;
                    self.directory(name).and_then(|directory| {
                        whiteouts.hide_below(directory.as_fd())?;
                        Ok(directory)
                    })
                }
                opened => opened,
            };
            self.go_to(opened.map_err(failed)?, &path[..end])?;
        }
        Ok(())
    }

    fn directory(&mut self, name: &[u8]) -> io::Result<OwnedFd> {
        self.touched = true;
        mkdirat(&*self, name, Mode::from_raw_mode(0o755))?;
        openat(&*self, name, DIRECTORY, Mode::empty())
    }
}

fn is_link(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

fn refused(path: &[u8], errno: Errno) -> Error {
    let error = Error::os(format_args!("open the directory {}", shown(path)), errno);
    match errno {
        Errno::LOOP => error.hint("a symbolic link of the archive leads there, which is not followed"),
        _ => error,
    }
}

/// Opens the directory `path` below `root`, following no link. By openat2(2), or where that is missing and where
/// the path is too long for the kernel, one component at a time.
pub fn look(root: BorrowedFd<'_>, path: &[u8]) -> io::Result<OwnedFd> {
    if path.is_empty() {
        return openat(root, c".", DIRECTORY, Mode::empty());
    }
    let how = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    match openat2(root, path, DIRECTORY, Mode::empty(), how) {
        Err(Errno::NOSYS | Errno::NAMETOOLONG | Errno::AGAIN | Errno::PERM) => {}
        opened => return opened,
    }
    let mut place = look(root, b"")?;
    for name in path.split(|byte| *byte == b'/') {
        place = match openat(&place, name, DIRECTORY, Mode::empty()) {
            // O_DIRECTORY speaks before O_NOFOLLOW does.
            Err(Errno::NOTDIR) if is_link(&statat(&place, name, AtFlags::SYMLINK_NOFOLLOW)?) => {
                return Err(Errno::LOOP);
            }
            opened => opened?,
        };
    }
    Ok(place)
}

/// Opens the directory that holds `path`, following no link, and says its name there.
pub fn look_for<'p>(root: BorrowedFd<'_>, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
    let (directory, name) = split(path);
    Ok((look(root, directory)?, name))
}
