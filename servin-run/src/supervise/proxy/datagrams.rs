//! UDP: each sender has a socket of its own towards the container, by which answers find back. After a time without
//! any datagram it is forgotten, as the kernel's connection tracking does.

use alloc::vec;
use alloc::vec::Vec;
use core::net::SocketAddr;

use rustix::event::epoll::EventFlags;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, Result};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketAddrAny, SocketFlags, SocketType, connect, recv, send,
    socket_with,
};

use super::{About, Watch};
use crate::sys::datagram::{Envelope, answer, receive};

/// Seconds without a datagram until a sender is forgotten.
const IDLE: i64 = 90;
/// Senders that are remembered; the one that was silent longest makes room.
const MOST: usize = 4096;
/// Datagrams before the others have their turn.
const AT_ONCE: u32 = 64;
/// The longest datagram.
const LONGEST: usize = 65536;

/// All senders.
#[derive(Default)]
pub struct Datagrams {
    all: Vec<Option<Sender>>,
    /// Numbers that can be given anew.
    free: Vec<usize>,
    /// Who has which number, sorted by listeners and addresses.
    by_address: Vec<usize>,
    /// When the next one may have been silent for too long.
    next: Option<i64>,
    buffer: Vec<u8>,
}

struct Sender {
    listener: usize,
    envelope: Envelope,
    socket: OwnedFd,
    last: i64,
}

impl Datagrams {
    /// Passes on what came in at a port of the host.
    pub fn receive(&mut self, socket: &OwnedFd, listener: usize, to: SocketAddr, watch: &Watch, now: i64) {
        if self.buffer.is_empty() {
            self.buffer = vec![0; LONGEST];
        }
        for _ in 0..AT_ONCE {
            let (length, envelope) = match receive(socket, &mut self.buffer) {
                Ok(received) => received,
                Err(Errno::AGAIN) => return,
                // What was sent before found nobody, or we were interrupted.
                Err(_) => continue,
            };
            // UDP promises nothing: what cannot be passed on is lost.
            let Ok(number) = self.sender(listener, &envelope, to, watch, now) else { continue };
            if let Some(Some(sender)) = self.all.get_mut(number) {
                sender.last = now;
                let _ = send(&sender.socket, &self.buffer[..length], SendFlags::empty());
            }
        }
    }

    /// Passes on what the container answers to a sender.
    pub fn answer<'s>(&mut self, number: usize, back: &dyn Fn(usize) -> Option<&'s OwnedFd>, now: i64) {
        let Some(Some(sender)) = self.all.get_mut(number) else { return };
        let Some(listener) = back(sender.listener) else { return };
        for _ in 0..AT_ONCE {
            match recv(&sender.socket, &mut self.buffer[..], RecvFlags::empty()) {
                Ok((length, _)) => {
                    sender.last = now;
                    let _ = answer(listener, &self.buffer[..length], &sender.envelope);
                }
                Err(Errno::AGAIN) => return,
                // Nobody listens in the container: the sender finds out by its own patience.
                Err(_) => {}
            }
        }
    }

    /// The number of a sender, who may be new.
    fn sender(
        &mut self,
        listener: usize,
        envelope: &Envelope,
        to: SocketAddr,
        watch: &Watch,
        now: i64,
    ) -> Result<usize> {
        let key = (listener, envelope.sender());
        let of = |number: &usize| {
            let sender = self.all.get(*number).and_then(Option::as_ref);
            sender.map_or((0, [].as_slice()), |sender| (sender.listener, sender.envelope.sender()))
        };
        let place = match self.by_address.binary_search_by(|number| of(number).cmp(&key)) {
            Ok(place) => return Ok(self.by_address[place]),
            Err(place) => place,
        };
        if self.by_address.len() >= MOST {
            self.forget_longest_silent();
            return self.sender(listener, envelope, to, watch, now);
        }
        let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = match socket_with(family, SocketType::DGRAM, flags, None) {
            // No descriptor is left.
            Err(_) if !self.by_address.is_empty() => {
                self.forget_longest_silent();
                return self.sender(listener, envelope, to, watch, now);
            }
            other => other?,
        };
        connect(&socket, &SocketAddrAny::from(to))?;
        let number = self.free.pop().unwrap_or(self.all.len());
        if let Err(errno) = watch.add(&socket, About::Sender(number), EventFlags::IN) {
            self.free.push(number);
            return Err(errno);
        }
        let sender = Some(Sender { listener, envelope: *envelope, socket, last: now });
        match self.all.get_mut(number) {
            Some(place) => *place = sender,
            None => self.all.push(sender),
        }
        self.by_address.insert(place, number);
        self.next = self.next.or(Some(now + IDLE));
        Ok(number)
    }

    fn forget_longest_silent(&mut self) {
        let last =
            |number: usize| self.all.get(number).and_then(Option::as_ref).map_or(0, |sender| sender.last);
        let longest = (0..self.by_address.len()).min_by_key(|place| last(self.by_address[*place]));
        if let Some(place) = longest {
            let number = self.by_address.remove(place);
            self.close(number);
        }
    }

    /// Closing the socket ends the watch.
    fn close(&mut self, number: usize) {
        if let Some(place) = self.all.get_mut(number) {
            *place = None;
            self.free.push(number);
        }
    }

    /// How many seconds to wait at most; without any sender for ever.
    pub fn wait(&self, now: i64) -> Option<i64> {
        self.next.map(|next| (next - now).max(0))
    }

    /// Forgets who was silent for too long.
    pub fn expire(&mut self, now: i64) {
        if self.next.is_none_or(|next| now < next) {
            return;
        }
        let mut oldest = None;
        let mut place = 0;
        while let Some(number) = self.by_address.get(place).copied() {
            let last = self.all.get(number).and_then(Option::as_ref).map_or(0, |sender| sender.last);
            if last + IDLE <= now {
                self.by_address.remove(place);
                self.close(number);
            } else {
                oldest = Some(oldest.map_or(last, |oldest: i64| oldest.min(last)));
                place += 1;
            }
        }
        self.next = oldest.map(|oldest| oldest + IDLE);
        if self.next.is_none() {
            self.buffer = Vec::new();
        }
    }
}
