//! The configuration of a person's container: Docker's defaults, and what `servin run` was asked for. Pure.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::capabilities::CapabilitySet;
use super::mounts::clean;
use super::{ANNOTATION_CWD, ANNOTATION_INIT, ANNOTATION_SECCOMP};
use crate::error::Result;
use crate::gather::Gather as _;
use crate::spec;

mod namespaces;
mod privileges;
mod tables;

pub use namespaces::{Space, Spaces};
pub use privileges::{Filtering, Hidden};
pub use tables::CAPABILITIES;
use tables::{MOUNTS, TTY};

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
    /// The SELinux labels of its processes and of its mounts.
    pub labels: Option<[String; 2]>,
    /// It may do all that root on the host may.
    pub privileged: bool,
    /// What it does not see of the host's kernel.
    pub hidden: Hidden,
    /// Whose namespaces it has.
    pub spaces: Spaces,
    /// The size of /dev/shm in bytes.
    pub shm_size: Option<u64>,
    /// Limits of its processes.
    pub rlimits: Vec<spec::Rlimit>,
    /// Kernel parameters.
    pub sysctl: Vec<(String, String)>,
    /// Device nodes; the rules that allow them are among the resources.
    pub devices: Vec<spec::Device>,
    /// How early its processes are killed for want of memory.
    pub oom_score_adj: Option<i32>,
    /// NIS domain name.
    pub domainname: Option<String>,
    /// What engines and people note in the configuration.
    pub annotations: Vec<(String, String)>,
    /// Maps of user and group ids: without privileges there is a user namespace.
    pub id_maps: Option<[Vec<spec::IdMapping>; 2]>,
    /// servin-init is PID 1.
    pub init: bool,
    /// With a terminal.
    pub terminal: bool,
}

/// The upper and the working directory of an overlay.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// A file with a file system, by its kind and path: it is mounted on the root file system's directory first.
    pub file: Option<(String, String)>,
    /// What lies below it, the highest first; the root file system's directory where this is empty.
    pub lower: Vec<String>,
    /// The notes of the overlay are attributes that users may set.
    pub user_xattrs: bool,
    /// Takes the changes.
    pub upper: String,
    /// The kernel's own.
    pub work: String,
}

