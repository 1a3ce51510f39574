//! What a cgroup uses at the moment, as often as one likes: its files stay open, and each is read by one call. Far
//! less than [`super::statistics`], which is asked once.

use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::OwnedFd;

use crate::gather::Gather as _;
use crate::sys::path::{openat, stat};
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno};
use rustix::process::Pid;

use super::file::{self, number};
use super::tree::Cgroup;

/// More than memory.stat has, and io.stat on a host with a hundred disks.
const LONGEST: usize = 16 * 1024;

/// The files, in the order of [`Gauge::read`].
const FILES: [&str; 7] =
    ["cpu.stat", "memory.current", "memory.stat", "memory.max", "io.stat", "pids.current", "cgroup.procs"];

/// The open files of one cgroup, and of one process in it.
pub struct Gauge {
    files: [Option<OwnedFd>; FILES.len()],
    /// The interfaces of its network namespace; none where that is ours.
    network: Option<OwnedFd>,
}

/// What is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time so far, in microseconds.
    pub processor: u64,
    /// Memory without pages of files that nobody has touched lately; none without the controller.
    pub memory: Option<u64>,
    /// How much of it may be used.
    pub memory_limit: Option<u64>,
    /// Bytes received and sent by network so far.
    pub network: [u64; 2],
    /// Bytes read and written on block devices so far.
    pub blocks: [u64; 2],
    /// Processes and threads.
    pub tasks: u64,
}

impl Gauge {
    /// Opens the files of `cgroup`, and what the process `pid` sees of the network.
    pub fn open(cgroup: &Cgroup, pid: Option<Pid>) -> Gauge {
        // Absent: an older kernel, or a controller that is not enabled.
        let files = FILES.map(|name| file::open(cgroup.descriptor(), name, OFlags::RDONLY).ok());
        let network = pid.and_then(|pid| {
            let namespace =
                |of: &str| stat(alloc::format!("/proc/{of}/ns/net")).map(|s| (s.st_dev, s.st_ino));
            let pid = alloc::format!("{pid}");
            if namespace(&pid).ok()? == namespace("self").ok()? {
                return None;
            }
            let flags = OFlags::RDONLY | OFlags::CLOEXEC;
            openat(CWD, alloc::format!("/proc/{pid}/net/dev"), flags, rustix::fs::Mode::empty()).ok()
        });
        Gauge { files, network }
    }

    /// Reads them; an error once the cgroup is gone.
    pub fn read(&self) -> io::Result<Usage> {
        let [processor, memory, breakdown, limit, blocks, tasks, processes] = &self.files;
        let mut buffer = alloc::vec![0; LONGEST];
        let mut usage = Usage::default();
        let mut text = |file: &Option<OwnedFd>| -> io::Result<Option<String>> {
            let Some(file) = file else { return Ok(None) };
            let length = io::retry_on_intr(|| io::pread(file, &mut buffer[..], 0))?;
            Ok(Some(String::from_utf8_lossy(buffer.get(..length).unwrap_or_default()).into_owned()))
        };
        // The kernel answers ENODEV of a file whose cgroup was removed.
        usage.processor = number(&text(processor)?.ok_or(Errno::NODEV)?, "usage_usec").unwrap_or(0);
        if let Some(current) = text(memory)?.and_then(|text| text.trim_end().parse::<u64>().ok()) {
            let idle = number(&text(breakdown)?.unwrap_or_default(), "inactive_file").unwrap_or(0);
            usage.memory = Some(current.saturating_sub(idle));
            usage.memory_limit = text(limit)?.and_then(|text| text.trim_end().parse().ok());
        }
        usage.blocks = blocks_of(&text(blocks)?.unwrap_or_default());
        usage.tasks = match text(tasks)? {
            Some(text) => text.trim_end().parse().unwrap_or(0),
            None => text(processes)?.unwrap_or_default().lines().count() as u64,
        };
        // It may end with the last process, before the cgroup does.
        usage.network = traffic(&text(&self.network).unwrap_or_default().unwrap_or_default());
        Ok(usage)
    }
}

/// The sums over all devices of lines of `8:0 rbytes=1 wbytes=2 …`.
fn blocks_of(text: &str) -> [u64; 2] {
    let mut sums = [0u64; 2];
    for word in text.split_ascii_whitespace() {
        for (sum, key) in sums.iter_mut().zip(["rbytes=", "wbytes="]) {
            let value = word.strip_prefix(key).and_then(|value| value.parse().ok());
            *sum = sum.saturating_add(value.unwrap_or(0));
        }
    }
    sums
}

/// The sums over all interfaces but the loopback of lines of `eth0: BYTES PACKETS …`, where the ninth number is that
/// of the bytes sent (proc_pid_net(5)).
fn traffic(text: &str) -> [u64; 2] {
    let mut sums = [0u64; 2];
    for line in text.lines() {
        let Some((name, counts)) = line.split_once(':') else { continue };
        if name.trim() == "lo" {
            continue;
        }
        let counts: Vec<&str> = counts.split_ascii_whitespace().gather();
        for (sum, index) in sums.iter_mut().zip([0, 8]) {
            let value = counts.get(index).and_then(|count| count.parse().ok());
            *sum = sum.saturating_add(value.unwrap_or(0));
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Fake;
    use super::*;

    #[test]
    fn what_is_used_is_read_again_from_open_files() {
        let fake = Fake::new("usage");
        for (name, text) in [
            ("cpu.stat", "usage_usec 1500\nuser_usec 1000\n"),
            ("memory.current", "10000\n"),
            ("memory.stat", "anon 5\ninactive_file 4000\n"),
            ("memory.max", "max\n"),
            ("io.stat", "8:0 rbytes=1 wbytes=2 rios=3 wios=4\n8:16 rbytes=10 wbytes=20 rios=3 wios=4\n"),
            ("pids.current", "3\n"),
        ] {
            fake.write(name, text);
        }
        let gauge = Gauge::open(&fake.cgroup(), None);
        let expected = Usage {
            processor: 1500,
            memory: Some(6000),
            memory_limit: None,
            network: [0, 0],
            blocks: [11, 22],
            tasks: 3,
        };
        assert_eq!(gauge.read(), Ok(expected.clone()));
        fake.write("memory.max", "20000\n");
        assert_eq!(gauge.read(), Ok(Usage { memory_limit: Some(20_000), ..expected }));
    }

    #[test]
    fn without_controllers_there_are_processor_time_and_processes() {
        let fake = Fake::new("bare");
        fake.write("cpu.stat", "usage_usec 7\n");
        fake.write("cgroup.procs", "1\n2\n");
        let usage = Gauge::open(&fake.cgroup(), None).read().expect("read");
        assert_eq!(usage, Usage { processor: 7, tasks: 2, ..Usage::default() });
        assert_eq!(Gauge::open(&Fake::new("gone").cgroup(), None).read(), Err(Errno::NODEV));
    }

    #[test]
    fn the_loopback_is_no_traffic() {
        let text = "Inter-| Receive | Transmit\n face |bytes packets |bytes\n    lo: 9 1 0 0 0 0 0 0 9 1\n  eth0: 100 1 0 0 0 0 0 0 50 1 0\n eth1:1 0 0 0 0 0 0 0 2";
        assert_eq!(traffic(text), [101, 52]);
        assert_eq!(traffic("eth0: x\n:::\neth0: 18446744073709551615\neth1: 1 "), [u64::MAX, 0]);
    }
}
