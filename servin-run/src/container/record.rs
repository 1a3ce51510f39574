//! What is kept of a container on disk, and what follows from that and from the kernel: its state.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::CWD;
use rustix::process::Pid;

use super::directory::Directory;
use super::placement;
use super::process::{Alive, Identity};
use crate::cgroup::{Cgroup, file};
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::spec::json::object;
use crate::spec::{self, Config, State, Status};

/// The file of the record.
const RECORD: &str = "state.json";
/// What the record is going to be when the container is set up.
const NEXT: &str = "state.next.json";
/// The configuration, as it was in the bundle when the container was created.
const CONFIG: &str = "config.json";
/// The socket on which the container's process waits for `start`; while it has this name, nobody has called that.
pub const START: &str = "start";

object! {
    /// What cannot be derived from the host.
    pub struct Record {
        /// The bundle's absolute path.
        "bundle" => bundle: String,
        /// The root file system's absolute path.
        "rootfs" => rootfs: String,
        /// When it was created, as RFC 3339.
        "created" => created: String,
        /// The name of the user who did.
        "owner" => owner: String,
        /// The pid of its process, once that was set up.
        "pid" => pid: Option<i32>,
        /// With it: when that process started.
        "start" => start: Option<u64>,
        /// With it: the host's boot id.
        "boot" => boot: Option<String>,
        /// The directory of its cgroup, where it has one.
        "cgroup" => cgroup: Option<String>,
        /// That cgroup was made; before, it may be another's.
        "cgroupMade" => cgroup_made: bool,
        /// With the systemd driver: the scope whose cgroup it is,
        "scope" => scope: Option<String>,
        /// and the socket of the manager who has it.
        "systemd" => systemd: Option<String>,
        /// Its own directories of the resctrl file system, in the order of their making.
        "resctrl" => resctrl: Vec<String>,
    }
}

impl Record {
    /// Reads a container's record; `None` where it was killed before it had one.
    pub fn load(directory: &Directory) -> Result<Option<Record>> {
        match directory.read(RECORD)? {
            Some(text) => spec::parse(&text, &directory.file(RECORD)).map(Some),
            None => Ok(None),
        }
    }

    /// Writes it.
    pub fn save(&self, directory: &Directory) -> Result<()> {
        directory.write(RECORD, &spec::to_json(self))
    }

    /// Writes what it is going to be.
    pub fn prepare(&self, directory: &Directory) -> Result<()> {
        directory.write(NEXT, &spec::to_json(self))
    }

    /// Notes which process is the container's.
    pub fn set_process(&mut self, identity: Identity) {
        self.pid = Some(identity.pid.as_raw_nonzero().get());
        self.start = Some(identity.start);
        self.boot = Some(identity.boot);
    }

    /// Its cgroup, unless it has none.
    pub fn cgroup(&self) -> Result<Option<Cgroup>> {
        match &self.cgroup {
            Some(path) if self.cgroup_made => placement::open(path),
            _ => Ok(None),
        }
    }

    /// Whether the kernel has killed one of its processes for want of memory, in cgroups of its own making too; can
    /// be asked until the cgroup is removed.
    pub fn was_killed_for_memory(&self) -> Result<bool> {
        let Some(path) = self.cgroup.as_deref().filter(|_| self.cgroup_made) else { return Ok(false) };
        let path = format!("{path}/memory.events");
        let events = file::read_if_there(CWD, &path).step(|| format!("read {path}"))?;
        Ok(file::number(&events, "oom_kill").is_some_and(|kills| kills > 0))
    }

    /// The process, unless it has ended or there never was one.
    pub fn process(&self) -> Result<Option<Alive>> {
        match (self.pid.and_then(Pid::from_raw), self.start, &self.boot) {
            (Some(pid), Some(start), Some(boot)) => Identity { pid, start, boot: boot.clone() }.find(),
            _ => Ok(None),
        }
    }
}

