//! The messages of the domain name system (RFC 1035 section 4, RFC 3596). What comes in is anybody's: it is read with
//! bounds on everything, and believed only where it answers the question that was asked.

use crate::gather::Gather as _;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// The most characters of a name.
pub const MAX_NAME: usize = 253;
const HEADER: usize = 12;
const CLASS_IN: u16 = 1;
const TYPE_CNAME: u16 = 5;
/// How many names may stand between a host and its address.
const MAX_ALIASES: usize = 16;
/// More addresses than anybody would try.
const MAX_ADDRESSES: usize = 32;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Addresses of IPv4.
    A = 0,
    /// Addresses of IPv6.
    Aaaa = 1,
}

impl Kind {
    fn number(self) -> u16 {
        if self == Kind::A { 1 } else { 28 }
    }
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// None where there is no such name, or no such address.
    Addresses(Vec<IpAddr>),
    /// Ask again by TCP.
    Truncated,
    /// The server could not or would not answer; its code.
    Refused(u8),
}

/// A question to a recursive server. `name` has labels of at most 63 bytes.
pub fn question(id: u16, name: &str, kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::from(id.to_be_bytes());
    // Recursion desired; one question.
    bytes.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        bytes.push(label.len() as u8);
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes.extend(kind.number().to_be_bytes());
    bytes.extend(CLASS_IN.to_be_bytes());
    bytes
}

/// Reads an answer; nothing where it does not answer this question or is not a whole message.
pub fn answer(bytes: &[u8], id: u16, name: &str, kind: Kind) -> Option<Answer> {
    let mut reader = Reader { bytes, at: 0 };
    let (found, flags) = (reader.number()?, reader.number()?);
    let [questions, answers, _, _] = [reader.number()?, reader.number()?, reader.number()?, reader.number()?];
    // A response to a standard query.
    if found != id || flags & 0xf800 != 0x8000 || questions != 1 {
        return None;
    }
    let asked = reader.name()?;
    if !asked.eq_ignore_ascii_case(name) || reader.number()? != kind.number() || reader.number()? != CLASS_IN
    {
        return None;
    }
    match flags & 0xf {
        0 => {}
        3 => return Some(Answer::Addresses(Vec::new())),
        code => return Some(Answer::Refused(code as u8)),
    }
    if flags & 0x200 != 0 {
        return Some(Answer::Truncated);
    }
    let (mut aliases, mut addresses) = (Vec::new(), Vec::new());
    for _ in 0..answers {
        let owner = reader.name()?;
        let (found, class) = (reader.number()?, reader.number()?);
        reader.take(4)?;
        let length = reader.number()?;
        let begin = reader.at;
        let data = reader.take(length.into())?;
        if class != CLASS_IN {
            continue;
        }
        if found == TYPE_CNAME && aliases.len() < MAX_ALIASES {
            aliases.push((owner, Reader { bytes, at: begin }.name()?));
        } else if found == kind.number() && addresses.len() < MAX_ADDRESSES {
            addresses.push((owner, address(data, kind)?));
        }
    }
    Some(Answer::Addresses(of(String::from(name), &aliases, addresses)))
}

fn address(data: &[u8], kind: Kind) -> Option<IpAddr> {
    match kind {
        Kind::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
        Kind::Aaaa => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
    }
}

/// The addresses of `name` and of what it is an alias of: others that came along are not believed.
fn of(mut name: String, aliases: &[(String, String)], addresses: Vec<(String, IpAddr)>) -> Vec<IpAddr> {
    let mut names = Vec::new();
    while names.len() <= aliases.len() {
        let next = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&name));
        names.push(name);
        match next {
            Some((_, target)) => name = target.clone(),
            None => break,
        }
    }
    let known = |owner: &str| names.iter().any(|name| name.eq_ignore_ascii_case(owner));
    addresses.into_iter().filter(|(owner, _)| known(owner)).map(|(_, address)| address).gather()
}

