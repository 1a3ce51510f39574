//! `servin image …`: the images of the store.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Command, Flag, Given, Group, flag};
use super::format::units;
use super::{Invocation, format as output_format, output};
use crate::container::time;
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::image::documents::RunConfig;
use crate::image::pull::Platform;
use crate::image::reference::Reference;
use crate::image::store::{Image, Store};
use crate::image::tar::Limits;
use crate::spec::json::{Encode, written};

pub mod export;
pub mod import;
pub mod list;
pub mod load;
pub mod remove;

/// Which of an index's images is taken.
pub const PLATFORM: Flag =
    flag("platform", None, Some("OS/ARCH[/VARIANT]"), "for which platform (default: this host's)");

/// What an archive may be.
pub const LIMITS: Group = Group(
    "Limits",
    &[
        flag("max-size", None, Some("BYTES"), "bytes that a layer may unpack to (default: 64g)"),
        flag("max-entries", None, Some("NUMBER"), "files that a layer may have (default: 4000000)"),
        flag("max-header-size", None, Some("BYTES"), "bytes of names of one file (default: 1m)"),
    ],
);

/// Opens the store that the flags name; it is there until the command ends.
pub fn store(invocation: &Invocation, given: &Given) -> Result<&'static Store> {
    Store::open(&invocation.home(given)?).map(|store| &*Box::leak(Box::new(store)))
}

/// What the flag or this host says.
pub fn platform(given: &Given) -> Result<Platform> {
    given.value("platform").map_or_else(|| Ok(Platform::host()), Platform::parse)
}

/// What the flags of [`LIMITS`] say.
pub fn limits(given: &Given) -> Result<Limits> {
    let mut limits = Limits::default();
    for (name, limit) in [
        ("max-size", &mut limits.bytes),
        ("max-entries", &mut limits.entries),
        ("max-header-size", &mut limits.header),
    ] {
        if let Some(text) = given.value(name) {
            *limit = bytes(text).ok_or_else(|| {
                Error::new(format_args!("--{name} {text}: it takes a number, as 500m or 64g"))
            })?;
        }
    }
    Ok(limits)
}

/// A number with one of Docker's letters: `64g`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(['b', 'B']);
    let (digits, shift) = match digits.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (&digits[..digits.len() - 1], 10),
        b'm' => (&digits[..digits.len() - 1], 20),
        b'g' => (&digits[..digits.len() - 1], 30),
        b't' => (&digits[..digits.len() - 1], 40),
        _ => (digits, 0),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(1 << shift).filter(|number| *number > 0)
}

/// Seconds since a time that an image was made at; none where it says none.
fn age(created: Option<&str>) -> Option<i64> {
    let (seconds, _) = time::parse(created?)?;
    Some(time::seconds() - seconds)
}

fn since(created: Option<&str>) -> String {
    age(created).map_or_else(|| "N/A".into(), units::ago)
}

pub const TAG: Command = Command {
    name: "servin image tag",
    usage: "IMAGE NAME",
    about: "Give an image another name.",
    groups: &[],
    last_word: usize::MAX,
};

/// Gives an image another name.
pub fn tag(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&TAG, "an image and a name", 2, 2)?;
    let name = new_name(given.words[1])?;
    let store = store(invocation, given)?;
    let _held = store.share()?;
    let image = store.get(given.words[0])?;
    let source = image.source_digests.first().map_or("", String::as_str);
    store.add(&image.descriptor, Some(&name), source).map(|()| 0)
}

/// A name for an image that is here: it may not say a digest.
pub fn new_name(text: &str) -> Result<Reference> {
    let name = Reference::parse(text)?;
    match name.digest() {
        Some(_) => Err(Error::new(format_args!("image name \"{text}\": a new name has no digest"))),
        None => Ok(name),
    }
}

pub const INSPECT: Command = Command {
    name: "servin image inspect",
    usage: "[FLAGS] IMAGE…",
    about: "Print all that is known of images.",
    groups: &[output_format::INSPECT],
    last_word: usize::MAX,
};

written! {
    /// What `inspect` prints, in Docker's words.
    pub struct Inspected<'a> {
        /// The configuration's digest.
        "Id" => id: &'a str,
        /// The manifest's digest.
        "Digest" => digest: &'a str,
        /// Its names with tags.
        "RepoTags" => repo_tags: Vec<String>,
        /// Its names with digests.
        "RepoDigests" => repo_digests: Vec<String>,
        /// When it was made.
        "Created" => created: Option<&'a str>,
        /// Who made it.
        "Author" => author: Option<&'a str>,
        /// What it runs on.
        "Architecture" => architecture: &'a str,
        /// What it runs on.
        "Variant" => variant: Option<&'a str>,
        /// What it runs on.
        "Os" => os: &'a str,
        /// Bytes of its layers' archives.
        "Size" => size: u64,
        /// How its containers run.
        "Config" => config: Option<&'a RunConfig>,
        /// Its layers.
        "RootFS" => root_fs: InspectedLayers<'a>,
    }

    /// The layers of an image.
    pub struct InspectedLayers<'a> {
        /// `layers`.
        "Type" => kind: &'a str,
        /// The digests of their archives.
        "Layers" => layers: &'a [String],
    }
}

/// What is known of an image.
pub fn inspected<'a>(store: &Store, image: &'a Image) -> Inspected<'a> {
    let of = &image.config;
    Inspected {
        id: &image.id,
        digest: &image.digest,
        repo_tags: image
            .references
            .iter()
            .filter(|name| name.tag().is_some())
            .map(Reference::familiar)
            .gather(),
        repo_digests: repo_digests(image),
        created: of.created.as_deref(),
        author: of.author.as_deref(),
        architecture: &of.architecture,
        variant: of.variant.as_deref(),
        os: &of.os,
        size: store.size(image),
        config: of.config.as_ref(),
        root_fs: InspectedLayers { kind: &of.rootfs.kind, layers: &of.rootfs.diff_ids },
    }
}

/// The names by which its sources know just this image.
fn repo_digests(image: &Image) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for digest in &image.source_digests {
        for name in &image.references {
            let text = format!("{}@{digest}", name.familiar_name());
            if !found.contains(&text) {
                found.push(text);
            }
        }
    }
    found
}

/// Prints what is known of images.
pub fn inspect(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&INSPECT, "an image", 1, usize::MAX)?;
    let store = store(invocation, given)?;
    let images = given.words.iter().map(|word| store.get(word)).gather::<Result<Vec<_>>>()?;
    let found: Vec<Inspected> = images.iter().map(|image| inspected(store, image)).gather();
    let documents: Vec<&dyn Encode> = found.iter().map(|document| document as &dyn Encode).gather();
    output_format::inspect(given, &documents)
}

/// Prints the image as people recognise it: by its first name, or by its ID.
fn called(image: &Image) -> String {
    image.references.first().map_or_else(|| image.id.to_string(), Reference::familiar)
}

/// Tells what became of an image, on standard output as Docker does.
fn say(what: &str, of: &str) -> Result<()> {
    output::result(format_args!("{what}: {of}"))
}
