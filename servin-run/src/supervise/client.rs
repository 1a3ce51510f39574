//! A person's side of a container that a supervisor looks after: what it prints goes to our standard output and error,
//! what is typed goes to it, and signals too, until it ends or the person detaches.

use alloc::vec::Vec;

use linux_raw_sys::general::{SIGCHLD, SIGHUP, SIGPIPE, SIGURG, SIGWINCH};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::{self, Errno, read};
use rustix::termios::{isatty, tcgetwinsize};

use super::keys::Keys;
use super::serve::{GIVES_INPUT, WANTS_ERRORS, WANTS_OUTPUT};
use super::terminal::RawMode;
pub use super::wire::Wire;
use super::wire::{self, LONGEST};
use crate::container::people::{Entry, SOCKET};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::descriptors::{stderr, stdin, stdout};
use crate::gather::Gather as _;
use crate::launch::channel::failure;
use crate::sys::signal::SignalFd;

/// Signals that are about this process and not about the container.
const NOT_FORWARDED: &[u32] = &[SIGCHLD, SIGURG];

/// What a client does.
pub struct Attach {
    /// It takes output, errors, and gives input.
    pub streams: [bool; 3],
    /// The container has a terminal.
    pub terminal: bool,
    /// What is typed to leave.
    pub detach_keys: Keys,
    /// Signals go to the container.
    pub forwards_signals: bool,
}

impl Attach {
    /// The bits of [`wire::ATTACH`].
    pub fn wants(&self) -> u8 {
        let [output, errors, input] = self.streams;
        [(output, WANTS_OUTPUT), (errors, WANTS_ERRORS), (input, GIVES_INPUT)]
            .iter()
            .filter(|(wanted, _)| *wanted)
            .fold(0, |bits, (_, bit)| bits | bit)
    }
}

/// How it was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// The container has ended, with this code.
    Ended(i32),
    /// It goes on without us.
    Detached,
    /// Its supervisor is gone without a word.
    Lost,
}

/// Reaches the supervisor of a container; `None` where it has none.
pub fn connect(entry: &Entry) -> Result<Option<Wire>> {
    match Wire::connect(&entry.directory.socket(SOCKET)) {
        Ok(wire) => Ok(Some(wire)),
        Err(Errno::NOENT | Errno::CONNREFUSED) => Ok(None),
        Err(errno) => Err(Error::os("reach the container's supervisor", errno)),
    }
}

/// Waits until a container that was just begun runs; its pid.
pub fn wait_for_start(wire: &Wire) -> Result<i32> {
    let mut bytes = Vec::new();
    let step = || "hear from the container's supervisor";
    loop {
        match wire.receive(&mut bytes, false).step(step)? {
            Some(wire::STARTED) => return Ok(wire::number(&bytes).unwrap_or_default()),
            Some(wire::FAILED) => {
                return Err(
                    failure(&bytes).unwrap_or_else(|| Error::new("the container could not be started"))
                );
            }
            Some(_) => {}
            None => return Err(Error::new("the container's supervisor was killed")),
        }
    }
}

/// Waits for the end of a container, or so many milliseconds; `None` when they are over.
pub fn wait_for_end(wire: &Wire, milliseconds: Option<u64>) -> Result<Option<Left>> {
    let mut bytes = Vec::new();
    let step = || "hear from the container's supervisor";
    if let Some(milliseconds) = milliseconds {
        let time = rustix::event::Timespec {
            tv_sec: (milliseconds / 1000) as _,
            tv_nsec: (milliseconds % 1000 * 1_000_000) as _,
        };
        let mut polled = [PollFd::new(wire, PollFlags::IN)];
        if io::retry_on_intr(|| poll(&mut polled, Some(&time))).step(step)? == 0 {
            return Ok(None);
        }
    }
    loop {
        match wire.receive(&mut bytes, false).step(step)? {
            Some(wire::EXIT) => return Ok(Some(Left::Ended(wire::number(&bytes).unwrap_or_default()))),
            Some(_) => {}
            None => return Ok(Some(Left::Lost)),
        }
    }
}

