//! A container comes into its networks, and leaves them.
//!
//! Coming: under the lock its addresses are chosen and recorded, and the bridges made ready; then its interfaces are
//! made. Leaving: under the lock its record goes, and with the last container of a network the network's bridge.
//! Whoever is killed in between leaves a record whose process is gone sooner or later, and the next one sweeps.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

use super::definition::Driver;
use super::lease::{Plug, lease};
use super::link::{self, New};
use super::names;
use super::netlink::{Answer, Socket};
use super::ports::{self, Published, Target};
use super::state::{Endpoint, Places, Record, State, namespace_of};
use super::subnet::Address;
use super::wish::{Attached, Membership, Mode, Wish};
use super::{bridge, restore, route};
use crate::error::{Error, Result, Step};
use crate::fs::open;
use crate::gather::Gather as _;
use crate::order;
use crate::sys::clone::{CloneFlags, setns};

/// A container to be connected.
#[derive(Clone, Copy)]
pub struct Container<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Its host name.
    pub hostname: &'a str,
    /// Its process.
    pub pid: i32,
}

/// Connects a container whose program has not started yet to all that it wants. After a failure nothing is left.
pub fn attach(places: &Places, container: &Container, wish: &Wish) -> Result<Attached> {
    if wish.mode != Mode::Networks || wish.networks.is_empty() {
        return Ok(Attached::default());
    }
    let attached = join(places, container, wish);
    let Err(error) = &attached else { return attached };
    if let Err(left) = detach(places, container.id) {
        places.say(&format!("{left}"));
    }
    if wish.by_default
        && wish.publish.is_empty()
        && matches!(error.errno(), Some(Errno::OPNOTSUPP | Errno::PERM))
    {
        places.say(&format!("the container has no network: {error}"));
        return Ok(Attached::default());
    }
    attached
}

fn join(places: &Places, container: &Container, wish: &Wish) -> Result<Attached> {
    let namespace = open_namespace(container.pid)?;
    let host = Socket::open().step(|| "open a netlink socket")?;
    let number = namespace_of(container.pid)
        .ok_or_else(|| Error::new("the container's process has ended before it was connected"))?;
    let mut record = Record {
        id: container.id.into(),
        name: container.name.into(),
        pid: container.pid,
        namespace: number,
        ..Record::default()
    };
    let mut plugs = Vec::new();
    {
        let state = State::lock(places)?;
        let mut all = sweep(places, &state, &host, &|record| record.lives() && record.id != container.id)?;
        let leased = wish.networks.iter().try_for_each(|membership| {
            plugs.push(lease(places, &state, &host, &mut record, &all, membership)?);
            Ok(())
        });
        names::begin(&mut record, container.hostname, &wish.extra_hosts);
        if let Err(error) = leased.and_then(|()| state.save(&record)) {
            let networks = wish.networks.iter().map(|membership| membership.network.as_str());
            remove_unused(&host, &all, &bridges(&state, networks))?;
            return Err(error);
        }
        all.push(record.clone());
        let networks: Vec<&str> = record.endpoints.iter().map(|endpoint| endpoint.network.as_str()).gather();
        names::update(places, &all, &networks);
    }
    connect(&host, &namespace, &record.endpoints, &plugs, false)?;
    let published = publish(places, container, wish, &record.endpoints, &plugs)?;
    Ok(Attached { endpoints: core::mem::take(&mut record.endpoints), published })
}

/// The network namespace of a process.
pub fn open_namespace(pid: i32) -> Result<OwnedFd> {
    open(&format!("/proc/{pid}/ns/net"))
}

/// Makes a container's interfaces; `later` where it runs already and has a default route.
fn connect(
    host: &Socket,
    namespace: &OwnedFd,
    endpoints: &[Endpoint],
    plugs: &[Plug],
    later: bool,
) -> Result<()> {
    let own = open("/proc/self/ns/net")?;
    let enter = |namespace| setns(namespace, CloneFlags::NEWNET);
    enter(namespace).step(|| "enter the container's network namespace")?;
    // Netlink sockets stay in the namespace in which they were opened; only kernel parameters need us inside.
    let done = connect_inside(host, namespace, endpoints, plugs, later);
    enter(&own).step(|| "return to the own network namespace")?;
    done
}

