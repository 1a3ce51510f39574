//! Published ports: what `--publish` and `--expose` say, and how a container's ports are shown.
//!
//! The rules of the flags are Docker's (docs.docker.com/reference/cli/docker/container/run, `--publish`).

mod publication;
mod reservation;
mod shown;
mod values;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use publication::{Published, Target, check_free, prune, publish, restore, unpublish};
pub use reservation::{of, try_to_bind};
pub use shown::{Bindings, bindings, column, listing};

use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::order;
use crate::spec::json::{object, word_enum};

object! {
    /// A port of the container that a port of the host leads to.
    pub struct Publish {
        /// The host's address; empty for every one that it has.
        "hostIp" => host_ip: String,
        /// The host's port; 0 for one that is free.
        "hostPort" => host_port: u16,
        /// The last one to choose from, where any between the two will do.
        "hostPortEnd" => host_port_end: Option<u16>,
        /// The port inside.
        "containerPort" => container_port: u16,
        /// What is spoken on both.
        "protocol" => protocol: Protocol,
    }

    /// A port that an image, or `--expose`, says there is.
    pub struct Exposed {
        /// Its number.
        "port" => port: u16,
        /// What is spoken.
        "protocol" => protocol: Protocol,
    }
}

word_enum! {
    /// The protocols that have ports.
    pub enum Protocol {
        /// The default.
        "tcp" => Tcp,
        /// Datagrams.
        "udp" => Udp,
        /// Streams of messages; nftables alone forwards them.
        "sctp" => Sctp,
    }

    /// Who forwards published ports.
    pub enum Mode {
        /// nftables where the kernel has it, a process beside the container otherwise.
        "auto" => Auto,
        /// The kernel.
        "nftables" => Nftables,
        /// A process beside the container.
        "proxy" => Proxy,
    }
}

impl Publish {
    /// The host's address; none for every one that it has.
    pub fn address(&self) -> Option<IpAddr> {
        self.host_ip.parse().ok()
    }

    /// Whether packets to this address of the host may be meant.
    fn covers(&self, other: &Publish) -> bool {
        match (self.address(), other.address()) {
            (None, _) | (_, None) => true,
            (Some(own), Some(other)) => {
                own == other
                    || own.is_ipv4() == other.is_ipv4() && (own.is_unspecified() || other.is_unspecified())
            }
        }
    }

    /// Whether both cannot be there at the same time.
    pub fn clashes(&self, other: &Publish) -> bool {
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && self.host_port != 0
            && self.covers(other)
    }

    /// The host's IPv4 address to listen on, if it is to be reached by IPv4.
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        match self.address() {
            None => Some(Ipv4Addr::UNSPECIFIED),
            Some(IpAddr::V4(address)) => Some(address),
            Some(IpAddr::V6(_)) => None,
        }
    }

    /// The host's IPv6 address to listen on, if it is to be reached by IPv6.
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        match self.address() {
            None => Some(Ipv6Addr::UNSPECIFIED),
            Some(IpAddr::V6(address)) => Some(address),
            Some(IpAddr::V4(_)) => None,
        }
    }
}

/// Reads one value of `--publish`: `[IP:]HOST[-END]:CONTAINER[-END][/tcp|udp|sctp]` or `CONTAINER[-END]`. A range
/// gives as many as it has ports.
pub fn parse(text: &str) -> Result<Vec<Publish>> {
    values::publish(text).map_err(|why| {
        Error::new(format_args!("--publish {text}: {why}"))
            .hint("it is [IP:]HOST[-END]:CONTAINER[-END][/tcp|udp|sctp], or CONTAINER alone for a free port")
    })
}

/// Reads one value of `--expose`, or one of an image's exposed ports: `PORT[-END][/tcp|udp|sctp]`.
pub fn exposed(text: &str) -> Result<Vec<Exposed>> {
    values::expose(text).map_err(|why| {
        Error::new(format_args!("exposed port {text}: {why}")).hint("it is PORT[-END][/tcp|udp|sctp]")
    })
}

/// What `--publish-all` adds: a free port of the host for each exposed one that is not published yet.
pub fn publish_all(exposed: &[Exposed], published: &mut Vec<Publish>) {
    for &Exposed { port, protocol } in exposed {
        if !published.iter().any(|publish| publish.container_port == port && publish.protocol == protocol) {
            published.push(Publish { container_port: port, protocol, ..Publish::default() });
        }
    }
}

/// Refuses what is asked for twice.
pub fn check_distinct(wanted: &[Publish]) -> Result<()> {
    // Sorted, so that thousands need not each be compared with each: those of one port are neighbours.
    let mut sorted: Vec<&Publish> =
        wanted.iter().filter(|one| one.host_port != 0 && one.host_port_end.is_none()).gather();
    order::sort_by_key(&mut sorted, |publish| publish.host_port);
    for (index, publish) in sorted.iter().enumerate() {
        let same_port = sorted[index + 1..].iter().take_while(|other| other.host_port == publish.host_port);
        if same_port.copied().any(|other| publish.clashes(other)) {
            return Err(Error::new(format_args!("--publish: {} is published twice", shown::Host(publish))));
        }
    }
    Ok(())
}

/// `80/tcp`, as an argument of `servin port`; without a protocol it is TCP.
pub fn private(text: &str) -> Result<Exposed> {
    match exposed(text)?.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(Error::new(format_args!("{text}: a single port is wanted"))),
    }
}

/// The key of a container's port in documents: `80/tcp`.
pub fn key(port: u16, protocol: Protocol) -> String {
    format!("{port}/{}", protocol.as_str())
}

/// An address as it stands before a port: IPv6 in brackets.
pub fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}
