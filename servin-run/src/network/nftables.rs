//! The table `inet servin` of nftables: what our networks and published ports need of the kernel's packet filter.
//!
//! It is a table of our own: the rules of others are never read for a decision, let alone changed. Its rules are
//! fixed ([`ruleset`]); networks and containers are elements of its sets, which have their owners as comments. Every
//! change is one transaction. NAT in a table for both IPv4 and IPv6 needs Linux 5.2; older kernels have the proxy.

mod elements;
mod expression;
mod message;
mod ruleset;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;

use self::elements::Element;
use self::message::{Batch, DELETE_RULE, DELETE_TABLE, GET_TABLE, NEW_CHAIN, NEW_RULE, NEW_SET, NEW_TABLE};
use self::message::{about, make, open};
use self::ruleset::{CHAINS, RULES, SETS, Set};
use super::netlink::{APPEND, Answer, Attributes, CREATE, Refused, Socket};
use super::ports::Protocol;
use crate::error::{Result, Step};
use crate::gather::Gather as _;
use crate::order;

/// The name of our table.
const TABLE: &str = "servin";
/// How often a change is tried again that another one overtook.
const TRIES: u32 = 8;

/// What the packet filter must know of a network with a bridge.
pub struct Network<'a> {
    /// Its bridge.
    pub bridge: &'a str,
    /// Its addresses: any one of them, and the length of the prefix.
    pub subnet4: Option<(Ipv4Addr, u8)>,
    /// The same of IPv6.
    pub subnet6: Option<(Ipv6Addr, u8)>,
    /// It reaches nothing outside.
    pub internal: bool,
    /// What its containers send into the world has the host's address.
    pub masquerade: bool,
}

/// A port of the host that leads to a container.
pub struct Redirection {
    /// The host's address; an unspecified one stands for all of its family.
    pub from: IpAddr,
    /// The host's port.
    pub port: u16,
    /// What is spoken.
    pub protocol: Protocol,
    /// The container's address, of the same family.
    pub to: IpAddr,
    /// The container's port.
    pub to_port: u16,
}

/// Lets a network's containers into the world, and keeps others out of it. What is there already stays as it is.
pub fn add_network(network: &Network) -> Result<()> {
    let elements = of_network(network);
    changed(|socket| {
        let mut batch = Batch::default();
        ensure(socket, &mut batch)?;
        elements::add(&mut batch, &elements, network.bridge);
        batch.send(socket)
    })
    .step(|| format!("let the network of {} through nftables", network.bridge))
}

/// Takes all of a network away, and with the last one the table. It is no error that there is nothing.
pub fn remove_network(bridge: &str) -> Result<()> {
    changed(|socket| {
        let mut batch = Batch::default();
        match bridges(socket)?.iter().any(|other| other != bridge) {
            true => forget(socket, &mut batch, false, bridge)?,
            false if table(socket)?.is_some() => batch.add(about(DELETE_TABLE, 0)),
            false => {}
        }
        if batch.is_empty() { Ok(()) } else { batch.send(socket) }
    })
    .step(|| format!("remove the network of {bridge} from nftables"))
}

/// The bridges of the networks that are known; none where there is no table.
pub fn known_bridges() -> Answer<Vec<String>> {
    bridges(&open()?)
}

fn bridges(socket: &Socket) -> Answer<Vec<String>> {
    let found = elements::of_set(socket, ruleset::BRIDGES)?;
    Ok(found.into_iter().filter_map(|found| found.owner).gather())
}

/// Has the kernel redirect ports to a container, all of them or none.
pub fn redirect(owner: &str, redirections: &[Redirection]) -> Answer<()> {
    let mut elements: Vec<Element> = redirections.iter().map(of_port).gather();
    order::sort_by_key(&mut elements, |element| element.set);
    changed(|socket| {
        let mut batch = Batch::default();
        ensure(socket, &mut batch)?;
        elements::add(&mut batch, &elements, owner);
        batch.send(socket)
    })
}

/// Takes the redirections of an owner away. It is no error that there is nothing.
pub fn remove_redirections(owner: &str) -> Answer<()> {
    changed(|socket| {
        let mut batch = Batch::default();
        forget(socket, &mut batch, true, owner)?;
        if batch.is_empty() { Ok(()) } else { batch.send(socket) }
    })
}

