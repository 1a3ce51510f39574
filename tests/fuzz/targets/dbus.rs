//! What systemd answers: messages of D-Bus and the values in them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::cgroup::systemd::wire::{FIXED, Message};

fuzz_target!(|bytes: &[u8]| {
    let Some(message) = Message::read(bytes) else { return };
    assert_eq!(Message::length(&bytes[..FIXED]), Some(bytes.len()));
    let mut reader = message.reader();
    while reader.text().is_some() || reader.variant_text().is_some() || reader.number().is_some() {}
});
