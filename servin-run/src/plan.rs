//! From a configuration to what will be done: a pure function, without a system call. The plan is data; what
//! executes it (`launch`) has no opinions. `servin run --plan` prints it.
//!
//! Everything in a configuration is planned or refused by name; nothing is dropped.

pub mod capabilities;
pub mod defaults;
pub mod devices;
mod hooks;
pub mod mounts;
pub mod namespaces;
pub mod process;
pub mod schedule;
mod steps;
pub mod sysctl;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use linux_raw_sys::general::{MS_PRIVATE, MS_SLAVE, MS_UNBINDABLE};

use namespaces::Namespaces;
use process::Process;
pub use steps::Step;

use crate::cgroup::Limits;
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::seccomp::{self, Filter};
use crate::spec::{self, NamespaceKind};
use mounts::{Mount, Propagation, Source};

/// With this annotation set to `true`, servin-init is PID 1 and runs `process.args`.
pub const ANNOTATION_INIT: &str = "servin.init";

/// With this annotation set to `default`, the container tools' default filter of system calls is in force, in the form
/// that fits the process's capabilities.
pub const ANNOTATION_SECCOMP: &str = "servin.seccomp";

/// With this annotation set to `create`, a missing `process.cwd` is made instead of refused.
pub const ANNOTATION_CWD: &str = "servin.cwd";

/// What the plan must know of the host.
#[derive(Debug, Clone, Copy, Default)]
pub struct Host {
    /// /proc/kcore exists, so that /dev/core gets its link.
    pub kcore: bool,
    /// The caller does not want pivot_root(2): the host's root is an initramfs (`--no-pivot`).
    pub no_pivot: bool,
}

/// What a launch will do.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The namespaces to make and to join.
    pub namespaces: Namespaces,
    /// The set-up inside them, in order.
    pub steps: Vec<Step>,
    /// What is executed at the end.
    pub process: Process,
    /// servin-init is PID 1 and runs the process.
    pub init: bool,
    /// Programs to run on the way.
    pub hooks: spec::Hooks,
    /// What the process may ask of the kernel.
    pub seccomp: Option<Filter>,
    /// The SELinux context of the mounts, in whose parameters it is already.
    pub mount_label: Option<String>,
    /// `linux.cgroupsPath`: where in the hierarchy its cgroup is.
    pub cgroups_path: Option<String>,
    /// The user of the host who may make cgroups below it; none where the container cannot write there.
    pub cgroup_owner: Option<u32>,
    /// The limits of that cgroup.
    pub limits: Limits,
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Namespaces { new, joined, maps, time_offsets } = &self.namespaces;
        let kinds: Vec<&str> = new.iter().map(|kind| kind.as_str()).gather();
        writeln!(f, "clone with a new {} namespace", kinds.join(" namespace, "))?;
        for (kind, path) in joined {
            writeln!(f, "join the {} namespace {path}", kind.as_str())?;
        }
        for (name, ranges) in maps.iter().flat_map(|m| [("user", &m.uids), ("group", &m.gids)]) {
            for range in ranges {
                writeln!(f, "map {} {name} ids from {} to {}", range.size, range.inside, range.outside)?;
            }
        }
        for offset in time_offsets {
            writeln!(f, "set {} off by {}.{:09} s", offset.clock, offset.seconds, offset.nanoseconds)?;
        }
        if let Some(owner) = self.cgroup_owner {
            writeln!(f, "give the cgroup to user {owner}")?;
        }
        for write in &self.limits.writes {
            writeln!(f, "limit {} to {}", write.file, write.value)?;
        }
        if let Some(program) = &self.limits.devices {
            writeln!(f, "decide about devices by {} instructions", program.len())?;
        }
        for step in &self.steps {
            writeln!(f, "{step}")?;
        }
        if let Some(filter) = &self.seccomp {
            writeln!(f, "filter system calls by {} instructions", filter.program.len())?;
        }
        write!(f, "{}", self.process)?;
        f.write_str(if self.init { "\nunder servin-init" } else { "" })
    }
}

