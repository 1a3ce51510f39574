//! nftables (linux/netfilter/nf_tables.h).

use rustix::io::Errno;

use super::netlink::{Request, Socket};

/// `NETLINK_NETFILTER` of linux/netlink.h.
const NETLINK_NETFILTER: u32 = 12;
/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN`.
const GET_GENERATION: u16 = 10 << 8 | 16;

/// Whether the kernel has nftables: it knows its generation, or says that only an administrator may ask.
pub fn has_nftables() -> bool {
    // struct nfgenmsg: any family, version 0, no resource.
    let request = Request::new(GET_GENERATION, &[0; 4]);
    match Socket::open_protocol(NETLINK_NETFILTER).and_then(|socket| socket.call(request)) {
        // Instead of an acknowledgement the answer comes first, which is not one.
        Ok(()) | Err(Errno::PROTO | Errno::PERM) => true,
        Err(_) => false,
    }
}
