//! Files that appear whole.

use alloc::format;

use rustix::fd::{AsFd, BorrowedFd};

use crate::sys::path::{openat, renameat, unlinkat};
use rustix::fs::{AtFlags, Mode, OFlags, fchmod};
use rustix::io;

use super::copy::write_all;

/// Writes `name` below `parent` so that whoever reads it sees all or nothing of it; `mode` is 0600 or more.
pub fn write_whole(parent: BorrowedFd<'_>, name: &str, text: &str, mode: u32) -> io::Result<()> {
    const NEW: OFlags = OFlags::WRONLY
        .union(OFlags::CREATE)
        .union(OFlags::TRUNC)
        .union(OFlags::CLOEXEC)
        .union(OFlags::NOFOLLOW);
    let (folder, last) = name.rsplit_once('/').map_or(("", name), |(folder, last)| (folder, last));
    let slash = if name.contains('/') { "/" } else { "" };
    let new = format!("{folder}{slash}.{last}.{}", rustix::process::getpid());
    let file = io::retry_on_intr(|| openat(parent, &*new, NEW, Mode::RUSR | Mode::WUSR))?;
    let opened = if mode == 0o600 { Ok(()) } else { fchmod(&file, Mode::from_raw_mode(mode)) };
    let written = opened
        .and_then(|()| write_all(file.as_fd(), text.as_bytes()))
        .and_then(|()| renameat(parent, &*new, parent, name));
    if written.is_err() {
        let _ = unlinkat(parent, &*new, AtFlags::empty());
    }
    written
}
