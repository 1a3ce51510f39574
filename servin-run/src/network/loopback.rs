//! The loopback interface of a new network namespace.

use super::netlink::{Message, Socket};
use crate::error::{Result, Step};

/// `RTM_NEWLINK` of linux/rtnetlink.h.
const RTM_NEWLINK: u16 = 16;
/// `IFF_UP` of linux/if.h.
const IFF_UP: u32 = 1;
/// The first interface of a namespace is its loopback (`LOOPBACK_IFINDEX` of linux/net_namespace.h).
const LOOPBACK: u32 = 1;

/// Brings it up in the network namespace of this process; the kernel gives it its addresses by itself.
pub fn bring_up() -> Result<()> {
    // struct ifinfomsg: family, padding, type; index; flags; the flags that change (rtnetlink(7)).
    let mut body = [0; 16];
    body[4..8].copy_from_slice(&LOOPBACK.to_ne_bytes());
    body[8..12].copy_from_slice(&IFF_UP.to_ne_bytes());
    body[12..16].copy_from_slice(&IFF_UP.to_ne_bytes());
    let socket = Socket::open().step(|| "open a netlink socket")?;
    socket.call(&Message::new(RTM_NEWLINK, 0, &body)).step(|| "set lo up")
}
