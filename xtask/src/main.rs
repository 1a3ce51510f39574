//! The project's own commands: `cargo xtask help` lists them. Each command is one file; rules that the project
//! cares about are commands that fail.

mod bench;
mod build;
mod command;
mod debian;
mod dist;
mod elf;
mod fuzz;
mod help;
mod lint;
mod qemu;
mod run;
mod size;
mod soak;
mod test;
mod workspace;

use std::process::ExitCode;

/// Every failure ends in one line that a person reads, so the error is that line.
type Result<T = ()> = std::result::Result<T, String>;

/// Name, what it does with the arguments behind the name, and its lines in the help.
type Entry = (&'static str, fn(&[String]) -> Result, &'static str);

#[rustfmt::skip]
const COMMANDS: &[Entry] = &[
    ("build", build::command, "release artifacts for this host in target/dist: servin-run, servin-init, servin"),
    ("dist",  dist::command,  "the four musl targets with checksums in target/dist/TARGET; --check runs them under QEMU"),
    ("run",   run::command,   "run -- ARGS: build, then run `servin ARGS`"),
    ("test",  test::command,  "test [unit|host|qemu|engines][/PROGRAM] [-- FILTER]: without a name all of them"),
    ("bench", bench::command, "bench NAME [--rounds N] [--markdown] [--only NAME,…]: Servin beside its peers; without a name their list"),
    ("fuzz",  fuzz::command,  "fuzz [TARGET …] [--seconds N]: LLVM's fuzzer on what reads strangers' data"),
    ("soak",  soak::command,  "soak [--seconds N]: containers come and go, processes of ours are killed at random; nothing is left"),
    ("size",  size::command,  "sizes of the artifacts; fails past the budgets"),
    ("lint",  lint::command,  "format, clippy and the house rules"),
    ("help",  help::command,  "this list"),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (name.as_str(), rest),
        None => ("help", [].as_slice()),
    };
    let name = if matches!(name, "--help" | "-h") { "help" } else { name };
    let outcome = match COMMANDS.iter().find(|(known, ..)| *known == name) {
        Some((_, command, _)) => command(rest),
        None => Err(format!("there is no command {name}: `cargo xtask help` lists them")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
