//! The directory of all containers, and in it one a container: its record, its configuration, its lock.
//!
//! Files appear whole (they are renamed into place), so reading takes no lock. Who changes a container holds the
//! lock on its directory (flock(2)), which the kernel takes back from whoever is killed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FileType, FlockOperation, Mode, OFlags, flock, fstat};
use rustix::io::{self, Errno};

use crate::error::{Error, Result, Step};
use crate::fs::descriptors::path_of;
use crate::fs::read_whole;
pub use crate::fs::whole::write_whole;
use crate::image::copy::{DIRECTORY, make_directory, open_at, remove_tree};
use crate::order;
use crate::sys::path::{mkdirat, renameat, unlinkat};

/// What moves the directory of what runs.
pub const MOVES_ROOT: &str = "--root DIR or SERVIN_ROOT names another";

/// Where all containers of one user are.
pub struct Root {
    path: String,
    all: OwnedFd,
}

impl Root {
    /// Opens it, making what is missing; `hint` says what moves it elsewhere.
    pub fn make(path: &str, hint: &'static str) -> Result<Root> {
        let explain = |errno| Error::os(format_args!("make the directory {path}"), errno).hint(hint);
        for (end, _) in path.match_indices('/').filter(|(end, _)| *end > 0) {
            make_directory(CWD, path.get(..end).unwrap_or_default(), 0o755).map_err(explain)?;
        }
        make_directory(CWD, path, 0o700).map_err(explain)?;
        let all = open_at(CWD, path, DIRECTORY).map_err(explain)?;
        // In a place where everybody may write, such as /tmp, it could be somebody else's.
        if fstat(&all).map_err(explain)?.st_uid != rustix::process::geteuid().as_raw() {
            return Err(Error::new(format_args!("{path} belongs to another user")).hint(hint));
        }
        Ok(Root { path: path.into(), all })
    }

    /// Opens it; `None` where there is none, and so no container.
    pub fn open(path: &str) -> Result<Option<Root>> {
        match open_at(CWD, path, DIRECTORY) {
            Ok(all) => Ok(Some(Root { path: path.into(), all })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::os(format_args!("open {path}"), errno)),
        }
    }

    /// The containers' ids, sorted.
    pub fn ids(&self) -> Result<Vec<String>> {
        let step = || format!("list {}", self.path);
        let mut ids = Vec::new();
        for entry in Dir::read_from(&self.all).step(step)? {
            let entry = entry.step(step)?;
            if let Ok(name) = entry.file_name().to_str()
                && !name.starts_with('.')
                && entry.file_type() == FileType::Directory
            {
                ids.push(String::from(name));
            }
        }
        order::sort(&mut ids);
        Ok(ids)
    }

    /// The text of a file by its path from here; `None` where there is none.
    pub fn read(&self, path: &str) -> Result<Option<String>> {
        read_below(self.all.as_fd(), path, &self.path)
    }

    /// Makes the directory of a new container and locks it.
    pub fn create(&self, id: &str) -> Result<(Directory, Lock)> {
        match mkdirat(&self.all, id, Mode::RWXU) {
            Err(Errno::EXIST) => {
                return Err(Error::new(format_args!("container with id \"{id}\" already exists")));
            }
            other => other.step(|| format!("make {}/{id}", self.path))?,
        }
        let directory = self.find(id)?.ok_or_else(|| super::does_not_exist(id))?;
        let lock = directory.lock()?;
        Ok((directory, lock))
    }

    /// The directory of a container, if there is one.
    pub fn find(&self, id: &str) -> Result<Option<Directory>> {
        let all = io::fcntl_dupfd_cloexec(&self.all, 3).step(|| "copy a descriptor")?;
        match open_at(self.all.as_fd(), id, DIRECTORY) {
            Ok(own) => Ok(Some(Directory { id: id.into(), path: format!("{}/{id}", self.path), all, own })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::os(format_args!("open {}/{id}", self.path), errno)),
        }
    }
}

/// The directory of one container.
pub struct Directory {
    id: String,
    path: String,
    all: OwnedFd,
    own: OwnedFd,
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }
}

/// Held by whoever changes the container; given back when dropped, whoever has inherited the descriptor.
pub struct Lock(OwnedFd);

