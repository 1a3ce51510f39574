//! `servin cp` with `-`: what a container has as an archive on standard output, and an archive on standard input into a
//! directory of a container.

use alloc::boxed::Box;
use alloc::format;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType};
use rustix::process::geteuid;
use rustix::termios::isatty;

use super::{Side, split};
use crate::cli::image::load::to_file;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::stdin;
use crate::image::decompress::decompressed;
use crate::image::stream::{Borrowed, Buffered};
use crate::image::tar::{Archive, Limits, pack};
use crate::image::unpack::{self, Options, Whiteouts};
use crate::sys::path::statat;

/// Writes a file, or a directory and what is in it, under its own name; of a directory that has none here, the contents.
pub fn write(source: &Side) -> Result<()> {
    let look = || format!("look at {}", source.path);
    let (above, name) = split(source.path);
    if matches!(name, "" | "." | "..") {
        let directory = source.directory(source.path).step(look)?;
        return to_file(None, &mut |to| pack::pack(&directory, to, Whiteouts::None));
    }
    let above = source.directory(above).step(look)?;
    let stat = statat(&above, name, AtFlags::SYMLINK_NOFOLLOW).step(look)?;
    let is_directory = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    to_file(None, &mut |to| pack::pack_one(&above, name.as_bytes(), is_directory, to))
}

/// Unpacks what comes in, compressed or not. Owners are those of the archive.
pub fn read(target: &Side) -> Result<()> {
    let directory: OwnedFd =
        target.directory(target.path).step(|| format!("open the directory {}", target.path))?;
    if isatty(stdin()) {
        return Err(Error::new("an archive is missing on standard input"));
    }
    let input = decompressed(Box::new(Buffered::new(Box::new(Borrowed(stdin())))))?;
    let own = !geteuid().is_root();
    let options = Options { whiteouts: Whiteouts::None, unprivileged: own, one_owner: own };
    let unpacked = unpack::unpack(&mut Archive::new(input, Limits::default()), &directory, &options)?;
    unpack::complete(&directory, &unpacked, &[], Whiteouts::None)
}
