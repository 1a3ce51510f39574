//! Interfaces of the host that become a container's (config-linux.md, "Network Devices").

use alloc::format;
use alloc::vec::Vec;
use core::net::IpAddr;

use rustix::fd::{AsFd, OwnedFd};

use super::attach::open_namespace;
use super::link::{self, Change};
use super::netlink::{Message, Socket};
use super::route;
use crate::error::{Error, Result, Step};
use crate::fs::open;
use crate::gather::Gather as _;
use crate::spec::{self, NamespaceKind};

/// Whether a configuration has any.
pub fn wanted(config: &spec::Config) -> bool {
    config.linux.as_ref().is_some_and(|linux| !linux.net_devices.is_empty())
}

/// Refuses what cannot be moved, before anything is made.
pub fn check(config: &spec::Config) -> Result<()> {
    let Some(linux) = config.linux.as_ref().filter(|linux| !linux.net_devices.is_empty()) else {
        return Ok(());
    };
    if !linux.namespaces.iter().any(|namespace| namespace.kind == NamespaceKind::Network) {
        return Err(Error::new("linux.netDevices: the container has no network namespace of its own"));
    }
    for (device, to) in &linux.net_devices {
        [Some(device), to.name.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(|name| link::check_name(name))
            .map_err(|error| error.within("linux.netDevices"))?;
    }
    Ok(())
}

/// Moves those of a configuration into the container's namespace: that of the process, unless it is one with a path.
pub fn move_all(config: &spec::Config, pid: i32) -> Result<()> {
    let Some(linux) = config.linux.as_ref().filter(|linux| !linux.net_devices.is_empty()) else {
        return Ok(());
    };
    let mut network = linux.namespaces.iter().filter(|namespace| namespace.kind == NamespaceKind::Network);
    let namespace = match network.next().and_then(|namespace| namespace.path.as_deref()) {
        Some(path) => open(path)?,
        None => open_namespace(pid)?,
    };
    linux.net_devices.iter().try_for_each(|(device, to)| {
        move_device(&namespace, device, to.name.as_deref().unwrap_or(device))
            .map_err(|error| error.within(format_args!("linux.netDevices: {device}")))
    })
}

/// Moves an interface of the host into a namespace.
fn move_device(namespace: &OwnedFd, device: &str, name: &str) -> Result<()> {
    let step = || format!("move it into the container as {name}");
    let host = Socket::open().step(step)?;
    let found = link::require(&host, device)?;
    let kept = route::addresses(&host, found.index)?;
    let moved = Change {
        name: (name != device).then_some(name),
        namespace: Some(namespace.as_fd()),
        ..Change::default()
    };
    link::change(&host, found.index, &Change { up: Some(false), ..Change::default() }).step(step)?;
    link::change(&host, found.index, &moved).step(step)?;
    let inside = Socket::open_in(namespace, open("/proc/self/ns/net")?, 0).step(step)?;
    let index = link::require(&inside, name)?.index;
    // An interface loses its addresses when it moves; those of the whole world it keeps, as the specification says.
    let requests: Vec<Message> = kept
        .iter()
        .filter(|(address, _)| !is_link_local(*address))
        .map(|(address, block)| route::add_address(index, *address, block.prefix))
        .gather();
    link::change(&inside, index, &Change { up: Some(true), ..Change::default() }).step(step)?;
    route::carry_out(&inside, &requests, name)
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_loopback(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_loopback(),
    }
}
