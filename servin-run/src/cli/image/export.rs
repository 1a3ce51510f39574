//! `servin commit` and `servin export`: the files of a container as an image, and as an archive.

use alloc::boxed::Box;
use rustix::fs::CWD;

use super::super::arguments::{Command, Given, Group, flag};
use super::super::{Invocation, output, places};
use super::import::{CHANGE, MESSAGE, change};
use super::load::to_file;
use super::{new_name, platform, store};
use crate::container::{time, view};
use crate::error::{Result, Step};
use crate::image::copy::{DIRECTORY, open_at};
use crate::image::import::{self, New};
use crate::image::tar::pack;
use crate::image::unpack::Whiteouts;
use crate::spec;

pub const EXPORT: Command = Command {
    name: "servin export",
    usage: "[FLAGS] CONTAINER",
    about: "Write all files of a container to an archive.",
    groups: &[Group(
        "Flags",
        &[flag("output", Some('o'), Some("FILE"), "the archive (default: standard output)")],
    )],
    last_word: usize::MAX,
};

/// The container, and the configuration that it is made by.
fn container(
    invocation: &Invocation,
    given: &Given,
    word: &str,
) -> Result<(Box<crate::container::people::Entry>, spec::Config)> {
    let entry = places::store(invocation, given)?.find(word)?;
    let text = entry.directory.read(crate::container::people::CONFIG)?.unwrap_or_default();
    let config = spec::parse(&text, "config.json")?;
    Ok((entry, config))
}

/// Exports a container.
pub fn export(invocation: &Invocation, given: &Given) -> Result<i32> {
    let (_, config) = container(invocation, given, given.one(&EXPORT, places::CONTAINER)?)?;
    let files = view::read_only(&config)?;
    to_file(given.value("output"), &mut |to| pack::pack(&files, to, Whiteouts::None)).map(|()| 0)
}

pub const COMMIT: Command = Command {
    name: "servin commit",
    usage: "[FLAGS] CONTAINER [NAME]",
    about: "Make an image of a container's changes.",
    groups: &[Group(
        "Flags",
        &[CHANGE, MESSAGE, flag("author", Some('a'), Some("NAME"), "who made the image")],
    )],
    last_word: usize::MAX,
};

/// Commits a container; prints the image's ID.
pub fn commit(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&COMMIT, places::CONTAINER, 1, 2)?;
    let name = given.words.get(1).map(|name| new_name(name)).transpose()?;
    let (entry, config) = container(invocation, given, given.words[0])?;
    let store = store(invocation, given)?;
    let created = time::now();
    let base = entry.record.image_id.as_ref().and_then(|id| store.find(id).ok()?);
    let mut own = match &base {
        Some(image) => image.config.clone(),
        None => import::configuration(&created, platform(given)?),
    };
    own.created = Some(created.clone());
    if let Some(author) = given.value("author") {
        own.author = Some(author.into());
    }
    let run = own.config.get_or_insert_default();
    if base.is_none() {
        run.cmd = Some(entry.record.command.clone());
    }
    change(run, given)?;
    let history = import::history(
        &created,
        &entry.record.command.join(" "),
        given.value("message").unwrap_or_default(),
    );
    // What the image lacks is the container's layer; without an image, or without a layer, it is everything.
    let (root, whiteouts) = match (&base, view::upper(&config)) {
        (Some(_), Some(upper)) => {
            (open_at(CWD, upper, DIRECTORY).step(|| alloc::format!("open {upper}"))?, store.whiteouts)
        }
        _ => (view::read_only(&config)?, Whiteouts::None),
    };
    let whole = base.is_some() && whiteouts == Whiteouts::None;
    if whole {
        own.rootfs.diff_ids.clear();
        own.history.clear();
    }
    let new = New { base: base.as_deref().filter(|_| !whole), config: own, history, name, ..New::default() };
    let id = import::import_tree(store, &root, whiteouts, new)?;
    output::result(id).map(|()| 0)
}
