//! The log of a container: what it prints, line by line, with the time. The files are Docker's json-file or the
//! k8s-file of CRI-O and Podman; when one is full it is renamed, and another one begun.

mod json;
pub mod read;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::mem;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, fstat, ftruncate};

use crate::container::people::{self, LogSettings};
use crate::container::time;
use crate::fs::copy::write_all;
use crate::image::copy::{DIRECTORY, open_at};
use crate::sys::path::renameat;

/// The longest piece of a line in one entry, as Docker has it.
const LONGEST: usize = 16 * 1024;

/// How entries are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// An object a line: `{"log":"text\n","stream":"stdout","time":"…"}`.
    Json,
    /// `TIME stdout F text`; P instead of F where the line goes on in the next entry.
    K8s,
    /// Not at all.
    None,
}

impl Driver {
    /// By its name; Docker's default where it has none.
    pub fn by_name(name: &str) -> Option<Driver> {
        Some(match name {
            "" | "json-file" => Driver::Json,
            "k8s-file" => Driver::K8s,
            "none" => Driver::None,
            _ => return None,
        })
    }

    /// The name of the newest file; the older ones have a number behind it, the larger the older.
    pub fn file(self) -> &'static str {
        match self {
            Driver::K8s => "k8s.log",
            _ => "json.log",
        }
    }
}

/// What the two streams are called.
pub const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// The log that a supervisor writes.
pub struct Log {
    driver: Driver,
    /// The folder of the files.
    folder: Option<OwnedFd>,
    file: Option<OwnedFd>,
    size: u64,
    max_size: u64,
    max_files: u32,
    /// The beginnings of lines that have not ended yet.
    begun: [Vec<u8>; 2],
    /// The last entry of this stream was a piece of a line.
    pieces: [bool; 2],
}

impl Log {
    /// Opens the log of a container.
    pub fn open(directory: &crate::container::directory::Directory, settings: &LogSettings) -> Log {
        let driver = Driver::by_name(&settings.driver).unwrap_or(Driver::Json);
        let folder = match driver {
            Driver::None => None,
            _ => open_at(directory.as_fd(), people::LOG, DIRECTORY).ok(),
        };
        let mut log = Log {
            driver,
            folder,
            file: None,
            size: 0,
            max_size: settings.max_size.unwrap_or(u64::MAX),
            max_files: settings.max_file.unwrap_or(1).max(1),
            begun: Default::default(),
            pieces: [false; 2],
        };
        log.open_file();
        log
    }

    fn open_file(&mut self) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        self.file =
            self.folder.as_ref().and_then(|folder| open_at(folder.as_fd(), self.driver.file(), flags).ok());
        self.size =
            self.file.as_ref().and_then(|file| fstat(file).ok()).map_or(0, |stat| stat.st_size as u64);
    }

    /// Takes what the container has written to one of its streams.
    pub fn write(&mut self, stream: usize, bytes: &[u8]) {
        if self.file.is_none() {
            return;
        }
        let mut text = Vec::new();
        let now = time::now();
        let mut begun = mem::take(&mut self.begun[stream]);
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = LONGEST - begun.len();
            let (taken, complete) = match rest.iter().take(room).position(|byte| *byte == b'\n') {
                Some(end) => (end + 1, true),
                None => (rest.len().min(room), false),
            };
            begun.extend_from_slice(&rest[..taken]);
            rest = &rest[taken..];
            if complete {
                self.entry(&mut text, stream, &now, &begun);
                begun.clear();
            } else if begun.len() == LONGEST {
                // Not in the middle of a character.
                let cut = boundary(&begun);
                let next = begun.split_off(cut);
                self.entry(&mut text, stream, &now, &begun);
                begun = next;
            }
        }
        self.begun[stream] = begun;
        self.flush(&text);
    }

    /// Writes what was begun, because no more comes.
    pub fn end(&mut self) {
        for stream in 0..STREAMS.len() {
            let begun = mem::take(&mut self.begun[stream]);
            if !begun.is_empty() {
                let mut text = Vec::new();
                self.entry(&mut text, stream, &time::now(), &begun);
                self.flush(&text);
            }
        }
    }

    /// Whether no line is begun.
    pub fn is_at_rest(&self) -> bool {
        self.begun.iter().all(Vec::is_empty)
    }

    fn entry(&mut self, text: &mut Vec<u8>, stream: usize, now: &str, line: &[u8]) {
        let before = text.len();
        let whole = line.ends_with(b"\n");
        match self.driver {
            Driver::Json => {
                text.extend_from_slice(b"{\"log\":");
                json::quote(text, line);
                for part in [",\"stream\":\"", STREAMS[stream], "\",\"time\":\"", now, "\"}\n"] {
                    text.extend_from_slice(part.as_bytes());
                }
            }
            _ => {
                for part in [now, " ", STREAMS[stream], if whole { " F " } else { " P " }] {
                    text.extend_from_slice(part.as_bytes());
                }
                text.extend_from_slice(line);
                if !whole {
                    text.push(b'\n');
                }
            }
        }
        // A line is not divided between two files, unless it is in pieces anyway; and each file has one at least.
        if self.size + before as u64 > 0
            && self.size + text.len() as u64 > self.max_size
            && !self.pieces[stream]
        {
            let entry = text.split_off(before);
            self.flush(text);
            self.rotate();
            *text = entry;
        }
        self.pieces[stream] = !whole;
    }

    /// If the disk is full, lines are lost and the container goes on; a part of a line would spoil the next one too.
    fn flush(&mut self, text: &[u8]) {
        let Some(file) = &self.file else { return };
        if write_all(file.as_fd(), text).is_ok() {
            self.size += text.len() as u64;
        } else if fstat(file).is_ok_and(|stat| stat.st_size as u64 > self.size) {
            let _ = ftruncate(file, self.size);
        }
    }

    fn rotate(&mut self) {
        let Some(folder) = &self.folder else { return };
        let name = |number: u32| match number {
            0 => String::from(self.driver.file()),
            number => format!("{}.{number}", self.driver.file()),
        };
        match self.max_files {
            // One file only: it is begun anew.
            1 => drop(crate::sys::path::unlinkat(folder, self.driver.file(), rustix::fs::AtFlags::empty())),
            count => {
                for number in (0..count - 1).rev() {
                    let _ = renameat(folder, &*name(number), folder, &*name(number + 1));
                }
            }
        }
        self.open_file();
    }
}

/// Where bytes can be cut without dividing a character: at their end, or at most three before.
fn boundary(bytes: &[u8]) -> usize {
    let length = bytes.len();
    for back in 1..=length.min(3) {
        let byte = bytes[length - back];
        if byte & 0xc0 == 0x80 {
            continue;
        }
        let needs = match byte {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            _ => 1,
        };
        return if needs > back { length - back } else { length };
    }
    length
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_divided() {
        for (text, cut) in [("aé", 3), ("a", 1), ("", 0), ("€", 3)] {
            assert_eq!(boundary(text.as_bytes()), cut, "{text}");
        }
        assert_eq!(boundary(&"a€".as_bytes()[..3]), 1);
        assert_eq!(boundary(&"a€".as_bytes()[..2]), 1);
        assert_eq!(boundary(&[0x80, 0x80, 0x80, 0x80]), 4);
    }
}
