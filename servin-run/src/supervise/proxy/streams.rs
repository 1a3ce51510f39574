//! TCP: bytes go from socket to socket through pipes (splice(2)) and never into this process. A pipe belongs to a
//! connection only while something is in it.

use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::net::sockopt::{set_socket_linger, set_tcp_nodelay, socket_error};
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrAny, SocketFlags, SocketType, accept_with, connect, shutdown,
    socket_with,
};
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use super::{About, Watch};

/// What a pipe holds: fewer and longer rounds than with the default of 64 KiB.
const PIPE: usize = 256 << 10;
/// Rounds for one connection before the others have theirs.
const ROUNDS: u32 = 16;
/// Connections accepted before the others have their turn.
const ACCEPTED: u32 = 64;
/// Pipes kept for the next one.
const SPARE_PIPES: usize = 16;

/// The ends of a pipe: to read from, to write to.
type Pipe = (OwnedFd, OwnedFd);

/// All connections.
#[derive(Default)]
pub struct Streams {
    all: Vec<Option<Connection>>,
    /// Numbers that can be given anew.
    free: Vec<usize>,
    /// Connections with more to do than one turn allows.
    more: Vec<usize>,
    pipes: Vec<Pipe>,
}

/// Two sockets, and what is on its way between them.
struct Connection {
    client: OwnedFd,
    container: OwnedFd,
    connected: bool,
    in_more: bool,
    inward: Flow,
    outward: Flow,
}

/// One direction.
#[derive(Default)]
struct Flow {
    pipe: Option<Pipe>,
    /// Bytes in the pipe.
    held: usize,
    /// The source has no more.
    ended: bool,
    /// The target knows that.
    told: bool,
}

/// How far one turn came.
#[derive(PartialEq)]
enum Passed {
    /// There is nothing more to do until the kernel says so.
    All,
    /// There is more to do.
    Part,
}

impl Streams {
    /// Accepts who waits, and begins to connect to the container. The error is that there is no descriptor left.
    pub fn accept(&mut self, listener: &OwnedFd, to: SocketAddr, watch: &Watch) -> Result<()> {
        for _ in 0..ACCEPTED {
            match accept_with(listener, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(client) => self.begin(client, to, watch)?,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => return Err(Errno::MFILE),
                // The client has gone again.
                Err(_) => {}
            }
        }
        Ok(())
    }

    fn begin(&mut self, client: OwnedFd, to: SocketAddr, watch: &Watch) -> Result<()> {
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let container = match socket_with(family, SocketType::STREAM, flags, None) {
            Ok(container) => container,
            Err(_) => {
                reset(&client);
                return Err(Errno::MFILE);
            }
        };
        match connect(&container, &SocketAddrAny::from(to)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => {
                reset(&client);
                return Ok(());
            }
        }
        let number = self.free.pop().unwrap_or(self.all.len());
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        let about = About::Stream(number);
        for socket in [&client, &container] {
            // What is written was meant to be sent.
            let _ = set_tcp_nodelay(socket, true);
            if watch.add(socket, about, flags).is_err() {
                reset(&client);
                self.free.push(number);
                return Ok(());
            }
        }
        let connection = Connection {
            client,
            container,
            connected: false,
            in_more: false,
            inward: Flow::default(),
            outward: Flow::default(),
        };
        match self.all.get_mut(number) {
            Some(place) => *place = Some(connection),
            None => self.all.push(Some(connection)),
        }
        Ok(())
    }

    /// Passes on what can be passed.
    pub fn pass(&mut self, number: usize) {
        let Some(Some(connection)) = self.all.get_mut(number) else { return };
        let passed = connection.pass(&mut self.pipes);
        let ended = connection.inward.told && connection.outward.told;
        match passed {
            Ok(Passed::Part) if !connection.in_more => {
                connection.in_more = true;
                self.more.push(number);
            }
            Ok(_) if !ended => {}
            Ok(_) => self.end(number),
            Err(_) => {
                // Whoever is still there learns that it was no proper end.
                reset(&connection.client);
                reset(&connection.container);
                self.end(number);
            }
        }
    }

    /// Closing the sockets ends the watch.
    fn end(&mut self, number: usize) {
        if self.all.get_mut(number).and_then(Option::take).is_some() {
            self.free.push(number);
        }
    }

    /// Whether there is work that no event will tell of.
    pub fn has_more(&self) -> bool {
        !self.more.is_empty()
    }

    /// Goes on with it.
    pub fn pass_more(&mut self) {
        for number in self.more.split_off(0) {
            if let Some(Some(connection)) = self.all.get_mut(number) {
                connection.in_more = false;
                self.pass(number);
            }
        }
    }
}

impl Connection {
    fn pass(&mut self, pipes: &mut Vec<Pipe>) -> Result<Passed> {
        if !self.connected {
            // An event of the client's side may come before the container has answered.
            socket_error(&self.container)??;
            match rustix::net::getpeername(&self.container) {
                Ok(_) => self.connected = true,
                Err(Errno::NOTCONN) => return Ok(Passed::All),
                Err(errno) => return Err(errno),
            }
        }
        let inward = self.inward.pass(&self.client, &self.container, pipes)?;
        let outward = self.outward.pass(&self.container, &self.client, pipes)?;
        Ok(if inward == Passed::Part || outward == Passed::Part { Passed::Part } else { Passed::All })
    }
}

impl Flow {
    fn pass(&mut self, from: &OwnedFd, to: &OwnedFd, pipes: &mut Vec<Pipe>) -> Result<Passed> {
        if self.told {
            return Ok(Passed::All);
        }
        let (reader, writer) = match self.pipe.take().or_else(|| pipes.pop()) {
            Some(pipe) => pipe,
            None => new_pipe()?,
        };
        let mut passed = Passed::Part;
        for _ in 0..ROUNDS {
            let mut moved = false;
            if !self.ended && self.held < PIPE {
                match flow(from, &writer, PIPE - self.held)? {
                    Some(0) => self.ended = true,
                    Some(length) => {
                        self.held += length;
                        moved = true;
                    }
                    None => {}
                }
            }
            if self.held > 0
                && let Some(length) = flow(&reader, to, self.held)?
            {
                self.held -= length;
                moved = length > 0;
            }
            if self.ended && self.held == 0 {
                // The other direction may go on.
                match shutdown(to, Shutdown::Write) {
                    Ok(()) | Err(Errno::NOTCONN) => self.told = true,
                    Err(errno) => return Err(errno),
                }
                passed = Passed::All;
                break;
            }
            if !moved {
                passed = Passed::All;
                break;
            }
        }
        if self.held > 0 {
            self.pipe = Some((reader, writer));
        } else if pipes.len() < SPARE_PIPES {
            pipes.push((reader, writer));
        }
        Ok(passed)
    }
}

/// Moves up to `length` bytes; `None` where there is nothing, or no room.
fn flow(from: &OwnedFd, to: &OwnedFd, length: usize) -> Result<Option<usize>> {
    match splice(from, None, to, None, length, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
        Ok(length) => Ok(Some(length)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

fn new_pipe() -> Result<Pipe> {
    let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    // A smaller one works too.
    let _ = fcntl_setpipe_size(&pipe.0, PIPE);
    Ok(pipe)
}

/// Makes the end of a connection a reset.
fn reset(socket: &OwnedFd) {
    let _ = set_socket_linger(socket, Some(Duration::ZERO));
}
