//! `exec`: one more process in a container that runs.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::stat;
use rustix::process::Pid;

use super::creation::announce;
use super::record::{Container, load_config};
use crate::error::{Error, Result};
use crate::launch::{self, Running, Watch};
use crate::plan::namespaces::{self, Namespaces};
use crate::plan::{self, Plan, Step};
use crate::spec::{self, NamespaceKind, Status};
use crate::sys::clone::CloneFlags;

/// A process to be started in a container.
pub struct Request<'r> {
    /// What it is, in the terms of `process` of config.json.
    pub process: spec::Process,
    /// A file that gets the pid.
    pub pid_file: Option<&'r str>,
    /// A socket that gets the master side of the terminal.
    pub console_socket: Option<&'r str>,
    /// A frozen container is no error: the process waits with it.
    pub ignore_paused: bool,
}

/// Starts the process. What it shares with the container: all namespaces and the root; what it does not have of
/// it: any descriptor of ours, and our own program's file (CVE-2019-5736, CVE-2016-9962).
pub fn enter(container: &Container, request: &Request, options: launch::Options) -> Result<Running> {
    let Some(process) = &container.process else {
        return Err(Error::new("cannot exec in a stopped container: container not running"));
    };
    if container.status == Status::Paused && !request.ignore_paused {
        return Err(Error::new("cannot exec in a paused container (use --ignore-paused to override)"));
    }
    let config = load_config(&container.directory)?;
    let linux = config.linux.unwrap_or_default();
    let planned = plan(&request.process, &linux)?;
    let kinds = separate_kinds(process.pid, &linux);
    let options = launch::Options { enter: Some((process.as_fd(), kinds)), ..options };
    launch::launch(&planned, &options, &mut Entry { request })
}

/// There is little to set up: the container is there.
fn plan(process: &spec::Process, linux: &spec::Linux) -> Result<Plan> {
    let process = plan::process::plan(process, linux, false)?;
    let steps: Vec<Step> = process.terminal.iter().map(|_| Step::Terminal).collect();
    // By kind alone, to know whether there is a user namespace.
    let joined = linux.namespaces.iter().map(|namespace| (namespace.kind, String::new())).collect();
    let namespaces = Namespaces { joined, ..Namespaces::default() };
    Ok(Plan { namespaces, steps, process, init: false, hooks: spec::Hooks::default() })
}

/// The kinds of namespaces in which the container is not in ours: a process cannot join the user namespace that it
/// is in (setns(2), EINVAL).
fn separate_kinds(pid: Pid, linux: &spec::Linux) -> CloneFlags {
    let mut kinds = CloneFlags::empty();
    for namespace in &linux.namespaces {
        if namespace.kind == NamespaceKind::User {
            let of =
                |process: &str| stat(alloc::format!("/proc/{process}/ns/user")).map(|s| (s.st_dev, s.st_ino));
            if of(&alloc::format!("{pid}")) == of("self") {
                continue;
            }
        }
        kinds |= namespaces::flag(namespace.kind);
    }
    kinds
}

/// An `exec` under way.
struct Entry<'e> {
    request: &'e Request<'e>,
}

impl Watch for Entry<'_> {
    fn ready(&mut self, pid: Pid, terminal: Option<&OwnedFd>) -> Result<()> {
        announce(pid, terminal, self.request.pid_file, self.request.console_socket)
    }
}
