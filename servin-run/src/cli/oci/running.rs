//! The commands about a container that is there: `start`, `state`, `kill`.

use linux_raw_sys::general::SIGTERM;

use super::{Session, id, signals};
use crate::cli::arguments::{Command, Group, flag};
use crate::cli::output;
use crate::container::start;
use crate::error::{Error, Result};
use crate::spec::{self, Status};
use crate::sys::signal::SignalSet;

const START: Command = Command {
    name: "servin-run start",
    usage: "ID",
    about: "Let a created container's process execute its program.",
    groups: &[Group("Flags", &[flag("help", Some('h'), None, "print this")])],
    last_word: usize::MAX,
};

const STATE: Command = Command {
    name: "servin-run state",
    usage: "ID",
    about: "Print the state of a container as JSON.",
    groups: &[Group("Flags", &[flag("help", Some('h'), None, "print this")])],
    last_word: usize::MAX,
};

const KILL: Command = Command {
    name: "servin-run kill",
    usage: "[FLAGS] ID [SIGNAL]",
    about: "Send a signal, by name or number (default: TERM), to a container's process.",
    groups: &[Group(
        "Flags",
        &[
            flag("all", Some('a'), None, "send it to all processes of the container"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

const PAUSE: Command = Command {
    name: "servin-run pause",
    usage: "ID",
    about: "Stop all processes of a container, until `resume`.",
    groups: &[Group("Flags", &[flag("help", Some('h'), None, "print this")])],
    last_word: usize::MAX,
};

const RESUME: Command = Command {
    name: "servin-run resume",
    usage: "ID",
    about: "Let the processes of a paused container go on.",
    groups: &[Group("Flags", &[flag("help", Some('h'), None, "print this")])],
    last_word: usize::MAX,
};

/// `pause`.
pub fn pause(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&PAUSE, arguments)? else { return Ok(0) };
    set_frozen(session, id(&PAUSE, &given)?, true).map(|()| 0)
}

/// `resume`.
pub fn resume(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&RESUME, arguments)? else { return Ok(0) };
    set_frozen(session, id(&RESUME, &given)?, false).map(|()| 0)
}

fn set_frozen(session: &Session, id: &str, frozen: bool) -> Result<()> {
    let directory = session.directory(id)?;
    let _lock = directory.lock()?;
    let container = session.container(id)?;
    match (container.status, frozen) {
        (Status::Running | Status::Created, true) | (Status::Paused, false) => {}
        (Status::Stopped, _) => return Err(Error::new("container not running")),
        (status, _) => {
            let word = if frozen { "pause" } else { "resume" };
            return Err(Error::new(format_args!("cannot {word} a container that is {}", status.as_str())));
        }
    }
    let Some(cgroup) = &container.cgroup else {
        return Err(Error::new(format_args!("the container {id} has no cgroup that could be frozen")));
    };
    if frozen { cgroup.freeze() } else { cgroup.thaw() }
}

/// `start`.
pub fn start(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&START, arguments)? else { return Ok(0) };
    let directory = session.directory(id(&START, &given)?)?;
    start::start(directory, output::warning, SignalSet::EMPTY).map(|()| 0)
}

/// `state`.
pub fn state(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&STATE, arguments)? else { return Ok(0) };
    let container = session.container(id(&STATE, &given)?)?;
    output::result(spec::to_json_pretty(&container.state())).map(|()| 0)
}

/// `kill`.
pub fn kill(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(mut given) = session.parse(&KILL, arguments)? else { return Ok(0) };
    let signal = match given.words.len() {
        2 => given.words.pop(),
        _ => None,
    };
    let signal = signal.map_or(Ok(SIGTERM), signals::parse)?;
    let container = session.container(id(&KILL, &given)?)?;
    let all = given.switch("all", false);
    if all {
        // When all have ended there is simply nobody left to be signalled.
        return container.signal_all(signal).map(|()| 0);
    }
    let Some(process) = &container.process else { return Err(Error::new("container not running")) };
    process.signal(signal)?.map(|()| 0).ok_or_else(|| Error::new("container not running"))
}
