//! `servin inspect`: all that is known of containers, with Docker's names.

mod networks;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Command, Given};
use super::{Invocation, format as output_format, places};
use crate::container::people::{CONFIG, Entry, HealthCheck, HealthState, LOG, Phase};
use crate::container::view;
use crate::error::{Error, Result};
use crate::spec;
use crate::spec::json::{Json, object};
use crate::supervise::log::Driver;
use crate::supervise::policy::Policy;

/// The table's entry.
pub const INSPECT: Command = Command {
    name: "servin inspect",
    usage: "[FLAGS] CONTAINER...",
    about: "Print all that is known of containers.",
    groups: &[output_format::INSPECT],
    last_word: usize::MAX,
};

object! {
    /// A container.
    pub struct Container {
        /// Its id.
        "Id" => id: String,
        /// When it was created.
        "Created" => created: String,
        /// The program.
        "Path" => path: String,
        /// And its arguments.
        "Args" => args: Present,
        /// What has become of it.
        "State" => state: State,
        /// The image's id.
        "Image" => image: String,
        /// The file of its log.
        "LogPath" => log_path: String,
        /// A slash and its name.
        "Name" => name: String,
        /// How often its restart policy has started it again.
        "RestartCount" => restart_count: u32,
        /// What its files are.
        "Driver" => driver: String,
        /// The operating system.
        "Platform" => platform: String,
        /// What depends on the host.
        "HostConfig" => host_config: HostConfig,
        /// What is mounted.
        "Mounts" => mounts: Vec<Mount>,
        /// What does not.
        "Config" => config: Config,
        /// How it is connected.
        "NetworkSettings" => networks: networks::Settings,
        /// Its bundle: the OCI configuration is in it (not in Docker).
        "Bundle" => bundle: String,
    }

    /// What has become of a container.
    pub struct State {
        /// In a word.
        "Status" => status: String,
        /// It runs, perhaps paused.
        "Running" => running: bool,
        /// It is frozen.
        "Paused" => paused: bool,
        /// It is going to be started again.
        "Restarting" => restarting: bool,
        /// The kernel has killed in it for want of memory.
        "OOMKilled" => oom_killed: bool,
        /// It cannot be removed.
        "Dead" => dead: bool,
        /// Its first process, 0 where there is none.
        "Pid" => pid: i32,
        /// How it ended.
        "ExitCode" => exit_code: i32,
        /// Why it could not be started.
        "Error" => error: String,
        /// When it was started.
        "StartedAt" => started_at: String,
        /// When it ended.
        "FinishedAt" => finished_at: String,
        /// Whether it is well.
        "Health" => health: Option<HealthState>,
    }

    /// What depends on the host.
    pub struct HostConfig {
        /// Where its output goes.
        "LogConfig" => log_config: LogConfig,
        /// Its first network, or whose namespace it has.
        "NetworkMode" => network_mode: String,
        /// When it is started again.
        "RestartPolicy" => restart_policy: RestartPolicy,
        /// It is removed when it has ended.
        "AutoRemove" => auto_remove: bool,
        /// Its root is read-only.
        "ReadonlyRootfs" => readonly_rootfs: bool,
        /// Bytes of memory; 0 is no limit.
        "Memory" => memory: i64,
        /// Processes and threads; 0 is no limit.
        "PidsLimit" => pids_limit: i64,
        /// What is in its place in the hierarchy of cgroups.
        "CgroupParent" => cgroup_parent: String,
    }

    /// Where output goes.
    pub struct LogConfig {
        /// The driver.
        "Type" => kind: String,
        /// Its options.
        "Config" => config: Map,
    }

    /// When a container is started again.
    pub struct RestartPolicy {
        /// no, on-failure, always, unless-stopped.
        "Name" => name: String,
        /// How often at most; 0 is without a limit.
        "MaximumRetryCount" => maximum_retry_count: u32,
    }

    /// What is mounted.
    pub struct Mount {
        /// bind, tmpfs.
        "Type" => kind: String,
        /// What.
        "Source" => source: String,
        /// Where.
        "Destination" => destination: String,
        /// It can be written to.
        "RW" => rw: bool,
    }

    /// What does not depend on the host.
    pub struct Config {
        /// The host name.
        "Hostname" => hostname: String,
        /// Who it runs as.
        "User" => user: String,
        /// It has a terminal.
        "Tty" => tty: bool,
        /// It can be given input.
        "OpenStdin" => open_stdin: bool,
        /// The input ends with the command that started it.
        "StdinOnce" => stdin_once: bool,
        /// The environment.
        "Env" => env: Present,
        /// The program and its arguments.
        "Cmd" => cmd: Present,
        /// The image as it was named.
        "Image" => image: String,
        /// The working directory.
        "WorkingDir" => working_dir: String,
        /// Notes.
        "Labels" => labels: Map,
        /// The signal of `stop`.
        "StopSignal" => stop_signal: Option<String>,
        /// The seconds that it waits.
        "StopTimeout" => stop_timeout: Option<i32>,
        /// How it is found out whether it is well.
        "Healthcheck" => healthcheck: Option<HealthCheck>,
    }
}

/// A list that is there even when it is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Present(Vec<String>);

/// A map in the same way.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map(Vec<(String, String)>);

