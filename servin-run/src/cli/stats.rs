//! `servin stats`: what containers use, once or again and again; on a terminal in the same place.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::termios::{isatty, tcgetwinsize};
use servin_init::sys::clock::{Nanoseconds, now};

use super::arguments::{Command, Given, Group, flag};
use super::format::{self, Column, units};
use super::{Invocation, output, places};
use crate::cgroup::usage::{Gauge, Usage};
use crate::container::people::{Entry, Store};
use crate::container::record::Container;
use crate::error::{Result, Step};
use crate::fs::copy::write_all;
use crate::fs::descriptors::stdout;
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::spec::json::Value;
use crate::sys::clock::pause;

/// The table's entry.
pub const STATS: Command = Command {
    name: "servin stats",
    usage: "[FLAGS] [CONTAINER...]",
    about: "Show what containers use, until it is interrupted.",
    groups: &[
        Group(
            "Stats",
            &[
                flag("no-stream", None, None, "print it once, and end"),
                flag("all", Some('a'), None, "those that do not run, too"),
                flag("no-trunc", None, None, "shorten nothing"),
                flag("trace", None, None, "print what each reading takes"),
            ],
        ),
        format::SINGLE,
    ],
    last_word: usize::MAX,
};

const COLUMNS: &[Column] = &[
    Column("CONTAINER ID", "ID"),
    Column("NAME", "Name"),
    Column("CPU %", "CPUPerc"),
    Column("MEM USAGE / LIMIT", "MemUsage"),
    Column("MEM %", "MemPerc"),
    Column("NET I/O", "NetIO"),
    Column("BLOCK I/O", "BlockIO"),
    Column("PIDS", "PIDs"),
];

/// Between two tables, in milliseconds.
const INTERVAL: u32 = 1000;
/// Before the first, because processor time is told by two readings.
const FIRST: u32 = 250;

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let once = given.switch("no-stream", false);
    let is_table = given.value("format").is_none_or(|format| format.starts_with("table"));
    let in_place = !once && is_table && isatty(stdout());
    may_open_many();
    let mut watched =
        Watched { store: places::store(invocation, given)?, given, host: memory_of_host(), all: Vec::new() };
    watched.find()?;
    for subject in &mut watched.all {
        subject.measure(false);
    }
    pause(FIRST);
    let mut screen = Screen::default();
    loop {
        let rows = watched.rows()?;
        let lines = format::lines(given, COLUMNS, "ID", &rows)?;
        match in_place {
            true => screen.show(&lines)?,
            false if lines.is_empty() => {}
            false => output::result(lines.join("\n"))?,
        }
        if once {
            return Ok(0);
        }
        pause(INTERVAL);
        watched.find()?;
    }
}

/// A container has eight files that stay open.
fn may_open_many() {
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Bytes; what a container without a limit may use.
fn memory_of_host() -> u64 {
    let text = read_text("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kibibytes = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1024)
}

/// The containers that are shown.
struct Watched<'w> {
    store: &'static Store,
    given: &'w Given<'w>,
    host: u64,
    all: Vec<Subject>,
}

/// One of them.
struct Subject {
    id: String,
    name: String,
    /// Open while it runs.
    gauge: Option<Gauge>,
    /// The last reading, and when that was.
    last: Option<(Usage, Nanoseconds)>,
    /// Hundredths of a percent of one processor, between the last two readings.
    processor: u64,
}

impl Watched<'_> {
    /// Containers come and go, unless some were named.
    fn find(&mut self) -> Result<()> {
        let named = &self.given.words;
        let mut entries = match named.is_empty() {
            false => named
                .iter()
                .map(|word| self.store.find(word).map(|entry| *entry))
                .gather::<Result<Vec<Entry>>>()?,
            true => self.store.all()?,
        };
        if named.is_empty() && !self.given.switch("all", false) {
            entries.retain(|entry| entry.record.state.phase.is_alive());
        }
        let mut all = Vec::new();
        for entry in &entries {
            let known = self.all.iter().position(|subject| subject.id == entry.record.id);
            let mut subject = match known {
                Some(known) => self.all.swap_remove(known),
                None => Subject {
                    id: entry.record.id.clone(),
                    name: entry.record.name.clone(),
                    gauge: None,
                    last: None,
                    processor: 0,
                },
            };
            if subject.gauge.is_none() && entry.record.state.phase.is_alive() {
                subject.gauge = self.gauge(&subject.id)?;
            }
            all.push(subject);
        }
        self.all = all;
        Ok(())
    }

    /// None while it is only on its way to run, or again.
    fn gauge(&self, id: &str) -> Result<Option<Gauge>> {
        let Some(directory) = self.store.runtime()?.find(id)? else { return Ok(None) };
        let container = Container::look(directory)?;
        let pid = container.process.as_ref().map(|process| process.pid);
        Ok(container.cgroup.as_ref().map(|cgroup| Gauge::open(cgroup, pid)))
    }

    fn rows(&mut self) -> Result<Vec<Value>> {
        let trace = self.given.switch("trace", false);
        let mut rows = Vec::new();
        for subject in &mut self.all {
            let usage = subject.measure(trace);
            rows.push(row(self.given, subject, usage.as_ref(), self.host));
        }
        Ok(rows)
    }
}

