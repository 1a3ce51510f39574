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
use crate::image::copy::{DIRECTORY, open_at};
use crate::image::unpack::is_whiteout;
use crate::order;

/// The table's entry.
pub const TOP: Command = Command {
    name: "servin top",
    usage: "CONTAINER",
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

/// `servin top`. What follows the name are options of ps(1), which Servin does not need.
pub fn top(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&TOP, places::CONTAINER, 1, usize::MAX)?;
    let store = places::store(invocation, given)?;
    let record = store.find(given.words[0])?.record;
    if !record.state.phase.is_alive() {
        return Err(Error::new(format_args!("the container {} does not run", record.name)));
    }
    let directory = store.runtime()?.find(&record.id)?;
    let directory =
        directory.ok_or_else(|| Error::new(format_args!("the container {} does not run", record.name)))?;
    let mut lines: Vec<Vec<String>> =
        Vec::from([["UID", "PID", "PPID", "TIME", "CMD"].map(String::from).to_vec()]);
    for pid in Container::look(directory)?.pids()? {
        lines.extend(oci::process_row(pid.as_raw_nonzero().get()).map(Vec::from));
    }
    let rows: Vec<Vec<&str>> = lines.iter().map(|line| line.iter().map(String::as_str).collect()).collect();
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
    let lines: Vec<String> = changes.iter().map(|(path, kind)| format!("{kind} {path}")).collect();
    if !lines.is_empty() {
        output::result(lines.join("\n"))?;
    }
    Ok(0)
}