/// Plans the configuration of a bundle at the absolute path `bundle`.
pub fn plan(config: &spec::Config, bundle: &str, host: Host) -> Result<Plan> {
    version(&config.oci_version)?;
    let linux = config.linux.as_ref().ok_or_else(|| Error::new("linux is missing"))?;
    let process = config.process.as_ref().ok_or_else(|| Error::new("process is missing"))?;
    let namespaces = namespaces::plan(linux)?;
    let cgroup_owner = cgroup_owner(config, &namespaces, process.user.uid);
    let process = process::plan(process, linux, annotation(config, ANNOTATION_CWD, "create")?)?;
    let terminal = process.terminal.is_some();
    let hooks = hooks::plan(config.hooks.as_ref())?;
    Ok(Plan {
        steps: steps(config, linux, bundle, &namespaces, terminal, &hooks, host)?,
        process,
        init: annotation(config, ANNOTATION_INIT, "true")?,
        namespaces,
        hooks,
        cgroups_path: linux.cgroups_path.clone().filter(|path| !path.is_empty()),
        cgroup_owner,
        limits: linux.resources.as_ref().map_or_else(|| Ok(Limits::default()), Limits::new)?,
        mount_label: linux.mount_label.clone().filter(|label| !label.is_empty()),
        seccomp: filter(config, linux)?,
    })
}

/// Who is to own the container's cgroup (config-linux.md, "Cgroup ownership"): the user of its process, where it has a
/// cgroup namespace and a mount of that to write to.
fn cgroup_owner(config: &spec::Config, namespaces: &Namespaces, uid: u32) -> Option<u32> {
    let is_writable = |mount: &spec::Mount| {
        matches!(mount.kind.as_deref(), Some("cgroup" | "cgroup2"))
            && !mount.options.iter().any(|option| matches!(option.as_str(), "ro" | "rro"))
    };
    if !namespaces.is_new(NamespaceKind::Cgroup) || !config.mounts.iter().any(is_writable) {
        return None;
    }
    let outside = |range: &namespaces::IdRange| Some(range.outside + uid.checked_sub(range.inside)?);
    match &namespaces.maps {
        Some(maps) => {
            let range = maps.uids.iter().find(|range| uid >= range.inside && uid - range.inside < range.size);
            range.and_then(outside)
        }
        // The ids of a namespace that is joined are not known here.
        None => (!namespaces.separate(NamespaceKind::User)).then_some(uid),
    }
}

/// The filter of system calls for the container's processes.
pub fn filter(config: &spec::Config, linux: &spec::Linux) -> Result<Option<Filter>> {
    let default = annotation(config, ANNOTATION_SECCOMP, "default")?;
    match &linux.seccomp {
        Some(_) if default => Err(Error::new(format_args!(
            "annotations.{ANNOTATION_SECCOMP}: linux.seccomp has another filter already"
        ))),
        Some(profile) => seccomp::compile(profile).map(Some),
        None if default => {
            let process = config.process.as_ref().ok_or_else(|| Error::new("process is missing"))?;
            Ok(Some(seccomp::default(capabilities::plan(process)?.0.bounding.0)))
        }
        None => Ok(None),
    }
}

/// The 1.x line of the specification is compatible within itself (config.md, "Specification version").
fn version(version: &str) -> Result<()> {
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let mut parts = numbers.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some(Ok(1)), Some(Ok(_)), Some(Ok(_)), None) => Ok(()),
        _ => Err(Error::new(format_args!("ociVersion: \"{version}\" is not a version 1.x.y"))),
    }
}

/// Whether the annotation `key` is set to `yes`; any word but that and its absence is an error.
fn annotation(config: &spec::Config, key: &str, yes: &str) -> Result<bool> {
    match config.annotations.iter().find(|(k, _)| k == key).map(|(_, value)| value.as_str()) {
        None | Some("false") => Ok(false),
        Some(value) if value == yes => Ok(true),
        Some(value) => Err(Error::new(format_args!("annotations.{key}: \"{value}\" is not \"{yes}\""))),
    }
}

