//! What the process in the new namespaces and the one outside say to each other, over a pair of sockets that
//! close by themselves at the exec: the end of the conversation means success.

use alloc::string::String;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
    connect, listen, recvmsg, sendmsg, shutdown, socket_with, socketpair,
};

use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;

/// The longest message: a step with a path in it, well below what a socket takes at once.
const LONGEST: usize = 8 * 1024;

/// One end.
pub struct Channel(OwnedFd);

/// Where a created container waits for `start`: a socket with a name, on which a channel begins.
pub struct Listener(OwnedFd);

impl Listener {
    /// Listens at `path`, where nothing may be yet.
    pub fn new(path: &str) -> io::Result<Listener> {
        let socket = socket_of_our_kind()?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, 1)?;
        Ok(Listener(socket))
    }

    /// Waits for somebody to connect.
    pub fn accept(&self) -> io::Result<Channel> {
        io::retry_on_intr(|| accept_with(&self.0, SocketFlags::CLOEXEC)).map(Channel)
    }
}

fn socket_of_our_kind() -> io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

/// What is said.
#[derive(Debug)]
pub enum Message {
    /// To the outside: a step was executed, in as many microseconds.
    Trace(u32, String),
    /// To the outside: the set-up failed.
    Failed(Error),
    /// To the outside: one warning to print.
    Warning(String),
    /// To the outside: I am in a user namespace without ids.
    NeedsMaps,
    /// To the outside: move me into my cgroup.
    Place,
    /// To the outside: I am the container's process, and not the one before it.
    Born,
    /// To the outside: the master side of the container's terminal.
    Terminal(OwnedFd),
    /// To the outside: who has this descriptor answers the filtered calls.
    Notify(OwnedFd),
    /// To the outside: the set-up has come to the hooks of the runtime's namespaces.
    Hooks,
    /// To the outside: everything is done but the exec.
    Ready,
    /// To the inside: go on.
    Go,
    /// To the inside: your network namespace.
    Network(OwnedFd),
}

impl Channel {
    /// Two ends.
    pub fn pair() -> Result<(Channel, Channel)> {
        let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None);
        pair.map(|(a, b)| (Channel(a), Channel(b))).step(|| "make a pair of sockets")
    }

    /// To whoever listens at `path`.
    pub fn connect(path: &str) -> io::Result<Channel> {
        let socket = socket_of_our_kind()?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Channel(socket))
    }

    /// Ends the conversation.
    pub fn end(&self) {
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// Says `message`.
    pub fn send(&self, message: &Message) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut descriptor = None;
        match message {
            Message::Trace(micros, step) => {
                bytes.push(b'T');
                bytes.extend(micros.to_ne_bytes());
                bytes.extend(step.bytes().take(LONGEST / 2));
            }
            Message::Failed(error) => {
                bytes.push(b'F');
                bytes.extend(encode_failure(error));
            }
            Message::Warning(text) => {
                bytes.push(b'W');
                bytes.extend(text.bytes().take(LONGEST / 2));
            }
            Message::NeedsMaps => bytes.push(b'M'),
            Message::Place => bytes.push(b'L'),
            Message::Born => bytes.push(b'B'),
            Message::Terminal(master) => {
                bytes.push(b'C');
                descriptor = Some(master.as_fd());
            }
            Message::Notify(listener) => {
                bytes.push(b'N');
                descriptor = Some(listener.as_fd());
            }
            Message::Hooks => bytes.push(b'H'),
            Message::Ready => bytes.push(b'R'),
            Message::Go => bytes.push(b'G'),
            Message::Network(namespace) => {
                bytes.push(b'E');
                descriptor = Some(namespace.as_fd());
            }
        }
        send(&self.0, &bytes, descriptor)
    }

    /// Hears the next message; `None` when the other end is closed.
    pub fn receive(&self) -> io::Result<Option<Message>> {
        let mut bytes = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received = loop {
            match recvmsg(&self.0, &mut slices, &mut ancillary, RecvFlags::CMSG_CLOEXEC) {
                // The other end was closed before it had heard all; what it has said is there all the same.
                Err(Errno::INTR | Errno::CONNRESET) => {}
                received => break received?,
            }
        };
        let descriptor = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut rights) => rights.next(),
            _ => None,
        });
        let Some((tag, body)) = bytes[..received.bytes].split_first() else { return Ok(None) };
        decode(*tag, body, descriptor).map(Some).ok_or(Errno::PROTO)
    }
}

