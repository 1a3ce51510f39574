//! The OCI runtime command line, as runc and crun have it: what engines call.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{CWD, Mode, OFlags, access, openat};

use super::arguments::{Command, Group, flag};
use super::{INIT, Invocation, output};
use crate::error::{Error, Result, Step};
use crate::fs::read_to_end;
use crate::launch::{self, sealed};
use crate::plan::{self, Host, Plan};
use crate::spec::{self, Config};
use crate::supervise::foreground;

const RUN: Command = Command {
    name: "servin-run run",
    usage: "[FLAGS] ID",
    about: "Create and start a container from a bundle, and wait for its process.",
    groups: &[Group(
        "Flags",
        &[
            flag("bundle", Some('b'), Some("DIR"), "the directory of config.json (default: here)"),
            flag("no-pivot", None, None, "move the root instead of pivot_root, for an initramfs"),
            flag("plan", None, None, "print what would be done, and do nothing"),
            flag("trace", None, None, "print each step with its microseconds"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    words_end_flags: false,
};

/// Called by another name than `servin`.
pub fn main(invocation: &Invocation) -> Result<i32> {
    command(invocation, &invocation.arguments)
}

/// Called as `servin oci`.
pub fn command(invocation: &Invocation, arguments: &[&str]) -> Result<i32> {
    match arguments.split_first() {
        Some((&"run", arguments)) => run(invocation, arguments),
        Some((&("--version" | "-v" | "version"), _)) => version(),
        Some((&("--help" | "-h" | "help"), _)) | None => {
            output::result(
                "An OCI runtime.\n\nusage: servin-run run [--bundle DIR] ID\n\nPeople type `servin run`.",
            )?;
            Ok(0)
        }
        Some((name, _)) => {
            Err(Error::new(format_args!("{name}: there is no such command; people type `servin {name}`")))
        }
    }
}

fn version() -> Result<i32> {
    output::result(format_args!("servin-run version {}\nspec: 1.3.0", env!("CARGO_PKG_VERSION")))?;
    Ok(0)
}

fn run(invocation: &Invocation, arguments: &[&str]) -> Result<i32> {
    let given = RUN.parse(arguments).map_err(|error| error.hint("people type `servin run`"))?;
    if given.switch("help", false) {
        return output::result(RUN.help()).map(|()| 0);
    }
    let id = match given.words.as_slice() {
        [id] => *id,
        [] => return Err(Error::new(format_args!("the container's ID is missing: see {RUN}"))),
        [_, word, ..] => return Err(Error::new(format_args!("\"{word}\" is one word too many: see {RUN}"))),
    };
    validate_id(id)?;
    let only_plan = given.switch("plan", false);
    if !only_plan {
        // Before a container can look at it, this program must not be a file of the host any more.
        become_sealed(invocation)?;
    }
    let bundle = absolute(given.value("bundle").unwrap_or("."))?;
    let config = read_config(&bundle)?;
    let plan = plan::plan(&config, &bundle, host(given.switch("no-pivot", false)))
        .map_err(|error| error.within("config.json"))?;
    if only_plan {
        return print(&plan);
    }
    execute(&plan, given.switch("trace", false), true, false)
}

/// Executes this program again, from a copy in memory that nothing can change; returns where it is that already.
fn become_sealed(invocation: &Invocation) -> Result<()> {
    match sealed::copy_of_self()? {
        Some(copy) => Err(sealed::execute(&copy, invocation.raw)),
        None => Ok(()),
    }
}

/// Launches a plan and stays with it until its end.
pub fn execute(plan: &Plan, trace: bool, input: bool, die_with_us: bool) -> Result<i32> {
    let options = launch::Options {
        trace: trace.then_some(output::trace as fn(u32, &str)),
        warn: Some(output::warning),
        die_with_us,
        init: INIT,
    };
    foreground::attend(launch::launch(plan, &options)?, input)
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

/// runc's rule: letters, digits and `+-._`, at most 1024 of them, and no path.
fn validate_id(id: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte);
    match !id.is_empty() && id.len() <= 1024 && id.bytes().all(allowed) && id != "." && id != ".." {
        true => Ok(()),
        false => Err(Error::new(format_args!(
            "invalid container ID \"{id}\": letters, digits and +-._ are allowed"
        ))),
    }
}

/// The absolute path of a directory.
pub fn absolute(path: &str) -> Result<String> {
    let step = || alloc::format!("open the bundle {path}");
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = openat(CWD, path, flags, Mode::empty()).step(step)?;
    if path.starts_with('/') {
        return Ok(path.into());
    }
    drop(directory);
    let here = rustix::process::getcwd(Vec::new()).step(|| "find the working directory")?;
    let here = here.to_str().map_err(|_| Error::new("the working directory's path is not UTF-8"))?;
    Ok(if path == "." { here.into() } else { alloc::format!("{here}/{path}") })
}

fn read_config(bundle: &str) -> Result<Config> {
    let path = alloc::format!("{bundle}/config.json");
    let file = openat(CWD, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(|| alloc::format!("open {path}"))?;
    let text = read_to_end(&file).step(|| alloc::format!("read {path}"))?;
    let text = core::str::from_utf8(&text).map_err(|_| Error::new("config.json: not UTF-8"))?;
    spec::parse(text, "config.json")
}
