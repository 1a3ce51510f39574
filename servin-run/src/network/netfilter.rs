//! nftables (linux/netfilter/nf_tables.h).

use rustix::io::Errno;

use super::netlink::{Message, Socket};

/// `NETLINK_NETFILTER` of linux/netlink.h.
pub const NETLINK_NETFILTER: u32 = 12;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`.
const GET_GENERATION: u16 = 10 << 8 | 16;

/// Whether the kernel has nftables: it knows its generation, or says that only an administrator may ask.
pub fn has_nftables() -> bool {
    // struct nfgenmsg: any family, version 0, no resource.
    let request = Message::new(GET_GENERATION, 0, &[0; 4]);
    let asked = Socket::open_protocol(NETLINK_NETFILTER).map(|socket| socket.ask(&request));
    match asked {
        Ok(Ok(_)) => true,
        Ok(Err(refused)) => refused.errno == Errno::PERM,
        Err(_) => false,
    }
}
