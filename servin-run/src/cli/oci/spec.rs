//! `spec`: a configuration to start from; `features`: what this runtime can do.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::Session;
use crate::cli::arguments::{Command, Group, flag};
use crate::cli::output;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::gather::Gather as _;
use crate::plan::{ANNOTATION_CWD, ANNOTATION_INIT, ANNOTATION_SECCOMP, capabilities, mounts, schedule};
use crate::seccomp;
use crate::spec::features::{
    Cgroup, Features, IntelRdt, Linux, MemoryPolicy, MountExtensions, Seccomp, Support,
};
use crate::spec::{self, Action, Config, IdMapping, Namespace, NamespaceKind, Operator};
use crate::sys::path::openat;

const SPEC: Command = Command {
    name: "servin-run spec",
    usage: "[FLAGS]",
    about: "Write config.json, a configuration to start from.",
    groups: &[Group(
        "Flags",
        &[
            flag("bundle", Some('b'), Some("DIR"), "the directory to write it to (default: here)"),
            flag("rootless", None, None, "one for users without privileges"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

const FEATURES: Command = Command {
    name: "servin-run features",
    usage: "",
    about: "Print what this runtime can do, as JSON.",
    groups: &[Group("Flags", &[flag("help", Some('h'), None, "print this")])],
    last_word: usize::MAX,
};

/// What runc writes too, which people know and scripts edit; but for the ambient capabilities of some of its versions,
/// which nobody can have without inheritable ones.
const CONFIG: &str = include_str!("config.json");

/// `spec`.
pub fn spec(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&SPEC, arguments)? else { return Ok(0) };
    let text = match given.switch("rootless", false) {
        true => rootless(spec::parse(CONFIG, "config.json")?),
        false => CONFIG.trim_end().to_string(),
    };
    let path = alloc::format!("{}/config.json", given.value("bundle").unwrap_or("."));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file =
        openat(CWD, path.as_str(), flags, Mode::from_raw_mode(0o666)).map_err(|errno| match errno {
            Errno::EXIST => Error::new(format_args!("{path} exists: remove it first")),
            errno => Error::os(format_args!("make {path}"), errno),
        })?;
    write_all(file.as_fd(), text.as_bytes()).step(|| alloc::format!("write {path}")).map(|()| 0)
}

/// A user namespace whose root is the caller, the host's network, and no device numbers of groups that are not
/// mapped.
fn rootless(mut config: Config) -> String {
    if let Some(linux) = &mut config.linux {
        linux.namespaces.retain(|namespace| namespace.kind != NamespaceKind::Network);
        linux.namespaces.push(Namespace { kind: NamespaceKind::User, path: None });
        let map = |host: u32| [IdMapping { container_id: 0, host_id: host, size: 1 }].into();
        linux.uid_mappings = map(rustix::process::geteuid().as_raw());
        linux.gid_mappings = map(rustix::process::getegid().as_raw());
        linux.resources = None;
    }
    for mount in &mut config.mounts {
        mount.options.retain(|option| !option.starts_with("gid=") && !option.starts_with("uid="));
        if mount.destination == "/sys" {
            // sysfs shows the network namespace, which is the host's here: it can only be bound.
            mount.kind = Some("none".into());
            mount.source = Some("/sys".into());
            mount.options = ["rbind", "nosuid", "noexec", "nodev", "ro"].map(String::from).into();
        }
    }
    spec::to_json_pretty(&config)
}

/// `features`.
pub fn features(session: &Session, arguments: &[&str]) -> Result<i32> {
    if session.parse(&FEATURES, arguments)?.is_none() {
        return Ok(0);
    }
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(ToString::to_string).gather() };
    let table = |table: &[(&str, u32)]| table.iter().map(|(word, _)| word.to_string()).gather();
    let enabled = |enabled| Some(Support { enabled: Some(enabled) });
    let features = Features {
        oci_version_min: "1.0.0".into(),
        oci_version_max: spec::VERSION.into(),
        hooks: words(&[
            "prestart",
            "createRuntime",
            "createContainer",
            "startContainer",
            "poststart",
            "poststop",
        ]),
        mount_options: mounts::option_words().map(String::from).gather(),
        linux: Some(Linux {
            namespaces: words(&["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"]),
            capabilities: capabilities::CapabilitySet::ALL
                .names()
                .map(|name| alloc::format!("CAP_{name}"))
                .gather(),
            cgroup: Some(Cgroup {
                v1: Some(false),
                v2: Some(true),
                systemd: Some(true),
                systemd_user: Some(true),
                rdma: Some(true),
            }),
            seccomp: Some(Seccomp {
                enabled: Some(true),
                actions: Action::WORDS.iter().map(ToString::to_string).gather(),
                operators: Operator::WORDS.iter().map(ToString::to_string).gather(),
                archs: seccomp::architectures().map(String::from).gather(),
                known_flags: seccomp::FLAGS.iter().map(|(name, _)| name.to_string()).gather(),
                supported_flags: seccomp::FLAGS.iter().map(|(name, _)| name.to_string()).gather(),
            }),
            apparmor: enabled(true),
            selinux: enabled(true),
            mount_extensions: Some(MountExtensions { idmap: enabled(true) }),
            intel_rdt: Some(IntelRdt { enabled: Some(true), schemata: Some(true), monitoring: Some(true) }),
            memory_policy: Some(MemoryPolicy {
                modes: table(schedule::MEMORY_MODES),
                flags: table(schedule::MEMORY_FLAGS),
            }),
            net_devices: enabled(true),
        }),
        potentially_unsafe_config_annotations: words(&[ANNOTATION_INIT, ANNOTATION_CWD, ANNOTATION_SECCOMP]),
        ..Features::default()
    };
    output::result(spec::to_json_pretty(&features)).map(|()| 0)
}
