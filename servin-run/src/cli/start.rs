//! `servin start`: containers that do not run, and after the host was started those that want to.

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, output, places, run};
use crate::container::people::Entry;
use crate::error::{Error, Result};
use crate::supervise::client::Attach;
use crate::supervise::keys::Keys;
use crate::supervise::policy::Policy;

/// The table's entry.
pub const START: Command = Command {
    name: "servin start",
    usage: "[FLAGS] CONTAINER...",
    about: "Start containers that do not run.",
    groups: &[Group(
        "Start",
        &[
            flag("attach", Some('a'), None, "stay with it until it ends, and print what it prints"),
            flag("interactive", Some('i'), None, "pass standard input on"),
            flag("detach-keys", None, Some("KEYS"), "leave a terminal (default: ctrl-p,ctrl-q)"),
            flag("sig-proxy", None, None, "our signals are the container's (default: true)"),
            flag("all", None, None, "all of them"),
            flag("restart-policy", None, None, "only those whose --restart wants them to run"),
        ],
    )],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let store = places::store(invocation, given)?;
    let (all, by_policy) = (given.switch("all", false), given.switch("restart-policy", false));
    let attach = given.switch("attach", false) || given.switch("interactive", false);
    if all {
        if attach || !given.words.is_empty() {
            return Err(Error::new(format_args!("--all: it takes neither names nor --attach; see {START}")));
        }
        let wants = |entry: &Entry| -> bool {
            let (record, state) = (&entry.record, &entry.record.state);
            let policy = Policy::parse(record.restart.as_deref().unwrap_or_default()).unwrap_or_default();
            let started = state.started.is_some();
            !by_policy || (started && policy.starts_with_the_host(state.exit_code, state.stopped))
        };
        let entries = store.all()?;
        let mut code = 0;
        for entry in entries.iter().filter(|entry| !entry.record.state.phase.is_alive() && wants(entry)) {
            match run::begin(store, &entry.record.id, None, false) {
                Ok(_) => output::result(&entry.record.name)?,
                Err(error) => {
                    output::error(&error.within(&entry.record.name));
                    code = 1;
                }
            }
        }
        return Ok(code);
    }
    if by_policy {
        return Err(Error::new(format_args!("--restart-policy: it needs --all; see {START}")));
    }
    if attach {
        let entry = store.find(given.one(&START, places::CONTAINER)?)?;
        if entry.record.state.phase.is_alive() {
            return Err(Error::new("the container runs already").hint("`servin attach` stays with it"));
        }
        let input = given.switch("interactive", false) && entry.record.input;
        let attach = Attach {
            streams: [true, true, input],
            terminal: entry.record.terminal,
            detach_keys: Keys::read(given.value("detach-keys"))?,
            forwards_signals: given.switch("sig-proxy", true),
        };
        return run::start(store, entry, Some(attach), &run::Start::default());
    }
    places::each(&START, &given.words, &mut |word| {
        let entry = store.find(word)?;
        // As in Docker, that it runs already is no error.
        if !entry.record.state.phase.is_alive() {
            run::begin(store, &entry.record.id, None, false)?;
        }
        output::result(word)
    })
}
