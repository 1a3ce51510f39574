//! The signals as the program was started with them.

use serde_json::{Value, json};

use crate::sys;

/// Adds the numbers of what is blocked, ignored and caught.
pub fn add(seen: &mut Value) {
    seen["signals"] = json!({
        "blocked": sys::blocked_signals(),
        "ignored": sys::signals_with(Some(libc::SIG_IGN)),
        "caught": sys::signals_with(None),
    });
}
