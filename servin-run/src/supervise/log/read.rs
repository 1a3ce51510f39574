//! Reading a log: its files from the oldest to the newest as one, from an entry on, and on as it grows.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, OFlags, fstat, inotify};
use rustix::io::{self, Errno, pread};

use super::{Driver, STREAMS, json};
use crate::container::directory::Directory;
use crate::container::people;
use crate::error::{Result, Step};
use crate::image::copy::{DIRECTORY, open_at};
use crate::sys::clock;
use crate::sys::path::statat;

const BLOCK: usize = 64 * 1024;
/// How many milliseconds long a missing file is waited for.
const TRIES: u32 = 200;

/// One entry.
pub struct Entry<'e> {
    /// Whose it is, as an index of [`STREAMS`].
    pub stream: usize,
    /// When it was written.
    pub time: &'e str,
    /// What; a whole line has its end, a piece has none.
    pub text: Vec<u8>,
}

/// The entry in a line of the file; `None` where a power failure, say, has left no such thing.
pub fn entry(driver: Driver, line: &[u8]) -> Option<Entry<'_>> {
    let stream = |name: &[u8]| STREAMS.iter().position(|known| known.as_bytes() == name);
    if driver == Driver::Json {
        let (text, rest) = json::unquote(line.strip_prefix(b"{\"log\":\"")?)?;
        let rest = rest.strip_prefix(b",\"stream\":\"")?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        let time = rest[end..].strip_prefix(b"\",\"time\":\"")?.strip_suffix(b"\"}")?;
        return Some(Entry { stream: stream(&rest[..end])?, time: core::str::from_utf8(time).ok()?, text });
    }
    let mut words = line.splitn(4, |byte| *byte == b' ');
    let (time, name, tag, text) = (words.next()?, words.next()?, words.next()?, words.next()?);
    let mut text = Vec::from(text);
    if tag == b"F" {
        text.push(b'\n');
    }
    Some(Entry { stream: stream(name)?, time: core::str::from_utf8(time).ok()?, text })
}

/// A log that is read.
pub struct Reader {
    driver: Driver,
    folder: OwnedFd,
    file: Option<OwnedFd>,
    offset: u64,
    /// Read, and not yet taken.
    buffer: Vec<u8>,
    taken: usize,
    /// Files that are still to be read after this one, the oldest last.
    next: Vec<OwnedFd>,
    watch: Option<OwnedFd>,
}

impl Reader {
    /// The log of a container, from its last `tail` entries on. With `follow` it is watched.
    pub fn open(directory: &Directory, driver: Driver, tail: Option<usize>, follow: bool) -> Result<Reader> {
        let step = || format!("open {}", directory.file(people::LOG));
        let folder = open_at(directory.as_fd(), people::LOG, DIRECTORY).step(step)?;
        let mut reader = Reader {
            driver,
            folder,
            file: None,
            offset: 0,
            buffer: Vec::new(),
            taken: 0,
            next: Vec::new(),
            watch: None,
        };
        if follow {
            // Before anything is read: nothing is missed between the two.
            let watch =
                inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).step(step)?;
            let path = crate::fs::descriptors::path_of(&reader.folder);
            let events =
                inotify::WatchFlags::MODIFY | inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
            inotify::add_watch(&watch, &*path, events).step(step)?;
            reader.watch = Some(watch);
        }
        // The newest first.
        let mut left = tail;
        for file in reader.files().step(step)? {
            let (from, found) = match left {
                None => (0, 0),
                Some(count) => last_lines(&file, count).step(step)?,
            };
            left = left.map(|count| count - found);
            reader.next.push(file);
            if left == Some(0) || (left.is_some() && from > 0) {
                reader.offset = from;
                break;
            }
        }
        reader.file = reader.next.pop();
        Ok(reader)
    }

    /// All files, the newest first. They are renamed meanwhile, from the oldest on, each to the next number: so none of
    /// them is passed by, some are seen again, and a number can be missing for a moment.
    fn files(&self) -> io::Result<Vec<OwnedFd>> {
        let (mut found, mut inodes) = (Vec::new(), Vec::new());
        let mut number = 0;
        let mut tries = 0;
        loop {
            if let Some(file) = self.file_of(number) {
                let own = inode(&file);
                match inodes.iter().position(|known| *known == own) {
                    // What was found after it was newer, and will be found when this one has been read.
                    Some(at) => {
                        found.truncate(at + 1);
                        inodes.truncate(at + 1);
                    }
                    None => {
                        found.push(file);
                        inodes.push(own);
                    }
                }
            } else if self.inode_of(number + 1).is_none() && !self.is_beyond(number)? {
                return Ok(found);
            } else if tries < TRIES {
                tries += 1;
                clock::pause(1);
                continue;
            }
            // Without a file where whoever renamed them was killed.
            number += 1;
        }
    }

    /// Whether there is a file of a higher number.
    fn is_beyond(&self, number: u32) -> io::Result<bool> {
        for entry in Dir::read_from(&self.folder)? {
            let other = entry?.file_name().to_str().ok().and_then(|name| self.number_of(name));
            if other.is_some_and(|other| other > number) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn name_of(&self, number: u32) -> String {
        match number {
            0 => String::from(self.driver.file()),
            number => format!("{}.{number}", self.driver.file()),
        }
    }

    fn number_of(&self, name: &str) -> Option<u32> {
        match name.strip_prefix(self.driver.file())? {
            "" => Some(0),
            rest => rest.strip_prefix('.')?.parse().ok(),
        }
    }

    fn file_of(&self, number: u32) -> Option<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        open_at(self.folder.as_fd(), &self.name_of(number), flags).ok()
    }

    fn inode_of(&self, number: u32) -> Option<u64> {
        let stat = statat(&self.folder, &*self.name_of(number), AtFlags::SYMLINK_NOFOLLOW);
        stat.ok().map(|stat| stat.st_ino)
    }

    /// What becomes readable when the log has grown.
    pub fn watch(&self) -> Option<&OwnedFd> {
        self.watch.as_ref()
    }

    /// Forgets what was watched so far.
    pub fn rest(&self) {
        let mut bytes = [0; 4096];
        while let Some(watch) = &self.watch
            && matches!(io::read(watch, &mut bytes), Ok(1..))
        {}
    }

    /// The next line, without its end; `None` where there is none yet.
    pub fn line(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            let rest = &self.buffer[self.taken..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let from = self.taken;
                self.taken += end + 1;
                return Ok(Some(&self.buffer[from..from + end]));
            }
            self.buffer.drain(..self.taken);
            self.taken = 0;
            if !self.fill()? && !self.go_on()? {
                return Ok(None);
            }
        }
    }

    /// Reads on in the file; whether there was something.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let filled = self.buffer.len();
        self.buffer.resize(filled + BLOCK, 0);
        let read = io::retry_on_intr(|| pread(file, &mut self.buffer[filled..], self.offset));
        self.buffer.truncate(filled + *read.as_ref().unwrap_or(&0));
        let length = read?;
        self.offset += length as u64;
        Ok(length > 0)
    }

    /// Goes on with the next newer file, or with what this one has got meanwhile; whether there is something.
    fn go_on(&mut self) -> io::Result<bool> {
        if self.next.is_empty() {
            let own = self.file.as_ref().and_then(inode);
            if own.is_some() && self.inode_of(0) == own {
                return Ok(false);
            }
            // Nobody writes to it any more; what came between our last look and that is still to be read.
            if self.fill()? {
                return Ok(true);
            }
            self.next = self.files()?;
            // Not among them where so much was written that it is gone.
            if let Some(at) = self.next.iter().position(|file| inode(file) == own) {
                self.next.truncate(at);
            }
        }
        let Some(next) = self.next.pop() else { return Ok(false) };
        self.file = Some(next);
        self.offset = 0;
        Ok(true)
    }
}

