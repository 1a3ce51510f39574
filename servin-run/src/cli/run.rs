//! `servin run`: a configuration made of flags, and then the same road as every container.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use rustix::fs::{CWD, Mode, OFlags, openat};

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, limits, oci, rootless, user};
use crate::container::directory::Root;
use crate::container::{creation, layer};
use crate::error::{Error, Result, Step};
use crate::fs::read_text;
use crate::image;
use crate::launch::{self, program::DEFAULT_PATH};
use crate::plan::defaults::{self, Filtering, Layer, Request};
use crate::spec;

pub const RUN: Command = Command {
    name: "servin run",
    usage: "--rootfs DIR|host [FLAGS] [--] PROGRAM [ARGUMENTS]",
    about: "Run a program in a new container and wait for it.",
    groups: &[
        Group(
            "Container",
            &[
                flag(
                    "rootfs",
                    None,
                    Some("DIR|host"),
                    "root file system; host: one of the host's own programs",
                ),
                flag("read-only", None, None, "make / read-only"),
                flag("hostname", Some('h'), Some("NAME"), "host name (default: the container's ID)"),
                flag("volume", Some('v'), Some("SRC:DST[:OPTIONS]"), "bind a directory or file of the host"),
                flag("tmpfs", None, Some("DST[:OPTIONS]"), "mount an empty file system in memory"),
            ],
        ),
        Group(
            "Process",
            &[
                flag("env", Some('e'), Some("KEY[=VALUE]"), "set a variable, or pass ours on"),
                flag("workdir", Some('w'), Some("DIR"), "working directory, made if missing"),
                flag("user", Some('u'), Some("USER[:GROUP]"), "names or numbers"),
                flag("cap-add", None, Some("NAME"), "add a capability, or ALL"),
                flag("cap-drop", None, Some("NAME"), "take a capability, or ALL"),
                flag(
                    "security-opt",
                    None,
                    Some("OPTION"),
                    "seccomp=unconfined|FILE, no-new-privileges, apparmor=PROFILE",
                ),
                flag("init", None, None, "servin-init as PID 1 (default: true)"),
                flag("interactive", Some('i'), None, "pass standard input on"),
                flag("tty", Some('t'), None, "give it a terminal"),
            ],
        ),
        limits::LIMITS,
        limits::PLACE,
        Group(
            "Servin",
            &[
                flag("plan", None, None, "print what would be done, and do nothing"),
                flag("trace", None, None, "print each step with its microseconds"),
            ],
        ),
    ],
    last_word: 1,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    if given.value("rootfs").is_none() {
        return Err(Error::new(format_args!("--rootfs is missing: a directory, or host; see {RUN}")));
    }
    if given.words.is_empty() {
        return Err(Error::new(format_args!("a program to run is missing: see {RUN}")));
    }
    let only_plan = given.switch("plan", false);
    let id = new_id()?;
    let (rootfs, layer) = root(invocation, given, &id)?;
    let user = user::resolve(&rootfs, given.value("user").unwrap_or("0"))?;
    let hostname = given.value("hostname").unwrap_or(&id[..12]);
    if hostname.is_empty() {
        return Err(Error::new("--hostname: the name is empty"));
    }
    let Security { seccomp, no_new_privileges, apparmor } = security(given)?;
    let has_layer = layer.is_some();
    let request = Request {
        resources: limits::of_new(given)?,
        cgroups_path: limits::cgroups_path(given, &id)?,
        seccomp,
        no_new_privileges,
        apparmor,
        layer,
        args: given.words.iter().map(ToString::to_string).collect(),
        env: environment(invocation, given, hostname, &user.home)?,
        cwd: working_directory(given)?,
        hostname: hostname.into(),
        user: user.user,
        mounts: mounts(given)?,
        read_only: given.switch("read-only", false),
        cap_add: given.values("cap-add").map(Into::into).collect(),
        cap_drop: given.values("cap-drop").map(Into::into).collect(),
        id_maps: rootless::id_maps(),
        init: given.switch("init", true),
        terminal: given.switch("tty", false),
        rootfs,
    };
    let config = defaults::config(request)?;
    let plan = crate::plan::plan(&config, "/", oci::host(false))?;
    if only_plan {
        return oci::print(&plan);
    }
    let input = given.switch("interactive", false);
    if !input {
        close_input()?;
    }
    let root = Root::make(&invocation.root(given)?)?;
    layer::sweep(&root)?;
    let request = creation::Request {
        id: &id,
        bundle: "/",
        text: &spec::to_json(&config),
        config: &config,
        plan: &plan,
        owner: rootless::user_name(),
        pid_file: None,
        console_socket: None,
        wait: false,
        manager: limits::manager(invocation, given)?,
        layer: has_layer,
    };
    let options = launch::Options { die_with_us: true, ..oci::options(given.switch("trace", false)) };
    let created = creation::create(&root, &request, options)?;
    oci::attend(created, &plan, false, input)
}

/// The root file system, and the container's own layer where changes must not reach it.
fn root(invocation: &Invocation, given: &Given, id: &str) -> Result<(String, Option<Layer>)> {
    match given.value("rootfs").unwrap_or_default() {
        "host" => {
            let rootfs = image::host_root(&invocation.home(given)?)?;
            Ok((rootfs, Some(layer::paths(&invocation.root(given)?, id))))
        }
        path => Ok((oci::absolute(path)?, None)),
    }
}

