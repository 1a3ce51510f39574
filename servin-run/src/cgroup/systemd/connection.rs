//! A connection to systemd's manager: over a socket of its own, where there is nobody else, or over a bus. Who we are
//! the kernel tells the other side (SASL's EXTERNAL without a name, which holds across user namespaces).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};
use servin_init::sys::clock::{Nanoseconds, SECOND, now};

use super::wire::{self, Body, Call, Message};
use crate::error::{Error, Result, Step};
use crate::sys::clock::timespec;

/// How long systemd may take to answer or to end a job: as long as it lets its own clients wait.
const PATIENCE: Nanoseconds = 25 * SECOND;

/// The manager's name on a bus.
const SYSTEMD: &str = "org.freedesktop.systemd1";
/// The bus itself.
const BUS: (&str, &str, &str) = ("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus");

/// A connection that is ready for calls.
pub struct Connection {
    socket: OwnedFd,
    address: String,
    serial: u32,
    /// Between us and systemd there is a bus.
    has_bus: bool,
    /// Jobs that have ended, and how.
    ended: Vec<(String, String)>,
}

/// Whether systemd's answer was this error.
pub fn is(error: &Error, name: &str) -> bool {
    error.parts().0.contains(&format!("{SYSTEMD}.{name}"))
}

impl Connection {
    /// Connects to the socket at `address`, a path or, behind an `@`, a name in the kernel's own space.
    pub fn open(address: &str) -> Result<Connection> {
        let step = || format!("connect to systemd at {address}");
        let place = match address.strip_prefix('@') {
            Some(name) => SocketAddrUnix::new_abstract_name(name.as_bytes()),
            None => SocketAddrUnix::new(address),
        };
        let socket =
            socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).step(step)?;
        place.and_then(|place| connect(&socket, &place)).step(step)?;
        // A manager's own socket is called private, and a bus is not.
        let has_bus = !address.ends_with("/private");
        let mut connection =
            Connection { socket, address: address.into(), serial: 0, has_bus, ended: Vec::new() };
        connection.introduce().map_err(|error| error.within(step()))?;
        Ok(connection)
    }

    /// Where it goes.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn introduce(&mut self) -> Result<()> {
        // All at once: what follows BEGIN in one read with it, systemd leaves unread until more comes.
        self.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n")?;
        let first = self.line()?;
        // Who needs no data says so at once, and refuses what was sent as such.
        let accepted = if first == "DATA" { self.line()? } else { first };
        if !accepted.starts_with("OK ") {
            return Err(Error::new(format_args!("it does not let us in: \"{accepted}\"")));
        }
        if self.has_bus {
            self.bus_call("Hello", "", Body::new())?;
            let mut rule = Body::new();
            rule.text("type='signal',sender='org.freedesktop.systemd1',member='JobRemoved'");
            self.bus_call("AddMatch", "s", rule)?;
            // Over a bus signals are only sent while somebody wants them.
            self.call(
                "/org/freedesktop/systemd1",
                "org.freedesktop.systemd1.Manager",
                "Subscribe",
                "",
                Body::new(),
            )?;
        }
        Ok(())
    }

    fn bus_call(&mut self, member: &str, signature: &str, body: Body) -> Result<Message> {
        let (destination, path, interface) = BUS;
        self.ask(&Call {
            serial: 0,
            destination: Some(destination),
            path,
            interface,
            member,
            signature,
            body: &body,
        })
    }

    /// Calls a method of systemd, and waits for its answer.
    pub fn call(
        &mut self,
        path: &str,
        interface: &str,
        member: &str,
        signature: &str,
        body: Body,
    ) -> Result<Message> {
        let destination = self.has_bus.then_some(SYSTEMD);
        self.ask(&Call { serial: 0, destination, path, interface, member, signature, body: &body })
    }

    fn ask(&mut self, call: &Call) -> Result<Message> {
        self.serial += 1;
        self.send(&Call { serial: self.serial, ..*call }.bytes())?;
        let deadline = now() + PATIENCE;
        loop {
            let message = self.receive(deadline, call.member)?;
            match message.kind {
                wire::RETURN if message.answers == self.serial => return Ok(message),
                wire::ERROR if message.answers == self.serial => {
                    let text = message.reader().text().unwrap_or_default();
                    return Err(Error::new(format_args!("{}: {text} ({})", call.member, message.error)));
                }
                _ => self.note(&message),
            }
        }
    }

    /// JobRemoved: number, job, unit, result.
    fn note(&mut self, message: &Message) {
        if message.kind != wire::SIGNAL || message.member != "JobRemoved" {
            return;
        }
        let mut reader = message.reader();
        let _ = reader.number();
        let (job, _unit) = (reader.text(), reader.text());
        if let (Some(job), Some(result)) = (job, reader.text()) {
            self.ended.push((job, result));
        }
    }

    /// Waits for the end of a job; its result, which is `done` if all is well.
    pub fn wait_for_job(&mut self, job: &str) -> Result<String> {
        let deadline = now() + PATIENCE;
        loop {
            if let Some((_, result)) = self.ended.iter().find(|(ended, _)| ended == job) {
                return Ok(result.clone());
            }
            let message = self.receive(deadline, "the end of a job")?;
            self.note(&message);
        }
    }

    fn send(&self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let sent = io::retry_on_intr(|| send(&self.socket, bytes, SendFlags::NOSIGNAL));
            bytes = bytes.get(sent.step(|| "write to systemd")?..).unwrap_or_default();
        }
        Ok(())
    }

    fn receive(&self, deadline: Nanoseconds, what: &str) -> Result<Message> {
        let odd = || Error::new(format_args!("systemd at {}: what it says is not D-Bus", self.address));
        let mut bytes = vec![0; wire::FIXED];
        self.fill(&mut bytes, deadline, what)?;
        let length = Message::length(&bytes).ok_or_else(odd)?;
        bytes.resize(length.max(wire::FIXED), 0);
        self.fill(bytes.get_mut(wire::FIXED..).unwrap_or_default(), deadline, what)?;
        Message::read(&bytes).ok_or_else(odd)
    }

    fn fill(&self, mut bytes: &mut [u8], deadline: Nanoseconds, what: &str) -> Result<()> {
        while !bytes.is_empty() {
            let left = deadline.saturating_sub(now());
            match poll(&mut [PollFd::new(&self.socket, PollFlags::IN)], Some(&timespec(left))) {
                Err(Errno::INTR) => continue,
                Ok(0) => {
                    return Err(Error::os(format_args!("wait for systemd: {what}"), Errno::TIMEDOUT));
                }
                ready => drop(ready.step(|| "wait for systemd")?),
            }
            let (length, _) = io::retry_on_intr(|| recv(&self.socket, &mut *bytes, RecvFlags::empty()))
                .step(|| "read from systemd")?;
            if length == 0 {
                return Err(Error::new(format_args!("systemd at {} has hung up", self.address)));
            }
            bytes = bytes.get_mut(length..).unwrap_or_default();
        }
        Ok(())
    }

    /// A line of the introduction: byte by byte, because messages follow.
    fn line(&self) -> Result<String> {
        let deadline = now() + PATIENCE;
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            self.fill(&mut byte, deadline, "its answer")?;
            line.push(byte[0]);
            if line.len() > 512 {
                return Err(Error::new("what it says is not D-Bus"));
            }
        }
        Ok(String::from_utf8_lossy(&line).trim_end().to_string())
    }
}
