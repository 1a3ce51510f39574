//! Published ports that a process forwards: a child of the container's supervisor, which ends with it.
//!
//! It listens in the network namespace of the host and connects to the container, from the namespace that it is
//! given. One epoll(7) waits for everything; where nobody is connected it never wakes up.

mod datagrams;
mod streams;

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use linux_raw_sys::general::SIGKILL;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::net::listen;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, getpid, getppid, getrlimit, set_parent_process_death_signal,
    setrlimit, waitpid,
};
use rustix::time::Timespec;
use servin_init::sys::clock::SECOND;
use servin_init::sys::process::exit;

use self::datagrams::Datagrams;
use self::streams::Streams;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::network::ports::{Protocol, try_to_bind};
use crate::network::proxy::Forward;
use crate::sys::clone::{CloneFlags, Cloned, clone3, setns};
use crate::sys::datagram::want_destination;
use crate::sys::descriptors::close_all_but;
use crate::sys::signal::{SignalSet, kill, set_mask};

/// Connections that wait to be accepted (net.core.somaxconn bounds it).
const BACKLOG: i32 = 4096;
/// Events taken at once.
const EVENTS: usize = 64;

/// A process that forwards; it ends when this goes.
pub struct Proxy(Pid);

impl Proxy {
    /// The process, which is kept in mind while this program is executed anew.
    pub fn pid(&self) -> Pid {
        self.0
    }

    /// The one that this process started before it was executed anew.
    pub fn of(pid: Pid) -> Proxy {
        Proxy(pid)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // It may have been waited for already, with all children; the pid is somebody else's then.
        if let Ok(None) = waitpid(Some(self.0), WaitOptions::NOHANG) {
            let _ = kill(self.0, SIGKILL);
            let _ = io::retry_on_intr(|| waitpid(Some(self.0), WaitOptions::empty()));
        }
    }
}

/// Begins to forward; none where there is nothing to forward. With `namespace`, connections are made in that network
/// namespace. That a port is taken is an error here, before anything runs.
pub fn start(forwards: &[Forward], namespace: Option<BorrowedFd<'_>>) -> Result<Option<Proxy>> {
    if forwards.is_empty() {
        return Ok(None);
    }
    // Each port and each connection is a descriptor.
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    let proxy = start_process(forwards, namespace);
    let _ = setrlimit(Resource::Nofile, limit);
    proxy.map(Some)
}

fn start_process(forwards: &[Forward], namespace: Option<BorrowedFd<'_>>) -> Result<Proxy> {
    let listeners = forwards.iter().map(Listener::new).gather::<Result<Vec<Listener>>>()?;
    let parent = getpid();
    match clone3(CloneFlags::empty(), None).step(|| "make the process that forwards ports")? {
        Cloned::Parent(pid) => Ok(Proxy(pid)),
        Cloned::Child { .. } => {
            let failed = run(listeners, namespace, parent);
            exit(i32::from(failed.is_err()))
        }
    }
}

/// A port of the host that is listened on.
struct Listener {
    socket: OwnedFd,
    protocol: Protocol,
    to: SocketAddr,
}

impl Listener {
    fn new(forward: &Forward) -> Result<Listener> {
        let (from, to) = forward.ends()?;
        let step = || format!("listen on {}/{}", forward.listen, forward.protocol.as_str());
        let socket = try_to_bind(from, forward.protocol).map_err(|errno| match errno {
            Errno::ADDRINUSE => Error::os(step(), errno).hint("a program of this host listens there"),
            Errno::MFILE => Error::os(step(), errno).hint("the limit of open files is too low (ulimit -n)"),
            errno => Error::os(step(), errno),
        })?;
        match forward.protocol {
            Protocol::Udp => want_destination(&socket, from.is_ipv4()).step(step)?,
            _ => listen(&socket, BACKLOG).step(step)?,
        }
        Ok(Listener { socket, protocol: forward.protocol, to })
    }
}

/// The child: it never returns while all is well.
fn run(listeners: Vec<Listener>, namespace: Option<BorrowedFd<'_>>, parent: Pid) -> Result<()> {
    // What is broken by a peer is an error of a call, not a signal.
    set_mask(SignalSet::ALL).step(|| "block signals")?;
    set_parent_process_death_signal(Some(Signal::KILL)).step(|| "end with the supervisor")?;
    if getppid() != Some(parent) {
        return Ok(());
    }
    if let Some(namespace) = namespace {
        setns(namespace, CloneFlags::NEWNET).step(|| "enter the container's network")?;
    }
    // The container's pipes and terminals would never come to their end if we kept them open.
    let kept: Vec<BorrowedFd<'_>> = listeners.iter().map(|listener| listener.socket.as_fd()).gather();
    close_all_but(&kept).step(|| "close what is not ours")?;
    drop(kept);
    let mut forwarder = Forwarder::new(listeners).step(|| "wait for connections")?;
    loop {
        forwarder.turn().step(|| "forward")?;
    }
}

