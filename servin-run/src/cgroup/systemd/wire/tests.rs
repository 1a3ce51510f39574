use alloc::vec;

use super::*;

fn call(body: &Body, signature: &str) -> Vec<u8> {
    let call = Call {
        serial: 7,
        destination: Some("org.freedesktop.systemd1"),
        path: "/o",
        interface: "a.b",
        member: "Do",
        signature,
        body,
    };
    call.bytes()
}

fn sample() -> Vec<u8> {
    let mut body = Body::new();
    body.text("box.scope");
    body.flag(true);
    body.properties(&[
        ("A", Value::Flag(false)),
        ("B", Value::Number(u64::MAX)),
        ("C", Value::Text("text".into())),
        ("D", Value::Bytes(vec![1, 2, 3])),
        ("E", Value::Numbers(vec![5, 6])),
        ("F", Value::Rates(vec![("/dev/a".into(), 9), ("/dev/bc".into(), 10)])),
    ]);
    body.empty_array(8);
    call(&body, "sba(sv)a(sa(sv))")
}

/// Random enough, and the same each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn a_call_has_the_bytes_of_the_specification() {
    let mut body = Body::new();
    body.text("hi");
    let bytes = Call {
        serial: 1,
        destination: None,
        path: "/o",
        interface: "i",
        member: "M",
        signature: "s",
        body: &body,
    }
    .bytes();
    let expected = b"l\x01\0\x01\x07\0\0\0\x01\0\0\0\x37\0\0\0\
        \x01\x01o\0\x02\0\0\0/o\0\0\0\0\0\0\
        \x02\x01s\0\x01\0\0\0i\0\0\0\0\0\0\0\
        \x03\x01s\0\x01\0\0\0M\0\0\0\0\0\0\0\
        \x08\x01g\0\x01s\0\0\
        \x02\0\0\0hi\0";
    assert_eq!(bytes, expected);
}

#[test]
fn arrays_count_their_items_and_not_what_aligns_them() {
    let mut body = Body::new();
    body.properties(&[("P", Value::Number(3))]);
    assert_eq!(body.0[..4], [24, 0, 0, 0]);
    assert_eq!(body.0.len(), 32);
    let mut body = Body::new();
    body.text("abcd");
    body.empty_array(8);
    // The length of an empty array, and then the alignment of items that are not there.
    assert_eq!(body.0, b"\x04\0\0\0abcd\0\0\0\0\0\0\0\0");
}

#[test]
fn what_is_written_can_be_read() {
    let bytes = sample();
    assert_eq!(Message::length(&bytes[..FIXED]), Some(bytes.len()));
    let message = Message::read(&bytes).expect("a message");
    assert_eq!((message.kind, message.member.as_str(), message.interface.as_str()), (CALL, "Do", "a.b"));
    assert_eq!(message.signature, "sba(sv)a(sa(sv))");
    let mut reader = message.reader();
    assert_eq!((reader.text().as_deref(), reader.number()), (Some("box.scope"), Some(1)));
    assert_eq!(Reader { bytes: b"\x01s\0\0\x02\0\0\0/x\0", at: 0 }.variant_text().as_deref(), Some("/x"));
    assert_eq!(Reader { bytes: b"\x01u\0\0\x02\0\0\0", at: 0 }.variant_text(), None);
}

#[test]
fn what_is_cut_is_no_message() {
    let bytes = sample();
    for end in 0..bytes.len() {
        assert_eq!(Message::read(&bytes[..end]), None, "{end}");
    }
    let longer = [bytes.as_slice(), &[0]].concat();
    assert_eq!(Message::read(&longer), None);
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    for (at, value) in [(4, u32::MAX), (12, u32::MAX), (4, 1 << 20), (12, 1 << 27)] {
        let mut bytes = sample();
        bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
        assert_eq!(Message::length(&bytes[..FIXED]), None, "{value} at {at}");
    }
    for (at, value) in [(0, b'B'), (0, 0), (3, 2)] {
        let mut bytes = sample();
        bytes[at] = value;
        assert_eq!(Message::length(&bytes[..FIXED]), None);
    }
}

#[test]
fn nothing_makes_the_reader_break() {
    let mut dice = Dice(1);
    for _ in 0..50_000 {
        let mut bytes = sample();
        for _ in 0..=dice.roll(4) {
            let at = dice.roll(bytes.len());
            bytes[at] = match dice.roll(3) {
                0 => dice.roll(256) as u8,
                1 => 0xff,
                _ => bytes[at].wrapping_add(1),
            };
        }
        if let Some(message) = Message::read(&bytes) {
            let mut reader = message.reader();
            while reader.text().is_some() || reader.variant_text().is_some() || reader.number().is_some() {}
        }
    }
    for length in 0..200 {
        let noise: Vec<u8> = (0..length).map(|_| dice.roll(256) as u8).collect();
        assert_eq!(Message::read(&noise), None);
    }
}
