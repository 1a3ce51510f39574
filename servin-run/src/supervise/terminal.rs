//! The relay between our own terminal and the container's.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::io::{Errno, ioctl_fionbio, read, write};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer};
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr, tcsetwinsize};

use super::keys::Keys;
use crate::fs::copy::write_all;
use crate::fs::descriptors::{stdin, stdout};
use crate::gather::Gather as _;
use crate::sys::signal::SignalFd;

/// Our terminal in raw mode: every key goes to the container. Restored when this is dropped.
pub struct RawMode(Termios);

impl RawMode {
    /// Enters it, where standard input is a terminal.
    pub fn enter() -> Option<RawMode> {
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdin(), OptionalActions::Now, &raw).ok()?;
        Some(RawMode(before))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        let _ = tcsetattr(stdin(), OptionalActions::Drain, &self.0);
    }
}

/// The other side of a terminal that all processes have closed. One of them may open it again, as systemd does for each
/// of its messages; meanwhile its master side would be ready for ever to say so (EIO), unless we hold this.
pub fn other_side(master: &OwnedFd) -> Option<OwnedFd> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    ioctl_tiocgptpeer(master, flags).ok()
}

/// How much is taken from one side before the other has taken it.
const BUFFER: usize = 16 * 1024;

/// Which sides can be read from or written to.
#[derive(Clone, Copy)]
pub struct Ready {
    /// A signal has come.
    pub signal: bool,
    output: bool,
    input: bool,
}

/// Bytes on their way in both directions.
pub struct Relay {
    /// The container's terminal; none when one of the two is gone.
    master: Option<OwnedFd>,
    /// Its other side, once nobody else had it open.
    held: Option<OwnedFd>,
    /// Standard input is still to be read.
    input: bool,
    /// Typed, and not yet taken by the container.
    typed: VecDeque<u8>,
    /// What is typed to leave it alone.
    keys: Keys,
}

impl Relay {
    /// Begins with nothing under way.
    pub fn new(master: OwnedFd, input: bool, keys: Keys) -> Relay {
        // A container that does not read must not stop what it prints.
        let _ = ioctl_fionbio(&master, true);
        Relay { master: Some(master), held: None, input, typed: VecDeque::new(), keys }
    }

    /// Gives the container's terminal the size of ours, if we have one.
    pub fn copy_size(&self) {
        let ours = [stdin(), stdout()].into_iter().find(|side| isatty(side));
        if let (Some(master), Some(size)) =
            (&self.master, ours.and_then(|terminal| tcgetwinsize(terminal).ok()))
        {
            let _ = tcsetwinsize(master, size);
        }
    }

    /// Waits until something is ready, a signal among the rest. A side that is done is not looked at any more: a
    /// terminal that was hung up would be ready for ever.
    pub fn wait(&self, signals: &SignalFd) -> rustix::io::Result<Ready> {
        let give = if self.typed.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
        let output = self.master.as_ref().map(|master| PollFd::new(master, PollFlags::IN | give));
        let room = self.input && self.typed.len() < BUFFER;
        let input = room.then(|| PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
        let has_output = output.is_some();
        let mut descriptors: Vec<PollFd<'_>> =
            [Some(PollFd::new(signals, PollFlags::IN)), output, input].into_iter().flatten().gather();
        match poll(&mut descriptors, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
        let ready =
            |index: usize| descriptors.get(index).is_some_and(|descriptor| !descriptor.revents().is_empty());
        Ok(Ready {
            signal: ready(0),
            output: has_output && ready(1),
            input: room && ready(if has_output { 2 } else { 1 }),
        })
    }

    /// Moves what is ready; whether the keys were typed that leave, after which nothing more is read.
    pub fn pass(&mut self, ready: Ready) -> bool {
        if ready.output {
            self.print();
        }
        let leave = ready.input && self.take_typed();
        self.give_typed();
        leave
    }

    /// Prints what the container has still written, after its end.
    pub fn drain(&mut self) {
        while self.print() {}
    }

    /// Whether there was something to print.
    fn print(&mut self) -> bool {
        let Some(master) = &self.master else { return false };
        let mut buffer = [0; BUFFER];
        match read(master, &mut buffer) {
            Ok(length) if length > 0 => {
                // If nobody reads us any more, the container still must not block.
                let _ = write_all(stdout(), &buffer[..length]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            // No process has the terminal open any more (EIO).
            _ => {
                self.held = other_side(master);
                if self.held.is_none() {
                    self.master = None;
                }
                false
            }
        }
    }

    fn take_typed(&mut self) -> bool {
        let mut buffer = [0; BUFFER];
        match read(stdin(), &mut buffer) {
            Ok(length) if length > 0 => {
                let (typed, leave) = self.keys.take(&buffer[..length]);
                self.typed.extend(typed);
                self.input &= !leave;
                return leave;
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            _ => {
                self.input = false;
                // A file has come to its end; but a terminal that does is gone, and the container's goes with it.
                if matches!(tcgetattr(stdin()), Ok(_) | Err(Errno::IO)) {
                    self.master = None;
                }
            }
        }
        false
    }

    fn give_typed(&mut self) {
        let Some(master) = &self.master else { return };
        while !self.typed.is_empty() {
            let (bytes, _) = self.typed.as_slices();
            match write(master, bytes) {
                Ok(length) => drop(self.typed.drain(..length)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.typed.clear(),
            }
        }
    }
}
