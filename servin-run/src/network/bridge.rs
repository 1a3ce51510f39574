//! The host's side of a network: its bridge, what the packet filter knows of it, and forwarding.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::definition::{self, Block, Definition, Occupied};
use super::link::{self, Mac};
use super::netlink::Socket;
use super::state::{Places, State};
use super::subnet::{Address, Subnet};
use super::{netfilter, nftables, route};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::gather::Gather as _;
use crate::sys::path::openat;

/// The hardware address that goes with an address, as in Docker: who has the address next has the same one, and
/// nobody's neighbour cache is wrong.
pub fn mac_of(address: IpAddr) -> Mac {
    let last: [u8; 4] = match address {
        IpAddr::V4(address) => address.octets(),
        IpAddr::V6(address) => (address.to_bits() as u32).to_be_bytes(),
    };
    let [a, b, c, d] = last;
    [2, 0x42, a, b, c, d]
}

/// The bridge of a network, made ready: its number. Who calls this holds the lock and has a record in the network.
pub fn ensure(places: &Places, state: &State, socket: &Socket, definition: &mut Definition) -> Result<u32> {
    let name = definition.bridge.clone().unwrap_or_default();
    let found = link::find(socket, &name)?;
    match &found {
        Some(link) if link.kind != "bridge" => {
            return Err(Error::new(format_args!("the host's interface {name} is no bridge"))
                .hint("the network needs that name: rename the interface, or make the network anew"));
        }
        Some(link) if link.flags & link::UP != 0 => {}
        Some(link) => {
            link::change(socket, link.index, &link::Change { up: Some(true), ..Default::default() })
                .step(|| format!("set {name} up"))?;
        }
        None => {
            avoid_clashes(state, socket, definition)?;
            make(socket, &name, definition)?;
        }
    }
    let index = match found {
        Some(link) => link.index,
        None => link::require(socket, &name)?.index,
    };
    if let Err(error) = configure(places, socket, &name, index, definition) {
        let _ = link::remove(socket, &name);
        return Err(error);
    }
    Ok(index)
}

/// The blocks of a network may be the host's by now.
fn avoid_clashes(state: &State, socket: &Socket, definition: &mut Definition) -> Result<()> {
    let routes = route::routes(socket)?;
    let occupied = Occupied { routes: &routes, own: 0, others: &[] };
    let clash = definition.blocks.iter().find_map(|block| occupied.check(&block.subnet).err());
    match clash {
        None => Ok(()),
        Some(error) if !definition.automatic => {
            Err(error.within(format_args!("the network {}", definition.name)))
        }
        // Its record is not written yet, and nobody else is in it: there was no bridge.
        Some(_) => {
            let others = blocks_of_others(state, &definition.name)?;
            let occupied = Occupied { others: &others, ..occupied };
            let subnet = definition::choose(&occupied, definition.name == definition::DEFAULT)?;
            definition.blocks.retain(|block| !block.subnet.is_ipv4());
            definition.blocks.insert(0, Block::new(subnet));
            state.save_definition(definition)
        }
    }
}

/// The blocks of all networks but one.
pub fn blocks_of_others(state: &State, name: &str) -> Result<Vec<Subnet>> {
    let all = state.definitions()?;
    let others = all.iter().filter(|other| other.name != name);
    Ok(others.flat_map(|other| other.blocks.iter().map(|block| block.subnet)).gather())
}

fn make(socket: &Socket, name: &str, definition: &Definition) -> Result<()> {
    let gateway = definition.blocks.iter().find_map(|block| block.gateway);
    let bridge = link::New {
        name,
        mac: gateway.map(|Address(gateway)| mac_of(gateway)),
        mtu: definition.mtu,
        ..Default::default()
    };
    match link::make_bridge(socket, &bridge) {
        Err(refused) if refused.errno == Errno::OPNOTSUPP => {
            Err(Error::os(format_args!("make the bridge {name}"), refused.errno).hint(
                "the kernel has no bridges (CONFIG_BRIDGE): --network host and --network none do without",
            ))
        }
        Err(refused) if refused.errno == Errno::PERM => {
            Err(Error::os(format_args!("make the bridge {name}"), refused.errno)
                .hint("that takes CAP_NET_ADMIN: --network none and --network host do without"))
        }
        other => other.step(|| format!("make the bridge {name}")),
    }
}

