//! The ids of user namespaces.

use alloc::format;
use alloc::string::String;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Access, CWD, Mode, OFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, getegid, geteuid, set_parent_process_death_signal, waitpid};

mod callers;

pub use callers::{as_owner, id_maps, user_name};

use super::hooks;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::{open, read_to_end};
use crate::image::worker;
use crate::plan::namespaces::{IdMaps, IdRange};
use crate::spec;
use crate::sys::clone::{CloneFlags, Cloned, clone3, setns};
use crate::sys::path::{access, openat};
use crate::sys::signal::SignalSet;

/// Writes the maps of the user namespace that `pid` is in. Who is not privileged maps his own id alone, and more with
/// the help of newuidmap(1) and newgidmap(1), which ask /etc/subuid and /etc/subgid.
pub fn write_maps(pid: Pid, maps: &IdMaps) -> Result<()> {
    let (uid, gid) = (geteuid(), getegid().as_raw());
    let only = |ranges: &[IdRange], own: u32| matches!(ranges, [r] if r.outside == own && r.size == 1);
    if uid.is_root() || only(&maps.uids, uid.as_raw()) {
        write(pid, "uid_map", &lines(&maps.uids))?;
    } else {
        help("newuidmap", pid, &maps.uids)?;
    }
    if uid.is_root() {
        return write(pid, "gid_map", &lines(&maps.gids));
    }
    if only(&maps.gids, gid) {
        // Who maps his group by himself must first give up setgroups(2) there (user_namespaces(7)).
        write(pid, "setgroups", "deny")?;
        return write(pid, "gid_map", &lines(&maps.gids));
    }
    help("newgidmap", pid, &maps.gids)
}

/// Where the helpers are, if they are anywhere.
const FOLDERS: &[&str] = &["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"];

/// The path of a program that the host has.
pub fn helper(name: &str) -> Option<String> {
    let paths = FOLDERS.iter().map(|folder| format!("{folder}/{name}"));
    paths.into_iter().find(|path| access(path.as_str(), Access::EXEC_OK).is_ok())
}

fn help(name: &str, pid: Pid, ranges: &[IdRange]) -> Result<()> {
    let Some(path) = helper(name) else {
        return Err(Error::new(format_args!("map more than the caller's own ids: {name} is not installed"))
            .hint("it comes with the package uidmap or shadow; a map of one's own id alone does without"));
    };
    let mut args = alloc::vec![String::from(name), format!("{}", pid.as_raw_nonzero())];
    for range in ranges {
        args.extend([range.inside, range.outside, range.size].map(|number| format!("{number}")));
    }
    let program = spec::Hook { path, args, ..spec::Hook::default() };
    hooks::run_program(&program, "", SignalSet::EMPTY).map_err(|error| {
        error
            .within(format_args!("map ids with {name}"))
            .hint("/etc/subuid and /etc/subgid must give them to this user")
    })
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
            let namespace = write_maps(pid, maps).and_then(|()| namespace_of(pid));
            drop(held);
            let _ = waitpid(Some(pid), WaitOptions::empty());
            namespace
        }
    }
}

/// Does something in a child that is root in a user namespace with these maps, and in a mount namespace: so files have
/// the owners that the container sees. Where the host allows no such namespace it is done here.
pub fn within(maps: &IdMaps, work: &mut dyn FnMut() -> Result<i32>) -> Result<i32> {
    let flags = CloneFlags::NEWUSER | CloneFlags::NEWNS;
    match child(flags, &mut |pid| write_maps(pid, maps), &mut || Ok(()), work) {
        Some(done) => done,
        None => work(),
    }
}

/// Does something in a child that is root in the user namespace of another process, as far as the caller owns that.
pub fn inside(process: Pid, work: &mut dyn FnMut() -> Result<i32>) -> Result<i32> {
    let namespace = namespace_of(process)?;
    let mut enter =
        || setns(namespace.as_fd(), CloneFlags::NEWUSER).step(|| "enter the container's user namespace");
    match child(CloneFlags::empty(), &mut |_| Ok(()), &mut enter, work) {
        Some(done) => done,
        None => Err(Error::new("start a process for the container's user namespace")),
    }
}

/// Does something in a child with namespaces of its own, after the parent's `map` and the child's `enter`. None where
/// there is no such child.
fn child(
    flags: CloneFlags,
    map: &mut dyn FnMut(Pid) -> Result<()>,
    enter: &mut dyn FnMut() -> Result<()>,
    work: &mut dyn FnMut() -> Result<i32>,
) -> Option<Result<i32>> {
    let pipe = || pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe");
    let ((waits, held), (said, tells)) = match (pipe(), pipe()) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(error), _) | (_, Err(error)) => return Some(Err(error)),
    };
    let pid = match clone3(flags, None) {
        Err(_) => return None,
        Ok(Cloned::Parent(pid)) => pid,
        Ok(Cloned::Child { .. }) => {
            drop((held, said));
            // Whoever does not write the maps is gone.
            if !matches!(rustix::io::read(&waits, &mut [0; 1]), Ok(1)) {
                servin_init::sys::process::exit(1);
            }
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            let code = enter().and_then(|()| work()).unwrap_or_else(|error| {
                worker::tell(tells.as_fd(), &error);
                error.code().into()
            });
            servin_init::sys::process::exit(code)
        }
    };
    drop((waits, tells));
    let mapped = map(pid)
        .and_then(|()| write_all(held.as_fd(), b"m").step(|| "let the process in the user namespace go on"));
    drop(held);
    let told = read_to_end(&said).unwrap_or_default();
    let ended = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty())).step(|| "wait for a process");
    let code = match mapped.and(ended) {
        Ok(ended) => ended.and_then(|(_, status)| status.exit_status()),
        Err(error) => return Some(Err(error)),
    };
    Some(match code {
        Some(code) if told.is_empty() => Ok(code),
        code => {
            let error = worker::failure(&String::from_utf8_lossy(&told));
            Err(error.exit_code(code.and_then(|code| code.try_into().ok()).unwrap_or(125)))
        }
    })
}

fn namespace_of(pid: Pid) -> Result<OwnedFd> {
    open(&format!("/proc/{}/ns/user", pid.as_raw_nonzero()))
}
