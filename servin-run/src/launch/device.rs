//! Device nodes, the links of /dev, and the container's terminal.

use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, Uid, fchown, fstat};
use rustix::io::Errno;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt};
use rustix::termios::{Winsize, tcgetwinsize, tcsetwinsize};

use super::mount::{attach, clone_path, clone_place};
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::{path_of, stdin, stdout};
use crate::fs::resolve::{self, Create};
use crate::plan::devices::Device;
use crate::sys::path::{chmodat, chownat, mknodat, openat, readlinkat, symlinkat};

/// The multiplexer of terminals, by its number (Documentation/admin-guide/devices.txt).
const PTMX: (u32, u32) = (5, 2);

/// Splits a path of /dev into its directory, opened without following any link (CVE-2026-41579), and its name.
fn parent<'p>(root: BorrowedFd<'_>, path: &'p str) -> Result<(OwnedFd, &'p str)> {
    let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
    let opened = resolve::open_or_create_without_links(root, directory, Create::Directory);
    let opened = opened.map_err(|errno| {
        let error = Error::os(format_args!("open {directory}"), errno);
        if errno == Errno::LOOP {
            error.hint("the root file system has a symbolic link there")
        } else {
            error
        }
    })?;
    Ok((opened, name))
}

/// Makes a device node, or leaves an equal one.
pub fn make(root: BorrowedFd<'_>, device: &Device) -> Result<()> {
    let (directory, name) = parent(root, &device.path)?;
    let mode = Mode::from_raw_mode(device.mode);
    match mknodat(&directory, name, device.kind, mode, device.number as _) {
        Err(Errno::EXIST) => {
            // Whoever shares the root may put a link there meanwhile, which must not lead us to another file.
            let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let there = openat(&directory, name, flags, Mode::empty()).step(|| "look at what is there")?;
            let stat = fstat(&there).step(|| "look at what is there")?;
            let same =
                FileType::from_raw_mode(stat.st_mode) == device.kind && stat.st_rdev as u64 == device.number;
            if !same {
                return Err(
                    Error::os("mknod", Errno::EXIST).hint("the root file system has another file there")
                );
            }
            chmodat(CWD, path_of(&there), mode, AtFlags::empty()).step(|| "set its mode")?;
        }
        Err(Errno::PERM) => {
            return Err(Error::os("mknod", Errno::PERM).hint("making devices takes CAP_MKNOD on the host"));
        }
        other => other.step(|| "mknod")?,
    }
    if (device.uid, device.gid) != (0, 0) {
        let (uid, gid) = (Some(Uid::from_raw(device.uid)), Some(Gid::from_raw(device.gid)));
        chownat(&directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW).step(|| "set its owner")?;
    }
    Ok(())
}

/// Binds the host's node of the same path, which is proved to be that device.
pub fn bind(root: BorrowedFd<'_>, device: &Device) -> Result<()> {
    let host =
        openat(CWD, device.path.as_str(), OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
            .step(|| "open the host's device")?;
    let stat = fstat(&host).step(|| "look at the host's device")?;
    if FileType::from_raw_mode(stat.st_mode) != device.kind || stat.st_rdev as u64 != device.number {
        return Err(Error::new("the host has another device of that name"));
    }
    let (directory, name) = parent(root, &device.path)?;
    let target =
        resolve::open_or_create_without_links(&directory, name, Create::File).step(|| "make the target")?;
    bind_on(&host, || clone_path(&device.path, false), &target)
}

/// Binds `source` on `target`, from its tree as `tree` gives it or by the old call.
fn bind_on(source: &OwnedFd, tree: impl FnOnce() -> Result<OwnedFd>, target: &OwnedFd) -> Result<()> {
    match tree() {
        Ok(tree) => attach(&tree, target).step(|| "attach"),
        Err(error) if error.errno() == Some(Errno::NOSYS) => {
            rustix::mount::mount_bind(path_of(source), path_of(target)).step(|| "bind")
        }
        Err(error) => Err(error),
    }
}

/// Makes a symbolic link, or leaves an equal one.
pub fn link(root: BorrowedFd<'_>, path: &str, target: &str) -> Result<()> {
    let (directory, name) = parent(root, path)?;
    match symlinkat(target, &directory, name) {
        Err(Errno::EXIST) => {
            let there = readlinkat(&directory, name, Vec::new());
            if there.is_ok_and(|there| there.to_bytes() == target.as_bytes()) {
                return Ok(());
            }
            // The image's own file: /dev/ptmx may be a device there, and is replaced like in runc and crun.
            crate::sys::path::unlinkat(&directory, name, AtFlags::empty()).step(|| "remove what is there")?;
            symlinkat(target, &directory, name).step(|| "make the link")
        }
        other => other.step(|| "make the link"),
    }
}

/// The two sides of the container's terminal, and its name inside.
pub struct Terminal {
    /// For the one who starts the container.
    pub master: OwnedFd,
    /// For the process.
    pub slave: OwnedFd,
}

/// The size of the caller's terminal, if there is one: rows and columns.
pub fn size_of_ours() -> Option<(u16, u16)> {
    let size = [stdin(), stdout()].into_iter().find_map(|side| tcgetwinsize(side).ok())?;
    Some((size.ws_row, size.ws_col))
}

/// Opens a terminal of the container's own devpts, of that size (rows, columns), for `uid`, and shows it as
/// /dev/console if it is to be that. Nothing on the way is a path that the image could have prepared (CVE-2025-52565).
pub fn open_terminal(
    root: BorrowedFd<'_>,
    size: Option<(u16, u16)>,
    uid: u32,
    console: bool,
) -> Result<Terminal> {
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    let master = resolve::open_without_links(root, "/dev/pts/ptmx", flags).map_err(|errno| {
        Error::os("open /dev/pts/ptmx", errno).hint("a terminal needs devpts mounted on /dev/pts")
    })?;
    let stat = fstat(&master).step(|| "look at /dev/pts/ptmx")?;
    let number = (rustix::fs::major(stat.st_rdev as _), rustix::fs::minor(stat.st_rdev as _));
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice || number != PTMX {
        return Err(Error::new("/dev/pts/ptmx is not the terminal multiplexer"));
    }
    unlockpt(&master).step(|| "unlock the terminal")?;
    let slave = ioctl_tiocgptpeer(&master, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
        .step(|| "open the terminal's other side")?;
    if let Some((rows, columns)) = size {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).step(|| "set the terminal's size")?;
    }
    fchown(&slave, Some(Uid::from_raw(uid)), None).step(|| "give the terminal to the user")?;
    if !console {
        return Ok(Terminal { master, slave });
    }
    let target = resolve::open_or_create_without_links(root, "/dev/console", Create::File)
        .step(|| "make /dev/console")?;
    let tree = || clone_place(slave.as_fd(), false).step(|| "take the terminal's mount");
    bind_on(&slave, tree, &target).map_err(|error| error.within("mount it on /dev/console"))?;
    Ok(Terminal { master, slave })
}
