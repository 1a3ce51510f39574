//! The record of a person's container.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Directory, RECORD};
use crate::container::volume::MountPoint;
use crate::error::{Error, Result};
use crate::network::{Attached, Wish};
use crate::spec;
use crate::spec::json::{object, word_enum};

object! {
    /// What was asked for, and what has become of it; in the order of the names, in which it is read the fastest.
    pub struct Record {
        /// What it got of networks, while it runs.
        "attached" => attached: Option<Attached>,
        /// Who makes its cgroup.
        "cgroupManager" => cgroup_manager: Option<String>,
        /// The program and its arguments.
        "command" => command: Vec<String>,
        /// When it was created, as RFC 3339.
        "created" => created: String,
        /// How it is found out whether it is well.
        "health" => health: Option<HealthCheck>,
        /// 64 hexadecimal digits.
        "id" => id: String,
        /// The image as it was named, or the directory of its root.
        "image" => image: Option<String>,
        /// The image's id.
        "imageId" => image_id: Option<String>,
        /// It can be given standard input.
        "input" => input: bool,
        /// Its standard input ends with the command that started it.
        "inputOnce" => input_once: bool,
        /// What people note at it.
        "labels" => labels: Vec<(String, String)>,
        /// Where its output goes.
        "log" => log: LogSettings,
        /// What was mounted for it, beside the usual.
        "mounts" => mounts: Vec<MountPoint>,
        /// Its name, which no other container has.
        "name" => name: String,
        /// What it wants of networks.
        "network" => network: Wish,
        /// It is removed when it has ended.
        "remove" => remove: bool,
        /// When it is started again: `no`, `on-failure`, `on-failure:N`, `always`, `unless-stopped`.
        "restart" => restart: Option<String>,
        /// Whose namespaces it shares: `pid` or `ipc`, and the id of their container.
        "shared" => shared: Vec<(String, String)>,
        /// What has become of it.
        "state" => state: Life,
        /// The signal of `stop` (default: SIGTERM).
        "stopSignal" => stop_signal: Option<u32>,
        /// The seconds that `stop` waits before it kills; negative is for ever (default: 10).
        "stopTimeout" => stop_timeout: Option<i32>,
        /// With systemd as the maker of its cgroup: the sockets at which it may be asked.
        "systemdSockets" => systemd_sockets: Vec<String>,
        /// It has a terminal.
        "terminal" => terminal: bool,
    }

    /// Where output goes.
    pub struct LogSettings {
        /// `json-file`, `k8s-file` or `none`.
        "driver" => driver: String,
        /// How many files are kept.
        "maxFile" => max_file: Option<u32>,
        /// The bytes after which another file is begun; absent is never.
        "maxSize" => max_size: Option<u64>,
    }

    /// A program that says by its exit code whether the container is well. Times are in nanoseconds.
    pub struct HealthCheck {
        /// Docker's form: `CMD` and a program, or `CMD-SHELL` and a line.
        "Test" => test: Vec<String>,
        /// Between two runs.
        "Interval" => interval: u64,
        /// After which a run has failed.
        "Timeout" => timeout: u64,
        /// During which failures do not count.
        "StartPeriod" => start_period: u64,
        /// So many failures in a row make it unhealthy.
        "Retries" => retries: u32,
    }

    /// What the checks have found, with Docker's names.
    pub struct HealthState {
        /// `starting`, `healthy`, `unhealthy`.
        "Status" => status: String,
        /// Failures in a row.
        "FailingStreak" => failing_streak: u32,
        /// The last five.
        "Log" => log: Vec<HealthResult>,
    }

    /// One check.
    pub struct HealthResult {
        /// When it began.
        "Start" => start: String,
        /// When it ended.
        "End" => end: String,
        /// 0 is well.
        "ExitCode" => exit_code: i32,
        /// The beginning of what it said.
        "Output" => output: String,
    }

    /// What has become of a container.
    pub struct Life {
        /// Why it could not be started.
        "error" => error: Option<String>,
        /// How it ended.
        "exitCode" => exit_code: Option<i32>,
        /// When it ended last.
        "finished" => finished: Option<String>,
        /// Whether it is well.
        "health" => health: Option<HealthState>,
        /// The kernel has killed one of its processes for want of memory.
        "oomKilled" => oom_killed: bool,
        /// Where in its life it is.
        "phase" => phase: Phase,
        /// Its first process, while it runs.
        "pid" => pid: Option<i32>,
        /// How often its restart policy has started it again.
        "restarts" => restarts: u32,
        /// When it was started last.
        "started" => started: Option<String>,
        /// It was ended by `stop`, and so does not want to be started with the host.
        "stopped" => stopped: bool,
    }
}

word_enum! {
    /// Where in its life a person's container is, in Docker's words.
    pub enum Phase {
        /// It was never started.
        "created" => Created,
        /// It runs.
        "running" => Running,
        /// It is frozen.
        "paused" => Paused,
        /// It has ended and is going to be started again.
        "restarting" => Restarting,
        /// It has ended.
        "exited" => Exited,
    }
}

impl Record {
    /// Whether a volume is mounted into it.
    pub fn has_volume(&self, name: &str) -> bool {
        self.mounts.iter().any(|point| point.name.as_deref() == Some(name))
    }
}

impl Phase {
    /// Whether a container in this phase has a supervisor.
    pub fn is_alive(self) -> bool {
        matches!(self, Phase::Running | Phase::Paused | Phase::Restarting)
    }
}

impl Record {
    /// Reads a container's record; `None` where it was never wholly created. One that cannot be understood, after a
    /// power failure perhaps, is that of a container without a name, which can be seen and removed, and nothing else.
    pub fn load(directory: &Directory) -> Result<Option<Record>> {
        let Some(text) = directory.read(RECORD)? else { return Ok(None) };
        Ok(Some(spec::parse(&text, &directory.file(RECORD)).unwrap_or_else(|error| Record {
            id: directory.id().into(),
            state: Life { phase: Phase::Exited, error: Some(format!("{error}")), ..Life::default() },
            ..Record::default()
        })))
    }

    /// An error unless the record could be read.
    pub fn is_whole(&self) -> Result<()> {
        match (self.name.as_str(), &self.state.error) {
            ("", Some(error)) => Err(Error::new(error).hint("`servin rm` removes the container")),
            _ => Ok(()),
        }
    }
}
