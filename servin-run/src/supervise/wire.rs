//! What a supervisor and its clients say to each other, over a socket that keeps messages apart (unix(7),
//! SOCK_SEQPACKET). Each message is a letter and its bytes.

use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, IoSlice};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketAddrUnix, SocketFlags,
    SocketType, accept_with, bind, connect, listen, recv, sendmsg, shutdown, socket_with, socketpair,
};

/// The most bytes in one message.
pub const LONGEST: usize = 16 * 1024;

/// To the supervisor: I want output (bit 0), and errors (bit 1), and go with the container's input (bit 2).
pub const ATTACH: u8 = b'A';
/// To the supervisor: input for the container. The next one comes after [`MORE`].
pub const INPUT: u8 = b'I';
/// To the supervisor: there is no more input.
pub const INPUT_END: u8 = b'E';
/// To the supervisor: the size of my terminal, rows and columns.
pub const SIZE: u8 = b'W';
/// To the supervisor: a signal for the container's first process.
pub const SIGNAL: u8 = b'K';
/// To the supervisor: the same, and the container is not to be started again.
pub const STOP: u8 = b'S';
/// To the client: the container runs; its pid.
pub const STARTED: u8 = b'P';
/// To the client: it could not be started; the error.
pub const FAILED: u8 = b'F';
/// To the client: output.
pub const OUTPUT: u8 = b'1';
/// To the client: errors.
pub const ERRORS: u8 = b'2';
/// To the client: the container takes more input.
pub const MORE: u8 = b'M';
/// To the client: the container has ended, with this code, and that was written down.
pub const EXIT: u8 = b'X';

/// One end of a conversation.
pub struct Wire(OwnedFd);

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn socket() -> io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

impl Wire {
    /// Two ends.
    pub fn pair() -> io::Result<(Wire, Wire)> {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .map(|(a, b)| (Wire(a), Wire(b)))
    }

    /// To whoever listens at `path`.
    pub fn connect(path: &str) -> io::Result<Wire> {
        let socket = socket()?;
        connect(&socket, &SocketAddrUnix::new(path)?)?;
        Ok(Wire(socket))
    }

    /// Listens at `path`, where nothing may be yet.
    pub fn listen(path: &str) -> io::Result<OwnedFd> {
        let socket = socket()?;
        bind(&socket, &SocketAddrUnix::new(path)?)?;
        listen(&socket, 64)?;
        Ok(socket)
    }

    /// The next client.
    pub fn accept(listener: &OwnedFd) -> io::Result<Wire> {
        accept_with(listener, SocketFlags::CLOEXEC).map(Wire)
    }

    /// An end that another program image of ours has left open.
    pub fn of(socket: OwnedFd) -> Wire {
        Wire(socket)
    }

    /// Says something. With `now`, that the other side does not listen at this moment is an error (EAGAIN).
    pub fn send(&self, letter: u8, bytes: &[u8], now: bool) -> io::Result<()> {
        let flags = if now { SendFlags::NOSIGNAL | SendFlags::DONTWAIT } else { SendFlags::NOSIGNAL };
        let letter = [letter];
        let parts = [IoSlice::new(&letter), IoSlice::new(bytes)];
        io::retry_on_intr(|| sendmsg(&self.0, &parts, &mut SendAncillaryBuffer::default(), flags)).map(drop)
    }

    /// Ends the conversation: the other side hears that it is alone.
    pub fn end(&self) {
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// Hears the next message, and its letter; `None` when the other side is gone. With `now`, that nothing was said
    /// is an error (EAGAIN).
    pub fn receive(&self, buffer: &mut Vec<u8>, now: bool) -> io::Result<Option<u8>> {
        let flags = if now { RecvFlags::DONTWAIT } else { RecvFlags::empty() };
        buffer.resize(LONGEST + 1, 0);
        let mut take = || io::retry_on_intr(|| recv(&self.0, &mut buffer[..], flags));
        let received = match take() {
            // It has ended with something of ours unread, which is said once, and before what it has still said itself.
            Err(Errno::CONNRESET) => take(),
            received => received,
        };
        let (length, _) = received?;
        buffer.truncate(length);
        if buffer.is_empty() {
            return Ok(None);
        }
        Ok(Some(buffer.remove(0)))
    }
}

/// A number at the beginning of a message.
pub fn number(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk().map(|bytes| i32::from_le_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_before_the_end_is_heard_even_by_who_was_not_heard() {
        let (ours, theirs) = Wire::pair().expect("a pair");
        ours.send(SIZE, &[1, 2, 3, 4], false).expect("said");
        theirs.send(OUTPUT, b"x", false).expect("said");
        theirs.send(EXIT, &7i32.to_le_bytes(), false).expect("said");
        drop(theirs);
        let mut bytes = Vec::new();
        assert_eq!((ours.receive(&mut bytes, false), bytes.as_slice()), (Ok(Some(OUTPUT)), &b"x"[..]));
        assert_eq!((ours.receive(&mut bytes, false), number(&bytes)), (Ok(Some(EXIT)), Some(7)));
        assert_eq!(ours.receive(&mut bytes, false), Ok(None));
    }
}
