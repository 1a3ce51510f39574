//! Archives: reading tar streams as the world writes them. ustar and pax ([POSIX.1-2024, pax][pax]), GNU's long
//! names, numbers in base 256 and sparse files ([GNU tar, Basic Tar Format][gnu]), extended attributes as
//! libarchive and star write them.
//!
//! The archive is a stranger's: numbers are checked, headers are bounded, and names are only split here; whoever
//! unpacks keeps them inside a directory.
//!
//! [pax]: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html
//! [gnu]: https://www.gnu.org/software/tar/manual/html_node/Standard.html

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::stream::{Stream, take};
use crate::error::{Error, Result};

mod header;
pub mod pack;
mod pax;
mod sparse;
#[cfg(test)]
mod tests;
pub mod write;

use header::Header;
use pax::Extended;
pub use sparse::Segment;

/// Headers, and what fills contents up, are of this size.
pub const BLOCK: usize = 512;

/// What one archive may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of all contents together.
    pub bytes: u64,
    /// Entries.
    pub entries: u64,
    /// Bytes of one entry's extended headers, long names and map of holes.
    pub header: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { bytes: 64 << 30, entries: 4_000_000, header: 1 << 20 }
    }
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// Another name of a file before it.
    HardLink,
    /// A symbolic link.
    Symlink,
    /// A character device.
    Character,
    /// A block device.
    Block,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
}

/// A time since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Seconds, negative before 1970.
    pub seconds: i64,
    /// And nanoseconds after them.
    pub nanoseconds: u32,
}

/// One entry's description.
#[derive(Debug)]
pub struct Entry {
    /// The name as it was written.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Permissions.
    pub mode: u32,
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// When it was last changed.
    pub mtime: Time,
    /// The content's length when it is unpacked.
    pub size: u64,
    /// A device's major and minor numbers.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where the content's bytes go, for a sparse file.
    pub segments: Option<Vec<Segment>>,
}

impl Entry {
    /// The name for an error.
    pub fn name(&self) -> String {
        shown(&self.path)
    }
}

/// A name for an error, cut where it is long.
pub fn shown(path: &[u8]) -> String {
    let short = &path[..path.len().min(200)];
    let quoted = format!("{:?}", String::from_utf8_lossy(short));
    let more = if short.len() < path.len() { "…" } else { "" };
    format!("{}{more}", quoted.get(1..quoted.len() - 1).unwrap_or_default())
}

/// An archive that is being read.
pub struct Archive<'a> {
    input: Box<dyn Stream + 'a>,
    limits: Limits,
    /// pax records for all entries that follow.
    global: Extended,
    /// Content of the current entry that was not read yet.
    left: u64,
    /// Zeroes after it.
    padding: u64,
    entries: u64,
    bytes: u64,
    position: u64,
}

impl<'a> Archive<'a> {
    /// Reads an archive that is not compressed.
    pub fn new(input: Box<dyn Stream + 'a>, limits: Limits) -> Self {
        Archive {
            input,
            limits,
            global: Extended::default(),
            left: 0,
            padding: 0,
            entries: 0,
            bytes: 0,
            position: 0,
        }
    }

