//! Leases: a container's interfaces, names and addresses in a network are chosen, which is deciding and recording
//! alone, but for the host's side of the network, which is made ready.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::definition::{self, Block, Definition, Driver, Occupied};
use super::netlink::Socket;
use super::state::{Assigned, Endpoint, Places, Record, State};
use super::subnet::Address;
use super::wish::Membership;
use super::{bridge, link, route};
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::order;

/// What an interface is made of besides its endpoint.
pub struct Plug {
    /// The network.
    pub definition: Definition,
    /// The bridge, or the parent.
    pub index: u32,
}

/// Chooses a container's place in a network and makes the host's side of it ready. The record has it afterwards.
pub fn lease(
    places: &Places,
    state: &State,
    host: &Socket,
    record: &mut Record,
    all: &[Record],
    membership: &Membership,
) -> Result<Plug> {
    let within = |error: Error| error.within(format_args!("--network {}", membership.network));
    let mut definition = find(state, host, &membership.network).map_err(within)?;
    if record.is_in(&definition.name) {
        return Err(Error::new(format_args!("the container is in the network {} already", definition.name)));
    }
    // First: the blocks of an automatic network may change here.
    let index = match definition.driver {
        Driver::Bridge => bridge::ensure(places, state, host, &mut definition),
        _ => parent(host, &definition),
    };
    let index = index.map_err(within)?;
    let number = (0..).find(|number| {
        let name = format!("eth{number}");
        record.endpoints.iter().all(|endpoint| endpoint.interface != name)
    });
    let interface = format!("eth{}", number.unwrap_or_default());
    let addresses = assign(&definition, all, membership).map_err(within)?;
    let mac = match (&membership.mac, definition.driver, addresses.first()) {
        (Some(mac), ..) => Some(link::mac_text(&link::parse_mac(mac)?)),
        (None, Driver::Bridge | Driver::Macvlan, Some(assigned)) => {
            Some(link::mac_text(&bridge::mac_of(assigned.address.0)))
        }
        _ => None,
    };
    record.endpoints.push(Endpoint {
        host_interface: (definition.driver == Driver::Bridge).then(|| wire_name(&record.id, &interface)),
        bridge: definition.bridge.clone(),
        network: definition.name.clone(),
        interface,
        mac,
        addresses,
        aliases: membership.aliases.clone(),
    });
    Ok(Plug { definition, index })
}

/// The network of that name; the default one is made when it is first used.
fn find(state: &State, host: &Socket, name: &str) -> Result<Definition> {
    if name == definition::DEFAULT && state.definition(name)?.is_none() {
        let routes = route::routes(host)?;
        let others = bridge::blocks_of_others(state, name)?;
        let subnet = definition::choose(&Occupied { routes: &routes, own: 0, others: &others }, true)?;
        let made = Definition {
            name: name.into(),
            id: new_id()?,
            bridge: Some(definition::DEFAULT_BRIDGE.into()),
            automatic: true,
            blocks: [Block::new(subnet)].into(),
            ..Definition::default()
        };
        state.save_definition(&made)?;
        return Ok(made);
    }
    state.find(name)
}

