//! `servin run` and `servin create`: a configuration made of flags, kept as a container, and then the same road as every
//! container.

mod flags;
mod lifetime;
mod mounts;
mod rootfs;

pub use flags::add_variables;
pub use lifetime::nanoseconds;
pub use rootfs::tools;

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustix::fs::{AtFlags, CWD};
use rustix::process::geteuid;

use super::arguments::{Command, Given};
use super::{Invocation, isolation, limits, network_flags, oci, output, places, rm};
use crate::container::directory::write_whole;
use crate::container::people::{self, Entry, Store};
use crate::container::placement::Manager;
use crate::container::time;
use crate::container::volume::Mounted;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::launch::sealed::Company;
use crate::launch::user_namespace;
use crate::network::{self, names, ports};
use crate::plan::Plan;
use crate::plan::defaults::{self, Space};
use crate::plan::namespaces;
use crate::spec;
use crate::supervise::client::{self, Attach, Left};
use crate::supervise::supervisor;
use crate::sys::path::statat;
use crate::sys::signal::{self, SignalFd, SignalSet};
use rootfs::Rootfs;

/// The table's entry.
pub const RUN: Command = Command {
    name: "servin run",
    usage: "[FLAGS] IMAGE [PROGRAM [ARGUMENTS]]",
    about: "Run a program in a new container and wait for it.",
    groups: flags::GROUPS,
    last_word: 1,
};

/// The table's entry.
pub const CREATE: Command = Command {
    name: "servin create",
    usage: "[FLAGS] IMAGE [PROGRAM [ARGUMENTS]]",
    about: "Make a new container, to be started by `servin start`.",
    groups: flags::GROUPS,
    last_word: 1,
};

/// `servin run`.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let detach = given.switch("detach", false);
    let attach = lifetime::attach(given, detach)?;
    let Some((store, entry)) = keep(&RUN, invocation, given, !detach)? else { return Ok(0) };
    let attend = match detach {
        true => None,
        false => Some(attach),
    };
    let options = Start { trace: given.switch("trace", false), pid_file: given.value("pidfile") };
    start(store, entry, attend, &options)
}

/// `servin create`.
pub fn create(invocation: &Invocation, given: &Given) -> Result<i32> {
    match keep(&CREATE, invocation, given, false)? {
        Some((_, entry)) => output::result(&entry.record.id).map(|()| 0),
        None => Ok(0),
    }
}

/// Makes what is kept of a new container; `None` when only the plan was asked for, which is then printed.
fn keep(
    command: &Command,
    invocation: &Invocation,
    given: &Given,
    foreground: bool,
) -> Result<Option<(&'static Store, Box<Entry>)>> {
    let cidfile = given.value("cidfile");
    if let Some(path) = cidfile
        && statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    {
        return Err(Error::new(format_args!("--cidfile {path}: there is such a file"))
            .hint("remove it, if its container is gone"));
    }
    let only_plan = given.switch("plan", false);
    if !given.switch("init", true) && !only_plan {
        // The program may execute /proc/self/exe, which is this one until it is executed.
        invocation.become_sealed(Company::Nobody)?;
    }
    let rootfs = Rootfs::read(command, invocation, given)?;
    let store = places::store(invocation, given)?;
    let id = people::new_id()?;
    let mut record = lifetime::record(given, foreground)?;
    record.id = id.clone();
    record.created = time::now();
    rootfs.note(given, &mut record);
    let files = rootfs.prepare(store, given, &id)?;
    if let Manager::Systemd(sockets) = limits::manager(invocation, given)? {
        record.systemd_sockets = sockets;
        record.cgroup_manager = Some("systemd".into());
    }
    let exposed: Vec<&str> = files.image.exposed_ports.iter().map(|(port, _)| port.as_str()).gather();
    let mut wish = network_flags::wish(given, &exposed)?;
    if let Some(owner) = &mut wish.container {
        *owner = store.find(owner).map_err(|error| error.within("--network container"))?.record.id.clone();
    }
    let (layers, volumes) = (files.users.clone(), files.image.volumes.clone());
    let mut request = flags::request(invocation, given, store, &id, files)?;
    let mut named = names::mounts(&store.places.network(None), &id, &wish);
    for (switch, path) in [("no-hosts", "/etc/hosts"), ("no-hostname", "/etc/hostname")] {
        named.retain(|mount| mount.destination != path || !given.switch(switch, false));
    }
    request.mounts.extend(named);
    if wish.mode == network::Mode::Host {
        request.spaces.network = Space::Host;
    }
    record.network = wish;
    record.shared = isolation::shared(given, &|name| Ok(store.find(name)?.record.id.clone()))?;
    let mounted = mounts::prepare(given, store, volumes, &mut request, &mut record)?;
    let user = (request.user.uid, request.user.gid);
    let config = defaults::config(request)?;
    record.command = config.process.as_ref().map(|process| process.args.clone()).unwrap_or_default();
    // Whatever is wrong with it is found out before anything is kept.
    let plan: Plan = crate::plan::plan(&config, "/", oci::host(false))?;
    if only_plan {
        return oci::print(&plan).map(|_| None);
    }
    if command.name == RUN.name {
        ports::check_free(&store.places.root, &record.network.publish)?;
    }
    if given.switch("replace", false)
        && let Ok(other) = store.find(&record.name)
        && other.record.name == record.name
    {
        rm::remove(store, &other.record.id, true, false).map_err(|error| error.within("--replace"))?;
    }
    let is_to_be_filled = mounted.as_ref().is_some_and(Mounted::is_to_be_filled);
    let entry = store.create(record, &spec::to_json(&config), &mut || {
        if !rootfs.is_to_be_filled() && !is_to_be_filled {
            return Ok(());
        }
        as_owner(&config, &mut || {
            rootfs.fill(store, &id)?;
            match &mounted {
                Some(mounted) => mounted.fill(&|| rootfs.open(store, &id, &layers), user),
                None => Ok(()),
            }
        })
    })?;
    if let Some(path) = cidfile {
        write_whole(CWD, path, &id, 0o644).step(|| alloc::format!("--cidfile: write {path}")).inspect_err(
            |_| {
                let _ = store.remove_locked(&entry);
            },
        )?;
    }
    if let Some(mounted) = mounted {
        mounted.keep();
    }
    Ok(Some((store, entry)))
}