/// Addresses, kernel parameters, the packet filter. All of it may be so already.
fn configure(
    places: &Places,
    socket: &Socket,
    name: &str,
    index: u32,
    definition: &Definition,
) -> Result<()> {
    // What containers announce as routers is not the host's way.
    match definition.has_ipv6() {
        true => {
            set_parameter("net/ipv6/conf", name, "disable_ipv6", "0");
            set_parameter("net/ipv6/conf", name, "accept_ra", "0");
        }
        false => set_parameter("net/ipv6/conf", name, "disable_ipv6", "1"),
    }
    let gateways = definition.blocks.iter().filter_map(|block| Some((block.gateway?.0, block.subnet.prefix)));
    let requests: Vec<_> =
        gateways.map(|(address, prefix)| route::add_address(index, address, prefix)).gather();
    route::carry_out(socket, &requests, name)?;
    if !definition.internal {
        forward(places, definition.has_ipv6())?;
    }
    match let_through(name, definition) {
        Err(error) if !netfilter::has_nftables() => {
            if definition.internal {
                return Err(error.hint("without nftables (CONFIG_NF_TABLES) a network cannot be internal"));
            }
            places.say(&format!(
                "the kernel has no nftables (CONFIG_NF_TABLES): containers of {} reach the host, and not the world",
                definition.name
            ));
            Ok(())
        }
        other => other,
    }
}

/// Tells the packet filter of the network with a bridge.
pub fn let_through(bridge: &str, definition: &Definition) -> Result<()> {
    let block = |is_ipv4| definition.block(is_ipv4).map(|block| block.subnet);
    nftables::add_network(&nftables::Network {
        bridge,
        subnet4: block(true).and_then(|subnet| Some((Address(subnet.address).v4()?, subnet.prefix))),
        subnet6: block(false).and_then(|subnet| Some((Address(subnet.address).v6()?, subnet.prefix))),
        internal: definition.internal,
        masquerade: !definition.internal,
    })
}

/// Takes a bridge away, and what the packet filter knows of it. Who calls this holds the lock, and no record is at the
/// bridge.
pub fn remove(socket: &Socket, name: &str) -> Result<()> {
    if link::find(socket, name)?.is_some_and(|link| link.kind == "bridge") {
        link::remove(socket, name).step(|| format!("remove the bridge {name}"))?;
    }
    match nftables::remove_network(name) {
        Err(_) if !netfilter::has_nftables() => Ok(()),
        other => other,
    }
}

/// Writes a kernel parameter of an interface, if the kernel has it and lets us.
pub fn set_parameter(family: &str, interface: &str, name: &str, value: &str) {
    let _ = write(&format!("/proc/sys/{family}/{interface}/{name}"), value);
}

fn write(path: &str, value: &str) -> Result<()> {
    let step = || format!("write {value} to {path}");
    let file = openat(CWD, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).step(step)?;
    write_all(rustix::fd::AsFd::as_fd(&file), value.as_bytes()).step(step)
}

fn is(path: &str, value: &str) -> bool {
    crate::fs::read_text(path).is_ok_and(|text| text.trim_end() == value)
}

/// Has the host forward packets, and says so where it did not.
fn forward(places: &Places, ipv6: bool) -> Result<()> {
    const IPV4: &str = "/proc/sys/net/ipv4/ip_forward";
    const IPV6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
    let hint = "containers reach the world, and are reached, only if the host forwards packets";
    if is(IPV4, "0") {
        write(IPV4, "1").map_err(|error| error.hint(hint))?;
        places.say("turned net.ipv4.ip_forward on, which containers need to reach the world");
    }
    if ipv6 && is(IPV6, "0") {
        keep_router_advertisements();
        write(IPV6, "1").map_err(|error| error.hint(hint))?;
        places.say("turned net.ipv6.conf.all.forwarding on, which containers need to reach the world");
    }
    Ok(())
}

/// A host that forwards no longer listens to routers, unless its interfaces are told to (ip-sysctl.rst, accept_ra):
/// those that did so far go on.
fn keep_router_advertisements() {
    const ALL: &str = "/proc/sys/net/ipv6/conf";
    let Ok(directory) = openat(CWD, ALL, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
    else {
        return;
    };
    for entry in rustix::fs::Dir::new(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().to_str().map(String::from).unwrap_or_default();
        let path = format!("{ALL}/{name}/accept_ra");
        if !name.starts_with('.') && is(&path, "1") {
            let _ = write(&path, "2");
        }
    }
}
