//! A container's networks, as its supervisor sees to them.

use alloc::string::String;

use rustix::process::Pid;

use crate::container::people::{Record, Store};
use crate::error::{Error, Result};
use crate::network::{self, Attached, Container, Mode, Places};
use crate::spec::{self, NamespaceKind};

/// Before the container is made: writes its files of names, or finds the namespace that it shares, which is in the
/// configuration then. Returns the configuration's text where it has changed.
pub fn prepare(
    store: &Store,
    places: &Places,
    record: &Record,
    config: &mut spec::Config,
) -> Result<Option<String>> {
    let Some(owner) = record.network.container.as_ref().filter(|_| record.network.mode == Mode::Container)
    else {
        let hostname = config.hostname.as_deref().unwrap_or_default();
        return network::files(places, &record.id, hostname, &record.network).map(|()| None);
    };
    let owner = store.find(owner).map_err(|error| error.within("--network container"))?.record;
    let Some(pid) = owner.state.pid else {
        return Err(Error::new(format_args!("--network container: {} does not run", owner.name))
            .hint(alloc::format!("`servin start {}` changes that", owner.name)));
    };
    let namespaces = config.linux.iter_mut().flat_map(|linux| &mut linux.namespaces);
    for namespace in namespaces.filter(|namespace| namespace.kind == NamespaceKind::Network) {
        namespace.path = Some(alloc::format!("/proc/{pid}/ns/net"));
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
