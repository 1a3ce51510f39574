//! `soak`: the test of random kills (tests/tests/soak.rs) for as long as one likes.

use std::process::Command;

use crate::{Result, command};

/// Ten minutes.
const SECONDS: u64 = 600;
/// What the tests' own limit is long enough for.
const ORDINARY: u64 = 120;

pub fn command(arguments: &[String]) -> Result {
    let seconds: u64 = match arguments {
        [] => SECONDS,
        [flag, value] if flag == "--seconds" => value.parse().map_err(|_| "--seconds needs a number")?,
        _ => return Err("soak takes --seconds N alone; SERVIN_SOAK_SEED repeats a run".to_owned()),
    };
    let own = std::env::current_exe().map_err(|e| format!("where is this program? {e}"))?;
    let mut test = Command::new(own);
    test.args(["test", "host/soak"]).env("SERVIN_SOAK_SECONDS", seconds.to_string());
    test.env("SERVIN_PATIENCE", (1 + seconds / ORDINARY).to_string());
    command::run(&mut test)
}
