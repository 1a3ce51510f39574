//! The commands about a container that is there: `start`, `state`, `kill`.

use linux_raw_sys::general::SIGTERM;

use super::{Session, id, signals};
use crate::cli::arguments::{Command, Group, flag};
use crate::cli::output;
use crate::container::start;
use crate::error::{Error, Result};
use crate::spec;
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
    let Some(process) = &container.process else {
        // With --all there is simply nobody left to be signalled.
        return if all { Ok(0) } else { Err(Error::new("container not running")) };
    };
    if all {
        for member in process.family()? {
            member.signal(signal)?;
        }
        return Ok(0);
    }
    process.signal(signal)?.map(|()| 0).ok_or_else(|| Error::new("container not running"))
}
