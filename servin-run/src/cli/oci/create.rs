//! `create` and `run`: from a bundle to a process.

use super::{Session, absolute, host, id, options, print};
use crate::cli::arguments::{Command, Flag, Given, Group, flag};
use crate::cli::output;
use crate::cli::rootless::user_name;
use crate::container::creation::{self, Created, Request};
use crate::container::directory::{MOVES_ROOT, Root};
use crate::container::removal;
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::launch::clock::Clock;
use crate::launch::sealed::Company;
use crate::plan::{self, Plan};
use crate::spec::{self, Config, NamespaceKind};
use crate::supervise::foreground;

const FLAGS: &[Flag] = &[
    flag("bundle", Some('b'), Some("DIR"), "the directory of config.json (default: here)"),
    flag("console-socket", None, Some("SOCKET"), "send the terminal's master side there"),
    flag("pid-file", None, Some("FILE"), "write the pid there"),
    flag("preserve-fds", None, Some("N"), "pass N more descriptors than three on"),
    flag("no-pivot", None, None, "move the root instead of pivot_root, for an initramfs"),
    flag("no-new-keyring", None, None, "share our session keyring"),
    flag("plan", None, None, "print what would be done, and do nothing"),
    flag("trace", None, None, "print each step with its microseconds"),
    flag("help", Some('h'), None, "print this"),
];

const CREATE: Command = Command {
    name: "servin-run create",
    usage: "[FLAGS] ID",
    about: "Create a container from a bundle; its process waits for `start`.",
    groups: &[Group("Flags", FLAGS)],
    last_word: usize::MAX,
};

const RUN: Command = Command {
    name: "servin-run run",
    usage: "[FLAGS] ID",
    about: "Create and start a container from a bundle, and wait for its process.",
    groups: &[
        Group(
            "Running",
            &[
                flag("detach", Some('d'), None, "return when the program has been executed"),
                flag("keep", None, None, "do not delete the container when it has ended"),
                flag("no-subreaper", None, None, "accepted: orphans are never ours"),
            ],
        ),
        Group("Flags", FLAGS),
    ],
    last_word: usize::MAX,
};

/// `create`.
pub fn create(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&CREATE, arguments)? else { return Ok(0) };
    let id = id(&CREATE, &given)?;
    make(session, &given, id, true, true).map(|_| 0)
}

/// `run`.
pub fn run(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&RUN, arguments)? else { return Ok(0) };
    let id = id(&RUN, &given)?;
    let detach = given.switch("detach", false);
    let Some((created, plan)) = make(session, &given, id, false, detach)? else { return Ok(0) };
    match detach {
        true => Ok(0),
        false => attend(created, &plan, given.switch("keep", false), true),
    }
}

/// Stays with a container until its end, and removes what is left of it unless that is to be kept.
fn attend(created: Created, plan: &Plan, keep: bool, input: bool) -> Result<i32> {
    let Created { directory, lock, running, record, state } = created;
    drop(lock);
    let code = foreground::attend(running, input, None);
    let warn = |error: Error| output::warning(&alloc::format!("{error}"));
    if record.was_killed_for_memory().unwrap_or(false) {
        output::warning("the kernel has killed in the container because it was out of memory (memory.max)");
    }
    // Somebody else may have deleted it meanwhile.
    if !keep && let Ok(_lock) = directory.lock() {
        let poststop = &plan.hooks.poststop;
        removal::clean_up(&directory, &record, poststop, state, Some(output::warning)).unwrap_or_else(warn);
    }
    code
}

/// What both do; `None` when only the plan was asked for, which is then printed.
fn make(
    session: &Session,
    given: &Given,
    id: &str,
    wait: bool,
    detach: bool,
) -> Result<Option<(Created, Plan)>> {
    creation::validate_id(id)?;
    let only_plan = given.switch("plan", false);
    let bundle = absolute(given.value("bundle").unwrap_or("."))?;
    let text = read_text(&alloc::format!("{bundle}/config.json"))?;
    let mut config: Config = spec::parse(&text, "config.json")?;
    if !only_plan {
        session.invocation.become_sealed(company(&config))?;
    }
    pass_sockets_on(session, &mut config);
    let mut options = options(given.switch("trace", false));
    let clock = Clock::start(options.trace.is_some());
    let plan = plan::plan(&config, &bundle, host(given.switch("no-pivot", false)))
        .map_err(|error| error.within("config.json"))?;
    if let (Some(trace), Some(micros)) = (options.trace, clock.micros()) {
        trace(micros, "make the plan");
    }
    if only_plan {
        return print(&plan).map(|_| None);
    }
    let console_socket = given.value("console-socket");
    check_console(plan.process.terminal.is_some(), console_socket, detach)?;
    let request = Request {
        id,
        bundle: &bundle,
        text: &text,
        config: &config,
        plan: &plan,
        owner: user_name(),
        pid_file: given.value("pid-file"),
        console_socket,
        wait,
        manager: session.globals.manager.clone(),
        born: None,
        ready: None,
    };
    let keyring = (!given.switch("no-new-keyring", false)).then(|| alloc::format!("_ses.{id}"));
    options.keyring = keyring;
    let root = Root::make(&session.globals.root, MOVES_ROOT)?;
    let created = creation::create(&root, &request, options)?;
    Ok(Some((created, plan)))
}

/// With a PID namespace of its own a container has no processes before its program.
fn company(config: &Config) -> Company {
    let namespaces = config.linux.iter().flat_map(|linux| &linux.namespaces);
    let mut pid = namespaces.filter(|namespace| namespace.kind == NamespaceKind::Pid);
    match pid.next() {
        Some(own) if own.path.is_none() => Company::Nobody,
        _ => Company::Strangers,
    }
}

/// A terminal that nobody takes would hang its program up.
pub fn check_console(terminal: bool, socket: Option<&str>, detach: bool) -> Result<()> {
    match (terminal, socket.is_some()) {
        (true, false) if detach => {
            Err(Error::new("process.terminal: it needs --console-socket where nobody stays with it"))
        }
        (false, true) => Err(Error::new("--console-socket: process.terminal is not true")),
        (true, true) if !detach => Err(Error::new("--console-socket: needs --detach")),
        _ => Ok(()),
    }
}

/// Tells the program of the sockets that a service manager passes on (sd_listen_fds(3)).
fn pass_sockets_on(session: &Session, config: &mut Config) {
    let count = session.listening_descriptors();
    if count > 0
        && let Some(process) = &mut config.process
    {
        process.env.extend([alloc::format!("LISTEN_FDS={count}"), "LISTEN_PID=1".into()]);
    }
}
