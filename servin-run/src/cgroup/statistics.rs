//! What a cgroup uses, in plain numbers: one read of each file. A file that is not there (its controller is not
//! enabled, an older kernel) leaves its numbers at nothing; what cannot be understood is skipped.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::Dir;
use rustix::io::{self, Errno};

use super::file::{self, number};
use super::tree::Cgroup;
use crate::error::{Result, Step};

/// Everything that is counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Statistics {
    /// Processor time.
    pub cpu: Cpu,
    /// Memory and swap.
    pub memory: Memory,
    /// Tasks.
    pub pids: Counted,
    /// Block devices.
    pub io: Vec<Device>,
    /// Huge pages, by their size.
    pub hugepages: Vec<(String, Counted)>,
    /// How much time is lost in waiting for processors.
    pub cpu_pressure: Option<Pressure>,
    /// How much time is lost in waiting for memory.
    pub memory_pressure: Option<Pressure>,
    /// How much time is lost in waiting for block devices.
    pub io_pressure: Option<Pressure>,
}

/// Processor time, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All of it.
    pub usage: u64,
    /// In programs.
    pub user: u64,
    /// In the kernel.
    pub system: u64,
    /// Periods of cpu.max that have passed.
    pub periods: u64,
    /// Those of them in which the quota ran out.
    pub throttled_periods: u64,
    /// How long processes have waited for the next one.
    pub throttled: u64,
}

/// A number with its limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// Now.
    pub current: u64,
    /// The most there has been, where the kernel tells.
    pub peak: Option<u64>,
    /// The limit; none is `max`.
    pub limit: Option<u64>,
    /// How often the limit was in the way.
    pub refused: u64,
}

/// Memory, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// Memory; `refused` counts how often memory.max was met.
    pub memory: Counted,
    /// Swap alone.
    pub swap: Counted,
    /// What has happened for want of memory, with the kernel's names (memory.events).
    pub events: Vec<(String, u64)>,
    /// What it is used for, with the kernel's names (memory.stat).
    pub breakdown: Vec<(String, u64)>,
}

/// One block device (io.stat): bytes and operations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Device {
    /// The major number.
    pub major: u32,
    /// The minor number.
    pub minor: u32,
    /// Bytes read.
    pub read_bytes: u64,
    /// Bytes written.
    pub written_bytes: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes discarded.
    pub discarded_bytes: u64,
    /// Discards.
    pub discards: u64,
}

/// Pressure stall information (Documentation/accounting/psi.rst).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pressure {
    /// Some tasks waited.
    pub some: Stall,
    /// All waited that were not idle.
    pub full: Stall,
}

/// Shares of the last 10, 60 and 300 seconds in hundredths of a percent, and microseconds since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stall {
    /// Of the last 10 seconds.
    pub avg10: u32,
    /// Of the last 60 seconds.
    pub avg60: u32,
    /// Of the last 300 seconds.
    pub avg300: u32,
    /// Microseconds in all.
    pub total: u64,
}

impl Cgroup {
    /// Reads all of it.
    pub fn statistics(&self) -> Result<Statistics> {
        self.read_statistics().step(|| format!("read the statistics of the cgroup {}", self.path()))
    }

    fn read_statistics(&self) -> io::Result<Statistics> {
        let text = |name: &str| file::read_if_there(self.descriptor(), name);
        let events = text("memory.events")?;
        let mut statistics = Statistics {
            cpu: cpu(&text("cpu.stat")?),
            memory: Memory {
                memory: Counted {
                    refused: number(&events, "max").unwrap_or(0),
                    ..self.counted("memory.current", "memory.peak", "memory.max")?
                },
                swap: self.counted("memory.swap.current", "memory.swap.peak", "memory.swap.max")?,
                events: pairs(&events),
                breakdown: pairs(&text("memory.stat")?),
            },
            pids: Counted {
                refused: number(&text("pids.events")?, "max").unwrap_or(0),
                ..self.counted("pids.current", "pids.peak", "pids.max")?
            },
            io: io(&text("io.stat")?),
            hugepages: Vec::new(),
            cpu_pressure: self.pressure("cpu.pressure")?,
            memory_pressure: self.pressure("memory.pressure")?,
            io_pressure: self.pressure("io.pressure")?,
        };
        for size in page_sizes(Dir::read_from(self.descriptor())?)? {
            let pages = Counted {
                refused: number(&text(&format!("hugetlb.{size}.events"))?, "max").unwrap_or(0),
                ..self.counted(&format!("hugetlb.{size}.current"), "", &format!("hugetlb.{size}.max"))?
            };
            statistics.hugepages.push((size, pages));
        }
        Ok(statistics)
    }

