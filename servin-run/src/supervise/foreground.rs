//! A container in the foreground: signals go to it, its terminal is relayed, its exit code becomes ours.

use linux_raw_sys::general::{SIGCHLD, SIGPIPE, SIGURG, SIGWINCH};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, Signal, WaitOptions, WaitStatus, set_parent_process_death_signal, setsid, waitpid,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};

use super::keys::Keys;
use super::terminal::{RawMode, Relay};
use crate::error::{Result, Step};
use crate::launch::Running;
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::path::openat;
use crate::sys::signal::{self, SignalFd, SignalSet, kill};

/// Signals that are about this process and not about the container.
const NOT_FORWARDED: &[u32] = &[SIGCHLD, SIGPIPE, SIGURG];

/// Stays until the container's PID 1 ends, and returns its exit code: 128+N for signal N. With `input`, what
/// comes in on standard input goes to the container's terminal, which `leave` says how to leave.
pub fn attend(running: Running, input: bool, leave: Option<Leave>) -> Result<i32> {
    let signals = SignalFd::new(SignalSet::ALL).step(|| "watch signals")?;
    match running.terminal {
        None => without_terminal(running.pid, &signals),
        Some(master) => with_terminal(running.pid, &signals, master, input, leave),
    }
}

/// How a process is left to itself.
pub struct Leave {
    keys: Keys,
    /// Whoever called us hears there that we were left.
    told: OwnedFd,
}

/// Who goes on after [`stand_aside`].
pub enum Aside {
    /// The process that was called: the other one has ended with this code, or was left.
    Caller(i32),
    /// The other one.
    Other(Leave),
}

/// Does what follows in a child, so that it can be left to itself: a process with a terminal needs somebody who holds
/// that, and who waits for it in the end, while the caller wants his own terminal back.
pub fn stand_aside(keys: Keys) -> Result<Aside> {
    let (hears, told) = pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe")?;
    let mask = signal::set_mask(SignalSet::ALL).step(|| "block signals")?;
    let pid = match clone3(CloneFlags::empty(), None).step(|| "make a process that can be left")? {
        Cloned::Child { .. } => {
            // It ends with the caller, unless it was left before.
            set_parent_process_death_signal(Some(Signal::KILL)).step(|| "ask to end with servin")?;
            signal::set_mask(mask).step(|| "restore the signal mask")?;
            return Ok(Aside::Other(Leave { keys, told }));
        }
        Cloned::Parent(pid) => pid,
    };
    drop(told);
    let signals = SignalFd::new(SignalSet::ALL).step(|| "watch signals")?;
    loop {
        let mut polled = [PollFd::new(&signals, PollFlags::IN), PollFd::new(&hears, PollFlags::IN)];
        io::retry_on_intr(|| poll(&mut polled, None)).step(|| "wait for the container's process")?;
        let [signalled, heard] = [0, 1].map(|index: usize| !polled[index].revents().is_empty());
        if heard {
            if matches!(io::read(&hears, &mut [0; 1]), Ok(1)) {
                return Ok(Aside::Caller(0));
            }
            let status = io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
            let status = status.step(|| "wait for the container's process")?;
            return Ok(Aside::Caller(status.and_then(|(_, status)| code(status)).unwrap_or_default()));
        }
        if signalled {
            // The terminal itself tells both of us of its size.
            match signals.read().step(|| "read a signal")? {
                SIGWINCH => {}
                number => forward(pid, number),
            }
        }
    }
}

impl Leave {
    /// Gives the caller his terminal back, and goes on without one.
    fn leave(self, raw: Option<RawMode>) -> Result<()> {
        drop(raw);
        set_parent_process_death_signal(None).step(|| "stay when servin ends")?;
        let null = openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
        let null = null.step(|| "open /dev/null")?;
        dup2_stdin(&null)
            .and_then(|()| dup2_stdout(&null))
            .and_then(|()| dup2_stderr(&null))
            .step(|| "let go")?;
        setsid().step(|| "begin a session")?;
        // If he is gone there is nobody to tell.
        let _ = io::write(&self.told, b".");
        Ok(())
    }
}

fn without_terminal(pid: Pid, signals: &SignalFd) -> Result<i32> {
    loop {
        if let Some(code) = exit_code(pid)? {
            return Ok(code);
        }
        forward(pid, signals.read().step(|| "read a signal")?);
    }
}

fn with_terminal(
    pid: Pid,
    signals: &SignalFd,
    master: OwnedFd,
    input: bool,
    mut leave: Option<Leave>,
) -> Result<i32> {
    // Restored when it goes, on every way out of here.
    let mut raw = if input { RawMode::enter() } else { None };
    let keys = leave.as_ref().map_or(Keys::default(), |leave| leave.keys.clone());
    let mut relay = Relay::new(master, input, keys);
    loop {
        if let Some(code) = exit_code(pid)? {
            relay.drain();
            return Ok(code);
        }
        let ready = relay.wait(signals).step(|| "wait for the terminal")?;
        if relay.pass(ready)
            && let Some(leave) = leave.take()
        {
            leave.leave(raw.take())?;
        }
        if ready.signal {
            match signals.read().step(|| "read a signal")? {
                SIGWINCH => relay.copy_size(),
                number => forward(pid, number),
            }
        }
    }
}

/// The container's process is our child and not yet waited for, so its pid cannot be another's.
fn forward(pid: Pid, number: u32) {
    if NOT_FORWARDED.contains(&number) {
        return;
    }
    // It may have ended meanwhile: the next round notices.
    let _ = kill(pid, number);
}

fn exit_code(pid: Pid) -> Result<Option<i32>> {
    let waited = io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::NOHANG));
    Ok(waited.step(|| "wait for the container's process")?.and_then(|(_, status)| code(status)))
}

/// The exit code of a process that has ended: 128+N for signal N.
pub fn code(status: WaitStatus) -> Option<i32> {
    status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))
}