fn connect_inside(
    host: &Socket,
    namespace: &OwnedFd,
    endpoints: &[Endpoint],
    plugs: &[Plug],
    later: bool,
) -> Result<()> {
    let inside = Socket::open().step(|| "open a netlink socket in the container")?;
    let has_ipv6 = |endpoint: &Endpoint| endpoint.addresses.iter().any(|a| !a.address.0.is_ipv4());
    // No addresses by themselves, and no routes by what others announce.
    let disable = if endpoints.iter().any(has_ipv6) { "0" } else { "1" };
    bridge::set_parameter("net/ipv6/conf", "default", "disable_ipv6", disable);
    bridge::set_parameter("net/ipv6/conf", "default", "accept_ra", "0");
    let mut requests = Vec::new();
    let mut routed = [later, later];
    for (endpoint, plug) in endpoints.iter().zip(plugs) {
        make(host, namespace, endpoint, plug)
            .step(|| format!("make {} for the network {}", endpoint.interface, endpoint.network))
            .map_err(explain)?;
        let index = link::require(&inside, &endpoint.interface)?.index;
        requests.push(link::set_up(index));
        for assigned in &endpoint.addresses {
            let Address(address) = assigned.address;
            requests.push(route::add_address(index, address, assigned.subnet.prefix));
            let layer3 = plug.definition.mode.as_deref().is_some_and(|mode| mode.starts_with("l3"));
            let way_out = (assigned.gateway.is_some() || layer3) && !plug.definition.internal;
            let routed = &mut routed[usize::from(address.is_ipv4())];
            if way_out && !*routed {
                *routed = true;
                let gateway = assigned.gateway.map(|gateway| gateway.0).filter(|_| !layer3);
                requests.push(route::add_default(index, gateway, address.is_ipv4()));
            }
        }
    }
    route::carry_out(&inside, &requests, "the container's interfaces")
}

fn explain(error: Error) -> Error {
    match error.errno() {
        Some(Errno::OPNOTSUPP) => {
            error.hint("the kernel lacks that kind of interface (CONFIG_VETH, CONFIG_MACVLAN, CONFIG_IPVLAN)")
        }
        _ => error,
    }
}

/// Makes one interface in the container's namespace.
fn make(host: &Socket, namespace: &OwnedFd, endpoint: &Endpoint, plug: &Plug) -> Answer<()> {
    let mtu = plug.definition.mtu;
    let mac = endpoint.mac.as_deref().and_then(|mac| link::parse_mac(mac).ok());
    let inner =
        New { name: &endpoint.interface, mac, mtu, namespace: Some(namespace.as_fd()), ..New::default() };
    let mode = plug.definition.mode.as_deref().unwrap_or_default();
    match plug.definition.driver {
        Driver::Macvlan => link::make_macvlan(host, &inner, plug.index, macvlan_mode(mode)),
        Driver::Ipvlan => link::make_ipvlan(host, &inner, plug.index, ipvlan_mode(mode)),
        Driver::Bridge => {
            let name = endpoint.host_interface.as_deref().unwrap_or_default();
            let outer = New { name, mtu, master: Some(plug.index), ..New::default() };
            // Who had the addresses before may have had another hardware address.
            for assigned in &endpoint.addresses {
                let _ = route::forget_neighbour(host, plug.index, assigned.address.0);
            }
            match link::make_pair(host, &outer, &inner) {
                // That of a process that was there before this one, and whose namespace is still being taken down.
                Err(refused) if refused.errno == Errno::EXIST => {
                    link::remove(host, name)?;
                    link::make_pair(host, &outer, &inner)
                }
                other => other,
            }
        }
    }
}

/// `MACVLAN_MODE_*` of linux/if_link.h.
fn macvlan_mode(mode: &str) -> u32 {
    match mode {
        "private" => 1,
        "vepa" => 2,
        "passthru" => 8,
        _ => 4,
    }
}

/// `IPVLAN_MODE_*` of linux/if_link.h.
fn ipvlan_mode(mode: &str) -> u16 {
    match mode {
        "l3" => 1,
        "l3s" => 2,
        _ => 0,
    }
}

