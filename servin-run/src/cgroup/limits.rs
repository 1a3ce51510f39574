//! From `linux.resources`, whose words are those of cgroup v1, to writes into the files of cgroup v2: pure.
//!
//! The conversions are those of runc (opencontainers/cgroups, fs2) and crun (cgroup-resources.c). What cgroup v2
//! cannot express is refused by the field's name, as crun does: runc drops it without a word.

mod block_io;
mod shares;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::devices;
use crate::error::{Error, Result};
use crate::spec;

/// What to do when the kernel refuses a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is an error.
    Fails,
    /// The file is not there (swap accounting, an older kernel): there is nothing to limit.
    Missing,
    /// The value clashes with one that a later write changes; the write is in the list a second time.
    Retried,
    /// The file is not there: this file takes this value instead.
    Instead(&'static str, String),
}

/// One request to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The property of `linux.resources` that asks for it, for errors.
    pub field: String,
    /// The cgroup's file.
    pub file: String,
    /// What is written.
    pub value: String,
    /// What a refusal means.
    pub refusal: Refusal,
}

/// The limits of a cgroup, ready to be written.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// The controllers that have to be there.
    pub controllers: Vec<&'static str>,
    /// What to write, in this order.
    pub writes: Vec<Write>,
    /// `memory.checkBeforeUpdate`: the limits of memory, and of memory with swap, that present use must be below.
    pub check_memory: Option<(Option<u64>, Option<u64>)>,
    /// The program that decides about devices; none where the configuration has no rules.
    pub devices: Option<Vec<devices::Instruction>>,
}

/// The controllers that files belong to.
const CONTROLLERS: &[&str] = &["cpuset", "cpu", "io", "memory", "hugetlb", "pids", "rdma", "misc", "dmem"];

impl Limits {
    /// Converts `resources`.
    pub fn new(resources: &spec::Resources) -> Result<Limits> {
        let mut limits = Limits::default();
        limits.convert(resources).map_err(|error| error.within("linux.resources"))?;
        limits.devices = devices::program(&resources.devices)?;
        Ok(limits)
    }

    /// A write that has to succeed; where there is none, and no rule about devices, a host without cgroup v2 will do.
    pub fn required(&self) -> Option<&Write> {
        self.writes.iter().find(|write| write.refusal != Refusal::Missing)
    }

    fn convert(&mut self, resources: &spec::Resources) -> Result<()> {
        if let Some(pids) = &resources.pids
            && let Some(limit) = pids.limit
        {
            // Zero is a limit (runtime-spec 1.3), though one process is always there.
            let value = if limit < 0 { "max".to_string() } else { limit.to_string() };
            self.write("pids.limit", "pids.max", value);
        }
        if let Some(memory) = &resources.memory {
            self.memory(memory)?;
        }
        if let Some(block_io) = &resources.block_io {
            self.block_io(block_io)?;
        }
        if let Some(cpu) = &resources.cpu {
            self.cpu(cpu)?;
        }
        for (index, limit) in resources.hugepage_limits.iter().enumerate() {
            self.hugepages(index, limit)?;
        }
        for (device, limit) in &resources.rdma {
            self.rdma(device, limit)?;
        }
        if let Some(network) = &resources.network
            && (network.class_id.is_some_and(|class| class != 0) || !network.priorities.is_empty())
        {
            return Err(only_v1("network"));
        }
        resources.unified.iter().try_for_each(|(key, value)| self.unified(key, value))
    }

    fn write(&mut self, field: &str, file: &str, value: String) {
        self.push(field, file, value, Refusal::Fails);
    }

    fn push(&mut self, field: &str, file: &str, value: String, refusal: Refusal) {
        let prefix = file.split('.').next().unwrap_or_default();
        let controller = CONTROLLERS.iter().find(|name| **name == prefix);
        if let Some(controller) = controller
            && !self.controllers.contains(controller)
        {
            self.controllers.push(controller);
        }
        self.writes.push(Write { field: field.to_string(), file: file.to_string(), value, refusal });
    }

