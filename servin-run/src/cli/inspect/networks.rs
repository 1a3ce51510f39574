//! The part of `servin inspect` that is about networks.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::container::people::Record;
use crate::gather::Gather as _;
use crate::network::Mode;
use crate::network::ports::{Bindings, bindings};
use crate::network::state::{Assigned, Endpoint};
use crate::spec::json::{Present, written};

written! {
    /// How a container is connected. The addresses are those of its first network.
    pub struct Settings<'a> {
        /// Published ports.
        "Ports" => ports: Present<Vec<(String, Vec<Bindings>)>>,
        /// The IPv4 address.
        "IPAddress" => address: String,
        /// The length of its prefix.
        "IPPrefixLen" => prefix: u16,
        /// The way out.
        "Gateway" => gateway: String,
        /// The same of IPv6.
        "GlobalIPv6Address" => address6: String,
        /// The length of its prefix.
        "GlobalIPv6PrefixLen" => prefix6: u16,
        /// The way out.
        "IPv6Gateway" => gateway6: String,
        /// The hardware address.
        "MacAddress" => mac: &'a str,
        /// All of its networks by their names.
        "Networks" => networks: Present<Vec<(String, Place<'a>)>>,
    }

    /// A container's place in a network.
    pub struct Place<'a> {
        /// Other names that it has there.
        "Aliases" => aliases: &'a [String],
        /// The interface inside (not in Docker).
        "Interface" => interface: &'a str,
        /// The IPv4 address.
        "IPAddress" => address: String,
        /// The length of its prefix.
        "IPPrefixLen" => prefix: u16,
        /// The way out.
        "Gateway" => gateway: String,
        /// The same of IPv6.
        "GlobalIPv6Address" => address6: String,
        /// The length of its prefix.
        "GlobalIPv6PrefixLen" => prefix6: u16,
        /// The way out.
        "IPv6Gateway" => gateway6: String,
        /// The hardware address.
        "MacAddress" => mac: &'a str,
    }
}

/// How the container is connected, or would be if it ran.
pub fn settings(record: &Record) -> Settings<'_> {
    let attached = record.attached.as_ref();
    let published = attached.map_or(&[][..], |attached| &attached.published.ports);
    let places: Vec<(String, Place)> = match attached.map_or(&[][..], |attached| &attached.endpoints) {
        [] => {
            let wanted = record.network.networks.iter();
            wanted.map(|member| (member.network.clone(), Place::default())).gather()
        }
        endpoints => endpoints.iter().map(|endpoint| (endpoint.network.clone(), place(endpoint))).gather(),
    };
    let first = places.first().map(|(_, place)| place.clone()).unwrap_or_default();
    Settings {
        ports: Present(bindings(published, &[])),
        address: first.address,
        prefix: first.prefix,
        gateway: first.gateway,
        address6: first.address6,
        prefix6: first.prefix6,
        gateway6: first.gateway6,
        mac: first.mac,
        networks: Present(places),
    }
}

fn place(endpoint: &Endpoint) -> Place<'_> {
    let of_family = |is_ipv4| {
        let mut all = endpoint.addresses.iter();
        let found = all.find(|assigned: &&Assigned| assigned.address.0.is_ipv4() == is_ipv4);
        found.map_or((String::new(), 0, String::new()), |assigned| {
            let gateway = assigned.gateway.map(|gateway| gateway.to_string()).unwrap_or_default();
            (assigned.address.to_string(), assigned.subnet.prefix.into(), gateway)
        })
    };
    let (address, prefix, gateway) = of_family(true);
    let (address6, prefix6, gateway6) = of_family(false);
    Place {
        aliases: &endpoint.aliases,
        interface: &endpoint.interface,
        address,
        prefix,
        gateway,
        address6,
        prefix6,
        gateway6,
        mac: endpoint.mac.as_deref().unwrap_or_default(),
    }
}

/// `NetworkMode` of inspect.
pub fn mode(record: &Record) -> String {
    let wish = &record.network;
    match wish.mode {
        Mode::Networks => wish.networks.first().map_or(String::new(), |member| member.network.clone()),
        Mode::Container => format!("container:{}", wish.container.as_deref().unwrap_or_default()),
        Mode::User => wish.program.clone(),
        mode => mode.as_str().into(),
    }
}