fn inode(file: &OwnedFd) -> Option<u64> {
    fstat(file).ok().map(|stat| stat.st_ino)
}

/// Where the last `count` lines of a file begin, and how many there are.
fn last_lines(file: &OwnedFd, count: usize) -> io::Result<(u64, usize)> {
    let mut end = fstat(file)?.st_size as u64;
    if count == 0 {
        return Ok((end, 0));
    }
    let mut found = 0;
    let mut block = Vec::new();
    let mut last = true;
    while end > 0 {
        let from = end.saturating_sub(BLOCK as u64);
        block.resize((end - from) as usize, 0);
        let length = pread(file, &mut block[..], from)?;
        if length < block.len() {
            return Err(Errno::IO);
        }
        for at in (0..length).rev() {
            if block[at] != b'\n' || core::mem::take(&mut last) {
                continue;
            }
            found += 1;
            if found == count {
                return Ok((from + at as u64 + 1, found));
            }
        }
        last = false;
        end = from;
    }
    Ok((0, if last { 0 } else { found + 1 }))
}

#[cfg(test)]
mod tests {
    use super::super::Log;
    use super::*;
    use crate::container::directory::Root;
    use crate::container::people::LogSettings;
    use crate::image::copy::make_directory;

    #[test]
    fn entries_are_read_as_they_were_written() {
        let line = b"{\"log\":\"a\\\"\\u001b\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-01T00:00:00Z\"}";
        let read = entry(Driver::Json, line).expect("an entry");
        assert_eq!(
            (read.stream, read.time, read.text.as_slice()),
            (1, "2026-01-01T00:00:00Z", &b"a\"\x1b\n"[..])
        );
        let read = entry(Driver::K8s, b"T stdout F a  b").expect("an entry");
        assert_eq!((read.stream, read.time, read.text.as_slice()), (0, "T", &b"a  b\n"[..]));
        assert_eq!(entry(Driver::K8s, b"T stdout P ab").expect("an entry").text, b"ab");
        for bad in [&b""[..], b"{}", b"{\"log\":\"a", b"{\"log\":\"a\",\"stream\":\"x\",\"time\":\"\"}"] {
            assert!(entry(Driver::Json, bad).is_none());
        }
        assert!(entry(Driver::K8s, b"T stdout").is_none());
    }

    #[test]
    fn every_line_comes_once_and_in_order_however_often_the_files_are_renamed() {
        const LINES: usize = 1200;
        let path = std::env::temp_dir().join(format!("servin-log-{}", std::process::id()));
        let root = Root::make(path.to_str().expect("UTF-8"), "").expect("a directory");
        let (directory, _lock) = root.create("one").expect("another");
        make_directory(directory.as_fd(), people::LOG, 0o700).expect("and the log's");
        let settings = LogSettings { driver: "k8s-file".into(), max_size: Some(800), max_file: Some(1000) };
        let mut log = Log::open(&directory, &settings);
        let text = std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..LINES {
                    log.write(0, format!("{number}\n").as_bytes());
                }
            });
            let mut reader = Reader::open(&directory, Driver::K8s, None, true).expect("a reader");
            let mut text = Vec::new();
            while !text.ends_with(format!("\n{}\n", LINES - 1).as_bytes()) {
                if let Some(line) = reader.line().expect("read") {
                    text.extend_from_slice(&entry(Driver::K8s, line).expect("an entry").text);
                }
            }
            text
        });
        std::fs::remove_dir_all(&path).expect("remove");
        let expected: String = (0..LINES).map(|number| format!("{number}\n")).collect();
        assert!(text == expected.as_bytes(), "{}", String::from_utf8_lossy(&text));
    }
}
