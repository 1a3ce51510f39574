//! `HostConfig` of inspect: what depends on the host, read back from the container's configuration and record.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Found, networks};
use crate::error::Result;
use crate::gather::Gather as _;
use crate::plan::{ANNOTATION_INIT, defaults};
use crate::spec::NamespaceKind;
use crate::spec::json::{Present, written};
use crate::supervise::policy::Policy;

written! {
    /// What depends on the host.
    pub struct HostConfig<'a> {
        /// Places of the host and volumes, as `--volume` writes them.
        "Binds" => binds: Present<Vec<String>>,
        /// Where its output goes.
        "LogConfig" => log_config: LogConfig<'a>,
        /// Its first network, or whose namespace it has.
        "NetworkMode" => network_mode: String,
        /// When it is started again.
        "RestartPolicy" => restart_policy: RestartPolicy<'a>,
        /// It is removed when it has ended.
        "AutoRemove" => auto_remove: bool,
        /// Capabilities beside Docker's, and those of Docker's that it lacks.
        "CapAdd" => cap_add: Present<Vec<String>>,
        /// The latter.
        "CapDrop" => cap_drop: Present<Vec<String>>,
        /// Whose namespaces it has: empty or `private`, `host`, `container:ID`.
        "CgroupnsMode" => cgroupns_mode: String,
        /// Of shared memory and message queues.
        "IpcMode" => ipc_mode: String,
        /// Of processes.
        "PidMode" => pid_mode: String,
        /// Of the host name.
        "UTSMode" => uts_mode: String,
        /// Of user ids.
        "UsernsMode" => userns_mode: &'a str,
        /// Name servers.
        "Dns" => dns: Present<Vec<String>>,
        /// Options of the resolver.
        "DnsOptions" => dns_options: Present<&'a [String]>,
        /// Domains to search.
        "DnsSearch" => dns_search: Present<&'a [String]>,
        /// It may do what root on the host may.
        "Privileged" => privileged: bool,
        /// Its root is read-only.
        "ReadonlyRootfs" => readonly_rootfs: bool,
        /// Bytes of /dev/shm.
        "ShmSize" => shm_size: u64,
        /// Who runs it.
        "Runtime" => runtime: &'a str,
        /// An init is PID 1.
        "Init" => init: bool,
        /// How early it is killed for want of memory.
        "OomScoreAdj" => oom_score_adj: i32,
        /// Kernel parameters.
        "Sysctls" => sysctls: Present<&'a [(String, String)]>,
        /// Limits of each process.
        "Ulimits" => ulimits: Vec<Ulimit>,
        /// Bytes of memory; 0 is no limit.
        "Memory" => memory: i64,
        /// Bytes that are not reclaimed early.
        "MemoryReservation" => memory_reservation: i64,
        /// Bytes of memory and swap.
        "MemorySwap" => memory_swap: i64,
        /// Billionths of a processor; 0 is no limit.
        "NanoCpus" => nano_cpus: i64,
        /// Weight against others.
        "CpuShares" => cpu_shares: u64,
        /// The period of the quota.
        "CpuPeriod" => cpu_period: u64,
        /// Microseconds in each period.
        "CpuQuota" => cpu_quota: i64,
        /// Processors.
        "CpusetCpus" => cpuset_cpus: &'a str,
        /// Memory nodes.
        "CpusetMems" => cpuset_mems: &'a str,
        /// The share of disk time.
        "BlkioWeight" => blkio_weight: u32,
        /// Processes and threads; 0 is no limit.
        "PidsLimit" => pids_limit: i64,
        /// Where it is in the hierarchy of cgroups.
        "CgroupParent" => cgroup_parent: &'a str,
        /// What it does not see.
        "MaskedPaths" => masked_paths: Present<&'a [String]>,
        /// What it cannot write to.
        "ReadonlyPaths" => readonly_paths: Present<&'a [String]>,
    }

    /// Where output goes.
    pub struct LogConfig<'a> {
        /// The driver.
        "Type" => kind: &'a str,
        /// Its options.
        "Config" => config: Present<Vec<(String, String)>>,
    }

    /// When a container is started again.
    pub struct RestartPolicy<'a> {
        /// no, on-failure, always, unless-stopped.
        "Name" => name: &'a str,
        /// How often at most; 0 is without a limit.
        "MaximumRetryCount" => maximum_retry_count: u32,
    }

    /// A limit of each process.
    pub struct Ulimit {
        /// `nofile` and so on.
        "Name" => name: String,
        /// What it cannot go beyond.
        "Hard" => hard: i64,
        /// What holds.
        "Soft" => soft: i64,
    }
}

