//! `servin ps`: the containers there are.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::format::{self, Column, Filters, units};
use super::{Invocation, places, system};
use crate::container::people::{Phase, Record};
use crate::container::time;
use crate::container::volume::MountPoint;
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::network::{Mode, ports};
use crate::order;
use crate::spec::json::Value;

/// The table's entry.
pub const PS: Command = Command {
    name: "servin ps",
    usage: "[FLAGS]",
    about: "List the containers that run.",
    groups: &[
        Group(
            "List",
            &[
                flag("all", Some('a'), None, "those that do not run, too"),
                flag("last", Some('n'), Some("N"), "the newest N, whether they run or not"),
                flag("latest", Some('l'), None, "the newest one"),
                flag("size", Some('s'), None, "with the bytes that they have written"),
            ],
        ),
        format::LIST,
    ],
    last_word: usize::MAX,
};

const COLUMNS: &[Column] = &[
    Column("CONTAINER ID", "ID"),
    Column("IMAGE", "Image"),
    Column("COMMAND", "Command"),
    Column("CREATED", "RunningFor"),
    Column("STATUS", "Status"),
    Column("PORTS", "Ports"),
    Column("NAMES", "Names"),
    // With --size alone.
    Column("SIZE", "Size"),
];

#[rustfmt::skip]
const FILTERS: &[&str] = &[
    "id", "name", "label", "label!", "status", "exited", "ancestor", "health", "network", "volume", "before", "since",
];

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&PS)?;
    let filters = Filters::read(given, FILTERS)?;
    if let Some(word) = filters.values("status").find(|word| !Phase::WORDS.contains(word)) {
        let known = Phase::WORDS.join(", ");
        return Err(Error::new(format_args!("--filter status={word}: it is none of {known}")));
    }
    let store = places::store(invocation, given)?;
    let last = match given.value("last") {
        Some(text) => {
            Some(text.parse().map_err(|_| Error::new(format_args!("--last {text}: not a number")))?)
        }
        None => given.switch("latest", false).then_some(1),
    };
    let asks_for_ended = filters.values("status").chain(filters.values("exited")).next().is_some();
    let all = given.switch("all", false) || last.is_some() || asks_for_ended;
    let mut bounds = Vec::new();
    for (key, newer) in [("before", false), ("since", true)] {
        for word in filters.values(key) {
            bounds.push((store.find(word)?.record.created.clone(), newer));
        }
    }
    let within =
        |created: &String| bounds.iter().all(|(than, newer)| created != than && (created > than) == *newer);
    let with_size = given.switch("size", false);
    let now = time::seconds();
    let mut dated: Vec<(String, Value)> = Vec::new();
    store.records(&mut |record| {
        if (all || record.state.phase.is_alive()) && admitted(record, &filters) && within(&record.created) {
            let size = if with_size { system::written(store, &record.id).unwrap_or(0) } else { 0 };
            let row = row(given, record, now, &units::size(size));
            dated.push((record.created.clone(), row));
        }
    })?;
    // The newest first.
    order::sort_by(&mut dated, |a, b| b.0.cmp(&a.0));
    dated.truncate(last.unwrap_or(usize::MAX));
    let rows: Vec<Value> = dated.into_iter().map(|(_, row)| row).gather();
    let columns = if with_size { COLUMNS } else { &COLUMNS[..COLUMNS.len() - 1] };
    format::list(given, columns, "ID", &rows)
}

fn admitted(record: &Record, filters: &Filters) -> bool {
    let state = &record.state;
    filters.admit("id", &|id| record.id.starts_with(id))
        && filters.admit("name", &|name| record.name.contains(name))
        && filters.admit("status", &|word| state.phase.as_str() == word)
        && filters
            .admit("exited", &|code| state.phase == Phase::Exited && code.parse().ok() == state.exit_code)
        && filters.admit("ancestor", &|image| record.image.as_deref() == Some(image))
        && filters.admit("health", &|word| {
            state.health.as_ref().map_or("none", |health| health.status.as_str()) == word
        })
        && filters.admit("network", &|name| networks(record).any(|own| own == name))
        && filters.admit("volume", &|word| {
            record.mounts.iter().any(|point| point.name.as_deref() == Some(word) || point.destination == word)
        })
        && filters.admit_labels(&record.labels)
}

/// The names of its networks, or whose it has.
fn networks(record: &Record) -> impl Iterator<Item = &str> {
    let wish = &record.network;
    let mode = Some(wish.mode).filter(|mode| *mode != Mode::Networks).map(Mode::as_str);
    wish.networks.iter().map(|member| member.network.as_str()).chain(mode)
}

fn row(given: &Given, record: &Record, now: i64, size: &str) -> Value {
    let created = time::parse(&record.created).map_or(now, |(seconds, _)| seconds);
    let labels: Vec<String> = record.labels.iter().map(|(key, value)| format!("{key}={value}")).gather();
    let what = |point: &'_ MountPoint| point.name.clone().or_else(|| point.source.clone());
    let mounts = record.mounts.iter().filter_map(what).map(|what| format::shorten(given, &what, 15));
    let mounts: Vec<String> = mounts.gather();
    let command = format!("\"{}\"", format::shorten(given, &record.command.join(" "), 20));
    format::row(&[
        ("Command", &command),
        ("CreatedAt", &created_at(&record.created)),
        ("ID", format::id(given, &record.id)),
        ("Image", record.image.as_deref().unwrap_or_default()),
        ("Labels", &labels.join(",")),
        ("LocalVolumes", &format!("{}", record.mounts.iter().filter(|point| point.name.is_some()).count())),
        ("Mounts", &mounts.join(",")),
        ("Names", &record.name),
        ("Networks", &networks(record).gather::<Vec<_>>().join(",")),
        ("Ports", &ports(record)),
        ("RunningFor", &units::ago(now - created)),
        ("Size", size),
        ("State", record.state.phase.as_str()),
        ("Status", &status(record, now)),
    ])
}

/// A time as Docker's lists have it: `2026-11-25 01:31:49 +0000 UTC`.
fn created_at(time: &str) -> String {
    match time.get(..19) {
        Some(seconds) => [&seconds.replace('T', " "), " +0000 UTC"].concat(),
        None => time.into(),
    }
}

/// Where its ports are published.
fn ports(record: &Record) -> String {
    record.attached.as_ref().map_or(String::new(), |attached| ports::column(&attached.published.ports, &[]))
}

/// What has become of it, in Docker's words.
fn status(record: &Record, now: i64) -> String {
    let state = &record.state;
    let since = |time: &Option<String>| {
        let time = time.as_deref().and_then(time::parse).map_or(now, |(seconds, _)| seconds);
        units::duration(now - time)
    };
    let code = state.exit_code.unwrap_or(0);
    match state.phase {
        Phase::Created => "Created".into(),
        Phase::Running => match &state.health {
            Some(health) if health.status == "starting" => {
                format!("Up {} (health: starting)", since(&state.started))
            }
            Some(health) => format!("Up {} ({})", since(&state.started), health.status),
            None => format!("Up {}", since(&state.started)),
        },
        Phase::Paused => format!("Up {} (Paused)", since(&state.started)),
        Phase::Restarting => format!("Restarting ({code}) {} ago", since(&state.finished)),
        Phase::Exited => format!("Exited ({code}) {} ago", since(&state.finished)),
    }
}
