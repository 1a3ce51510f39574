//! Images in files: archives of `docker save` and of OCI layouts, and OCI layouts in directories. Each is a source
//! ([`docker`], [`layout`]); [`save`] writes both kinds of archives.
//!
//! An archive is read at random, since its first member may be the last that is needed. What comes through a pipe, or
//! is compressed, is therefore first written to a file without a name.

use alloc::boxed::Box;
use alloc::format;
use alloc::rc::Rc;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, SeekFrom, fstat, seek};
use rustix::io::{self, Errno};

use super::decompress::{Compression, compression, decompressed};
use super::documents::Descriptor;
use super::manifest::LARGEST_DOCUMENT;
use super::reference::Reference;
use super::source::{Read, Source};
use super::store::Store;
use super::stream::{BUFFER, Borrowed, Buffered, Stream};
use super::tar::{Archive, Kind, Limits, shown};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::resolve;
use crate::gather::Gather as _;
use crate::sys::path::openat;

pub mod docker;
pub mod layout;
pub mod save;

/// The files of an archive or a directory.
pub enum Files {
    /// A directory.
    Directory(OwnedFd),
    /// An archive and its members.
    Archive(OwnedFd, Vec<Member>),
}

/// A file in an archive.
pub struct Member {
    name: String,
    offset: u64,
    size: u64,
    /// Another member that this one is a link to.
    link: Option<String>,
}

/// A part of a file, read from its beginning.
struct Section {
    files: Rc<Files>,
    /// A file of a directory; else it is the archive.
    file: Option<OwnedFd>,
    position: u64,
    end: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let file = match (&self.file, &*self.files) {
            (Some(file), _) | (None, Files::Directory(file) | Files::Archive(file, _)) => file,
        };
        let length = buffer.len().min(usize::try_from(self.end - self.position).unwrap_or(usize::MAX));
        let read = io::retry_on_intr(|| io::pread(file, &mut buffer[..length], self.position));
        let length = read.step(|| "read the archive")?;
        self.position += length as u64;
        Ok(length)
    }
}

/// Files that several processes and readers may read at the same time.
#[derive(Clone)]
pub struct Shared(Rc<Files>);

impl Shared {
    /// Whether there is a file of that name.
    pub fn has(&self, name: &str) -> bool {
        self.open(name).is_ok()
    }

    /// Opens a file; says its length too.
    pub fn open(&self, name: &str) -> Result<(Box<dyn Read>, u64)> {
        let (file, position, size) = match &*self.0 {
            Files::Directory(directory) => {
                let step = || format!("open {}", shown(name.as_bytes()));
                let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
                let file = resolve::open(directory, name, flags).step(step)?;
                let stat = fstat(&file).step(step)?;
                if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
                    return Err(Error::new(format_args!("{}: not a file", shown(name.as_bytes()))));
                }
                (Some(file), 0, stat.st_size as u64)
            }
            Files::Archive(_, members) => {
                let mut member = find(members, name)?;
                // Older versions of Docker save a layer once, and links to it.
                if let Some(target) = &member.link {
                    member = find(members, target)?;
                }
                (None, member.offset, member.size)
            }
        };
        Ok((Box::new(Section { files: self.0.clone(), file, position, end: position + size }), size))
    }

    /// The content of a small file.
    pub fn document(&self, name: &str) -> Result<Vec<u8>> {
        let (mut reader, size) = self.open(name)?;
        if size > LARGEST_DOCUMENT as u64 {
            return Err(Error::new(format_args!("{}: longer than 4 MiB", shown(name.as_bytes()))));
        }
        let mut content = alloc::vec![0; size as usize];
        let mut filled = 0;
        while filled < content.len() {
            match reader.read(&mut content[filled..])? {
                0 => return Err(Error::new(format_args!("{}: cut off", shown(name.as_bytes())))),
                length => filled += length,
            }
        }
        Ok(content)
    }
}

fn find<'m>(members: &'m [Member], name: &str) -> Result<&'m Member> {
    // Of a name that comes twice the last one counts.
    members.iter().rev().find(|member| member.name == name).ok_or_else(|| {
        Error::os(format_args!("find {} in the archive", shown(name.as_bytes())), Errno::NOENT)
    })
}

/// An image in an archive.
pub struct Offered {
    /// What the source knows its manifest by.
    pub what: String,
    /// Its names.
    pub references: Vec<Reference>,
}

/// The images that a file, a directory or standard input (`-`) holds.
pub fn open(store: &Store, path: &str) -> Result<(Box<dyn Source>, Vec<Offered>)> {
    let within = |error: Error| error.within(if path == "-" { "standard input" } else { path });
    let shared = files(store, path).map_err(within)?;
    if shared.has("index.json") {
        return layout::open(shared).map_err(within);
    }
    if shared.has("manifest.json") {
        return docker::open(shared).map_err(within);
    }
    let error =
        Error::new(format_args!("{path}: this is neither an OCI layout nor an archive of docker save"));
    Err(error.hint("`servin import` makes an image of an archive of a root file system"))
}