impl Lock {
    /// Waits for the lock on the directory of all containers.
    pub fn on(root: &Root) -> io::Result<Lock> {
        let own = open_at(root.all.as_fd(), ".", DIRECTORY)?;
        io::retry_on_intr(|| flock(&own, FlockOperation::LockExclusive))?;
        Ok(Lock(own))
    }

    /// The same lock, unless somebody has it.
    pub fn try_on(root: &Root) -> io::Result<Option<Lock>> {
        let own = open_at(root.all.as_fd(), ".", DIRECTORY)?;
        match io::retry_on_intr(|| flock(&own, FlockOperation::NonBlockingLockExclusive)) {
            Err(Errno::WOULDBLOCK) => Ok(None),
            locked => locked.map(|()| Some(Lock(own))),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }
}

impl Directory {
    /// The directory of all containers.
    pub fn all(&self) -> BorrowedFd<'_> {
        self.all.as_fd()
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// A path of a file in it that is short enough for a socket's address, as long as this lives.
    pub fn socket(&self, name: &str) -> String {
        format!("{}/{name}", path_of(&self.own))
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }

    /// Waits for the lock. That the directory was removed meanwhile is an error.
    pub fn lock(&self) -> Result<Lock> {
        let lock = self.lock_by(FlockOperation::LockExclusive)?;
        lock.ok_or_else(|| Error::os(format_args!("lock {}", self.path), Errno::WOULDBLOCK))
    }

    /// The lock, unless a command is at work on the container.
    pub fn try_lock(&self) -> Result<Option<Lock>> {
        self.lock_by(FlockOperation::NonBlockingLockExclusive)
    }

    /// Whether a command is at work on the container.
    pub fn is_locked(&self) -> Result<bool> {
        self.lock_by(FlockOperation::NonBlockingLockExclusive).map(|lock| lock.is_none())
    }

    fn lock_by(&self, operation: FlockOperation) -> Result<Option<Lock>> {
        let step = || format!("lock {}", self.path);
        // A description of its own: what is locked through it is not unlocked by another Lock's end.
        let own = open_at(self.own.as_fd(), ".", DIRECTORY).map_err(|errno| match errno {
            Errno::NOENT => super::does_not_exist(&self.id),
            errno => Error::os(step(), errno),
        })?;
        match io::retry_on_intr(|| flock(&own, operation)) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(None),
            Err(errno) => return Err(Error::os(step(), errno)),
        }
        match fstat(&own).step(step)?.st_nlink {
            0 => Err(super::does_not_exist(&self.id)),
            _ => Ok(Some(Lock(own))),
        }
    }

    /// A file's text; `None` where there is none.
    pub fn read(&self, name: &str) -> Result<Option<String>> {
        read_below(self.own.as_fd(), name, &self.path)
    }

    /// Writes a file as a whole.
    pub fn write(&self, name: &str, text: &str) -> Result<()> {
        write_whole(self.own.as_fd(), name, text, 0o600).step(|| format!("write {}/{name}", self.path))
    }

    /// Renames a file.
    pub fn rename(&self, from: &str, to: &str) -> Result<()> {
        renameat(&self.own, from, &self.own, to).step(|| format!("rename {}/{from}", self.path))
    }

    /// Whether there is a file of that name.
    pub fn has(&self, name: &str) -> bool {
        crate::sys::path::statat(&self.own, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Removes a file; it is no error that there is none.
    pub fn remove_file(&self, name: &str) -> Result<()> {
        match unlinkat(&self.own, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other.step(|| format!("remove {}/{name}", self.path)),
        }
    }

    /// Removes it with all that is in it. Who calls this holds the lock.
    pub fn remove(&self) -> Result<()> {
        remove_tree(self.all.as_fd(), &self.id).step(|| format!("remove {}", self.path))
    }
}

fn read_below(parent: BorrowedFd<'_>, name: &str, place: &str) -> Result<Option<String>> {
    let step = || format!("read {place}/{name}");
    let file = match open_at(parent, name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC) {
        Err(Errno::NOENT) => return Ok(None),
        file => file.step(step)?,
    };
    let bytes = read_whole(&file).step(step)?;
    String::from_utf8(bytes).map(Some).map_err(|_| Error::new(format_args!("{}: not UTF-8", step())))
}
