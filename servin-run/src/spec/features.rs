//! What the runtime can do, whatever the host can: the answer to `features`
//! ([features.md](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/features.md) and
//! features-linux.md). An absent property says nothing; it does not say no.

use alloc::string::String;
use alloc::vec::Vec;

use super::json::object;

object! {
    /// The features document.
    pub struct Features {
        /// The oldest version of the specification that is understood.
        "ociVersionMin" => oci_version_min: String,
        /// The newest version of the specification that is understood.
        "ociVersionMax" => oci_version_max: String,
        /// The kinds of hook.
        "hooks" => hooks: Vec<String>,
        /// The mount options that are not data for a file system.
        "mountOptions" => mount_options: Vec<String>,
        /// What is particular to Linux.
        "linux" => linux: Option<Linux>,
        /// Free metadata about the runtime.
        "annotations" => annotations: Vec<(String, String)>,
        /// Annotations of a configuration that change what the runtime does; one that ends in a dot is a
        /// prefix.
        "potentiallyUnsafeConfigAnnotations" => potentially_unsafe_config_annotations: Vec<String>,
    }

    /// What is particular to Linux.
    pub struct Linux {
        /// The kinds of namespace.
        "namespaces" => namespaces: Vec<String>,
        /// The capabilities.
        "capabilities" => capabilities: Vec<String>,
        /// Managers of cgroups.
        "cgroup" => cgroup: Option<Cgroup>,
        /// The filter of system calls.
        "seccomp" => seccomp: Option<Seccomp>,
        /// AppArmor.
        "apparmor" => apparmor: Option<Support>,
        /// SELinux.
        "selinux" => selinux: Option<Support>,
        /// Intel's Resource Director Technology.
        "intelRdt" => intel_rdt: Option<IntelRdt>,
        /// Memory policies.
        "memoryPolicy" => memory_policy: Option<MemoryPolicy>,
        /// Mounts beyond mount(2).
        "mountExtensions" => mount_extensions: Option<MountExtensions>,
        /// Network devices moved into the container.
        "netDevices" => net_devices: Option<Support>,
    }

    /// Whether something is supported at all.
    pub struct Support {
        /// Whether it is.
        "enabled" => enabled: Option<bool>,
    }

    /// Managers of cgroups.
    pub struct Cgroup {
        /// Version 1.
        "v1" => v1: Option<bool>,
        /// Version 2.
        "v2" => v2: Option<bool>,
        /// Through systemd.
        "systemd" => systemd: Option<bool>,
        /// Through a user's systemd.
        "systemdUser" => systemd_user: Option<bool>,
        /// The RDMA controller.
        "rdma" => rdma: Option<bool>,
    }

    /// The filter of system calls.
    pub struct Seccomp {
        /// Whether there is one.
        "enabled" => enabled: Option<bool>,
        /// The actions, such as `SCMP_ACT_NOTIFY`.
        "actions" => actions: Vec<String>,
        /// The comparisons, such as `SCMP_CMP_NE`.
        "operators" => operators: Vec<String>,
        /// The architectures, such as `SCMP_ARCH_X86_64`.
        "archs" => archs: Vec<String>,
        /// The flags that are known, such as `SECCOMP_FILTER_FLAG_LOG`.
        "knownFlags" => known_flags: Vec<String>,
        /// The flags that the running kernel takes as well.
        "supportedFlags" => supported_flags: Vec<String>,
    }

    /// Intel's Resource Director Technology.
    pub struct IntelRdt {
        /// Whether `linux.intelRdt` is supported.
        "enabled" => enabled: Option<bool>,
        /// Whether its `schemata` is.
        "schemata" => schemata: Option<bool>,
        /// Whether its `enableMonitoring` is.
        "monitoring" => monitoring: Option<bool>,
    }

    /// Memory policies.
    pub struct MemoryPolicy {
        /// The modes, such as `MPOL_INTERLEAVE`.
        "modes" => modes: Vec<String>,
        /// The flags, such as `MPOL_F_STATIC_NODES`.
        "flags" => flags: Vec<String>,
    }

    /// Mounts beyond mount(2).
    pub struct MountExtensions {
        /// Idmapped mounts.
        "idmap" => idmap: Option<Support>,
    }
}
