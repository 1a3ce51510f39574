//! Networks, by netlink alone.

pub mod loopback;
pub mod netfilter;
pub mod netlink;
pub mod nftables;
pub mod ports;
