//! Copies of files and trees, between descriptors: data shared with the original where the file system can.

use alloc::vec;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid, copy_file_range, fchmod,
    fgetxattr, flistxattr, fsetxattr, fstat, futimens, ioctl_ficlone, utimensat,
};
use rustix::io::{self, Errno};

use crate::error::{Error, Result, Step};
use crate::sys::path::{chownat, mkdirat, mknodat, openat, readlinkat, statat, symlinkat};

const BUFFER: usize = 64 << 10;

/// Copies what `source` still has to be read to `target`.
///
/// Shared where both files are on one btrfs, XFS or bcachefs; else copied by the kernel; else by us. The last
/// step is always taken: after a copy that the kernel has cut short it moves the rest, and after a complete
/// one it finds the end of the file.
pub fn copy_data(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> io::Result<()> {
    if ioctl_ficlone(target, source).is_ok() {
        return Ok(());
    }
    while let Ok(1..) = copy_file_range(source, None, target, None, 1 << 30) {}
    // Small until there is something to move: in most cases there is not.
    let mut buffer = vec![0; 64];
    loop {
        match io::read(source, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => write_all(target, &buffer[..length])?,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        }
        buffer.resize(BUFFER, 0);
    }
}

/// Writes all of `bytes`.
pub fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match io::write(file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(length) => bytes = &bytes[length..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Copies everything in the directory `from` into the directory `to`, and its mode, owner and extended
/// attributes too. Links are copied as links and nothing is followed. Sockets are left out: there is nobody
/// behind a copy.
pub fn copy_tree(from: &OwnedFd, to: &OwnedFd) -> Result<()> {
    // One directory inside the other without recursion, and open only those above: a hostile tree may be as wide
    // as it likes.
    let open = |directory: &OwnedFd| {
        openat(directory, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
            .step(|| "open a directory to copy")
    };
    let list = |directory: &OwnedFd| Dir::read_from(directory).step(|| "list a directory to copy");
    let (from, to) = (open(from)?, open(to)?);
    let mut inside = vec![(list(&from)?, from, to)];
    while let Some((entries, from, to)) = inside.last_mut() {
        let Some(entry) = entries.next() else {
            let stat = fstat(&*from).step(|| "look at a directory to copy")?;
            copy_metadata(from, to, &stat).step(|| "copy a directory's attributes")?;
            inside.pop();
            continue;
        };
        let entry = entry.step(|| "list a directory to copy")?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let copied = copy_entry(from, name, to, name);
        let copied =
            copied.map_err(|errno| Error::os(format_args!("copy {}", name.to_string_lossy()), errno))?;
        if let Some((from, to)) = copied {
            inside.push((list(&from)?, from, to));
        }
    }
    Ok(())
}

/// Copies the entry `original` of `from` as the new entry `name` of `to`; a directory is made, and returned with its
/// original to be filled.
pub fn copy_entry(
    from: &OwnedFd,
    original: &core::ffi::CStr,
    to: &OwnedFd,
    name: &core::ffi::CStr,
) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    copy_known(from, original, &statat(from, original, AtFlags::SYMLINK_NOFOLLOW)?, to, name)
}

/// The same for an entry that was looked at: whatever a stranger puts into its place, it is copied as that or not at all.
pub fn copy_known(
    from: &OwnedFd,
    original: &core::ffi::CStr,
    stat: &Stat,
    to: &OwnedFd,
    name: &core::ffi::CStr,
) -> io::Result<Option<(OwnedFd, OwnedFd)>> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            mkdirat(to, name, Mode::RWXU)?;
            let open = |parent, name| {
                openat(parent, name, flags | OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())
            };
            return Ok(Some((open(from, original)?, open(to, name)?)));
        }
        FileType::RegularFile => {
            // What is a fifo by now would hold us up.
            let source = openat(from, original, flags | OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
            if FileType::from_raw_mode(fstat(&source)?.st_mode) != FileType::RegularFile {
                return Err(Errno::AGAIN);
            }
            let target =
                openat(to, name, flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, Mode::RUSR)?;
            copy_data(source.as_fd(), target.as_fd())?;
            copy_metadata(&source, &target, stat)?;
        }
        FileType::Symlink => {
            symlinkat(readlinkat(from, original, Vec::new())?, to, name)?;
            own(to, name, stat)?;
            utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
        }
        FileType::Socket => {}
        kind => {
            mknodat(to, name, kind, Mode::from_raw_mode(stat.st_mode & 0o7777), stat.st_rdev)?;
            own(to, name, stat)?;
            utimensat(to, name, &times(stat), AtFlags::SYMLINK_NOFOLLOW)?;
        }
    }
    Ok(None)
}

fn owner(stat: &Stat) -> (Option<Uid>, Option<Gid>) {
    (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
}

fn own(to: &OwnedFd, name: &core::ffi::CStr, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    chownat(to, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
}

/// Gives `to` the owner, mode, attributes and times of `from`, whose status is `stat`.
pub fn copy_metadata(from: &OwnedFd, to: &OwnedFd, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner(stat);
    // The mode comes after the owner, because a change of owner takes set-user-ID bits away (chown(2)).
    rustix::fs::fchown(to, uid, gid)?;
    fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    copy_xattrs(from, to)?;
    put_times_back(to, stat)
}

/// Gives a file, which something was done to, its former times.
pub fn put_times_back(file: &OwnedFd, stat: &Stat) -> io::Result<()> {
    futimens(file, &times(stat))
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanoseconds: i64| Timespec { tv_sec: seconds, tv_nsec: nanoseconds as _ };
    Timestamps {
        last_access: time(stat.st_atime as _, stat.st_atime_nsec as i64),
        last_modification: time(stat.st_mtime as _, stat.st_mtime_nsec as i64),
    }
}

/// Extended attributes, file capabilities among them; a file system without them has none to lose.
fn copy_xattrs(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    let mut empty: [u8; 0] = [];
    let length = match flistxattr(from, &mut empty[..]) {
        Err(Errno::OPNOTSUPP) | Ok(0) => return Ok(()),
        other => other?,
    };
    let mut names = vec![0u8; length];
    let length = flistxattr(from, &mut names[..])?;
    for name in names[..length].split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        if name.starts_with(b"trusted.overlay.") || name.starts_with(b"user.overlay.") {
            // What overlayfs has noted about a layer is not true of a copy.
            continue;
        }
        let size = fgetxattr(from, name, &mut empty[..])?;
        let mut value = vec![0u8; size];
        let size = fgetxattr(from, name, &mut value[..])?;
        match fsetxattr(to, name, &value[..size], rustix::fs::XattrFlags::empty()) {
            // Labels and the like that the target cannot hold.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;

    #[test]
    fn what_is_put_into_a_files_place_meanwhile_is_neither_waited_for_nor_copied() {
        let path = std::env::temp_dir().join(format!("servin-copy-{}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        std::fs::write(path.join("file"), "x").expect("a file");
        let folder = openat(CWD, path.to_str().expect("UTF-8"), OFlags::RDONLY, Mode::empty()).expect("open");
        let stat = statat(&folder, c"file", AtFlags::SYMLINK_NOFOLLOW).expect("its status");
        mknodat(&folder, c"swapped", FileType::Fifo, Mode::RUSR, 0).expect("a fifo");
        assert!(copy_known(&folder, c"swapped", &stat, &folder, c"copy").is_err());
        assert!(!path.join("copy").exists());
        copy_known(&folder, c"file", &stat, &folder, c"copy").expect("copied");
        std::fs::remove_dir_all(&path).expect("removed");
    }
}
