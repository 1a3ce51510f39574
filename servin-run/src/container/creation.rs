//! `create` and the first half of `run`: from a bundle to a process that is ready to execute its program.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::CWD;
use rustix::process::Pid;

use super::directory::{Directory, Lock, Root, write_whole};
use super::placement::{Manager, Placement, Scope};
use super::process::Identity;
use super::record::{self, Record, START};
use super::resctrl::Groups;
use super::{removal, start, time};
use crate::cgroup::Made;
use crate::error::{Error, Result, Step};
use crate::launch::channel::{self, Listener};
use crate::launch::{self, Running, Watch};
use crate::network::device;
use crate::plan::Plan;
use crate::spec::{Config, State};
use crate::sys::signal::{self, SignalSet};

/// A container to be made.
pub struct Request<'r> {
    /// Its id, known to be a good one.
    pub id: &'r str,
    /// The bundle's absolute path.
    pub bundle: &'r str,
    /// The text of its config.json,
    pub text: &'r str,
    /// what is in it,
    pub config: &'r Config,
    /// and what follows from that.
    pub plan: &'r Plan,
    /// The user who asks for it.
    pub owner: String,
    /// A file that gets the pid.
    pub pid_file: Option<&'r str>,
    /// A socket that gets the master side of the terminal.
    pub console_socket: Option<&'r str>,
    /// The process waits for `start`.
    pub wait: bool,
    /// Who makes its cgroup.
    pub manager: Manager,
    /// Called when its process was born and its namespaces exist, before anything happens in them.
    pub born: Option<&'r dyn Fn(Pid) -> Result<()>>,
    /// Called when all is made, before its program is executed.
    pub ready: Option<&'r dyn Fn(Pid) -> Result<()>>,
}

/// A container that was made.
pub struct Created {
    /// Where it is kept.
    pub directory: Directory,
    /// Given back by whoever has no more to do with it.
    pub lock: Lock,
    /// Its process, our child.
    pub running: Running,
    /// What is kept of it,
    pub record: Record,
    /// and what its hooks read.
    pub state: State,
}

/// Makes the container. After a failure nothing of it is left.
pub fn create(root: &Root, request: &Request, options: launch::Options) -> Result<Created> {
    // From here on a signal must not end us between what was made and its removal.
    let mask = match options.blocked {
        Some(mask) => mask,
        None => signal::set_mask(SignalSet::ALL).step(|| "block signals")?,
    };
    let ours = options.blocked.is_none();
    let created = make(root, request, launch::Options { blocked: Some(mask), ..options });
    if created.is_err() && ours {
        let _ = signal::set_mask(mask);
    }
    created
}

fn make(root: &Root, request: &Request, options: launch::Options) -> Result<Created> {
    device::check(request.config)?;
    let (directory, lock) = root.create(request.id)?;
    let config = request.config;
    let rootfs = config.root.as_ref().map_or("", |root| root.path.as_str());
    let record = Record {
        bundle: request.bundle.into(),
        rootfs: crate::plan::below(request.bundle, rootfs),
        created: time::now(),
        owner: request.owner.clone(),
        ..Record::default()
    };
    let mut creation =
        Creation { request, directory: &directory, record, born: false, groups: None, scope: None };
    let warn = options.warn;
    let launched = creation.launch(options).and_then(|running| creation.started(running));
    let Creation { record, born, .. } = creation;
    let state = record.state(request.id, config.annotations.clone());
    match launched {
        Ok(running) => Ok(Created { directory, lock, running, record, state }),
        Err(error) => {
            let hooks = if born { request.plan.hooks.poststop.as_slice() } else { &[] };
            Err(removal::and_then(error, removal::clean_up(&directory, &record, hooks, state, warn)))
        }
    }
}

/// A creation under way.
struct Creation<'c> {
    request: &'c Request<'c>,
    directory: &'c Directory,
    record: Record,
    /// There was a process, and hooks may have run.
    born: bool,
    /// Its share of caches.
    groups: Option<Groups>,
    /// The scope that systemd is to make of it.
    scope: Option<Scope>,
}

