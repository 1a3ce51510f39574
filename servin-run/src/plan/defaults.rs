//! The configuration of a person's container: Docker's defaults, and what `servin run` was asked for. Pure.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::capabilities::CapabilitySet;
use super::{ANNOTATION_CWD, ANNOTATION_INIT, ANNOTATION_SECCOMP};
use crate::error::{Error, Result};
use crate::spec::{self, NamespaceKind};

/// What a person asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The root file system's directory.
    pub rootfs: String,
    /// Directories for a layer that takes all changes, so that the root itself stays as it is.
    pub layer: Option<Layer>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// Environment, complete.
    pub env: Vec<String>,
    /// Working directory; made if it is missing.
    pub cwd: String,
    /// Host name.
    pub hostname: String,
    /// Who it runs as.
    pub user: spec::User,
    /// Bind mounts and tmpfs, after the default mounts.
    pub mounts: Vec<spec::Mount>,
    /// `/` is read-only.
    pub read_only: bool,
    /// Capabilities to add to Docker's, as they were written.
    pub cap_add: Vec<String>,
    /// Capabilities to take from them.
    pub cap_drop: Vec<String>,
    /// Limits, and the rules about devices.
    pub resources: spec::Resources,
    /// Where its cgroup is to be; none for the usual place.
    pub cgroups_path: Option<String>,
    /// Which system calls are allowed.
    pub seccomp: Filtering,
    /// execve(2) adds no privileges.
    pub no_new_privileges: bool,
    /// The AppArmor profile.
    pub apparmor: Option<String>,
    /// Maps of user and group ids: without privileges there is a user namespace.
    pub id_maps: Option<[Vec<spec::IdMapping>; 2]>,
    /// servin-init is PID 1.
    pub init: bool,
    /// With a terminal.
    pub terminal: bool,
}

/// Which system calls a container's processes may make.
#[derive(Debug, Clone, Default)]
pub enum Filtering {
    /// What the container tools allow by default.
    #[default]
    Default,
    /// All.
    Unconfined,
    /// As a profile says.
    Profile(Box<spec::Seccomp>),
}

/// The upper and the working directory of an overlay.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// What lies below it, the highest first; the root file system's directory where this is empty.
    pub lower: Vec<String>,
    /// The notes of the overlay are attributes that users may set.
    pub user_xattrs: bool,
    /// Takes the changes.
    pub upper: String,
    /// The kernel's own.
    pub work: String,
}

/// Docker's fourteen.
const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];

/// The group of terminals in Debian and most others, as in the mount of devpts below.
const TTY: u32 = 5;

