//! Publishing: the ports of the host are reserved, then the kernel redirects them; what it cannot redirect is for a
//! process. Whatever fails, nothing is left.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{self, Errno};

use super::reservation::{Reservation, Reservations, of};
use super::{Mode as How, Protocol, Publish};
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::network::netlink::{Message, Refused, Socket};
use crate::network::nftables::{self, Redirection};
use crate::network::proxy::{Forward, split};
use crate::network::subnet::Address;
use crate::network::{conntrack, link, netfilter};
use crate::spec::json::object;
use crate::sys::path::openat;

/// A container whose ports are published.
pub struct Target<'a> {
    /// Its id,
    pub id: &'a str,
    /// and its name.
    pub name: &'a str,
    /// The bridge that it is attached to, and the interface of the host that leads to it.
    pub bridge: &'a str,
    /// The host's side of its veth pair.
    pub interface: &'a str,
    /// Its address there.
    pub address4: Option<Ipv4Addr>,
    /// The same of IPv6.
    pub address6: Option<Ipv6Addr>,
    /// Who is to forward.
    pub mode: How,
}

object! {
    /// What was published.
    pub struct Published {
        /// All ports; those of the host are known.
        "ports" => ports: Vec<Publish>,
        /// What a process beside the container has to forward.
        "forwards" => forwards: Vec<Forward>,
        /// What a person should know.
        "warnings" => warnings: Vec<String>,
    }
}

/// Publishes `wanted` ports of a container, whose program has not started yet. Called in the host's network
/// namespace.
pub fn publish(root: &str, target: &Target, wanted: &[Publish]) -> Result<Published> {
    let mut published = Published::default();
    if wanted.is_empty() {
        return Ok(published);
    }
    let reservations = Reservations::lock(root)?;
    published.ports = reservations.choose(target.id, wanted)?;
    let ask_kernel = match target.mode {
        How::Proxy => false,
        How::Nftables => true,
        How::Auto => netfilter::has_nftables(),
    };
    let addresses = [target.address4.map(IpAddr::V4), target.address6.map(IpAddr::V6)];
    let to = addresses.into_iter().flatten().filter(|_| ask_kernel).map(Address).gather();
    let mut kept = Reservation { name: target.name.into(), ports: published.ports.clone(), to };
    reservations.keep(target.id, &kept)?;
    let done =
        redirect(target, &mut published, ask_kernel).and_then(|by_kernel| match by_kernel == ask_kernel {
            true => Ok(()),
            false => {
                kept.to.clear();
                reservations.keep(target.id, &kept)
            }
        });
    if done.is_err() {
        let _ = reservations.remove(target.id);
    }
    done.map(|()| published)
}

/// Has the kernel redirect to containers again whose redirections another program took away.
pub fn restore(root: &str, alive: &dyn Fn(&str) -> bool) -> Result<()> {
    let reservations = Reservations::lock(root)?;
    for (id, kept) in reservations.all().iter().filter(|(id, kept)| alive(id) && !kept.to.is_empty()) {
        let target = Target {
            id,
            name: &kept.name,
            bridge: "",
            interface: "",
            address4: kept.to.iter().find_map(|to| to.v4()),
            address6: kept.to.iter().find_map(|to| to.v6()),
            mode: How::Nftables,
        };
        let mut published = Published { ports: kept.ports.clone(), ..Published::default() };
        nftables::redirect(id, &divide(&target, &mut published, false))
            .step(|| format!("publish the ports of {} again", kept.name))?;
        forget_datagrams(&kept.ports);
    }
    Ok(())
}

/// Fails where `wanted` ports could not be published, so that nothing need be made in vain.
pub fn check_free(root: &str, wanted: &[Publish]) -> Result<()> {
    if wanted.is_empty() {
        return Ok(());
    }
    Reservations::lock(root)?.choose("", wanted).map(drop)
}

/// Takes all ports of a container back. It is no error that it has none.
pub fn unpublish(root: &str, id: &str) -> Result<()> {
    let ports = of(root, id)?;
    if ports.is_empty() {
        return Ok(());
    }
    let reservations = Reservations::lock(root)?;
    withdraw(&reservations, id, &ports)
}

/// Takes the ports of all containers back that are not alive.
pub fn prune(root: &str, alive: &dyn Fn(&str) -> bool) -> Result<()> {
    let reservations = Reservations::lock(root)?;
    let mut gone = reservations.all().iter().filter(|(id, _)| !alive(id));
    gone.try_for_each(|(id, kept)| withdraw(&reservations, id, &kept.ports))
}

fn withdraw(reservations: &Reservations, id: &str, ports: &[Publish]) -> Result<()> {
    // The reservation goes last: while it is there, the next one tries again.
    match nftables::remove_redirections(id) {
        Err(refused) if is_missing(refused.errno) => Ok(()),
        other => other.step(|| format!("take the published ports of container {id} from nftables")),
    }?;
    forget_datagrams(ports);
    reservations.remove(id)
}

