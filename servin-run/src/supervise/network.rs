//! A container's networks, as its supervisor sees to them.

use alloc::format;
use alloc::string::String;

use rustix::process::Pid;

use super::slirp;
use super::spaces;
use crate::container::people::{Record, Store};
use crate::error::{Error, Result};
use crate::launch::hooks;
use crate::launch::user_namespace::helper;
use crate::network::{self, Attached, Container, Mode, Places, unprivileged};
use crate::spec::{self, NamespaceKind};
use crate::sys::signal::SignalSet;

/// Before the container is made: writes its files of names, or finds the namespace that it shares, which is in the
/// configuration then. Returns the configuration's text where it has changed.
pub fn prepare(
    store: &Store,
    places: &Places,
    record: &Record,
    config: &mut spec::Config,
) -> Result<Option<String>> {
    let changed = spaces::renew(store, record, config)?;
    let Some(owner) = record.network.container.as_ref().filter(|_| record.network.mode == Mode::Container)
    else {
        let hostname = config.hostname.as_deref().unwrap_or_default();
        network::files(places, &record.id, hostname, &record.network)?;
        return Ok(changed.then(|| spec::to_json(config)));
    };
    let pid = spaces::process(store, "network", owner)?;
    let namespaces = config.linux.iter_mut().flat_map(|linux| &mut linux.namespaces);
    for namespace in namespaces.filter(|namespace| namespace.kind == NamespaceKind::Network) {
        namespace.path = Some(format!("/proc/{pid}/ns/net"));
    }
    Ok(Some(spec::to_json(config)))
}

/// When its process was born: connects it.
pub fn attach(places: &Places, record: &Record, hostname: &str, pid: Pid) -> Result<Option<Attached>> {
    let container =
        Container { id: &record.id, name: &record.name, hostname, pid: pid.as_raw_nonzero().get() };
    match record.network.mode {
        Mode::Networks => network::attach(places, &container, &record.network).map(Some),
        _ => Ok(None),
    }
}

/// When all is made: lets pasta or slirp4netns connect what an unprivileged user has started.
pub fn connect_unprivileged(places: &Places, record: &Record, pid: Pid) -> Result<()> {
    let wish = &record.network;
    if wish.mode != Mode::User {
        return Ok(());
    }
    let name = wish.program.as_str();
    let step = || format!("--network {name}");
    let path =
        helper(name).ok_or_else(|| Error::new(format_args!("{}: the program is not installed", step())))?;
    let done = match name == unprivileged::PROGRAMS[0] {
        // It goes on beside the container, and ends with the namespace (pasta(1)).
        true => {
            let args = unprivileged::pasta(places, &record.id, wish, pid.as_raw_nonzero().get())?;
            hooks::run_program(&spec::Hook { path, args, ..spec::Hook::default() }, "", SignalSet::EMPTY)
        }
        false => slirp::start(places, &record.id, wish, &path, pid),
    };
    match done {
        Err(error) if wish.by_default && wish.publish.is_empty() => {
            places.say(&format!("the container has no network: {name}: {error}"));
            Ok(())
        }
        other => other.map_err(|error| error.within(step())),
    }
}
