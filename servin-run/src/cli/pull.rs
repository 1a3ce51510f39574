//! `servin pull`: an image from a registry into the store.

use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::image::{LIMITS, PLATFORM, limits, platform, store};
use super::login::AUTHFILE;
use super::progress::Lines;
use super::{Invocation, output};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::image::auth::files;
use crate::image::pull::{self, Options};
use crate::image::reference::Reference;
use crate::image::registry::Registry;
use crate::image::store::Store;

/// The command.
pub const PULL: Command = Command {
    name: "servin image pull",
    usage: "[FLAGS] NAME[:TAG|@DIGEST]…",
    about: "Pull images from their registries.",
    groups: &[
        Group(
            "Flags",
            &[
                PLATFORM,
                flag("all-tags", Some('a'), None, "every tag of the repository"),
                flag("all-platforms", None, None, "all that an index has, to be pushed as a whole"),
                flag("quiet", Some('q'), None, "print the names alone"),
                AUTHFILE,
            ],
        ),
        LIMITS,
    ],
    last_word: usize::MAX,
};

/// Pulls images and prints their names.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&PULL, "the name of an image", 1, usize::MAX)?;
    let named: Vec<Reference> =
        given.words.iter().map(|word| Reference::parse(word)).gather::<Result<_>>()?;
    let store = store(invocation, given)?;
    let quiet = given.switch("quiet", false);
    for name in named {
        for name in wanted(invocation, given, name)? {
            let digest = fetch(invocation, given, store, &name, quiet)?;
            match quiet {
                true => output::result(&name)?,
                false => output::result(format_args!("{name} {digest}"))?,
            }
        }
    }
    Ok(0)
}

/// The name, or all of its repository's.
fn wanted(invocation: &Invocation, given: &Given, name: Reference) -> Result<Vec<Reference>> {
    if !given.switch("all-tags", false) {
        return Ok(alloc::vec![name]);
    }
    if name.digest().is_some() {
        return Err(Error::new("--all-tags: the name has a digest, which is one image alone"));
    }
    let tags = open(invocation, given, &name, false)?.tags()?;
    tags.iter().map(|tag| name.with_tag(tag)).gather()
}

/// The repository of an image, with the login that we have for it.
pub fn open(invocation: &Invocation, given: &Given, name: &Reference, push: bool) -> Result<Registry> {
    let environment = invocation.image_environment(given)?;
    let login = files::find(name.registry(), name.repository(), given.value("authfile"), &environment)?;
    Registry::open(name, login, &environment, push)
}

/// Pulls one image into the store; says the digest of its manifest.
pub fn fetch(
    invocation: &Invocation,
    given: &Given,
    store: &Store,
    name: &Reference,
    quiet: bool,
) -> Result<String> {
    let mut registry = open(invocation, given, name, false)?;
    let mut progress = Lines::new("pulled", quiet);
    let mut options = Options {
        platform: platform(given)?,
        limits: limits(given)?,
        all_platforms: given.switch("all-platforms", false),
        progress: &mut progress,
    };
    pull::pull(store, &mut registry, name.manifest_name(), Some(name), &mut options)
        .map_err(|error| error.within(format_args!("pull {}", name.familiar())))
}
