//! `servin pause` and `unpause`, and `rename`: small changes of containers.

use super::arguments::{Command, Given};
use super::{Invocation, output, places};
use crate::container::people::{Phase, Store};
use crate::container::record::Container;
use crate::error::{Error, Result};

/// The table's entry.
pub const PAUSE: Command = Command {
    name: "servin pause",
    usage: "CONTAINER...",
    about: "Stop all processes of containers, until `servin unpause`.",
    groups: &[],
    last_word: usize::MAX,
};

/// The table's entry.
pub const UNPAUSE: Command = Command {
    name: "servin unpause",
    usage: "CONTAINER...",
    about: "Let the processes of paused containers go on.",
    groups: &[],
    last_word: usize::MAX,
};

/// The table's entry.
pub const RENAME: Command = Command {
    name: "servin rename",
    usage: "CONTAINER NAME",
    about: "Give a container another name.",
    groups: &[],
    last_word: usize::MAX,
};

/// `servin pause`.
pub fn pause(invocation: &Invocation, given: &Given) -> Result<i32> {
    set_frozen(&PAUSE, invocation, given, true)
}

/// `servin unpause`.
pub fn unpause(invocation: &Invocation, given: &Given) -> Result<i32> {
    set_frozen(&UNPAUSE, invocation, given, false)
}

/// `servin rename`.
pub fn rename(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&RENAME, "the container or its new name", 2, 2)?;
    places::store(invocation, given)?.rename(given.words[0], given.words[1]).map(|()| 0)
}

fn set_frozen(command: &Command, invocation: &Invocation, given: &Given, frozen: bool) -> Result<i32> {
    let store = places::store(invocation, given)?;
    places::each(command, &given.words, &mut |word| {
        freeze(store, word, frozen)?;
        output::result(word)
    })
}

fn freeze(store: &Store, word: &str, frozen: bool) -> Result<()> {
    let mut entry = store.find(word)?;
    let _lock = entry.reload()?;
    match (entry.record.state.phase, frozen) {
        (Phase::Running, true) | (Phase::Paused, false) => {}
        (Phase::Paused, true) => {
            return Err(Error::new(format_args!("the container {word} is paused already")));
        }
        (Phase::Running, false) => {
            return Err(Error::new(format_args!("the container {word} is not paused")));
        }
        _ => return Err(Error::new(format_args!("the container {word} does not run"))),
    }
    let directory = store.runtime()?.find(&entry.record.id)?;
    let cgroup = directory.map(Container::look).transpose()?.and_then(|container| container.cgroup);
    let Some(cgroup) = cgroup else {
        return Err(Error::new(format_args!("the container {word} has no cgroup that could be frozen")));
    };
    if frozen {
        cgroup.freeze()?
    } else {
        cgroup.thaw()?
    }
    entry.record.state.phase = if frozen { Phase::Paused } else { Phase::Running };
    entry.save()
}
