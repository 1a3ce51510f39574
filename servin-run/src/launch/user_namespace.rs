//! The ids of user namespaces.

use alloc::format;
use alloc::string::String;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, WaitOptions, geteuid, waitpid};

use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::plan::namespaces::{IdMaps, IdRange};
use crate::sys::clone::{CloneFlags, Cloned, clone3};

/// Writes the maps of the user namespace that `pid` is in.
pub fn write_maps(pid: Pid, maps: &IdMaps) -> Result<()> {
    if !geteuid().is_root() {
        // Who is not privileged must first give up setgroups(2) there (user_namespaces(7)).
        write(pid, "setgroups", "deny")?;
    }
    write(pid, "uid_map", &lines(&maps.uids))?;
    write(pid, "gid_map", &lines(&maps.gids))
}

fn lines(ranges: &[IdRange]) -> String {
    ranges.iter().map(|r| format!("{} {} {}\n", r.inside, r.outside, r.size)).collect()
}

fn write(pid: Pid, name: &str, text: &str) -> Result<()> {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    let step = || format!("write {path}");
    let file = openat(CWD, path.as_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).step(step)?;
    // The kernel takes a map in one write or not at all.
    write_all(file.as_fd(), text.as_bytes()).map_err(|errno| {
        let error = Error::os(step(), errno);
        if errno == Errno::PERM { error.hint("the caller may not use all of these ids") } else { error }
    })
}

/// A user namespace with these maps and no process in it, for id-mapped mounts: a process is born in it, and
/// ends as soon as the namespace is held by a descriptor.
pub fn make(maps: &IdMaps) -> Result<OwnedFd> {
    let (waits, held) = pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe")?;
    match clone3(CloneFlags::NEWUSER, None).step(|| "make a user namespace")? {
        Cloned::Child { .. } => {
            drop(held);
            let _ = rustix::io::read(&waits, &mut [0][..]);
            servin_init::sys::process::exit(0);
        }
        Cloned::Parent(pid) => {
            let namespace = write_maps(pid, maps).and_then(|()| open(pid));
            drop(held);
            let _ = waitpid(Some(pid), WaitOptions::empty());
            namespace
        }
    }
}

fn open(pid: Pid) -> Result<OwnedFd> {
    let path = format!("/proc/{}/ns/user", pid.as_raw_nonzero());
    openat(CWD, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(|| format!("open {path}"))
}
