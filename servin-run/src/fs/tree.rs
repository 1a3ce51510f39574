//! Walks through trees of files that belong to somebody else: nothing is followed, nothing recurses.

use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, Stat, Uid, fstat};
use rustix::io::{self, Errno};

use crate::sys::path::{chownat, openat, statat};

/// Called for each entry below a directory, those of a directory after it: the directory that holds it, its name, what
/// it is.
pub type Visit<'v> = &'v mut dyn FnMut(BorrowedFd<'_>, &CStr, &Stat) -> io::Result<()>;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Visits everything below `directory`, but not what is mounted there. However deep that is, two descriptors are
/// enough: the way up is `..`, which is proved to be where we came from (EAGAIN where it was moved meanwhile).
pub fn walk(directory: impl AsFd, visit: Visit) -> io::Result<()> {
    let mut here = openat(directory, c".", DIRECTORY, Mode::empty())?;
    let own = fstat(&here)?;
    let (device, mut number) = (own.st_dev, own.st_ino);
    let mut inside = visit_all(&here, visit)?;
    // The directories above, by their numbers, and what is still to be entered in them.
    let mut above = Vec::new();
    loop {
        let Some(name) = inside.pop() else {
            let Some((outer, rest)) = above.pop() else { return Ok(()) };
            here = openat(&here, c"..", DIRECTORY, Mode::empty())?;
            let stat = fstat(&here)?;
            if (stat.st_dev, stat.st_ino) != (device, outer) {
                return Err(Errno::AGAIN);
            }
            (number, inside) = (outer, rest);
            continue;
        };
        let inner = match openat(&here, &*name, DIRECTORY, Mode::empty()) {
            // Removed since, or another file by now.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => continue,
            inner => inner?,
        };
        let stat = fstat(&inner)?;
        if stat.st_dev == device {
            above.push((number, inside));
            (here, number) = (inner, stat.st_ino);
            inside = visit_all(&here, visit)?;
        }
    }
}

/// Visits the entries of one directory; the names of the directories among them.
fn visit_all(own: &OwnedFd, visit: Visit) -> io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(own)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = match statat(own, name, AtFlags::SYMLINK_NOFOLLOW) {
            // Removed since.
            Err(Errno::NOENT) => continue,
            stat => stat?,
        };
        visit(own.as_fd(), name, &stat)?;
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            directories.push(name.into());
        }
    }
    Ok(directories)
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

    #[test]
    fn a_tree_of_any_depth_is_walked_with_a_few_descriptors() {
        use rustix::fd::AsRawFd as _;
        let path = std::env::temp_dir().join(format!("servin-tree-deep-{}", std::process::id()));
        fs::create_dir_all(path.join("beside/inner")).expect("make");
        let directory =
            openat(CWD, path.to_str().expect("UTF-8"), OFlags::RDONLY, Mode::empty()).expect("open");
        let mut deep = openat(&directory, c".", DIRECTORY, Mode::empty()).expect("open");
        for _ in 0..1500 {
            rustix::fs::mkdirat(&deep, c"down", Mode::RWXU).expect("make");
            deep = openat(&deep, c"down", DIRECTORY, Mode::empty()).expect("open");
        }
        let mut seen = 0;
        let walked = walk(&directory, &mut |own, _, _| {
            seen += 1;
            // Descriptors get the lowest free number.
            assert!(own.as_raw_fd() < 1000, "{own:?} at {seen}");
            Ok(())
        });
        let removed = std::process::Command::new("rm").arg("-rf").arg(&path).status();
        assert!(removed.expect("rm").success());
        assert_eq!((walked, seen), (Ok(()), 1502));
    }
}
