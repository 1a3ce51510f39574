//! `servin logs`: what a container has printed, and goes on printing.

use alloc::format;
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io;

use super::arguments::{Command, Given, Group, flag};
use super::run::nanoseconds;
use super::{Invocation, places};
use crate::container::people::{Entry, Store};
use crate::container::time;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::descriptors::{stderr, stdout};
use crate::supervise::client::{self, Wire};
use crate::supervise::log::read::{Reader, entry};
use crate::supervise::log::{Driver, STREAMS};

/// The table's entry.
pub const LOGS: Command = Command {
    name: "servin logs",
    usage: "[FLAGS] CONTAINER",
    about: "Print what a container has printed.",
    groups: &[Group(
        "Logs",
        &[
            flag("follow", Some('f'), None, "go on until the container ends"),
            flag("tail", Some('n'), Some("N"), "the last N lines, or all (default)"),
            flag("timestamps", Some('t'), None, "with the time before each line"),
            flag("since", None, Some("TIME"), "from a time on: 2026-01-31T12:00:00Z, 10m, …"),
            flag("until", None, Some("TIME"), "up to a time"),
        ],
    )],
    last_word: usize::MAX,
};

/// Seconds since 1970 began, and nanoseconds.
type Moment = (i64, u32);

struct Wanted {
    since: Option<Moment>,
    until: Option<Moment>,
    timestamps: bool,
    /// The last piece of this stream was no whole line.
    pieces: [bool; STREAMS.len()],
}

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let word = given.one(&LOGS, places::CONTAINER)?;
    let tail = match given.value("tail") {
        None | Some("all" | "-1") => None,
        Some(text) => Some(
            text.parse().map_err(|_| Error::new(format_args!("--tail {text}: neither a number nor all")))?,
        ),
    };
    let moment_of = |name: &str| given.value(name).map(|text| moment(name, text)).transpose();
    let mut wanted = Wanted {
        since: moment_of("since")?,
        until: moment_of("until")?,
        timestamps: given.switch("timestamps", false),
        pieces: [false; STREAMS.len()],
    };
    let store = places::store(invocation, given)?;
    let entry = store.find(word)?;
    let driver = Driver::by_name(&entry.record.log.driver).unwrap_or(Driver::Json);
    if driver == Driver::None {
        return Err(Error::new(format_args!("{word} keeps no log: it was made with --log-driver none")));
    }
    let follow = given.switch("follow", false);
    // Before the log is read, so that all of it was written when the end is heard of.
    let supervisor = if follow { client::connect(&entry)? } else { None };
    let mut reader = Reader::open(&entry.directory, driver, tail, supervisor.is_some())?;
    let print = |reader: &mut Reader, wanted: &mut Wanted| print(reader, driver, wanted);
    if let Some(supervisor) = supervisor {
        follow_log(store, &entry, &mut reader, &supervisor, &mut |reader| print(reader, &mut wanted))?;
    } else {
        print(&mut reader, &mut wanted)?;
    }
    Ok(0)
}

/// Prints as the log grows, until the container has ended.
fn follow_log(
    store: &Store,
    entry: &Entry,
    reader: &mut Reader,
    supervisor: &Wire,
    print: &mut dyn FnMut(&mut Reader) -> Result<bool>,
) -> Result<()> {
    let mut over = false;
    loop {
        reader.rest();
        if !print(reader)? || over {
            return Ok(());
        }
        let Some(watch) = reader.watch() else { return Ok(()) };
        let mut polled = [PollFd::new(watch, PollFlags::IN), PollFd::new(supervisor, PollFlags::IN)];
        io::retry_on_intr(|| poll(&mut polled, None)).step(|| "wait for the log")?;
        if !polled[1].revents().is_empty() {
            // An end, after which the container may be started again.
            let left = client::wait_for_end(supervisor, None)?;
            let goes_on = matches!(left, Some(client::Left::Ended(_)))
                && store.find(&entry.record.id).is_ok_and(|entry| entry.record.state.phase.is_alive());
            over = !goes_on;
        }
    }
}

