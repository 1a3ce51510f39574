//! What `events` prints, one document a line, with the names that runc gives them (its package `types`) and that
//! engines read.

use alloc::string::String;
use alloc::vec::Vec;

use super::json::{Encode, Writer, written};

written! {
    /// One event.
    pub struct Event<'a> {
        /// `stats` or `oom`.
        "type" => kind: &'a str,
        /// The container.
        "id" => id: &'a str,
        /// With `stats`: the numbers.
        "data" => data: Option<Stats>,
    }

    /// What a container uses.
    pub struct Stats {
        /// Processor time.
        "cpu" => cpu: CpuStats,
        /// Memory.
        "memory" => memory: MemoryStats,
        /// Tasks.
        "pids" => pids: PidsStats,
        /// Block devices.
        "blkio" => block_io: BlockIoStats,
        /// Huge pages, by their size.
        "hugetlb" => hugepages: Vec<(String, MemoryEntry)>,
    }

    /// Processor time.
    pub struct CpuStats {
        /// What was used.
        "usage" => usage: CpuUsage,
        /// What the quota has taken.
        "throttling" => throttling: Throttling,
        /// Waiting for processors.
        "psi" => pressure: Option<Psi>,
    }

    /// Processor time in nanoseconds.
    pub struct CpuUsage {
        /// All of it.
        "total" => total: u64,
        /// In the kernel.
        "kernel" => kernel: u64,
        /// In programs.
        "user" => user: u64,
    }

    /// Periods of the quota.
    pub struct Throttling {
        /// Those that have passed.
        "periods" => periods: u64,
        /// Those in which the quota ran out.
        "throttledPeriods" => throttled_periods: u64,
        /// Nanoseconds of waiting for the next.
        "throttledTime" => throttled_time: u64,
    }

    /// Memory, in bytes.
    pub struct MemoryStats {
        /// Of it, pages of files.
        "cache" => cache: u64,
        /// Memory.
        "usage" => usage: MemoryEntry,
        /// Memory and swap together, as cgroup v1 counted.
        "swap" => swap: MemoryEntry,
        /// The kernel's own for these processes.
        "kernel" => kernel: MemoryEntry,
        /// memory.stat.
        "raw" => raw: Vec<(String, u64)>,
        /// Waiting for memory.
        "psi" => pressure: Option<Psi>,
        /// memory.events.
        "event_count" => event_count: Vec<(String, u64)>,
    }

    /// A number of bytes with its limit.
    pub struct MemoryEntry {
        /// The limit; 2^64 − 1 is none.
        "limit" => limit: Option<u64>,
        /// Now.
        "usage" => usage: u64,
        /// The most there has been.
        "max" => max: Option<u64>,
        /// How often the limit was met.
        "failcnt" => failures: u64,
    }

    /// Tasks.
    pub struct PidsStats {
        /// Now.
        "current" => current: u64,
        /// The limit; absent is none.
        "limit" => limit: Option<u64>,
    }

    /// Block devices.
    pub struct BlockIoStats {
        /// Bytes.
        "ioServiceBytesRecursive" => bytes: Vec<BlockIoEntry>,
        /// Operations.
        "ioServicedRecursive" => operations: Vec<BlockIoEntry>,
        /// Waiting for block devices.
        "psi" => pressure: Option<Psi>,
    }

    /// One kind of operation on one device.
    pub struct BlockIoEntry {
        /// The major number.
        "major" => major: u32,
        /// The minor number.
        "minor" => minor: u32,
        /// `Read`, `Write` or `Discard`.
        "op" => operation: &'static str,
        /// How much.
        "value" => value: u64,
    }

    /// Pressure stall information.
    pub struct Psi {
        /// Some tasks waited.
        "some" => some: PsiData,
        /// All did that were not idle.
        "full" => full: PsiData,
    }

    /// Shares of time, in percent.
    pub struct PsiData {
        /// Of the last 10 seconds.
        "avg10" => avg10: Hundredths,
        /// Of the last 60 seconds.
        "avg60" => avg60: Hundredths,
        /// Of the last 300 seconds.
        "avg300" => avg300: Hundredths,
        /// Microseconds in all.
        "total" => total: u64,
    }
}

/// A number with two digits behind the point.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hundredths(pub u32);

impl Encode for Hundredths {
    fn encode(&self, out: &mut Writer) {
        out.plain(&format_args!("{}.{:02}", self.0 / 100, self.0 % 100));
    }
}
