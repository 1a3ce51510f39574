//! Networks, by netlink alone.

pub mod link;
pub mod loopback;
pub mod netfilter;
pub mod netlink;
pub mod nftables;
pub mod ports;
pub mod proxy;
pub mod route;
pub mod subnet;
