//! The OCI runtime command line, as runc and crun have it: what engines call. Global flags come first, then a
//! command and its own; one file a group of commands below.

mod create;
mod delete;
mod events;
mod exec;
mod globals;
mod list;
mod running;
pub mod signals;
mod spec;
mod update;

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{CWD, Mode, OFlags};

use super::arguments::{Command, Given};
use super::{INIT, Invocation, output, rootless};
use crate::container::directory::{Directory, Root};
use crate::container::record::Container;
use crate::container::{creation, does_not_exist};
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::{close_on_exec_from, require_open};
use crate::launch;
use crate::launch::sealed::Company;
use crate::plan::{Host, Plan};
use crate::supervise::supervisor::Means;
use crate::sys::path::{access, openat};
use globals::Globals;
pub use list::row as process_row;

/// A command's name, what it does, and the function that runs it with the arguments behind its name.
type Entry = (&'static str, &'static str, fn(&Session, &[&str]) -> Result<i32>);

const COMMANDS: &[Entry] = &[
    ("create", "create a container from a bundle; its process waits for start", create::create),
    ("start", "let a created container's process execute its program", running::start),
    ("run", "create and start a container, and wait for it", create::run),
    ("state", "print the state of a container", running::state),
    ("kill", "send a signal to a container", running::kill),
    ("pause", "stop all processes of a container", running::pause),
    ("resume", "let the processes of a paused container go on", running::resume),
    ("update", "change the limits of a container", update::update),
    ("events", "print what a container uses, and when it runs out of memory", events::events),
    ("delete", "remove a container that has ended", delete::delete),
    ("exec", "run one more process in a container", exec::exec),
    ("list", "list the containers", list::list),
    ("ps", "list the processes of a container", list::ps),
    ("spec", "write a configuration to start from", spec::spec),
    ("features", "print what this runtime can do", spec::features),
    ("checkpoint", "not supported", not_supported),
    ("restore", "not supported", not_supported),
];

/// One call of a command.
pub struct Session<'s> {
    invocation: &'s Invocation<'s>,
    globals: Globals<'s>,
}

/// Called by another name than `servin`.
pub fn main(invocation: &Invocation) -> Result<i32> {
    // Before more of this program is in memory than it takes: all of that goes with the execution of the copy. Where
    // this is not possible it is done, or refused, where it is needed.
    if invocation.arguments.iter().any(|word| matches!(*word, "create" | "run")) {
        let _ = invocation.become_sealed(Company::Nobody);
    }
    command(invocation, &invocation.arguments)
}

/// Called as `servin oci`.
pub fn people(invocation: &Invocation, given: &Given) -> Result<i32> {
    command(invocation, &given.words)
}

fn command(invocation: &Invocation, arguments: &[&str]) -> Result<i32> {
    let (globals, words) = Globals::read(invocation, arguments)?;
    let Some((name, arguments)) = words.split_first() else {
        let text = if globals.version { globals::version() } else { help() };
        return output::result(text).map(|()| 0);
    };
    let session = Session { invocation, globals };
    let finished = match COMMANDS.iter().find(|(command, ..)| command == name) {
        Some((.., command)) => command(&session, arguments),
        None if matches!(*name, "help" | "version") => {
            let text = if *name == "help" { help() } else { globals::version() };
            output::result(text).map(|()| 0)
        }
        None => Err(Error::new(format_args!(
            "{name}: there is no such command, see `servin-run --help`; people type `servin {name}`"
        ))),
    };
    finished.inspect_err(|error| session.globals.log_error(error))
}

fn help() -> String {
    let mut text = globals::FLAGS.help();
    text.push_str("\n\nCommands:\n");
    for (name, about, _) in COMMANDS {
        text.push_str(&alloc::format!("  {name:<12} {about}\n"));
    }
    text.push_str("\nPeople type `servin run`.");
    text
}

fn not_supported(_: &Session, _: &[&str]) -> Result<i32> {
    Err(Error::new("checkpoint and restore are not supported"))
}

