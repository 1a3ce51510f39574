//! `servin …`: for people.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Invocation, check, oci, output, run};
use crate::error::{Error, Result};
use crate::fs::descriptors::close_on_exec_from;

/// A command's name, what it does, and the function that runs it with the arguments behind its name.
type Entry = (&'static str, &'static str, fn(&Invocation, &[&str]) -> Result<i32>);

const COMMANDS: &[Entry] = &[
    ("run", "run a program in a container", run::main),
    ("check", "report what this host offers to containers", check::main),
    ("oci", "speak the OCI runtime command line", oci::command),
    ("version", "print the version", version),
];

/// Finds the command and runs it.
pub fn main(invocation: &Invocation) -> Result<i32> {
    let Some((name, arguments)) = invocation.arguments.split_first() else {
        output::result(help())?;
        return Ok(1);
    };
    if *name != "oci" {
        // Whatever else the caller left open, the container never sees.
        close_on_exec_from(3)?;
    }
    match *name {
        "help" | "--help" | "-h" => output::result(help()).map(|()| 0),
        "--version" | "-v" => version(invocation, arguments),
        _ => match COMMANDS.iter().find(|(command, ..)| command == name) {
            Some((.., command)) => command(invocation, arguments),
            None => Err(Error::new(format_args!("there is no command {name}: {}", names()))),
        },
    }
}

/// What could have been meant.
fn names() -> String {
    let names: Vec<&str> = COMMANDS.iter().map(|(name, ..)| *name).collect();
    alloc::format!("there are {}; `servin help` says more", names.join(", "))
}

fn help() -> String {
    let mut text = String::from("Servin runs containers.\n\nusage: servin COMMAND [FLAGS]\n\n");
    for (name, about, _) in COMMANDS {
        text.push_str(&alloc::format!("  {name:<10} {about}\n"));
    }
    text.push_str("\n`servin run --help` and the like say more.");
    text
}

fn version(_: &Invocation, _: &[&str]) -> Result<i32> {
    output::result(format_args!("servin version {}", env!("CARGO_PKG_VERSION"))).map(|()| 0)
}
