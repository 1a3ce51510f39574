//! `servin inspect`: all that is known of containers, with Docker's names.

mod host;
mod networks;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, format as output_format, image, network, places, system, volume};
use crate::container::people::{CONFIG, Entry, HealthCheck, HealthState, LOG, Phase};
use crate::container::view;
use crate::container::volume::{MountPoint, Volumes};
use crate::error::{Error, Result};
use crate::spec;
use crate::spec::json::{Json, object};
use crate::supervise::log::Driver;

/// The table's entry.
pub const INSPECT: Command = Command {
    name: "servin inspect",
    usage: "[FLAGS] CONTAINER|IMAGE|VOLUME|NETWORK...",
    about: "Print all that is known of containers, and of other things by name.",
    groups: &[
        output_format::INSPECT,
        Group(
            "What",
            &[
                flag("type", None, Some("KIND"), "container, image, volume or network"),
                flag("size", Some('s'), None, "with the bytes that a container has written"),
            ],
        ),
    ],
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
        "HostConfig" => host_config: host::HostConfig,
        /// What is mounted.
        "Mounts" => mounts: Vec<MountPoint>,
        /// What does not.
        "Config" => config: Config,
        /// How it is connected.
        "NetworkSettings" => networks: networks::Settings,
        /// Bytes that it has written, with --size.
        "SizeRw" => size: Option<u64>,
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

    /// What does not depend on the host.
    pub struct Config {
        /// The host name.
        "Hostname" => hostname: String,
        /// The NIS domain name.
        "Domainname" => domainname: String,
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

/// Runs the command. A word that no container has may be that of an image, a volume or a network.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let Some(first) = given.words.first() else {
        return Err(Error::new(format_args!("{} is missing: see {INSPECT}", places::CONTAINER)));
    };
    let store = places::store(invocation, given)?;
    match given.value("type") {
        None if store.find(first).is_ok() => {}
        None if image::store(invocation, given)?.find(first).is_ok_and(|found| found.is_some()) => {
            return image::inspect(invocation, given);
        }
        None if Volumes::open(&store.places.home)?.get(first)?.is_some() => {
            return volume::inspect(invocation, given);
        }
        None if network::exists(invocation, given, first)? => return network::inspect(invocation, given),
        None | Some("container") => {}
        Some("image") => return image::inspect(invocation, given),
        Some("volume") => return volume::inspect(invocation, given),
        Some("network") => return network::inspect(invocation, given),
        Some(other) => {
            return Err(Error::new(format_args!(
                "--type {other}: it is none of container, image, volume and network"
            )));
        }
    }
    let size = given.switch("size", false);
    let documents = given.words.iter().map(|word| {
        let mut document = document(&store.find(word)?, &store.path(""))?;
        document.size = if size { Some(system::written(&store, &document.id)?) } else { None };
        Ok(document)
    });
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
    let (path, args) = record
        .command
        .split_first()
        .map_or((String::new(), Vec::new()), |(path, args)| (path.clone(), args.to_vec()));
    let driver = Driver::by_name(&record.log.driver).unwrap_or(Driver::Json);
    let log_path = match driver {
        Driver::None => String::new(),
        driver => format!("{}/{}", entry.directory.file(LOG), driver.file()),
    };
    let host_config = host::host_config(record, &config)?;
    let process = config.process.unwrap_or_default();
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
        host_config,
        mounts: record.mounts.clone(),
        config: Config {
            hostname: config.hostname.unwrap_or_default(),
            domainname: config.domainname.unwrap_or_default(),
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
        size: None,
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