/// Publishes the ports at the container's first bridge.
fn publish(
    places: &Places,
    container: &Container,
    wish: &Wish,
    endpoints: &[Endpoint],
    plugs: &[Plug],
) -> Result<Published> {
    if wish.publish.is_empty() {
        return Ok(Published::default());
    }
    let mut bridges = endpoints
        .iter()
        .zip(plugs)
        .filter(|(_, plug)| plug.definition.driver == Driver::Bridge && !plug.definition.internal);
    let Some((endpoint, plug)) = bridges.next() else {
        return Err(Error::new("--publish: the container is in no bridge network that reaches outside"));
    };
    let addresses = || endpoint.addresses.iter().map(|assigned| assigned.address);
    let target = Target {
        id: container.id,
        name: container.name,
        bridge: plug.definition.bridge.as_deref().unwrap_or_default(),
        interface: endpoint.host_interface.as_deref().unwrap_or_default(),
        address4: addresses().find_map(Address::v4),
        address6: addresses().find_map(Address::v6),
        mode: wish.publish_mode,
    };
    let published = ports::publish(places.root, &target, &wish.publish)?;
    published.warnings.iter().for_each(|warning| places.say(warning));
    Ok(published)
}

/// Takes a container out of all its networks. It is no error that it is in none.
pub fn detach(places: &Places, id: &str) -> Result<()> {
    let ports = ports::unpublish(places.root, id);
    if crate::sys::path::stat(format!("{}/.networks/{id}.json", places.root)).is_err() {
        return ports;
    }
    let state = State::lock(places)?;
    let host = Socket::open().step(|| "open a netlink socket")?;
    let swept = sweep(places, &state, &host, &|record| record.id != id && record.lives());
    ports.and(swept.map(drop))
}

/// Whether anything of networks is kept at all: who has none need not make the directories.
pub fn has_records(places: &Places) -> bool {
    crate::sys::path::stat(format!("{}/.networks/.lock", places.root)).is_ok()
}

/// Takes everything of containers away that are not alive, and of networks that nobody is in.
pub fn prune(places: &Places, alive: &dyn Fn(&str) -> bool) -> Result<()> {
    if !has_records(places) {
        return Ok(());
    }
    let ports = ports::prune(places.root, alive);
    let state = State::lock(places)?;
    let host = Socket::open().step(|| "open a netlink socket")?;
    let all = sweep(places, &state, &host, &|record| record.lives() && alive(&record.id))?;
    let definitions = state.definitions()?;
    let bridges = definitions.iter().filter_map(|definition| definition.bridge.clone());
    remove_unused(&host, &all, &bridges.gather::<Vec<_>>())?;
    ports
}

/// The bridges of networks, as far as those are known.
fn bridges<'n>(state: &State, networks: impl Iterator<Item = &'n str>) -> Vec<String> {
    networks.filter_map(|network| state.find(network).ok()?.bridge.clone()).gather()
}

/// Removes those bridges that no container is at.
fn remove_unused(host: &Socket, all: &[Record], bridges: &[String]) -> Result<()> {
    let used = |bridge: &String| {
        all.iter()
            .flat_map(|record| &record.endpoints)
            .any(|endpoint| endpoint.bridge.as_ref() == Some(bridge))
    };
    bridges.iter().filter(|bridge| !used(bridge)).try_for_each(|bridge| bridge::remove(host, bridge))
}

/// Drops the records that are not to be kept, with their interfaces, and the bridges that nobody is at any more.
/// Returns the others. Who calls this holds the lock.
fn sweep(
    places: &Places,
    state: &State,
    host: &Socket,
    keep: &dyn Fn(&Record) -> bool,
) -> Result<Vec<Record>> {
    let (kept, gone): (Vec<Record>, Vec<Record>) = state.records()?.into_iter().partition(keep);
    if let Err(error) = restore::restore(places, state, host, &kept) {
        places.say(&format!("{error}"));
    }
    if gone.is_empty() {
        return Ok(kept);
    }
    for record in &gone {
        ports::unpublish(places.root, &record.id)?;
        for wire in record.endpoints.iter().filter_map(|endpoint| endpoint.host_interface.as_deref()) {
            link::remove(host, wire).step(|| format!("remove the interface {wire}"))?;
        }
    }
    let endpoints = gone.iter().flat_map(|record| &record.endpoints);
    let mut networks: Vec<&str> = endpoints.clone().map(|endpoint| endpoint.network.as_str()).gather();
    order::sort(&mut networks);
    networks.dedup();
    let mut bridges: Vec<String> = endpoints.filter_map(|endpoint| endpoint.bridge.clone()).gather();
    order::sort(&mut bridges);
    bridges.dedup();
    remove_unused(host, &kept, &bridges)?;
    // The records go last: while they are there, the next one tries again.
    gone.iter().try_for_each(|record| state.remove(&record.id))?;
    names::update(places, &kept, &networks);
    Ok(kept)
}

