//! How messages of TLS are written down (RFC 8446 section 3): numbers, and vectors that say their length first.

use alloc::vec::Vec;

use super::fault::{DECODE_ERROR, Fault, Outcome};

/// The rest of a message that is being read.
pub struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    pub fn bytes(&mut self, length: usize) -> Outcome<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(Fault::Own(DECODE_ERROR))?;
        self.0 = rest;
        Ok(bytes)
    }

    /// A number of so many bytes.
    pub fn number(&mut self, width: usize) -> Outcome<usize> {
        Ok(number(self.bytes(width)?))
    }

    /// A vector whose length has so many bytes.
    pub fn vector(&mut self, width: usize) -> Outcome<Reader<'a>> {
        let length = self.number(width)?;
        Ok(Reader(self.bytes(length)?))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There has to be nothing more.
    pub fn end(&self) -> Outcome<()> {
        if self.is_empty() { Ok(()) } else { Err(Fault::Own(DECODE_ERROR)) }
    }
}

/// Bytes as a number, the greatest first.
pub fn number(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |all, byte| all << 8 | usize::from(*byte))
}

/// What the parts make together, after its length in so many bytes.
pub fn vector(width: usize, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let bytes = (length as u32).to_be_bytes();
    let mut vector = Vec::from(&bytes[4 - width..]);
    parts.iter().for_each(|part| vector.extend_from_slice(part));
    vector
}

/// Numbers of two bytes.
pub fn numbers(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|number| number.to_be_bytes()).collect()
}

/// A message of the handshake.
pub fn message(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    [&[kind][..], &vector(3, parts)].concat()
}

/// An extension of a hello.
pub fn extension(kind: u16, parts: &[&[u8]]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, parts)].concat()
}
