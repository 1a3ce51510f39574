//! `exec`: one more process in a container that runs.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;

use super::creation::announce;
use super::record::{Container, load_config};
use crate::cgroup::{Cgroup, Hierarchy, Limits};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::launch::{self, Running, Watch};
use crate::plan::mounts::Source;
use crate::plan::namespaces::{self, Namespaces};
use crate::plan::{self, Plan, Step, schedule};
use crate::spec::{self, NamespaceKind, Status};
use crate::sys::clone::CloneFlags;
use crate::sys::path::stat;

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
    /// A cgroup below the container's, instead of that.
    pub cgroup: Option<&'r str>,
    /// Without the container's seccomp filter.
    pub unfiltered: bool,
    /// A tree of the host's, whose programs the process is to have at hand.
    pub tools: Option<Source>,
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
    let planned = plan(request, process.pid, &config)?;
    let entry = &mut Entry { request };
    let cgroup = cgroup(container, process.pid, request.cgroup)?;
    let options = launch::Options {
        cgroup: cgroup.as_ref().map(|cgroup| cgroup.descriptor()),
        tools: request.tools.as_ref(),
        ..options
    };
    let descriptor = process.descriptor.as_ref().map(AsFd::as_fd);
    let mut options =
        launch::Options { enter: descriptor.map(|process| (process, kinds(&planned))), ..options };
    match launch::launch(&planned, &options, entry) {
        // Before Linux 5.8 no namespace is joined by such a descriptor: one by one then, by their paths.
        Err(error) if error.errno() == Some(Errno::INVAL) && options.enter.is_some() => {
            options.enter = None;
            launch::launch(&planned, &options, entry)
        }
        other => other,
    }
}

/// Where the process is born. A container that keeps processes only in cgroups of its own below, as systemd does,
/// has its first one there: beside that the new one belongs.
fn cgroup(container: &Container, first: Pid, asked_for: Option<&str>) -> Result<Option<Cgroup>> {
    let Some(own) = &container.cgroup else {
        return match asked_for {
            None | Some("/") => Ok(None),
            Some(_) => Err(Error::new("--cgroup: the container has no cgroup")),
        };
    };
    match asked_for {
        None | Some("/") if own.is_inner()? => {
            let hierarchy = Hierarchy::find_for(&format!("/proc/{first}/cgroup"))?;
            hierarchy.map(|hierarchy| Cgroup::open(&hierarchy.directory(&hierarchy.own))).transpose()
        }
        None | Some("/") => Cgroup::open(own.path()).map(Some),
        Some(path) => own.below(path).map(Some).map_err(|error| error.within("--cgroup")),
    }
}

/// There is little to set up: the container is there.
fn plan(request: &Request, pid: Pid, config: &spec::Config) -> Result<Plan> {
    let process = &request.process;
    let linux = config.linux.as_ref().ok_or_else(|| Error::new("linux is missing"))?;
    let affinity = schedule::affinity(process)?;
    let mut process = plan::process::plan(process, linux, false)?;
    process.schedule.processors = affinity;
    let mut steps: Vec<Step> = process.terminal.iter().map(|_| Step::Terminal).gather();
    steps.extend(request.tools.iter().map(|_| Step::Tools));
    let mut joined: Vec<(NamespaceKind, String)> = Vec::new();
    // The one that gives the rights for the others first.
    for (kind, file) in [
        (NamespaceKind::User, "user"),
        (NamespaceKind::Cgroup, "cgroup"),
        (NamespaceKind::Ipc, "ipc"),
        (NamespaceKind::Uts, "uts"),
        (NamespaceKind::Network, "net"),
        (NamespaceKind::Pid, "pid"),
        (NamespaceKind::Time, "time"),
        (NamespaceKind::Mount, "mnt"),
    ] {
        let path = format!("/proc/{pid}/ns/{file}");
        let listed = linux.namespaces.iter().any(|namespace| namespace.kind == kind);
        // Nobody can join the user namespace that he is in (setns(2), EINVAL).
        if listed && (kind != NamespaceKind::User || !is_ours(&path)) {
            joined.push((kind, path));
        }
    }
    let seccomp = if request.unfiltered { None } else { plan::filter(config, linux)? };
    let namespaces = Namespaces { joined, ..Namespaces::default() };
    Ok(Plan {
        namespaces,
        steps,
        process,
        init: false,
        hooks: spec::Hooks::default(),
        seccomp,
        mount_label: None,
        cgroups_path: None,
        cgroup_owner: None,
        limits: Limits::default(),
    })
}

fn kinds(plan: &Plan) -> CloneFlags {
    plan.namespaces.joined.iter().map(|(kind, _)| namespaces::flag(*kind)).collect()
}

fn is_ours(path: &str) -> bool {
    let same = |path: &str| stat(path).map(|stat| (stat.st_dev, stat.st_ino));
    same(path) == same("/proc/self/ns/user")
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