impl Creation<'_> {
    fn launch(&mut self, options: launch::Options) -> Result<Running> {
        let (request, directory) = (self.request, self.directory);
        let placement = Placement::find(request.plan, request.id, &request.manager)?;
        let rdt = request.config.linux.as_ref().and_then(|linux| linux.intel_rdt.as_ref());
        self.groups = rdt.map(|rdt| Groups::plan(rdt, request.id)).transpose()?;
        self.record.cgroup = placement.as_ref().map(Placement::directory);
        if let Some(Placement::Scope(scope)) = &placement {
            self.record.scope = Some(scope.unit.name.clone());
            self.record.systemd = Some(scope.manager.address().into());
        }
        self.record.resctrl = self.groups.as_ref().map_or(Vec::new(), |groups| groups.own.clone());
        self.record.save(self.directory)?;
        if let Some(groups) = &self.groups {
            groups.make()?;
        }
        let has_place = placement.is_some();
        let made = match placement {
            Some(Placement::Directory(place)) => place.make(request.plan, options.warn)?,
            Some(Placement::Scope(scope)) => {
                self.scope = Some(scope);
                None
            }
            None => None,
        };
        self.record.cgroup_made = made.is_some();
        if has_place {
            self.record.save(self.directory)?;
        }
        let listener = match request.wait {
            true => Some(Listener::new(&self.directory.socket(START)).step(|| "listen for start")?),
            false => None,
        };
        let cgroup = made.as_ref().map(|made| made.descriptor());
        let state = self.record.state(request.id, request.config.annotations.clone());
        let place = self.scope.is_some();
        let alone = launch::asks_nothing(request.plan) && !place;
        // Whoever connects it does that at its birth.
        let network_aside = alone && request.born.is_none() && !device::wanted(request.config);
        let told = request.pid_file.is_some() || request.console_socket.is_some() || request.ready.is_some();
        let set_up: &dyn Fn() -> Result<()> = &|| record::take_prepared(directory);
        let set_up = (alone && !told && !request.wait).then_some(set_up);
        let options = launch::Options { listener, cgroup, place, state, network_aside, set_up, ..options };
        let running = launch::launch(request.plan, &options, self)?;
        made.map(Made::keep);
        Ok(running)
    }

    /// What follows once the program is executed, unless that waits for `start`.
    fn started(&self, running: Running) -> Result<Running> {
        let request = self.request;
        if request.wait {
            return Ok(running);
        }
        let state = self.record.state(request.id, request.config.annotations.clone());
        match start::after(&request.plan.hooks.poststart, &state, self.record.pid, running.mask) {
            Ok(()) => Ok(running),
            Err(error) => {
                running.end();
                Err(error)
            }
        }
    }
}

impl Watch for Creation<'_> {
    fn born(&mut self, pid: Pid) -> Result<()> {
        self.born = true;
        // The process has its own work to do meanwhile.
        record::save_config(self.directory, self.request.text)?;
        self.record.set_process(Identity::of(pid)?);
        self.record.prepare(self.directory)?;
        if let Some(groups) = &self.groups {
            groups.assign(pid)?;
        }
        device::move_all(self.request.config, pid.as_raw_nonzero().get())?;
        self.request.born.map_or(Ok(()), |born| born(pid))
    }

    fn place(&mut self, pid: Pid) -> Result<()> {
        let Some(scope) = &mut self.scope else { return Ok(()) };
        self.record.cgroup = Some(scope.start(pid, &self.request.plan.limits)?);
        self.record.cgroup_made = true;
        self.record.save(self.directory)?;
        self.record.prepare(self.directory)?;
        scope.limit(self.request.plan)
    }

    fn ready(&mut self, pid: Pid, terminal: Option<&OwnedFd>) -> Result<()> {
        self.request.ready.map_or(Ok(()), |ready| ready(pid))?;
        record::take_prepared(self.directory)?;
        announce(pid, terminal, self.request.pid_file, self.request.console_socket)
    }
}

/// Tells the engine of a new process: its terminal goes through the socket, its pid into the file.
pub fn announce(
    pid: Pid,
    terminal: Option<&OwnedFd>,
    pid_file: Option<&str>,
    console_socket: Option<&str>,
) -> Result<()> {
    if let (Some(terminal), Some(path)) = (terminal, console_socket) {
        channel::hand_over(path, "/dev/ptmx", terminal.as_fd())
            .step(|| alloc::format!("send the terminal to the console socket {path}"))?;
    }
    match pid_file {
        Some(path) => write_whole(CWD, path, &alloc::format!("{pid}"), 0o644)
            .step(|| alloc::format!("write the pid file {path}")),
        None => Ok(()),
    }
}

/// runc's rule: letters, digits and `+-._`, at most 1024 of them, and no path.
pub fn validate_id(id: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    match !id.is_empty() && id.len() <= 1024 && id.bytes().all(allowed) && id != "." && id != ".." {
        true => Ok(()),
        false => Err(Error::new(format_args!(
            "invalid container ID \"{id}\": letters, digits and +-._ are allowed"
        ))),
    }
}
