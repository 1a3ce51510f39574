//! Netlink (netlink(7)): a socket to the kernel, requests, and what is answered.
//!
//! A request is a [`Message`]. [`Socket::call`] has it carried out, [`Socket::ask`] returns the one message that
//! answers it, [`Socket::dump`] all of them, [`Socket::batch`] sends many messages at once, which for netfilter is a
//! transaction. A refusal is a [`Refused`]: the errno, and the kernel's own words where it has any; `.step(…)` makes
//! it an [`Error`] as with every other call.

mod attributes;
mod message;

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::cell::Cell;
use core::fmt::Display;
use core::num::NonZeroU32;

use rustix::fd::{AsFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::sockopt::set_socket_send_buffer_size_force;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
};

pub use attributes::{Attributes, Messages, Received, number, short};
use message::HEADER;
pub use message::{ACK, APPEND, CREATE, DUMP, EXCLUSIVE, Message, Nest, REPLACE};

use crate::error::{Error, Result, Step};
use crate::sys::clone::{CloneFlags, setns};
use crate::sys::netlink as options;

/// `NLMSG_ERROR` of linux/netlink.h: an acknowledgement, of success too.
const ERROR: u16 = 2;
/// `NLMSG_DONE`: the end of a dump.
const DONE: u16 = 3;
/// `NLM_F_MULTI`: a part of a dump.
const MULTI: u16 = 2;
/// `NLM_F_DUMP_INTR`: what is dumped changed meanwhile, and the dump may have missed something.
const INTERRUPTED: u16 = 16;
/// `NLM_F_CAPPED`: the acknowledgement has only the header of the request.
const CAPPED: u16 = 0x100;
/// `NLM_F_ACK_TLVS`: the acknowledgement has attributes.
const ACK_ATTRIBUTES: u16 = 0x200;
/// How often an interrupted dump is begun anew.
const DUMP_TRIES: u32 = 32;
/// The kernel sends no longer datagrams (`NLMSG_GOODSIZE`, and 32 KiB in dumps) unless one message alone is longer.
const BUFFER: usize = 64 << 10;
/// What is not a dump is no longer than a page of the smallest kind, even with the kernel's words.
const ACKNOWLEDGEMENT: usize = 4 << 10;
/// What a socket sends at once without asking for more (net.core.wmem_default is 208 KiB, overhead included).
const SEND_BUFFER: usize = 64 << 10;

/// What the kernel answered to a request that it did not carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The error.
    pub errno: Errno,
    /// What the kernel says about it; empty where it says nothing.
    pub words: String,
    /// Which message of a batch it was.
    pub index: usize,
}

impl From<Errno> for Refused {
    fn from(errno: Errno) -> Refused {
        Refused { errno, words: String::new(), index: 0 }
    }
}

/// What a request comes to.
pub type Answer<T> = core::result::Result<T, Refused>;

impl<T> Step<T> for Answer<T> {
    fn step<D: Display>(self, step: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|refused| {
            let error = Error::os(step(), refused.errno);
            if refused.words.is_empty() { error } else { error.hint(refused.words) }
        })
    }
}

/// A message that answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its type.
    pub kind: u16,
    /// What follows the header.
    pub payload: Vec<u8>,
}

/// A socket to a part of the kernel, in the network namespace in which it was opened.
pub struct Socket {
    descriptor: OwnedFd,
    /// The sequence number of the last request.
    sequence: Cell<u32>,
}

impl Socket {
    /// Opens one to another part of the kernel (`NETLINK_*`).
    pub fn open_protocol(protocol: u32) -> io::Result<Socket> {
        let protocol = NonZeroU32::new(protocol).map(Protocol::from_raw);
        let descriptor =
            socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        // Whoever has CAP_NET_ADMIN in a namespace can send to every socket in it, a container's root perhaps to ours:
        // a socket that is connected hears the kernel alone (netlink_getsockbyportid in net/netlink/af_netlink.c).
        connect(&descriptor, &SocketAddrNetlink::new(0, 0))?;
        // Each since Linux 4.x; without them errors have fewer words.
        for option in [options::CAP_ACK, options::EXT_ACK, options::STRICT] {
            let _ = options::turn_on(&descriptor, option);
        }
        Ok(Socket { descriptor, sequence: Cell::new(0) })
    }

    /// Opens one to the routing tables of this process's network namespace.
    pub fn open() -> io::Result<Socket> {
        // NETLINK_ROUTE is protocol 0, which rustix says as none.
        Socket::open_protocol(0)
    }

    /// Opens one in another network namespace (its file, or the pidfd of a process in it); this process is back in
    /// `own`, its own one, afterwards.
    pub fn open_in(namespace: impl AsFd, own: impl AsFd, protocol: u32) -> io::Result<Socket> {
        setns(namespace, CloneFlags::NEWNET)?;
        let socket = Socket::open_protocol(protocol);
        setns(own, CloneFlags::NEWNET)?;
        socket
    }

