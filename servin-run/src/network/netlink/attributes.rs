//! The decoder: messages of a datagram, attributes of a message. It never reads past a length, and what is cut off
//! or has an impossible length ends the walk.

/// The messages in what one receive returned.
pub struct Messages<'a>(pub &'a [u8]);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// Its type.
    pub kind: u16,
    /// `NLM_F_*`.
    pub flags: u16,
    /// That of the request it answers.
    pub sequence: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Received<'a>;

    fn next(&mut self) -> Option<Received<'a>> {
        let length = number(self.0)? as usize;
        let payload = self.0.get(super::message::HEADER..length)?;
        let received = Received {
            kind: short(self.0.get(4..)?)?,
            flags: short(self.0.get(6..)?)?,
            sequence: number(self.0.get(8..)?)?,
            payload,
        };
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some(received)
    }
}

/// A row of attributes.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a>(pub &'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    /// The type, without the flag that it nests, and the value.
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        /// `NLA_TYPE_MASK` of linux/netlink.h.
        const TYPE: u16 = 0x3fff;
        let length = usize::from(short(self.0)?);
        let kind = short(self.0.get(2..)?)? & TYPE;
        let value = self.0.get(super::message::ATTRIBUTE..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

impl<'a> Attributes<'a> {
    /// Those behind a fixed structure of `length` bytes.
    pub fn behind(payload: &'a [u8], length: usize) -> Attributes<'a> {
        Attributes(payload.get(length.next_multiple_of(4)..).unwrap_or_default())
    }

    /// The value of the first one of a type.
    pub fn find(&self, kind: u16) -> Option<&'a [u8]> {
        let mut all = *self;
        all.find_map(|(found, value)| (found == kind).then_some(value))
    }

    /// A number of the host's byte order.
    pub fn number(&self, kind: u16) -> Option<u32> {
        self.find(kind).and_then(number)
    }

    /// A number of the network's byte order.
    pub fn big_endian(&self, kind: u16) -> Option<u32> {
        self.number(kind).map(u32::from_be)
    }

    /// A string, up to its NUL.
    pub fn text(&self, kind: u16) -> Option<&'a str> {
        let bytes = self.find(kind)?;
        let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
        core::str::from_utf8(&bytes[..end]).ok()
    }

    /// The attributes in an attribute; none where there is no such one.
    pub fn nest(&self, kind: u16) -> Attributes<'a> {
        Attributes(self.find(kind).unwrap_or_default())
    }
}

/// The 32 bits at the beginning.
pub fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

/// The 16 bits at the beginning.
pub fn short(bytes: &[u8]) -> Option<u16> {
    bytes.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::netlink::Message;

    /// Walks all there is, as deep as it seems to nest.
    fn walk(attributes: Attributes, depth: u32) -> usize {
        let inner = |value| if depth < 6 { walk(Attributes(value), depth + 1) } else { 0 };
        attributes
            .map(|(kind, value)| {
                let _ = (attributes.text(kind), attributes.number(kind), attributes.big_endian(kind));
                1 + inner(value)
            })
            .sum()
    }

    #[test]
    fn mutations_of_good_messages_are_survived() {
        let mut message = Message::new(16, 0, &[3; 16]);
        message.text(3, "eth0").number(4, 1500);
        let nest = message.open(18);
        message.text(1, "veth").attribute(2, &[9; 40]);
        message.close(nest);
        let one = message.finish(1, 0).expect("short enough");
        let good = [one.clone(), one.clone(), one].concat();
        assert_eq!(Messages(&good).count(), 3);
        // xorshift: the same mutations at every run.
        let mut seed = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = |below: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed % below.max(1) as u64) as usize
        };
        for _ in 0..200_000 {
            let mut bytes = good.clone();
            for _ in 0..=random(4) {
                let place = random(bytes.len());
                match random(5) {
                    0 => bytes.truncate(place),
                    1 => bytes.insert(place, random(256) as u8),
                    2 if !bytes.is_empty() => drop(bytes.remove(place)),
                    _ if !bytes.is_empty() => {
                        bytes[place] = [0, 1, 0x7f, 0x80, 0xff, random(256) as u8][random(6)];
                    }
                    _ => (),
                }
            }
            let read: usize = Messages(&bytes)
                .map(|found| {
                    walk(Attributes(found.payload), 0) + walk(Attributes::behind(found.payload, 16), 0)
                })
                .sum();
            assert!(read < 4096);
            let _ = super::super::acknowledgement(&bytes, 0);
        }
    }

    #[test]
    fn an_impossible_length_ends_the_walk() {
        for length in [0_u16, 1, 3, 9, 65535] {
            let mut bytes = [length.to_ne_bytes(), [1, 0]].concat();
            bytes.extend([0; 4]);
            assert_eq!(Attributes(&bytes).count(), 0, "{length}");
        }
        assert_eq!(Attributes(&[4, 0, 1, 0][..]).count(), usize::from(cfg!(target_endian = "little")));
    }
}
