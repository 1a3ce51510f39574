//! What the commands about containers have in common: where those are, and one after the other.

use alloc::boxed::Box;

use super::arguments::{Command, Given};
use super::{Invocation, output};
use crate::container::people::{Places, Store};
use crate::error::{Error, Result};

/// What is said to be missing.
pub const CONTAINER: &str = "the container's name or ID";

/// The containers. There is one store a command, which is there until the command ends.
pub fn store(invocation: &Invocation, given: &Given) -> Result<&'static Store> {
    let places = Places { home: invocation.home(given)?, root: invocation.root(given)? };
    Store::open(places).map(|store| &*Box::leak(Box::new(store)))
}

/// Does something for each of several containers: what fails for one is said, and the others have their turn.
pub fn each(command: &Command, words: &[&str], act: &mut dyn FnMut(&str) -> Result<()>) -> Result<i32> {
    if words.is_empty() {
        return Err(Error::new(format_args!("{CONTAINER} is missing: see {command}")));
    }
    let mut code = 0;
    for word in words {
        if let Err(error) = act(word) {
            output::error(&error);
            code = 1;
        }
    }
    Ok(code)
}