/// The order matters: everything that mounts comes before the switch of the root, because it needs the host's
/// tree; what hides or locks comes after it, because from there on a path is the container's own.
fn steps(
    config: &spec::Config,
    linux: &spec::Linux,
    bundle: &str,
    namespaces: &Namespaces,
    terminal: bool,
    hooks: &spec::Hooks,
    host: Host,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if namespaces.is_new(NamespaceKind::Network) {
        steps.push(Step::Loopback);
    }
    steps.extend(names(config, namespaces)?);

    let root = config.root.as_ref().ok_or_else(|| Error::new("root is missing"))?;
    if root.path.is_empty() {
        return Err(Error::new("root.path is empty"));
    }
    let propagation = root_propagation(linux)?;
    steps.push(Step::Propagation(first_propagation(propagation)));
    steps.push(Step::Root { path: below(bundle, &root.path) });

    let mut mounts =
        mounts(&config.mounts, bundle, linux.mount_label.as_deref().filter(|label| !label.is_empty()))?;
    let devices = devices(linux, &mounts, namespaces, host)?;
    let late = mounts.split_off(mounts.len() - late_mounts(&mounts, linux, namespaces, hooks));
    steps.extend(mounts.into_iter().map(|mount| Step::Mount(Box::new(mount))));
    steps.extend(devices);
    if terminal {
        steps.push(Step::Console);
    }
    steps.extend(sysctl::plan(&linux.sysctl, namespaces)?.into_iter().map(Step::Sysctl));

    if !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty() {
        steps.push(Step::RuntimeHooks);
    }
    if !hooks.create_container.is_empty() {
        steps.push(Step::ContainerHooks);
    }
    steps.push(if host.no_pivot { Step::MoveRoot } else { Step::SwitchRoot });
    let (mut early, mut last) = (Vec::new(), Vec::new());
    let mut hide = |step: fn(String) -> Step, field: fmt::Arguments, path: &str| -> Result<()> {
        let path = inside(field, path)?;
        // What is hidden in a late mount is hidden after it.
        if late.is_empty() || path.starts_with("/sys") { &mut last } else { &mut early }.push(step(path));
        Ok(())
    };
    for (index, path) in linux.readonly_paths.iter().enumerate() {
        hide(Step::ReadOnly, format_args!("linux.readonlyPaths[{index}]"), path)?;
    }
    for (index, path) in linux.masked_paths.iter().enumerate() {
        hide(Step::Mask, format_args!("linux.maskedPaths[{index}]"), path)?;
    }
    steps.extend(early);
    steps.extend(late.into_iter().map(|mount| Step::Mount(Box::new(mount))));
    steps.extend(propagation.map(Step::RootPropagation));
    steps.extend(last);
    if root.readonly.unwrap_or(false) {
        steps.push(Step::ReadOnlyRoot);
    }
    Ok(steps)
}

/// How many of the last mounts may come after the switch of the root: a sysfs of the new network namespace, which takes
/// the kernel so long to make that everything else is done meanwhile, and what is mounted in it. They need nothing of
/// the host's tree; but hooks expect to find everything mounted, and another user namespace a sysfs that is the host's.
fn late_mounts(mounts: &[Mount], linux: &spec::Linux, namespaces: &Namespaces, hooks: &spec::Hooks) -> usize {
    let hooked =
        [&hooks.prestart, &hooks.create_runtime, &hooks.create_container].iter().any(|h| !h.is_empty());
    // A propagation is for all mounts alike, those of what hides too.
    if hooked
        || linux.rootfs_propagation.is_some()
        || !namespaces.is_new(NamespaceKind::Network)
        || namespaces.separate(NamespaceKind::User)
    {
        return 0;
    }
    let is_late = |mount: &&Mount| {
        let kind = match &mount.source {
            Source::FileSystem { kind, .. } => kind.as_str(),
            _ => "",
        };
        matches!((mount.destination.as_str(), kind), ("/sys", "sysfs") | ("/sys/fs/cgroup", "cgroup2"))
    };
    // Where the kernel has only the old calls they are made by way of the container's own /proc.
    match mounts.first() {
        Some(first) if first.destination == "/proc" => mounts.iter().rev().take_while(is_late).count(),
        _ => 0,
    }
}

