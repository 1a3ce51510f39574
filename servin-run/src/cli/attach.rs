//! `servin attach`: beside a container that runs already.

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, places, run};
use crate::error::{Error, Result, Step};
use crate::supervise::client::{self, Attach};
use crate::supervise::keys::Keys;
use crate::supervise::wire;
use crate::sys::signal::{self, SignalFd, SignalSet};

/// The table's entry.
pub const ATTACH: Command = Command {
    name: "servin attach",
    usage: "[FLAGS] CONTAINER",
    about: "Take part in what a running container reads and prints.",
    groups: &[Group(
        "Attach",
        &[
            flag("detach-keys", None, Some("KEYS"), "leave a terminal (default: ctrl-p,ctrl-q)"),
            flag("no-stdin", None, None, "only listen"),
            flag("sig-proxy", None, None, "our signals are the container's (default: true)"),
        ],
    )],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let word = given.one(&ATTACH, places::CONTAINER)?;
    let store = places::store(invocation, given)?;
    let entry = store.find(word)?;
    let record = &entry.record;
    let attach = Attach {
        streams: [true, true, record.input && !given.switch("no-stdin", false)],
        terminal: record.terminal,
        detach_keys: Keys::read(given.value("detach-keys"))?,
        forwards_signals: given.switch("sig-proxy", true),
    };
    let supervisor = if record.state.phase.is_alive() { client::connect(&entry)? } else { None };
    let Some(supervisor) = supervisor else {
        return Err(Error::new(format_args!("the container {word} does not run"))
            .hint("`servin start --attach` starts it and stays with it"));
    };
    signal::set_mask(SignalSet::ALL).step(|| "block signals")?;
    let signals = SignalFd::new(SignalSet::ALL).step(|| "watch signals")?;
    supervisor.send(wire::ATTACH, &[attach.wants()], false).step(|| "attach to the container")?;
    let left = client::relay(&supervisor, &attach, &signals)?;
    run::finish(store, &entry, left)
}
