//! `servin version`.

use super::arguments::{Command, Given};
use super::{Invocation, output};
use crate::error::Result;

/// The command.
pub const VERSION: Command = Command {
    name: "servin version",
    usage: "[FLAGS]",
    about: "Print the version.",
    groups: &[],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(_: &Invocation, given: &Given) -> Result<i32> {
    given.none(&VERSION)?;
    output::result(format_args!("servin version {}", env!("CARGO_PKG_VERSION"))).map(|()| 0)
}
