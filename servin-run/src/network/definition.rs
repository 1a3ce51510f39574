//! What a network is: kept as HOME/networks/NAME.json. Here are the rules of its making, which are pure; the file is
//! [`super::state`]'s.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::link;
use super::route::Route;
use super::subnet::{Address, Subnet};
use crate::error::{Error, Result};
use crate::spec::json::{object, word_enum};

/// The network that containers are in unless they ask for another.
pub const DEFAULT: &str = "bridge";
/// Its bridge.
pub const DEFAULT_BRIDGE: &str = "servin0";

word_enum! {
    /// How containers are connected.
    pub enum Driver {
        /// By pairs of interfaces to a bridge of the host.
        "bridge" => Bridge,
        /// By a hardware address of their own on the wire of a parent interface.
        "macvlan" => Macvlan,
        /// By the parent's own hardware address.
        "ipvlan" => Ipvlan,
    }
}

object! {
    /// A network.
    pub struct Definition {
        /// Its name.
        "name" => name: String,
        /// 64 hexadecimal digits.
        "id" => id: String,
        /// How containers are connected.
        "driver" => driver: Driver,
        /// The name of its bridge.
        "bridge" => bridge: Option<String>,
        /// The interface whose wire is shared.
        "parent" => parent: Option<String>,
        /// How, in the words of the kernel: `bridge`, `private`, `vepa`, `passthru`; `l2`, `l3`, `l3s`.
        "mode" => mode: Option<String>,
        /// The longest packet.
        "mtu" => mtu: Option<u32>,
        /// It reaches nothing outside.
        "internal" => internal: bool,
        /// Its blocks were chosen by us, and may be again while nobody uses them.
        "automatic" => automatic: bool,
        /// Its addresses: at most one block of each family.
        "blocks" => blocks: Vec<Block>,
        /// For people.
        "labels" => labels: Vec<(String, String)>,
        /// As they were given.
        "options" => options: Vec<(String, String)>,
    }

    /// Addresses of a network.
    pub struct Block {
        /// All of them.
        "subnet" => subnet: Subnet,
        /// The way out; none where there is none.
        "gateway" => gateway: Option<Address>,
        /// Those that are given to containers which do not ask for one.
        "range" => range: Option<Subnet>,
    }
}

impl Definition {
    /// Its block of a family.
    pub fn block(&self, is_ipv4: bool) -> Option<&Block> {
        self.blocks.iter().find(|block| block.subnet.is_ipv4() == is_ipv4)
    }

    /// Whether containers that it has also speak IPv6.
    pub fn has_ipv6(&self) -> bool {
        self.block(false).is_some()
    }
}

impl Block {
    /// A block whose first address is the gateway's, as in Docker.
    pub fn new(subnet: Subnet) -> Block {
        Block { subnet, gateway: subnet.nth(subnet.usable().0).map(Address), range: None }
    }

