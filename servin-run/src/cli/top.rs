//! `servin top` and `servin diff`: the processes of a container, and what it has changed of its image's files.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::BorrowedFd;
use rustix::fs::{OFlags, Stat};

use super::arguments::{Command, Given};
use super::{Invocation, format, oci, output, places};
use crate::container::record::Container;
use crate::container::view;
use crate::error::{Error, Result, Step};
use crate::fs::{descriptors::path_of, resolve, tree};
use crate::gather::Gather as _;
use crate::image::copy::{DIRECTORY, open_at};
use crate::image::unpack::is_whiteout;
use crate::order;

/// The table's entry.
pub const TOP: Command = Command {
    name: "servin top",
    usage: "CONTAINER [COLUMNS|OPTIONS OF ps]",
    about: "List the processes of a container, as the host sees them.",
    groups: &[],
    last_word: 1,
};

/// The table's entry.
pub const DIFF: Command = Command {
    name: "servin diff",
    usage: "CONTAINER",
    about: "List the files that a container has added, changed, deleted.",
    groups: &[],
    last_word: usize::MAX,
};

/// Names of columns, their headings, and the number of the field of a process that they show.
#[rustfmt::skip]
const COLUMNS: &[(&[&str], &str, usize)] = &[
    (&["uid", "user", "euid", "euser"], "UID", 0),
    (&["pid", "hpid"], "PID", 1),
    (&["ppid"], "PPID", 2),
    (&["time", "cputime"], "TIME", 3),
    (&["cmd", "args", "command"], "CMD", 4),
    (&["comm", "ucmd"], "COMMAND", 4),
];

/// The columns that are asked for: `-o pid,comm`, `-eo pid -o args`, `pid comm`; of options that say nothing about
/// columns the usual ones.
fn columns(words: &[&str]) -> Result<Vec<usize>> {
    let mut asked: Vec<&str> = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let list = match word.strip_prefix('-') {
            // What follows the letter belongs to it.
            Some(option) => match option.split_once('o') {
                Some((_, "")) => words.next().copied().unwrap_or_default(),
                Some((_, list)) => list,
                None => continue,
            },
            None if matches!(*word, "aux" | "ax" | "axu" | "ef") => continue,
            None => word,
        };
        asked.extend(list.split(',').map(|name| name.split('=').next().unwrap_or_default()));
    }
    if asked.is_empty() {
        return Ok((0..5).gather());
    }
    let find = |name: &&str| {
        let found = COLUMNS.iter().position(|(names, ..)| names.contains(name));
        found.ok_or_else(|| {
            Error::new(format_args!(
                "there is no column {name}: there are uid, pid, ppid, time, cmd and comm"
            ))
        })
    };
    asked.iter().map(find).gather()
}

/// A field of a process; of its command the program's name where that is asked for.
fn shown(row: &[String; 5], at: usize) -> String {
    let (_, heading, field) = COLUMNS[at];
    let whole = &row[field];
    match heading {
        "COMMAND" => {
            let program = whole.split(' ').next().unwrap_or_default();
            program.rsplit('/').next().unwrap_or_default().into()
        }
        _ => whole.clone(),
    }
}

/// `servin top`. What follows the name are options of ps(1), of which the columns are honoured.
pub fn top(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&TOP, places::CONTAINER, 1, usize::MAX)?;
    let store = places::store(invocation, given)?;
    let record = &store.find(given.words[0])?.record;
    if !record.state.phase.is_alive() {
        return Err(Error::new(format_args!("the container {} does not run", record.name)));
    }
    let directory = store.runtime()?.find(&record.id)?;
    let directory =
        directory.ok_or_else(|| Error::new(format_args!("the container {} does not run", record.name)))?;
    let columns = columns(&given.words[1..])?;
    let mut lines: Vec<Vec<String>> = Vec::from([columns.iter().map(|at| COLUMNS[*at].1.into()).gather()]);
    for pid in Container::look(directory)?.pids()? {
        let row = oci::process_row(pid.as_raw_nonzero().get());
        lines.extend(row.map(|row| columns.iter().map(|at| shown(&row, *at)).gather()));
    }
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.iter().map(String::as_str).gather()).gather();
    output::result(format::align(&rows)).map(|()| 0)
}

/// `servin diff`.
pub fn diff(invocation: &Invocation, given: &Given) -> Result<i32> {
    let word = given.one(&DIFF, places::CONTAINER)?;
    let store = places::store(invocation, given)?;
    let entry = store.find(word)?;
    let Some(image) = view::of_image(&entry)? else {
        return Err(Error::new(format_args!(
            "{word} changes the directory that it was made of: there is nothing to compare"
        )));
    };
    let upper = store.layer(&entry.record.id).0;
    let step = || format!("list what {word} has changed");
    let root = open_at(rustix::fs::CWD, &upper, DIRECTORY).step(step)?;
    let mut changes: Vec<(String, char)> = Vec::new();
    let base = path_of(&root);
    let base = rustix::fs::readlink(base, Vec::new()).step(step)?.to_string_lossy().into_owned();
    let mut visit = |directory: BorrowedFd<'_>, name: &core::ffi::CStr, stat: &Stat| {
        let place = rustix::fs::readlink(path_of(directory), Vec::new())?.to_string_lossy().into_owned();
        let inside = place.strip_prefix(&base).unwrap_or_default();
        let path = format!("{inside}/{}", name.to_string_lossy());
        let there = resolve::open_without_links(&image, &path, OFlags::PATH | OFlags::NOFOLLOW).is_ok();
        let kind = match (is_whiteout(stat), there) {
            (true, _) => 'D',
            (false, true) => 'C',
            (false, false) => 'A',
        };
        changes.push((path, kind));
        Ok(())
    };
    tree::walk(&root, &mut visit).step(step)?;
    order::sort(&mut changes);
    let lines: Vec<String> = changes.iter().map(|(path, kind)| format!("{kind} {path}")).gather();
    if !lines.is_empty() {
        output::result(lines.join("\n"))?;
    }
    Ok(0)
}