impl Session<'_> {
    /// Reads a command's flags. `None` when it was the help that was asked for, which is then printed.
    fn parse<'a>(&self, command: &Command, arguments: &[&'a str]) -> Result<Option<Given<'a>>> {
        let given = command.parse(arguments).map_err(|error| match command.name {
            "servin-run run" => error.hint("people type `servin run`"),
            _ => error,
        })?;
        if given.switch("help", false) {
            output::result(command.help())?;
            return Ok(None);
        }
        // Whatever else the caller left open, neither the container nor a copy of ourselves ever sees.
        let kept = number(&given, "preserve-fds")?.unwrap_or(0) + self.listening_descriptors();
        for descriptor in 3..3 + kept {
            require_open(descriptor)
                .map_err(|error| error.within(format_args!("--preserve-fds: the descriptor {descriptor}")))?;
        }
        close_on_exec_from(3 + kept)?;
        Ok(Some(given))
    }

    /// How many sockets a service manager passes on (sd_listen_fds(3)).
    fn listening_descriptors(&self) -> u32 {
        self.invocation.variable("LISTEN_FDS").and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// The directory of all containers, if there is one.
    fn root(&self) -> Result<Option<Root>> {
        Root::open(&self.globals.root)
    }

    fn directory(&self, id: &str) -> Result<Directory> {
        creation::validate_id(id)?;
        let directory = self.root()?.map_or(Ok(None), |root| root.find(id))?;
        directory.ok_or_else(|| does_not_exist(id))
    }

    fn container(&self, id: &str) -> Result<Container> {
        Container::look(self.directory(id)?)
    }
}

/// The only word: the container's id.
fn id<'a>(command: &Command, given: &Given<'a>) -> Result<&'a str> {
    match given.words.as_slice() {
        [id] => Ok(id),
        [] => Err(Error::new(format_args!("the container's ID is missing: see {command}"))),
        [_, word, ..] => Err(Error::new(format_args!("\"{word}\" is one word too many: see {command}"))),
    }
}

/// A flag's number.
fn number(given: &Given, name: &str) -> Result<Option<u32>> {
    let parse = |text: &str| {
        // Far more than a process can have, and no sum overflows.
        let number = text.parse().ok().filter(|number| *number <= 1 << 20);
        number.ok_or_else(|| Error::new(format_args!("--{name} {text}: not a number")))
    };
    given.value(name).map(parse).transpose()
}

/// What a launch is given by every command.
pub fn options(trace: bool) -> launch::Options<'static> {
    launch::Options {
        trace: trace.then_some(output::trace as fn(u32, &str)),
        warn: Some(output::warning),
        init: INIT,
        ..launch::Options::default()
    }
}

/// What a supervisor makes containers with.
pub fn means(trace: bool) -> Means {
    Means {
        trace: trace.then_some(output::trace as fn(u32, &str)),
        warn: output::warning,
        init: INIT,
        host,
        owner: rootless::user_name,
    }
}

/// Prints a plan, a line a step.
pub fn print(plan: &Plan) -> Result<i32> {
    output::result(plan)?;
    Ok(0)
}

/// What the plan must know of this host.
pub fn host(no_pivot: bool) -> Host {
    Host { kcore: access(c"/proc/kcore", rustix::fs::Access::EXISTS).is_ok(), no_pivot }
}

/// The absolute path of a directory, which must be there.
pub fn absolute(path: &str) -> Result<String> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    openat(CWD, path, flags, Mode::empty()).step(|| alloc::format!("open the bundle {path}"))?;
    absolute_or_new(path)
}

/// The absolute path of something that may still have to be made.
pub fn absolute_or_new(path: &str) -> Result<String> {
    if path.starts_with('/') {
        return Ok(path.into());
    }
    let here = rustix::process::getcwd(Vec::new()).step(|| "find the working directory")?;
    let here = here.to_str().map_err(|_| Error::new("the working directory's path is not UTF-8"))?;
    Ok(if path == "." { here.into() } else { alloc::format!("{here}/{path}") })
}
