//! `servin rm`: containers that are not wanted any more.

use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general::SIGKILL;

use super::arguments::{Command, Given, Group, flag};
use super::format::Filters;
use super::stop::{Manner, stop};
use super::{Invocation, output, places};
use crate::container::people::Store;
use crate::error::{Error, Result};

/// The table's entry.
pub const RM: Command = Command {
    name: "servin rm",
    usage: "[FLAGS] CONTAINER...",
    about: "Remove containers.",
    groups: &[Group(
        "Remove",
        &[
            flag("force", Some('f'), None, "kill those that run; that one is not there is no error"),
            flag("all", Some('a'), None, "all that do not run, or with --force all"),
            flag("volumes", Some('v'), None, "its nameless volumes too"),
        ],
    )],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let store = places::store(invocation, given)?;
    let (force, volumes) = (given.switch("force", false), given.switch("volumes", false));
    if !given.switch("all", false) {
        return places::each(&RM, &given.words, &mut |word| {
            match store.find(word) {
                // What a killed command has left of it goes, and then its name.
                Err(_) if force => return store.sweep_gone(),
                entry => remove(store, &entry?.record.id, force, volumes)?,
            }
            output::result(word)
        });
    }
    let mut code = 0;
    for entry in store.all()?.iter().filter(|entry| force || !entry.record.state.phase.is_alive()) {
        match remove(store, &entry.record.id, force, volumes) {
            Ok(()) => output::result(&entry.record.name)?,
            // It has ended meanwhile, and was to be removed then.
            Err(_) if store.find(&entry.record.id).is_err() => {}
            Err(error) => {
                output::error(&error);
                code = 1;
            }
        }
    }
    store.sweep_gone().map(|()| code)
}

/// The table's entry.
pub const PRUNE: Command = Command {
    name: "servin container prune",
    usage: "[FLAGS]",
    about: "Remove all containers that do not run.",
    groups: &[Group(
        "Remove",
        &[
            flag("force", Some('f'), None, "do not ask"),
            flag("filter", None, Some("KEY=VALUE"), "only those of a label"),
        ],
    )],
    last_word: usize::MAX,
};

/// `servin container prune`.
pub fn prune(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&PRUNE)?;
    if !output::confirm(given, "This removes all containers that do not run.")? {
        return Ok(1);
    }
    let filters = Filters::read(given, &["label", "label!"])?;
    let removed = unused(places::store(invocation, given)?, &filters)?;
    removed.iter().try_for_each(output::result).map(|()| 0)
}

/// Removes the containers that do not run; their ids.
pub fn unused(store: &Store, filters: &Filters) -> Result<Vec<String>> {
    let mut removed = Vec::new();
    // Listing them has cleaned what killed supervisors left.
    for mut entry in store.all()? {
        if entry.record.state.phase.is_alive() || !filters.admit_labels(&entry.record.labels) {
            continue;
        }
        let Ok(_lock) = entry.reload() else { continue };
        if !entry.record.state.phase.is_alive() {
            store.remove_locked(&entry)?;
            removed.push(entry.record.id.clone());
        }
    }
    store.sweep_gone()?;
    Ok(removed)
}

/// How often one that is started again meanwhile is ended.
const TRIES: u32 = 20;

/// Removes a container. One that runs is ended first with `force`, and otherwise an error; `volumes` removes its nameless
/// volumes too.
pub fn remove(store: &Store, id: &str, force: bool, volumes: bool) -> Result<()> {
    let mut entry = store.find(id)?;
    let name = entry.record.name.clone();
    for _ in 0..TRIES {
        if entry.record.state.phase.is_alive() {
            if !force {
                return Err(Error::new(format_args!("the container {name} runs"))
                    .hint("`servin stop` ends it, and `servin rm --force` ends and removes it"));
            }
            stop(store, entry, &Manner { signal: Some(SIGKILL), time: None })?;
        }
        // One that was to be removed in the end is gone by now.
        let Ok(found) = store.find(id) else { return Ok(()) };
        entry = found;
        let Ok(_lock) = entry.reload() else { return Ok(()) };
        // On a full disk the record may still say what is not true any more.
        if !entry.record.state.phase.is_alive() || !entry.is_supervised()? {
            store.remove_locked(&entry)?;
            return if volumes { store.release_volumes(&entry.record) } else { Ok(()) };
        }
    }
    Err(Error::new(format_args!("the container {name} is started again and again")))
}
