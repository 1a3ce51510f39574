//! The limits of the container's cgroup: `linux.resources` of `config.json`, and the document of `update`
//! ([config-linux.md, Control groups][rules]). The words are those of cgroup v1.
//!
//! [rules]: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#control-groups

use alloc::string::String;
use alloc::vec::Vec;

use super::json::object;

object! {
    /// The limits of a cgroup; what is absent is left as it is.
    pub struct Resources {
        /// Which devices may be used, in order, later rules over earlier ones.
        "devices" => devices: Vec<DeviceRule>,
        /// Memory.
        "memory" => memory: Option<Memory>,
        /// Processor time and processors.
        "cpu" => cpu: Option<Cpu>,
        /// Tasks.
        "pids" => pids: Option<Pids>,
        /// Block devices.
        "blockIO" => block_io: Option<BlockIo>,
        /// Huge pages, by their size.
        "hugepageLimits" => hugepage_limits: Vec<HugepageLimit>,
        /// Class and priorities of network packets (cgroup v1 only).
        "network" => network: Option<NetworkResources>,
        /// RDMA, by the device's name.
        "rdma" => rdma: Vec<(String, Rdma)>,
        /// Files of cgroup v2 and what to write into them.
        "unified" => unified: Vec<(String, String)>,
    }

    /// One rule about devices.
    pub struct DeviceRule {
        /// Whether it allows or denies.
        "allow" => allow: bool,
        /// `a` (or absent) for all, `c` for character devices, `b` for block devices.
        "type" => kind: Option<String>,
        /// The major number; absent or -1 for all.
        "major" => major: Option<i64>,
        /// The minor number; absent or -1 for all.
        "minor" => minor: Option<i64>,
        /// Of `r` read, `w` write, `m` mknod; absent for all.
        "access" => access: Option<String>,
    }

    /// Memory, in bytes; -1 is no limit.
    pub struct Memory {
        /// The limit.
        "limit" => limit: Option<i64>,
        /// The soft limit.
        "reservation" => reservation: Option<i64>,
        /// The limit of memory and swap together.
        "swap" => swap: Option<i64>,
        /// Deprecated: the limit of kernel memory.
        "kernel" => kernel: Option<i64>,
        /// Deprecated: the limit of kernel memory for TCP.
        "kernelTCP" => kernel_tcp: Option<i64>,
        /// How readily memory is swapped, 0 to 100 (cgroup v1 only).
        "swappiness" => swappiness: Option<u64>,
        /// Whether tasks wait instead of being killed (cgroup v1 only).
        "disableOOMKiller" => disable_oom_killer: Option<bool>,
        /// Whether the parent's limits count (cgroup v1 only).
        "useHierarchy" => use_hierarchy: Option<bool>,
        /// Whether `update` refuses a limit below the present use.
        "checkBeforeUpdate" => check_before_update: Option<bool>,
    }

    /// Processor time and processors; times are in microseconds.
    pub struct Cpu {
        /// The share of processor time against other cgroups, 2 to 262144; 1024 is the usual.
        "shares" => shares: Option<u64>,
        /// Processor time in each period; below zero is no limit.
        "quota" => quota: Option<i64>,
        /// Unused processor time that may be spent on top in a later period.
        "burst" => burst: Option<u64>,
        /// The length of the quota's period.
        "period" => period: Option<u64>,
        /// Real-time scheduled processor time in each real-time period (cgroup v1 only).
        "realtimeRuntime" => realtime_runtime: Option<i64>,
        /// The real-time period (cgroup v1 only).
        "realtimePeriod" => realtime_period: Option<u64>,
        /// Processors, as a list such as `0-3,7`.
        "cpus" => cpus: Option<String>,
        /// Memory nodes, as a list.
        "mems" => mems: Option<String>,
        /// 1 makes the cgroup run only when others are idle; 0 is the default.
        "idle" => idle: Option<i64>,
    }

    /// Tasks.
    pub struct Pids {
        /// How many; below zero is no limit.
        "limit" => limit: Option<i64>,
    }

    /// Block devices.
    pub struct BlockIo {
        /// The share of bandwidth, 10 to 1000.
        "weight" => weight: Option<u16>,
        /// The share against the cgroup's children, 10 to 1000 (cgroup v1 only).
        "leafWeight" => leaf_weight: Option<u16>,
        /// Shares of single devices.
        "weightDevice" => weight_device: Vec<WeightDevice>,
        /// Bytes read in a second.
        "throttleReadBpsDevice" => throttle_read_bps_device: Vec<ThrottleDevice>,
        /// Bytes written in a second.
        "throttleWriteBpsDevice" => throttle_write_bps_device: Vec<ThrottleDevice>,
        /// Reads in a second.
        "throttleReadIOPSDevice" => throttle_read_iops_device: Vec<ThrottleDevice>,
        /// Writes in a second.
        "throttleWriteIOPSDevice" => throttle_write_iops_device: Vec<ThrottleDevice>,
    }

    /// The share of one block device.
    pub struct WeightDevice {
        /// The major number.
        "major" => major: i64,
        /// The minor number.
        "minor" => minor: i64,
        /// The share of bandwidth, 10 to 1000.
        "weight" => weight: Option<u16>,
        /// The share against the cgroup's children, 10 to 1000 (cgroup v1 only).
        "leafWeight" => leaf_weight: Option<u16>,
    }

    /// The limit of one block device.
    pub struct ThrottleDevice {
        /// The major number.
        "major" => major: i64,
        /// The minor number.
        "minor" => minor: i64,
        /// Bytes or operations in a second.
        "rate" => rate: u64,
    }

    /// Huge pages of one size.
    pub struct HugepageLimit {
        /// The size, such as `2MB`.
        "pageSize" => page_size: String,
        /// The limit in bytes.
        "limit" => limit: u64,
    }

    /// RDMA, for one device.
    pub struct Rdma {
        /// How many handles may be open.
        "hcaHandles" => hca_handles: Option<u32>,
        /// How many objects may exist.
        "hcaObjects" => hca_objects: Option<u32>,
    }

    /// Class and priorities of network packets (cgroup v1 only).
    pub struct NetworkResources {
        /// The class identifier that packets carry.
        "classID" => class_id: Option<u32>,
        /// Priorities, by interface.
        "priorities" => priorities: Vec<InterfacePriority>,
    }

    /// The priority of packets that leave through one interface.
    pub struct InterfacePriority {
        /// The interface, in the runtime's network namespace.
        "name" => name: String,
        /// The priority.
        "priority" => priority: u32,
    }
}
