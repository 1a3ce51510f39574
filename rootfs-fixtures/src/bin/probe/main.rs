//! What a process inside a container sees and may do, told in words that a test can compare: `probe report`
//! prints one JSON document; the other commands each try one thing and say how it went.
#![no_main]

mod act;
mod attack;
mod names;
mod refuse;
mod report;
mod sys;
mod talk;
mod wait;

use std::io::Write;

/// A command: its name, its arguments in words, what carries it out. The number is the exit code.
struct Command {
    name: &'static str,
    arguments: &'static str,
    run: fn(&[String]) -> i32,
}

#[rustfmt::skip]
const COMMANDS: &[Command] = &[
    Command { name: "report",         arguments: "",                                 run: report::report },
    // Ends.
    Command { name: "exit",           arguments: "CODE",                             run: act::exit },
    Command { name: "signal-self",    arguments: "NUMBER",                           run: act::signal_self },
    // Tries, and prints a line `ok` or `ENOENT` for each argument.
    Command { name: "try-read",       arguments: "PATH…",                            run: act::try_read },
    Command { name: "try-write",      arguments: "PATH…",                            run: act::try_write },
    Command { name: "try-create",     arguments: "PATH…",                            run: act::try_create },
    Command { name: "try-execute",    arguments: "PATH…",                            run: act::try_execute },
    Command { name: "try-mknod",      arguments: "PATH",                             run: act::try_mknod },
    Command { name: "mount-attempts", arguments: "",                                 run: attack::mounts },
    Command { name: "overwrite",      arguments: "PATH…",                            run: attack::overwrite },
    Command { name: "steal",          arguments: "",                                 run: attack::steal },
    Command { name: "escape-cwd",     arguments: "MARKER",                           run: attack::escape_cwd },
    Command { name: "escape-chroot",  arguments: "MARKER",                           run: attack::escape_chroot },
    Command { name: "exchange",       arguments: "PATH PATH",                        run: attack::exchange },
    // Reads and writes.
    Command { name: "read",           arguments: "PATH",                             run: act::read },
    Command { name: "write",          arguments: "PATH TEXT",                        run: act::write },
    Command { name: "stat",           arguments: "PATH…",                            run: report::stat },
    Command { name: "list",           arguments: "PATH",                             run: act::list },
    Command { name: "say",            arguments: "OUT ERR",                          run: act::say_both },
    // Stays.
    Command { name: "sleep",          arguments: "[SECONDS]",                        run: wait::sleep },
    Command { name: "namespaces",     arguments: "KIND[,KIND…]",                     run: wait::namespaces },
    Command { name: "trap",           arguments: "COUNT",                            run: wait::trap },
    Command { name: "orphans",        arguments: "COUNT [SECONDS]",                  run: wait::orphans },
    Command { name: "echo-tty",       arguments: "",                                 run: wait::echo_terminal },
    Command { name: "children",       arguments: "",                                 run: wait::children },
    // Talks.
    Command { name: "answer",         arguments: "NAME PORT[/udp|/sctp]…",           run: talk::answer },
    Command { name: "ask",            arguments: "tcp|udp|sctp ADDRESS:PORT [OWN-PORT]", run: talk::ask },
    // Runs something else.
    Command { name: "refuse",         arguments: "CALL[,CALL…] [--errno NAME] -- PROGRAM…", run: refuse::refuse },
    Command { name: "both",           arguments: "COMMAND… , COMMAND…",              run: both },
];

/// Every command's answer goes to standard output, or nowhere if nobody listens any more.
fn say(line: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// What the entry point runs.
fn run() -> i32 {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
    command(&arguments)
}

fn command(arguments: &[String]) -> i32 {
    let found = arguments.split_first().and_then(|(name, rest)| {
        COMMANDS.iter().find(|command| command.name == name).map(|command| (command, rest))
    });
    match found {
        Some((command, rest)) => (command.run)(rest),
        None => {
            eprintln!("usage: probe COMMAND");
            COMMANDS.iter().for_each(|command| eprintln!("  {} {}", command.name, command.arguments));
            2
        }
    }
}

/// Several commands one after the other; the last one's code.
fn both(arguments: &[String]) -> i32 {
    arguments.split(|word| word == ",").fold(2, |_, words| command(words))
}

/// An argument as a number.
fn number(arguments: &[String], at: usize) -> Option<i64> {
    arguments.get(at).and_then(|word| word.parse().ok())
}
