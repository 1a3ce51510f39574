//! `delete`.

use super::{Session, id};
use crate::cli::arguments::{Command, Group, flag};
use crate::cli::output;
use crate::container::{creation, removal};
use crate::error::Result;

const DELETE: Command = Command {
    name: "servin-run delete",
    usage: "[FLAGS] ID",
    about: "Remove a container that has ended, and everything that is left of it.",
    groups: &[Group(
        "Flags",
        &[
            flag("force", Some('f'), None, "end it first; an unknown container is no error"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn delete(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&DELETE, arguments)? else { return Ok(0) };
    let id = id(&DELETE, &given)?;
    creation::validate_id(id)?;
    removal::delete(session.root()?.as_ref(), id, given.switch("force", false), output::warning).map(|()| 0)
}
