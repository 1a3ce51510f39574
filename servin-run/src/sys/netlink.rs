//! What netlink sockets have beside the calls of all sockets.

use linux_raw_sys::general::__NR_setsockopt;
use linux_raw_sys::net::SOL_NETLINK;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io;
use servin_init::syscall;

/// `NETLINK_CAP_ACK` of linux/netlink.h: an acknowledgement does not repeat the request.
pub const CAP_ACK: u32 = 10;
/// `NETLINK_EXT_ACK`: an acknowledgement says in words why.
pub const EXT_ACK: u32 = 11;
/// `NETLINK_GET_STRICT_CHK`: a dump honours the filter in its request.
pub const STRICT: u32 = 12;

/// Turns one of these on (netlink(7)).
pub fn turn_on(socket: impl AsFd, option: u32) -> io::Result<()> {
    let on = 1_i32;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the four bytes of `on`, which lives until the call is over.
    unsafe { syscall!(__NR_setsockopt, socket, SOL_NETLINK, option, &raw const on, size_of::<i32>()) }
        .map(drop)
}
