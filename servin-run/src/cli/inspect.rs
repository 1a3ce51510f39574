//! `servin inspect`: all that is known of containers, with Docker's names.

mod host;
mod networks;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, format as output_format, image, network, places, system, volume};
use crate::container::people::{CONFIG, Entry, HealthCheck, HealthState, LOG, Phase};
use crate::container::view;
use crate::container::volume::{MountPoint, Volumes};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec;
use crate::spec::json::{Encode, Present, written};
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

written! {
    /// A container.
    pub struct Container<'a> {
        /// Its id.
        "Id" => id: &'a str,
        /// When it was created.
        "Created" => created: &'a str,
        /// The program.
        "Path" => path: &'a str,
        /// And its arguments.
        "Args" => args: Present<&'a [String]>,
        /// What has become of it.
        "State" => state: State<'a>,
        /// The image's id.
        "Image" => image: &'a str,
        /// The file of its log.
        "LogPath" => log_path: String,
        /// A slash and its name.
        "Name" => name: String,
        /// How often its restart policy has started it again.
        "RestartCount" => restart_count: u32,
        /// What its files are.
        "Driver" => driver: &'a str,
        /// The operating system.
        "Platform" => platform: &'a str,
        /// What depends on the host.
        "HostConfig" => host_config: host::HostConfig<'a>,
        /// What is mounted.
        "Mounts" => mounts: &'a [MountPoint],
        /// What does not.
        "Config" => config: Config<'a>,
        /// How it is connected.
        "NetworkSettings" => networks: networks::Settings<'a>,
        /// Bytes that it has written, with --size.
        "SizeRw" => size: Option<u64>,
        /// Its bundle: the OCI configuration is in it (not in Docker).
        "Bundle" => bundle: String,
    }

    /// What has become of a container.
    pub struct State<'a> {
        /// In a word.
        "Status" => status: &'a str,
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
        "Error" => error: &'a str,
        /// When it was started.
        "StartedAt" => started_at: &'a str,
        /// When it ended.
        "FinishedAt" => finished_at: &'a str,
        /// Whether it is well.
        "Health" => health: Option<&'a HealthState>,
    }

    /// What does not depend on the host.
    pub struct Config<'a> {
        /// The host name.
        "Hostname" => hostname: &'a str,
        /// The NIS domain name.
        "Domainname" => domainname: &'a str,
        /// Who it runs as.
        "User" => user: String,
        /// It has a terminal.
        "Tty" => tty: bool,
        /// It can be given input.
        "OpenStdin" => open_stdin: bool,
        /// The input ends with the command that started it.
        "StdinOnce" => stdin_once: bool,
        /// The environment.
        "Env" => env: Present<&'a [String]>,
        /// The program and its arguments.
        "Cmd" => cmd: Present<&'a [String]>,
        /// The image as it was named.
        "Image" => image: &'a str,
        /// The working directory.
        "WorkingDir" => working_dir: &'a str,
        /// Notes.
        "Labels" => labels: Present<&'a [(String, String)]>,
        /// The signal of `stop`.
        "StopSignal" => stop_signal: Option<String>,
        /// The seconds that it waits.
        "StopTimeout" => stop_timeout: Option<i32>,
        /// How it is found out whether it is well.
        "Healthcheck" => healthcheck: Option<&'a HealthCheck>,
    }
}

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
    let found = given.words.iter().map(|word| Found::read(store.find(word)?)).gather::<Result<Vec<_>>>()?;
    let containers = store.path("");
    let mut documents = Vec::new();
    for one in &found {
        let mut document = document(one, &containers)?;
        if given.switch("size", false) {
            document.size = Some(system::written(store, document.id)?);
        }
        documents.push(document);
    }
    let documents: Vec<&dyn Encode> = documents.iter().map(|document| document as &dyn Encode).gather();
    output_format::inspect(given, &documents)
}

/// A container with its configuration.
pub struct Found {
    entry: Box<Entry>,
    config: spec::Config,
}

impl Found {
    fn read(entry: Box<Entry>) -> Result<Found> {
        let text = entry.directory.read(CONFIG)?.unwrap_or_default();
        let config = spec::parse(&text, &entry.directory.file(CONFIG))?;
        Ok(Found { entry, config })
    }

    /// The parts that the configuration of every person's container has.
    fn parts(&self) -> Result<(&spec::Process, &spec::Linux)> {
        self.config.process.as_ref().zip(self.config.linux.as_ref()).ok_or_else(|| {
            let file = self.entry.directory.file(CONFIG);
            Error::new(format_args!("{file}: process or linux is missing"))
        })
    }
}

/// All that is known of a container; `containers` is the folder of all, with a slash.
fn document<'a>(found: &'a Found, containers: &str) -> Result<Container<'a>> {
    let Found { entry, config } = found;
    let (process, _) = found.parts()?;
    let record = &entry.record;
    let (path, args) =
        record.command.split_first().map_or(("", &[][..]), |(path, args)| (path.as_str(), args));
    let log_path = match Driver::by_name(&record.log.driver).unwrap_or(Driver::Json) {
        Driver::None => String::new(),
        driver => format!("{}/{}", entry.directory.file(LOG), driver.file()),
    };
    Ok(Container {
        id: &record.id,
        created: &record.created,
        path,
        args: Present(args),
        state: state(entry),
        image: record.image_id.as_deref().unwrap_or_default(),
        log_path,
        name: format!("/{}", record.name),
        restart_count: record.state.restarts,
        driver: if view::upper(config).is_some() { "overlay2" } else { "directory" },
        platform: "linux",
        host_config: host::host_config(found)?,
        mounts: &record.mounts,
        config: Config {
            hostname: config.hostname.as_deref().unwrap_or_default(),
            domainname: config.domainname.as_deref().unwrap_or_default(),
            user: format!("{}:{}", process.user.uid, process.user.gid),
            tty: record.terminal,
            open_stdin: record.input,
            stdin_once: record.input_once,
            env: Present(&process.env),
            cmd: Present(&record.command),
            image: record.image.as_deref().unwrap_or_default(),
            working_dir: &process.cwd,
            labels: Present(&record.labels),
            stop_signal: record.stop_signal.map(|number| number.to_string()),
            stop_timeout: record.stop_timeout,
            healthcheck: record.health.as_ref(),
        },
        networks: networks::settings(record),
        size: None,
        bundle: format!("{containers}{}", record.id),
    })
}

fn state(entry: &Entry) -> State<'_> {
    let state = &entry.record.state;
    const NEVER: &str = "0001-01-01T00:00:00Z";
    State {
        status: state.phase.as_str(),
        running: matches!(state.phase, Phase::Running | Phase::Paused),
        paused: state.phase == Phase::Paused,
        restarting: state.phase == Phase::Restarting,
        oom_killed: state.oom_killed,
        dead: false,
        pid: state.pid.unwrap_or(0),
        exit_code: state.exit_code.unwrap_or(0),
        error: state.error.as_deref().unwrap_or_default(),
        started_at: state.started.as_deref().unwrap_or(NEVER),
        finished_at: state.finished.as_deref().unwrap_or(NEVER),
        health: state.health.as_ref(),
    }
}
