//! File systems that lie in a file: mounted read-only through a loop device, which goes with its last mount.

use alloc::string::{String, ToString};

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};

use super::mount::new_file_system;
use crate::error::{Error, Result, Step};
use crate::plan::mounts::Attributes;
use crate::sys::loop_device;
use crate::sys::path::openat;

/// Their names, by what they have at some place.
const KINDS: &[(&str, u64, &[u8])] = &[("squashfs", 0, b"hsqs"), ("erofs", 1024, &[0xe2, 0xe1, 0xf5, 0xe0])];

fn open(path: &str) -> Result<OwnedFd> {
    openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(|| alloc::format!("open the file system {path}"))
}

/// Which file system a file holds, if one of those.
pub fn kind(path: &str) -> Result<Option<&'static str>> {
    let file = open(path)?;
    let mut found = [0; 4];
    let is = |(_, offset, magic): &&(&str, u64, &[u8])| {
        rustix::io::pread(&file, &mut found[..], *offset).is_ok() && found[..] == **magic
    };
    Ok(KINDS.iter().find(is).map(|(kind, ..)| *kind))
}

/// Mounts the file system in a file, attached nowhere yet.
pub fn mount(kind: &str, path: &str, parameters: &[String], attributes: Attributes) -> Result<OwnedFd> {
    // The device is held until the file system holds it.
    let (_device, device) = loop_device::attach(open(path)?.as_fd()).map_err(|errno| {
        Error::os(alloc::format!("make a loop device of {path}"), errno)
            .hint("this takes root, and a kernel with loop devices (CONFIG_BLK_DEV_LOOP)")
    })?;
    let mut parameters = parameters.to_vec();
    parameters.push("ro".to_string());
    new_file_system(kind, &device, &parameters, attributes)
        .map_err(|error| error.within(alloc::format!("the {kind} {path}")))
}
