//! Health checks: a program that is run in the container from time to time and says by its exit code whether that is
//! well (Docker's rules). It is run by `servin exec`, so that it joins the container as every other program does.

use alloc::ffi::CString;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use linux_raw_sys::general::SIGKILL;
use rustix::fd::OwnedFd;
use rustix::io::{Errno, read};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::Pid;
use rustix::stdio::{dup2_stderr, dup2_stdout};
use servin_init::sys::clock::{SECOND, now};

use super::serve::unblock;
use crate::container::people::{HealthCheck, HealthResult, HealthState, Places};
use crate::container::time;
use crate::gather::Gather as _;
use crate::launch::program::DEFAULT_PATH;
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::exec::{Vector, execve};
use crate::sys::signal::{self, SignalSet, kill};

/// How much is kept of what a check says.
const OUTPUT: usize = 4096;
/// How many results are kept.
const RESULTS: usize = 5;

/// The checks of one run of a container.
pub struct Health {
    check: HealthCheck,
    /// What runs one.
    words: Vec<String>,
    /// When the container was started, by [`clock`].
    since: u64,
    /// When the next one is due.
    next: u64,
    running: Option<Running>,
}

struct Running {
    pid: Pid,
    /// What it says comes from there, until the end of that.
    output: Option<OwnedFd>,
    /// The beginning of what it has said.
    said: Vec<u8>,
    start: String,
    deadline: u64,
    timed_out: bool,
}

impl Running {
    /// Whether there was something to hear.
    fn listen(&mut self) -> bool {
        let Some(output) = &self.output else { return false };
        let mut bytes = [0; OUTPUT];
        match read(output, &mut bytes) {
            Ok(length @ 1..) => {
                let room = OUTPUT - self.said.len();
                self.said.extend_from_slice(&bytes[..length.min(room)]);
                true
            }
            Err(Errno::AGAIN | Errno::INTR) => false,
            _ => {
                self.output = None;
                false
            }
        }
    }
}

/// Milliseconds since the host was started.
pub fn clock() -> u64 {
    now() / (SECOND / 1000)
}

fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds.div_ceil(1_000_000)
}

impl Health {
    /// Checks of the container `id`, which was started at `since` seconds.
    pub fn new(check: HealthCheck, places: &Places, id: &str, since: u64) -> Option<Health> {
        let program = match check.test.first().map(String::as_str) {
            Some("CMD") => check.test.get(1..)?.to_vec(),
            Some("CMD-SHELL") => {
                Vec::from(["/bin/sh".to_string(), "-c".to_string(), check.test.get(1)?.clone()])
            }
            _ => return None,
        };
        let mut words: Vec<String> =
            ["servin", "exec", "--home", &places.home, "--root", &places.root, id].map(String::from).into();
        words.extend(program);
        let next = clock() + milliseconds(check.interval);
        Some(Health { check, words, since: since * 1000, next, running: None })
    }

    /// Whether a check is under way.
    pub fn is_busy(&self) -> bool {
        self.running.is_some()
    }

    /// Hears what a check says, all of it: one that says more than a pipe holds would wait for us.
    pub fn listen(&mut self) {
        if let Some(running) = &mut self.running {
            running.listen();
        }
    }

    /// In how many milliseconds there is something to do.
    pub fn due(&self) -> u64 {
        let at = match &self.running {
            Some(running) if running.timed_out => return u64::from(u32::MAX),
            Some(running) => running.deadline,
            None => self.next,
        };
        at.saturating_sub(clock())
    }

    /// Does what is due: begins a check, or ends one that takes too long.
    pub fn act(&mut self) {
        if self.due() > 0 {
            return;
        }
        match &mut self.running {
            Some(running) => {
                // Our child, and not yet waited for.
                let _ = kill(running.pid, SIGKILL);
                running.timed_out = true;
            }
            None => self.begin(),
        }
    }

