//! Our table, as data: its sets, chains and rules. The rules never change while containers come and go: only
//! elements of sets do, so that a thousand published ports are one lookup.
//!
//! `nft list table inet servin` prints it in nft's own words.

use super::expression::Expression::{self, *};
use super::expression::{
    CT_STATE, CT_STATUS, IIFNAME, IPV4, IPV6, L4PROTO, NETWORK, NFPROTO, OIFNAME, R0, TRANSPORT,
};

/// Names the version of what is below: a table with another one gets its rules anew.
pub const VERSION: &str = "servin 1";

/// A set, or a map where its values have a length.
pub struct Set {
    pub name: &'static str,
    /// nft's numbers of the types in the key, first to last, six bits each.
    pub key_type: u32,
    pub key_length: u32,
    pub value_type: u32,
    pub value_length: u32,
    /// It holds ranges.
    pub ranges: bool,
}

/// nft's own numbers (its src/datatype.c, `TYPE_*`): the kernel keeps them for whoever lists the table.
const IPV4_ADDRESS: u32 = 7;
const IPV6_ADDRESS: u32 = 8;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
pub const INTERFACE: u32 = 41;

/// Bridges of ours.
pub const BRIDGES: &str = "bridges";
/// Pairs of the same bridge.
pub const SAME: &str = "same_bridge";
/// Those of networks that reach nothing outside.
pub const INTERNAL: &str = "internal";
/// Subnets of ours, and those whose containers go out with the host's address.
pub const SUBNETS4: &str = "subnets4";
pub const SUBNETS6: &str = "subnets6";
pub const MASQUERADED4: &str = "masqueraded4";
pub const MASQUERADED6: &str = "masqueraded6";
/// Published ports: of one address of the host, and of all of them.
pub const PORTS4: &str = "ports4";
pub const PORTS6: &str = "ports6";
pub const ANY_PORTS4: &str = "any_ports4";
pub const ANY_PORTS6: &str = "any_ports6";

const fn names(name: &'static str, key_type: u32, key_length: u32) -> Set {
    Set { name, key_type, key_length, value_type: 0, value_length: 0, ranges: false }
}

const fn subnets(name: &'static str, key_type: u32, key_length: u32) -> Set {
    Set { ranges: true, ..names(name, key_type, key_length) }
}

const fn ports(name: &'static str, exact: bool, address: u32, length: u32) -> Set {
    let key_type = if exact { address << 12 | PROTOCOL << 6 | SERVICE } else { PROTOCOL << 6 | SERVICE };
    let key_length = if exact { length + 8 } else { 8 };
    Set {
        name,
        key_type,
        key_length,
        value_type: address << 6 | SERVICE,
        value_length: length + 4,
        ranges: false,
    }
}

pub const SETS: &[Set] = &[
    names(BRIDGES, INTERFACE, 16),
    names(SAME, INTERFACE << 6 | INTERFACE, 32),
    names(INTERNAL, INTERFACE, 16),
    subnets(SUBNETS4, IPV4_ADDRESS, 4),
    subnets(SUBNETS6, IPV6_ADDRESS, 16),
    subnets(MASQUERADED4, IPV4_ADDRESS, 4),
    subnets(MASQUERADED6, IPV6_ADDRESS, 16),
    ports(PORTS4, true, IPV4_ADDRESS, 4),
    ports(PORTS6, true, IPV6_ADDRESS, 16),
    ports(ANY_PORTS4, false, IPV4_ADDRESS, 4),
    ports(ANY_PORTS6, false, IPV6_ADDRESS, 16),
];

