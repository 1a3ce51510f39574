//! The flags that `run` and `create` share, and the configuration made of them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::lifetime;
use super::rootfs::{self, Files};
use crate::cli::arguments::{Given, Group, flag};
use crate::cli::isolation::{self, ISOLATION};
use crate::cli::mount_flags::MOUNTS;
use crate::cli::process::{self, PROCESS};
use crate::cli::{Invocation, limits, network_flags, rootless, user};
use crate::container::people::Store;
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::launch::program::DEFAULT_PATH;
use crate::plan::defaults::Request;

/// The flags of `run` and `create`.
pub const GROUPS: &[Group] = &[
    rootfs::IMAGE,
    Group(
        "Container",
        &[
            flag("read-only", None, None, "make / read-only"),
            flag("hostname", Some('h'), Some("NAME"), "host name (default: the container's ID)"),
            flag("no-hosts", None, None, "leave the image's /etc/hosts alone"),
            flag("no-hostname", None, None, "leave the image's /etc/hostname alone"),
        ],
    ),
    Group(
        "Process",
        &[
            flag("env", Some('e'), Some("KEY[=VALUE]"), "set a variable, or pass ours on"),
            flag("env-file", None, Some("FILE"), "variables, one a line"),
            flag("env-host", None, None, "pass all of our variables on"),
            flag("unsetenv", None, Some("KEY"), "leave a variable of the image or of ours out"),
            flag("unsetenv-all", None, None, "leave all of them out"),
            flag("workdir", Some('w'), Some("DIR"), "working directory, made if missing"),
            flag("user", Some('u'), Some("USER[:GROUP]"), "names or numbers"),
            flag("init", None, None, "servin-init as PID 1 (default: true)"),
            flag("interactive", Some('i'), None, "pass standard input on"),
            flag("tty", Some('t'), None, "give it a terminal"),
        ],
    ),
    MOUNTS,
    lifetime::LIFETIME,
    lifetime::OUTPUT,
    network_flags::NETWORK,
    limits::LIMITS,
    limits::PLACE,
    ISOLATION,
    PROCESS,
    Group(
        "Plan",
        &[
            flag("plan", None, None, "print what would be done, and do nothing"),
            flag("trace", None, None, "print each step with its microseconds"),
        ],
    ),
];

/// What the configuration is made of, but for the mounts.
pub fn request(
    invocation: &Invocation,
    given: &Given,
    store: &Store,
    id: &str,
    files: Files,
) -> Result<Request> {
    let Files { root: rootfs, layer, users, args, image } = files;
    let wanted = given.value("user").or(image.user.as_deref().filter(|user| !user.is_empty()));
    let user = user::resolve(&users, wanted.unwrap_or("0"))?;
    let hostname = given.value("hostname").unwrap_or(&id[..12]);
    if hostname.is_empty() {
        return Err(Error::new("--hostname: the name is empty"));
    }
    let mut request = Request {
        resources: limits::of_new(given)?,
        cgroups_path: limits::cgroups_path(given, id)?,
        layer,
        args,
        env: environment(invocation, given, hostname, &user.home, &image.env)?,
        cwd: working_directory(given, image.working_dir.as_deref())?,
        hostname: hostname.into(),
        user: user.user,
        read_only: given.switch("read-only", false),
        id_maps: rootless::id_maps(),
        init: given.switch("init", true),
        terminal: given.switch("tty", false),
        rootfs,
        annotations: lifetime::annotations(given)?,
        ..Request::default()
    };
    isolation::apply(given, &mut request, &|name| {
        let record = &store.find(name)?.record;
        record.state.pid.ok_or_else(|| Error::new(format_args!("the container {} does not run", record.name)))
    })?;
    process::apply(given, &mut request, &users)?;
    Ok(request)
}

/// What Docker sets, then what was asked for; of a variable that is set twice the last value counts.
fn environment(
    invocation: &Invocation,
    given: &Given,
    hostname: &str,
    home: &str,
    image: &[String],
) -> Result<Vec<String>> {
    let mut env = vec![format!("PATH={DEFAULT_PATH}"), format!("HOSTNAME={hostname}")];
    if given.switch("tty", false) {
        env.push("TERM=xterm".into());
    }
    env.push(format!("HOME={home}"));
    // An image has no say in what is passed on of our own.
    let own = invocation.environment.iter().copied().filter(|_| given.switch("env-host", false));
    for line in own.chain(image.iter().map(String::as_str)) {
        let name = line.split('=').next().unwrap_or_default();
        if !name.is_empty() && name.len() < line.len() {
            env.retain(|known| known.split('=').next() != Some(name));
            env.push(line.into());
        }
    }
    if given.switch("unsetenv-all", false) {
        env.clear();
    }
    env.retain(|line| given.values("unsetenv").all(|name| line.split('=').next() != Some(name)));
    add_variables(invocation, given, &mut env)?;
    Ok(env)
}

/// Adds the variables of flags and files; of one that is set twice the last value counts.
pub fn add_variables(invocation: &Invocation, given: &Given, env: &mut Vec<String>) -> Result<()> {
    let files =
        given.values("env-file").map(|path| read_text(path).map_err(|error| error.within("--env-file")));
    let files = files.gather::<Result<Vec<_>>>()?;
    let from_files = files.iter().flat_map(|text| lifetime::lines(text));
    for variable in from_files.chain(given.values("env")) {
        let (name, value) = match variable.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            // Without a value: ours, if we have one.
            None => (variable, invocation.variable(variable)),
        };
        if name.is_empty() {
            return Err(Error::new(format_args!("--env {variable}: the name is missing")));
        }
        env.retain(|line| line.split('=').next() != Some(name));
        env.extend(value.map(|value| format!("{name}={value}")));
    }
    Ok(())
}

fn working_directory(given: &Given, image: Option<&str>) -> Result<String> {
    match given.value("workdir") {
        None => Ok(["/", image.unwrap_or_default().trim_start_matches('/')].concat()),
        Some(path) if !path.starts_with('/') => {
            Err(Error::new(format_args!("--workdir {path}: the path must be absolute")))
        }
        Some(path) => Ok(path.into()),
    }
}
