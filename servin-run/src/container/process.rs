//! A process that another command of ours has started: found again by its pid and the time of its start, so that
//! a pid which the kernel has given to another process since is never taken for it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Dir, Mode, OFlags};
use rustix::io::{self, Errno};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::error::{Error, Result, Step};
use crate::fs::{read_lossy, read_text};
use crate::sys::clock;
use crate::sys::path::{openat, stat};
use crate::sys::signal::{kill, pidfd_send_signal};

/// What tells a process from all others of this host, since it was built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The pid, as we see it.
    pub pid: Pid,
    /// When it started, in clock ticks after the host (proc_pid_stat(5), field 22).
    pub start: u64,
    /// Which start of the host that was.
    pub boot: String,
}

/// A process that was alive when it was looked for; the descriptor means it whatever becomes of its pid.
pub struct Alive {
    /// The pid, as we see it.
    pub pid: Pid,
    /// None before Linux 5.3.
    pub descriptor: Option<OwnedFd>,
}

impl Identity {
    /// Of a process that cannot be gone: a child that was not waited for.
    pub fn of(pid: Pid) -> Result<Identity> {
        let (_, start) =
            status(pid).ok_or_else(|| Error::new(format_args!("the process {pid} has ended")))?;
        Ok(Identity { pid, start, boot: boot() })
    }

    /// Finds the process, unless it has ended; one that only waits to be waited for has.
    pub fn find(&self) -> Result<Option<Alive>> {
        let descriptor = match pidfd_open(self.pid, PidfdFlags::empty()) {
            // EINVAL: it was reaped between the kernel's two looks (pidfd_prepare), or the pid is a mere thread's now.
            Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
            Err(Errno::NOSYS) => None,
            other => Some(other.step(|| format!("open the process {}", self.pid))?),
        };
        // In this order: the descriptor is of the process whose start is read, or of one that has ended.
        match status(self.pid) {
            Some((state, start)) if start == self.start && !b"ZX".contains(&state) && boot() == self.boot => {
                Ok(Some(Alive { pid: self.pid, descriptor }))
            }
            _ => Ok(None),
        }
    }
}

impl Alive {
    /// Sends a signal; `None` when the process has ended.
    pub fn signal(&self, number: u32) -> Result<Option<()>> {
        let sent = match &self.descriptor {
            Some(descriptor) => pidfd_send_signal(descriptor, number),
            None => kill(self.pid, number),
        };
        match sent {
            Err(Errno::SRCH) => Ok(None),
            other => other.step(|| format!("send signal {number} to the process {}", self.pid)).map(Some),
        }
    }

    /// Opens a file of it in /proc, which is that of no other process.
    pub fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd> {
        let path = format!("/proc/{}/{name}", self.pid);
        let file = openat(CWD, path.as_str(), flags, Mode::empty()).step(|| format!("open {path}"))?;
        // It was this process all the time if it is still there.
        match self.signal(0)? {
            Some(()) => Ok(file),
            None => Err(Error::new(format_args!("the process {} has ended", self.pid))),
        }
    }

    /// Whether it ends within as many milliseconds.
    pub fn ends_within(&self, milliseconds: u32) -> bool {
        let time = |milliseconds: u32| Timespec {
            tv_sec: (milliseconds / 1000).into(),
            tv_nsec: (milliseconds % 1000 * 1_000_000).into(),
        };
        if let Some(descriptor) = &self.descriptor {
            let mut ready = [PollFd::new(descriptor, PollFlags::IN)];
            return matches!(io::retry_on_intr(|| poll(&mut ready, Some(&time(milliseconds)))), Ok(1..));
        }
        const PAUSE: u32 = 5;
        (0..=milliseconds / PAUSE).any(|_| {
            let ended = status(self.pid).is_none_or(|(state, _)| b"ZX".contains(&state));
            if !ended {
                clock::pause(PAUSE);
            }
            ended
        })
    }
}

impl Alive {
    /// All processes of its PID namespace, each proved to be in it after it could not become another any more.
    pub fn family(&self) -> Result<Vec<Alive>> {
        let namespace = |pid: &dyn fmt::Display| {
            let stat = stat(format!("/proc/{pid}/ns/pid"));
            stat.map(|stat| (stat.st_dev, stat.st_ino))
        };
        let own = namespace(&self.pid).step(|| "look at the container's PID namespace")?;
        if namespace(&"self") == Ok(own) {
            return Err(Error::new(
                "the container has no PID namespace of its own, by which its processes are found",
            ));
        }
        let step = || "list /proc";
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(CWD, c"/proc", flags, Mode::empty()).step(step)?;
        let mut family = Vec::new();
        for entry in Dir::new(directory).step(step)? {
            let entry = entry.step(step)?;
            let Some(pid) = entry.file_name().to_str().ok().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Some(pid) = Pid::from_raw(pid).filter(|pid| namespace(pid) == Ok(own)) else { continue };
            let descriptor = pidfd_open(pid, PidfdFlags::empty()).ok();
            if namespace(&pid) == Ok(own) {
                family.push(Alive { pid, descriptor });
            }
        }
        Ok(family)
    }
}

/// The state's letter and the start of a process.
fn status(pid: Pid) -> Option<(u8, u64)> {
    let text = read_lossy(&format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets too.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    Some((state, fields.nth(18)?.parse().ok()?))
}

/// What the kernel calls its present run; empty where it does not say.
fn boot() -> String {
    let id = read_text("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    String::from(id.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_a_name_that_is_no_text_is_found() {
        use std::io::{BufRead, BufReader};
        use std::process::{Command, Stdio};
        let script = r"printf '\377) \376' > /proc/$$/comm && echo ready && read end";
        let mut child = Command::new("sh");
        child.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = child.spawn().expect("a process");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let identity = Identity::of(Pid::from_raw(child.id() as i32).expect("a pid"));
        let found = identity.and_then(|identity| identity.find());
        drop(child.stdin.take());
        child.wait().expect("waited for");
        assert!(found.expect("looked for").is_some());
    }

    #[test]
    fn a_process_is_itself_and_no_other_and_gone_when_it_ended() {
        let own = Identity::of(rustix::process::getpid()).expect("our own");
        assert!(own.find().expect("looked for").is_some());
        assert!(Identity { start: own.start + 1, ..own.clone() }.find().expect("looked for").is_none());
        assert!(Identity { boot: "another".into(), ..own }.find().expect("looked for").is_none());
        let mut child = std::process::Command::new("true").spawn().expect("a process");
        let pid = Pid::from_raw(child.id() as i32).expect("a pid");
        let identity = Identity::of(pid).expect("not waited for");
        std::thread::sleep(std::time::Duration::from_millis(200));
        assert!(identity.find().expect("looked for").is_none(), "a zombie");
        child.wait().expect("waited for");
    }
}
