//! The layer that takes the changes of a person's container, in its directory, and what killed runs have left.
//!
//! Whoever stays with such a container holds a lock on its layer and removes both in the end. What is not locked any
//! more, the next run removes.

use alloc::format;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FlockOperation, flock};
use rustix::io::{self, Errno};

use super::directory::{Directory, Root};
use super::record::{self, Container};
use super::removal;
use crate::error::{Error, Result, Step};
use crate::image::copy::{DIRECTORY, make_directory, open_at};
use crate::plan::defaults::Layer;

const UPPER: &str = "upper";
const WORK: &str = "work";

/// Where the layer of container `id` is going to be.
pub fn paths(root: &str, id: &str) -> Layer {
    Layer { upper: format!("{root}/{id}/{UPPER}"), work: format!("{root}/{id}/{WORK}"), ..Layer::default() }
}

/// Makes the layer; the descriptor is the lock.
pub fn make(directory: &Directory) -> Result<OwnedFd> {
    let step = || format!("make {}", directory.file(UPPER));
    make_directory(directory.as_fd(), UPPER, 0o755).step(step)?;
    make_directory(directory.as_fd(), WORK, 0o700).step(step)?;
    // Closed at the exec of the container's program, and so held by this process alone.
    lock(directory).step(step)?.ok_or_else(|| Error::os(step(), Errno::WOULDBLOCK))
}

fn lock(directory: &Directory) -> io::Result<Option<OwnedFd>> {
    let upper = open_at(directory.as_fd(), UPPER, DIRECTORY)?;
    match flock(&upper, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(upper)),
        Err(Errno::WOULDBLOCK) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Removes the containers that nobody stays with any more. What cannot be removed now, the next run tries again.
pub fn sweep(root: &Root) -> Result<()> {
    for id in root.ids()? {
        // Another run may be removing it at this moment, or just making it; and an engine's has no layer.
        let Ok(Some(directory)) = root.find(&id) else { continue };
        let Ok(Some(_held)) = lock(&directory) else { continue };
        let Ok(_lock) = directory.lock() else { continue };
        let _ = Container::look(directory).and_then(|container| {
            let config = record::load_config(&container.directory).unwrap_or_default();
            let state = container.record.state(&id, config.annotations);
            removal::end(&container)?;
            removal::clean_up(&container.directory, &container.record, &[], state, None)
        });
    }
    Ok(())
}
