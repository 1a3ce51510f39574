//! A container's networks, as its supervisor sees to them.

use alloc::format;
use alloc::string::String;

use rustix::process::Pid;

use super::spaces;
use crate::container::people::{Record, Store};
use crate::error::{Error, Result};
use crate::launch::hooks;
use crate::launch::user_namespace::helper;
use crate::network::{self, Attached, Container, Mode, Places, pasta};
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

/// When all is made: lets pasta connect what an unprivileged user has started. It goes on beside the container, and
/// ends with the namespace (pasta(1)).
pub fn connect_unprivileged(places: &Places, record: &Record, pid: Pid) -> Result<()> {
    if record.network.mode != Mode::User {
        return Ok(());
    }
    let path = helper("pasta").ok_or_else(|| Error::new("--network pasta: the program is not installed"))?;
    let args = pasta::arguments(places, &record.id, &record.network, pid.as_raw_nonzero().get())?;
    let program = spec::Hook { path, args, ..spec::Hook::default() };
    match hooks::run_program(&program, "", SignalSet::EMPTY) {
        Err(error) if record.network.by_default && record.network.publish.is_empty() => {
            places.say(&format!("the container has no network: pasta: {error}"));
            Ok(())
        }
        other => other.map_err(|error| error.within("connect it with pasta")),
    }
}
