//! `servin image load` and `servin image save`.

use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{CWD, OFlags};
use rustix::termios::isatty;

use super::super::Invocation;
use super::super::arguments::{Command, Given, Group, flag};
use super::{LIMITS, PLATFORM, limits, platform, say, store};
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::{stdin, stdout};
use crate::gather::Gather as _;
use crate::image::archive::{self, save};
use crate::image::copy::open_at;
use crate::image::pull::{self, Unwatched};
use crate::image::reference::Reference;
use crate::sys::path::{renameat, unlinkat};

pub const LOAD: Command = Command {
    name: "servin image load",
    usage: "[FLAGS] [FILE|DIR]",
    about: "Add the images of an archive or an OCI layout.",
    groups: &[
        Group(
            "Flags",
            &[
                flag("input", Some('i'), Some("FILE"), "the archive (default: standard input)"),
                flag("quiet", Some('q'), None, "print nothing"),
                PLATFORM,
            ],
        ),
        LIMITS,
    ],
    last_word: usize::MAX,
};

/// Loads all images of an archive.
pub fn load(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&LOAD, "", 0, 1)?;
    let path = match (given.value("input"), given.words.first()) {
        (Some(_), Some(word)) => {
            return Err(Error::new(format_args!("{word}: --input names an archive already")));
        }
        (path, word) => path.or(word.copied()).unwrap_or("-"),
    };
    if path == "-" && isatty(stdin()) {
        return Err(Error::new(format_args!(
            "an archive is missing, as --input FILE or through a pipe: see {LOAD}"
        )));
    }
    let store = store(invocation, given)?;
    let (mut source, offered) = archive::open(store, path)?;
    if offered.is_empty() {
        return Err(Error::new(format_args!("{path}: there is no image in it")));
    }
    for image in offered {
        let mut options = pull::Options {
            platform: platform(given)?,
            limits: limits(given)?,
            all_platforms: false,
            progress: &mut Unwatched,
        };
        let first = image.references.first();
        let digest = pull::pull(store, &mut *source, &image.what, first, &mut options)?;
        let loaded = store.get(&digest)?;
        for name in image.references.iter().skip(1) {
            store.add(&loaded.descriptor, Some(name), "")?;
        }
        if given.switch("quiet", false) {
            continue;
        }
        match image.references[..] {
            [] => say("Loaded image ID", &loaded.id)?,
            _ => image.references.iter().try_for_each(|name| say("Loaded image", &name.familiar()))?,
        }
    }
    Ok(0)
}

pub const SAVE: Command = Command {
    name: "servin image save",
    usage: "[FLAGS] IMAGE…",
    about: "Write images to an archive that other tools load.",
    groups: &[Group(
        "Flags",
        &[
            flag("output", Some('o'), Some("FILE"), "the archive (default: standard output)"),
            flag("format", None, Some("FORMAT"), "docker-archive (default) or oci-archive"),
        ],
    )],
    last_word: usize::MAX,
};

/// Saves images.
pub fn save(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&SAVE, "an image", 1, usize::MAX)?;
    let write = match given.value("format").unwrap_or("docker-archive") {
        "docker-archive" | "docker" => save::docker,
        "oci-archive" | "oci" => save::oci,
        other => {
            return Err(Error::new(format_args!("--format {other}: it is docker-archive or oci-archive")));
        }
    };
    let store = store(invocation, given)?;
    let _held = store.share()?;
    let mut images = Vec::new();
    for word in &given.words {
        let image = store.get(word)?;
        // The name that was asked for; all of them where the image was asked for by its ID.
        let asked = Reference::parse(word).ok().filter(|name| image.references.contains(name));
        let names = asked.map_or_else(|| image.references.clone(), |name| Vec::from([name]));
        images.push((image, names));
    }
    let saved: Vec<save::Saved> = images.iter().map(|(image, names)| (&**image, names.clone())).gather();
    to_file(given.value("output"), &mut |to| write(store, &saved, to)).map(|()| 0)
}

/// Has `write` write to the file, which appears whole, or to standard output, which must be no terminal.
pub fn to_file(path: Option<&str>, write: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<()> {
    let Some(path) = path.filter(|path| *path != "-") else {
        if isatty(stdout()) {
            return Err(Error::new("an archive is not for a terminal: --output FILE, or a pipe, takes it"));
        }
        return write(stdout());
    };
    let step = || alloc::format!("write {path}");
    let temporary = alloc::format!("{path}.{}", rustix::process::getpid());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
    let file = open_at(CWD, &temporary, flags).step(step)?;
    let written = write(file.as_fd()).and_then(|()| renameat(CWD, temporary.as_str(), CWD, path).step(step));
    if written.is_err() {
        let _ = unlinkat(CWD, temporary.as_str(), rustix::fs::AtFlags::empty());
    }
    written
}