    /// Has a request carried out.
    pub fn call(&self, request: &Message) -> Answer<()> {
        let sequence = self.send(request, ACK)?;
        self.receive_flagged(ACKNOWLEDGEMENT, RecvFlags::empty(), &mut |received| match received.sequence
            == sequence
            && received.kind == ERROR
        {
            true => Some(acknowledgement(received.payload, received.flags)),
            false => None,
        })
    }

    /// The message that answers a request.
    pub fn ask(&self, request: &Message) -> Answer<Reply> {
        let sequence = self.send(request, 0)?;
        let mut reply = None;
        self.receive(&mut |received| {
            if received.sequence != sequence {
                return None;
            }
            if received.kind == ERROR {
                // An acknowledgement of success without an answer is none.
                return Some(acknowledgement(received.payload, received.flags));
            }
            reply = Some(Reply { kind: received.kind, payload: received.payload.into() });
            Some(Ok(()))
        })?;
        reply.ok_or(Errno::PROTO.into())
    }

    /// All messages that answer a request: begun anew where something changed meanwhile.
    pub fn dump(&self, request: &Message) -> Answer<Vec<Reply>> {
        for _ in 0..DUMP_TRIES {
            let (replies, interrupted) = self.dump_once(request)?;
            if !interrupted {
                return Ok(replies);
            }
        }
        Err(Errno::AGAIN.into())
    }

    fn dump_once(&self, request: &Message) -> Answer<(Vec<Reply>, bool)> {
        let sequence = self.send(request, DUMP)?;
        let (mut replies, mut interrupted) = (Vec::new(), false);
        self.receive(&mut |received| {
            if received.sequence != sequence {
                return None;
            }
            interrupted |= received.flags & INTERRUPTED != 0;
            match received.kind {
                ERROR => return Some(acknowledgement(received.payload, received.flags)),
                // Its payload is an error number too.
                DONE => {
                    let error = number(received.payload).unwrap_or(0).cast_signed();
                    return Some(refused(error, ""));
                }
                kind => replies.push(Reply { kind, payload: received.payload.into() }),
            }
            // What is no part of a dump is the whole answer.
            if received.flags & MULTI == 0 { Some(Ok(())) } else { None }
        })?;
        Ok((replies, interrupted))
    }

