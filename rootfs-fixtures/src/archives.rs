//! Archives that attack whoever unpacks them as a layer: each did work on some program once.
//!
//! Where an attack needs a place on the host it is [`VICTIM`], as in `hostile.rs`.

use crate::hostile::VICTIM;

/// One hostile archive.
pub struct Case {
    /// What it is called.
    pub name: &'static str,
    /// Where it was seen.
    pub seen_as: &'static str,
    /// What the attack hopes for.
    pub attack: &'static str,
    /// What the refusal says; nothing where it is unpacked, without doing any harm.
    pub refused: &'static str,
    /// Makes the archive.
    pub make: fn() -> Vec<u8>,
}

/// All of them.
pub const CASES: &[Case] = &[
    Case {
        name: "dotdot",
        seen_as: "CVE-2021-32760",
        attack: "a name climbs out of the directory",
        refused: "leads upwards",
        make: || archive(&[file(&format!("{}{VICTIM}/new", "../".repeat(20)), b"x")]),
    },
    Case {
        name: "absolute",
        seen_as: "CVE-2018-15664",
        attack: "a name is absolute: it is taken for one inside",
        refused: "",
        make: || archive(&[file(&format!("{VICTIM}/marker"), b"overwritten")]),
    },
    Case {
        name: "link-then-file",
        seen_as: "CVE-2018-15664",
        attack: "a symbolic link to the host, and a file through it",
        refused: "symbolic link",
        make: || archive(&[symlink("out", VICTIM), file("out/marker", b"overwritten")]),
    },
    Case {
        name: "relative-link-then-file",
        seen_as: "CVE-2018-15664",
        attack: "a relative link climbs out, and a file goes through it",
        refused: "symbolic link",
        make: || {
            let up = format!("{}{VICTIM}", "../".repeat(20));
            archive(&[directory("d"), symlink("d/out", &up), file("d/out/new", b"x")])
        },
    },
    Case {
        name: "link-overwritten",
        seen_as: "CVE-2025-47290",
        attack: "a file of the name of a link, to be written through it: it takes the link's place",
        refused: "",
        make: || archive(&[symlink("out", &format!("{VICTIM}/marker")), file("out", b"overwritten")]),
    },
    Case {
        name: "hard-link-out",
        seen_as: "CVE-2021-32760",
        attack: "a hard link to a file of the host, to change its mode and content",
        refused: "leads upwards",
        make: || {
            let up = format!("{}{VICTIM}/marker", "../".repeat(20));
            archive(&[entry(b'1', "hard", &up, b""), file("hard", b"overwritten")])
        },
    },
    Case {
        name: "hard-link-through-link",
        seen_as: "CVE-2021-32760",
        attack: "a hard link whose target lies behind a symbolic link to the host",
        refused: "not a directory",
        make: || archive(&[symlink("out", VICTIM), entry(b'1', "hard", "out/marker", b"")]),
    },
    Case {
        name: "directory-over-link",
        seen_as: "CVE-2021-32760",
        attack: "a directory of the name of a link to the host, to change the mode of what it leads to",
        refused: "",
        make: || archive(&[symlink("out", VICTIM), directory("out"), file("out/marker", b"inside")]),
    },
    Case {
        name: "whiteout-upwards",
        seen_as: "—",
        attack: "the mark of a removed file names the directory above",
        refused: "without a name",
        make: || archive(&[directory("d"), file("d/.wh...", b"")]),
    },
    Case {
        name: "overlay-attributes",
        seen_as: "—",
        attack: "attributes by which overlayfs is sent to another directory: they are left out",
        refused: "",
        make: || {
            let mut bytes = pax(&[("SCHILY.xattr.trusted.overlay.redirect", "/../../..")]);
            bytes.extend(directory("d"));
            archive(&[bytes])
        },
    },
    Case {
        name: "header-of-4-gib",
        seen_as: "—",
        attack: "a pax header that says it has 4 GiB",
        refused: "headers are longer",
        make: || archive(&[header(b'x', "pax", "", 4 << 30)]),
    },
    Case {
        name: "long-name-of-4-gib",
        seen_as: "—",
        attack: "a GNU long name that says it has 4 GiB",
        refused: "headers are longer",
        make: || archive(&[header(b'L', "././@LongLink", "", 4 << 30)]),
    },
    Case {
        name: "number-that-overflows",
        seen_as: "CVE-2024-40635",
        attack: "an owner beyond 32 bits, which would become root",
        refused: "owner",
        make: || {
            let mut bytes = pax(&[("uid", "4294967296")]);
            bytes.extend(file("a", b"x"));
            archive(&[bytes])
        },
    },
    Case {
        name: "cut-off",
        seen_as: "—",
        attack: "the archive ends inside a file",
        refused: "cut off",
        make: || {
            let mut bytes = header(b'0', "a", "", 1 << 20);
            bytes.extend([0; 512]);
            bytes
        },
    },
    Case {
        name: "no-archive",
        seen_as: "—",
        attack: "something else than an archive",
        refused: "no tar archive",
        make: || b"#!/bin/sh\n".repeat(200),
    },
];

/// An archive of entries.
pub fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = entries.concat();
    bytes.extend([0; 1024]);
    bytes
}

/// A regular file.
pub fn file(path: &str, content: &[u8]) -> Vec<u8> {
    entry(b'0', path, "", content)
}

/// A directory.
pub fn directory(path: &str) -> Vec<u8> {
    entry(b'5', path, "", b"")
}

/// A symbolic link.
pub fn symlink(path: &str, target: &str) -> Vec<u8> {
    entry(b'2', path, target, b"")
}

/// An entry of any kind.
pub fn entry(kind: u8, path: &str, link: &str, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (kind, text) in [(b'L', path), (b'K', link)] {
        if text.len() > 100 {
            bytes.extend(header(kind, "././@LongLink", "", text.len() as u64 + 1));
            bytes.extend(padded([text.as_bytes(), b"\0"].concat()));
        }
    }
    bytes.extend(header(kind, path, link, content.len() as u64));
    bytes.extend(padded(content.to_vec()));
    bytes
}

/// pax records for the entry that follows.
pub fn pax(records: &[(&str, &str)]) -> Vec<u8> {
    let mut text = String::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let length = (rest + 1..).find(|length| length.to_string().len() + rest == *length);
        text.push_str(&format!("{} {key}={value}\n", length.unwrap_or_default()));
    }
    entry(b'x', "././@PaxHeader", "", text.as_bytes())
}

/// A header of 512 bytes, whatever follows.
pub fn header(kind: u8, path: &str, link: &str, size: u64) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut put = |at: usize, text: &[u8], most: usize| {
        let text = &text[..text.len().min(most)];
        block[at..at + text.len()].copy_from_slice(text);
    };
    put(0, path.as_bytes(), 100);
    put(100, if kind == b'5' { b"0000755" } else { b"0000644" }, 7);
    put(108, b"0000000", 7);
    put(116, b"0000000", 7);
    put(124, format!("{size:011o}").as_bytes(), 11);
    put(136, b"07346545000", 11);
    put(156, &[kind], 1);
    put(157, link.as_bytes(), 100);
    put(257, b"ustar\x0000", 8);
    put(148, b"        ", 8);
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    block
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}
