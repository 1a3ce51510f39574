//! How far a container is kept apart: namespaces, privileges, system calls, devices. From flags of `run` to the request.

pub mod devices;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Given, Group, flag};
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::plan::defaults::{Filtering, Request, Space};
use crate::plan::mounts::clean;
use crate::spec;

/// The flags.
pub const ISOLATION: Group = Group(
    "Isolation",
    &[
        flag("privileged", None, None, "whatever root on the host may do"),
        flag("cap-add", None, Some("NAME"), "add a capability, or ALL"),
        flag("cap-drop", None, Some("NAME"), "take a capability, or ALL"),
        flag(
            "security-opt",
            None,
            Some("OPTION"),
            "seccomp=unconfined|FILE, no-new-privileges, apparmor=PROFILE, label=type:TYPE, label=disable, \
             systempaths=unconfined, mask=PATH, unmask=PATH|ALL",
        ),
        flag("pid", None, Some("WHOSE"), "processes it sees: private, host, container:NAME"),
        flag("ipc", None, Some("WHOSE"), "shared memory: private, host, none, container:NAME"),
        flag("uts", None, Some("WHOSE"), "host name: private, host"),
        flag("cgroupns", None, Some("WHOSE"), "view of the cgroups: private, host"),
        flag("userns", None, Some("WHOSE"), "user ids: host; keep-id for users other than root"),
        flag("device", None, Some("DEVICE[:PATH][:rwm]"), "a device of the host, or a directory of them"),
        flag("device-cgroup-rule", None, Some("RULE"), "allow devices by number, such as 'c 10:* rwm'"),
    ],
);

/// SELinux labels as the container policies of the distributions have them: of processes, and of files.
const LABELS: [&str; 2] = ["system_u:system_r:container_t:s0", "system_u:object_r:container_file_t:s0"];

/// Puts the flags into the request, whose limits are there already; `process_of` finds the process of a container.
pub fn apply(given: &Given, request: &mut Request, process_of: &dyn Fn(&str) -> Result<i32>) -> Result<()> {
    request.cap_add = given.values("cap-add").map(Into::into).gather();
    request.cap_drop = given.values("cap-drop").map(Into::into).gather();
    request.privileged = given.switch("privileged", false);
    for option in given.values("security-opt") {
        security(option, request)?;
    }
    spaces(given, request, process_of)?;
    devices::apply(given, request)
}

/// Whose namespaces are shared: `pid` or `ipc`, and the container's id.
pub fn shared(given: &Given, id_of: &dyn Fn(&str) -> Result<String>) -> Result<Vec<(String, String)>> {
    let mut shared = Vec::new();
    for name in ["pid", "ipc"] {
        if let Some(owner) = given.value(name).and_then(|text| text.strip_prefix("container:")) {
            shared.push((name.to_string(), id_of(owner)?));
        }
    }
    Ok(shared)
}

fn security(option: &str, request: &mut Request) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(format_args!("--security-opt {option}: {why}")));
    // Docker once wrote a colon.
    let (key, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    match (key, value) {
        ("seccomp", "unconfined") => request.seccomp = Filtering::Unconfined,
        ("seccomp", "" | "default" | "builtin") => request.seccomp = Filtering::Default,
        ("seccomp", file) => {
            let profile = spec::parse(&read_text(file)?, file)?;
            request.seccomp = Filtering::Profile(Box::new(profile));
        }
        ("no-new-privileges", "" | "true") => request.no_new_privileges = true,
        ("no-new-privileges", "false") => request.no_new_privileges = false,
        ("apparmor", "") => return refuse("the profile is missing"),
        ("apparmor", profile) => request.apparmor = Some(profile.into()),
        ("label", "disable") => request.labels = None,
        ("label", part) => {
            let labels = request.labels.get_or_insert_with(|| LABELS.map(String::from));
            if !label(labels, part) {
                return refuse(
                    "it takes label=disable, or label= and user:, role:, type:, filetype: or level:",
                );
            }
        }
        ("systempaths", "unconfined") => request.hidden.nothing = true,
        ("unmask", "ALL" | "all") => request.hidden.nothing = true,
        ("mask" | "unmask", paths) => {
            for path in paths.split(':') {
                if !path.starts_with('/') || clean(path) == "/" {
                    return refuse("it takes absolute paths");
                }
                let list = match key {
                    "mask" => &mut request.hidden.mask,
                    _ => &mut request.hidden.unmask,
                };
                list.push(clean(path));
            }
        }
        _ => {
            return refuse(
                "it is none of seccomp, no-new-privileges, apparmor, label, systempaths, mask, unmask",
            );
        }
    }
    Ok(())
}

