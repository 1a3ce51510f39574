//! A container's files as it sees them, for commands on the host: through its process while it runs, and through a mount
//! that is attached nowhere while it does not. Every path inside is a stranger's: it is resolved by [`resolve`].
//!
//! [`resolve`]: crate::fs::resolve

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::people::{CONFIG, Entry};
use crate::error::{Error, Result, Step};
use crate::launch::mount::new_file_system;
use crate::plan::mounts::Attributes;
use crate::spec;
use crate::sys::signal::pidfd_send_signal;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a container's root. Who calls this for one that does not run holds its lock, so that nobody starts it meanwhile.
pub fn of_container(entry: &Entry) -> Result<OwnedFd> {
    let record = &entry.record;
    if let Some(pid) = record.state.pid.filter(|_| record.state.phase.is_alive()).and_then(Pid::from_raw) {
        let step = || format!("look into the container {}", record.name);
        let process = pidfd_open(pid, PidfdFlags::empty()).step(step)?;
        let path = format!("/proc/{}/root", pid.as_raw_nonzero());
        let root = openat(CWD, path, DIRECTORY, Mode::empty()).step(step)?;
        // It was that process all the time if it is there still.
        pidfd_send_signal(&process, 0).step(step)?;
        return Ok(root);
    }
    let text = entry.directory.read(CONFIG)?.unwrap_or_default();
    let config: spec::Config = spec::parse(&text, &entry.directory.file(CONFIG))?;
    let overlay = config.mounts.iter().find(|mount| mount.destination == "/");
    match (overlay, config.root) {
        (Some(mount), _) if mount.kind.as_deref() == Some("overlay") => overlay_of(&mount.options),
        (_, Some(root)) => of_directory(&root.path),
        (_, None) => Err(Error::new(format_args!("the container {} has no root file system", record.name))),
    }
}

/// The files that a container was made of, below the layer of its own changes; none where it has no such layer.
pub fn of_image(entry: &Entry) -> Result<Option<OwnedFd>> {
    let text = entry.directory.read(CONFIG)?.unwrap_or_default();
    let config: spec::Config = spec::parse(&text, &entry.directory.file(CONFIG))?;
    let Some(overlay) = config.mounts.into_iter().find(|mount| mount.destination == "/") else {
        return Ok(None);
    };
    let lower =
        overlay.options.iter().find_map(|option| option.strip_prefix("lowerdir=")).unwrap_or_default();
    let mut layers = Vec::from([String::new()]);
    let mut characters = lower.chars();
    while let Some(character) = characters.next() {
        match (character, layers.last_mut()) {
            (':', _) => layers.push(String::new()),
            ('\\', Some(last)) => last.extend(characters.next()),
            (other, Some(last)) => last.push(other),
            _ => {}
        }
    }
    of_layers(&layers, overlay.options.iter().any(|option| option == "userxattr")).map(Some)
}

/// Opens the files of an image's layers, the highest first.
pub fn of_layers(layers: &[String], user_xattrs: bool) -> Result<OwnedFd> {
    if let [layer] = layers {
        return of_directory(layer);
    }
    overlay_of(&lower(layers, user_xattrs))
}

/// The words for an overlay of these layers, the highest first, that nobody can write to.
pub fn lower(layers: &[String], user_xattrs: bool) -> Vec<String> {
    let escape = |path: &String| path.replace('\\', "\\\\").replace(':', "\\:");
    let lower: Vec<String> = layers.iter().map(escape).collect();
    let mut options = Vec::from([format!("lowerdir={}", lower.join(":"))]);
    if user_xattrs {
        options.push("userxattr".to_string());
    }
    options
}

fn of_directory(path: &str) -> Result<OwnedFd> {
    openat(CWD, path, DIRECTORY, Mode::empty()).step(|| format!("open the root file system {path}"))
}

fn overlay_of(options: &[String]) -> Result<OwnedFd> {
    let mounted = new_file_system("overlay", "overlay", options, Attributes::default());
    mounted.map_err(|error| error.within("mount the container's files"))
}
