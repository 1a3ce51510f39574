//! `servin image rm` and `servin image prune`.

use alloc::string::String;

use super::super::arguments::{Command, Given, Group, flag};
use super::super::format::{Filters, units};
use super::super::{Invocation, output};
use super::{age, called, say, store};
use crate::error::{Error, Result};
use crate::image::reference::Reference;
use crate::image::store::{Collected, Image, Store};

pub const RM: Command = Command {
    name: "servin image rm",
    usage: "[FLAGS] IMAGE…",
    about: "Remove images, or names of images.",
    groups: &[Group(
        "Flags",
        &[flag("force", Some('f'), None, "with all names, and although containers were made of it")],
    )],
    last_word: usize::MAX,
};

/// Removes images; goes on with the others when one cannot be removed.
pub fn rm(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&RM, "an image", 1, usize::MAX)?;
    let store = store(invocation, given)?;
    let force = given.switch("force", false);
    let mut failed = false;
    for word in &given.words {
        if let Err(error) = remove(store, word, force) {
            output::error(&error);
            failed = true;
        }
    }
    tidy(store, false)?
        .into_iter()
        .flat_map(|gone| gone.removed)
        .try_for_each(|digest| say("Deleted", &digest))?;
    Ok(failed.into())
}

/// Takes one name away, or the image with the last one.
fn remove(store: &Store, word: &str, force: bool) -> Result<()> {
    let image = store.get(word)?;
    let name = Reference::parse(word).ok().filter(|name| image.references.contains(name));
    if let Some(name) = &name
        && image.references.len() > 1
    {
        store.untag(name)?;
        return say("Untagged", &name.familiar());
    }
    if name.is_none() && image.references.len() > 1 && !force {
        return Err(Error::new(format_args!("the image {word} has several names"))
            .hint("name the one to remove, or all of them with --force"));
    }
    if let Some(user) = store.users(&image).first().filter(|_| !force) {
        let container = user.name.as_deref().unwrap_or(&user.id);
        return Err(Error::new(format_args!("the image {word} is used by the container {container}"))
            .hint("remove the container, or the image alone with --force"));
    }
    forget(store, &image)
}

fn forget(store: &Store, image: &Image) -> Result<()> {
    store.forget(&image.digest)?;
    image.references.iter().try_for_each(|name| say("Untagged", &name.familiar()))
}

/// Removes what nobody needs any more.
fn tidy(store: &Store, wait: bool) -> Result<Option<Collected>> {
    let collected = store.tidy(wait)?;
    if collected.is_none() {
        output::warning("images are being added at this moment: `servin image prune` frees the space later");
    }
    Ok(collected)
}

pub const PRUNE: Command = Command {
    name: "servin image prune",
    usage: "[FLAGS]",
    about: "Remove images that nobody needs.",
    groups: &[Group(
        "Flags",
        &[
            flag("all", Some('a'), None, "also those with a name that no container was made of"),
            flag("force", Some('f'), None, "do not ask"),
            flag("filter", None, Some("KEY=VALUE"), "only what matches: until=HOURSh, label=KEY[=VALUE]"),
        ],
    )],
    last_word: usize::MAX,
};

/// Removes them when that was asked for.
pub fn prune(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&PRUNE)?;
    let what = if given.switch("all", false) { "all images" } else { "all nameless images" };
    match output::confirm(given, &alloc::format!("This removes {what} that no container was made of."))? {
        true => remove_unused(invocation, given),
        false => Ok(1),
    }
}

/// Removes images without a name, and with `--all` those that no container was made of.
pub fn remove_unused(invocation: &Invocation, given: &Given) -> Result<i32> {
    let filters = Filters::read(given, &["until", "label", "label!"])?;
    let until = filters.values("until").last().map(seconds).transpose()?;
    let store = store(invocation, given)?;
    let all = given.switch("all", false);
    for image in store.images()? {
        let labels = image.config.config.as_ref().map_or(&[][..], |config| &config.labels[..]);
        let old =
            until.is_none_or(|least| age(image.config.created.as_deref()).is_some_and(|age| age > least));
        let needed = !image.references.is_empty() && !all || !store.users(&image).is_empty();
        if !needed && old && filters.admit_labels(labels) {
            if image.references.is_empty() {
                say("Deleted image", &called(&image))?;
            }
            forget(store, &image)?;
        }
    }
    let collected = tidy(store, true)?.unwrap_or_default();
    collected.removed.iter().try_for_each(|digest| say("Deleted", digest))?;
    say("Total reclaimed space", &units::size(collected.bytes)).map(|()| 0)
}

/// `24h`, `30m`, `10s`, or several of them after each other.
fn seconds(text: &str) -> Result<i64> {
    let refuse = || Error::new(format_args!("--filter until={text}: it takes a duration, as 24h or 30m"));
    let (mut total, mut digits) = (0i64, String::new());
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return Err(refuse()),
        };
        let number: i64 = digits.parse().map_err(|_| refuse())?;
        total = number.checked_mul(unit).and_then(|part| total.checked_add(part)).ok_or_else(refuse)?;
        digits.clear();
    }
    if digits.is_empty() && !text.is_empty() { Ok(total) } else { Err(refuse()) }
}
