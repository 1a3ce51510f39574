//! The files of a cgroup: each is read whole and written with one write(2), which is one request to the kernel.

use alloc::string::String;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, SeekFrom, seek};
use rustix::io::{self, Errno};

use crate::fs::read_to_end;
use crate::sys::path::openat;

/// Opens `name` in a cgroup's directory. No file there is a link.
pub fn open(directory: impl AsFd, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
    openat(directory, name, flags | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

/// Opens the directory at `path`, to list it and to open its files.
pub fn open_directory(directory: impl AsFd, path: &str) -> io::Result<OwnedFd> {
    open(directory, path, OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Opens the directory at the absolute `path`.
pub fn open_absolute(path: &str) -> io::Result<OwnedFd> {
    open_directory(CWD, path)
}

/// All that `name` holds now.
pub fn read(directory: impl AsFd, name: &str) -> io::Result<String> {
    let bytes = read_to_end(open(directory, name, OFlags::RDONLY)?)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// All that an open file holds now. Each time anew, and through the same descriptor: only then does poll(2) on it tell
/// of the next change, and not of one that was seen already (kernfs_generic_poll in the kernel's fs/kernfs/file.c).
pub fn read_again(file: &OwnedFd) -> io::Result<String> {
    seek(file, SeekFrom::Start(0))?;
    Ok(String::from_utf8_lossy(&read_to_end(file)?).into_owned())
}

/// As [`read`], where a file that is not there (an older kernel, a controller that is not enabled) is empty.
pub fn read_if_there(directory: impl AsFd, name: &str) -> io::Result<String> {
    match read(directory, name) {
        Err(Errno::NOENT) => Ok(String::new()),
        other => other,
    }
}

/// Asks the kernel for `value` in `name`.
pub fn write(directory: impl AsFd, name: &str, value: &str) -> io::Result<()> {
    let file = open(directory, name, OFlags::WRONLY)?;
    match io::retry_on_intr(|| io::write(&file, value.as_bytes()))? {
        length if length == value.len() => Ok(()),
        _ => Err(Errno::IO),
    }
}

/// Whether `word` is among the words of `text`.
pub fn has_word(text: &str, word: &str) -> bool {
    text.split_ascii_whitespace().any(|w| w == word)
}

/// The number behind `key` in lines of `key number`.
pub fn number(text: &str, key: &str) -> Option<u64> {
    for line in text.lines() {
        if let Some((name, value)) = line.split_once(' ')
            && name == key
        {
            return value.trim().parse().ok();
        }
    }
    None
}
