//! Networks are made and removed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::definition::{self, Block, DEFAULT, Definition, Driver, Occupied};
use super::lease::new_id;
use super::netlink::Socket;
use super::state::{Places, State};
use super::subnet::Subnet;
use super::{bridge, link, route};
use crate::error::{Error, Result, Step};
use crate::order;

/// A network that is wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its name.
    pub name: String,
    /// How containers are connected.
    pub driver: Driver,
    /// Its blocks; one of IPv4 is chosen where there is none.
    pub blocks: Vec<Block>,
    /// It has IPv6 addresses; a block is chosen where there is none.
    pub ipv6: bool,
    /// It reaches nothing outside.
    pub internal: bool,
    /// For people.
    pub labels: Vec<(String, String)>,
    /// As they were given.
    pub options: Vec<(String, String)>,
}

/// The options that there are, by Docker's and Podman's names.
const OPTIONS: [&str; 8] = [
    "mtu",
    "com.docker.network.driver.mtu",
    "parent",
    "mode",
    "macvlan_mode",
    "ipvlan_mode",
    "com.docker.network.bridge.name",
    "bridge",
];

/// Makes a network. Nothing of it appears on the host before a container is in it.
pub fn create(places: &Places, wanted: Wanted) -> Result<Definition> {
    definition::check_name(&wanted.name)?;
    let Wanted { name, driver, blocks, ipv6, internal, labels, options } = wanted;
    let mut made =
        Definition { name, id: new_id()?, driver, internal, labels, blocks, ..Definition::default() };
    for (key, value) in &options {
        apply(&mut made, key, value).map_err(|error| error.within(format_args!("--opt {key}={value}")))?;
    }
    made.options = options;
    order::sort_by_key(&mut made.blocks, |block| !block.subnet.is_ipv4());
    made.blocks.iter().try_for_each(Block::check)?;
    if made.blocks.windows(2).any(|two| two[0].subnet.is_ipv4() == two[1].subnet.is_ipv4()) {
        return Err(Error::new("--subnet: a network has at most one block of each family"));
    }
    match driver {
        Driver::Bridge if made.bridge.is_none() => made.bridge = Some(definition::bridge_name(&made.id)),
        Driver::Bridge => {}
        _ if made.parent.is_none() => {
            return Err(Error::new(format_args!("a {} network needs a parent interface", driver.as_str()))
                .hint("-o parent=eth0 names one"));
        }
        _ if made.blocks.is_empty() => {
            return Err(Error::new(format_args!("a {} network needs a subnet", driver.as_str()))
                .hint("--subnet names that of the parent interface's network"));
        }
        _ => {}
    }
    let socket = Socket::open().step(|| "open a netlink socket")?;
    if let Some(parent) = &made.parent {
        link::require(&socket, parent).map_err(|error| error.within("-o parent"))?;
    }
    let state = State::lock(places)?;
    if state.definition(&made.name)?.is_some() {
        return Err(Error::new(format_args!("there is a network {} already", made.name)));
    }
    let routes = if driver == Driver::Bridge { route::routes(&socket)? } else { Vec::new() };
    let others = bridge::blocks_of_others(&state, &made.name)?;
    let occupied = Occupied { routes: &routes, own: 0, others: &others };
    made.blocks.iter().try_for_each(|block| occupied.check(&block.subnet))?;
    if driver == Driver::Bridge && made.block(true).is_none() {
        made.automatic = true;
        made.blocks.insert(0, Block::new(definition::choose(&occupied, false)?));
    }
    if ipv6 && made.block(false).is_none() {
        made.blocks.push(Block::new(definition::choose_ipv6(&made.id)));
    }
    state.save_definition(&made)?;
    Ok(made)
}

