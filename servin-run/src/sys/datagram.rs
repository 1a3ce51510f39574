//! Datagrams with all that is on their envelope: who sent them, and to which of this host's addresses.

use linux_raw_sys::general::{__NR_recvmsg, __NR_sendmsg, __NR_setsockopt, iovec};
use linux_raw_sys::net::msghdr;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io;
use servin_init::syscall;

/// `sizeof(struct sockaddr_in6)`, the longest of the two.
const NAME: usize = 28;
/// `CMSG_SPACE(sizeof(struct in6_pktinfo))`, the longest of the two.
const CONTROL: usize = 40;
/// Where the data of a control message begin (`CMSG_LEN(0)`).
const DATA: usize = size_of::<usize>() + 8;

/// Who sent a datagram, and which address it was sent to: what an answer needs.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub struct Envelope {
    control: [u8; CONTROL],
    name: [u8; NAME],
    control_length: u32,
    name_length: u32,
}

impl Envelope {
    /// The sender's address, to be compared.
    pub fn sender(&self) -> &[u8] {
        &self.name
    }
}

/// Has the kernel say to which address datagrams were sent (`IP_PKTINFO` of ip(7), `IPV6_RECVPKTINFO` of ipv6(7)).
pub fn want_destination(socket: impl AsFd, is_ipv4: bool) -> io::Result<()> {
    let (level, option) = if is_ipv4 { (0, 8) } else { (41, 49) };
    let on = 1_i32;
    let socket = socket.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the four bytes of `on`, which lives until the call is over.
    unsafe { syscall!(__NR_setsockopt, socket, level, option, &raw const on, size_of::<i32>()) }.map(drop)
}

/// Receives a datagram (recvmsg(2)).
pub fn receive(socket: impl AsFd, bytes: &mut [u8]) -> io::Result<(usize, Envelope)> {
    let mut envelope = Envelope { control: [0; CONTROL], name: [0; NAME], control_length: 0, name_length: 0 };
    let mut data = iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() as _ };
    // SAFETY: all-zero is a header without anything.
    let mut header: msghdr = unsafe { core::mem::zeroed() };
    header.msg_name = envelope.name.as_mut_ptr().cast();
    header.msg_namelen = NAME as _;
    header.msg_iov = (&raw mut data).cast();
    header.msg_iovlen = 1;
    header.msg_control = envelope.control.as_mut_ptr().cast();
    header.msg_controllen = CONTROL as _;
    // SAFETY: every pointer is to as many bytes as the header says, all of which live until the call is over.
    let length = unsafe { syscall!(__NR_recvmsg, socket.as_fd().as_raw_fd(), &raw mut header, 0) }?;
    envelope.name_length = (header.msg_namelen as u32).min(NAME as u32);
    envelope.control_length = (header.msg_controllen as u32).min(CONTROL as u32);
    // The answer goes wherever the routes lead, which need not be the interface that the question came by. The
    // number of the interface is in front of IPv4's addresses (12 bytes of data), and behind IPv6's (20 bytes).
    let place = if envelope.control_length as usize <= DATA + 16 { DATA } else { DATA + 16 };
    let is_link_local = envelope.control[DATA..DATA + 2] == [0xfe, 0x80];
    if let Some(interface) = envelope.control.get_mut(place..place + 4)
        && !is_link_local
    {
        interface.fill(0);
    }
    Ok((length, envelope))
}

/// Sends a datagram back to where another one came from, as from the address that it was sent to (sendmsg(2)).
pub fn answer(socket: impl AsFd, bytes: &[u8], to: &Envelope) -> io::Result<()> {
    let mut data = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() as _ };
    // SAFETY: all-zero is a header without anything.
    let mut header: msghdr = unsafe { core::mem::zeroed() };
    header.msg_name = to.name.as_ptr().cast_mut().cast();
    header.msg_namelen = to.name_length as _;
    header.msg_iov = (&raw mut data).cast();
    header.msg_iovlen = 1;
    header.msg_control = to.control.as_ptr().cast_mut().cast();
    header.msg_controllen = to.control_length as _;
    // SAFETY: the kernel only reads what the header points to, all of which lives until the call is over.
    unsafe { syscall!(__NR_sendmsg, socket.as_fd().as_raw_fd(), &raw const header, 0) }.map(drop)
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;

    use super::{answer, receive, want_destination};
    use crate::sys::descriptors::inherited;

    #[test]
    fn an_answer_comes_from_the_address_that_was_asked() {
        // All of 127/8 is this host's: 127.0.0.1 would answer unless it is told.
        let server = UdpSocket::bind("0.0.0.0:0").expect("bind");
        want_destination(inherited(server.as_raw_fd()), true).expect("want the destination");
        let port = server.local_addr().expect("an address").port();
        let client = UdpSocket::bind("127.0.0.1:0").expect("bind");
        client.connect(("127.0.0.77", port)).expect("connect");
        client.send(b"question").expect("send");
        let mut bytes = [0; 100];
        let (length, envelope) = receive(inherited(server.as_raw_fd()), &mut bytes).expect("receive");
        assert_eq!(&bytes[..length], b"question");
        answer(inherited(server.as_raw_fd()), b"reply", &envelope).expect("answer");
        let length = client.recv(&mut bytes).expect("hear the answer of 127.0.0.77 alone");
        assert_eq!(&bytes[..length], b"reply");
    }

    #[test]
    fn the_same_of_ipv6() {
        let Ok(server) = UdpSocket::bind("[::]:0") else { return };
        want_destination(inherited(server.as_raw_fd()), false).expect("want the destination");
        let port = server.local_addr().expect("an address").port();
        let client = UdpSocket::bind("[::1]:0").expect("bind");
        client.connect(("::1", port)).expect("connect");
        client.send(b"question").expect("send");
        let mut bytes = [0; 100];
        let (_, envelope) = receive(inherited(server.as_raw_fd()), &mut bytes).expect("receive");
        answer(inherited(server.as_raw_fd()), b"reply", &envelope).expect("answer");
        assert_eq!(client.recv(&mut bytes).expect("hear"), 5);
    }
}