/// The configuration for `request`.
pub fn config(mut request: Request) -> Result<spec::Config> {
    if request.privileged {
        request.cap_add.push("ALL".into());
        request.hidden.nothing = true;
    }
    let mut capabilities = privileges::capabilities(&request.cap_add, &request.cap_drop)?;
    let mut annotations = request.annotations;
    annotations.push((ANNOTATION_CWD.to_string(), "create".to_string()));
    // Among other people's processes it could not be PID 1.
    if request.init && request.spaces.pid == Space::New {
        annotations.push((ANNOTATION_INIT.to_string(), "true".to_string()));
    }
    let seccomp = match request.seccomp {
        Filtering::Unconfined => None,
        Filtering::Profile(profile) => Some(*profile),
        Filtering::Default if request.privileged => None,
        Filtering::Default => {
            annotations.push((ANNOTATION_SECCOMP.to_string(), "default".to_string()));
            None
        }
    };
    let mut mounts = Vec::new();
    let rootless = request.id_maps.is_some();
    if let Some(layer) = &request.layer {
        mounts.extend(layer.file.as_ref().map(|(kind, path)| {
            let looped = mount(kind, "/", &["loop", "ro"]);
            spec::Mount { source: Some(path.clone()), ..looped }
        }));
        mounts.push(overlay(&request.rootfs, layer, rootless));
    }
    let named = |destination: &str| request.mounts.iter().any(|own| clean(&own.destination) == destination);
    for (kind, destination, options) in MOUNTS {
        let mut mount = mount(kind, destination, options);
        match *destination {
            // What a person mounts there takes its place.
            _ if named(destination) => continue,
            // A sysfs can only be mounted by who owns the network that it shows.
            "/sys" if rootless && request.spaces.network == Space::Host => {
                mount = bind("/sys", "/sys", &["rslave", "nosuid", "noexec", "nodev", "ro"]);
            }
            "/sys" | "/sys/fs/cgroup" if request.privileged => mount.options.retain(|option| option != "ro"),
            "/dev/shm" => match request.spaces.ipc {
                Space::Nobody => continue,
                Space::Host => mount = bind("/dev/shm", "/dev/shm", &["nosuid", "noexec", "nodev"]),
                // Shared memory has a name there, by which the other container finds it.
                Space::Of(ref path) if path.starts_with("/proc/") && path.ends_with("/ns/ipc") => {
                    let process = path.strip_suffix("/ns/ipc").unwrap_or_default();
                    mount = bind(&[process, "/root"].concat(), "/dev/shm", &["nosuid", "noexec", "nodev"]);
                    mount.subpath = Some("/dev/shm".into());
                }
                _ => {
                    let size = request.shm_size.map(|size| format!("size={size}"));
                    mount
                        .options
                        .iter_mut()
                        .filter(|option| option.starts_with("size="))
                        .zip(size)
                        .for_each(|(option, size)| *option = size);
                }
            },
            _ => {}
        }
        mounts.push(mount);
    }
    let [uid_mappings, gid_mappings] = request.id_maps.unwrap_or_default();
    if rootless
        && !gid_mappings.iter().any(|map| (map.container_id..).take(map.size as usize).any(|gid| gid == TTY))
    {
        // Who has no group of terminals there cannot give them to it.
        mounts.iter_mut().for_each(|mount| mount.options.retain(|option| option != "gid=5"));
    }
    mounts.extend(request.mounts);
    // Where no rule about devices holds, who can make device nodes can read the host's disks.
    let named =
        |name: &String| ["MKNOD", "CAP_MKNOD", "ALL"].iter().any(|known| name.eq_ignore_ascii_case(known));
    if !rootless && request.resources.devices.is_empty() && !request.cap_add.iter().any(named) {
        capabilities.0 &= !CapabilitySet::by_name("MKNOD").map_or(0, |set| set.0);
    }
    let names: Vec<String> = capabilities.names().map(|name| format!("CAP_{name}")).gather();
    // As in Docker: a program of another user than root gets them by a file's capabilities alone.
    let held = if request.user.uid == 0 { names.clone() } else { Vec::new() };
    let [masked_paths, readonly_paths] = request.hidden.paths();
    let [process_label, mount_label] = request.labels.map_or([None, None], |labels| labels.map(Some));
    let own_names = request.spaces.uts == Space::New;
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
            selinux_label: process_label,
            rlimits: request.rlimits,
            oom_score_adj: request.oom_score_adj,
            ..spec::Process::default()
        }),
        root: Some(spec::Root { path: request.rootfs, readonly: Some(request.read_only) }),
        hostname: own_names.then_some(request.hostname),
        domainname: request.domainname.filter(|_| own_names),
        mounts,
        annotations,
        linux: Some(spec::Linux {
            namespaces: request.spaces.namespaces(rootless),
            uid_mappings,
            gid_mappings,
            resources: Some(request.resources),
            cgroups_path: request.cgroups_path,
            masked_paths,
            readonly_paths,
            mount_label,
            sysctl: request.sysctl,
            devices: request.devices,
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
        options: options.iter().map(ToString::to_string).gather(),
        ..spec::Mount::default()
    }
}

/// A bind of a place of the host, with what is mounted below it.
pub fn bind(source: &str, destination: &str, options: &[&str]) -> spec::Mount {
    let mut mount = mount("bind", destination, &["rbind"]);
    mount.source = Some(source.into());
    mount.options.extend(options.iter().map(ToString::to_string));
    mount
}

fn overlay(rootfs: &str, layer: &Layer, rootless: bool) -> spec::Mount {
    // A colon would end the path of a lower layer (Documentation/filesystems/overlayfs.rst).
    let escape = |path: &str| path.replace('\\', "\\\\").replace(':', "\\:");
    let lower: Vec<String> = match &layer.lower[..] {
        [] => vec![escape(rootfs)],
        layers => layers.iter().map(|path| escape(path)).gather(),
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

#[cfg(test)]
mod tests;
