//! `servin exec`: one more program in a container that runs.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags};

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, oci, places, run, user};
use crate::container::enter::{self, Request};
use crate::container::people::Phase;
use crate::container::record::{Container, load_config};
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::{stderr, stdout};
use crate::gather::Gather as _;
use crate::launch::program::DEFAULT_PATH;
use crate::launch::sealed::Company;
use crate::launch::{self, tools};
use crate::plan::capabilities::CapabilitySet;
use crate::spec;
use crate::supervise::foreground::{self, Aside};
use crate::supervise::keys::Keys;
use crate::sys::path::openat;

/// The table's entry.
pub const EXEC: Command = Command {
    name: "servin exec",
    usage: "[FLAGS] CONTAINER PROGRAM [ARGUMENTS]",
    about: "Run one more program in a container that runs.",
    groups: &[
        Group(
            "Process",
            &[
                flag("env", Some('e'), Some("KEY[=VALUE]"), "set a variable, or pass ours on"),
                flag("env-file", None, Some("FILE"), "variables, one a line"),
                flag("workdir", Some('w'), Some("DIR"), "working directory"),
                flag("user", Some('u'), Some("USER[:GROUP]"), "names or numbers"),
                flag("privileged", None, None, "with all capabilities and without a filter"),
                flag(
                    "with",
                    None,
                    Some("DIR|IMAGE|host"),
                    "run a tool from there; the container's files are below /container",
                ),
            ],
        ),
        Group(
            "Input and output",
            &[
                flag("interactive", Some('i'), None, "pass standard input on"),
                flag("tty", Some('t'), None, "give it a terminal"),
                flag("detach", Some('d'), None, "leave it alone"),
                flag("detach-keys", None, Some("KEYS"), "leave its terminal (default: ctrl-p,ctrl-q)"),
            ],
        ),
    ],
    last_word: 2,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let Some((word, program)) = given.words.split_first() else {
        return Err(Error::new(format_args!("{} is missing: see {EXEC}", places::CONTAINER)));
    };
    if program.is_empty() {
        return Err(Error::new(format_args!("a program to run is missing: see {EXEC}")));
    }
    invocation.become_sealed(Company::Strangers)?;
    let store = places::store(invocation, given)?;
    let entry = store.find(word)?;
    let directory = match entry.record.state.phase {
        Phase::Running => store.runtime()?.find(&entry.record.id)?,
        Phase::Paused => {
            return Err(Error::new(format_args!("the container {word} is paused"))
                .hint("`servin unpause` lets it go on"));
        }
        _ => None,
    };
    let not_running = || Error::new(format_args!("the container {word} does not run"));
    let container = Container::look(directory.ok_or_else(not_running)?)?;
    let pid = container.process.as_ref().ok_or_else(not_running)?.pid;
    let detach = given.switch("detach", false);
    let mut config = load_config(&container.directory)?;
    let privileged = given.switch("privileged", false);
    let mut process = config.process.take().unwrap_or_default();
    process.args = program.iter().map(ToString::to_string).gather();
    // A terminal that nobody holds would be hung up.
    process.terminal = Some(given.switch("tty", false) && !detach);
    if let Some(wanted) = given.value("user") {
        let found = user::resolve(&[format!("/proc/{pid}/root")], wanted)?;
        // Not what root may do, for another user.
        if let Some(capabilities) = process.capabilities.as_mut().filter(|_| found.user.uid != 0) {
            capabilities.effective.clear();
            capabilities.permitted.clear();
        }
        set(&mut process.env, "HOME", &found.home);
        process.user = found.user;
    }
    if process.terminal == Some(true) && !process.env.iter().any(|line| line.starts_with("TERM=")) {
        process.env.push("TERM=xterm".into());
    }
    let tools = given.value("with").map(|word| run::tools(invocation, given, word)).transpose()?;
    if tools.is_some() {
        beside_tools(&mut process);
    }
    run::add_variables(invocation, given, &mut process.env)?;
    if let Some(cwd) = given.value("workdir") {
        if !cwd.starts_with('/') {
            return Err(Error::new(format_args!("--workdir {cwd}: the path must be absolute")));
        }
        process.cwd = cwd.into();
    }
    if privileged {
        let all: Vec<String> = CapabilitySet::ALL.names().map(|name| format!("CAP_{name}")).gather();
        let held = if process.user.uid == 0 { all.clone() } else { Vec::new() };
        process.capabilities = Some(spec::Capabilities {
            bounding: all,
            effective: held.clone(),
            permitted: held,
            ..spec::Capabilities::default()
        });
        process.no_new_privileges = None;
        process.apparmor_profile = None;
    }
    let terminal = process.terminal == Some(true);
    let request = Request {
        process,
        pid_file: None,
        console_socket: None,
        ignore_paused: false,
        cgroup: None,
        unfiltered: privileged,
        tools,
    };
    let input = given.switch("interactive", false) && !detach;
    let keys = Keys::read(given.value("detach-keys"))?;
    let leave = match terminal && input {
        false => None,
        true => match foreground::stand_aside(keys)? {
            Aside::Caller(code) => return Ok(code),
            Aside::Other(leave) => Some(leave),
        },
    };
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    let null = openat(CWD, c"/dev/null", flags, Mode::empty()).step(|| "open /dev/null")?;
    let nothing = null.as_fd();
    let stdio = match (terminal, detach, input) {
        (true, ..) | (_, false, true) => None,
        (_, true, _) => Some([nothing, nothing, nothing]),
        (_, false, false) => Some([nothing, stdout(), stderr()]),
    };
    let options = launch::Options { stdio, orphan: detach, die_with_us: !detach, ..oci::options(false) };
    let running = enter::enter(&container, &request, options)?;
    // Of a program that is left alone, the process that has started it: until it was waited for, it belongs to the
    // container.
    foreground::attend(running, input, leave)
}

/// A tool is looked for among the tools, with their own libraries, and starts where the container's programs do.
fn beside_tools(process: &mut spec::Process) {
    process.env.retain(|line| !line.starts_with("LD_"));
    set(&mut process.env, "PATH", &[DEFAULT_PATH, ":", tools::TOOLS].concat());
    process.cwd = [tools::CONTAINER, &process.cwd].concat();
}

/// Sets a variable.
fn set(env: &mut Vec<String>, name: &str, value: &str) {
    env.retain(|line| line.split('=').next() != Some(name));
    env.push(format!("{name}={value}"));
}
