//! The part of `servin inspect` that is about networks.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::cli::network::Map;
use crate::container::people::Record;
use crate::network::Mode;
use crate::network::ports::{Bindings, bindings};
use crate::network::state::{Assigned, Endpoint};
use crate::spec::json::object;

object! {
    /// How a container is connected. The addresses are those of its first network.
    pub struct Settings {
        /// Published ports.
        "Ports" => ports: Map<Vec<Bindings>>,
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
        "MacAddress" => mac: String,
        /// All of its networks by their names.
        "Networks" => networks: Map<Place>,
    }

    /// A container's place in a network.
    pub struct Place {
        /// Other names that it has there.
        "Aliases" => aliases: Vec<String>,
        /// The interface inside (not in Docker).
        "Interface" => interface: String,
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
        "MacAddress" => mac: String,
    }
}

/// How the container is connected, or would be if it ran.
pub fn settings(record: &Record) -> Settings {
    let attached = record.attached.clone().unwrap_or_default();
    let places: Vec<(String, Place)> = match attached.endpoints.as_slice() {
        [] => {
            let wanted = record.network.networks.iter();
            wanted.map(|member| (member.network.clone(), Place::default())).collect()
        }
        endpoints => endpoints.iter().map(|endpoint| (endpoint.network.clone(), place(endpoint))).collect(),
    };
    let first = places.first().map(|(_, place)| place.clone()).unwrap_or_default();
    Settings {
        ports: Map(bindings(&attached.published.ports, &[])),
        address: first.address,
        prefix: first.prefix,
        gateway: first.gateway,
        address6: first.address6,
        prefix6: first.prefix6,
        gateway6: first.gateway6,
        mac: first.mac,
        networks: Map(places),
    }
}

fn place(endpoint: &Endpoint) -> Place {
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
        aliases: endpoint.aliases.clone(),
        interface: endpoint.interface.clone(),
        address,
        prefix,
        gateway,
        address6,
        prefix6,
        gateway6,
        mac: endpoint.mac.clone().unwrap_or_default(),
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
