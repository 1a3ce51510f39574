//! The loopback interface of a new network namespace.

use super::link::{self, Change};
use super::netlink::Socket;
use crate::error::{Result, Step};

/// The first interface of a namespace is its loopback (`LOOPBACK_IFINDEX` of linux/net_namespace.h).
const LOOPBACK: u32 = 1;

/// Brings it up in the network namespace of this process; the kernel gives it its addresses by itself.
pub fn bring_up() -> Result<()> {
    let socket = Socket::open().step(|| "open a netlink socket")?;
    link::change(&socket, LOOPBACK, &Change { up: Some(true), ..Change::default() }).step(|| "set lo up")
}
