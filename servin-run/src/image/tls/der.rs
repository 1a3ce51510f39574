//! ASN.1 in its distinguished encoding (X.690 section 10), as far as certificates, keys and signatures want it.

pub const BOOLEAN: u8 = 0x01;
pub const INTEGER: u8 = 0x02;
pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const IDENTIFIER: u8 = 0x06;
pub const UTC_TIME: u8 = 0x17;
pub const TIME: u8 = 0x18;
pub const SEQUENCE: u8 = 0x30;

/// The rest of what is being read.
#[derive(Clone, Copy)]
pub struct Der<'a>(pub &'a [u8]);

impl<'a> Der<'a> {
    /// The kind and content of the next element, which has less than 64 KiB.
    pub fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[kind, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81 => (usize::from(*rest.first().filter(|length| **length >= 0x80)?), &rest[1..]),
            0x82 => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                (usize::from(u16::from_be_bytes(*length)), rest)
            }
            _ => return None,
        };
        // The shortest form of a length alone is right.
        if first == 0x82 && length < 0x100 {
            return None;
        }
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((kind, content))
    }

    /// The content of the next element, which has to be of this kind.
    pub fn take(&mut self, kind: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == kind).map(|(_, content)| content)
    }

    /// The same as something to be read in its turn.
    pub fn inside(&mut self, kind: u8) -> Option<Der<'a>> {
        self.take(kind).map(Der)
    }

    /// The content of the next element if it is of this kind; nothing is what is wrong.
    pub fn optional(&mut self, kind: u8) -> Option<Option<&'a [u8]>> {
        if self.0.first() == Some(&kind) { self.take(kind).map(Some) } else { Some(None) }
    }

    /// Reads something that is all there is.
    pub fn only(mut self, kind: u8) -> Option<Der<'a>> {
        let inside = self.inside(kind)?;
        self.end().map(|()| inside)
    }

    /// The bytes of a string of bits that are whole bytes.
    pub fn bits(&mut self) -> Option<&'a [u8]> {
        self.take(BIT_STRING)?.strip_prefix(&[0])
    }

    /// The magnitude of an integer that is above zero, without the zero in front that keeps it so.
    pub fn unsigned(&mut self) -> Option<&'a [u8]> {
        match self.take(INTEGER)? {
            [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Some(rest),
            bytes @ [1..0x80, ..] => Some(bytes),
            _ => None,
        }
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// There has to be nothing more.
    pub fn end(&self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_in_the_shortest_form_alone() {
        let long = |head: &[u8], length: usize| [head, &alloc::vec![7; length]].concat();
        for (bytes, length) in [
            (long(&[4, 0x7f], 0x7f), Some(0x7f)),
            (long(&[4, 0x81, 0x80], 0x80), Some(0x80)),
            (long(&[4, 0x82, 1, 0], 0x100), Some(0x100)),
            (long(&[4, 0x81, 0x7f], 0x7f), None),
            (long(&[4, 0x82, 0, 0xff], 0xff), None),
            (long(&[4, 0x83, 0, 1, 0], 0x100), None),
            (long(&[4, 0x80], 8), None),
            (long(&[4, 5], 4), None),
            (alloc::vec![4], None),
        ] {
            assert_eq!(Der(&bytes).only(OCTET_STRING).map(|content| content.0.len()), length, "{bytes:x?}");
        }
        assert_eq!(Der(&[2, 2, 0, 0x80]).unsigned(), Some(&[0x80][..]));
        for bad in [&[2, 2, 0, 0x7f][..], &[2, 1, 0], &[2, 1, 0x80], &[2, 0], &[4, 1, 1]] {
            assert_eq!(Der(bad).unsigned(), None, "{bad:x?}");
        }
    }
}