    /// Sends all messages in one datagram, and returns the first error; `index` says which one had it. The kernel
    /// has carried out all of them when this returns. (Netfilter takes them as one transaction if the first and the
    /// last are its marks for that.)
    pub fn batch(&self, requests: &[Message]) -> Answer<()> {
        let mut bytes = Vec::new();
        let first = self.sequence.get().wrapping_add(1);
        for request in requests {
            bytes.extend(request.finish(self.next(), 0)?);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
        if bytes.len() > SEND_BUFFER {
            // Without the privilege the datagram may be refused, which is said then.
            let _ = set_socket_send_buffer_size_force(&self.descriptor, bytes.len().saturating_mul(2));
        }
        send(&self.descriptor, &bytes, SendFlags::empty())?;
        // The kernel works while it is sent to: all answers are there, and without ACK only errors are answered.
        let mut first_error = Ok(());
        let outcome = self.receive_flagged(BUFFER, RecvFlags::DONTWAIT, &mut |received| {
            let index = received.sequence.wrapping_sub(first) as usize;
            if received.kind == ERROR && index < requests.len() && first_error.is_ok() {
                first_error = acknowledgement(received.payload, received.flags)
                    .map_err(|refused| Refused { index, ..refused });
            }
            None
        });
        match outcome {
            // Nothing more is there.
            Err(Refused { errno: Errno::AGAIN, .. }) => first_error,
            // The errors alone filled the socket's memory: there were some.
            other => first_error.and(other),
        }
    }

    fn next(&self) -> u32 {
        self.sequence.set(self.sequence.get().wrapping_add(1));
        self.sequence.get()
    }

    fn send(&self, request: &Message, flags: u16) -> io::Result<u32> {
        let sequence = self.next();
        send(&self.descriptor, &request.finish(sequence, flags)?, SendFlags::empty())?;
        Ok(sequence)
    }

    fn receive(&self, each: &mut dyn FnMut(Received) -> Option<Answer<()>>) -> Answer<()> {
        self.receive_flagged(BUFFER, RecvFlags::empty(), each)
    }

    /// Receives until `each` has an answer.
    fn receive_flagged(
        &self,
        longest: usize,
        flags: RecvFlags,
        each: &mut dyn FnMut(Received) -> Option<Answer<()>>,
    ) -> Answer<()> {
        let mut buffer = vec![0; longest];
        loop {
            let flags = flags | RecvFlags::TRUNC;
            let (length, whole) = io::retry_on_intr(|| recv(&self.descriptor, &mut buffer[..], flags))?;
            if whole > length {
                return Err(Errno::MSGSIZE.into());
            }
            // One that is cut short would otherwise be waited for for ever.
            if length < HEADER {
                return Err(Errno::PROTO.into());
            }
            for received in Messages(&buffer[..length]) {
                if let Some(answer) = each(received) {
                    return answer;
                }
            }
        }
    }
}

/// Reads the payload of an acknowledgement: the error number negated, which is 0 for success, the request or its
/// header, attributes.
fn acknowledgement(payload: &[u8], flags: u16) -> Answer<()> {
    /// `NLMSGERR_ATTR_MSG` of linux/netlink.h.
    const WORDS: u16 = 1;
    let error = number(payload).ok_or(Errno::PROTO)?.cast_signed();
    let words = match flags & ACK_ATTRIBUTES {
        0 => "",
        _ => {
            let request = match flags & CAPPED {
                0 => payload.get(4..).and_then(number).map_or(HEADER, |length| length as usize),
                _ => HEADER,
            };
            let behind = payload.get(request.saturating_add(4)..).unwrap_or_default();
            Attributes(behind).text(WORDS).unwrap_or_default()
        }
    };
    refused(error, words)
}

/// An error number negated; 0 or more is success.
fn refused(error: i32, words: &str) -> Answer<()> {
    match error {
        0.. => Ok(()),
        _ => Err(Refused {
            errno: Errno::from_raw_os_error(error.saturating_neg().min(4095)),
            words: words.trim_end_matches('.').into(),
            index: 0,
        }),
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use rustix::net::{getsockname, sendto};

    use super::*;

    #[test]
    fn only_a_whole_acknowledgement_is_believed() {
        let answer = |error: i32| [&error.to_ne_bytes()[..], &[0; 16]].concat();
        assert_eq!(acknowledgement(&answer(0), 0), Ok(()));
        assert_eq!(acknowledgement(&answer(-1), 0), Err(Errno::PERM.into()));
        for length in 0..4 {
            assert_eq!(acknowledgement(&answer(0)[..length], 0), Err(Errno::PROTO.into()), "{length} bytes");
        }
        assert!(acknowledgement(&answer(i32::MIN), 0).is_err());
    }

    #[test]
    fn nobody_but_the_kernel_answers() {
        let socket = Socket::open().expect("a socket");
        let own: SocketAddrNetlink =
            getsockname(&socket.descriptor).and_then(TryInto::try_into).expect("its own address");
        let stranger = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
            .expect("another");
        let forged = part(ERROR, 0, 1, &[0; 20]);
        let sent = sendto(&stranger, &forged, SendFlags::empty(), &own);
        // The latter of who is not root.
        assert!(matches!(sent, Err(Errno::CONNREFUSED | Errno::PERM)), "{sent:?}");
    }

    #[test]
    fn the_kernels_words_follow_the_request_or_its_header() {
        let text = b"Device does not exist.\0\0";
        let attribute = [&28_u16.to_ne_bytes()[..], &1_u16.to_ne_bytes(), text].concat();
        let capped = [&(-19_i32).to_ne_bytes()[..], &[0; 16], &attribute].concat();
        let whole = [&(-19_i32).to_ne_bytes()[..], &32_u32.to_ne_bytes(), &[0; 28], &attribute].concat();
        let words = |payload: &[u8], flags| acknowledgement(payload, flags).expect_err("an error").words;
        assert_eq!(words(&capped, CAPPED | ACK_ATTRIBUTES), "Device does not exist");
        assert_eq!(words(&whole, ACK_ATTRIBUTES), "Device does not exist");
        assert_eq!(words(&whole, 0), "");
        assert_eq!(words(&capped[..capped.len() - 8], CAPPED | ACK_ATTRIBUTES), "");
    }

    /// One message of a dump: NLM_F_MULTI and what else is said of it.
    fn part(kind: u16, flags: u16, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let length = (HEADER + payload.len()) as u32;
        let head = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &(MULTI | flags).to_ne_bytes()];
        [&head.concat()[..], &sequence.to_ne_bytes(), &[0; 4], payload].concat()
    }

    #[test]
    fn a_dump_that_was_interrupted_is_begun_anew() {
        let (ours, kernels) =
            rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .expect("a pair of sockets");
        // All that the kernel will answer is there already: two interrupted dumps, of which one says so only at its
        // end, and a whole one; and what belongs to nobody's question.
        let done = |sequence, flags| part(DONE, flags, sequence, &[0; 4]);
        for message in [
            part(16, INTERRUPTED, 1, &[1; 4]),
            done(1, 0),
            part(16, 0, 2, &[2; 4]),
            done(2, INTERRUPTED),
            part(16, 0, 2, &[9; 4]),
            [part(16, 0, 3, &[3; 4]), part(16, 0, 3, &[4; 4])].concat(),
            done(3, 0),
        ] {
            send(&kernels, &message, SendFlags::empty()).expect("answer");
        }
        let socket = Socket { descriptor: ours, sequence: Cell::new(0) };
        let replies = socket.dump(&Message::new(18, 0, &[0; 16])).expect("a dump");
        let payloads: Vec<&[u8]> = replies.iter().map(|reply| reply.payload.as_slice()).collect();
        assert_eq!(payloads, [[3; 4], [4; 4]]);
    }

    #[test]
    fn a_refusal_is_an_error_with_a_hint() {
        let refused: Answer<()> =
            Err(Refused { errno: Errno::NODEV, words: "no such thing".into(), index: 0 });
        let text = refused.step(|| "set lo up").expect_err("an error").to_string();
        assert_eq!(text, "set lo up: no such device (ENODEV): no such thing");
    }
}