/// Who has one of these redirections already, to somewhere else.
pub fn owner_of_any(redirections: &[Redirection]) -> Option<String> {
    let wanted: Vec<Element> = redirections.iter().map(of_port).gather();
    let socket = open().ok()?;
    let maps = SETS.iter().filter(|set| set.value_length != 0);
    let mut found = maps.flat_map(|set| elements::of_set(&socket, set.name).unwrap_or_default());
    let same = |one: &Element, other: &Element| one.set == other.set && one.key == other.key;
    found.find(|found| wanted.iter().any(|wanted| same(wanted, &found.element)))?.owner
}

/// The other tables' chains that drop what is forwarded unless a rule of theirs says otherwise, which nobody but
/// they can change: `ip filter FORWARD`.
pub fn dropping_chains() -> Vec<String> {
    /// `NFTA_CHAIN_*`, and `NFTA_HOOK_HOOKNUM`.
    const CHAIN_TABLE: u16 = 1;
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    const HOOK_NUMBER: u16 = 1;
    const FORWARD: u32 = 2;
    let chains = open().and_then(|socket| message::chains(&socket)).unwrap_or_default();
    let dropping = |payload: &[u8]| {
        let family = match payload.first()? {
            1 => "inet",
            2 => "ip",
            10 => "ip6",
            _ => return None,
        };
        let chain = Attributes::behind(payload, 4);
        let drops = chain.nest(HOOK).big_endian(HOOK_NUMBER)? == FORWARD && chain.big_endian(POLICY)? == 0;
        let (table, name) = (chain.text(CHAIN_TABLE)?, chain.text(NAME)?);
        (drops && table != TABLE).then(|| format!("{family} {table} {name}"))
    };
    chains.iter().filter_map(|reply| dropping(&reply.payload)).gather()
}

/// Makes a change, again if another process made one at the same time.
fn changed(change: impl Fn(&Socket) -> Answer<()>) -> Answer<()> {
    let socket = open()?;
    let mut tries = TRIES;
    loop {
        match change(&socket) {
            // What was found was removed before us, or there is another generation by now.
            Err(Refused { errno: Errno::NOENT | Errno::AGAIN | Errno::INTR, .. }) if tries > 1 => tries -= 1,
            other => return other,
        }
    }
}

/// The version of the rules in the table that is there; empty where it cannot be told.
fn table(socket: &Socket) -> Answer<Option<String>> {
    /// `NFTA_TABLE_USERDATA`, whose first entry is nft's comment: type, length, text with its NUL.
    const USERDATA: u16 = 6;
    match socket.ask(&about(GET_TABLE, 0)) {
        Err(refused) if refused.errno == Errno::NOENT => Ok(None),
        Err(refused) => Err(refused),
        Ok(reply) => {
            let userdata = Attributes::behind(&reply.payload, 4).find(USERDATA).unwrap_or_default();
            let text = userdata.get(2..).and_then(|text| text.strip_suffix(&[0])).unwrap_or_default();
            Ok(Some(String::from_utf8_lossy(text).into_owned()))
        }
    }
}

/// Appends what makes the table as it is to be. Sets keep their elements.
fn ensure(socket: &Socket, batch: &mut Batch) -> Answer<()> {
    const TABLE_USERDATA: u16 = 6;
    if table(socket)?.is_some_and(|version| version == ruleset::VERSION) {
        return Ok(());
    }
    let mut table = make(NEW_TABLE);
    let length = ruleset::VERSION.len() as u8 + 1;
    table.attribute(TABLE_USERDATA, &[&[0, length], ruleset::VERSION.as_bytes(), &[0]].concat());
    batch.add(table);
    for (number, set) in SETS.iter().enumerate() {
        batch.add(new_set(set, number as u32 + 1));
    }
    for chain in CHAINS {
        /// `NFTA_CHAIN_NAME`, `NFTA_CHAIN_HOOK`, `NFTA_CHAIN_TYPE`.
        const NAME: u16 = 3;
        const HOOK: u16 = 4;
        const TYPE: u16 = 7;
        let mut message = make(NEW_CHAIN);
        message.text(NAME, chain.name);
        if let Some((kind, hook, priority)) = chain.base {
            let nest = message.open(HOOK);
            message.big_endian(1, hook).big_endian(2, priority.cast_unsigned());
            message.close(nest).text(TYPE, kind);
        }
        batch.add(message);
    }
    // Those of another version, if any.
    batch.add(about(DELETE_RULE, 0));
    for (chain, expressions) in RULES {
        /// `NFTA_RULE_CHAIN`, `NFTA_RULE_EXPRESSIONS`.
        const CHAIN: u16 = 2;
        const EXPRESSIONS: u16 = 4;
        let mut message = about(NEW_RULE, CREATE | APPEND);
        message.text(CHAIN, chain);
        let list = message.open(EXPRESSIONS);
        expressions.iter().for_each(|expression| expression.encode(&mut message));
        message.close(list);
        batch.add(message);
    }
    Ok(())
}

