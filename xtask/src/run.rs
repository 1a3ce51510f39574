//! `run -- ARGS`: builds, then becomes `servin ARGS`.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::{Result, build, workspace};

pub fn command(arguments: &[String]) -> Result {
    let arguments = match arguments.split_first() {
        Some((first, rest)) if first == "--" => rest,
        _ => arguments,
    };
    build::build()?;
    let servin = workspace::dist().join("servin");
    // Only a failed exec returns.
    let error = Command::new(&servin).args(arguments).exec();
    Err(format!("{}: {error}", servin.display()))
}
