//! `servin push`: an image of the store to a registry.

use alloc::string::String;
use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::image::store;
use super::login::AUTHFILE;
use super::progress::Lines;
use super::{Invocation, output, pull};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::image::push::push;
use crate::image::reference::Reference;

/// The command.
pub const PUSH: Command = Command {
    name: "servin image push",
    usage: "[FLAGS] IMAGE [NAME]",
    about: "Push an image to a registry; of an index all, if all is here.",
    groups: &[Group(
        "Flags",
        &[
            flag("all-tags", Some('a'), None, "every name that the image's repository has here"),
            flag("quiet", Some('q'), None, "print the digests alone"),
            AUTHFILE,
        ],
    )],
    last_word: usize::MAX,
};

/// Pushes an image to where its name says, or to where another one says.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&PUSH, "an image", 1, 2)?;
    let store = store(invocation, given)?;
    let _held = store.share()?;
    let target = Reference::parse(given.words[given.words.len() - 1])?;
    if target.digest().is_some() {
        return Err(Error::new(format_args!(
            "{target}: an image is pushed to a tag; the digest follows from it"
        )));
    }
    let (all, one);
    let mut pairs = Vec::new();
    if given.switch("all-tags", false) {
        all = store.images()?;
        for image in &all {
            for name in &image.references {
                if name.name() == target.name() && name.tag().is_some() {
                    pairs.push((image, name));
                }
            }
        }
        if pairs.is_empty() {
            return Err(Error::new(format_args!("there is no image of {} here", target.name())));
        }
    } else {
        one = store.get(given.words[0])?;
        pairs.push((&*one, &target));
    }
    let quiet = given.switch("quiet", false);
    for (image, name) in pairs {
        let mut registry = pull::open(invocation, given, name, true)?;
        // What the registry has in another repository need not be sent again.
        let others = image.references.iter().filter(|other| other.registry() == name.registry());
        let others = others.map(Reference::repository).filter(|other| *other != name.repository());
        registry.mount_from(others.map(String::from).gather());
        let mut progress = Lines::new("pushed", quiet);
        let digest = push(store, image, &mut registry, name.manifest_name(), &mut progress)
            .map_err(|error| error.within(format_args!("push {}", name.familiar())))?;
        match quiet {
            true => output::result(&digest)?,
            false => output::result(format_args!("{name} {digest}"))?,
        }
    }
    Ok(0)
}
