//! The directory that a running container has under /run/servin: the layer that takes its changes.
//!
//! Whoever runs the container holds a lock on it and removes it in the end. What a killed run has left is not
//! locked any more, and the next run removes it.

use alloc::format;
use alloc::string::String;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FlockOperation, OFlags, flock, statat};
use rustix::io::Errno;

use crate::container::directory::Root;
use crate::error::{Error, Result, Step};
use crate::image::copy::{DIRECTORY, make_directory, open_at, remove_tree};
use crate::plan::defaults::Layer;

/// Removed when it is dropped.
pub struct ContainerDirectory {
    path: String,
    /// The directory of all containers, our name in it, and our lock; none of a directory that is only planned.
    held: Option<(OwnedFd, String, OwnedFd)>,
}

impl ContainerDirectory {
    /// Makes the directory of container `id` below `state`.
    pub fn create(state: &str, id: &str) -> Result<ContainerDirectory> {
        let all = open_state(state)?;
        remove_abandoned(&all, state)?;
        let path = format!("{state}/{id}");
        let step = || format!("make {path}");
        make_directory(all.as_fd(), id, 0o700).step(step)?;
        let own = open_at(all.as_fd(), id, DIRECTORY).step(step)?;
        // Closed at the exec of the container's program, and so held by this process alone.
        flock(&own, FlockOperation::NonBlockingLockExclusive).step(|| format!("lock {path}"))?;
        let directory = ContainerDirectory { path: path.clone(), held: Some((all, id.into(), own)) };
        let (_, _, own) = directory.held.as_ref().ok_or_else(|| Error::new(step()))?;
        make_directory(own.as_fd(), "upper", 0o755).step(step)?;
        make_directory(own.as_fd(), "work", 0o700).step(step)?;
        Ok(directory)
    }

    /// One that is not made: for a plan.
    pub fn planned(state: &str, id: &str) -> ContainerDirectory {
        ContainerDirectory { path: format!("{state}/{id}"), held: None }
    }

    /// Where the container's changes go.
    pub fn layer(&self) -> Layer {
        Layer { upper: format!("{}/upper", self.path), work: format!("{}/work", self.path) }
    }
}

impl Drop for ContainerDirectory {
    fn drop(&mut self) {
        if let Some((all, name, _)) = &self.held {
            // What cannot be removed now, the next run tries again.
            let _ = remove_tree(all.as_fd(), name);
        }
    }
}

fn open_state(state: &str) -> Result<OwnedFd> {
    Root::make(state)?;
    open_at(rustix::fs::CWD, state, DIRECTORY).step(|| format!("open {state}"))
}

fn remove_abandoned(all: &OwnedFd, state: &str) -> Result<()> {
    let step = || format!("list {state}");
    for entry in Dir::read_from(all).step(step)? {
        let entry = entry.step(step)?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name.starts_with('.') {
            continue;
        }
        // Another run may be removing it at this moment, or just making it.
        let Ok(directory) = open_at(all.as_fd(), name, DIRECTORY | OFlags::NOATIME) else { continue };
        if statat(&directory, "upper", AtFlags::SYMLINK_NOFOLLOW).is_err() {
            // Not one of ours: a container of the OCI commands lives without anybody's lock.
            continue;
        }
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => drop(remove_tree(all.as_fd(), name)),
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(Error::os(format!("lock {state}/{name}"), errno)),
        }
    }
    Ok(())
}
