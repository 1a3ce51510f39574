//! Messages to nftables: all of one change in one transaction, which the kernel carries out as a whole or not at
//! all (linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h).

use alloc::vec::Vec;

use rustix::io::Errno;

use super::TABLE;
use crate::network::netfilter::NETLINK_NETFILTER;
use crate::network::netlink::{Answer, Attributes, CREATE, Message, Reply, Socket};

/// `NFPROTO_INET` of linux/netfilter.h: both IPv4 and IPv6.
const INET: u8 = 1;
/// `NFNL_SUBSYS_NFTABLES`.
const NFTABLES: u16 = 10;
/// `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH: [u16; 2] = [0x10, 0x11];

/// `NFT_MSG_*`.
pub const NEW_TABLE: u16 = 0;
pub const GET_TABLE: u16 = 1;
pub const DELETE_TABLE: u16 = 2;
pub const NEW_CHAIN: u16 = 3;
pub const GET_CHAIN: u16 = 4;
pub const NEW_RULE: u16 = 6;
pub const DELETE_RULE: u16 = 8;
pub const NEW_SET: u16 = 9;
pub const NEW_ELEMENT: u16 = 12;
pub const GET_ELEMENT: u16 = 13;
pub const DELETE_ELEMENT: u16 = 14;

/// The name of the table is the first attribute of all messages about our own.
const NAME_OF_TABLE: u16 = 1;
/// `NFTA_DATA_VALUE`.
const VALUE: u16 = 1;

/// A message about our table.
pub fn about(kind: u16, flags: u16) -> Message {
    let mut message = Message::new(NFTABLES << 8 | kind, flags, &[INET, 0, 0, 0]);
    message.text(NAME_OF_TABLE, TABLE);
    message
}

/// Appends a value within an attribute, as `struct nft_data` is said.
pub fn value(message: &mut Message, kind: u16, bytes: &[u8]) {
    let nest = message.open(kind);
    message.attribute(VALUE, bytes);
    message.close(nest);
}

/// The value within an attribute.
pub fn value_of<'a>(attributes: &Attributes<'a>, kind: u16) -> Option<&'a [u8]> {
    attributes.nest(kind).find(VALUE)
}

/// A change of several messages.
#[derive(Default)]
pub struct Batch(Vec<Message>);

impl Batch {
    /// Appends a message.
    pub fn add(&mut self, message: Message) {
        self.0.push(message);
    }

    /// Whether nothing is to be changed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has the kernel make all of it, or nothing.
    pub fn send(self, socket: &Socket) -> Answer<()> {
        // struct nfgenmsg: no family, version 0, and whose transaction it is.
        let [zero, subsystem] = NFTABLES.to_be_bytes();
        let mark = |kind| Message::new(kind, 0, &[0, 0, zero, subsystem]);
        let mut all = Vec::with_capacity(self.0.len() + 2);
        all.push(mark(BATCH[0]));
        all.extend(self.0);
        all.push(mark(BATCH[1]));
        socket.batch(&all)
    }
}

/// Opens a socket to netfilter, in the network namespace of this process.
pub fn open() -> Answer<Socket> {
    Ok(Socket::open_protocol(NETLINK_NETFILTER)?)
}

/// What there is of a kind in our table; nothing where there is no table.
pub fn dump(socket: &Socket, request: &Message) -> Answer<Vec<Reply>> {
    match socket.dump(request) {
        Err(refused) if refused.errno == Errno::NOENT => Ok(Vec::new()),
        other => other,
    }
}

/// The chains of every table of every family.
pub fn chains(socket: &Socket) -> Answer<Vec<Reply>> {
    dump(socket, &Message::new(NFTABLES << 8 | GET_CHAIN, 0, &[0; 4]))
}

/// The message that makes what may already be there.
pub fn make(kind: u16) -> Message {
    about(kind, CREATE)
}
