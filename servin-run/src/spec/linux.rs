//! What is particular to Linux: `linux` of `config.json`
//! ([config-linux.md](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md)).

use alloc::string::String;
use alloc::vec::Vec;

use super::json::{object, word_enum};
use super::resources::Resources;
use super::seccomp::Seccomp;

object! {
    /// The container's isolation and its limits.
    pub struct Linux {
        /// User ids of a new user namespace.
        "uidMappings" => uid_mappings: Vec<IdMapping>,
        /// Group ids of a new user namespace.
        "gidMappings" => gid_mappings: Vec<IdMapping>,
        /// Kernel parameters by their dotted names.
        "sysctl" => sysctl: Vec<(String, String)>,
        /// The cgroup's limits.
        "resources" => resources: Option<Resources>,
        /// The cgroup: a path from the mount point of the hierarchy, or relative to a place of the runtime's
        /// choice; `slice:prefix:name` under systemd.
        "cgroupsPath" => cgroups_path: Option<String>,
        /// The namespaces to make or to join, each kind at most once; what is missing is the runtime's own.
        "namespaces" => namespaces: Vec<Namespace>,
        /// Device nodes beside the default ones.
        "devices" => devices: Vec<Device>,
        /// Network devices to move from the host into the container, by their names on the host.
        "netDevices" => net_devices: Vec<(String, NetDevice)>,
        /// The filter of system calls.
        "seccomp" => seccomp: Option<Seccomp>,
        /// The propagation of the root mount: `shared`, `slave`, `private` or `unbindable`.
        "rootfsPropagation" => rootfs_propagation: Option<String>,
        /// Paths in the container that cannot be read.
        "maskedPaths" => masked_paths: Vec<String>,
        /// Paths in the container that cannot be written.
        "readonlyPaths" => readonly_paths: Vec<String>,
        /// The SELinux context of the mounts.
        "mountLabel" => mount_label: Option<String>,
        /// Cache and memory bandwidth.
        "intelRdt" => intel_rdt: Option<IntelRdt>,
        /// The NUMA nodes that memory comes from.
        "memoryPolicy" => memory_policy: Option<MemoryPolicy>,
        /// The execution domain.
        "personality" => personality: Option<Personality>,
        /// Offsets of a new time namespace's clocks: `monotonic` and `boottime`.
        "timeOffsets" => time_offsets: Vec<(String, TimeOffset)>,
    }

    /// A namespace to make, or to join (config-linux.md, Namespaces).
    pub struct Namespace {
        /// Which one.
        "type" => kind: NamespaceKind,
        /// The file of the namespace to join, absolute on the host; absent makes a new one.
        "path" => path: Option<String>,
    }

    /// A range of ids (config-linux.md, User namespace mappings).
    pub struct IdMapping {
        /// The first id in the container.
        "containerID" => container_id: u32,
        /// The first id on the host; for a mount, in the file system.
        "hostID" => host_id: u32,
        /// How many.
        "size" => size: u32,
    }

    /// How far a clock of a time namespace is off the host's (config-linux.md, Offset for Time Namespace).
    pub struct TimeOffset {
        /// Seconds; absent is zero.
        "secs" => secs: Option<i64>,
        /// Nanoseconds beside them; absent is zero.
        "nanosecs" => nanosecs: Option<u32>,
    }

    /// A device node (config-linux.md, Devices).
    pub struct Device {
        /// The absolute path in the container.
        "path" => path: String,
        /// Which kind of node.
        "type" => kind: DeviceKind,
        /// The major number; required but for a pipe.
        "major" => major: Option<i64>,
        /// The minor number; required but for a pipe.
        "minor" => minor: Option<i64>,
        /// The permission bits.
        "fileMode" => file_mode: Option<u32>,
        /// The owner, as seen in the container.
        "uid" => uid: Option<u32>,
        /// The group, as seen in the container.
        "gid" => gid: Option<u32>,
    }

    /// A network device to move into the container (config-linux.md, Network Devices).
    pub struct NetDevice {
        /// Its name in the container; absent keeps the name.
        "name" => name: Option<String>,
    }

    /// Intel's Resource Director Technology, through the resctrl file system (config-linux.md, IntelRdt).
    pub struct IntelRdt {
        /// The class of service, a directory of resctrl; absent is the container's id.
        "closID" => clos_id: Option<String>,
        /// Lines for the `schemata` file, after the two below.
        "schemata" => schemata: Vec<String>,
        /// Level 3 cache masks: `L3:<cache>=<mask>;…`.
        "l3CacheSchema" => l3_cache_schema: Option<String>,
        /// Memory bandwidth: `MB:<cache>=<percent or MBps>;…`.
        "memBwSchema" => mem_bw_schema: Option<String>,
        /// Deprecated by `enable_monitoring`: monitor cache occupancy.
        "enableCMT" => enable_cmt: Option<bool>,
        /// Deprecated by `enable_monitoring`: monitor memory bandwidth.
        "enableMBM" => enable_mbm: Option<bool>,
        /// Whether the container gets a monitoring group of its own.
        "enableMonitoring" => enable_monitoring: Option<bool>,
    }

    /// The memory policy of the process (config-linux.md, Memory policy; set_mempolicy).
    pub struct MemoryPolicy {
        /// Such as `MPOL_INTERLEAVE`.
        "mode" => mode: String,
        /// NUMA nodes as a list such as `0-1,4`.
        "nodes" => nodes: Option<String>,
        /// Such as `MPOL_F_STATIC_NODES`.
        "flags" => flags: Vec<String>,
    }

    /// The execution domain of the process (config-linux.md, Personality).
    pub struct Personality {
        /// `LINUX` or `LINUX32`.
        "domain" => domain: String,
        /// None are defined.
        "flags" => flags: Vec<String>,
    }
}

word_enum! {
    /// The kinds of namespace.
    pub enum NamespaceKind {
        /// Process ids.
        "pid" => Pid,
        /// Network devices, addresses, routes, ports.
        "network" => Network,
        /// Mount points.
        "mount" => Mount,
        /// System V IPC and POSIX message queues.
        "ipc" => Ipc,
        /// Host name and domain name.
        "uts" => Uts,
        /// User and group ids, capabilities.
        "user" => User,
        /// The view of the cgroup hierarchy.
        "cgroup" => Cgroup,
        /// The monotonic and the boot-time clock.
        "time" => Time,
    }

    /// The kinds of device node that mknod makes.
    pub enum DeviceKind {
        /// A character device.
        "c" => Character,
        /// A block device.
        "b" => Block,
        /// An unbuffered character device: on Linux the same as `c`.
        "u" => Unbuffered,
        /// A named pipe.
        "p" => Fifo,
    }
}
