//! Places inside a directory that belongs to somebody else, as sources of bind mounts: a part of a volume, which some
//! container may be filling with links right now, and what another container has mounted (`--ipc container:NAME`).

use alloc::format;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::process::{DumpableBehavior, WaitOptions, set_dumpable_behavior, waitpid};

use super::channel::{Channel, Message};
use super::mount::{clone_path, clone_place};
use crate::error::{Error, Result, Step};
use crate::fs::resolve;
use crate::sys::clone::{CloneFlags, Cloned, clone3, setns};
use crate::sys::path::openat;

/// A detached copy of the tree at `subpath` inside `root`, which is a directory, or `/proc/PID/root`.
pub fn clone_inside(root: &str, subpath: &str, recursive: bool) -> Result<OwnedFd> {
    if let Some(pid) = root.strip_prefix("/proc/").and_then(|rest| rest.strip_suffix("/root")) {
        return of_process(pid, subpath, recursive);
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, root, flags, Mode::empty()).step(|| format!("open {root}"))?;
    let step = || format!("open {subpath} in {root}");
    let place = resolve::open(&directory, subpath, OFlags::PATH).step(step)?;
    clone_place(&place, recursive).step(step)
}

/// Mounts are copied in their own namespace alone, so a process goes there for it (open_tree(2), EINVAL).
fn of_process(pid: &str, path: &str, recursive: bool) -> Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let namespace = openat(CWD, format!("/proc/{pid}/ns/mnt"), flags, Mode::empty());
    let namespace = namespace.step(|| format!("open the mount namespace of the process {pid}"))?;
    let (inside, outside) = Channel::pair()?;
    let copy = || {
        // It has no pid there, and yet nobody there may look at it.
        set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "become non-dumpable")?;
        setns(&namespace, CloneFlags::NEWNS).step(|| "join the mount namespace")?;
        clone_path(path, recursive)
    };
    match clone3(CloneFlags::empty(), None).step(|| "create a process")? {
        Cloned::Child { .. } => {
            let _ = inside.send(&match copy() {
                Ok(tree) => Message::Terminal(tree),
                Err(error) => Message::Failed(error),
            });
            servin_init::sys::process::exit(0)
        }
        Cloned::Parent(child) => {
            drop(inside);
            let said = outside.receive();
            let _ = waitpid(Some(child), WaitOptions::empty());
            match said.step(|| "hear from it")? {
                Some(Message::Terminal(tree)) => Ok(tree),
                Some(Message::Failed(error)) => Err(error),
                _ => Err(Error::new("the process that copies the mount was killed")),
            }
        }
    }
}