fn new_set(set: &Set, number: u32) -> super::netlink::Message {
    /// `NFTA_SET_*`.
    const NAME: u16 = 2;
    const FLAGS: u16 = 3;
    const KEY_TYPE: u16 = 4;
    const KEY_LENGTH: u16 = 5;
    const DATA_TYPE: u16 = 6;
    const DATA_LENGTH: u16 = 7;
    const ID: u16 = 10;
    const USERDATA: u16 = 13;
    /// `NFT_SET_INTERVAL` and `NFT_SET_MAP`.
    const RANGES: u32 = 4;
    const MAP: u32 = 8;
    let is_map = set.value_length != 0;
    let flags = if set.ranges { RANGES } else { 0 } | if is_map { MAP } else { 0 };
    let mut message = make(NEW_SET);
    message.text(NAME, set.name).big_endian(FLAGS, flags);
    message.big_endian(KEY_TYPE, set.key_type).big_endian(KEY_LENGTH, set.key_length);
    if is_map {
        message.big_endian(DATA_TYPE, set.value_type).big_endian(DATA_LENGTH, set.value_length);
    }
    message.big_endian(ID, number);
    if set.key_type == ruleset::INTERFACE {
        // For nft, which prints names of no known byte order as nothing: NFTNL_UDATA_SET_KEYBYTEORDER is the host's.
        message.attribute(USERDATA, &[&[0, 4], &1u32.to_ne_bytes()[..]].concat());
    }
    message
}

/// Appends the removal of all elements of an owner, in the maps (of ports) or in the sets (of networks).
fn forget(socket: &Socket, batch: &mut Batch, maps: bool, owner: &str) -> Answer<()> {
    for set in SETS.iter().filter(|set| (set.value_length != 0) == maps) {
        let found = elements::of_set(socket, set.name)?;
        elements::remove(batch, &elements::owned_by(found, owner));
    }
    Ok(())
}

fn of_network(network: &Network) -> Vec<Element> {
    let mut elements = Vec::new();
    let mut element = |set, key: &[u8], ends_range| {
        elements.push(Element { set, key: key.into(), data: Vec::new(), ends_range });
    };
    let mut name = [0; 16];
    // The kernel's own limit is 15 bytes (IFNAMSIZ).
    let length = network.bridge.len().min(15);
    name[..length].copy_from_slice(&network.bridge.as_bytes()[..length]);
    element(ruleset::BRIDGES, &name, false);
    element(ruleset::SAME, &[name, name].concat(), false);
    if network.internal {
        element(ruleset::INTERNAL, &name, false);
    }
    let mut subnet = |sets: [&'static str; 2], address: &[u8], prefix: u8| {
        let (first, behind) = range(address, prefix);
        for (set, wanted) in sets.into_iter().zip([true, network.masquerade && !network.internal]) {
            if wanted {
                element(set, &first, false);
                if let Some(behind) = &behind {
                    element(set, behind, true);
                }
            }
        }
    };
    if let Some((address, prefix)) = network.subnet4 {
        subnet([ruleset::SUBNETS4, ruleset::MASQUERADED4], &address.octets(), prefix);
    }
    if let Some((address, prefix)) = network.subnet6 {
        subnet([ruleset::SUBNETS6, ruleset::MASQUERADED6], &address.octets(), prefix);
    }
    elements
}

