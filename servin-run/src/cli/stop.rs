//! `servin stop`, `kill` and `restart`: the ends of containers that people want.

use alloc::boxed::Box;
use alloc::vec::Vec;

use linux_raw_sys::general::{SIGKILL, SIGTERM};

use super::arguments::{Command, Flag, Given, Group, flag};
use super::oci::signals;
use super::{Invocation, output, places, run};
use crate::container::people::{Entry, Phase, Store};
use crate::container::record::Container;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::supervise::client::{self, Left};
use crate::supervise::wire;

/// The table's entry.
pub const STOP: Command = Command {
    name: "servin stop",
    usage: "[FLAGS] CONTAINER...",
    about: "End containers, at first by a signal that they can handle.",
    groups: &[Group("Stop", &[TIME, SIGNAL, ALL])],
    last_word: usize::MAX,
};

/// The table's entry.
pub const RESTART: Command = Command {
    name: "servin restart",
    usage: "[FLAGS] CONTAINER...",
    about: "Stop containers and start them again.",
    groups: &[Group("Restart", &[TIME, SIGNAL, ALL])],
    last_word: usize::MAX,
};

/// The table's entry.
pub const KILL: Command = Command {
    name: "servin kill",
    usage: "[FLAGS] CONTAINER...",
    about: "Send a signal to the first process of containers.",
    groups: &[Group(
        "Kill",
        &[flag("signal", Some('s'), Some("SIGNAL"), "by name or number (default: KILL)"), ALL],
    )],
    last_word: usize::MAX,
};

const TIME: Flag = flag(
    "time",
    Some('t'),
    Some("SECONDS"),
    "when to kill (default: --stop-timeout of run, or 10; -1: never)",
);
const SIGNAL: Flag =
    flag("signal", Some('s'), Some("SIGNAL"), "the first signal (default: --stop-signal of run, or TERM)");
const ALL: Flag = flag("all", Some('a'), None, "all that run");

/// How a container is to be ended.
pub struct Manner {
    /// The first signal.
    pub signal: Option<u32>,
    /// The seconds after which it is killed.
    pub time: Option<i32>,
}

impl Manner {
    fn read(given: &Given) -> Result<Manner> {
        let time = |text: &str| {
            text.parse().map_err(|_| Error::new(format_args!("--time {text}: not a number of seconds")))
        };
        Ok(Manner {
            signal: given.value("signal").map(signals::parse).transpose()?,
            time: given.value("time").map(time).transpose()?,
        })
    }
}

/// `servin stop`.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let manner = Manner::read(given)?;
    for_each(&STOP, invocation, given, &mut |store, word| {
        stop(store, store.find(word)?, &manner)?;
        output::result(word)
    })
}

/// `servin restart`.
pub fn restart(invocation: &Invocation, given: &Given) -> Result<i32> {
    let manner = Manner::read(given)?;
    for_each(&RESTART, invocation, given, &mut |store, word| {
        let mut entry = store.find(word)?;
        let id = entry.record.id.clone();
        if entry.record.remove {
            // Not at this end.
            entry.change(|record| record.remove = false)?;
            stop(store, entry, &manner)?;
            store.find(&id)?.change(|record| record.remove = true)?;
        } else {
            stop(store, entry, &manner)?;
        }
        run::begin(store, &id, None, false)?;
        output::result(word)
    })
}

/// `servin kill`.
pub fn kill(invocation: &Invocation, given: &Given) -> Result<i32> {
    let signal = given.value("signal").map_or(Ok(SIGKILL), signals::parse)?;
    for_each(&KILL, invocation, given, &mut |store, word| {
        let entry = store.find(word)?;
        let not_running = || Error::new(format_args!("the container {word} does not run"));
        if entry.record.state.phase == Phase::Restarting && signal == SIGKILL {
            return stop(store, entry, &Manner { signal: None, time: Some(0) })
                .and_then(|()| output::result(word));
        }
        let wire = if entry.record.state.phase.is_alive() { client::connect(&entry)? } else { None };
        let wire = wire.ok_or_else(not_running)?;
        // That it was killed by a person, its restart policy has to know.
        let letter = if signal == SIGKILL { wire::STOP } else { wire::SIGNAL };
        wire.send(letter, &(signal as i32).to_le_bytes(), false).step(|| "send the signal")?;
        if signal == SIGKILL {
            client::wait_for_end(&wire, None)?;
        }
        output::result(word)
    })
}

fn for_each(
    command: &Command,
    invocation: &Invocation,
    given: &Given,
    act: &mut dyn FnMut(&Store, &str) -> Result<()>,
) -> Result<i32> {
    let store = places::store(invocation, given)?;
    if !given.switch("all", false) {
        return places::each(command, &given.words, &mut |word| act(store, word));
    }
    let entries = store.all()?;
    let alive = entries.iter().filter(|entry| entry.record.state.phase.is_alive());
    let words: Vec<&str> = alive.map(|entry| entry.record.name.as_str()).gather();
    if words.is_empty() { Ok(0) } else { places::each(command, &words, &mut |word| act(store, word)) }
}

/// Ends a container and waits until that was written down. One that does not run is no error.
pub fn stop(store: &Store, entry: Box<Entry>, manner: &Manner) -> Result<()> {
    let record = &entry.record;
    if !record.state.phase.is_alive() {
        return Ok(());
    }
    let Some(wire) = client::connect(&entry)? else { return Ok(()) };
    let signal = manner.signal.or(record.stop_signal).unwrap_or(SIGTERM);
    let time = manner.time.or(record.stop_timeout).unwrap_or(10);
    let say = |signal: u32| {
        wire.send(wire::STOP, &(signal as i32).to_le_bytes(), false)
            .or_else(|errno| if errno == rustix::io::Errno::PIPE { Ok(()) } else { Err(errno) })
            .step(|| "tell the container's supervisor to stop it")
    };
    say(signal)?;
    if record.state.phase == Phase::Paused {
        // What is frozen ends by no signal but SIGKILL.
        let directory = store.runtime()?.find(&record.id)?;
        if let Some(cgroup) =
            directory.map(Container::look).transpose()?.and_then(|container| container.cgroup)
        {
            cgroup.thaw()?;
        }
    }
    let patience = u64::try_from(time).ok().map(|seconds| seconds * 1000);
    let mut left = client::wait_for_end(&wire, patience)?;
    if left.is_none() {
        say(SIGKILL)?;
        left = client::wait_for_end(&wire, None)?;
    }
    if left == Some(Left::Lost) {
        // Cleans what is left of it, if it was not removed.
        let _ = store.find(&record.id);
    }
    Ok(())
}
