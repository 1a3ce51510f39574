//! Writing archives: ustar headers, with pax records where a value does not fit.

use alloc::format;
use alloc::vec::Vec;

use super::{BLOCK, Entry, Kind};

/// The end of an archive.
pub const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The header of an entry, whose content and padding follow.
pub fn header(entry: &Entry) -> Vec<u8> {
    let mut records = Vec::new();
    let fits = |path: &[u8]| path.len() <= 100 && path.is_ascii();
    if !fits(&entry.path) {
        record(&mut records, b"path", &entry.path);
    }
    if !fits(&entry.link) {
        record(&mut records, b"linkpath", &entry.link);
    }
    if entry.size > 0o77_777_777_777 {
        record(&mut records, b"size", format!("{}", entry.size).as_bytes());
    }
    for (key, id) in [("uid", entry.uid), ("gid", entry.gid)] {
        if id > 0o7_777_777 {
            record(&mut records, key.as_bytes(), format!("{id}").as_bytes());
        }
    }
    let time = entry.mtime;
    if time.nanoseconds != 0 || !(0..=0o77_777_777_777).contains(&time.seconds) {
        let (sign, seconds, nanoseconds) = match (time.seconds < 0, time.nanoseconds) {
            (true, nanoseconds @ 1..) => ("-", -(time.seconds + 1), 1_000_000_000 - nanoseconds),
            (_, nanoseconds) => ("", time.seconds, nanoseconds),
        };
        record(&mut records, b"mtime", format!("{sign}{seconds}.{nanoseconds:09}").as_bytes());
    }
    for (key, value) in &entry.xattrs {
        record(&mut records, &[b"SCHILY.xattr.", &key[..]].concat(), value);
    }
    let mut bytes = Vec::new();
    if !records.is_empty() {
        bytes.extend(block(entry, b'x', b"././@PaxHeader", records.len() as u64));
        bytes.extend(&records);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    let kind = match entry.kind {
        Kind::File => b'0',
        Kind::HardLink => b'1',
        Kind::Symlink => b'2',
        Kind::Character => b'3',
        Kind::Block => b'4',
        Kind::Directory => b'5',
        Kind::Fifo => b'6',
    };
    bytes.extend(block(entry, kind, &entry.path, entry.size));
    bytes
}

/// The length counts its own digits too.
fn record(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while format!("{length}").len() + rest > length {
        length += 1;
    }
    records.extend(format!("{length} ").as_bytes());
    records.extend(key);
    records.push(b'=');
    records.extend(value);
    records.push(b'\n');
}

fn block(entry: &Entry, kind: u8, path: &[u8], size: u64) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    text(&mut block[..100], path);
    number(&mut block[100..108], entry.mode.into());
    number(&mut block[108..116], entry.uid.into());
    number(&mut block[116..124], entry.gid.into());
    number(&mut block[124..136], size);
    number(&mut block[136..148], u64::try_from(entry.mtime.seconds).unwrap_or(0));
    block[156] = kind;
    text(&mut block[157..257], &entry.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    number(&mut block[329..337], entry.device.0.into());
    number(&mut block[337..345], entry.device.1.into());
    block[148..156].fill(b' ');
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    number(&mut block[148..155], sum);
    block
}

fn text(field: &mut [u8], text: &[u8]) {
    let length = text.len().min(field.len());
    field[..length].copy_from_slice(&text[..length]);
}

/// Octal digits and a zero; what does not fit is in a record.
fn number(field: &mut [u8], mut value: u64) {
    let digits = field.len() - 1;
    for place in field[..digits].iter_mut().rev() {
        *place = b'0' + (value & 7) as u8;
        value >>= 3;
    }
}
