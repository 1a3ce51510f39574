//! Addresses of interfaces, routes and neighbours (rtnetlink(7), linux/if_addr.h, linux/neighbour.h).

use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rustix::io::Errno;

use super::netlink::{Answer, Attributes, CREATE, EXCLUSIVE, Message, REPLACE, Reply, Socket};
use super::subnet::Subnet;
use crate::error::{Result, Step};
use crate::gather::Gather as _;

/// `RTM_NEWADDR`, `RTM_GETADDR`, `RTM_NEWROUTE`, `RTM_GETROUTE`, `RTM_DELNEIGH` of linux/rtnetlink.h.
const NEW_ADDRESS: u16 = 20;
const GET_ADDRESSES: u16 = 22;
const NEW_ROUTE: u16 = 24;
const GET_ROUTES: u16 = 26;
const DELETE_NEIGHBOUR: u16 = 29;
/// `AF_INET` and `AF_INET6`.
const INET: u8 = 2;
const INET6: u8 = 10;
/// `struct rtmsg` and `struct ifaddrmsg`.
const ROUTE: usize = 12;
const ADDRESS: usize = 8;
/// `RT_TABLE_MAIN`.
const MAIN: u32 = 254;

fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { INET } else { INET6 }
}

fn put(message: &mut Message, kind: u16, address: IpAddr) {
    match address {
        IpAddr::V4(address) => message.attribute(kind, &address.octets()),
        IpAddr::V6(address) => message.attribute(kind, &address.octets()),
    };
}

fn get(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => bytes.first_chunk().map(|octets: &[u8; 4]| IpAddr::V4(Ipv4Addr::from(*octets))),
        16 => bytes.first_chunk().map(|octets: &[u8; 16]| IpAddr::V6(Ipv6Addr::from(*octets))),
        _ => None,
    }
}

/// The request that gives an interface an address; one that it has is left.
pub fn add_address(index: u32, address: IpAddr, prefix: u8) -> Message {
    /// `IFA_ADDRESS`, `IFA_LOCAL`, `IFA_BROADCAST`.
    const OTHER_END: u16 = 1;
    const LOCAL: u16 = 2;
    const BROADCAST: u16 = 4;
    /// `IFA_F_NODAD`: it was given out, so nobody else has it, and it is usable at once.
    const NO_DETECTION: u8 = 2;
    let flags = if address.is_ipv4() { 0 } else { NO_DETECTION };
    let mut body = [family(address), prefix, flags, 0, 0, 0, 0, 0];
    body[4..].copy_from_slice(&index.to_ne_bytes());
    let mut message = Message::new(NEW_ADDRESS, CREATE | REPLACE, &body);
    put(&mut message, LOCAL, address);
    put(&mut message, OTHER_END, address);
    if address.is_ipv4() && prefix < 31 {
        put(&mut message, BROADCAST, Subnet::around(address, prefix).last());
    }
    message
}

/// The request for the route to everything else, by a gateway or, without one, straight to the interface.
pub fn add_default(index: u32, gateway: Option<IpAddr>, is_ipv4: bool) -> Message {
    /// `RTA_OIF` and `RTA_GATEWAY`.
    const INTERFACE: u16 = 4;
    const GATEWAY: u16 = 5;
    /// `RTPROT_STATIC`, `RT_SCOPE_UNIVERSE` and `RT_SCOPE_LINK`, `RTN_UNICAST`.
    const STATIC: u8 = 4;
    const UNICAST: u8 = 1;
    let scope = if gateway.is_some() || !is_ipv4 { 0 } else { 253 };
    let family = if is_ipv4 { INET } else { INET6 };
    // family, both lengths, type of service, table, protocol, scope, type, flags.
    let body = [family, 0, 0, 0, MAIN as u8, STATIC, scope, UNICAST, 0, 0, 0, 0];
    let mut message = Message::new(NEW_ROUTE, CREATE | EXCLUSIVE, &body);
    message.number(INTERFACE, index);
    if let Some(gateway) = gateway {
        put(&mut message, GATEWAY, gateway);
    }
    message
}

/// A route of this namespace to a part of all addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub to: Subnet,
    /// The number of its interface; 0 for none.
    pub index: u32,
}

fn read_route(reply: &Reply) -> Option<Route> {
    /// `RTA_DST`, `RTA_OIF`, `RTA_TABLE`.
    const TO: u16 = 1;
    const INTERFACE: u16 = 4;
    const TABLE: u16 = 15;
    let all = Attributes::behind(&reply.payload, ROUTE);
    let (&prefix, &table) = (reply.payload.get(1)?, reply.payload.get(4)?);
    if all.number(TABLE).unwrap_or(table.into()) != MAIN {
        return None;
    }
    let to = Subnet::around(get(all.find(TO)?)?, prefix);
    (prefix > 0).then_some(Route { to, index: all.number(INTERFACE).unwrap_or_default() })
}

/// The routes of the main table, but for the default ones.
pub fn routes(socket: &Socket) -> Result<Vec<Route>> {
    let replies = socket.dump(&Message::new(GET_ROUTES, 0, &[0; ROUTE])).step(|| "list the routes")?;
    Ok(replies.iter().filter_map(read_route).gather())
}

/// The addresses of an interface, each with the block that it is in.
pub fn addresses(socket: &Socket, index: u32) -> Result<Vec<(IpAddr, Subnet)>> {
    /// `IFA_ADDRESS` and `IFA_LOCAL`, which for IPv6 is absent.
    const OTHER_END: u16 = 1;
    const LOCAL: u16 = 2;
    let replies =
        socket.dump(&Message::new(GET_ADDRESSES, 0, &[0; ADDRESS])).step(|| "list the addresses")?;
    let read = |reply: &Reply| {
        let all = Attributes::behind(&reply.payload, ADDRESS);
        let own = reply.payload.get(4..).and_then(super::netlink::number)? == index;
        let address = get(all.find(LOCAL).or_else(|| all.find(OTHER_END))?)?;
        own.then(|| (address, Subnet::around(address, reply.payload.get(1).copied().unwrap_or_default())))
    };
    Ok(replies.iter().filter_map(read).gather())
}

/// Has the host forget who had an address before: the next one to have it has another hardware address.
pub fn forget_neighbour(socket: &Socket, index: u32, address: IpAddr) -> Answer<()> {
    /// `NDA_DST`.
    const ADDRESS: u16 = 1;
    // family, padding; index; state, flags, type.
    let mut body = [0; 12];
    body[0] = family(address);
    body[4..8].copy_from_slice(&index.to_ne_bytes());
    let mut message = Message::new(DELETE_NEIGHBOUR, 0, &body);
    put(&mut message, ADDRESS, address);
    match socket.call(&message) {
        Err(refused) if refused.errno == Errno::NOENT => Ok(()),
        other => other,
    }
}

/// Sends requests in one datagram, each acknowledged or refused.
pub fn carry_out(socket: &Socket, requests: &[Message], what: &str) -> Result<()> {
    socket.batch(requests).step(|| format!("configure {what}"))
}