/// A chain; those with a hook are entered there, at the priority of their kind.
pub struct Chain {
    pub name: &'static str,
    /// `filter` or `nat`, hook (`NF_INET_*`), priority.
    pub base: Option<(&'static str, u32, i32)>,
}

pub const CHAINS: &[Chain] = &[
    Chain { name: "raw_prerouting", base: Some(("filter", 0, -300)) },
    Chain { name: "forward", base: Some(("filter", 2, 0)) },
    Chain { name: "published", base: None },
    Chain { name: "prerouting", base: Some(("nat", 0, -100)) },
    Chain { name: "output", base: Some(("nat", 3, -100)) },
    Chain { name: "postrouting", base: Some(("nat", 4, 100)) },
];

const FAMILY: Expression = Meta(NFPROTO, R0);
const IS_V4: Expression = Equal(R0, &[IPV4]);
const IS_V6: Expression = Equal(R0, &[IPV6]);
const SOURCE4: Expression = Payload(NETWORK, 12, 4, R0);
const DESTINATION4: Expression = Payload(NETWORK, 16, 4, R0);
const SOURCE6: Expression = Payload(NETWORK, 8, 16, R0);
const DESTINATION6: Expression = Payload(NETWORK, 24, 16, R0);
/// The first byte of the destination or of the source.
const DESTINATION4_HEAD: Expression = Payload(NETWORK, 16, 1, R0);
const SOURCE4_HEAD: Expression = Payload(NETWORK, 12, 1, R0);
const LOOPBACK4: Expression = Equal(R0, &[127]);
const LOOPBACK6: Expression = Equal(R0, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const IN: Expression = Meta(IIFNAME, R0);
const OUT: Expression = Meta(OIFNAME, R0);
const IS_BRIDGE: Expression = In(BRIDGES, R0, false);
const NO_BRIDGE: Expression = In(BRIDGES, R0, true);
const IS_INTERNAL: Expression = In(INTERNAL, R0, false);
const NOT_LOOPBACK: Expression = Differs(R0, b"lo\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
const ANY_LEFT: Expression = Differs(R0, &[0; 4]);
/// `RTN_LOCAL` of linux/rtnetlink.h.
const IS_OURS: Expression = Equal(R0, &2u32.to_ne_bytes());
/// `IPS_DST_NAT` of linux/netfilter/nf_conntrack_common.h.
const REDIRECTED: Expression = Mask(&0x20u32.to_ne_bytes());
/// `NF_CT_STATE_BIT` of established and related.
const KNOWN: Expression = Mask(&6u32.to_ne_bytes());

/// Redirects what comes for a port of one address of the host; `behind` is the register behind an address.
const fn exact_port(
    family: Expression,
    destination: Expression,
    map: &'static str,
    to: u8,
    behind: u32,
) -> [Expression; 7] {
    let port = Payload(TRANSPORT, 2, 2, behind + 1);
    [FAMILY, family, destination, Meta(L4PROTO, behind), port, Map(map, R0), Dnat(to, behind)]
}

/// The same of all of its addresses.
const fn any_port(family: Expression, map: &'static str, to: u8, behind: u32) -> [Expression; 6] {
    let port = Payload(TRANSPORT, 2, 2, R0 + 1);
    [FAMILY, family, Meta(L4PROTO, R0), port, Map(map, R0), Dnat(to, behind)]
}

/// Gives what a container sends to a published port, maybe its own, the bridge's address.
const fn hairpin(family: Expression, source: Expression, subnets: &'static str) -> [Expression; 10] {
    let ours = In(subnets, R0, false);
    [FAMILY, family, OUT, IS_BRIDGE, source, ours, Ct(CT_STATUS, R0), REDIRECTED, ANY_LEFT, Masquerade]
}

/// A chain's name and a rule of it, in order.
pub const RULES: &[(&str, &[Expression])] = &[
    // With route_localnet, which publishing to 127.0.0.1 needs, a bridge would take what containers send to or from
    // the host's loopback addresses.
    ("raw_prerouting", &[FAMILY, IS_V4, DESTINATION4_HEAD, LOOPBACK4, IN, IS_BRIDGE, Drop]),
    ("raw_prerouting", &[FAMILY, IS_V4, SOURCE4_HEAD, LOOPBACK4, IN, IS_BRIDGE, Drop]),
    // What comes in for 127.0.0.1 is forged (the host's own packets are redirected in `output`): it must not be
    // redirected here, before the kernel's own check drops it.
    ("prerouting", &[FAMILY, IS_V4, DESTINATION4_HEAD, LOOPBACK4, Return]),
    ("prerouting", &[DestinationType(R0), IS_OURS, Goto("published")]),
    // A packet from ::1 may not leave the host, whatever it is redirected to.
    ("output", &[FAMILY, IS_V6, DESTINATION6, LOOPBACK6, Return]),
    ("output", &[DestinationType(R0), IS_OURS, Goto("published")]),
    ("published", &exact_port(IS_V4, DESTINATION4, PORTS4, IPV4, R0 + 1)),
    ("published", &any_port(IS_V4, ANY_PORTS4, IPV4, R0 + 1)),
    ("published", &exact_port(IS_V6, DESTINATION6, PORTS6, IPV6, R0 + 4)),
    ("published", &any_port(IS_V6, ANY_PORTS6, IPV6, R0 + 4)),
    // The host's processes that called 127.0.0.1: the answer must find back.
    ("postrouting", &[FAMILY, IS_V4, SOURCE4_HEAD, LOOPBACK4, OUT, IS_BRIDGE, Masquerade]),
    // A container that called a published port: the answer must not go straight to it.
    ("postrouting", &hairpin(IS_V4, SOURCE4, SUBNETS4)),
    ("postrouting", &hairpin(IS_V6, SOURCE6, SUBNETS6)),
    // What containers send into the world has the host's address.
    (
        "postrouting",
        &[FAMILY, IS_V4, OUT, NO_BRIDGE, NOT_LOOPBACK, SOURCE4, In(MASQUERADED4, R0, false), Masquerade],
    ),
    (
        "postrouting",
        &[FAMILY, IS_V6, OUT, NO_BRIDGE, NOT_LOOPBACK, SOURCE6, In(MASQUERADED6, R0, false), Masquerade],
    ),
    // Within a network all is allowed (the kernel asks us where br_netfilter is on),
    ("forward", &[IN, Meta(OIFNAME, R0 + 4), In(SAME, R0, false), Accept]),
    // an internal one reaches nothing else and is reached by nothing else,
    ("forward", &[IN, IS_INTERNAL, Drop]),
    ("forward", &[OUT, IS_INTERNAL, Drop]),
    // answers come in, and so does what is published;
    ("forward", &[Ct(CT_STATE, R0), KNOWN, ANY_LEFT, Accept]),
    ("forward", &[OUT, IS_BRIDGE, Ct(CT_STATUS, R0), REDIRECTED, ANY_LEFT, Accept]),
    // all else, of other networks of ours too, does not.
    ("forward", &[OUT, IS_BRIDGE, Drop]),
];
