//! Bytes on their way: from a file or a socket through decompression and hashing to whoever unpacks them. Each
//! station lends its buffer to the next, so that nothing is copied on the way and little is held.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};

use super::digest::Hasher;
use super::source::Read;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;

/// What is asked for at once.
pub const BUFFER: usize = 128 << 10;

/// Bytes that are looked at in place.
pub trait Stream {
    /// The bytes that come next: the same until they are consumed, none at the end.
    fn fill(&mut self) -> Result<&[u8]>;
    /// Goes on behind the first `length` of them.
    fn consume(&mut self, length: usize);
    /// Passes over bytes; says over how many, if the end comes before.
    fn skip(&mut self, length: u64) -> Result<u64> {
        let mut left = length;
        while left > 0 {
            let there = (self.fill()?.len() as u64).min(left);
            if there == 0 {
                break;
            }
            self.consume(there as usize);
            left -= there;
        }
        Ok(length - left)
    }
}

/// Takes exactly as many bytes as `target` has room for; says how many there were before the end.
pub fn take(stream: &mut dyn Stream, target: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < target.len() {
        let bytes = stream.fill()?;
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len().min(target.len() - filled);
        target[filled..filled + length].copy_from_slice(&bytes[..length]);
        stream.consume(length);
        filled += length;
    }
    Ok(filled)
}

/// Passes over all that is still to come.
pub fn drain(stream: &mut dyn Stream) -> Result<()> {
    loop {
        match stream.fill()?.len() {
            0 => return Ok(()),
            length => stream.consume(length),
        }
    }
}

/// A stream of what a reader reads.
pub struct Buffered<'a> {
    reader: Box<dyn Read + 'a>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl<'a> Buffered<'a> {
    /// Reads from `reader`.
    pub fn new(reader: Box<dyn Read + 'a>) -> Self {
        Buffered { reader, buffer: vec![0; BUFFER], start: 0, end: 0 }
    }
}

impl Stream for Buffered<'_> {
    fn fill(&mut self) -> Result<&[u8]> {
        if self.start == self.end {
            (self.start, self.end) = (0, self.reader.read(&mut self.buffer)?);
        }
        Ok(&self.buffer[self.start..self.end])
    }

    fn consume(&mut self, length: usize) {
        self.start += length;
    }
}

/// A reader of what a stream carries.
impl Read for Box<dyn Stream + '_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let bytes = self.fill()?;
        let length = bytes.len().min(buffer.len());
        buffer[..length].copy_from_slice(&bytes[..length]);
        self.consume(length);
        Ok(length)
    }
}

/// An open file, from where it stands on.
pub struct File(pub OwnedFd);

impl Read for File {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        read_some(self.0.as_fd(), buffer)
    }
}

/// Standard input, or another descriptor of somebody else.
pub struct Borrowed<'a>(pub BorrowedFd<'a>);

impl Read for Borrowed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        read_some(self.0, buffer)
    }
}

fn read_some(file: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<usize> {
    loop {
        match io::read(file, &mut *buffer) {
            Err(Errno::INTR) => {}
            other => return other.step(|| "read"),
        }
    }
}

/// Bytes in memory.
pub struct Bytes<'a>(pub &'a [u8]);

impl Read for Bytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.0.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.0[..length]);
        self.0 = &self.0[length..];
        Ok(length)
    }
}

/// What passes through is hashed, and written to a file where one is given.
pub struct Tee<'a> {
    /// Where the bytes come from.
    pub reader: Box<dyn Read + 'a>,
    /// Their digest so far.
    pub hasher: &'a mut Hasher,
    /// What they are written to.
    pub copy: Option<BorrowedFd<'a>>,
    /// How many there may be.
    pub limit: u64,
}

impl Read for Tee<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.reader.read(buffer)?;
        self.hasher.update(&buffer[..length]);
        if self.hasher.length > self.limit {
            return Err(Error::new(format_args!("it is longer than the {} bytes announced", self.limit)));
        }
        if let Some(copy) = self.copy {
            write_all(copy, &buffer[..length]).step(|| "write the blob")?;
        }
        Ok(length)
    }
}

/// A stream that is hashed on the way.
pub struct Hashing<'a> {
    stream: Box<dyn Stream + 'a>,
    hasher: &'a mut Hasher,
    /// How much of what the stream shows now was hashed already.
    seen: usize,
}

impl<'a> Hashing<'a> {
    /// Hashes `stream` into `hasher`.
    pub fn new(stream: Box<dyn Stream + 'a>, hasher: &'a mut Hasher) -> Self {
        Hashing { stream, hasher, seen: 0 }
    }
}

impl Stream for Hashing<'_> {
    fn fill(&mut self) -> Result<&[u8]> {
        let bytes = self.stream.fill()?;
        if bytes.len() > self.seen {
            self.hasher.update(&bytes[self.seen..]);
            self.seen = bytes.len();
        }
        Ok(bytes)
    }

    fn consume(&mut self, length: usize) {
        self.seen -= length;
        self.stream.consume(length);
    }
}
