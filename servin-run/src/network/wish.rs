//! What a container wants of networks, and what it got.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::ports::{self, Publish, Published};
use super::state::Endpoint;
use super::subnet::Address;
use crate::error::{Error, Result};
use crate::spec::json::{object, word_enum};

word_enum! {
    /// Which network namespace a container has.
    pub enum Mode {
        /// One of its own, connected to networks.
        "networks" => Networks,
        /// One of its own with the loopback interface alone.
        "none" => None,
        /// The host's.
        "host" => Host,
        /// That of another container.
        "container" => Container,
        /// One of its own that an unprivileged program connects (pasta or slirp4netns).
        "user" => User,
    }
}

object! {
    /// What a container wants.
    pub struct Wish {
        /// Which namespace it has.
        "mode" => mode: Mode,
        /// Nobody asked for a network: where the host cannot have one the container runs without.
        "byDefault" => by_default: bool,
        /// Whose namespace it shares: a container's name or id.
        "container" => container: Option<String>,
        /// The unprivileged program.
        "program" => program: String,
        /// Where it is connected, its default route being the first one's.
        "networks" => networks: Vec<Membership>,
        /// Name servers instead of the host's.
        "dns" => dns: Vec<Address>,
        /// Domains to search instead of the host's; `.` for none.
        "dnsSearch" => dns_search: Vec<String>,
        /// Options of the resolver instead of the host's.
        "dnsOptions" => dns_options: Vec<String>,
        /// More lines of the hosts file.
        "extraHosts" => extra_hosts: Vec<ExtraHost>,
        /// Published ports.
        "publish" => publish: Vec<Publish>,
        /// Who forwards them.
        "publishMode" => publish_mode: ports::Mode,
    }

    /// A network to be in.
    pub struct Membership {
        /// Its name.
        "network" => network: String,
        /// The addresses wanted, at most one of each family.
        "addresses" => addresses: Vec<Address>,
        /// The hardware address wanted.
        "mac" => mac: Option<String>,
        /// Other names to be found by.
        "aliases" => aliases: Vec<String>,
    }

    /// A line of the hosts file.
    pub struct ExtraHost {
        /// The name.
        "name" => name: String,
        /// Its address; none for that of the host in the container's first network.
        "address" => address: Option<Address>,
    }

    /// What a container got.
    pub struct Attached {
        /// Its place in each network.
        "endpoints" => endpoints: Vec<Endpoint>,
        /// Its ports as they are on the host, and who forwards them.
        "published" => published: Published,
    }
}

impl Attached {
    /// Its first address of a family.
    pub fn address(&self, is_ipv4: bool) -> Option<IpAddr> {
        let mut all = self.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
        all.find(|assigned| assigned.address.0.is_ipv4() == is_ipv4).map(|assigned| assigned.address.0)
    }
}

/// Reads `NAME:ADDRESS` or `NAME=ADDRESS`, where the address may be `host-gateway`, or in brackets.
pub fn extra_host(text: &str) -> Result<ExtraHost> {
    let refuse = |why: &str| Error::new(format_args!("--add-host {text}: {why}")).hint("it is NAME:ADDRESS");
    let (name, address) = text.split_once(['=', ':']).ok_or_else(|| refuse("the address is missing"))?;
    check_host_name(name).map_err(|error| error.within("--add-host"))?;
    let bare = address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address);
    let address = match bare {
        "host-gateway" => None,
        _ => Some(Address(bare.parse().map_err(|_| refuse("that is no address"))?)),
    };
    Ok(ExtraHost { name: name.into(), address })
}

/// Refuses what would break the lines of a hosts file.
pub fn check_host_name(name: &str) -> Result<()> {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match !name.is_empty() && name.len() <= 253 && name.bytes().all(known) {
        true => Ok(()),
        false => Err(Error::new(format_args!("\"{name}\" is no host name"))
            .hint("one has letters, digits, -, _ and ., and at most 253 of them")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_name_and_an_address() {
        let host =
            |text: &str| extra_host(text).map(|host| (host.name, host.address.map(|a| format!("{a}"))));
        assert_eq!(host("a:1.2.3.4").expect("one"), ("a".into(), Some("1.2.3.4".into())));
        assert_eq!(host("a=::1").expect("one"), ("a".into(), Some("::1".into())));
        assert_eq!(host("a:[fd00::1]").expect("one"), ("a".into(), Some("fd00::1".into())));
        assert_eq!(host("a:host-gateway").expect("one"), ("a".into(), None));
        for bad in ["a", ":1.2.3.4", "a:", "a:b", "a b:1.2.3.4", "a\n:1.2.3.4", "a:1.2.3", "a:1.2.3.4\n"] {
            assert!(extra_host(bad).is_err(), "{bad}");
        }
    }
}