/// Prints what there is; whether more may be wanted.
fn print(reader: &mut Reader, driver: Driver, wanted: &mut Wanted) -> Result<bool> {
    let step = || "read the log";
    // What goes to the same side is written at once.
    let mut text = Vec::new();
    let mut stream = 0;
    let mut more = true;
    while let Some(line) = reader.line().step(step)? {
        let Some(entry) = entry(driver, line) else { continue };
        if wanted.since.is_some() || wanted.until.is_some() {
            let time = time::parse(entry.time);
            if time.is_some_and(|time| wanted.since.is_some_and(|since| time < since)) {
                continue;
            }
            if time.is_some_and(|time| wanted.until.is_some_and(|until| time > until)) {
                more = false;
                break;
            }
        }
        if entry.stream != stream || text.len() > 64 * 1024 {
            write(stream, &text)?;
            text.clear();
            stream = entry.stream;
        }
        if wanted.timestamps && !wanted.pieces[stream] {
            text.extend_from_slice(entry.time.as_bytes());
            text.push(b' ');
        }
        wanted.pieces[stream] = !entry.text.ends_with(b"\n");
        text.extend_from_slice(&entry.text);
    }
    write(stream, &text)?;
    Ok(more)
}

fn write(stream: usize, text: &[u8]) -> Result<()> {
    let to = if stream == 0 { stdout() } else { stderr() };
    write_all(to.as_fd(), text).step(|| format!("write to {}", STREAMS[stream]))
}

/// A moment, or how long ago it was.
fn moment(flag: &str, text: &str) -> Result<Moment> {
    const SECOND: u64 = 1_000_000_000;
    let parse = || {
        let whole = match text.len() {
            // A day, or no zone: UTC.
            10 => format!("{text}T00:00:00Z"),
            _ if !text.ends_with(['Z', 'z'])
                && text.contains('T')
                && text.len() < 30
                && text.find('+').is_none() =>
            {
                format!("{text}Z")
            }
            _ => text.into(),
        };
        if let Some(time) = time::parse(&whole).or_else(|| time::parse(text)) {
            return Some(time);
        }
        if let Some(ago) = nanoseconds(text).filter(|_| text != "0") {
            let (seconds, part) = ((ago / SECOND) as i64, (ago % SECOND) as u32);
            let (now, nanoseconds) = time::parse(&time::now())?;
            return Some(match nanoseconds.checked_sub(part) {
                Some(rest) => (now - seconds, rest),
                None => (now - seconds - 1, nanoseconds + SECOND as u32 - part),
            });
        }
        let (seconds, part) = text.split_once('.').unwrap_or((text, "0"));
        let part = format!("{:0<9}", part.get(..9).unwrap_or(part));
        Some((seconds.parse().ok()?, part.parse().ok()?))
    };
    parse().ok_or_else(|| {
        Error::new(format_args!(
            "--{flag} {text}: neither a time such as 2026-01-31T12:00:00Z nor one such as 10m ago"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_docker_reads_them() {
        for (text, expected) in [
            ("1970-01-02", (86_400, 0)),
            ("1970-01-02T00:00:01", (86_401, 0)),
            ("1970-01-02T00:00:01.5Z", (86_401, 500_000_000)),
            ("1970-01-02T01:00:00+01:00", (86_400, 0)),
            ("1700000000", (1_700_000_000, 0)),
            ("1700000000.25", (1_700_000_000, 250_000_000)),
        ] {
            assert_eq!(moment("since", text).expect(text), expected, "{text}");
        }
        let (ago, _) = moment("since", "1h").expect("an hour ago");
        assert!((time::seconds() - 3601..=time::seconds() - 3599).contains(&ago));
        for bad in ["", "yesterday", "1x", "1970-13-01"] {
            assert!(moment("since", bad).is_err(), "{bad}");
        }
    }
}
