//! `servin volume`: what outlives containers.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::format::{self, Column, Filters, units};
use super::{Invocation, output, places};
use crate::container::people::{self, Store};
use crate::container::volume::{Volume, Volumes};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec::json::{Encode, Value};

/// The table's entry.
pub const CREATE: Command = Command {
    name: "servin volume create",
    usage: "[FLAGS] [NAME]",
    about: "Make a volume.",
    groups: &[Group(
        "Volume",
        &[
            flag("label", Some('l'), Some("KEY[=VALUE]"), "a note for people and programs"),
            flag("opt", Some('o'), Some("KEY=VALUE"), "type, device and o, as mount(8) has them"),
            flag("driver", Some('d'), Some("NAME"), "local is the only one"),
        ],
    )],
    last_word: usize::MAX,
};

/// The table's entry.
pub const LS: Command = Command {
    name: "servin volume ls",
    usage: "[FLAGS]",
    about: "List the volumes.",
    groups: &[format::LIST],
    last_word: usize::MAX,
};

/// The table's entry.
pub const INSPECT: Command = Command {
    name: "servin volume inspect",
    usage: "[FLAGS] VOLUME...",
    about: "Print all that is known of volumes.",
    groups: &[format::INSPECT],
    last_word: usize::MAX,
};

/// The table's entry.
pub const RM: Command = Command {
    name: "servin volume rm",
    usage: "[FLAGS] VOLUME...",
    about: "Remove volumes that no container has.",
    groups: &[Group("Remove", &[flag("force", Some('f'), None, "that one is not there is no error")])],
    last_word: usize::MAX,
};

/// The table's entry.
pub const PRUNE: Command = Command {
    name: "servin volume prune",
    usage: "[FLAGS]",
    about: "Remove the nameless volumes that no container has.",
    groups: &[Group(
        "Remove",
        &[
            flag("all", Some('a'), None, "those with names too"),
            flag("force", Some('f'), None, "do not ask"),
            flag("filter", None, Some("KEY=VALUE"), "only those of a label"),
        ],
    )],
    last_word: usize::MAX,
};

const COLUMNS: &[Column] = &[Column("DRIVER", "Driver"), Column("VOLUME NAME", "Name")];

fn volumes(invocation: &Invocation, given: &Given) -> Result<Volumes> {
    Volumes::open(&invocation.home(given)?)
}

/// `KEY=VALUE` of a flag.
fn pairs(given: &Given, name: &str) -> Vec<(String, String)> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        (key.to_string(), value.to_string())
    };
    given.values(name).map(pair).gather()
}

/// `servin volume create`.
pub fn create(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&CREATE, "", 0, 1)?;
    if let Some(driver) = given.value("driver").filter(|driver| *driver != "local") {
        return Err(Error::new(format_args!("--driver {driver}: there is only local")));
    }
    let volumes = volumes(invocation, given)?;
    let _lock = volumes.lock()?;
    let (name, anonymous) = match given.words.first() {
        Some(name) => (name.to_string(), false),
        None => (people::new_id()?, true),
    };
    let (volume, _) = volumes.create(&name, &pairs(given, "label"), &pairs(given, "opt"), anonymous)?;
    output::result(&volume.name).map(|()| 0)
}

/// `servin volume ls`.
pub fn ls(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&LS)?;
    let filters = Filters::read(given, &["name", "driver", "label", "label!", "dangling"])?;
    let dangling = filters.boolean("dangling")?;
    let store = places::store(invocation, given)?;
    let users = dangling.map(|_| store.all()).transpose()?.unwrap_or_default();
    let mut rows: Vec<Value> = Vec::new();
    for volume in volumes(invocation, given)?.all()? {
        let used = || users.iter().any(|entry| entry.record.has_volume(&volume.name));
        if filters.admit("name", &|name| volume.name.contains(name))
            && filters.admit("driver", &|name| name == "local")
            && filters.admit_labels(&volume.labels)
            && dangling.is_none_or(|dangling| dangling != used())
        {
            let labels: Vec<String> =
                volume.labels.iter().map(|(key, value)| format!("{key}={value}")).gather();
            rows.push(format::row(&[
                ("Name", &volume.name),
                ("Driver", &volume.driver),
                ("Scope", &volume.scope),
                ("Mountpoint", &volume.mountpoint),
                ("CreatedAt", &volume.created),
                ("Labels", &labels.join(",")),
            ]));
        }
    }
    format::list(given, COLUMNS, "Name", &rows)
}

fn missing(name: &str) -> Error {
    Error::new(format_args!("there is no volume {name}")).hint("`servin volume ls` lists them all")
}

/// `servin volume inspect`.
pub fn inspect(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&INSPECT, "the volume's name", 1, usize::MAX)?;
    let volumes = volumes(invocation, given)?;
    let get = |name: &&str| volumes.get(name)?.ok_or_else(|| missing(name));
    let found: Vec<Volume> = given.words.iter().map(get).gather::<Result<_>>()?;
    let documents: Vec<&dyn Encode> = found.iter().map(|volume| volume as &dyn Encode).gather();
    format::inspect(given, &documents)
}

/// `servin volume rm`.
pub fn rm(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&RM, "the volume's name", 1, usize::MAX)?;
    let (volumes, store) = (volumes(invocation, given)?, places::store(invocation, given)?);
    let mut code = 0;
    for name in &given.words {
        match remove(&volumes, store, name, given.switch("force", false)) {
            Ok(()) => output::result(name)?,
            Err(error) => {
                output::error(&error);
                code = 1;
            }
        }
    }
    Ok(code)
}

fn remove(volumes: &Volumes, store: &Store, name: &str, force: bool) -> Result<()> {
    let _lock = volumes.lock()?;
    if volumes.get(name)?.is_none() {
        return if force { Ok(()) } else { Err(missing(name)) };
    }
    let entries = store.all()?;
    let users = entries.iter().filter(|entry| entry.record.has_volume(name));
    let users: Vec<&str> = users.map(|entry| entry.record.name.as_str()).gather();
    if !users.is_empty() {
        return Err(Error::new(format_args!("the volume {name} is in use by {}", users.join(", ")))
            .hint("`servin rm` removes containers"));
    }
    volumes.remove(name)
}

/// `servin volume prune`.
pub fn prune(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&PRUNE)?;
    let all = given.switch("all", false);
    let what = if all { "all volumes" } else { "all nameless volumes" };
    if !output::confirm(given, &format!("This removes {what} that no container has."))? {
        return Ok(1);
    }
    let filters = Filters::read(given, &["label", "label!"])?;
    let store = places::store(invocation, given)?;
    let (names, bytes) = unused(&volumes(invocation, given)?, store, all, &filters)?;
    names.iter().try_for_each(output::result)?;
    output::result(format_args!("Total reclaimed space: {}", units::size(bytes))).map(|()| 0)
}

/// Removes the volumes that no container has: their names, and the bytes that they took.
pub fn unused(volumes: &Volumes, store: &Store, all: bool, filters: &Filters) -> Result<(Vec<String>, u64)> {
    let _lock = volumes.lock()?;
    let (mut names, mut bytes) = (Vec::new(), 0);
    let users = store.all()?;
    for volume in volumes.all_locked()? {
        let used = users.iter().any(|entry| entry.record.has_volume(&volume.name));
        if used || !(all || volume.anonymous) || !filters.admit_labels(&volume.labels) {
            continue;
        }
        bytes += volumes.size(&volume.name)?;
        volumes.remove(&volume.name)?;
        names.push(volume.name.clone());
    }
    Ok((names, bytes))
}
