//! Connections: bytes both ways, with an end to every wait.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
    sockopt,
};
use servin_init::sys::clock::{Nanoseconds, now};

use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;

/// A thousandth of a second.
pub const MILLISECOND: Nanoseconds = 1_000_000;
/// How long an address has before the next one is tried beside it (RFC 8305 section 5).
const HEAD_START: Nanoseconds = 250 * MILLISECOND;
/// How long all addresses together have to answer.
const CONNECT: Nanoseconds = 15_000 * MILLISECOND;

/// A connection, plain or encrypted.
pub trait Stream {
    /// Reads some bytes; 0 at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
    /// Writes all bytes.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;
    /// Whether the other side is silent and still there, as it must be before the next request.
    fn is_quiet(&self) -> bool;
}

/// A connection of TCP.
pub struct Tcp {
    socket: OwnedFd,
    peer: String,
    patience: Nanoseconds,
}

impl Tcp {
    /// Connects to the first address that answers; `name` is the host's in errors, `patience` how long the other
    /// side may keep silent.
    pub fn connect(name: &str, addresses: &[IpAddr], port: u16, patience: Nanoseconds) -> Result<Tcp> {
        let peer = format!("{name}:{port}");
        let end = now() + CONNECT.min(patience);
        let mut attempts: Vec<OwnedFd> = Vec::new();
        let mut rest = interleaved(addresses).into_iter();
        let mut failure = Errno::TIMEDOUT;
        loop {
            let next = rest.next();
            let more = next.is_some();
            if let Some(address) = next {
                match begin(SocketAddr::new(address, port)) {
                    Ok(socket) => attempts.push(socket),
                    Err(errno) => failure = errno,
                }
            }
            let until = if more { end.min(now() + HEAD_START) } else { end };
            if let Some(socket) = first_connected(&mut attempts, until, &mut failure) {
                // Requests are written whole: there is nothing to wait for.
                let _ = sockopt::set_tcp_nodelay(&socket, true);
                return Ok(Tcp { socket, peer, patience });
            }
            let over = now() >= end;
            if !more && attempts.is_empty() || over {
                let errno = if over { Errno::TIMEDOUT } else { failure };
                return Err(Error::os(format_args!("connect to {peer}"), errno));
            }
        }
    }

    fn wait(&self, what: PollFlags) -> Result<()> {
        let ready = wait(&mut [PollFd::new(&self.socket, what)], now() + self.patience);
        if ready { Ok(()) } else { Err(Error::os(format_args!("wait for {}", self.peer), Errno::TIMEDOUT)) }
    }
}

impl Stream for Tcp {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            match recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((length, _)) => return Ok(length),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::IN)?,
                Err(errno) => return Err(Error::os(format_args!("read from {}", self.peer), errno)),
            }
        }
    }

    fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            match send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Ok(length) => bytes = &bytes[length..],
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => self.wait(PollFlags::OUT)?,
                Err(errno) => return Err(Error::os(format_args!("write to {}", self.peer), errno)),
            }
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        recv(&self.socket, &mut [0; 1][..], RecvFlags::PEEK) == Err(Errno::AGAIN)
    }
}

/// Waits until one of the descriptors is ready; false when the time has come first.
pub fn wait(descriptors: &mut [PollFd<'_>], until: Nanoseconds) -> bool {
    loop {
        let left = until.saturating_sub(now());
        let timeout =
            Timespec { tv_sec: (left / 1_000_000_000) as i64, tv_nsec: (left % 1_000_000_000) as _ };
        match poll(descriptors, Some(&timeout)) {
            Err(Errno::INTR) => {}
            Ok(0) | Err(_) => return false,
            Ok(_) => return true,
        }
    }
}

/// Sleeps.
pub fn pause(duration: Nanoseconds) {
    wait(&mut [], now() + duration);
}

/// Starts to connect, without waiting.
fn begin(address: SocketAddr) -> core::result::Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(socket),
        Err(errno) => Err(errno),
    }
}

/// Waits until one of the attempts has succeeded, or all have failed, or the time has come.
fn first_connected(attempts: &mut Vec<OwnedFd>, until: Nanoseconds, failure: &mut Errno) -> Option<OwnedFd> {
    while !attempts.is_empty() {
        let mut waiting: Vec<PollFd> =
            attempts.iter().map(|attempt| PollFd::new(attempt, PollFlags::OUT)).gather();
        if !wait(&mut waiting, until) {
            return None;
        }
        let at = waiting.iter().position(|attempt| !attempt.revents().is_empty())?;
        let socket = attempts.remove(at);
        match sockopt::socket_error(&socket) {
            Ok(Ok(())) => return Some(socket),
            Ok(Err(errno)) | Err(errno) => *failure = errno,
        }
    }
    None
}

/// Addresses of both families by turns, in the order of each, IPv6 first (RFC 8305 section 4).
fn interleaved(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut six = addresses.iter().filter(|address| address.is_ipv6());
    let mut four = addresses.iter().filter(|address| address.is_ipv4());
    let mut mixed = Vec::new();
    while mixed.len() < addresses.len() {
        mixed.extend(six.next());
        mixed.extend(four.next());
    }
    mixed
}

/// Opens a socket of datagrams that hears one peer alone.
pub fn datagrams(to: SocketAddr) -> Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let step = || format!("open a socket to {to}");
    let socket = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP)).step(step)?;
    connect(&socket, &to).step(step)?;
    Ok(socket)
}

/// Receives one datagram, or nothing until the time has come.
pub fn receive(socket: impl AsFd, buffer: &mut [u8], until: Nanoseconds) -> Option<usize> {
    loop {
        match recv(&socket, &mut *buffer, RecvFlags::empty()) {
            Ok((length, _)) => return Some(length),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                if !wait(&mut [PollFd::new(&socket, PollFlags::IN)], until) {
                    return None;
                }
            }
            // Refused: nobody listens there.
            Err(_) => return None,
        }
    }
}

impl Stream for Box<dyn Stream> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        (**self).read(buffer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        (**self).write(bytes)
    }

    fn is_quiet(&self) -> bool {
        (**self).is_quiet()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_families_are_tried_by_turns() {
        let parse = |text: &str| text.parse().expect("an address");
        let mixed = interleaved(&["1.1.1.1", "2.2.2.2", "::1", "3.3.3.3"].map(parse));
        assert_eq!(mixed, ["::1", "1.1.1.1", "2.2.2.2", "3.3.3.3"].map(parse));
    }

    #[test]
    fn an_address_that_refuses_does_not_keep_the_next_one_from_being_used() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("bound").port();
        let addresses = ["::1", "127.0.0.2", "127.0.0.1"].map(|text| text.parse().expect("an address"));
        let mut stream = Tcp::connect("test", &addresses, port, 5000 * MILLISECOND).expect("connected");
        stream.write(b"hello").expect("written");
        let (mut other, _) = listener.accept().expect("accepted");
        let mut buffer = [0; 5];
        std::io::Read::read_exact(&mut other, &mut buffer).expect("read");
        assert_eq!(&buffer, b"hello");
        assert!(stream.is_quiet());
        drop(other);
        assert_eq!(stream.read(&mut buffer).expect("the end"), 0);
        assert!(!stream.is_quiet());
    }

    #[test]
    fn a_silent_peer_is_given_up() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("bound").port();
        let address = ["127.0.0.1".parse().expect("an address")];
        let mut stream = Tcp::connect("test", &address, port, 50 * MILLISECOND).expect("connected");
        let error = stream.read(&mut [0; 8]).expect_err("gave up");
        assert_eq!(error.errno(), Some(Errno::TIMEDOUT));
    }
}