/// A place in a message.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let taken = self.bytes.get(self.at..)?.get(..length)?;
        self.at += length;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2).and_then(|bytes| bytes.first_chunk()).map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// A name, whose end may be said by a pointer to an earlier one. A pointer must lead backwards from the one
    /// before, so that there is an end.
    fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        let mut reader = Reader { bytes: self.bytes, at: self.at };
        let mut earliest = self.at;
        let mut after = None;
        loop {
            let length = reader.take(1)?[0];
            match length {
                0 => break,
                1..64 => {
                    let label = core::str::from_utf8(reader.take(length.into())?).ok()?;
                    if !name.is_empty() {
                        name.push('.');
                    }
                    name.push_str(label);
                    if name.len() > MAX_NAME || label.contains('.') {
                        return None;
                    }
                }
                0xc0.. => {
                    let low = reader.take(1)?[0];
                    after.get_or_insert(reader.at);
                    let to = usize::from(length & 0x3f) << 8 | usize::from(low);
                    if to >= earliest || to < HEADER {
                        return None;
                    }
                    earliest = to;
                    reader.at = to;
                }
                _ => return None,
            }
        }
        self.at = after.unwrap_or(reader.at);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer: `www.example` is an alias of `host.example`, which has an address; a stranger has one too.
    fn sample() -> Vec<u8> {
        let mut bytes = question(7, "www.example", Kind::A);
        bytes[2..4].copy_from_slice(&[0x81, 0x80]);
        bytes[7] = 3;
        // www.example (a pointer to the question) CNAME host.(example of the question)
        bytes.extend([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 7, 4, b'h', b'o', b's', b't', 0xc0, 16]);
        let host = bytes.len() - 7;
        bytes.extend([0xc0, host as u8, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 10, 0, 0, 1]);
        bytes.extend([4, b'e', b'v', b'i', b'l', 0, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 6, 6, 6, 6]);
        bytes
    }

    #[test]
    fn aliases_are_followed_and_strangers_ignored() {
        let expected = Answer::Addresses(vec![IpAddr::from([10, 0, 0, 1])]);
        assert_eq!(answer(&sample(), 7, "WWW.example", Kind::A), Some(expected));
    }

    #[test]
    fn only_the_answer_to_the_question_is_believed() {
        assert_eq!(answer(&sample(), 8, "www.example", Kind::A), None, "another number");
        assert_eq!(answer(&sample(), 7, "www.exampl", Kind::A), None, "another name");
        assert_eq!(answer(&sample(), 7, "www.example", Kind::Aaaa), None, "another kind");
        assert_eq!(
            answer(&question(7, "www.example", Kind::A), 7, "www.example", Kind::A),
            None,
            "a question"
        );
        for length in 0..sample().len() {
            assert_eq!(answer(&sample()[..length], 7, "www.example", Kind::A), None, "{length} bytes");
        }
    }

    #[test]
    fn codes_and_truncation_are_told_apart() {
        let with = |at: usize, byte: u8| {
            let mut bytes = sample();
            bytes[at] = byte;
            answer(&bytes, 7, "www.example", Kind::A)
        };
        assert_eq!(with(3, 0x83), Some(Answer::Addresses(Vec::new())));
        assert_eq!(with(3, 0x82), Some(Answer::Refused(2)));
        assert_eq!(with(2, 0x83), Some(Answer::Truncated));
    }

    #[test]
    fn pointers_that_lead_in_circles_end() {
        let mut bytes = question(7, "www.example", Kind::A);
        bytes[2..4].copy_from_slice(&[0x81, 0x80]);
        bytes[7] = 1;
        let own = bytes.len() as u8;
        for to in [own, own + 2, 0, 255] {
            let mut hostile = bytes.clone();
            hostile.extend([0xc0, to, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 1, 2, 3, 4]);
            assert_eq!(answer(&hostile, 7, "www.example", Kind::A), None, "to {to}");
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic() {
        crate::image::mutate::bytes(&[sample(), question(7, "www.example", Kind::A)], 30_000, |bytes| {
            if let Some(Answer::Addresses(found)) = answer(bytes, 7, "www.example", Kind::A) {
                assert!(found.len() <= MAX_ADDRESSES);
            }
        });
    }
}
