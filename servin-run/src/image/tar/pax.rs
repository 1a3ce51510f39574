//! pax records: `LENGTH KEY=VALUE` and a line's end, in an entry before the one that they are about.

use alloc::vec::Vec;

use super::{Segment, Time};
use crate::error::{Error, Result};
use crate::image::base64;

/// What records say, as far as anybody here wants to know it.
#[derive(Debug, Clone, Default)]
pub struct Extended {
    pub path: Option<Vec<u8>>,
    pub link: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
    pub mtime: Option<Time>,
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub sparse: Sparse,
}

/// GNU's records of sparse files.
#[derive(Debug, Clone, Default)]
pub struct Sparse {
    pub major: Option<u64>,
    pub name: Option<Vec<u8>>,
    pub size: Option<u64>,
    /// Versions 0.0 and 0.1; in 1.0 the map begins the content.
    pub segments: Option<Vec<Segment>>,
    /// An offset without its length.
    offset: Option<u64>,
}

const SCHILY: &[u8] = b"SCHILY.xattr.";
const LIBARCHIVE: &[u8] = b"LIBARCHIVE.xattr.";

impl Extended {
    /// Takes the records of `content`. Of those that come twice the last one counts.
    pub fn read(&mut self, mut content: &[u8]) -> Result<()> {
        let malformed = || Error::new("a pax record is malformed");
        while !content.is_empty() {
            let space = content.iter().position(|byte| *byte == b' ').ok_or_else(malformed)?;
            let length = decimal(&content[..space]).ok_or_else(malformed)?;
            let length = usize::try_from(length).ok().filter(|length| *length <= content.len());
            let (record, rest) = content.split_at(length.ok_or_else(malformed)?);
            let record = record.get(space + 1..).and_then(|record| record.strip_suffix(b"\n"));
            let record = record.ok_or_else(malformed)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(malformed)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            self.record(key, value).ok_or_else(|| {
                Error::new(format_args!("the pax record {} has a value that cannot be", key.escape_ascii()))
            })?;
            content = rest;
        }
        Ok(())
    }

    fn record(&mut self, key: &[u8], value: &[u8]) -> Option<()> {
        // What ends in the kernel's hands must not end earlier there.
        let name = || (!value.contains(&0)).then(|| Some(value.to_vec()));
        match key {
            // An empty value takes back what a global record said.
            b"path" => self.path = name()?.filter(|name| !name.is_empty()),
            b"linkpath" => self.link = name()?.filter(|name| !name.is_empty()),
            b"size" => self.size = Some(decimal(value)?),
            b"uid" => self.uid = Some(decimal(value)?),
            b"gid" => self.gid = Some(decimal(value)?),
            b"mtime" => self.mtime = Some(time(value)?),
            b"GNU.sparse.major" => self.sparse.major = Some(decimal(value)?),
            b"GNU.sparse.name" => self.sparse.name = name()?,
            b"GNU.sparse.size" | b"GNU.sparse.realsize" => self.sparse.size = Some(decimal(value)?),
            b"GNU.sparse.offset" => self.sparse.offset = Some(decimal(value)?),
            b"GNU.sparse.numbytes" => {
                let segment = Segment { offset: self.sparse.offset.take()?, length: decimal(value)? };
                self.sparse.segments.get_or_insert_default().push(segment);
            }
            b"GNU.sparse.map" => {
                let mut numbers = value.split(|byte| *byte == b',');
                let segments = self.sparse.segments.insert(Vec::new());
                while let Some(offset) = numbers.next().filter(|number| !number.is_empty()) {
                    segments.push(Segment { offset: decimal(offset)?, length: decimal(numbers.next()?)? });
                }
            }
            _ if key.starts_with(SCHILY) => self.xattr(key[SCHILY.len()..].to_vec(), value.to_vec())?,
            _ if key.starts_with(LIBARCHIVE) => {
                let value = core::str::from_utf8(value).ok().and_then(base64::decode)?;
                self.xattr(percent_decoded(&key[LIBARCHIVE.len()..])?, value)?;
            }
            _ => {}
        }
        Some(())
    }

    fn xattr(&mut self, key: Vec<u8>, value: Vec<u8>) -> Option<()> {
        if key.is_empty() || key.contains(&0) {
            return None;
        }
        // Of two with the same name the last one counts when they are set in this order: libarchive writes each
        // attribute in both ways. Looking for them here would take the square of their number.
        self.xattrs.push((key, value));
        Some(())
    }

    /// These records before those of `global`.
    pub fn over(mut self, global: &Extended) -> Extended {
        self.path = self.path.or_else(|| global.path.clone());
        self.link = self.link.or_else(|| global.link.clone());
        self.size = self.size.or(global.size);
        self.uid = self.uid.or(global.uid);
        self.gid = self.gid.or(global.gid);
        self.mtime = self.mtime.or(global.mtime);
        self
    }
}

/// A number without a sign.
pub fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |value, digit| match digit {
        b'0'..=b'9' => value.checked_mul(10)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

/// Seconds with a fraction, of which more than nanoseconds is lost.
fn time(text: &[u8]) -> Option<Time> {
    let (negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = match text.iter().position(|byte| *byte == b'.') {
        Some(point) => (&text[..point], &text[point + 1..]),
        None => (text, &[][..]),
    };
    let seconds = i64::try_from(decimal(whole)?).ok()?;
    let mut nanoseconds = 0;
    for index in 0..9 {
        let digit = fraction.get(index).copied().unwrap_or(b'0');
        nanoseconds = nanoseconds * 10 + u32::from(digit.is_ascii_digit().then(|| digit - b'0')?);
    }
    Some(match (negative, nanoseconds) {
        (false, _) => Time { seconds, nanoseconds },
        (true, 0) => Time { seconds: -seconds, nanoseconds },
        (true, _) => Time { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds },
    })
}

fn percent_decoded(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut rest = text.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(*rest.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            }
            byte => *byte,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_sign_and_a_fraction() {
        let at = |seconds, nanoseconds| Some(Time { seconds, nanoseconds });
        assert_eq!(time(b"12"), at(12, 0));
        assert_eq!(time(b"12.5"), at(12, 500_000_000));
        assert_eq!(time(b"1.0000000019"), at(1, 1));
        assert_eq!(time(b"-1.25"), at(-2, 750_000_000));
        assert_eq!(time(b"-3"), at(-3, 0));
        for bad in [&b""[..], b"x", b"1.x", b"--1", b"99999999999999999999"] {
            assert_eq!(time(bad), None);
        }
    }

    #[test]
    fn attributes_come_in_two_ways() {
        let mut records = Extended::default();
        records.read(b"36 LIBARCHIVE.xattr.user.a%3db=aGk=\n").expect("read");
        records.read(b"24 SCHILY.xattr.user.x=\n").expect("read");
        assert_eq!(records.xattrs, [(b"user.a=b".to_vec(), b"hi".to_vec()), (b"user.x".to_vec(), vec![])]);
    }

    #[test]
    fn malformed_records_are_refused() {
        for bad in
            ["5 a=b", "99 a=b\n", "0 a=b\n", "x", "6 ab\n", "18 size=abc\n", "-1 a=b\n", "10 path=\0\n"]
        {
            assert!(Extended::default().read(bad.as_bytes()).is_err(), "{bad:?}");
        }
    }
}