/// Connects a running container to one more network.
pub fn connect_running(
    places: &Places,
    container: &Container,
    wish: &Wish,
    membership: &Membership,
) -> Result<Endpoint> {
    let host = Socket::open().step(|| "open a netlink socket")?;
    let id = container.id;
    let namespace = open_namespace(container.pid)?;
    let (record, plug) = {
        let state = State::lock(places)?;
        let mut all = sweep(places, &state, &host, &Record::lives)?;
        let mut record = match all.iter().position(|record| record.id == id) {
            Some(at) => all.swap_remove(at),
            None => Record {
                id: id.into(),
                name: container.name.into(),
                pid: container.pid,
                namespace: namespace_of(container.pid).unwrap_or_default(),
                ..Record::default()
            },
        };
        let leased = lease(places, &state, &host, &mut record, &all, membership);
        if record.hosts.is_none() {
            names::begin(&mut record, container.hostname, &wish.extra_hosts);
        }
        let leased = leased.and_then(|plug| state.save(&record).map(|()| plug));
        if leased.is_err() {
            all.extend(state.record(id)?);
            remove_unused(&host, &all, &bridges(&state, [membership.network.as_str()].into_iter()))?;
        }
        let plug = leased?;
        all.push(record.clone());
        names::update(places, &all, &[plug.definition.name.as_str()]);
        (record, plug)
    };
    let Some(endpoint) = record.endpoints.last() else { return Err(Error::new("no endpoint was made")) };
    let routed = record
        .endpoints
        .iter()
        .rev()
        .skip(1)
        .any(|other| other.addresses.iter().any(|a| a.gateway.is_some()));
    let plugs = [plug];
    let connected = connect(&host, &namespace, core::slice::from_ref(endpoint), &plugs, routed);
    if connected.is_err() {
        let _ = disconnect_running(places, id, &endpoint.network);
    }
    connected.map(|()| endpoint.clone())
}

/// Takes a running container out of one network.
pub fn disconnect_running(places: &Places, id: &str, network: &str) -> Result<()> {
    let host = Socket::open().step(|| "open a netlink socket")?;
    let state = State::lock(places)?;
    let mut all = sweep(places, &state, &host, &Record::lives)?;
    let definition = state.find(network)?;
    let name = definition.name.as_str();
    let not_in = || Error::new(format_args!("the container is not in the network {name}"));
    let own = all.iter().position(|record| record.id == id).ok_or_else(not_in)?;
    let record = &mut all[own];
    let at = record.endpoints.iter().position(|endpoint| endpoint.network == name).ok_or_else(not_in)?;
    let endpoint = record.endpoints.remove(at);
    let inside = Socket::open_in(open_namespace(record.pid)?, open("/proc/self/ns/net")?, 0)
        .step(|| "open a netlink socket in the container")?;
    link::remove(&inside, &endpoint.interface)
        .step(|| format!("remove the interface {}", endpoint.interface))?;
    // The way out may have gone with it; then it is that of the next one.
    for other in &record.endpoints {
        let index = link::require(&inside, &other.interface)?.index;
        for assigned in &other.addresses {
            if let Some(Address(gateway)) = assigned.gateway {
                let _ = inside.call(&route::add_default(index, Some(gateway), gateway.is_ipv4()));
            }
        }
    }
    state.save(record)?;
    remove_unused(&host, &all, endpoint.bridge.as_slice())?;
    names::update(places, &all, &[name]);
    // It is not among those of the network any more, whose names it forgets.
    names::write(places, &all[own], &all);
    Ok(())
}