/// The first address of a subnet, and the first one behind it; there is none behind the last.
fn range(address: &[u8], prefix: u8) -> (Vec<u8>, Option<Vec<u8>>) {
    let mut first = address.to_vec();
    for (index, byte) in first.iter_mut().enumerate() {
        let kept = usize::from(prefix).saturating_sub(index * 8).min(8) as u32;
        *byte &= 0xff_u8.checked_shl(8 - kept).unwrap_or(0);
    }
    let mut behind = first.clone();
    // One is added at the prefix's last bit, and carried towards the front.
    let mut carry = 1_u16 << ((8 - prefix % 8) % 8);
    for byte in behind[..usize::from(prefix).div_ceil(8).min(address.len())].iter_mut().rev() {
        let sum = u16::from(*byte) + carry;
        *byte = sum as u8;
        carry = sum >> 8;
    }
    (first, (carry == 0).then_some(behind))
}

/// In keys and values every part begins at a register, which has four bytes.
fn of_port(redirection: &Redirection) -> Element {
    let Redirection { from, port, protocol, to, to_port } = redirection;
    let number = match protocol {
        Protocol::Tcp => 6,
        Protocol::Udp => 17,
        Protocol::Sctp => 132,
    };
    let octets = |address: &IpAddr| match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    };
    let padded = |port: u16| [port.to_be_bytes(), [0; 2]].concat();
    let mut key = if from.is_unspecified() { Vec::new() } else { octets(from) };
    key.extend([number, 0, 0, 0]);
    key.extend(padded(*port));
    let set = match (from.is_ipv4(), from.is_unspecified()) {
        (true, false) => ruleset::PORTS4,
        (true, true) => ruleset::ANY_PORTS4,
        (false, false) => ruleset::PORTS6,
        (false, true) => ruleset::ANY_PORTS6,
    };
    Element { set, key, data: [octets(to), padded(*to_port)].concat(), ends_range: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_ends_before_the_first_address_behind_it() {
        for (address, prefix, first, behind) in [
            ([10, 89, 3, 7], 16, [10, 89, 0, 0], Some([10, 90, 0, 0])),
            ([10, 255, 3, 7], 16, [10, 255, 0, 0], Some([11, 0, 0, 0])),
            ([192, 168, 1, 130], 25, [192, 168, 1, 128], Some([192, 168, 2, 0])),
            ([192, 168, 1, 130], 32, [192, 168, 1, 130], Some([192, 168, 1, 131])),
            ([172, 31, 255, 255], 12, [172, 16, 0, 0], Some([172, 32, 0, 0])),
            ([255, 255, 255, 7], 24, [255, 255, 255, 0], None),
            ([1, 2, 3, 4], 0, [0, 0, 0, 0], None),
        ] {
            let expected = (first.to_vec(), behind.map(|behind: [u8; 4]| behind.to_vec()));
            assert_eq!(range(&address, prefix), expected, "{address:?}/{prefix}");
        }
    }

    #[test]
    fn every_rule_names_what_there_is() {
        use expression::Expression;
        let is_set = |name: &&str| SETS.iter().any(|set| set.name == *name);
        for (chain, expressions) in RULES {
            assert!(CHAINS.iter().any(|known| known.name == *chain), "{chain}");
            for expression in *expressions {
                match expression {
                    Expression::In(name, ..) | Expression::Map(name, _) => assert!(is_set(name), "{name}"),
                    Expression::Goto(name) => assert!(CHAINS.iter().any(|known| known.name == *name)),
                    _ => (),
                }
            }
        }
    }

    #[test]
    fn parts_of_a_key_begin_at_registers() {
        let redirection = Redirection {
            from: "192.0.2.1".parse().expect("an address"),
            port: 8080,
            protocol: Protocol::Udp,
            to: "10.89.0.2".parse().expect("an address"),
            to_port: 80,
        };
        let element = of_port(&redirection);
        assert_eq!(element.key, [192, 0, 2, 1, 17, 0, 0, 0, 0x1f, 0x90, 0, 0]);
        assert_eq!(element.data, [10, 89, 0, 2, 0, 80, 0, 0]);
        let any = of_port(&Redirection { from: Ipv4Addr::UNSPECIFIED.into(), ..redirection });
        assert_eq!((any.set, &any.key[..]), (ruleset::ANY_PORTS4, &[17, 0, 0, 0, 0x1f, 0x90, 0, 0][..]));
    }
}