    fn begin(&mut self) {
        self.next = clock() + milliseconds(self.check.interval);
        let Ok((output, writer)) = pipe_with(PipeFlags::CLOEXEC) else { return };
        match clone3(CloneFlags::empty(), None) {
            Ok(Cloned::Parent(pid)) => {
                unblock(&output);
                let deadline = clock() + milliseconds(self.check.timeout);
                let (output, said) = (Some(output), Vec::new());
                self.running =
                    Some(Running { pid, output, said, start: time::now(), deadline, timed_out: false });
            }
            Ok(Cloned::Child { .. }) => {
                let words: Vec<CString> =
                    self.words.iter().filter_map(|word| CString::new(word.as_str()).ok()).gather();
                let path = CString::new(["PATH=", DEFAULT_PATH].concat()).unwrap_or_default();
                let ready = dup2_stdout(&writer)
                    .and_then(|()| dup2_stderr(&writer))
                    .and_then(|()| signal::set_mask(SignalSet::EMPTY));
                if ready.is_ok() {
                    execve(c"/proc/self/exe", &Vector::new(words), &Vector::new(Vec::from([path])));
                }
                servin_init::sys::process::exit(126)
            }
            Err(_) => {}
        }
    }

    /// Where a check says something.
    pub fn output(&self) -> Option<&OwnedFd> {
        self.running.as_ref()?.output.as_ref()
    }

    /// A child has ended; its result, if it was the check.
    pub fn ended(&mut self, pid: Pid, code: i32) -> Option<HealthResult> {
        let mut running = self.running.take_if(|running| running.pid == pid)?;
        self.next = clock() + milliseconds(self.check.interval);
        while running.said.len() < OUTPUT && running.listen() {}
        let mut output = String::from_utf8_lossy(&running.said).replace('\0', "\u{fffd}");
        let mut exit_code = code;
        if running.timed_out {
            exit_code = -1;
            output = "Health check exceeded timeout".to_string();
        }
        Some(HealthResult { start: running.start, end: time::now(), exit_code, output })
    }

    /// Adds a result to what is known.
    pub fn add(&self, known: Option<HealthState>, result: HealthResult) -> HealthState {
        let mut state = known.unwrap_or_else(starting);
        if result.exit_code == 0 {
            state.failing_streak = 0;
            state.status = "healthy".into();
        } else if state.status != "starting" || clock() >= self.since + milliseconds(self.check.start_period)
        {
            state.failing_streak += 1;
            if state.failing_streak >= self.check.retries {
                state.status = "unhealthy".into();
            }
        }
        state.log.push(result);
        let surplus = state.log.len().saturating_sub(RESULTS);
        state.log.drain(..surplus);
        state
    }
}

/// What is known before the first check.
pub fn starting() -> HealthState {
    HealthState { status: "starting".into(), ..HealthState::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_count_after_the_start_and_a_success_ends_them() {
        let check = HealthCheck {
            test: ["CMD".to_string(), "true".to_string()].into(),
            interval: 1,
            timeout: 1,
            start_period: 0,
            retries: 2,
        };
        let health = Health::new(check.clone(), &Places::default(), "x", 0).expect("a check");
        let result = |exit_code| HealthResult { exit_code, ..HealthResult::default() };
        let once = health.add(None, result(1));
        assert_eq!((once.status.as_str(), once.failing_streak), ("starting", 1));
        let twice = health.add(Some(once), result(-1));
        assert_eq!((twice.status.as_str(), twice.failing_streak), ("unhealthy", 2));
        let well = health.add(Some(twice), result(0));
        assert_eq!((well.status.as_str(), well.failing_streak, well.log.len()), ("healthy", 0, 3));
        let patient = HealthCheck { start_period: u64::MAX / 2, ..check };
        let health = Health::new(patient, &Places::default(), "x", 0).expect("a check");
        assert_eq!(health.add(None, result(1)).failing_streak, 0);
    }
}