/// 64 hexadecimal digits of randomness, as Docker's.
pub fn new_id() -> Result<String> {
    let mut bytes = [0; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes[..], flags).step(|| "get random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn parent(host: &Socket, definition: &Definition) -> Result<u32> {
    let name = definition.parent.as_deref().unwrap_or_default();
    let found = link::require(host, name).map_err(|error| error.within("the parent of the network"))?;
    if found.flags & link::UP == 0 {
        return Err(Error::new(format_args!("the parent interface {name} is down"))
            .hint(format!("`ip link set {name} up` changes that")));
    }
    Ok(found.index)
}

/// The host's end of a container's wire; `eth0`'s ends with a 0.
fn wire_name(id: &str, interface: &str) -> String {
    let number = interface.trim_start_matches("eth");
    // Ids are random digits; of a container with a name for an id, its hash (FNV-1a) is as good.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let digits = format!("{hash:016x}");
    let room = link::LONGEST_NAME.saturating_sub(3 + number.len());
    format!("sv{}.{number}", digits.get(..room).unwrap_or_default())
}

/// The addresses of a container in a network: those wanted, or free ones.
fn assign(definition: &Definition, all: &[Record], membership: &Membership) -> Result<Vec<Assigned>> {
    let holders = || {
        let endpoints = all.iter().flat_map(|record| record.endpoints.iter().map(move |e| (record, e)));
        endpoints.filter(|(_, endpoint)| endpoint.network == definition.name)
    };
    let mut taken: Vec<Address> =
        holders().flat_map(|(_, e)| e.addresses.iter().map(|assigned| assigned.address)).gather();
    order::sort(&mut taken);
    if let Some(Address(stray)) =
        membership.addresses.iter().find(|wanted| definition.block(wanted.0.is_ipv4()).is_none())
    {
        let family = if stray.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(Error::new(format_args!("{stray}: the network has no {family} addresses")));
    }
    let mut assigned = Vec::new();
    for block in &definition.blocks {
        let of_family = |address: &&Address| address.0.is_ipv4() == block.subnet.is_ipv4();
        let address = match membership.addresses.iter().find(of_family) {
            Some(Address(wanted)) => {
                block.check_address(*wanted)?;
                if block.gateway == Some(Address(*wanted)) {
                    return Err(Error::new(format_args!("{wanted} is the gateway's address")));
                }
                let has = |e: &Endpoint| e.addresses.iter().any(|assigned| assigned.address.0 == *wanted);
                if let Some((holder, _)) = holders().find(|(_, endpoint)| has(endpoint)) {
                    return Err(Error::new(format_args!(
                        "the container {} has the address {wanted}",
                        holder.name
                    )));
                }
                *wanted
            }
            None => block.free(&taken).ok_or_else(|| {
                Error::new(format_args!("all addresses of {} are taken", block.range.unwrap_or(block.subnet)))
            })?,
        };
        let gateway = if definition.internal { None } else { block.gateway };
        assigned.push(Assigned { address: Address(address), subnet: block.subnet, gateway });
    }
    Ok(assigned)
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;
    use crate::network::subnet::Subnet;

    fn definition() -> Definition {
        Definition {
            name: "net".into(),
            blocks: [Block::new(Subnet::parse("10.0.0.0/24").expect("a subnet"))].into(),
            ..Definition::default()
        }
    }

    fn wanting(address: &str) -> Membership {
        Membership {
            addresses: [Address(address.parse().expect("an address"))].into(),
            ..Membership::default()
        }
    }

    #[test]
    fn the_hosts_end_of_a_wire_has_a_name_that_fits() {
        let name = wire_name(&"a".repeat(64), "eth0");
        assert_eq!(name.len(), link::LONGEST_NAME);
        assert!(link::check_name(&name).is_ok() && name.ends_with(".0"));
        assert_eq!(wire_name("x", "eth12").len(), link::LONGEST_NAME);
        assert_ne!(wire_name("x", "eth0"), wire_name("y", "eth0"));
    }

    #[test]
    fn an_address_that_somebody_has_is_refused_by_name() {
        let address = Address("10.0.0.7".parse().expect("an address"));
        let endpoint = Endpoint {
            network: "net".into(),
            addresses: [Assigned { address, ..Assigned::default() }].into(),
            ..Endpoint::default()
        };
        let holder = Record { name: "web".into(), endpoints: [endpoint].into(), ..Record::default() };
        let error = |membership: &Membership| {
            assign(&definition(), core::slice::from_ref(&holder), membership)
                .expect_err("refused")
                .to_string()
        };
        assert!(error(&wanting("10.0.0.7")).contains("the container web has the address 10.0.0.7"));
        assert!(error(&wanting("10.0.0.1")).contains("the gateway's"));
        assert!(error(&wanting("10.0.0.0")).contains("10.0.0.0/24"));
        assert!(error(&wanting("10.0.1.1")).contains("not within 10.0.0.0/24"));
        assert!(error(&wanting("fd00::1")).contains("no IPv6"));
        let given =
            assign(&definition(), core::slice::from_ref(&holder), &Membership::default()).expect("given");
        assert_eq!(given[0].address.to_string(), "10.0.0.2");
    }

    #[test]
    fn ten_thousand_rounds_of_leases_lose_nothing() {
        let place = std::env::temp_dir().join(format!("servin-leases-{}", rustix::process::getpid()));
        let path = |name: &str| place.join(name).display().to_string();
        let (home, root) = (path("home"), path("root"));
        let places = Places { home: &home, root: &root, warn: None };
        let definition = Definition {
            blocks: [Block::new(Subnet::parse("10.0.0.0/29").expect("a subnet"))].into(),
            ..definition()
        };
        let mut held: Vec<(String, Address)> = Vec::new();
        // xorshift: the same rounds at every run.
        let mut seed = 0x2545_F491_4F6C_DD1D_u64;
        for round in 0..10_000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let state = State::lock(&places).expect("locked");
            let all = state.records().expect("read");
            assert_eq!(all.len(), held.len(), "round {round}");
            if held.len() < 5 && (held.is_empty() || seed % 5 < 3) {
                let given = assign(&definition, &all, &Membership::default()).expect("an address");
                let address = given[0].address;
                assert!(held.iter().all(|(_, other)| *other != address), "{address} twice");
                let endpoint = Endpoint { network: "net".into(), addresses: given, ..Endpoint::default() };
                let id = format!("container-{round}");
                let record = Record { id: id.clone(), endpoints: [endpoint].into(), ..Record::default() };
                state.save(&record).expect("written");
                held.push((id, address));
            } else {
                let (id, _) = held.swap_remove(seed as usize % held.len());
                state.remove(&id).expect("removed");
            }
        }
        std::fs::remove_dir_all(&place).expect("remove the place");
    }
}