/// Without connection tracking there is nothing to forget.
fn forget_datagrams(ports: &[Publish]) {
    let udp = ports.iter().filter(|publish| publish.protocol == Protocol::Udp);
    let _ = conntrack::forget_datagrams(&udp.map(|publish| publish.host_port).gather::<Vec<u16>>());
}

/// Whether the kernel has no nftables, or none that redirects for both families in one table (Linux 5.2).
fn is_missing(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::OPNOTSUPP | Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::NOENT | Errno::INVAL
    )
}

/// Returns whether the kernel redirects.
fn redirect(target: &Target, published: &mut Published, ask_kernel: bool) -> Result<bool> {
    if target.address4.is_none() && target.address6.is_none() {
        return Err(Error::new("--publish: the container has no address of its own to publish ports of"));
    }
    if ask_kernel {
        let redirections = divide(target, published, false);
        if redirections.is_empty() {
            return Ok(true);
        }
        match nftables::redirect(target.id, &redirections) {
            Ok(()) => return finish(target, published).map(|()| true),
            Err(refused) if target.mode == How::Auto && is_missing(refused.errno) => {
                published.warnings.push(String::from(
                    "ports are forwarded by a process: nftables of this kernel cannot (Linux 5.2 and CONFIG_NFT_NAT)",
                ));
            }
            Err(refused) => return Err(explain(refused, &redirections)),
        }
    }
    published.forwards.clear();
    divide(target, published, true);
    match published.ports.iter().find(|publish| publish.protocol == Protocol::Sctp) {
        None => Ok(false),
        Some(_) => Err(Error::new("--publish: SCTP is forwarded by nftables alone")),
    }
}

/// What the kernel redirects; what a process forwards is added to `published`.
fn divide(target: &Target, published: &mut Published, only_proxy: bool) -> Vec<Redirection> {
    let mut redirections = Vec::new();
    for publish in &published.ports {
        let split = split(publish, target.address4, target.address6, only_proxy);
        published.forwards.extend(split.forwarded.into_iter().flatten());
        redirections.extend(split.redirected.into_iter().flatten().map(|(from, to)| Redirection {
            from,
            port: publish.host_port,
            protocol: publish.protocol,
            to,
            to_port: publish.container_port,
        }));
    }
    redirections
}

fn explain(refused: Refused, redirections: &[Redirection]) -> Error {
    let error = Error::os("publish ports by nftables", refused.errno);
    match refused.errno {
        Errno::BUSY | Errno::EXIST => match nftables::owner_of_any(redirections) {
            Some(owner) => error.hint(format!(
                "container {owner} of another --root has one of them, or left it: `nft delete table inet servin` \
                 takes away all that is published"
            )),
            None => error,
        },
        Errno::PERM => error.hint("it needs CAP_NET_ADMIN; --publish-mode proxy does without"),
        errno if is_missing(errno) => {
            error.hint("it needs Linux 5.2 with CONFIG_NFT_NAT; --publish-mode proxy does without")
        }
        _ => error.hint(refused.words),
    }
}

/// What redirected packets need besides; where it cannot be had, that is said.
fn finish(target: &Target, published: &mut Published) -> Result<()> {
    if target.address4.is_some() && published.ports.iter().any(|publish| publish.ipv4().is_some()) {
        // For the host's processes that call 127.0.0.1; the rules keep everybody else from what it opens.
        let path = format!("/proc/sys/net/ipv4/conf/{}/route_localnet", target.bridge);
        let written = openat(CWD, &*path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
            .and_then(|file| io::write(&file, b"1"));
        if let Err(errno) = written {
            published.warnings.push(format!(
                "published ports are not reachable by 127.0.0.1: {}",
                Error::os(format_args!("write {path}"), errno)
            ));
        }
    }
    forget_datagrams(&published.ports);
    let _ = reflect(target.interface);
    for chain in nftables::dropping_chains() {
        published.warnings.push(format!(
            "what comes from outside may not reach published ports: the chain {chain} of another program drops what \
             it does not know: accept what goes out by {} there (nft insert rule {chain} oifname {} accept)",
            target.bridge, target.bridge
        ));
    }
    Ok(())
}

/// Lets the bridge send packets back to where they came from (`hairpin`): with br_netfilter a container that calls
/// its own published port is redirected within the bridge.
fn reflect(interface: &str) -> Result<()> {
    /// `RTM_SETLINK`, and `AF_BRIDGE` of linux/socket.h.
    const SET_LINK: u16 = 19;
    const BRIDGE: u8 = 7;
    /// `IFLA_PROTINFO` and `IFLA_BRPORT_MODE` of linux/if_link.h.
    const PORT: u16 = 12;
    const HAIRPIN: u16 = 4;
    let socket = Socket::open().step(|| "open a netlink socket")?;
    let Some(found) = link::find(&socket, interface)? else { return Ok(()) };
    let mut body = [0; 16];
    body[0] = BRIDGE;
    body[4..8].copy_from_slice(&found.index.to_ne_bytes());
    let mut message = Message::new(SET_LINK, 0, &body);
    let port = message.open(PORT);
    message.attribute(HAIRPIN, &[1]);
    message.close(port);
    socket.call(&message).step(|| format!("set {interface} to hairpin mode"))
}