fn decode(tag: u8, body: &[u8], descriptor: Option<OwnedFd>) -> Option<Message> {
    let number = || body.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes));
    let text = |from: usize| body.get(from..).map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    Some(match tag {
        b'T' => Message::Trace(number()?, text(4)?),
        b'F' => Message::Failed(failure(body)?),
        b'W' => Message::Warning(text(0)?),
        b'M' => Message::NeedsMaps,
        b'L' => Message::Place,
        b'B' => Message::Born,
        b'C' => Message::Terminal(descriptor?),
        b'N' => Message::Notify(descriptor?),
        b'H' => Message::Hooks,
        b'R' => Message::Ready,
        b'G' => Message::Go,
        b'E' => Message::Network(descriptor?),
        _ => return None,
    })
}

/// An error as bytes, for another process of ours.
pub fn encode_failure(error: &Error) -> Vec<u8> {
    let (step, errno, hint) = error.parts();
    let mut bytes = Vec::from([error.code()]);
    bytes.extend(errno.map_or(0, Errno::raw_os_error).to_ne_bytes());
    bytes.extend(step.bytes().filter(|byte| *byte != 0).take(LONGEST / 2));
    bytes.push(0);
    bytes.extend(hint.bytes().take(LONGEST / 4));
    bytes
}

/// The error in such bytes.
pub fn failure(body: &[u8]) -> Option<Error> {
    let (code, rest) = body.split_first()?;
    let (errno, rest) = rest.split_first_chunk::<4>()?;
    // What is too long may have been cut within a character.
    let text = String::from_utf8_lossy(rest);
    let (step, hint) = text.split_once('\0')?;
    let error = match i32::from_ne_bytes(*errno) {
        0 => Error::new(step),
        errno => Error::os(step, Errno::from_raw_os_error(errno)),
    };
    let error = error.exit_code(*code);
    Some(if hint.is_empty() { error } else { error.hint(String::from(hint)) })
}

/// Sends a descriptor, and what it is, to the stream socket at `path`.
pub fn hand_over(path: &str, text: &str, descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    connect(&socket, &SocketAddrUnix::new(path)?)?;
    send(&socket, text.as_bytes(), Some(descriptor))
}

/// Sends `bytes`, and a descriptor with them (unix(7), SCM_RIGHTS).
pub fn send(socket: impl AsFd, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().gather();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() {
        ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
    }
    io::retry_on_intr(|| sendmsg(&socket, &[IoSlice::new(bytes)], &mut ancillary, SendFlags::NOSIGNAL))
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_heard_and_then_the_end() {
        let (inside, outside) = Channel::pair().expect("a pair");
        inside.send(&Message::Trace(7, "mount".into())).expect("sent");
        inside.send(&Message::Failed(Error::new("no").exit_code(126))).expect("sent");
        inside.send(&Message::Failed(Error::os("go", Errno::NOENT).hint("why"))).expect("sent");
        drop(inside);
        assert!(matches!(outside.receive(), Ok(Some(Message::Trace(7, text))) if text == "mount"));
        let Ok(Some(Message::Failed(error))) = outside.receive() else { panic!("an error was sent") };
        assert_eq!((error.to_string().as_str(), error.code()), ("no", 126));
        let Ok(Some(Message::Failed(error))) = outside.receive() else { panic!("an error was sent") };
        assert_eq!(error.to_string(), "go: no such file or directory (ENOENT): why");
        assert_eq!((error.errno(), error.code()), (Some(Errno::NOENT), 125));
        assert!(matches!(outside.receive(), Ok(None)));
    }

    #[test]
    fn an_error_of_any_length_is_heard() {
        let (inside, outside) = Channel::pair().expect("a pair");
        let long = "aé".repeat(LONGEST);
        inside.send(&Message::Failed(Error::new(&long).hint(long.clone()).exit_code(127))).expect("sent");
        let Ok(Some(Message::Failed(error))) = outside.receive() else { panic!("an error was sent") };
        assert!(error.code() == 127 && error.to_string().starts_with("aéaé"));
    }

    #[test]
    fn nonsense_is_an_error_not_a_message() {
        let (inside, outside) = Channel::pair().expect("a pair");
        for bytes in [&b"X"[..], b"T12", b"C", b"F"] {
            send(&inside.0, bytes, None).expect("sent");
            assert!(outside.receive().is_err(), "{bytes:?}");
        }
    }
}
