//! What files are: kind, mode, owner, device numbers, where a link points.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use serde_json::{Value, json};

use crate::names::outcome;
use crate::say;

/// `stat PATH…`: an object by path; what cannot be seen is the error's name.
pub fn stat(arguments: &[String]) -> i32 {
    let mut found = Value::Object(Default::default());
    for path in arguments {
        found[path] = describe(path).unwrap_or_else(|error| outcome::<()>(Err(error)).into());
    }
    say(found);
    0
}

/// Everything directly in /dev, by name, directories included.
pub fn devices() -> Value {
    let mut found = Value::Object(Default::default());
    for entry in fs::read_dir("/dev").into_iter().flatten().flatten() {
        if let Ok(described) = describe(&entry.path().to_string_lossy()) {
            found[entry.file_name().to_string_lossy().as_ref()] = described;
        }
    }
    found
}

fn describe(path: &str) -> std::io::Result<Value> {
    let found = fs::symlink_metadata(path)?;
    let kind = found.file_type();
    let name = match () {
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "link",
        () if kind.is_char_device() => "character",
        () if kind.is_block_device() => "block",
        () if kind.is_fifo() => "fifo",
        () if kind.is_socket() => "socket",
        () => "file",
    };
    let mut described = json!({
        "type": name,
        "mode": found.mode() & 0o7777,
        "uid": found.uid(),
        "gid": found.gid(),
        "size": found.size(),
        "links": found.nlink(),
    });
    if kind.is_char_device() || kind.is_block_device() {
        described["major"] = libc::major(found.rdev()).into();
        described["minor"] = libc::minor(found.rdev()).into();
    }
    if kind.is_symlink() {
        described["target"] = super::link(path);
    }
    Ok(described)
}