/// Removes the directory of a container of which nothing else is left.
pub fn remove(directory: &Directory) -> Result<()> {
    // Those that are always there, so that nothing has to be listed.
    directory.remove_file(CONFIG)?;
    directory.remove_file(RECORD)?;
    directory.remove()
}

/// What was prepared is the record from now on.
pub fn take_prepared(directory: &Directory) -> Result<()> {
    directory.rename(NEXT, RECORD)
}

/// Keeps the configuration for the commands to come.
pub fn save_config(directory: &Directory, text: &str) -> Result<()> {
    directory.write(CONFIG, text)
}

/// The configuration that a container was created with.
pub fn load_config(directory: &Directory) -> Result<Box<Config>> {
    let path = directory.file(CONFIG);
    match directory.read(CONFIG)? {
        Some(text) => spec::parse(&text, &path).map(Box::new),
        None => Err(Error::new(format_args!("{path} is missing: the container was never wholly created"))),
    }
}

/// A container as it is now.
pub struct Container {
    /// Where it is kept.
    pub directory: Directory,
    /// What is kept.
    pub record: Record,
    /// Its process, unless it has ended.
    pub process: Option<Alive>,
    /// Its cgroup, where it has one.
    pub cgroup: Option<Cgroup>,
    /// Where in its life it is.
    pub status: Status,
}

impl Container {
    /// Looks at the container in `directory`.
    pub fn look(directory: Directory) -> Result<Container> {
        let record = Record::load(&directory)?.unwrap_or_default();
        let process = record.process()?;
        let cgroup = record.cgroup()?;
        let status = match &process {
            // Somebody is still creating it, or was killed doing so.
            None if record.pid.is_none() && directory.is_locked()? => Status::Creating,
            None => Status::Stopped,
            Some(_) if cgroup.as_ref().map_or(Ok(false), Cgroup::is_frozen)? => Status::Paused,
            Some(_) if directory.has(START) => Status::Created,
            Some(_) => Status::Running,
        };
        Ok(Container { directory, record, process, cgroup, status })
    }

    /// All its processes: those of its cgroup, or where it has none those of its PID namespace.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        match (&self.cgroup, &self.process) {
            (_, None) => Err(Error::new("container not running")),
            (Some(cgroup), _) => cgroup.pids(),
            (None, Some(process)) => Ok(process.family()?.iter().map(|member| member.pid).gather()),
        }
    }

    /// Sends a signal to all of them. That there is none any more is no error.
    pub fn signal_all(&self, number: u32) -> Result<()> {
        match (&self.cgroup, &self.process) {
            (Some(cgroup), _) => cgroup.signal(number),
            (None, None) => Ok(()),
            (None, Some(process)) => {
                for member in process.family()? {
                    member.signal(number)?;
                }
                Ok(())
            }
        }
    }

    /// Its state, as `state` prints it and hooks read it.
    pub fn state(&self) -> State {
        let mut config = load_config(&self.directory).unwrap_or_default();
        let pid = self.process.as_ref().map_or(0, |process| process.pid.as_raw_nonzero().get());
        let annotations = core::mem::take(&mut config.annotations);
        let stopped = self.status == Status::Stopped;
        State {
            pid: Some(pid),
            status: self.status,
            oom_killed: (stopped && self.record.was_killed_for_memory().unwrap_or(false)).then_some(true),
            ..self.record.state(self.directory.id(), annotations)
        }
    }
}

impl Record {
    /// The part of the state that does not change.
    pub fn state(&self, id: &str, annotations: Vec<(String, String)>) -> State {
        State {
            oci_version: spec::VERSION.to_string(),
            id: id.into(),
            pid: None,
            status: Status::Creating,
            bundle: self.bundle.clone(),
            rootfs: Some(self.rootfs.clone()),
            created: Some(self.created.clone()),
            annotations,
            owner: Some(self.owner.clone()),
            oom_killed: None,
        }
    }
}