/// Changes a part of both labels, as `type:spc_t` says; false if it says nothing.
fn label(labels: &mut [String; 2], part: &str) -> bool {
    let Some((name, value)) = part.split_once(':') else { return false };
    let (index, of): (usize, &[usize]) = match name {
        _ if value.is_empty() => return false,
        "user" => (0, &[0, 1]),
        "role" => (1, &[0]),
        "type" => (2, &[0]),
        "filetype" => (2, &[1]),
        "level" => (3, &[0, 1]),
        _ => return false,
    };
    for at in of {
        // A level has colons of its own.
        let mut parts: Vec<&str> = labels[*at].splitn(4, ':').gather();
        if let Some(own) = parts.get_mut(index) {
            *own = value;
        }
        labels[*at] = parts.join(":");
    }
    true
}

fn spaces(given: &Given, request: &mut Request, process_of: &dyn Fn(&str) -> Result<i32>) -> Result<()> {
    let spaces = &mut request.spaces;
    for (name, file, space) in [
        ("pid", "pid", &mut spaces.pid),
        ("ipc", "ipc", &mut spaces.ipc),
        ("uts", "uts", &mut spaces.uts),
        ("cgroupns", "cgroup", &mut spaces.cgroup),
    ] {
        let Some(text) = given.value(name) else { continue };
        let refuse = |why: &str| Err(Error::new(format_args!("--{name} {text}: {why}")));
        *space = match text.split_once(':').unwrap_or((text, "")) {
            ("" | "private", "") => Space::New,
            ("host", "") => Space::Host,
            ("shareable", "") if name == "ipc" => Space::New,
            ("none", "") if name == "ipc" => Space::Nobody,
            ("container", other) if matches!(name, "pid" | "ipc") && !other.is_empty() => {
                let pid = process_of(other).map_err(|error| error.within(format_args!("--{name} {text}")))?;
                Space::Of(format!("/proc/{pid}/ns/{file}"))
            }
            ("ns", path) if path.starts_with('/') => Space::Of(path.to_string()),
            _ => return refuse("it is private, host, or, for some, none or container:NAME"),
        };
    }
    if spaces.uts != Space::New {
        for name in ["hostname", "domainname"] {
            if given.value(name).is_some() {
                return Err(Error::new(format_args!("--{name}: with --uts host the name is the host's")));
            }
        }
    }
    match given.value("userns") {
        None | Some("") => Ok(()),
        Some("host") if request.id_maps.is_none() => Ok(()),
        Some("host") => Err(Error::new("--userns host: only root can do without a user namespace")),
        Some("keep-id") => match &mut request.id_maps {
            None => {
                Err(Error::new("--userns keep-id: it is for users other than root, who have ids to keep"))
            }
            Some(maps) => {
                let [uid, gid] = maps.each_mut().map(super::rootless::keep_id);
                if given.value("user").is_none() {
                    (request.user.uid, request.user.gid) = (uid, gid);
                }
                Ok(())
            }
        },
        Some(text) => Err(Error::new(format_args!("--userns {text}: it is host or keep-id"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Command;
    use crate::plan::defaults::config;
    use crate::spec::NamespaceKind;

    const COMMAND: Command =
        Command { name: "servin test", usage: "", about: "", groups: &[ISOLATION], last_word: usize::MAX };

    fn request(arguments: &[&str]) -> Result<Request> {
        let mut request = Request::default();
        request.resources.devices.push(spec::DeviceRule::default());
        apply(&COMMAND.parse(arguments)?, &mut request, &|_| Ok(7)).map(|()| request)
    }

    fn refused(arguments: &[&str]) -> String {
        request(arguments).expect_err("refused").to_string()
    }

    #[test]
    fn namespaces_are_ones_own_the_hosts_or_another_containers() {
        let kinds = |arguments: &[&str]| {
            let config = config(request(arguments).expect("a request")).expect("a configuration");
            config.linux.expect("linux").namespaces
        };
        assert_eq!(kinds(&[]).len(), 6);
        let shared = kinds(&["--pid", "host", "--uts=host", "--cgroupns=host", "--ipc=container:x"]);
        let of = |kind| shared.iter().find(|own| own.kind == kind);
        assert!(of(NamespaceKind::Pid).is_none() && of(NamespaceKind::Uts).is_none());
        assert!(of(NamespaceKind::Cgroup).is_none() && of(NamespaceKind::Network).is_some());
        let ipc = of(NamespaceKind::Ipc).expect("an ipc namespace");
        assert_eq!(ipc.path.as_deref(), Some("/proc/7/ns/ipc"));
        assert!(refused(&["--uts", "container:x"]).starts_with("--uts container:x: "));
        assert!(refused(&["--pid", "none"]).starts_with("--pid none: "));
    }

    #[test]
    fn shared_memory_is_the_hosts_or_missing_where_that_was_asked_for() {
        let shm = |arguments: &[&str]| {
            let config = config(request(arguments).expect("a request")).expect("a configuration");
            config.mounts.into_iter().find(|mount| mount.destination == "/dev/shm")
        };
        assert_eq!(shm(&["--ipc", "none"]), None);
        assert_eq!(shm(&["--ipc", "host"]).and_then(|mount| mount.source).as_deref(), Some("/dev/shm"));
        assert_eq!(shm(&["--ipc", "shareable"]).and_then(|mount| mount.kind).as_deref(), Some("tmpfs"));
    }

    #[test]
    fn a_privileged_container_may_do_all_and_sees_all() {
        let all = config(request(&["--privileged"]).expect("a request")).expect("a configuration");
        let linux = all.linux.expect("linux");
        assert!(linux.masked_paths.is_empty() && linux.readonly_paths.is_empty());
        let capabilities = all.process.expect("a process").capabilities.expect("capabilities");
        assert!(capabilities.bounding.len() > 30);
        assert!(linux.resources.expect("resources").devices.iter().all(|rule| rule.allow));
        assert!(all.annotations.iter().all(|(key, _)| !key.contains("seccomp")));
        let sys = all.mounts.iter().find(|mount| mount.destination == "/sys").expect("/sys");
        assert!(!sys.options.iter().any(|option| option == "ro"));
        let fewer = request(&["--privileged", "--cap-drop", "sys_admin"]).expect("a request");
        let fewer = config(fewer).expect("a configuration");
        let dropped = fewer.process.expect("a process").capabilities.expect("capabilities").bounding;
        assert!(!dropped.iter().any(|name| name == "CAP_SYS_ADMIN"));
    }

    #[test]
    fn what_is_masked_can_be_chosen() {
        let masked = |arguments: &[&str]| request(arguments).expect("a request").hidden.paths();
        let [default, read_only] = masked(&[]);
        assert!(default.contains(&"/proc/kcore".into()) && read_only.contains(&"/proc/sys".into()));
        let [more, writable] =
            masked(&["--security-opt", "mask=/etc/x:/y", "--security-opt", "unmask=/proc/kcore:/proc/sys"]);
        assert!(more.contains(&"/etc/x".into()) && more.contains(&"/y".into()));
        assert!(!more.contains(&"/proc/kcore".into()) && !writable.contains(&"/proc/sys".into()));
        assert_eq!(masked(&["--security-opt", "systempaths=unconfined"]), [Vec::<String>::new(), Vec::new()]);
        assert_eq!(masked(&["--security-opt", "unmask=ALL"]), [Vec::<String>::new(), Vec::new()]);
        assert!(refused(&["--security-opt", "mask=x"]).contains("absolute paths"));
    }

    #[test]
    fn labels_are_changed_in_parts() {
        let labels = |option: &str| request(&["--security-opt", option]).expect("a request").labels;
        let [process, files] = labels("label=level:s0:c1,c2").expect("labels");
        assert_eq!(process, "system_u:system_r:container_t:s0:c1,c2");
        assert_eq!(files, "system_u:object_r:container_file_t:s0:c1,c2");
        let [process, files] = labels("label=type:spc_t").expect("labels");
        assert_eq!((process.as_str(), files.as_str()), ("system_u:system_r:spc_t:s0", LABELS[1]));
        assert_eq!(labels("label=disable"), None);
        assert!(refused(&["--security-opt", "label=x"]).contains("label=disable"));
        assert!(refused(&["--security-opt", "fast=yes"]).contains("it is none of"));
    }
}