/// 64 hexadecimal digits of randomness, as Docker's.
fn new_id() -> Result<String> {
    let mut bytes = [0; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes[..], flags).step(|| "get random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What Docker sets, then what was asked for; of a variable that is set twice the last value counts.
fn environment(invocation: &Invocation, given: &Given, hostname: &str, home: &str) -> Result<Vec<String>> {
    let mut env = vec![format!("PATH={DEFAULT_PATH}"), format!("HOSTNAME={hostname}")];
    if given.switch("tty", false) {
        env.push("TERM=xterm".into());
    }
    env.push(format!("HOME={home}"));
    for variable in given.values("env") {
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
    Ok(env)
}

/// What `--security-opt` says.
#[derive(Default)]
struct Security {
    seccomp: Filtering,
    no_new_privileges: bool,
    apparmor: Option<String>,
}

fn security(given: &Given) -> Result<Security> {
    let mut security = Security::default();
    for option in given.values("security-opt") {
        // Docker once wrote a colon.
        let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
        match (key, value) {
            ("seccomp", "unconfined") => security.seccomp = Filtering::Unconfined,
            ("seccomp", "" | "default" | "builtin") => security.seccomp = Filtering::Default,
            ("seccomp", file) => {
                let profile = spec::parse(&read_text(file)?, file)?;
                security.seccomp = Filtering::Profile(Box::new(profile));
            }
            ("no-new-privileges", "" | "true") => security.no_new_privileges = true,
            ("no-new-privileges", "false") => security.no_new_privileges = false,
            ("apparmor", "") => return Err(Error::new("--security-opt apparmor: the profile is missing")),
            ("apparmor", profile) => security.apparmor = Some(profile.into()),
            _ => {
                return Err(Error::new(format_args!(
                    "--security-opt {option}: it is none of seccomp, no-new-privileges and apparmor"
                )));
            }
        }
    }
    Ok(security)
}

fn working_directory(given: &Given) -> Result<String> {
    match given.value("workdir") {
        Some(path) if !path.starts_with('/') => {
            Err(Error::new(format_args!("--workdir {path}: the path must be absolute")))
        }
        path => Ok(path.unwrap_or("/").into()),
    }
}

fn mounts(given: &Given) -> Result<Vec<spec::Mount>> {
    let volumes = given.values("volume").map(volume);
    let tmpfs = given.values("tmpfs").map(tmpfs);
    volumes.chain(tmpfs).collect()
}

/// `SRC:DST[:OPTIONS]`; Docker's options, which are those of mount but for `z`, `Z` and `nocopy`.
fn volume(text: &str) -> Result<spec::Mount> {
    let refuse = |why: &str| Err(Error::new(format_args!("--volume {text}: {why}")));
    let mut parts = text.splitn(3, ':');
    let (Some(source), Some(destination)) = (parts.next(), parts.next()) else {
        return refuse("it takes SOURCE:DESTINATION");
    };
    if !source.starts_with('/') {
        return refuse("the source must be an absolute path (named volumes are not supported yet)");
    }
    if !destination.starts_with('/') || crate::plan::mounts::clean(destination) == "/" {
        return refuse("the destination must be an absolute path, and not /");
    }
    let asked: Vec<&str> = parts.next().map(|options| options.split(',').collect()).unwrap_or_default();
    if let Some(unknown) =
        asked.iter().find(|word| !crate::plan::mounts::option_words().any(|known| known == **word))
    {
        return refuse(&format!("there is no option {unknown}"));
    }
    let mut options = vec!["rbind".to_string()];
    if !asked.iter().any(|word| crate::plan::mounts::propagation(word).is_some()) {
        options.push("rprivate".into());
    }
    options.extend(asked.iter().map(ToString::to_string));
    Ok(spec::Mount {
        destination: destination.into(),
        kind: Some("bind".into()),
        source: Some(source.into()),
        options,
        ..spec::Mount::default()
    })
}

/// `DST[:OPTIONS]`, with Docker's defaults.
fn tmpfs(text: &str) -> Result<spec::Mount> {
    let (destination, options) = text.split_once(':').unwrap_or((text, ""));
    if !destination.starts_with('/') || crate::plan::mounts::clean(destination) == "/" {
        return Err(Error::new(format_args!(
            "--tmpfs {text}: the destination must be an absolute path, and not /"
        )));
    }
    let mut mount = defaults::mount("tmpfs", destination, &["nosuid", "nodev", "noexec"]);
    mount.options.extend(options.split(',').filter(|word| !word.is_empty()).map(Into::into));
    Ok(mount)
}

/// Without -i the program reads nothing, as in Docker.
fn close_input() -> Result<()> {
    let null = openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open /dev/null")?;
    rustix::stdio::dup2_stdin(&null).step(|| "replace standard input")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_a_recursive_private_bind() {
        assert_eq!(volume("/a:/b:ro").expect("a mount").options, ["rbind", "rprivate", "ro"]);
        assert_eq!(volume("/a:/b:rslave").expect("a mount").options, ["rbind", "rslave"]);
        for bad in ["/a", "a:/b", "/a:b", "/a:/", "/a:/b:fast", "/a:/b:", "/a:/.."] {
            assert!(volume(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_tmpfs_has_dockers_defaults_and_takes_words_of_its_own() {
        let options = tmpfs("/t:size=1m,exec").expect("a mount").options;
        assert_eq!(options, ["nosuid", "nodev", "noexec", "size=1m", "exec"]);
        assert!(tmpfs("t").is_err());
    }
}