macro_rules! present {
    ($($type:ty),*) => { $(
        impl Json for $type {
            fn decode(&mut self, value: &spec::json::Value, at: &spec::json::Path) -> Result<()> {
                self.0.decode(value, at)
            }

            fn encode(&self, out: &mut spec::json::Writer) {
                self.0.encode(out);
            }
        }
    )* };
}
present!(Present, Map);

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    if given.words.is_empty() {
        return Err(Error::new(format_args!("{} is missing: see {INSPECT}", places::CONTAINER)));
    }
    let store = places::store(invocation, given)?;
    let documents = given.words.iter().map(|word| document(&store.find(word)?, &store.path("")));
    let documents = documents.collect::<Result<Vec<_>>>()?;
    let documents: Vec<&dyn Json> = documents.iter().map(|document| document as &dyn Json).collect();
    output_format::inspect(given, &documents)
}

/// All that is known of a container; `containers` is the folder of all, with a slash.
fn document(entry: &Entry, containers: &str) -> Result<Container> {
    let record = &entry.record;
    let text = entry.directory.read(CONFIG)?.unwrap_or_default();
    let config: spec::Config = spec::parse(&text, &entry.directory.file(CONFIG))?;
    let has_layer = view::upper(&config).is_some();
    let process = config.process.unwrap_or_default();
    let linux = config.linux.unwrap_or_default();
    let resources = linux.resources.unwrap_or_default();
    let (path, args) = record
        .command
        .split_first()
        .map_or((String::new(), Vec::new()), |(path, args)| (path.clone(), args.to_vec()));
    let driver = Driver::by_name(&record.log.driver).unwrap_or(Driver::Json);
    let log_path = match driver {
        Driver::None => String::new(),
        driver => format!("{}/{}", entry.directory.file(LOG), driver.file()),
    };
    let policy = record.restart.clone().unwrap_or_default();
    let mut log_options = Vec::new();
    log_options.extend(record.log.max_size.map(|size| ("max-size".to_string(), size.to_string())));
    log_options.extend(record.log.max_file.map(|count| ("max-file".to_string(), count.to_string())));
    Ok(Container {
        id: record.id.clone(),
        created: record.created.clone(),
        path,
        args: Present(args),
        state: state(entry),
        image: record.image_id.clone().unwrap_or_default(),
        log_path,
        name: format!("/{}", record.name),
        restart_count: record.state.restarts,
        driver: if has_layer { "overlay2" } else { "directory" }.into(),
        platform: "linux".into(),
        host_config: HostConfig {
            log_config: LogConfig { kind: record.log.driver.clone(), config: Map(log_options) },
            network_mode: networks::mode(record),
            restart_policy: RestartPolicy {
                name: policy.split(':').next().filter(|name| !name.is_empty()).unwrap_or("no").into(),
                maximum_retry_count: match Policy::parse(&policy)? {
                    Policy::OnFailure(count) => count.unwrap_or(0),
                    _ => 0,
                },
            },
            auto_remove: record.remove,
            readonly_rootfs: config.root.as_ref().and_then(|root| root.readonly).unwrap_or(false),
            memory: resources.memory.and_then(|memory| memory.limit).unwrap_or(0),
            pids_limit: resources.pids.and_then(|pids| pids.limit).unwrap_or(0),
            cgroup_parent: linux
                .cgroups_path
                .as_deref()
                .and_then(|path| path.rsplit_once('/'))
                .map_or("", |(parent, _)| parent)
                .into(),
        },
        mounts: config.mounts.iter().filter(|mount| is_asked_for(mount, containers)).map(mount).collect(),
        config: Config {
            hostname: config.hostname.unwrap_or_default(),
            user: format!("{}:{}", process.user.uid, process.user.gid),
            tty: record.terminal,
            open_stdin: record.input,
            stdin_once: record.input_once,
            env: Present(process.env),
            cmd: Present(record.command.clone()),
            image: record.image.clone().unwrap_or_default(),
            working_dir: process.cwd,
            labels: Map(record.labels.clone()),
            stop_signal: record.stop_signal.map(|number| number.to_string()),
            stop_timeout: record.stop_timeout,
            healthcheck: record.health.clone(),
        },
        networks: networks::settings(record),
        bundle: format!("{containers}{}", record.id),
    })
}

fn state(entry: &Entry) -> State {
    let state = &entry.record.state;
    const NEVER: &str = "0001-01-01T00:00:00Z";
    let time = |time: &Option<String>| time.clone().unwrap_or_else(|| NEVER.into());
    State {
        status: state.phase.as_str().into(),
        running: matches!(state.phase, Phase::Running | Phase::Paused),
        paused: state.phase == Phase::Paused,
        restarting: state.phase == Phase::Restarting,
        oom_killed: state.oom_killed,
        dead: false,
        pid: state.pid.unwrap_or(0),
        exit_code: state.exit_code.unwrap_or(0),
        error: state.error.clone().unwrap_or_default(),
        started_at: time(&state.started),
        finished_at: time(&state.finished),
        health: state.health.clone(),
    }
}

/// The mounts that every container has are nothing to tell.
fn is_asked_for(mount: &spec::Mount, containers: &str) -> bool {
    let kind = mount.kind.as_deref().unwrap_or_default();
    let default = ["/dev", "/dev/shm", "/proc", "/sys", "/", "/dev/pts", "/dev/mqueue", "/sys/fs/cgroup"];
    // Files of a bundle are those of names.
    let own = mount.source.as_ref().is_some_and(|source| source.starts_with(containers));
    matches!(kind, "bind" | "tmpfs") && !own && !default.contains(&mount.destination.as_str())
}

fn mount(mount: &spec::Mount) -> Mount {
    Mount {
        kind: mount.kind.clone().unwrap_or_default(),
        source: mount.source.clone().unwrap_or_default(),
        destination: mount.destination.clone(),
        rw: !mount.options.iter().any(|option| matches!(option.as_str(), "ro" | "rro")),
    }
}
