//! The terminal: which of the three descriptors are one, its name, its size, whose it is.

use serde_json::{Value, json};

use crate::sys;

/// What descriptor 0 says of its terminal, and whether 0, 1 and 2 are one.
pub fn seen() -> Value {
    let terminals = [0, 1, 2].map(sys::is_terminal);
    let owner = sys::terminal_owner(0).ok();
    json!({
        "descriptors": terminals,
        "name": sys::terminal_name(0).ok(),
        "size": sys::window_size(0).ok().filter(|_| terminals[0]),
        "controlling": owner.map(|[session, _]| session == sys::pids()[3]),
        "foreground": owner.map(|[_, group]| group == sys::pids()[2]),
        "echo": sys::terminal_flags(0).ok().map(|flags| flags & libc::ECHO != 0),
        "canonical": sys::terminal_flags(0).ok().map(|flags| flags & libc::ICANON != 0),
    })
}