/// Relays until the end. All signals are blocked.
pub fn relay(wire: &Wire, attach: &Attach, signals: &SignalFd) -> Result<Left> {
    let [_, _, mut input] = attach.streams;
    // Restored when it goes, on every way out of here.
    let raw = if input && attach.terminal { RawMode::enter() } else { None };
    let keys = if attach.terminal { attach.detach_keys.clone() } else { Keys::default() };
    let mut relay = Relay { wire, keys, may_type: true, lost: None, bytes: Vec::new() };
    if attach.terminal {
        relay.send_size();
    }
    loop {
        let typing = input && relay.may_type;
        let mut polled = Vec::from([PollFd::new(signals, PollFlags::IN), PollFd::new(wire, PollFlags::IN)]);
        if typing {
            polled.push(PollFd::from_borrowed_fd(stdin(), PollFlags::IN));
        }
        io::retry_on_intr(|| poll(&mut polled, None)).step(|| "wait for the container")?;
        let ready: Vec<bool> = polled.iter().map(|polled| !polled.revents().is_empty()).gather();
        if ready[1]
            && let Some(left) = relay.hear()?
        {
            return Ok(left);
        }
        if ready[0] {
            match signals.read().step(|| "read a signal")? {
                SIGWINCH if attach.terminal => relay.send_size(),
                // Our terminal is gone; the container has its own.
                SIGHUP if attach.terminal => return Ok(Left::Detached),
                // What is printed to a pipe that nobody reads any more is said when it is printed.
                SIGPIPE | SIGWINCH => {}
                number if attach.forwards_signals && !NOT_FORWARDED.contains(&number) => relay.signal(number),
                number if !NOT_FORWARDED.contains(&number) => {
                    drop(raw);
                    return Err(
                        Error::new(format_args!("ended by signal {number}")).exit_code(128 + number as u8)
                    );
                }
                _ => {}
            }
        }
        if ready.get(2) == Some(&true) {
            match relay.type_in() {
                Typed::More => {}
                Typed::Over if attach.terminal && raw.is_some() => return Ok(Left::Detached),
                Typed::Over => input = false,
                Typed::Detach => return Ok(Left::Detached),
            }
        }
    }
}

/// What has become of the input.
enum Typed {
    More,
    Over,
    Detach,
}

/// That its other end is gone it hears; what it says into the void does not matter.
struct Relay<'r> {
    wire: &'r Wire,
    keys: Keys,
    /// The container takes more.
    may_type: bool,
    /// Why output of the container could not be printed.
    lost: Option<Errno>,
    bytes: Vec<u8>,
}

impl Relay<'_> {
    /// Takes what the supervisor has said.
    fn hear(&mut self) -> Result<Option<Left>> {
        loop {
            match self.wire.receive(&mut self.bytes, true) {
                Ok(Some(wire::OUTPUT)) => self.print(1),
                Ok(Some(wire::ERRORS)) => self.print(2),
                Ok(Some(wire::MORE)) => self.may_type = true,
                Ok(Some(wire::EXIT)) => {
                    return match (wire::number(&self.bytes), self.lost) {
                        (Some(0), Some(errno)) => {
                            Err(Error::os("print what the container has printed", errno))
                        }
                        (code, _) => Ok(code.map(Left::Ended)),
                    };
                }
                Ok(Some(_)) => {}
                Ok(None) => return Ok(Some(Left::Lost)),
                Err(Errno::AGAIN) => return Ok(None),
                Err(errno) => return Err(Error::os("hear from the container's supervisor", errno)),
            }
        }
    }

    /// Whoever read our output may be gone: the program would hear that from a pipe of its own. What else is lost,
    /// because a disk is full perhaps, is our failure, which we have to say in the end.
    fn print(&mut self, number: u32) {
        let to = if number == 1 { stdout() } else { stderr() };
        match write_all(to, &self.bytes) {
            Ok(()) => {}
            Err(Errno::PIPE) => self.signal(SIGPIPE),
            Err(errno) => self.lost = Some(errno),
        }
    }

    fn signal(&self, number: u32) {
        let _ = self.wire.send(wire::SIGNAL, &(number as i32).to_le_bytes(), false);
    }

    fn send_size(&self) {
        let ours = [stdin(), stdout()].into_iter().find(|side| isatty(side));
        if let Some(size) = ours.and_then(|terminal| tcgetwinsize(terminal).ok()) {
            let [a, b] = size.ws_row.to_le_bytes();
            let [c, d] = size.ws_col.to_le_bytes();
            let _ = self.wire.send(wire::SIZE, &[a, b, c, d], false);
        }
    }

    fn type_in(&mut self) -> Typed {
        // Room for keys that were kept back.
        let mut buffer = [0; LONGEST / 2];
        let length = match read(stdin(), &mut buffer) {
            Ok(length @ 1..) => length,
            Err(Errno::AGAIN | Errno::INTR) => return Typed::More,
            _ => {
                let _ = self.wire.send(wire::INPUT_END, &[], false);
                return Typed::Over;
            }
        };
        let (typed, leave) = self.keys.take(&buffer[..length]);
        self.send(&typed);
        if leave { Typed::Detach } else { Typed::More }
    }

    fn send(&mut self, typed: &[u8]) {
        if !typed.is_empty() {
            self.may_type = false;
            let _ = self.wire.send(wire::INPUT, typed, false);
        }
    }
}
