//! `events`: what a container uses, once or every few seconds, and when the kernel kills in it for want of memory.

use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use servin_init::sys::clock::{Nanoseconds, SECOND, now};

use super::{Session, id};
use crate::cgroup::statistics::{Counted, Device, Pressure, Stall, Statistics};
use crate::cgroup::{Cgroup, file};
use crate::cli::arguments::{Command, Group, flag};
use crate::cli::output;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::spec::events::{
    BlockIoEntry, BlockIoStats, CpuStats, CpuUsage, Event, Hundredths, MemoryEntry, MemoryStats, PidsStats,
    Psi, PsiData, Stats, Throttling,
};
use crate::spec::{self, Status};
use crate::sys::clock::timespec;

const EVENTS: Command = Command {
    name: "servin-run events",
    usage: "[FLAGS] ID",
    about: "Print what a container uses, as JSON, every few seconds, and when it runs out of memory.",
    groups: &[Group(
        "Flags",
        &[
            flag("stats", None, None, "print it once, and end"),
            flag("interval", None, Some("TIME"), "how often, as 500ms, 5s or 1m (default: 5s)"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn events(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&EVENTS, arguments)? else { return Ok(0) };
    let id = id(&EVENTS, &given)?;
    let interval = match given.value("interval") {
        None => 5 * SECOND,
        Some(text) => duration(text).ok_or_else(|| {
            Error::new(format_args!("--interval {text}: not a time such as 500ms, 5s or 1m"))
        })?,
    };
    let container = session.container(id)?;
    if matches!(container.status, Status::Stopped | Status::Creating) {
        return Err(Error::new("container not running"));
    }
    let Some(cgroup) = &container.cgroup else {
        return Err(Error::new(format_args!("the container {id} has no cgroup that would count")));
    };
    if given.switch("stats", false) {
        return print_statistics(id, cgroup).map(|()| 0);
    }
    watch(id, cgroup, interval).map(|()| 0)
}

fn print(id: &str, kind: &str, data: Option<Stats>) -> Result<()> {
    output::result(spec::to_json(&Event { kind, id, data }))
}

fn print_statistics(id: &str, cgroup: &Cgroup) -> Result<()> {
    print(id, "stats", Some(stats(cgroup.statistics()?)))
}

/// Until the last process of the container has ended.
fn watch(id: &str, cgroup: &Cgroup, interval: Nanoseconds) -> Result<()> {
    let open = |name: &str| file::open(cgroup.descriptor(), name, OFlags::RDONLY);
    let step = || alloc::format!("watch the cgroup {}", cgroup.path());
    let life = open("cgroup.events").step(step)?;
    // Not there without the memory controller: then nobody is killed for want of it either.
    let memory = open("memory.events").ok();
    // Once the cgroup is gone there is nothing to read, and nobody in it.
    let count = |file: Option<&OwnedFd>, key: &str| {
        let text = file.and_then(|file| file::read_again(file).ok()).unwrap_or_default();
        file::number(&text, key).unwrap_or(0)
    };
    let mut kills = count(memory.as_ref(), "oom_kill");
    let mut next = now();
    loop {
        let seen = count(memory.as_ref(), "oom_kill");
        if seen > kills {
            print(id, "oom", None)?;
        }
        kills = seen;
        if count(Some(&life), "populated") == 0 {
            return Ok(());
        }
        if now() >= next {
            print_statistics(id, cgroup)?;
            next += interval;
        }
        // The kernel tells of both files' changes by POLLPRI; what has changed is read above.
        let mut files: Vec<PollFd> = Vec::new();
        files.extend(
            [Some(&life), memory.as_ref()].into_iter().flatten().map(|f| PollFd::new(f, PollFlags::PRI)),
        );
        match poll(&mut files, Some(&timespec(next.saturating_sub(now())))) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Error::os(step(), errno)),
        }
    }
}

/// A time as Go's programs write it, without fractions: `1m30s`.
fn duration(text: &str) -> Option<Nanoseconds> {
    let mut rest = text;
    let mut total: Nanoseconds = 0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = match &rest[..end] {
            "ms" => SECOND / 1000,
            "s" => SECOND,
            "m" => 60 * SECOND,
            "h" => 3600 * SECOND,
            _ => return None,
        };
        total = total.checked_add(number.checked_mul(unit)?)?;
        rest = &rest[end..];
    }
    // Years are a mistake, and so is a busy loop.
    Some(total).filter(|total| (SECOND / 1000..=86_400 * SECOND).contains(total))
}

/// The numbers in runc's form.
fn stats(found: Statistics) -> Stats {
    let Statistics { cpu, memory, pids, io, hugepages, .. } = found;
    let raw =
        |key: &str| memory.breakdown.iter().find(|(name, _)| name == key).map_or(0, |(_, value)| *value);
    let (file, kernel) = (raw("file"), raw("kernel"));
    let usage = entry(&memory.memory);
    let mut swap = entry(&memory.swap);
    // Together with memory, as cgroup v1 counted.
    swap.usage += usage.usage;
    swap.limit =
        memory.swap.limit.zip(memory.memory.limit).map(|(swap, memory)| swap + memory).or(Some(u64::MAX));
    swap.max = None;
    Stats {
        cpu: CpuStats {
            usage: CpuUsage { total: cpu.usage * 1000, kernel: cpu.system * 1000, user: cpu.user * 1000 },
            throttling: Throttling {
                periods: cpu.periods,
                throttled_periods: cpu.throttled_periods,
                throttled_time: cpu.throttled * 1000,
            },
            pressure: found.cpu_pressure.as_ref().map(psi),
        },
        memory: MemoryStats {
            cache: file,
            usage,
            swap,
            kernel: MemoryEntry { usage: kernel, ..MemoryEntry::default() },
            raw: memory.breakdown,
            pressure: found.memory_pressure.as_ref().map(psi),
            event_count: memory.events,
        },
        pids: PidsStats { current: pids.current, limit: pids.limit },
        block_io: BlockIoStats {
            bytes: entries(&io, |d| [d.read_bytes, d.written_bytes, d.discarded_bytes]),
            operations: entries(&io, |d| [d.reads, d.writes, d.discards]),
            pressure: found.io_pressure.as_ref().map(psi),
        },
        hugepages: hugepages.iter().map(|(size, pages)| (size.clone(), entry(pages))).gather(),
    }
}

fn entry(counted: &Counted) -> MemoryEntry {
    MemoryEntry {
        limit: Some(counted.limit.unwrap_or(u64::MAX)),
        usage: counted.current,
        max: counted.peak,
        failures: counted.refused,
    }
}

fn entries(devices: &[Device], values: fn(&Device) -> [u64; 3]) -> Vec<BlockIoEntry> {
    let mut entries = Vec::new();
    for device in devices {
        for (operation, value) in ["Read", "Write", "Discard"].into_iter().zip(values(device)) {
            entries.push(BlockIoEntry { major: device.major, minor: device.minor, operation, value });
        }
    }
    entries
}

fn psi(pressure: &Pressure) -> Psi {
    let data = |stall: Stall| PsiData {
        avg10: Hundredths(stall.avg10),
        avg60: Hundredths(stall.avg60),
        avg300: Hundredths(stall.avg300),
        total: stall.total,
    };
    Psi { some: data(pressure.some), full: data(pressure.full) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_go_writes_them() {
        assert_eq!(duration("5s"), Some(5 * SECOND));
        assert_eq!(duration("1m30s"), Some(90 * SECOND));
        assert_eq!(duration("250ms"), Some(SECOND / 4));
        for text in ["", "5", "s", "5x", "-1s", "1.5s", "0s", "99999999999999999999s", "9999999h", "5s5"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
