//! What a netlink socket delivers: messages, and attributes in attributes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::network::netlink::{Attributes, Messages};

fn walk(bytes: &[u8], depth: u32) {
    let attributes = Attributes(bytes);
    for kind in 0..8 {
        let _ = (attributes.number(kind), attributes.big_endian(kind), attributes.text(kind));
        if let Some(value) = attributes.find(kind) {
            assert!(value.len() <= bytes.len());
        }
        if depth > 0 {
            walk(attributes.nest(kind).0, depth - 1);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    for message in Messages(bytes) {
        walk(message.payload, 2);
        walk(Attributes::behind(message.payload, 16).0, 1);
    }
});