/// Does something with the files of a new container: for a user in a user namespace of the container's ids, where files
/// can have their owners and layers be mounted.
fn as_owner(config: &spec::Config, work: &mut dyn FnMut() -> Result<()>) -> Result<()> {
    match &config.linux {
        Some(linux) if !geteuid().is_root() && !linux.uid_mappings.is_empty() => {
            let maps = namespaces::id_maps("linux", &linux.uid_mappings, &linux.gid_mappings)?;
            user_namespace::within(&maps, &mut || work().map(|()| 0)).map(drop)
        }
        _ => work(),
    }
}

/// How a container is started.
#[derive(Default)]
pub struct Start<'s> {
    /// Each step is printed.
    pub trace: bool,
    /// A file that gets the pid.
    pub pid_file: Option<&'s str>,
}

/// Starts a container, and stays with it where that is asked for; otherwise prints its id.
pub fn start(store: &Store, entry: Box<Entry>, attach: Option<Attach>, options: &Start) -> Result<i32> {
    let (wire, pid) = begin(store, &entry.record.id, attach.as_ref(), options.trace)?;
    if let Some(path) = options.pid_file {
        let text = alloc::format!("{pid}");
        write_whole(CWD, path, &text, 0o644).step(|| alloc::format!("--pidfile: write {path}"))?;
    }
    let Some(attach) = attach else {
        return output::result(&entry.record.id).map(|()| 0);
    };
    let signals = SignalFd::new(SignalSet::ALL).step(|| "watch signals")?;
    let left = client::relay(&wire, &attach, &signals)?;
    finish(store, &entry, left)
}

/// Starts a container's supervisor, and returns with the pid when the container runs. From then on signals are for the container,
/// where somebody attaches.
pub fn begin(store: &Store, id: &str, attach: Option<&Attach>, trace: bool) -> Result<(client::Wire, i32)> {
    // A signal that comes meanwhile is the container's too.
    let mask = signal::set_mask(SignalSet::ALL).step(|| "block signals")?;
    let wire = supervisor::begin(store, id, oci::means(trace), attach.map_or(0, Attach::wants))
        .and_then(|wire| client::wait_for_start(&wire).map(|pid| (wire, pid)));
    if wire.is_err() || attach.is_none() {
        let _ = signal::set_mask(mask);
    }
    wire
}

/// The exit code after a container was left.
pub fn finish(store: &Store, entry: &Entry, left: Left) -> Result<i32> {
    match left {
        Left::Ended(code) => Ok(code),
        Left::Detached => Ok(0),
        Left::Lost => {
            // Cleans what is left of it.
            let _ = store.find(&entry.record.id);
            Err(Error::new("the container's supervisor was killed, and the container with it").exit_code(137))
        }
    }
}