fn names(config: &spec::Config, namespaces: &Namespaces) -> Result<Vec<Step>> {
    /// `__NEW_UTS_LEN` of linux/utsname.h.
    const LONGEST: usize = 64;
    let given = |field: &str, name: &Option<String>| match name.as_deref() {
        None | Some("") => Ok(None),
        Some(_) if !namespaces.separate(NamespaceKind::Uts) => Err(Error::new(format_args!(
            "{field}: needs a uts namespace of the container's own in linux.namespaces"
        ))),
        Some(name) if name.len() > LONGEST || name.contains('\0') => {
            Err(Error::new(format_args!("{field}: not a name of at most {LONGEST} bytes")))
        }
        Some(name) => Ok(Some(String::from(name))),
    };
    let hostname = given("hostname", &config.hostname)?.map(Step::Hostname);
    let domainname = given("domainname", &config.domainname)?.map(Step::Domainname);
    Ok(hostname.into_iter().chain(domainname).gather())
}

fn root_propagation(linux: &spec::Linux) -> Result<Option<Propagation>> {
    let Some(word) = linux.rootfs_propagation.as_deref().filter(|word| !word.is_empty()) else {
        return Ok(None);
    };
    match mounts::propagation(word) {
        Some(propagation) => Ok(Some(propagation)),
        None => Err(Error::new(format_args!("linux.rootfsPropagation: \"{word}\" is not a propagation"))),
    }
}

/// What the copy of the host's tree gets before anything is mounted in it. By default the container sees what
/// the host mounts, never the reverse. An unbindable tree could not be bound as the root any more, so that word
/// waits until the root is switched.
fn first_propagation(asked: Option<Propagation>) -> Propagation {
    let kind = match asked.map(|p| p.kind) {
        None => MS_SLAVE,
        Some(MS_UNBINDABLE) => MS_PRIVATE,
        Some(kind) => kind,
    };
    Propagation { kind, recursive: true }
}

/// File systems that take the SELinux label of the mounts (`linux.mountLabel`): those of the kernel's own making have
/// theirs from the policy, as with runc.
const LABELLED: &[&str] = &["tmpfs", "devpts", "ramfs", "overlay"];

fn mounts(mounts: &[spec::Mount], bundle: &str, label: Option<&str>) -> Result<Vec<Mount>> {
    let mut planned = Vec::new();
    for (index, mount) in mounts.iter().enumerate() {
        let at = alloc::format!("mounts[{index}]");
        let mut mount = mounts::plan(&at, mount)?;
        match &mut mount.source {
            Source::Bind { path, .. } | Source::FileSystem { name: path, looped: true, .. } => {
                *path = below(bundle, path);
            }
            Source::FileSystem { kind, parameters, .. } if LABELLED.contains(&kind.as_str()) => {
                parameters.extend(label.map(|label| alloc::format!("context={label}")));
            }
            _ => {}
        }
        // Several there are for an overlay, and what lies below it.
        let is_late = planned.iter().any(|before: &Mount| before.destination != "/");
        if mount.destination == "/" && is_late && !matches!(mount.source, Source::Remount { .. }) {
            return Err(Error::new(format_args!(
                "{at}.destination: a mount on / must be the first of the mounts"
            )));
        }
        planned.push(mount);
    }
    Ok(planned)
}