    fn memory(&mut self, memory: &spec::Memory) -> Result<()> {
        // Zero is what engines write for "not set".
        let limit = amount("memory.limit", memory.limit)?;
        let swap = amount("memory.swap", memory.swap)?;
        let reservation = amount("memory.reservation", memory.reservation)?;
        for (field, given) in [
            ("memory.kernel", memory.kernel.is_some_and(|limit| limit > 0)),
            ("memory.kernelTCP", memory.kernel_tcp.is_some_and(|limit| limit > 0)),
            ("memory.swappiness", memory.swappiness.is_some()),
            ("memory.disableOOMKiller", memory.disable_oom_killer == Some(true)),
            ("memory.useHierarchy", memory.use_hierarchy == Some(false)),
        ] {
            if given {
                return Err(only_v1(field));
            }
        }
        if memory.check_before_update == Some(true) && (limit.is_some() || swap.is_some()) {
            let bytes = |amount: Option<Amount>| amount.and_then(|amount| amount.0);
            self.check_memory = Some((bytes(limit), bytes(swap)));
        }
        if let Some(swap) = swap_alone(limit, swap)? {
            // Without swap accounting there is no file, and nothing to allow or to forbid.
            let refusal = match swap.0 {
                None | Some(0) => Refusal::Missing,
                Some(_) => Refusal::Fails,
            };
            self.push("memory.swap", "memory.swap.max", swap.text(), refusal);
        }
        if let Some(limit) = limit {
            self.write("memory.limit", "memory.max", limit.text());
        }
        if let Some(reservation) = reservation {
            self.write("memory.reservation", "memory.low", reservation.text());
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &spec::Cpu) -> Result<()> {
        if cpu.realtime_runtime.is_some_and(|time| time != 0) {
            return Err(only_v1("cpu.realtimeRuntime"));
        }
        if cpu.realtime_period.is_some_and(|time| time != 0) {
            return Err(only_v1("cpu.realtimePeriod"));
        }
        let idle = match cpu.idle {
            Some(0 | 1) | None => cpu.idle,
            Some(other) => return Err(Error::new(format_args!("cpu.idle: {other} is neither 0 nor 1"))),
        };
        // An idle cgroup takes no weight (kernel/sched/fair.c, sched_group_set_shares).
        if idle == Some(0) {
            self.write("cpu.idle", "cpu.idle", "0".to_string());
        }
        match cpu.shares {
            None | Some(0) => {}
            // What every cgroup has anyway: engines write it without being asked, on hosts without the controller too.
            Some(shares::DEFAULT) => self.writes.push(Write {
                field: "cpu.shares".to_string(),
                file: "cpu.weight".to_string(),
                value: shares::to_weight(shares::DEFAULT).to_string(),
                refusal: Refusal::Missing,
            }),
            Some(shares) => self.write("cpu.shares", "cpu.weight", shares::to_weight(shares).to_string()),
        }
        if idle == Some(1) {
            self.write("cpu.idle", "cpu.idle", "1".to_string());
        }
        let quota = cpu.quota.filter(|&quota| quota != 0);
        let period = cpu.period.filter(|&period| period != 0);
        let burst = cpu.burst.map(|burst| burst.to_string());
        if quota.is_some() || period.is_some() {
            // The burst may not be more than the quota, neither before this write nor after it.
            if let Some(burst) = &burst {
                self.push("cpu.burst", "cpu.max.burst", burst.clone(), Refusal::Retried);
            }
            let mut value = match quota {
                Some(quota @ 1..) => quota.to_string(),
                _ => "max".to_string(),
            };
            // Without a period the kernel keeps the one it has, at first 100 ms.
            if let Some(period) = period {
                value = format!("{value} {period}");
            }
            self.write(if quota.is_some() { "cpu.quota" } else { "cpu.period" }, "cpu.max", value);
        }
        if let Some(burst) = burst {
            self.write("cpu.burst", "cpu.max.burst", burst);
        }
        for (field, file, list) in
            [("cpu.cpus", "cpuset.cpus", &cpu.cpus), ("cpu.mems", "cpuset.mems", &cpu.mems)]
        {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                self.write(field, file, list.clone());
            }
        }
        Ok(())
    }