    fn counted(&self, current: &str, peak: &str, limit: &str) -> io::Result<Counted> {
        let value = |name: &str| -> io::Result<Option<u64>> {
            match name {
                "" => Ok(None),
                name => Ok(file::read_if_there(self.descriptor(), name)?.trim_end().parse().ok()),
            }
        };
        Ok(Counted {
            current: value(current)?.unwrap_or(0),
            peak: value(peak)?,
            // Huge pages of 1 GB write "max" as a number, rounded (mm/page_counter.c).
            limit: value(limit)?.filter(|&limit| limit < 1 << 62),
            refused: 0,
        })
    }

    fn pressure(&self, name: &str) -> io::Result<Option<Pressure>> {
        match file::read(self.descriptor(), name) {
            // Absent, or turned off (psi=0, cgroup.pressure).
            Err(Errno::NOENT | Errno::OPNOTSUPP) => Ok(None),
            text => Ok(Some(pressure(&text?))),
        }
    }
}

fn cpu(text: &str) -> Cpu {
    let get = |key: &str| number(text, key).unwrap_or(0);
    Cpu {
        usage: get("usage_usec"),
        user: get("user_usec"),
        system: get("system_usec"),
        periods: get("nr_periods"),
        throttled_periods: get("nr_throttled"),
        throttled: get("throttled_usec"),
    }
}

/// Lines of `key number`.
fn pairs(text: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some((key, value)) = line.split_once(' ')
            && let Ok(value) = value.parse()
        {
            found.push((key.to_string(), value));
        }
    }
    found
}

/// Lines of `8:0 rbytes=1 wbytes=2 …`.
fn io(text: &str) -> Vec<Device> {
    let mut found = Vec::new();
    for line in text.lines() {
        let mut words = line.split(' ');
        let Some((major, minor)) = words.next().and_then(|number| number.split_once(':')) else { continue };
        let (Ok(major), Ok(minor)) = (major.parse(), minor.parse()) else { continue };
        let mut device = Device { major, minor, ..Device::default() };
        for word in words {
            let Some((key, value)) = word.split_once('=') else { continue };
            let field = match key {
                "rbytes" => &mut device.read_bytes,
                "wbytes" => &mut device.written_bytes,
                "rios" => &mut device.reads,
                "wios" => &mut device.writes,
                "dbytes" => &mut device.discarded_bytes,
                "dios" => &mut device.discards,
                _ => continue,
            };
            *field = value.parse().unwrap_or(0);
        }
        found.push(device);
    }
    found
}

