//! What clients have typed for a container, until it takes it.

use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio, write};

/// The way into a container: a pipe, or its terminal.
pub struct Input {
    to: OwnedFd,
    /// Typed, and not yet taken. Each client adds one message at most before it hears that it was.
    typed: Vec<u8>,
    /// After that nothing more comes.
    ends: bool,
}

impl Input {
    /// Into `to`, without ever waiting for the container.
    pub fn new(to: OwnedFd) -> Input {
        let _ = ioctl_fionbio(&to, true);
        Input { to, typed: Vec::new(), ends: false }
    }

    /// The descriptor, to be watched while something is pending.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.to
    }

    /// Whether the container has still to take something.
    pub fn is_pending(&self) -> bool {
        !self.typed.is_empty()
    }

    /// Adds what was typed.
    pub fn add(&mut self, bytes: &[u8]) {
        if !self.ends {
            self.typed.extend_from_slice(bytes);
        }
    }

    /// Nothing more is to come.
    pub fn end(&mut self) {
        self.ends = true;
    }

    /// Gives the container what it takes now; whether this is the end of it.
    pub fn give(&mut self) -> bool {
        while !self.typed.is_empty() {
            match write(&self.to, &self.typed) {
                Ok(length) => drop(self.typed.drain(..length)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return false,
                // Nobody reads it any more.
                Err(_) => return true,
            }
        }
        self.typed = Vec::new();
        self.ends
    }
}