    fn hugepages(&mut self, index: usize, limit: &spec::HugepageLimit) -> Result<()> {
        let size = &limit.page_size;
        let number = ["KB", "MB", "GB"].iter().find_map(|unit| size.strip_suffix(unit));
        if !number.is_some_and(|n| !n.starts_with('0') && n.parse::<u32>().is_ok_and(|n| n > 0)) {
            return Err(Error::new(format_args!(
                "hugepageLimits[{index}].pageSize: \"{size}\" is not a size such as 64KB, 2MB or 1GB"
            )));
        }
        let field = format!("hugepageLimits[{index}].limit");
        self.write(&field, &format!("hugetlb.{size}.max"), limit.limit.to_string());
        // Reserved pages are counted apart since Linux 5.7.
        self.push(&field, &format!("hugetlb.{size}.rsvd.max"), limit.limit.to_string(), Refusal::Missing);
        Ok(())
    }

    fn rdma(&mut self, device: &str, limit: &spec::Rdma) -> Result<()> {
        if device.is_empty() || device.contains(char::is_whitespace) {
            return Err(Error::new(format_args!("rdma: \"{device}\" is not the name of a device")));
        }
        let mut value = device.to_string();
        for (name, number) in [("hca_handle", limit.hca_handles), ("hca_object", limit.hca_objects)] {
            if let Some(number) = number {
                value = format!("{value} {name}={number}");
            }
        }
        if value.len() > device.len() {
            self.write("rdma", "rdma.max", value);
        }
        Ok(())
    }

    /// A file of the kernel's own naming; one request a line.
    fn unified(&mut self, key: &str, value: &str) -> Result<()> {
        let field = format!("unified[\"{key}\"]");
        let (controller, rest) = key.split_once('.').unwrap_or_default();
        if controller.is_empty() || rest.is_empty() || key.contains('/') {
            return Err(Error::new(format_args!(
                "{field}: not the name of a cgroup file, such as memory.high"
            )));
        }
        if controller != "cgroup" && !CONTROLLERS.contains(&controller) {
            return Err(Error::new(format_args!("{field}: there is no controller {controller}")));
        }
        for line in value.lines().filter(|line| !line.is_empty()) {
            self.write(&field, key, line.to_string());
        }
        Ok(())
    }
}

fn only_v1(field: &str) -> Error {
    Error::new(format_args!("{field}: cgroup v2 has nothing like it (only cgroup v1 had)"))
}

/// A number of bytes; none is no limit.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Amount(Option<u64>);

impl Amount {
    fn text(self) -> String {
        self.0.map_or_else(|| "max".to_string(), |bytes| bytes.to_string())
    }
}

fn amount(field: &str, value: Option<i64>) -> Result<Option<Amount>> {
    match value {
        None | Some(0) => Ok(None),
        Some(-1) => Ok(Some(Amount(None))),
        Some(bytes @ 1..) => Ok(Some(Amount(Some(bytes as u64)))),
        Some(other) => Err(Error::new(format_args!("{field}: {other} is neither a number of bytes nor -1"))),
    }
}

/// The limit of swap alone: cgroup v1 limits memory and swap together (runc's ConvertMemorySwapToCgroupV2Value).
fn swap_alone(limit: Option<Amount>, both: Option<Amount>) -> Result<Option<Amount>> {
    let unlimited = Some(Amount(None));
    match (limit, both) {
        // Unlimited memory without a word on swap means both, as it did with cgroup v1.
        (limit, None) => Ok(unlimited.filter(|_| limit == unlimited)),
        (_, Some(Amount(None))) => Ok(unlimited),
        (Some(Amount(None)), both) => Ok(both),
        (None, _) => Err(Error::new("memory.swap: it counts memory too, so memory.limit is needed with it")),
        (Some(Amount(Some(limit))), Some(Amount(Some(both)))) => match both.checked_sub(limit) {
            Some(swap) => Ok(Some(Amount(Some(swap)))),
            None => Err(Error::new(format_args!(
                "memory.swap: {both} is less than memory.limit, {limit}, which it includes"
            ))),
        },
    }
}

#[cfg(test)]
mod tests;