fn devices(linux: &spec::Linux, mounts: &[Mount], namespaces: &Namespaces, host: Host) -> Result<Vec<Step>> {
    let devices = devices::plan(&linux.devices)?;
    if devices::dev_is_bound(mounts) {
        return Ok(Vec::new());
    }
    // mknod(2) of a device is the privilege of the initial user namespace: elsewhere the host's node is bound.
    let step = if namespaces.separate(NamespaceKind::User) { Step::BindDevice } else { Step::MakeDevice };
    let core = host.kcore.then_some(devices::CORE_LINK);
    let link = |(path, target): (&str, &str)| Step::Link { path: path.into(), target: target.into() };
    Ok(devices.into_iter().map(step).chain(devices::LINKS.iter().copied().chain(core).map(link)).gather())
}

fn inside(field: impl fmt::Display, path: &str) -> Result<String> {
    match path.starts_with('/') {
        true => Ok(mounts::clean(path)),
        false => Err(Error::new(format_args!("{field}: \"{path}\" is not an absolute path"))),
    }
}

/// A relative path of a configuration counts from the bundle.
pub fn below(bundle: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.into(),
        false => alloc::format!("{bundle}/{path}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_the_network_namespace_comes_last() {
        let order = |more: &str| {
            let text = format!(
                r#"{{"ociVersion":"1.0.0","root":{{"path":"r"}},"process":{{"args":["a"],"cwd":"/","user":{{"uid":0,"gid":0}}}},
                "mounts":[{{"destination":"/proc","type":"proc"}},{{"destination":"/sys","type":"sysfs"}}],
                "linux":{{"maskedPaths":["/sys/firmware","/proc/kcore"],
                "namespaces":[{{"type":"mount"}},{{"type":"network"}}]}}{more}}}"#
            );
            let config: spec::Config = spec::parse(&text, "config.json").expect("a configuration");
            let planned = plan(&config, "/b", Host::default()).expect("planned");
            let words = planned.steps.iter().map(ToString::to_string);
            let kept =
                words.filter(|step| ["mask", "mount sysfs", "switch"].iter().any(|w| step.starts_with(w)));
            kept.collect::<Vec<_>>()
        };
        let (switch, sysfs) = ("switch to the new root (pivot_root)", "mount sysfs on /sys");
        let (masks, proc) = ("mask /sys/firmware", "mask /proc/kcore");
        assert_eq!(order(""), [switch, proc, sysfs, masks]);
        let hooked = r#","hooks":{"createRuntime":[{"path":"/bin/true"}]}"#;
        assert_eq!(order(hooked), [sysfs, switch, masks, proc]);
    }

    #[test]
    fn the_cgroup_is_given_to_who_may_write_there() {
        let config = |options: &str, more: &str| -> spec::Config {
            let text = format!(
                r#"{{"ociVersion":"1.0.0","mounts":[{{"destination":"/sys/fs/cgroup","type":"cgroup","options":[{options}]}}],
                "linux":{{"namespaces":[{{"type":"mount"}},{{"type":"cgroup"}}{more}]}}}}"#
            );
            spec::parse(&text, "config.json").expect("a configuration")
        };
        let owner = |config: &spec::Config, maps: Option<namespaces::IdMaps>, uid| {
            let mut planned = namespaces::plan(config.linux.as_ref().expect("linux")).expect("planned");
            planned.maps = maps;
            cgroup_owner(config, &planned, uid)
        };
        let maps = || {
            let range = || namespaces::IdRange { inside: 0, outside: 100_000, size: 10 };
            Some(namespaces::IdMaps { uids: Vec::from([range()]), gids: Vec::from([range()]) })
        };
        let writable = config("\"nosuid\"", "");
        assert_eq!(owner(&writable, None, 7), Some(7));
        assert_eq!(owner(&writable, maps(), 7), Some(100_007));
        assert_eq!(owner(&writable, maps(), 10), None);
        assert_eq!(owner(&config("\"ro\"", ""), maps(), 7), None);
        let joined = config("", ",{\"type\":\"user\",\"path\":\"/proc/1/ns/user\"}");
        assert_eq!(owner(&joined, None, 7), None);
        let mut shared = writable.clone();
        shared.linux.as_mut().expect("linux").namespaces.pop();
        assert_eq!(owner(&shared, None, 7), None);
    }
}