/// What there is to say of a container.
pub fn host_config(found: &Found) -> Result<HostConfig<'_>> {
    let Found { entry, config } = found;
    let (process, linux) = found.parts()?;
    let record = &entry.record;
    let resources = linux.resources.as_ref();
    let memory = resources.and_then(|resources| resources.memory.as_ref());
    let cpu = resources.and_then(|resources| resources.cpu.as_ref());
    let policy = record.restart.as_deref().unwrap_or_default();
    let mut log_options = Vec::new();
    log_options.extend(record.log.max_size.map(|size| ("max-size".to_string(), size.to_string())));
    log_options.extend(record.log.max_file.map(|count| ("max-file".to_string(), count.to_string())));
    let bounding = process.capabilities.as_ref().map_or(&[][..], |sets| &sets.bounding);
    let docker = defaults::CAPABILITIES.iter().map(|name| format!("CAP_{name}")).gather::<Vec<_>>();
    let without = |all: &[String], others: &[String]| {
        Present(all.iter().filter(|name| !others.contains(name)).cloned().gather())
    };
    let memory_mount = config.mounts.iter().find(|mount| mount.destination == "/dev/shm");
    let shm_size = memory_mount.and_then(|mount| {
        let size = mount.options.iter().find_map(|option| option.strip_prefix("size="))?;
        let (digits, unit) = size.strip_suffix('k').map_or((size, 1), |digits| (digits, 1024));
        digits.parse::<u64>().ok()?.checked_mul(unit)
    });
    let whose = |kind: NamespaceKind, name: &str| {
        let shared = record.shared.iter().find(|(shared, _)| shared == name);
        match (shared, linux.namespaces.iter().any(|namespace| namespace.kind == kind)) {
            (Some((_, owner)), _) => format!("container:{owner}"),
            (None, true) => String::new(),
            (None, false) => "host".into(),
        }
    };
    let or_private = |mode: String| if mode.is_empty() { "private".into() } else { mode };
    let period = cpu.and_then(|cpu| cpu.period).unwrap_or(0);
    let quota = cpu.and_then(|cpu| cpu.quota).unwrap_or(0);
    let nano_cpus = match (quota, period) {
        (1.., 1..) => quota.saturating_mul(1_000_000_000) / (period as i64).max(1),
        _ => 0,
    };
    let network = &record.network;
    let texts = |list: &mut dyn Iterator<Item = String>| Present(list.gather());
    let limit = |value: u64| i64::try_from(value).unwrap_or(-1);
    Ok(HostConfig {
        binds: texts(&mut record.mounts.iter().filter(|point| point.kind != "tmpfs").map(|point| {
            let source = point.name.as_ref().or(point.source.as_ref()).map_or("", String::as_str);
            let mode = if point.mode.is_empty() { String::new() } else { format!(":{}", point.mode) };
            format!("{source}:{}{mode}", point.destination)
        })),
        log_config: LogConfig { kind: &record.log.driver, config: Present(log_options) },
        network_mode: networks::mode(record),
        restart_policy: RestartPolicy {
            name: policy.split(':').next().filter(|name| !name.is_empty()).unwrap_or("no"),
            maximum_retry_count: match Policy::parse(policy)? {
                Policy::OnFailure(count) => count.unwrap_or(0),
                _ => 0,
            },
        },
        auto_remove: record.remove,
        cap_add: without(bounding, &docker),
        cap_drop: without(&docker, bounding),
        cgroupns_mode: or_private(whose(NamespaceKind::Cgroup, "cgroup")),
        ipc_mode: match memory_mount {
            None => "none".into(),
            Some(_) => or_private(whose(NamespaceKind::Ipc, "ipc")),
        },
        pid_mode: whose(NamespaceKind::Pid, "pid"),
        uts_mode: whose(NamespaceKind::Uts, "uts"),
        userns_mode: match linux.uid_mappings.is_empty() {
            true => "",
            false => "private",
        },
        dns: texts(&mut network.dns.iter().map(ToString::to_string)),
        dns_options: Present(&network.dns_options),
        dns_search: Present(&network.dns_search),
        privileged: linux.masked_paths.is_empty() && bounding.len() > 30,
        readonly_rootfs: config.root.as_ref().and_then(|root| root.readonly).unwrap_or(false),
        shm_size: shm_size.unwrap_or(0),
        runtime: "servin",
        init: config.annotations.iter().any(|(key, value)| key == ANNOTATION_INIT && value == "true"),
        oom_score_adj: process.oom_score_adj.unwrap_or(0),
        sysctls: Present(&linux.sysctl),
        ulimits: process
            .rlimits
            .iter()
            .map(|own| Ulimit {
                name: own.kind.trim_start_matches("RLIMIT_").to_ascii_lowercase(),
                hard: limit(own.hard),
                soft: limit(own.soft),
            })
            .gather(),
        memory: memory.and_then(|memory| memory.limit).unwrap_or(0),
        memory_reservation: memory.and_then(|memory| memory.reservation).unwrap_or(0),
        memory_swap: memory.and_then(|memory| memory.swap).unwrap_or(0),
        nano_cpus,
        cpu_shares: cpu.and_then(|cpu| cpu.shares).unwrap_or(0),
        cpu_period: period,
        cpu_quota: quota,
        cpuset_cpus: cpu.and_then(|cpu| cpu.cpus.as_deref()).unwrap_or_default(),
        cpuset_mems: cpu.and_then(|cpu| cpu.mems.as_deref()).unwrap_or_default(),
        blkio_weight: resources
            .and_then(|resources| resources.block_io.as_ref())
            .and_then(|block_io| block_io.weight)
            .unwrap_or(0)
            .into(),
        pids_limit: resources
            .and_then(|resources| resources.pids.as_ref())
            .and_then(|pids| pids.limit)
            .unwrap_or(0),
        cgroup_parent: linux
            .cgroups_path
            .as_deref()
            .and_then(|path| path.rsplit_once('/'))
            .map_or("", |(parent, _)| parent),
        masked_paths: Present(&linux.masked_paths),
        readonly_paths: Present(&linux.readonly_paths),
    })
}
