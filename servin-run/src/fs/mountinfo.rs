//! /proc/self/mountinfo (proc_pid_mountinfo(5)).

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::{CWD, Mode, OFlags};

use super::read_to_end;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::sys::path::openat;

/// One mount of this process's mount namespace, as far as Servin reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The mount's id.
    pub id: u32,
    /// The id of the mount that it is mounted in.
    pub parent: u32,
    /// Which directory of the file system it shows.
    pub root: String,
    /// Where, from the root of this process.
    pub target: String,
    /// The file system's type.
    pub kind: String,
}

/// Reads all mounts, in the order in which the kernel lists them: a mount after its parent.
pub fn read() -> Result<Vec<MountInfo>> {
    let step = || "read /proc/self/mountinfo";
    let file =
        openat(CWD, c"/proc/self/mountinfo", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).step(step)?;
    let text = read_to_end(&file).step(step)?;
    let text = String::from_utf8_lossy(&text);
    text.lines().map(|line| parse(line).ok_or_else(|| Error::new(format_args!("mountinfo: {line}")))).gather()
}

fn parse(line: &str) -> Option<MountInfo> {
    let mut fields = line.split(' ');
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let root = unescape(fields.nth(1)?);
    let target = unescape(fields.next()?);
    // Optional fields follow, ended by a hyphen.
    let kind = fields.skip_while(|field| *field != "-").nth(1)?.to_string();
    Some(MountInfo { id, parent, root, target, kind })
}

/// Blanks, tabs, line breaks and backslashes are written as three octal digits.
fn unescape(field: &str) -> String {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let digits = tail.get(..3).filter(|_| first == b'\\').and_then(|d| core::str::from_utf8(d).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_with_its_escapes_and_optional_fields() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402\\134x rw,noatime master:1 shared:2 - ext3 /dev/root rw,errors=continue";
        let expected = MountInfo {
            id: 36,
            parent: 35,
            root: "/mnt1".into(),
            target: "/mnt 2\\x".into(),
            kind: "ext3".into(),
        };
        assert_eq!(parse(line), Some(expected));
        assert_eq!(parse("36 35 98:0 / /mnt rw"), None);
    }

    #[test]
    fn this_process_has_a_root() {
        assert!(read().expect("read").iter().any(|mount| mount.target == "/"));
    }
}