/// What an event is about: the kind in the lowest bits, and a number.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    /// A port of the host.
    Listener(usize),
    /// A connection: one of its two sides.
    Stream(usize),
    /// The socket of one sender of datagrams.
    Sender(usize),
}

impl About {
    fn token(self) -> EventData {
        let (kind, number) = match self {
            About::Listener(number) => (0, number),
            About::Stream(number) => (1, number),
            About::Sender(number) => (2, number),
        };
        EventData::new_u64((number as u64) << 2 | kind)
    }

    fn of(data: EventData) -> About {
        let number = (data.u64() >> 2) as usize;
        match data.u64() & 3 {
            0 => About::Listener(number),
            1 => About::Stream(number),
            _ => About::Sender(number),
        }
    }
}

/// What all of the forwarder watches.
struct Watch(OwnedFd);

impl Watch {
    fn add(&self, socket: &OwnedFd, about: About, flags: EventFlags) -> io::Result<()> {
        epoll::add(&self.0, socket, about.token(), flags)
    }
}

struct Forwarder {
    watch: Watch,
    listeners: Vec<Listener>,
    /// Listeners that are not watched, because there was no descriptor left for another connection,
    paused: Vec<usize>,
    /// and when they are watched again, however much there is to do until then.
    again: i64,
    streams: Streams,
    datagrams: Datagrams,
    events: Vec<Event>,
}

impl Forwarder {
    fn new(listeners: Vec<Listener>) -> io::Result<Forwarder> {
        let watch = Watch(epoll::create(CreateFlags::CLOEXEC)?);
        for (number, listener) in listeners.iter().enumerate() {
            watch.add(&listener.socket, About::Listener(number), EventFlags::IN)?;
        }
        let empty = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        Ok(Forwarder {
            watch,
            listeners,
            paused: Vec::new(),
            again: 0,
            streams: Streams::default(),
            datagrams: Datagrams::default(),
            events: vec![empty; EVENTS],
        })
    }

    /// Waits, and does what is to be done.
    fn turn(&mut self) -> io::Result<()> {
        let wait = match self.streams.has_more() {
            true => Some(0),
            false => self.datagrams.wait(now()),
        };
        // Somebody waits who could not be accepted.
        let wait = if self.paused.is_empty() { wait } else { Some(wait.unwrap_or(1).min(1)) };
        let wait = wait.map(|seconds| Timespec { tv_sec: seconds, tv_nsec: 0 });
        let count = match epoll::wait(&self.watch.0, &mut self.events[..], wait.as_ref()) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        for index in 0..count {
            let Some(event) = self.events.get(index).copied() else { break };
            match About::of(event.data) {
                About::Listener(number) => self.ready(number),
                About::Stream(number) => self.streams.pass(number),
                About::Sender(number) => {
                    let back = |listener: usize| self.listeners.get(listener).map(|one| &one.socket);
                    self.datagrams.answer(number, &back, now());
                }
            }
        }
        self.streams.pass_more();
        self.datagrams.expire(now());
        if now() >= self.again {
            self.resume();
        }
        Ok(())
    }

    fn ready(&mut self, number: usize) {
        let Some(listener) = self.listeners.get(number) else { return };
        let outcome = match listener.protocol {
            Protocol::Udp => {
                self.datagrams.receive(&listener.socket, number, listener.to, &self.watch, now());
                Ok(())
            }
            _ => self.streams.accept(&listener.socket, listener.to, &self.watch),
        };
        // Until a descriptor is free again; else we would be woken for what we cannot take.
        if outcome == Err(Errno::MFILE) {
            let _ = epoll::delete(&self.watch.0, &listener.socket);
            self.pause(number);
        }
    }

    fn pause(&mut self, number: usize) {
        self.paused.push(number);
        self.again = now() + 1;
    }

    fn resume(&mut self) {
        for number in self.paused.split_off(0) {
            if let Some(listener) = self.listeners.get(number)
                && self.watch.add(&listener.socket, About::Listener(number), EventFlags::IN).is_err()
            {
                self.pause(number);
            }
        }
    }
}

/// Seconds of a clock that goes on.
fn now() -> i64 {
    (servin_init::sys::clock::now() / SECOND) as i64
}
