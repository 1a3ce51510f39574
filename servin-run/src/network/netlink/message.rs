//! The encoder: a message is a header, the fixed structure of its type, and attributes, which may hold attributes.
//!
//! Lengths of attributes have 16 bits: whatever does not fit makes the whole message unsendable (CVE-2021-43784 was
//! a length that wrapped, so that the rest of a value became attributes).

use alloc::vec::Vec;

use rustix::io::{self, Errno};

/// `struct nlmsghdr`.
pub const HEADER: usize = 16;
/// `struct nlattr`.
pub const ATTRIBUTE: usize = 4;
/// `NLA_F_NESTED` of linux/netlink.h.
const NESTED: u16 = 1 << 15;

/// `NLM_F_REQUEST` of linux/netlink.h: all that goes to the kernel has it.
const REQUEST: u16 = 1;
/// `NLM_F_ACK`: the kernel answers even where all went well.
pub const ACK: u16 = 4;
/// `NLM_F_ROOT | NLM_F_MATCH`: all there are.
pub const DUMP: u16 = 0x300;
/// `NLM_F_REPLACE`: what exists is changed.
pub const REPLACE: u16 = 0x100;
/// `NLM_F_EXCL`: what exists is an error.
pub const EXCLUSIVE: u16 = 0x200;
/// `NLM_F_CREATE`: what does not exist is made.
pub const CREATE: u16 = 0x400;
/// `NLM_F_APPEND`: at the end of a list.
pub const APPEND: u16 = 0x800;

/// A request under construction.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    too_long: bool,
}

/// An attribute that holds attributes, from [`Message::open`] to [`Message::close`].
#[must_use]
pub struct Nest(usize);

impl Message {
    /// Begins a message of this type; `body` is the fixed structure that the type has.
    pub fn new(kind: u16, flags: u16, body: &[u8]) -> Message {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((REQUEST | flags).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        let mut message = Message { bytes, too_long: false };
        message.align();
        message
    }

    fn align(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// Appends an attribute.
    pub fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Message {
        match u16::try_from(ATTRIBUTE + value.len()) {
            Ok(length) => {
                self.bytes.extend(length.to_ne_bytes());
                self.bytes.extend(kind.to_ne_bytes());
                self.bytes.extend(value);
                self.align();
            }
            Err(_) => self.too_long = true,
        }
        self
    }

    /// Appends a number of the host's byte order.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Appends a number of the network's byte order, as netfilter wants them.
    pub fn big_endian(&mut self, kind: u16, value: u32) -> &mut Message {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Appends a string, which a NUL ends.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Message {
        let mut bytes = Vec::with_capacity(value.len() + 1);
        bytes.extend(value.bytes());
        bytes.push(0);
        self.attribute(kind, &bytes)
    }

    /// Appends bytes that are no attribute: a fixed structure at the head of a nest.
    pub fn structure(&mut self, value: &[u8]) -> &mut Message {
        self.bytes.extend(value);
        self.align();
        self
    }

    /// Begins an attribute that holds attributes.
    pub fn open(&mut self, kind: u16) -> Nest {
        let start = self.bytes.len();
        self.bytes.extend([0; 2]);
        self.bytes.extend((kind | NESTED).to_ne_bytes());
        Nest(start)
    }

    /// Ends it. Nests are closed in the reverse order of their opening.
    pub fn close(&mut self, nest: Nest) -> &mut Message {
        let length = u16::try_from(self.bytes.len().saturating_sub(nest.0));
        match (length, self.bytes.get_mut(nest.0..nest.0.saturating_add(2))) {
            (Ok(length), Some(place)) => place.copy_from_slice(&length.to_ne_bytes()),
            _ => self.too_long = true,
        }
        self
    }

    /// How many bytes an open nest can still take.
    pub fn room(&self, nest: &Nest) -> usize {
        usize::from(u16::MAX).saturating_sub(self.bytes.len().saturating_sub(nest.0))
    }

    /// The message with its length, its sequence number and these flags added.
    pub(super) fn finish(&self, sequence: u32, flags: u16) -> io::Result<Vec<u8>> {
        let length = u32::try_from(self.bytes.len()).map_err(|_| Errno::MSGSIZE)?;
        if self.too_long {
            return Err(Errno::MSGSIZE);
        }
        let mut bytes = self.bytes.clone();
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        let flags = u16::from_ne_bytes([bytes[6], bytes[7]]) | flags;
        bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
        bytes[8..12].copy_from_slice(&sequence.to_ne_bytes());
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::attributes::Attributes;
    use super::*;

    #[test]
    fn a_message_begins_with_its_length_flags_and_number() {
        let bytes = Message::new(16, CREATE, &[7; 16]).finish(9, ACK).expect("short enough");
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..4], 32u32.to_ne_bytes());
        assert_eq!(bytes[4..8], [16u16.to_ne_bytes(), 0x405u16.to_ne_bytes()].concat());
        assert_eq!(bytes[8..12], 9u32.to_ne_bytes());
        assert_eq!(bytes[16..], [7; 16]);
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let mut message = Message::new(1, 0, &[1; 3]);
        message.text(3, "eth0").number(4, 1500);
        let nest = message.open(18);
        message.text(1, "veth");
        let inner = message.open(2);
        message.structure(&[5; 16]).attribute(7, &[1, 2, 3]);
        message.close(inner).close(nest).big_endian(9, 1);
        let bytes = message.finish(1, 0).expect("short enough");
        let all = Attributes(&bytes[20..]);
        assert_eq!(all.text(3), Some("eth0"));
        assert_eq!(all.number(4), Some(1500));
        let nested = all.nest(18);
        assert_eq!(nested.text(1), Some("veth"));
        let inner = Attributes(&nested.find(2).expect("inner")[16..]);
        assert_eq!(inner.find(7), Some(&[1, 2, 3][..]));
        assert_eq!(all.find(9), Some(&[0, 0, 0, 1][..]));
    }

    #[test]
    fn a_length_that_needs_more_than_16_bits_is_refused_not_wrapped() {
        let mut longest = Message::new(1, 0, &[]);
        longest.attribute(1, &[0; 65531]);
        assert!(longest.finish(1, 0).is_ok());
        for length in [65532, 65536, 65536 + 8, 1 << 20] {
            let mut message = Message::new(1, 0, &[]);
            message.attribute(1, &vec![0; length]);
            assert_eq!(message.finish(1, 0), Err(Errno::MSGSIZE), "{length}");
        }
        let mut message = Message::new(1, 0, &[]);
        let nest = message.open(1);
        for _ in 0..8 {
            message.attribute(2, &[0; 8192]);
        }
        assert_eq!(message.room(&nest), 0);
        message.close(nest);
        assert_eq!(message.finish(1, 0), Err(Errno::MSGSIZE));
    }
}
