//! A container in the foreground: signals go to it, its terminal is relayed, its exit code becomes ours.

use linux_raw_sys::general::{SIGCHLD, SIGPIPE, SIGURG, SIGWINCH};
use rustix::fd::OwnedFd;
use rustix::io;
use rustix::process::{Pid, WaitOptions, WaitStatus, waitpid};

use super::terminal::{RawMode, Relay};
use crate::error::{Result, Step};
use crate::launch::Running;
use crate::sys::signal::{SignalFd, SignalSet, kill};

/// Signals that are about this process and not about the container.
const NOT_FORWARDED: &[u32] = &[SIGCHLD, SIGPIPE, SIGURG];

/// Stays until the container's PID 1 ends, and returns its exit code: 128+N for signal N. With `input`, what
/// comes in on standard input goes to the container's terminal.
pub fn attend(running: Running, input: bool) -> Result<i32> {
    let signals = SignalFd::new(SignalSet::ALL).step(|| "watch signals")?;
    match running.terminal {
        None => without_terminal(running.pid, &signals),
        Some(master) => with_terminal(running.pid, &signals, master, input),
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

fn with_terminal(pid: Pid, signals: &SignalFd, master: OwnedFd, input: bool) -> Result<i32> {
    // Restored when it goes, on every way out of here.
    let _raw = if input { RawMode::enter() } else { None };
    let mut relay = Relay::new(master, input);
    loop {
        if let Some(code) = exit_code(pid)? {
            relay.drain();
            return Ok(code);
        }
        let ready = relay.wait(signals).step(|| "wait for the terminal")?;
        relay.pass(ready);
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