/// Docker's default mounts: type, destination, options.
const MOUNTS: &[(&str, &str, &[&str])] = &[
    ("proc", "/proc", &["nosuid", "noexec", "nodev"]),
    ("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
    ("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
    ("sysfs", "/sys", &["nosuid", "noexec", "nodev", "ro"]),
    ("cgroup", "/sys/fs/cgroup", &["ro", "nosuid", "noexec", "nodev"]),
    ("mqueue", "/dev/mqueue", &["nosuid", "noexec", "nodev"]),
    ("tmpfs", "/dev/shm", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
];

const MASKED: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

const NAMESPACES: &[NamespaceKind] = &[
    NamespaceKind::Pid,
    NamespaceKind::Mount,
    NamespaceKind::Network,
    NamespaceKind::Ipc,
    NamespaceKind::Uts,
    NamespaceKind::Cgroup,
];

/// The configuration for `request`.
pub fn config(request: Request) -> Result<spec::Config> {
    let mut annotations = vec![(ANNOTATION_CWD.to_string(), "create".to_string())];
    if request.init {
        annotations.push((ANNOTATION_INIT.to_string(), "true".to_string()));
    }
    let seccomp = match request.seccomp {
        Filtering::Unconfined => None,
        Filtering::Profile(profile) => Some(*profile),
        Filtering::Default => {
            annotations.push((ANNOTATION_SECCOMP.to_string(), "default".to_string()));
            None
        }
    };
    let mut mounts = Vec::new();
    let rootless = request.id_maps.is_some();
    mounts.extend(request.layer.as_ref().map(|layer| overlay(&request.rootfs, layer, rootless)));
    mounts.extend(MOUNTS.iter().map(|(kind, destination, options)| mount(kind, destination, options)));
    let [uid_mappings, gid_mappings] = request.id_maps.unwrap_or_default();
    if rootless
        && !gid_mappings.iter().any(|map| (map.container_id..).take(map.size as usize).any(|gid| gid == TTY))
    {
        // Who has no group of terminals there cannot give them to it.
        mounts.iter_mut().for_each(|mount| mount.options.retain(|option| option != "gid=5"));
    }
    mounts.extend(request.mounts);
    let mut capabilities = capabilities(&request.cap_add, &request.cap_drop)?;
    // Where no rule about devices holds, who can make device nodes can read the host's disks.
    let named =
        |name: &String| ["MKNOD", "CAP_MKNOD", "ALL"].iter().any(|known| name.eq_ignore_ascii_case(known));
    if !rootless && request.resources.devices.is_empty() && !request.cap_add.iter().any(named) {
        capabilities.0 &= !CapabilitySet::by_name("MKNOD").map_or(0, |set| set.0);
    }
    let names: Vec<String> = capabilities.names().map(|name| format!("CAP_{name}")).collect();
    // As in Docker: a program of another user than root gets them by a file's capabilities alone.
    let held = if request.user.uid == 0 { names.clone() } else { Vec::new() };
    let strings = |paths: &[&str]| paths.iter().map(ToString::to_string).collect();
    Ok(spec::Config {
        oci_version: spec::VERSION.into(),
        process: Some(spec::Process {
            terminal: Some(request.terminal),
            user: request.user,
            args: request.args,
            env: request.env,
            cwd: request.cwd,
            capabilities: Some(spec::Capabilities {
                bounding: names,
                effective: held.clone(),
                permitted: held,
                ..spec::Capabilities::default()
            }),
            no_new_privileges: request.no_new_privileges.then_some(true),
            apparmor_profile: request.apparmor,
            ..spec::Process::default()
        }),
        root: Some(spec::Root { path: request.rootfs, readonly: Some(request.read_only) }),
        hostname: Some(request.hostname),
        mounts,
        annotations,
        linux: Some(spec::Linux {
            namespaces: NAMESPACES
                .iter()
                .chain(rootless.then_some(&NamespaceKind::User))
                .map(|kind| spec::Namespace { kind: *kind, path: None })
                .collect(),
            uid_mappings,
            gid_mappings,
            resources: Some(request.resources),
            cgroups_path: request.cgroups_path,
            masked_paths: strings(MASKED),
            readonly_paths: strings(READ_ONLY),
            seccomp,
            ..spec::Linux::default()
        }),
        ..spec::Config::default()
    })
}

/// A mount without a source of its own.
pub fn mount(kind: &str, destination: &str, options: &[&str]) -> spec::Mount {
    spec::Mount {
        destination: destination.into(),
        kind: Some(kind.into()),
        source: Some(kind.into()),
        options: options.iter().map(ToString::to_string).collect(),
        ..spec::Mount::default()
    }
}

fn overlay(rootfs: &str, layer: &Layer, rootless: bool) -> spec::Mount {
    // A colon would end the path of a lower layer (Documentation/filesystems/overlayfs.rst).
    let escape = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:");
    let lower: Vec<String> = match &layer.lower[..] {
        [] => vec![escape(rootfs)],
        layers => layers.iter().map(|path| escape(path)).collect(),
    };
    let mut options = vec![
        format!("lowerdir={}", lower.join(":")),
        format!("upperdir={}", layer.upper),
        format!("workdir={}", layer.work),
    ];
    if rootless || layer.user_xattrs {
        // Trusted attributes, which it keeps its notes in otherwise, are for root alone.
        options.push("userxattr".into());
    }
    spec::Mount { options, ..mount("overlay", "/", &[]) }
}

/// Docker's set, changed by names with or without `CAP_`, in any case, or `ALL`.
fn capabilities(add: &[String], drop: &[String]) -> Result<CapabilitySet> {
    let all = |names: &[String]| names.iter().any(|name| name.eq_ignore_ascii_case("ALL"));
    let set = |flag: &str, names: &[String]| {
        names.iter().filter(|name| !name.eq_ignore_ascii_case("ALL")).try_fold(
            CapabilitySet(0),
            |mut set, name| {
                let upper = name.to_ascii_uppercase();
                let bare = upper.strip_prefix("CAP_").unwrap_or(&upper);
                set |= CapabilitySet::by_name(bare)
                    .ok_or_else(|| Error::new(format_args!("{flag} {name}: there is no such capability")))?;
                Ok::<_, Error>(set)
            },
        )
    };
    let (added, dropped) = (set("--cap-add", add)?, set("--cap-drop", drop)?);
    let default =
        CAPABILITIES.iter().filter_map(|name| CapabilitySet::by_name(name)).fold(0, |all, one| all | one.0);
    Ok(match (all(add), all(drop)) {
        (true, _) => CapabilitySet(CapabilitySet::ALL.0 & !dropped.0),
        (false, true) => added,
        (false, false) => CapabilitySet((default | added.0) & !dropped.0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Host, plan};

    fn request() -> Request {
        Request {
            rootfs: "/r".into(),
            args: vec!["sh".into()],
            cwd: "/".into(),
            hostname: "h".into(),
            resources: spec::Resources {
                devices: vec![spec::DeviceRule::default()],
                ..spec::Resources::default()
            },
            ..Request::default()
        }
    }

    #[test]
    fn device_nodes_are_made_only_under_rules_about_devices() {
        let makes_nodes = |request: Request| {
            let process = config(request).expect("a configuration").process.expect("a process");
            process.capabilities.expect("capabilities").bounding.iter().any(|name| name == "CAP_MKNOD")
        };
        let without = || Request { resources: spec::Resources::default(), ..request() };
        assert!(makes_nodes(request()));
        assert!(!makes_nodes(without()));
        assert!(makes_nodes(Request { cap_add: vec!["mknod".into()], ..without() }));
        assert!(makes_nodes(Request { id_maps: Some(Default::default()), ..without() }));
    }

    #[test]
    fn the_defaults_can_be_planned() {
        let planned =
            plan(&config(request()).expect("a configuration"), "/", Host::default()).expect("planned");
        assert_eq!(planned.process.capabilities.bounding.numbers().count(), 14);
        assert_eq!(planned.process.capabilities.inheritable.0, 0);
        assert!(!planned.init);
    }

    #[test]
    fn a_layer_is_the_first_mount() {
        let layer = Layer { upper: "/u".into(), work: "/w".into(), ..Layer::default() };
        let config = config(Request { layer: Some(layer), rootfs: "/a:b".into(), ..request() })
            .expect("a configuration");
        assert_eq!(config.mounts[0].destination, "/");
        assert_eq!(config.mounts[0].options[0], "lowerdir=/a\\:b");
    }

    #[test]
    fn capabilities_are_added_and_dropped_as_in_docker() {
        let set = |add: &[&str], drop: &[&str]| {
            let strings = |names: &[&str]| names.iter().map(|n| (*n).into()).collect::<Vec<_>>();
            capabilities(&strings(add), &strings(drop)).map(|set| set.names().collect::<Vec<_>>())
        };
        assert_eq!(set(&["net_bind_service"], &["ALL"]).expect("a set"), ["NET_BIND_SERVICE"]);
        assert_eq!(set(&["ALL"], &["CAP_SYS_ADMIN"]).expect("a set").len(), 40);
        assert!(!set(&[], &["CHOWN"]).expect("a set").contains(&"CHOWN"));
        assert!(set(&["SYS_FOO"], &[]).is_err());
    }
}
