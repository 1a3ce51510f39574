//! `servin image ls` and `servin image history`.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::Invocation;
use super::super::arguments::{Command, Given};
use super::super::format::{self, Column, Filters, LIST, units};
use super::{since, store};
use crate::error::Result;
use crate::gather::Gather as _;
use crate::image::reference::Reference;
use crate::image::store::{Image, Store, chain_ids};
use crate::spec::json::Value;

pub const LS: Command = Command {
    name: "servin image ls",
    usage: "[FLAGS] [NAME]",
    about: "List the images of the store.",
    groups: &[
        LIST,
        super::Group(
            "Images",
            &[
                super::flag("digests", None, None, "show the digests of the manifests"),
                super::flag("all", Some('a'), None, "taken for Docker's sake: all are listed anyway"),
            ],
        ),
    ],
    last_word: usize::MAX,
};

const COLUMNS: [Column; 5] = [
    Column("REPOSITORY", "Repository"),
    Column("TAG", "Tag"),
    Column("IMAGE ID", "ID"),
    Column("CREATED", "CreatedSince"),
    Column("SIZE", "Size"),
];

/// With the digest after the tag.
const WITH_DIGESTS: [Column; 6] = [
    Column("REPOSITORY", "Repository"),
    Column("TAG", "Tag"),
    Column("DIGEST", "Digest"),
    Column("IMAGE ID", "ID"),
    Column("CREATED", "CreatedSince"),
    Column("SIZE", "Size"),
];

const NONE: &str = "<none>";

/// Lists images, a line for each of their names.
pub fn ls(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.between(&LS, "", 0, 1)?;
    let filters = Filters::read(given, &["dangling", "label", "label!", "reference", "before", "since"])?;
    let dangling = filters.boolean("dangling")?;
    let store = store(invocation, given)?;
    let images = store.images()?;
    let wanted = given.words.first().copied();
    let created = |word: &str| store.get(word).map(|image| image.config.created.clone());
    let before = filters.values("before").last().map(created).transpose()?;
    let since = filters.values("since").last().map(created).transpose()?;
    let mut rows = Vec::new();
    for image in &images {
        let labels = image.config.config.as_ref().map_or(&[][..], |config| &config.labels[..]);
        let in_time = before.as_ref().is_none_or(|limit| image.config.created < *limit)
            && since.as_ref().is_none_or(|limit| image.config.created > *limit);
        if dangling.is_some_and(|wanted| wanted != image.references.is_empty())
            || !filters.admit_labels(labels)
            || !in_time
        {
            continue;
        }
        let admitted = |name: &Reference| {
            wanted.is_none_or(|wanted| is_called(name, wanted))
                && filters.admit("reference", &|pattern| is_called(name, pattern))
        };
        let named = image.references.iter().filter(|name| admitted(name));
        let named: Vec<Option<&Reference>> = match image.references[..] {
            [] if wanted.is_none() && filters.values("reference").next().is_none() => Vec::from([None]),
            _ => named.map(Some).gather(),
        };
        rows.extend(named.into_iter().map(|name| row(given, store, image, name)));
    }
    if given.switch("quiet", false) {
        // An image with two names is one image.
        rows.dedup_by(|a, b| field(a, "ID") == field(b, "ID"));
    }
    let columns = if given.switch("digests", false) { &WITH_DIGESTS[..] } else { &COLUMNS };
    format::list(given, columns, "ID", &rows)
}

fn field<'v>(row: &'v Value, name: &str) -> Option<&'v str> {
    match row {
        Value::Object(fields) => match fields.get(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a name, its repository or either without what Docker leaves out is `wanted`, in which `*` stands for
/// anything but a slash.
fn is_called(name: &Reference, wanted: &str) -> bool {
    let forms = [name.familiar(), name.familiar_name(), name.to_string(), name.name()];
    forms.iter().any(|form| matches(form.as_bytes(), wanted.as_bytes()))
}

fn matches(text: &[u8], pattern: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, rest) => rest.is_none(),
        (Some((b'*', pattern)), rest) => {
            matches(text, pattern)
                || rest.is_some_and(|(byte, _)| *byte != b'/')
                    && matches(&text[1..], &[b"*", pattern].concat())
        }
        (Some((expected, pattern)), Some((byte, text))) => expected == byte && matches(text, pattern),
        (Some(_), None) => false,
    }
}

fn row(given: &Given, store: &Store, image: &Image, name: Option<&Reference>) -> Value {
    let created = image.config.created.as_deref();
    format::row(&[
        ("Repository", &name.map_or_else(|| NONE.into(), Reference::familiar_name)),
        ("Tag", name.and_then(Reference::tag).unwrap_or(NONE)),
        ("ID", format::id(given, &image.id)),
        ("Digest", &image.digest),
        ("CreatedAt", created.unwrap_or("N/A")),
        ("CreatedSince", &since(created)),
        ("Size", &units::size(store.size(image))),
        ("Containers", &store.users(image).len().to_string()),
    ])
}

pub const HISTORY: Command = Command {
    name: "servin image history",
    usage: "[FLAGS] IMAGE",
    about: "Show how the layers of an image were made.",
    groups: &[LIST],
    last_word: usize::MAX,
};

const STEPS: [Column; 5] = [
    Column("IMAGE", "ID"),
    Column("CREATED", "CreatedSince"),
    Column("CREATED BY", "CreatedBy"),
    Column("SIZE", "Size"),
    Column("COMMENT", "Comment"),
];

/// Shows how an image was made, the newest step first.
pub fn history(invocation: &Invocation, given: &Given) -> Result<i32> {
    let wanted = given.one(&HISTORY, "an image")?;
    Filters::read(given, &[])?;
    let store = store(invocation, given)?;
    let image = store.get(wanted)?;
    let chain = chain_ids(&image.config.rootfs.diff_ids);
    let mut sizes = chain.iter().map(|id| store.layer(id).map_or(0, |layer| layer.archive_size));
    let mut rows = Vec::new();
    for step in &image.config.history {
        let empty = step.empty_layer == Some(true);
        let size = if empty { 0 } else { sizes.next().unwrap_or(0) };
        let created = step.created.as_deref();
        let by: String =
            step.created_by.as_deref().unwrap_or_default().split_whitespace().gather::<Vec<_>>().join(" ");
        rows.push(format::row(&[
            // Steps before the last one made no image of their own.
            ("ID", "<missing>"),
            ("CreatedAt", created.unwrap_or("N/A")),
            ("CreatedSince", &since(created)),
            ("CreatedBy", &format::shorten(given, &by, 45)),
            ("Size", &units::size(size)),
            ("Comment", step.comment.as_deref().unwrap_or_default()),
        ]));
    }
    // What no step accounts for is there all the same.
    rows.extend(sizes.map(|size| {
        let size = units::size(size);
        format::row(&[
            ("ID", "<missing>"),
            ("CreatedAt", "N/A"),
            ("CreatedSince", "N/A"),
            ("CreatedBy", ""),
            ("Size", &size),
            ("Comment", ""),
        ])
    }));
    rows.reverse();
    if let Some(Value::Object(first)) = rows.first_mut() {
        first.insert("ID", Value::String(format::id(given, &image.id).into()));
    }
    format::list(given, &STEPS, "ID", &rows)
}