fn files(store: &Store, path: &str) -> Result<Shared> {
    if path == "-" {
        return archive(store, crate::fs::descriptors::stdin()).map(|files| Shared(Rc::new(files)));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = openat(CWD, path, flags, Mode::empty()).step(|| "open")?;
    let is_directory =
        FileType::from_raw_mode(fstat(&file).step(|| "look at it")?.st_mode) == FileType::Directory;
    let files = if is_directory { Files::Directory(file) } else { archive(store, file.as_fd())? };
    Ok(Shared(Rc::new(files)))
}

/// The first bytes of a file that can be read again; none of a pipe.
fn beginning(file: BorrowedFd<'_>) -> Option<[u8; 8]> {
    let mut bytes = [0; 8];
    seek(file, SeekFrom::Current(0)).ok()?;
    io::pread(file, &mut bytes, 0).ok().map(|_| bytes)
}

fn archive(store: &Store, file: BorrowedFd<'_>) -> Result<Files> {
    let plain = match beginning(file) {
        Some(bytes) => compression(&bytes)? == Compression::None,
        None => false,
    };
    let file = if plain {
        io::fcntl_dupfd_cloexec(file, 3).step(|| "duplicate a descriptor")?
    } else {
        let spool = spool(store)?;
        let mut stream = decompressed(Box::new(Buffered::new(Box::new(Borrowed(file)))))?;
        loop {
            let bytes = stream.fill()?;
            if bytes.is_empty() {
                break;
            }
            write_all(spool.as_fd(), bytes).step(|| format!("write a temporary file in {}", store.home()))?;
            let length = bytes.len();
            stream.consume(length);
        }
        spool
    };
    let members = members(&file)?;
    Ok(Files::Archive(file, members))
}

/// A file without a name, on the same file system as the store.
pub fn spool(store: &Store) -> Result<OwnedFd> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    openat(store.as_fd(), c".", flags, Mode::RUSR | Mode::WUSR)
        .step(|| format!("make a temporary file in {}", store.home()))
}

/// A file of which parts are passed over without reading them.
struct Seekable<'f> {
    file: &'f OwnedFd,
    /// Where the buffer begins.
    position: u64,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Stream for Seekable<'_> {
    fn fill(&mut self) -> Result<&[u8]> {
        if self.start == self.end {
            self.position += self.end as u64;
            (self.start, self.end) = (0, 0);
            let read = io::retry_on_intr(|| io::pread(self.file, &mut self.buffer[..], self.position));
            self.end = read.step(|| "read the archive")?;
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
    }

    fn skip(&mut self, length: u64) -> Result<u64> {
        let buffered = (self.end - self.start) as u64;
        if length <= buffered {
            self.start += length as usize;
            return Ok(length);
        }
        self.position = self.position.saturating_add(self.start as u64).saturating_add(length);
        (self.start, self.end) = (0, 0);
        // What lies behind the end of the file is found to be missing when it is read.
        Ok(length)
    }
}

/// Where the files of an archive are.
fn members(file: &OwnedFd) -> Result<Vec<Member>> {
    let size = fstat(file).step(|| "look at the archive")?.st_size as u64;
    let buffer = alloc::vec![0; BUFFER / 16];
    let stream = Seekable { file, position: 0, buffer, start: 0, end: 0 };
    let limits = Limits { bytes: u64::MAX, entries: 100_000, ..Limits::default() };
    let mut archive = Archive::new(Box::new(stream), limits);
    let mut members = Vec::new();
    while let Some(entry) = archive.next_entry()? {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_start_matches("./").to_string();
        let name = text(&entry.path);
        let link = match entry.kind {
            Kind::File if entry.segments.is_none() => None,
            Kind::HardLink => Some(text(&entry.link)),
            Kind::Symlink => Some(beside(&name, &text(&entry.link))),
            _ => continue,
        };
        let offset = archive.position();
        if link.is_none() && offset.checked_add(entry.size).is_none_or(|end| end > size) {
            return Err(Error::new("the archive is cut off"));
        }
        members.push(Member { name, offset, size: entry.size, link });
    }
    Ok(members)
}

/// What a link in the archive's file `name` leads to: `../` is the only way out of a directory.
fn beside(name: &str, target: &str) -> String {
    let mut parts: Vec<&str> = name.split('/').gather();
    parts.pop();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The descriptors of a manifest made here of documents without one.
fn descriptor(media_type: &str, digest: String, size: u64) -> Descriptor {
    Descriptor { media_type: media_type.into(), digest, size, ..Descriptor::default() }
}
