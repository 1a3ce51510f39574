//! One block of 512 bytes: the fields of a header at their places.

use alloc::vec::Vec;

use super::{BLOCK, Kind};
use crate::error::{Error, Result};

/// A header as it stands in the archive.
pub struct Header {
    pub path: Vec<u8>,
    pub mode: u32,
    pub uid: u64,
    pub gid: u64,
    pub size: u64,
    pub mtime: i64,
    pub kind: u8,
    pub link: Vec<u8>,
    pub device: (u32, u32),
}

/// A checksum's field counts as spaces in the sum.
const CHECKSUM: core::ops::Range<usize> = 148..156;

impl Header {
    pub fn read(block: &[u8; BLOCK]) -> Result<Header> {
        check(block)?;
        // GNU's headers have times where ustar's have the beginning of a name.
        let ustar = &block[257..263] == b"ustar\0";
        let name = text(&block[..100]);
        let prefix = if ustar { text(&block[345..500]) } else { &[] };
        let path = if prefix.is_empty() { name.to_vec() } else { [prefix, b"/", name].concat() };
        let unsigned = |range: core::ops::Range<usize>, what: &str| {
            u64::try_from(number(&block[range]).ok_or_else(|| wrong(what))?).map_err(|_| wrong(what))
        };
        let device = |range| -> Result<u32> {
            u32::try_from(unsigned(range, "device number")?).map_err(|_| wrong("device number"))
        };
        let kind = block[156];
        Ok(Header {
            path,
            mode: (unsigned(100..108, "mode")? & 0o7777) as u32,
            uid: unsigned(108..116, "owner")?,
            gid: unsigned(116..124, "group")?,
            size: unsigned(124..136, "size")?,
            mtime: number(&block[136..148]).ok_or_else(|| wrong("time"))?,
            kind,
            link: text(&block[157..257]).to_vec(),
            // Elsewhere writers leave rubbish there.
            device: match kind {
                b'3' | b'4' => (device(329..337)?, device(337..345)?),
                _ => (0, 0),
            },
        })
    }
}

fn wrong(what: &str) -> Error {
    Error::new(format_args!("a header's {what} is not a number that can be"))
}

fn check(block: &[u8; BLOCK]) -> Result<()> {
    let stored = number(&block[CHECKSUM]);
    let (mut unsigned, mut signed) = (0i64, 0i64);
    for (index, byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&index) { b' ' } else { *byte };
        unsigned += i64::from(byte);
        // Some old writers summed their signed characters.
        signed += i64::from(byte as i8);
    }
    match stored {
        Some(sum) if sum == unsigned || sum == signed => Ok(()),
        _ => Err(Error::new("this is no tar archive, or a damaged one: a header's checksum is wrong")),
    }
}

/// A field's text, which a zero ends where it does not fill the field.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
    &field[..end]
}

/// Octal digits among spaces and zeroes; or GNU's base 256, marked by the first bit, two's complement.
pub fn number(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        let negative = first & 0x40 != 0;
        let mut value = if negative { -1i64 } else { 0 };
        for (index, byte) in field.iter().enumerate() {
            let byte = if index == 0 && !negative { byte & 0x7f } else { *byte };
            value = value.checked_mul(256)?.checked_add(i64::from(byte))?;
        }
        return Some(value);
    }
    let digits = text(field).trim_ascii();
    digits.iter().try_fold(0i64, |value, digit| match digit {
        b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
        _ => None,
    })
}

/// What the letter says.
pub fn kind(letter: u8, path: &[u8]) -> Result<Kind> {
    Ok(match letter {
        // Before POSIX a directory was a file with a slash at the end of its name.
        0 | b'0' | b'7' if path.ends_with(b"/") => Kind::Directory,
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Symlink,
        b'3' => Kind::Character,
        b'4' => Kind::Block,
        b'5' => Kind::Directory,
        b'6' => Kind::Fifo,
        other => {
            return Err(Error::new(format_args!(
                "it is of the kind '{}', which is not supported",
                other.escape_ascii()
            )));
        }
    })
}
