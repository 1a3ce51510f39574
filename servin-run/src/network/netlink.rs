//! Netlink (netlink(7)): requests and their acknowledgements.

use alloc::vec::Vec;
use core::num::NonZeroU32;

use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// `struct nlmsghdr`.
const HEADER: usize = 16;
const NLMSG_ERROR: u16 = 2;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_ACK: u16 = 4;

/// A request that is answered by an acknowledgement.
pub struct Request(Vec<u8>);

impl Request {
    /// Begins a request of this type; `body` is the fixed structure that the type has.
    pub fn new(kind: u16, body: &[u8]) -> Request {
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend([0; 4]);
        bytes.extend(kind.to_ne_bytes());
        bytes.extend((NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        bytes.extend([0; 8]);
        bytes.extend(body);
        Request(bytes)
    }

    /// The message with its length in front.
    fn finish(mut self) -> Vec<u8> {
        let length = (self.0.len() as u32).to_ne_bytes();
        self.0[..4].copy_from_slice(&length);
        self.0
    }
}

/// A socket to the kernel.
pub struct Socket(OwnedFd);

impl Socket {
    /// Opens one to another part of the kernel.
    pub fn open_protocol(protocol: u32) -> io::Result<Socket> {
        let protocol = NonZeroU32::new(protocol).map(Protocol::from_raw);
        socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol).map(Socket)
    }

    /// Opens one to the routing tables of this process's network namespace.
    pub fn open() -> io::Result<Socket> {
        // NETLINK_ROUTE is protocol 0, which rustix says as none.
        Socket::open_protocol(0)
    }

    /// Sends `request` and waits until the kernel has carried it out or refused it.
    pub fn call(&self, request: Request) -> io::Result<()> {
        send(&self.0, &request.finish(), SendFlags::empty())?;
        let mut answer = [0; 1024];
        let (length, _) = io::retry_on_intr(|| recv(&self.0, &mut answer[..], RecvFlags::empty()))?;
        acknowledged(&answer[..length])
    }
}

/// Reads an acknowledgement: a header, and the error number negated, which is 0 for success.
fn acknowledged(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|b| b.first_chunk()).map(|b| u16::from_ne_bytes(*b));
    let error = answer.get(HEADER..).and_then(|b| b.first_chunk()).map(|b| i32::from_ne_bytes(*b));
    match (kind, error) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(error)) => Err(Errno::from_raw_os_error(error.wrapping_neg())),
        _ => Err(Errno::PROTO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_begins_with_its_length() {
        let bytes = Request::new(16, &[7; 16]).finish();
        assert_eq!(bytes.len(), 32);
        assert_eq!(bytes[..4], 32u32.to_ne_bytes());
        assert_eq!(bytes[16..], [7; 16]);
    }

    #[test]
    fn only_a_whole_acknowledgement_is_believed() {
        let answer = |kind: u16, error: i32| {
            let mut bytes = Request::new(kind, &error.to_ne_bytes()).finish();
            bytes.extend([0; 16]);
            bytes
        };
        assert_eq!(acknowledged(&answer(NLMSG_ERROR, 0)), Ok(()));
        assert_eq!(acknowledged(&answer(NLMSG_ERROR, -1)), Err(Errno::PERM));
        assert_eq!(acknowledged(&answer(3, 0)), Err(Errno::PROTO));
        for length in 0..HEADER + 4 {
            assert_eq!(acknowledged(&answer(NLMSG_ERROR, 0)[..length]), Err(Errno::PROTO), "{length} bytes");
        }
    }
}
