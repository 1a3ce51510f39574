//! Elements of our sets. Each has a comment that says whose it is (a container's id, a bridge's name), in the form
//! that nft prints, so that all of one owner can be found and taken away, whatever became of the rest of its state.

use alloc::string::String;
use alloc::vec::Vec;

use super::message::{Batch, DELETE_ELEMENT, GET_ELEMENT, NEW_ELEMENT, about, dump, make, value, value_of};
use crate::network::netlink::{Answer, Attributes, Message, Socket};
use crate::order;

/// `NFTA_SET_ELEM_LIST_SET` and `NFTA_SET_ELEM_LIST_ELEMENTS`.
const SET: u16 = 2;
const ELEMENTS: u16 = 3;
/// `NFTA_LIST_ELEM`.
const ITEM: u16 = 1;
/// `NFTA_SET_ELEM_*`.
const KEY: u16 = 1;
const DATA: u16 = 2;
const FLAGS: u16 = 3;
const USERDATA: u16 = 6;
/// `NFT_SET_ELEM_INTERVAL_END`.
const RANGE_END: u32 = 1;
/// `NFTNL_UDATA_SET_ELEM_COMMENT` of libnftnl.
const COMMENT: u8 = 0;
/// Elements a message: an attribute has room for 64 KiB, and an element with the longest comment takes 400 bytes.
const AT_ONCE: usize = 128;

/// An element to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// The set it is in.
    pub set: &'static str,
    /// Its key.
    pub key: Vec<u8>,
    /// What it leads to, in a map.
    pub data: Vec<u8>,
    /// It is the first key behind a range.
    pub ends_range: bool,
}

/// Appends the messages that make `elements`, as the property of `owner`. Elements of one set are neighbours.
pub fn add(batch: &mut Batch, elements: &[Element], owner: &str) {
    change(batch, NEW_ELEMENT, elements, owner);
}

/// Appends the messages that remove `elements`.
pub fn remove(batch: &mut Batch, elements: &[Element]) {
    change(batch, DELETE_ELEMENT, elements, "");
}

fn change(batch: &mut Batch, kind: u16, elements: &[Element], owner: &str) {
    let comment = comment(owner);
    for of_one_set in elements.chunk_by(|one, next| one.set == next.set) {
        for some in of_one_set.chunks(AT_ONCE) {
            let mut message = if kind == NEW_ELEMENT { make(kind) } else { about(kind, 0) };
            message.text(SET, some[0].set);
            let list = message.open(ELEMENTS);
            some.iter().for_each(|element| encode(&mut message, element, &comment));
            message.close(list);
            batch.add(message);
        }
    }
}

fn encode(message: &mut Message, element: &Element, comment: &[u8]) {
    let item = message.open(ITEM);
    value(message, KEY, &element.key);
    if !element.data.is_empty() {
        value(message, DATA, &element.data);
    }
    if element.ends_range {
        message.big_endian(FLAGS, RANGE_END);
    } else if !comment.is_empty() {
        // The end of a range takes none.
        message.attribute(USERDATA, comment);
    }
    message.close(item);
}

/// Type, length and text with its NUL; empty for nobody.
fn comment(owner: &str) -> Vec<u8> {
    match u8::try_from(owner.len() + 1) {
        Ok(length @ 2..) => [&[COMMENT, length], owner.as_bytes(), &[0]].concat(),
        _ => Vec::new(),
    }
}

/// Whose an element is.
fn owner(userdata: &[u8]) -> Option<&str> {
    let [COMMENT, length, rest @ ..] = userdata else { return None };
    let text = rest.get(..usize::from(*length))?;
    core::str::from_utf8(text).ok()?.strip_suffix('\0')
}

/// An element that is there, and whose it is. The end of a range is nobody's.
pub struct Found {
    /// The element, without what it leads to.
    pub element: Element,
    /// The owner.
    pub owner: Option<String>,
}

/// The elements of a set; none where there is no such set.
pub fn of_set(socket: &Socket, set: &'static str) -> Answer<Vec<Found>> {
    let mut request = about(GET_ELEMENT, 0);
    request.text(SET, set);
    let mut all = Vec::new();
    for reply in dump(socket, &request)? {
        for (_, item) in Attributes::behind(&reply.payload, 4).nest(ELEMENTS) {
            all.extend(decode(set, Attributes(item)));
        }
    }
    Ok(all)
}

fn decode(set: &'static str, item: Attributes) -> Option<Found> {
    let key = value_of(&item, KEY)?.to_vec();
    let ends_range = item.big_endian(FLAGS).unwrap_or(0) & RANGE_END != 0;
    let owner = item.find(USERDATA).and_then(owner).map(String::from);
    Some(Found { element: Element { set, key, data: Vec::new(), ends_range }, owner })
}

/// The elements of `wanted` among `found`, and the ends of their ranges.
pub fn owned_by(mut found: Vec<Found>, wanted: &str) -> Vec<Element> {
    // In the order of the keys an end is behind its own beginning: ranges of ours do not overlap.
    let order = |one: &Found, other: &Found| {
        let begins = |found: &Found| !found.element.ends_range;
        one.element.key.cmp(&other.element.key).then(begins(one).cmp(&begins(other)))
    };
    order::sort_by(&mut found, order);
    let mut inside = false;
    let mut elements = Vec::new();
    for Found { element, owner } in found {
        if !element.ends_range {
            inside = owner.is_some_and(|owner| owner == wanted);
        }
        if inside {
            inside = !element.ends_range;
            elements.push(element);
        }
    }
    elements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(key: u8, owner: Option<&str>) -> Found {
        let element = Element { set: "s", key: vec![key], data: Vec::new(), ends_range: owner.is_none() };
        Found { element, owner: owner.map(String::from) }
    }

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        for name in ["x", "servin0", &"f".repeat(64), &"f".repeat(254)] {
            assert_eq!(owner(&comment(name)), Some(name));
        }
        assert!(comment("").is_empty() && comment(&"f".repeat(255)).is_empty());
        for bad in [&[][..], &[0], &[0, 3, b'a'], &[0, 1, b'a'], &[1, 2, b'a', 0], &[0, 2, 0xff, 0]] {
            assert_eq!(owner(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_range_goes_with_its_end_and_no_other() {
        // Neighbours: the end of one is where the next begins.
        let set = || {
            vec![
                found(9, None),
                found(7, Some("b")),
                found(7, None),
                found(5, Some("a")),
                found(20, Some("a")),
                found(30, None),
            ]
        };
        let keys = |name: &str| -> Vec<(u8, bool)> {
            let elements = owned_by(set(), name);
            elements.iter().map(|element| (element.key[0], element.ends_range)).collect()
        };
        assert_eq!(keys("a"), [(5, false), (7, true), (20, false), (30, true)]);
        assert_eq!(keys("b"), [(7, false), (9, true)]);
        assert!(keys("c").is_empty());
    }
}