    /// Refuses what cannot be.
    pub fn check(&self) -> Result<()> {
        let subnet = self.subnet;
        let (low, high) = subnet.usable();
        if high - low < 1 {
            return Err(Error::new(format_args!("{subnet} has no room for a gateway and a container")));
        }
        if subnet.address.is_multicast() || subnet.address.is_loopback() || subnet.prefix < 4 {
            return Err(Error::new(format_args!("{subnet} cannot be the addresses of containers")));
        }
        if let Some(Address(gateway)) = self.gateway {
            self.check_address(gateway).map_err(|error| error.within("the gateway"))?;
        }
        match self.range {
            Some(range) if !subnet.covers(&range) => {
                Err(Error::new(format_args!("the range {range} is not within {subnet}")))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an address that no interface of the block can have.
    pub fn check_address(&self, address: IpAddr) -> Result<()> {
        let (low, high) = self.subnet.usable();
        match self.subnet.number_of(address) {
            Some(number) if (low..=high).contains(&number) => Ok(()),
            Some(_) => {
                Err(Error::new(format_args!("{address} is {}'s own or its broadcast address", self.subnet)))
            }
            None => Err(Error::new(format_args!("{address} is not within {}", self.subnet))),
        }
    }

    /// The lowest address that nobody has; `taken` is sorted.
    pub fn free(&self, taken: &[Address]) -> Option<IpAddr> {
        let range = self.range.unwrap_or(self.subnet);
        let (low, high) = self.subnet.usable();
        let first = self.subnet.number_of(range.address)?.max(low);
        let last = self.subnet.number_of(range.last())?.min(high);
        let mut number = first;
        // At most one more than there are taken ones.
        while number <= last {
            let address = self.subnet.nth(number)?;
            if taken.binary_search(&Address(address)).is_err() && self.gateway != Some(Address(address)) {
                return Some(address);
            }
            number += 1;
        }
        None
    }
}

/// Refuses what cannot name a network: Docker's rule, and the words that `--network` has for itself.
pub fn check_name(name: &str) -> Result<()> {
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if !first || !rest || name.len() > 200 {
        return Err(Error::new(format_args!("\"{name}\" cannot name a network"))
            .hint("a name begins with a letter or a digit, and has letters, digits, _, . and - besides"));
    }
    match name {
        "host" | "none" | "default" | "container" | "slirp4netns" | "pasta" | DEFAULT => {
            Err(Error::new(format_args!("\"{name}\" has a meaning of its own: a network needs another name")))
        }
        _ => Ok(()),
    }
}

/// The name of a network's bridge.
pub fn bridge_name(id: &str) -> String {
    let digits = link::LONGEST_NAME - 3;
    format!("sv-{}", id.get(..digits).unwrap_or(id))
}

/// What the blocks of a new network must not meet.
pub struct Occupied<'a> {
    /// The routes of the host.
    pub routes: &'a [Route],
    /// The number of the network's own bridge, whose routes do not count.
    pub own: u32,
    /// The blocks of other networks.
    pub others: &'a [Subnet],
}

impl Occupied<'_> {
    /// What is met, if anything.
    fn met_by(&self, subnet: &Subnet) -> Option<Subnet> {
        let mut routes = self.routes.iter().filter(|route| route.index != self.own || self.own == 0);
        let route = routes.find(|route| route.to.overlaps(subnet)).map(|route| route.to);
        route.or_else(|| self.others.iter().find(|other| other.overlaps(subnet)).copied())
    }

    /// Refuses a block that the host or another network has.
    pub fn check(&self, subnet: &Subnet) -> Result<()> {
        match self.met_by(subnet) {
            None => Ok(()),
            Some(other) if self.others.contains(&other) => {
                Err(Error::new(format_args!("the subnet {subnet} overlaps {other} of another network")))
            }
            Some(other) => {
                Err(Error::new(format_args!("the subnet {subnet} overlaps the host's route to {other}"))
                    .hint("--subnet names another"))
            }
        }
    }
}

/// Where blocks are taken from, if nobody says which, and how long their prefixes are: the first fits the default
/// network, the others are for all.
const POOLS: &[([u8; 4], u8, u8)] = &[
    ([10, 121, 0, 0], 16, 16),
    ([10, 122, 0, 0], 15, 24),
    ([10, 124, 0, 0], 14, 24),
    ([172, 24, 0, 0], 14, 24),
    ([192, 168, 0, 0], 16, 24),
];

/// A block of IPv4 that meets nothing.
pub fn choose(occupied: &Occupied, default: bool) -> Result<Subnet> {
    for &(base, pool, prefix) in &POOLS[usize::from(!default)..] {
        let pool = Subnet::around(IpAddr::from(base), pool);
        for number in 0..1_u128 << (prefix - pool.prefix) {
            let Some(address) = pool.nth(number << (32 - prefix)) else { break };
            let subnet = Subnet::around(address, prefix);
            if occupied.met_by(&subnet).is_none() {
                return Ok(subnet);
            }
        }
    }
    Err(Error::new("no block of private addresses is free for the network").hint("--subnet names one"))
}

/// A block of IPv6 for that network: unique local addresses (RFC 4193), their 40 bits from the network's id, which
/// is random.
pub fn choose_ipv6(id: &str) -> Subnet {
    let digits = |from: usize, to: usize| {
        id.get(from..to).and_then(|digits| u16::from_str_radix(digits, 16).ok()).unwrap_or_default()
    };
    let address = [0xfd00 | digits(0, 2), digits(2, 6), digits(6, 10), digits(10, 14), 0, 0, 0, 0];
    Subnet::around(IpAddr::from(address), 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subnet(text: &str) -> Subnet {
        Subnet::parse(text).expect("a subnet")
    }

    fn block(text: &str) -> Block {
        Block::new(subnet(text))
    }

    #[test]
    fn addresses_are_given_from_the_lowest_and_never_twice() {
        let block = block("10.0.0.0/29");
        let mut taken = Vec::new();
        while let Some(address) = block.free(&taken) {
            taken.push(Address(address));
            taken.sort_unstable();
        }
        let given: Vec<String> = taken.iter().map(|address| format!("{address}")).collect();
        assert_eq!(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        taken.remove(2);
        assert_eq!(block.free(&taken), Some("10.0.0.4".parse().expect("an address")));
    }

    #[test]
    fn a_range_limits_what_is_given() {
        let block = Block { range: Some(subnet("10.0.0.128/25")), ..block("10.0.0.0/24") };
        assert!(block.check().is_ok());
        assert_eq!(block.free(&[]), Some("10.0.0.128".parse().expect("an address")));
        let last = Block { range: Some(subnet("10.0.0.254/31")), ..block.clone() };
        let taken = [Address("10.0.0.254".parse().expect("an address"))];
        assert_eq!(last.free(&taken), None);
        assert!(Block { range: Some(subnet("10.0.1.0/25")), ..block }.check().is_err());
    }

    #[test]
    fn blocks_that_cannot_be_are_refused() {
        for bad in ["10.0.0.0/32", "127.0.0.0/8", "224.0.0.0/8", "0.0.0.0/0", "ff00::/64", "::1/128"] {
            assert!(block(bad).check().is_err(), "{bad}");
        }
        for good in ["10.0.0.0/30", "10.0.0.0/31", "fd00::/64", "192.168.1.0/24"] {
            assert!(block(good).check().is_ok(), "{good}");
        }
    }

    #[test]
    fn what_the_host_reaches_is_avoided() {
        let route = |text: &str, index| Route { to: subnet(text), index };
        let routes = [route("10.121.4.0/24", 2), route("10.122.0.0/24", 9), route("10.122.1.0/25", 3)];
        let occupied = Occupied { routes: &routes, own: 9, others: &[subnet("10.122.2.0/24")] };
        assert_eq!(choose(&occupied, true).expect("one"), subnet("10.122.0.0/24"));
        let occupied = Occupied { own: 0, ..occupied };
        assert_eq!(choose(&occupied, false).expect("one"), subnet("10.122.3.0/24"));
        let error = format!("{}", occupied.check(&subnet("10.121.0.0/16")).expect_err("refused"));
        assert!(error.contains("10.121.4.0/24"), "{error}");
        let all = [route("10.0.0.0/8", 1), route("172.16.0.0/12", 1), route("192.168.0.0/16", 1)];
        assert!(choose(&Occupied { routes: &all, own: 0, others: &[] }, true).is_err());
    }

    #[test]
    fn names_that_mean_something_else_are_refused() {
        assert!(check_name("web_1.a-b").is_ok());
        for bad in ["", "-a", "a/b", "host", "none", "bridge", "container", "a b", ".a", "ä"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ipv6_blocks_are_unique_local() {
        let block = choose_ipv6("00112233445566778899");
        assert_eq!(format!("{block}"), "fd00:1122:3344:5566::/64");
    }
}
