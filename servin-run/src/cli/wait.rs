//! `servin wait`: until containers end, and how they did.

use super::arguments::{Command, Given};
use super::{Invocation, output, places};
use crate::container::people::Phase;
use crate::error::Result;
use crate::supervise::client::{self, Left};

/// The table's entry.
pub const WAIT: Command = Command {
    name: "servin wait",
    usage: "CONTAINER...",
    about: "Wait until containers end, and print their exit codes.",
    groups: &[],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let store = places::store(invocation, given)?;
    places::each(&WAIT, &given.words, &mut |word| {
        let entry = store.find(word)?;
        let wire = if entry.record.state.phase == Phase::Exited { None } else { client::connect(&entry)? };
        let ended = match wire {
            Some(wire) => client::wait_for_end(&wire, None)?,
            None => None,
        };
        let code = match ended {
            Some(Left::Ended(code)) => code,
            // It has ended meanwhile, or was never started.
            _ => store.find(&entry.record.id)?.record.state.exit_code.unwrap_or(0),
        };
        output::result(code)
    })
}
