//! `exec`: one more process in a container.

use alloc::boxed::Box;
use alloc::string::ToString;

use super::create::check_console;
use super::{Session, options};
use crate::cli::arguments::{Command, Given, Group, flag};
use crate::container::enter::{self, Request};
use crate::container::record::load_config;
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::launch::sealed::Company;
use crate::plan::capabilities::CapabilitySet;
use crate::spec::{self, Process};
use crate::supervise::foreground;

const EXEC: Command = Command {
    name: "servin-run exec",
    usage: "[FLAGS] ID PROGRAM [ARGUMENTS]",
    about: "Run one more process in a container, as its own process is unless said otherwise.",
    groups: &[
        Group(
            "Process",
            &[
                flag("process", Some('p'), Some("FILE"), "all about it, as JSON"),
                flag("tty", Some('t'), None, "give it a terminal"),
                flag("user", Some('u'), Some("UID[:GID]"), "who it runs as"),
                flag("additional-gids", Some('g'), Some("GID"), "a supplementary group"),
                flag("env", Some('e'), Some("KEY=VALUE"), "set a variable"),
                flag("cwd", None, Some("DIR"), "working directory"),
                flag("cap", Some('c'), Some("NAME"), "add a capability"),
                flag("no-new-privs", None, None, "let execve add no privileges"),
                flag("apparmor", None, Some("PROFILE"), "AppArmor profile"),
                flag("process-label", None, Some("LABEL"), "SELinux label"),
            ],
        ),
        Group(
            "Running",
            &[
                flag("detach", Some('d'), None, "return when the program has been executed"),
                flag("console-socket", None, Some("SOCKET"), "send the terminal's master side there"),
                flag("pid-file", None, Some("FILE"), "write the pid there"),
                flag("preserve-fds", None, Some("N"), "pass N more descriptors than three on"),
                flag("cgroup", None, Some("PATH"), "a cgroup below the container's to run in"),
                flag("ignore-paused", None, None, "wait with a paused container"),
                flag("no-subreaper", None, None, "accepted: orphans are never ours"),
                flag("help", Some('h'), None, "print this"),
            ],
        ),
    ],
    last_word: 2,
};

/// Runs the command.
pub fn exec(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&EXEC, arguments)? else { return Ok(0) };
    let Some((id, program)) = given.words.split_first() else {
        return Err(Error::new(format_args!("the container's ID is missing: see {EXEC}")));
    };
    session.invocation.become_sealed(Company::Strangers)?;
    let container = session.container(id)?;
    let process = match given.value("process") {
        Some(path) => spec::parse(&read_text(path)?, path)?,
        None => process(load_config(&container.directory)?, &given, program)?,
    };
    let detach = given.switch("detach", false);
    let console_socket = given.value("console-socket");
    check_console(process.terminal.unwrap_or(false), console_socket, detach)?;
    let request = Request {
        process,
        pid_file: given.value("pid-file"),
        console_socket,
        ignore_paused: given.switch("ignore-paused", false),
        cgroup: given.value("cgroup"),
        unfiltered: false,
        tools: None,
    };
    let mut options = options(false);
    options.keyring = Some(alloc::format!("_ses.{id}"));
    let running = enter::enter(&container, &request, options)?;
    if detach {
        return Ok(0);
    }
    foreground::attend(running, true, None)
}

/// The container's own process with the changes that the flags ask for.
fn process(mut config: Box<spec::Config>, given: &Given, program: &[&str]) -> Result<Process> {
    if program.is_empty() {
        return Err(Error::new(format_args!("a program to run is missing: see {EXEC}")));
    }
    let mut process = config.process.take().unwrap_or_default();
    process.args = program.iter().map(ToString::to_string).gather();
    process.terminal = Some(given.switch("tty", false));
    process.env.extend(given.values("env").map(ToString::to_string));
    if let Some(cwd) = given.value("cwd") {
        process.cwd = cwd.into();
    }
    if let Some(user) = given.value("user") {
        let (uid, gid) = user.split_once(':').map_or((user, None), |(uid, gid)| (uid, Some(gid)));
        process.user.uid = id("user", uid)?;
        process.user.gid = gid.map_or(Ok(process.user.gid), |gid| id("user", gid))?;
    }
    for gid in given.values("additional-gids") {
        process.user.additional_gids.push(id("additional-gids", gid)?);
    }
    let capabilities = process.capabilities.get_or_insert_default();
    for name in given.values("cap") {
        if name.strip_prefix("CAP_").and_then(CapabilitySet::by_name).is_none() {
            return Err(Error::new(format_args!("--cap {name}: there is no such capability")));
        }
        // What runc does: all sets but the inheritable one, and ambient only with that.
        for set in [&mut capabilities.bounding, &mut capabilities.effective, &mut capabilities.permitted] {
            if !set.iter().any(|known| known == name) {
                set.push(name.into());
            }
        }
    }
    if given.switch("no-new-privs", false) {
        process.no_new_privileges = Some(true);
    }
    if let Some(profile) = given.value("apparmor") {
        process.apparmor_profile = Some(profile.into());
    }
    if let Some(label) = given.value("process-label") {
        process.selinux_label = Some(label.into());
    }
    Ok(process)
}

fn id(flag: &str, text: &str) -> Result<u32> {
    text.parse().map_err(|_| Error::new(format_args!("--{flag} {text}: not a number")))
}
