//! The flags that `run` and `create` share, and the configuration made of them.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::lifetime;
use super::rootfs::{self, Files};
use crate::cli::arguments::{Given, Group, flag};
use crate::cli::{Invocation, limits, network_flags, rootless, user};
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::launch::program::DEFAULT_PATH;
use crate::network;
use crate::plan::defaults::{self, Filtering, Request};
use crate::spec;

/// The flags of `run` and `create`.
pub const GROUPS: &[Group] = &[
    rootfs::IMAGE,
    Group(
        "Container",
        &[
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
            flag("env-file", None, Some("FILE"), "variables, one a line"),
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
    lifetime::LIFETIME,
    lifetime::OUTPUT,
    network_flags::NETWORK,
    limits::LIMITS,
    limits::PLACE,
    Group(
        "Plan",
        &[
            flag("plan", None, None, "print what would be done, and do nothing"),
            flag("trace", None, None, "print each step with its microseconds"),
        ],
    ),
];

/// How a container is connected.
pub struct Networking {
    /// What it wants.
    pub wish: network::Wish,
    /// Its files of names.
    pub mounts: Vec<spec::Mount>,
}

/// The configuration for what was asked for.
pub fn config(
    invocation: &Invocation,
    given: &Given,
    id: &str,
    files: Files,
    network: &Networking,
) -> Result<spec::Config> {
    let Files { root: rootfs, layer, users, args, image } = files;
    let wanted = given.value("user").or(image.user.as_deref().filter(|user| !user.is_empty()));
    let user = user::resolve(&users, wanted.unwrap_or("0"))?;
    let hostname = given.value("hostname").unwrap_or(&id[..12]);
    if hostname.is_empty() {
        return Err(Error::new("--hostname: the name is empty"));
    }
    let Security { seccomp, no_new_privileges, apparmor } = security(given)?;
    let mut config = defaults::config(Request {
        resources: limits::of_new(given)?,
        cgroups_path: limits::cgroups_path(given, id)?,
        seccomp,
        no_new_privileges,
        apparmor,
        layer,
        args,
        env: environment(invocation, given, hostname, &user.home, &image.env)?,
        cwd: working_directory(given, image.working_dir.as_deref())?,
        hostname: hostname.into(),
        user: user.user,
        mounts: network.mounts.iter().cloned().chain(mounts(given)?).collect(),
        read_only: given.switch("read-only", false),
        cap_add: given.values("cap-add").map(Into::into).collect(),
        cap_drop: given.values("cap-drop").map(Into::into).collect(),
        id_maps: rootless::id_maps(),
        init: given.switch("init", true),
        terminal: given.switch("tty", false),
        rootfs,
    })?;
    if network.wish.mode == network::Mode::Host
        && let Some(linux) = &mut config.linux
    {
        linux.namespaces.retain(|namespace| namespace.kind != spec::NamespaceKind::Network);
    }
    config.annotations.extend(lifetime::annotations(given)?);
    Ok(config)
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
    for line in image {
        let name = line.split('=').next().unwrap_or_default();
        if !name.is_empty() && name.len() < line.len() {
            env.retain(|known| known.split('=').next() != Some(name));
            env.push(line.clone());
        }
    }
    add_variables(invocation, given, &mut env)?;
    Ok(env)
}

/// Adds the variables of flags and files; of one that is set twice the last value counts.
pub fn add_variables(invocation: &Invocation, given: &Given, env: &mut Vec<String>) -> Result<()> {
    let files =
        given.values("env-file").map(|path| read_text(path).map_err(|error| error.within("--env-file")));
    let files = files.collect::<Result<Vec<_>>>()?;
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

fn working_directory(given: &Given, image: Option<&str>) -> Result<String> {
    match given.value("workdir") {
        None => Ok(["/", image.unwrap_or_default().trim_start_matches('/')].concat()),
        Some(path) if !path.starts_with('/') => {
            Err(Error::new(format_args!("--workdir {path}: the path must be absolute")))
        }
        Some(path) => Ok(path.into()),
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
