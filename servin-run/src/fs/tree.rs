//! Walks through trees of files that belong to somebody else: nothing is followed, nothing recurses.

use alloc::vec;
use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::sys::path::{chownat, openat, statat};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid};
use rustix::io;

/// Called for each entry below a directory, those of a directory after it: the directory that holds it, its name, what
/// it is.
pub type Visit<'v> = &'v mut dyn FnMut(BorrowedFd<'_>, &CStr, &Stat) -> io::Result<()>;

/// Visits everything below `directory`, but not what is mounted there.
pub fn walk(directory: impl AsFd, visit: Visit) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = openat(directory, c".", flags, Mode::empty())?;
    let device = rustix::fs::fstat(&own)?.st_dev;
    let mut inside: Vec<(Dir, OwnedFd)> = vec![(Dir::read_from(&own)?, own)];
    while let Some((entries, own)) = inside.last_mut() {
        let Some(entry) = entries.next() else {
            inside.pop();
            continue;
        };
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match statat(&*own, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Removed since.
            Err(io::Errno::NOENT) => continue,
            stat => stat?,
        };
        visit(own.as_fd(), name, &stat)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory && stat.st_dev == device {
            match openat(&*own, name, flags, Mode::empty()) {
                Err(io::Errno::NOENT) => {}
                directory => {
                    let directory = directory?;
                    inside.push((Dir::read_from(&directory)?, directory));
                }
            }
        }
    }
    Ok(())
}

/// The bytes that everything below `directory` takes on the disk.
pub fn size(directory: impl AsFd) -> io::Result<u64> {
    let mut bytes = 0;
    let mut add = |_: BorrowedFd<'_>, _: &CStr, stat: &Stat| {
        // A file of several names counts by its part in each.
        bytes += stat.st_blocks as u64 * 512 / u64::from(stat.st_nlink as u32).max(1);
        Ok(())
    };
    let counted = walk(directory, &mut add);
    counted.map(|()| bytes)
}

/// Gives `directory` and everything below it another owner.
pub fn give(directory: impl AsFd, uid: u32, gid: u32) -> io::Result<()> {
    let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
    walk(directory.as_fd(), &mut |own, name, _| chownat(own, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))?;
    rustix::fs::fchown(directory, uid, gid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::CWD;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    #[test]
    fn a_walk_sees_everything_once_and_follows_nothing() {
        let path = std::env::temp_dir().join(format!("servin-tree-{}", std::process::id()));
        fs::create_dir_all(path.join("a/b")).expect("make");
        fs::write(path.join("a/b/c"), [0; 10_000]).expect("write");
        symlink("..", path.join("a/up")).expect("link");
        let directory =
            openat(CWD, path.to_str().expect("UTF-8"), OFlags::RDONLY, Mode::empty()).expect("open");
        let mut seen = Vec::new();
        walk(&directory, &mut |_, name, _| {
            seen.push(name.to_string_lossy().into_owned());
            Ok(())
        })
        .expect("walked");
        seen.sort();
        assert_eq!(seen, ["a", "b", "c", "up"]);
        assert!(size(&directory).expect("counted") >= 10_000);
        let owner = fs::metadata(&path).expect("stat");
        give(&directory, owner.uid(), owner.gid()).expect("given");
        fs::remove_dir_all(&path).expect("remove");
    }
}
