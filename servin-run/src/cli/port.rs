//! `servin port`: where the ports of a container are published.

use super::arguments::{Command, Given};
use super::{Invocation, output, places};
use crate::error::{Error, Result};
use crate::network::{ports, restore};

/// The table's entry.
pub const PORT: Command = Command {
    name: "servin port",
    usage: "CONTAINER [PORT[/PROTOCOL]]",
    about: "List where the ports of a container are published.",
    groups: &[],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let (word, private) = match given.words[..] {
        [word] => (word, None),
        [word, private] => (word, Some(ports::private(private)?)),
        [] => return Err(Error::new(format_args!("{} is missing: see {PORT}", places::CONTAINER))),
        [_, _, third, ..] => {
            return Err(Error::new(format_args!("\"{third}\" is one word too many: see {PORT}")));
        }
    };
    let store = places::store(invocation, given)?;
    restore::check(&store.places.network(Some(&output::warning)))?;
    let entry = store.find(word)?;
    // Of a container that does not run none is published.
    let published = entry.record.attached.as_ref().map_or(&[][..], |attached| &attached.published.ports);
    let lines = ports::listing(published, private.as_ref());
    if let Some(private) = private.filter(|_| lines.is_empty()) {
        let key = ports::key(private.port, private.protocol);
        return Err(Error::new(format_args!(
            "the port {key} of the container {} is not published",
            entry.record.name
        )));
    }
    lines.iter().try_for_each(output::result)?;
    Ok(0)
}