/// Lines of `some avg10=0.12 avg60=0.00 avg300=0.00 total=345`.
fn pressure(text: &str) -> Pressure {
    let mut found = Pressure::default();
    for line in text.lines() {
        let mut words = line.split(' ');
        let stall = match words.next() {
            Some("some") => &mut found.some,
            Some("full") => &mut found.full,
            _ => continue,
        };
        for word in words {
            let Some((key, value)) = word.split_once('=') else { continue };
            match key {
                "avg10" => stall.avg10 = hundredths(value),
                "avg60" => stall.avg60 = hundredths(value),
                "avg300" => stall.avg300 = hundredths(value),
                "total" => stall.total = value.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
    found
}

/// `1.23` as 123; the kernel always writes two digits behind the point.
fn hundredths(text: &str) -> u32 {
    let (whole, part) = text.split_once('.').unwrap_or((text, "00"));
    let (Ok(whole), Ok(part)) = (whole.parse::<u32>(), part.parse::<u32>()) else { return 0 };
    if part > 99 { 0 } else { whole.saturating_mul(100).saturating_add(part) }
}

/// The sizes of huge pages that there are files for.
fn page_sizes(entries: Dir) -> io::Result<Vec<String>> {
    let mut sizes = Vec::new();
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_str().unwrap_or_default();
        let size = name.strip_prefix("hugetlb.").and_then(|rest| rest.strip_suffix(".current"));
        if let Some(size) = size.filter(|size| !size.contains('.')) {
            sizes.push(size.to_string());
        }
    }
    Ok(sizes)
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Fake;
    use super::*;

    const PRESSURE: &str = "some avg10=1.23 avg60=0.05 avg300=100.00 total=345\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=7\n";

    #[test]
    fn every_file_is_read_once_into_numbers() {
        let fake = Fake::new("statistics");
        for (name, text) in [
            (
                "cpu.stat",
                "usage_usec 10\nuser_usec 7\nsystem_usec 3\nnr_periods 5\nnr_throttled 2\nthrottled_usec 99\n",
            ),
            ("memory.current", "4096\n"),
            ("memory.peak", "8192\n"),
            ("memory.max", "max\n"),
            ("memory.swap.max", "0\n"),
            ("memory.events", "low 0\nhigh 0\nmax 4\noom 1\noom_kill 2\n"),
            ("memory.stat", "anon 12\nfile 34\n"),
            ("pids.current", "3\n"),
            ("pids.max", "100\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6\n7:0 \n"),
            ("hugetlb.2MB.current", "2097152\n"),
            ("hugetlb.2MB.max", "max\n"),
            ("hugetlb.2MB.rsvd.current", "1\n"),
            ("hugetlb.2MB.events", "max 6\n"),
            ("cpu.pressure", PRESSURE),
        ] {
            fake.write(name, text);
        }
        let found = fake.cgroup().statistics().expect("read");
        let cpu = Cpu { usage: 10, user: 7, system: 3, periods: 5, throttled_periods: 2, throttled: 99 };
        assert_eq!(found.cpu, cpu);
        assert_eq!(found.memory.memory, Counted { current: 4096, peak: Some(8192), limit: None, refused: 4 });
        assert_eq!((found.memory.swap.limit, &found.memory.events[4]), (Some(0), &("oom_kill".into(), 2)));
        assert_eq!(found.memory.breakdown, [("anon".into(), 12), ("file".into(), 34)]);
        assert_eq!((found.pids.current, found.pids.limit), (3, Some(100)));
        assert_eq!((found.io[0].reads, found.io[0].discarded_bytes, found.io.len()), (3, 5, 2));
        let pages = Counted { current: 2_097_152, refused: 6, ..Counted::default() };
        assert_eq!(found.hugepages, [("2MB".into(), pages)]);
        let some = Stall { avg10: 123, avg60: 5, avg300: 10_000, total: 345 };
        assert_eq!(found.cpu_pressure.expect("pressure").some, some);
        assert_eq!(found.io_pressure, None);
        assert!(Fake::new("nothing").cgroup().statistics().expect("nothing to read").hugepages.is_empty());
    }

    #[test]
    fn cut_and_odd_input_is_skipped() {
        let whole =
            format!("{PRESSURE}8:0 rbytes=1 wbytes=99999999999999999999\nusage_usec 7\n:: =\nx \n8: a=\né=1");
        for (end, _) in whole.char_indices() {
            for begin in [0, end / 2] {
                let Some(cut) = whole.get(begin..end) else { continue };
                let _ = (cpu(cut), pairs(cut), io(cut), pressure(cut));
            }
        }
        assert_eq!(hundredths("1"), 100);
        assert_eq!(["", ".", "1.234", "-1.00", "99999999999.00"].map(hundredths), [0; 5]);
        assert_eq!(io("8:0 rbytes=x")[0].read_bytes, 0);
    }
}
