//! Networks, by netlink alone.

pub mod attach;
pub mod bridge;
pub mod conntrack;
pub mod create;
pub mod definition;
pub mod device;
pub mod lease;
pub mod link;
pub mod loopback;
pub mod names;
pub mod netfilter;
pub mod netlink;
pub mod nftables;
pub mod ports;
pub mod proxy;
pub mod restore;
pub mod route;
pub mod state;
pub mod subnet;
pub mod unprivileged;
pub mod wish;

pub use attach::{Container, attach, detach, prune};
pub use names::files;
pub use state::Places;
pub use wish::{Attached, Membership, Mode, Wish};