fn apply(made: &mut Definition, key: &str, value: &str) -> Result<()> {
    let wrong = |expected: &str| Err(Error::new(format_args!("it takes {expected}")));
    match key {
        "mtu" | "com.docker.network.driver.mtu" => match value.parse() {
            Ok(mtu @ 68..=65_535) => made.mtu = Some(mtu),
            _ => return wrong("a number from 68 to 65535"),
        },
        "parent" => {
            link::check_name(value)?;
            made.parent = Some(value.into());
        }
        "mode" | "macvlan_mode" | "ipvlan_mode" => {
            let known: &[&str] = match made.driver {
                Driver::Macvlan => &["bridge", "private", "vepa", "passthru"],
                Driver::Ipvlan => &["l2", "l3", "l3s"],
                Driver::Bridge => return Err(Error::new("a bridge has no modes")),
            };
            if !known.contains(&value) {
                return wrong(&known.join(", "));
            }
            made.mode = Some(value.into());
        }
        "com.docker.network.bridge.name" | "bridge" => {
            link::check_name(value)?;
            made.bridge = Some(value.into());
        }
        _ => {
            return Err(Error::new(format_args!(
                "there is no such option: there are {}",
                OPTIONS.join(", ")
            )));
        }
    }
    match made.driver {
        Driver::Bridge if made.parent.is_some() => Err(Error::new("a bridge has no parent interface")),
        Driver::Macvlan | Driver::Ipvlan if made.bridge.is_some() => {
            Err(Error::new(format_args!("a {} network has no bridge", made.driver.as_str())))
        }
        _ => Ok(()),
    }
}

/// Removes a network that nobody is in; its name.
pub fn remove(places: &Places, what: &str) -> Result<String> {
    let state = State::lock(places)?;
    if what == DEFAULT {
        return Err(Error::new("the network bridge is the default one and stays"));
    }
    let definition = state.find(what)?;
    let records = state.records()?;
    let name = &definition.name;
    if let Some(user) = records.iter().find(|record| record.is_in(name) && record.lives()) {
        return Err(Error::new(format_args!("the network {name} has containers: {} is one", user.name))
            .hint(format!("`servin network disconnect {name} {}` takes it out", user.name)));
    }
    let socket = Socket::open().step(|| "open a netlink socket")?;
    if let Some(bridge) = &definition.bridge {
        bridge::remove(&socket, bridge)?;
    }
    state.remove_definition(name)?;
    Ok(definition.name.clone())
}

/// The block for a subnet, with the gateway and the range that are in it.
pub fn block(subnet: Subnet, gateways: &[core::net::IpAddr], ranges: &[Subnet]) -> Block {
    let mut block = Block::new(subnet);
    if let Some(gateway) = gateways.iter().find(|gateway| subnet.contains(**gateway)) {
        block.gateway = Some(super::subnet::Address(*gateway));
    }
    block.range = ranges.iter().find(|range| subnet.covers(range)).copied();
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_those_of_the_driver() {
        let result = |driver, key: &str, value: &str| {
            let mut made = Definition { driver, ..Definition::default() };
            apply(&mut made, key, value).map(|()| made)
        };
        assert_eq!(result(Driver::Bridge, "mtu", "1400").expect("taken").mtu, Some(1400));
        let name = result(Driver::Bridge, "com.docker.network.bridge.name", "br7").expect("taken").bridge;
        assert_eq!(name.as_deref(), Some("br7"));
        assert_eq!(result(Driver::Ipvlan, "mode", "l3").expect("taken").mode.as_deref(), Some("l3"));
        for (driver, key, value) in [
            (Driver::Bridge, "mtu", "1"),
            (Driver::Bridge, "mtu", "1400x"),
            (Driver::Bridge, "parent", "eth0"),
            (Driver::Bridge, "mode", "l3"),
            (Driver::Macvlan, "mode", "l3"),
            (Driver::Macvlan, "parent", "a/b"),
            (Driver::Macvlan, "bridge", "br7"),
            (Driver::Bridge, "colour", "red"),
        ] {
            assert!(result(driver, key, value).is_err(), "{key}={value}");
        }
    }
}
