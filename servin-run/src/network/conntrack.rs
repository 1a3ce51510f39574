//! Connections that the kernel tracks (linux/netfilter/nfnetlink_conntrack.h).
//!
//! Where packets of one connection go is decided by its first one. UDP has no first one: what somebody keeps sending
//! to a port goes where it went before the port was published, or to the container that had it before, until the
//! kernel is told to forget it.

use super::netfilter::NETLINK_NETFILTER;
use super::netlink::{Answer, Attributes, Message, Socket};

/// `NFNL_SUBSYS_CTNETLINK << 8`, with `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`.
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
/// `CTA_TUPLE_ORIG`: what the first packet said.
const ORIGINAL: u16 = 1;
/// `CTA_TUPLE_PROTO`, and in it `CTA_PROTO_NUM` and `CTA_PROTO_DST_PORT`.
const PROTOCOL: u16 = 2;
const NUMBER: u16 = 1;
const DESTINATION_PORT: u16 = 3;
/// `IPPROTO_UDP`.
const UDP: u8 = 17;
/// `struct nfgenmsg`: a family (0 for all), version 0, no resource.
const HEADER: usize = 4;

/// Forgets who has sent datagrams to one of these ports.
pub fn forget_datagrams(ports: &[u16]) -> Answer<()> {
    if ports.is_empty() {
        return Ok(());
    }
    let socket = Socket::open_protocol(NETLINK_NETFILTER)?;
    for reply in socket.dump(&Message::new(GET, 0, &[0; HEADER]))? {
        let tuple = Attributes::behind(&reply.payload, HEADER).find(ORIGINAL);
        if let (Some(header), Some(tuple)) = (reply.payload.first_chunk::<HEADER>(), tuple)
            && leads_to(tuple, ports)
        {
            let mut message = Message::new(DELETE, 0, header);
            let nest = message.open(ORIGINAL);
            message.structure(tuple).close(nest);
            // It may have ended by itself.
            let _ = socket.call(&message);
        }
    }
    Ok(())
}

fn leads_to(tuple: &[u8], ports: &[u16]) -> bool {
    let protocol = Attributes(tuple).nest(PROTOCOL);
    let port = protocol.find(DESTINATION_PORT).and_then(|port| port.first_chunk());
    protocol.find(NUMBER).is_some_and(|number| number.first() == Some(&UDP))
        && port.is_some_and(|port| ports.contains(&u16::from_be_bytes(*port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_to_a_port_are_told_from_others() {
        let tuple = |number: u8, port: u16| {
            let attribute = |kind: u16, value: &[u8]| {
                let mut bytes =
                    [&(value.len() as u16 + 4).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
                bytes.resize(bytes.len().next_multiple_of(4), 0);
                bytes
            };
            let inner =
                [attribute(NUMBER, &[number]), attribute(DESTINATION_PORT, &port.to_be_bytes())].concat();
            attribute(PROTOCOL, &inner)
        };
        assert!(leads_to(&tuple(UDP, 53), &[1, 53]));
        assert!(!leads_to(&tuple(UDP, 53), &[54]));
        assert!(!leads_to(&tuple(6, 53), &[53]));
        assert!(!leads_to(&[], &[53]) && !leads_to(&[1, 2, 3], &[53]));
    }
}