impl Subject {
    fn measure(&mut self, trace: bool) -> Option<Usage> {
        let begin = now();
        let read = self.gauge.as_ref()?.read();
        let time = now();
        if trace {
            let micros = u32::try_from((time - begin) / 1000).unwrap_or(u32::MAX);
            output::trace(micros, &format!("read what {} uses", self.name));
        }
        let Ok(usage) = read else {
            // It has ended, or begun again.
            (self.gauge, self.last, self.processor) = (None, None, 0);
            return None;
        };
        if let Some((before, then)) = &self.last {
            let used = usage.processor.saturating_sub(before.processor);
            let wall = (time.saturating_sub(*then) / 1000).max(1);
            self.processor = used.saturating_mul(10_000) / wall;
        }
        self.last = Some((usage.clone(), time));
        Some(usage)
    }
}

fn row(given: &Given, subject: &Subject, usage: Option<&Usage>, host: u64) -> Value {
    let none = || String::from("--");
    let pair = |[a, b]: [u64; 2]| format!("{} / {}", units::size(a), units::size(b));
    let limit = usage.and_then(|usage| usage.memory_limit).map_or(host, |limit| limit.min(host));
    let memory = usage.and_then(|usage| usage.memory);
    let id = format::id(given, &subject.id);
    let shown = [
        usage.map_or_else(none, |_| percent(subject.processor)),
        memory.map_or_else(
            || "-- / --".into(),
            |used| format!("{} / {}", units::binary_size(used), units::binary_size(limit)),
        ),
        memory.map_or_else(none, |used| percent(used.saturating_mul(10_000) / limit.max(1))),
        usage.map_or_else(none, |usage| pair(usage.network)),
        usage.map_or_else(none, |usage| pair(usage.blocks)),
        usage.map_or_else(none, |usage| usage.tasks.to_string()),
    ];
    let [processor, memory, part, network, blocks, tasks] = &shown;
    format::row(&[
        ("Container", id),
        ("ID", id),
        ("Name", &subject.name),
        ("CPUPerc", processor),
        ("MemUsage", memory),
        ("MemPerc", part),
        ("NetIO", network),
        ("BlockIO", blocks),
        ("PIDs", tasks),
    ])
}

/// Hundredths as Docker shows them.
fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// A table that is written over the one before.
#[derive(Default)]
struct Screen {
    /// The lines of that.
    above: usize,
}

impl Screen {
    fn show(&mut self, lines: &[String]) -> Result<()> {
        let size = tcgetwinsize(stdout()).ok();
        // The last line is the cursor's.
        let rows =
            size.map(|size| usize::from(size.ws_row)).filter(|rows| *rows > 1).map_or(24, |rows| rows - 1);
        let columns = size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(80);
        let text = self.frame(lines, rows, columns);
        write_all(stdout(), text.as_bytes()).step(|| "write to standard output")
    }

    /// One write: up to where the last table began, each line with what is left of the old one cleared, and then all
    /// below. Nothing is longer than a line or more than the screen: what has scrolled away cannot be written over.
    fn frame(&mut self, lines: &[String], rows: usize, columns: usize) -> String {
        let mut text = String::new();
        if self.above > 0 {
            text.push_str(&format!("\x1b[{}A", self.above));
        }
        for line in lines.iter().take(rows) {
            text.extend(line.chars().take(columns));
            text.push_str("\x1b[K\n");
        }
        text.push_str("\x1b[J");
        self.above = lines.len().min(rows);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_written_over_the_one_before() {
        let mut screen = Screen::default();
        let lines = ["HEAD".to_string(), "one two".into(), "three".into()];
        assert_eq!(screen.frame(&lines, 24, 5), "HEAD\x1b[K\none t\x1b[K\nthree\x1b[K\n\x1b[J");
        assert_eq!(screen.frame(&lines[..2], 1, 80), "\x1b[3AHEAD\x1b[K\n\x1b[J");
        assert_eq!(screen.frame(&[], 24, 80), "\x1b[1A\x1b[J");
        assert_eq!(screen.frame(&[], 24, 80), "\x1b[J");
    }

    #[test]
    fn percents_have_two_digits_behind_the_point() {
        assert_eq!(percent(0), "0.00%");
        assert_eq!(percent(20_105), "201.05%");
    }
}
