//! `help`: the list of commands, made from the table in main.rs.

use crate::{COMMANDS, Result};

pub fn command(_: &[String]) -> Result {
    println!("cargo xtask COMMAND\n");
    for (name, _, about) in COMMANDS {
        println!("  {name:<6} {about}");
    }
    Ok(())
}