    /// Reads a block; false at the very end.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        match take(&mut *self.input, block)? {
            0 => Ok(false),
            BLOCK => {
                self.position += BLOCK as u64;
                Ok(true)
            }
            _ => Err(cut_off()),
        }
    }

    fn skip(&mut self, length: u64) -> Result<()> {
        self.position = self.position.saturating_add(length);
        if self.input.skip(length)? < length { Err(cut_off()) } else { Ok(()) }
    }

    /// The content of a header's own entry: a long name, pax records.
    fn header_content(&mut self, size: u64, so_far: &mut u64) -> Result<Vec<u8>> {
        *so_far = so_far.saturating_add(size);
        if *so_far > self.limits.header {
            return Err(Error::new(format_args!(
                "an entry's headers are longer than {} bytes",
                self.limits.header
            ))
            .hint("--max-header-size raises the limit"));
        }
        let mut content = alloc::vec![0; size as usize];
        if take(&mut *self.input, &mut content)? < content.len() {
            return Err(cut_off());
        }
        self.position += size;
        self.skip(padding(size))?;
        Ok(content)
    }

    /// Goes on to the next entry; none at the archive's end.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        self.skip(self.left)?;
        self.skip(self.padding)?;
        (self.left, self.padding) = (0, 0);
        let mut own = Extended::default();
        let (mut long_name, mut long_link) = (None, None);
        let mut header_bytes = 0;
        let mut block = [0; BLOCK];
        loop {
            if !self.block(&mut block)? {
                // Some writers leave the two blocks of zeroes out.
                return if header_bytes == 0 { Ok(None) } else { Err(cut_off()) };
            }
            if block == [0; BLOCK] {
                // One such block is the end for everybody but the specification.
                return Ok(None);
            }
            let header = Header::read(&block)?;
            // Also for those without content, of which there may be as many.
            header_bytes += 1;
            match header.kind {
                b'x' => own.read(&self.header_content(header.size, &mut header_bytes)?)?,
                b'g' => {
                    let content = self.header_content(header.size, &mut header_bytes)?;
                    self.global.read(&content)?;
                }
                b'L' => long_name = Some(until_zero(self.header_content(header.size, &mut header_bytes)?)),
                b'K' => long_link = Some(until_zero(self.header_content(header.size, &mut header_bytes)?)),
                // The name of a volume, and Solaris's own records.
                b'V' | b'X' => drop(self.header_content(header.size, &mut header_bytes)?),
                _ => {
                    let entry = self.entry(header, &block, own, long_name, long_link);
                    return entry.map(Some);
                }
            }
        }
    }

    fn entry(
        &mut self,
        header: Header,
        block: &[u8; BLOCK],
        own: Extended,
        long_name: Option<Vec<u8>>,
        long_link: Option<Vec<u8>>,
    ) -> Result<Entry> {
        let extended = own.over(&self.global);
        let path = extended.path.or(long_name).unwrap_or(header.path);
        let within = |error: Error, path: &[u8]| error.within(format_args!("entry {}", shown(path)));
        let kind = header::kind(header.kind, &path).map_err(|error| within(error, &path))?;
        let stored = extended.size.unwrap_or(header.size);
        // Of what is no file, a size is a remark at most, and a link's content is its target's.
        (self.left, self.padding) = match kind {
            Kind::File | Kind::HardLink => (stored, padding(stored)),
            _ => (0, 0),
        };
        self.count(if kind == Kind::File { stored } else { 0 }).map_err(|error| within(error, &path))?;
        let id = |number: u64, what: &str| {
            u32::try_from(number)
                .ok()
                .filter(|id| *id < u32::MAX)
                .ok_or_else(|| within(Error::new(format_args!("its {what} {number} is none")), &path))
        };
        let mut entry = Entry {
            kind,
            link: extended.link.or(long_link).unwrap_or(header.link),
            mode: header.mode & 0o7777,
            uid: id(extended.uid.unwrap_or(header.uid), "owner")?,
            gid: id(extended.gid.unwrap_or(header.gid), "group")?,
            mtime: extended.mtime.unwrap_or(Time { seconds: header.mtime, nanoseconds: 0 }),
            size: stored,
            device: header.device,
            xattrs: extended.xattrs,
            segments: None,
            path,
        };
        if kind == Kind::File {
            let sparse = if header.kind == b'S' {
                sparse::gnu(self, block)
            } else {
                sparse::pax(self, extended.sparse)
            };
            if let Some(found) = sparse.map_err(|error| within(error, &entry.path))? {
                entry.path = found.name.unwrap_or(entry.path);
                entry.size = found.size;
                entry.segments = Some(found.segments);
            }
        }
        Ok(entry)
    }

    fn count(&mut self, size: u64) -> Result<()> {
        self.entries += 1;
        self.bytes = self.bytes.saturating_add(size);
        if self.entries > self.limits.entries {
            return Err(Error::new(format_args!(
                "the archive has more than {} entries",
                self.limits.entries
            ))
            .hint("--max-entries raises the limit"));
        }
        if self.bytes > self.limits.bytes {
            return Err(Error::new(format_args!(
                "the archive unpacks to more than {} bytes",
                self.limits.bytes
            ))
            .hint("--max-size raises the limit"));
        }
        Ok(())
    }

    /// Where in the archive we are: at the beginning of the entry's content, until some of it is read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// More of the current entry's content; nothing at its end.
    pub fn content(&mut self) -> Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let there = self.input.fill()?;
        if there.is_empty() {
            return Err(cut_off());
        }
        let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(there.len());
        Ok(&there[..length])
    }

    /// Goes on behind `length` bytes of what [`Self::content`] showed.
    pub fn consume(&mut self, length: usize) {
        self.left -= length as u64;
        self.position += length as u64;
        self.input.consume(length);
    }

    /// Reads what follows the last entry, so that the stream is seen (and hashed) as a whole.
    pub fn finish(&mut self) -> Result<()> {
        super::stream::drain(&mut *self.input)
    }
}

fn cut_off() -> Error {
    Error::new("the archive is cut off")
}

/// How many zeroes fill the last block of `size` bytes.
pub fn padding(size: u64) -> u64 {
    (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64
}

fn until_zero(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    bytes.truncate(end);
    bytes
}
