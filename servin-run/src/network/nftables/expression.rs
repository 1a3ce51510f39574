//! The expressions that a rule is made of: each loads something of a packet into registers, compares, or decides
//! (linux/netfilter/nf_tables.h). A rule goes on until an expression does not hold.

use super::message::value;
use crate::network::netlink::Message;

/// `NFTA_LIST_ELEM`, `NFTA_EXPR_NAME`, `NFTA_EXPR_DATA`.
const ITEM: u16 = 1;
const NAME: u16 = 1;
const DATA: u16 = 2;

/// `NFT_REG32_00`: the first of sixteen registers of four bytes, which long values use in a row.
pub const R0: u32 = 8;

/// What a packet's meta data are asked for (`NFT_META_*`).
pub const IIFNAME: u32 = 6;
pub const OIFNAME: u32 = 7;
pub const NFPROTO: u32 = 15;
pub const L4PROTO: u32 = 16;

/// Headers (`NFT_PAYLOAD_*_HEADER`).
pub const NETWORK: u32 = 1;
pub const TRANSPORT: u32 = 2;

/// What a connection is asked for (`NFT_CT_*`).
pub const CT_STATE: u32 = 0;
pub const CT_STATUS: u32 = 2;

/// `NF_INET` families.
pub const IPV4: u8 = 2;
pub const IPV6: u8 = 10;

/// One expression. The last number of those that load is the register.
pub enum Expression {
    /// `meta`
    Meta(u32, u32),
    /// `payload`: header, offset, length.
    Payload(u32, u32, u32, u32),
    /// `ct`
    Ct(u32, u32),
    /// `fib daddr type`: what kind of address the destination is to this host.
    DestinationType(u32),
    /// Goes on if the registers are in the set, or are not.
    In(&'static str, u32, bool),
    /// Goes on if the registers are in the map, and loads what they lead to into R0 and on.
    Map(&'static str, u32),
    /// Goes on if the register is equal.
    Equal(u32, &'static [u8]),
    /// Goes on if the register is not equal.
    Differs(u32, &'static [u8]),
    /// Keeps those bits of R0.
    Mask(&'static [u8]),
    /// The end: the packet goes where R0 says, and its port is in the register given.
    Dnat(u8, u32),
    /// The end: it leaves with the address of the interface by which it leaves.
    Masquerade,
    /// The end: accepted,
    Accept,
    /// dropped,
    Drop,
    /// left to other chains,
    Return,
    /// or to this one.
    Goto(&'static str),
}

impl Expression {
    /// Appends the expression to the list that is open.
    pub fn encode(&self, message: &mut Message) {
        use Expression::*;
        let item = message.open(ITEM);
        message.text(NAME, self.name());
        let data = message.open(DATA);
        match *self {
            Meta(key, register) | Ct(key, register) => numbers(message, &[(1, register), (2, key)]),
            Payload(header, offset, length, register) => {
                numbers(message, &[(1, register), (2, header), (3, offset), (4, length)]);
            }
            // NFT_FIB_RESULT_ADDRTYPE of NFTA_FIB_F_DADDR.
            DestinationType(register) => numbers(message, &[(1, register), (2, 3), (3, 2)]),
            In(set, register, inverted) => {
                message.text(1, set);
                numbers(message, &[(2, register), (5, u32::from(inverted))]);
            }
            Map(map, register) => {
                message.text(1, map);
                numbers(message, &[(2, register), (3, R0)]);
            }
            Equal(register, bytes) => {
                numbers(message, &[(1, register), (2, 0)]);
                value(message, 3, bytes);
            }
            Differs(register, bytes) => {
                numbers(message, &[(1, register), (2, 1)]);
                value(message, 3, bytes);
            }
            Mask(bytes) => {
                numbers(message, &[(1, R0), (2, R0), (3, bytes.len() as u32)]);
                value(message, 4, bytes);
                value(message, 5, &[0; 16][..bytes.len().min(16)]);
            }
            // NFT_NAT_DNAT.
            Dnat(family, port) => numbers(message, &[(1, 1), (2, family.into()), (3, R0), (5, port)]),
            Masquerade => {}
            Accept => verdict(message, 1, ""),
            Drop => verdict(message, 0, ""),
            Return => verdict(message, -5, ""),
            Goto(chain) => verdict(message, -4, chain),
        }
        message.close(data).close(item);
    }

    fn name(&self) -> &'static str {
        use Expression::*;
        match self {
            Meta(..) => "meta",
            Payload(..) => "payload",
            Ct(..) => "ct",
            DestinationType(_) => "fib",
            In(..) | Map(..) => "lookup",
            Equal(..) | Differs(..) => "cmp",
            Mask(_) => "bitwise",
            Dnat(..) => "nat",
            Masquerade => "masq",
            Accept | Drop | Return | Goto(_) => "immediate",
        }
    }
}

fn numbers(message: &mut Message, attributes: &[(u16, u32)]) {
    for (kind, number) in attributes {
        message.big_endian(*kind, *number);
    }
}

/// `NF_DROP`, `NF_ACCEPT`, `NFT_GOTO` and so on, into the register of verdicts.
fn verdict(message: &mut Message, code: i32, chain: &str) {
    message.big_endian(1, 0);
    let data = message.open(2);
    let verdict = message.open(2);
    message.big_endian(1, code.cast_unsigned());
    if !chain.is_empty() {
        message.text(2, chain);
    }
    message.close(verdict).close(data);
}
