//! Where the files of a new container come from: an image, a directory, the host's own programs.

use alloc::boxed::Box;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType};

use super::super::arguments::{Command, Given, Group, flag};
use super::super::image::{PLATFORM, platform};
use super::super::login::AUTHFILE;
use super::super::oci::{self, signals};
use super::super::{Invocation, pull, rootless};
use crate::container::people::{HealthCheck, Record, Store};
use crate::container::view;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::path_of;
use crate::gather::Gather as _;
use crate::image::copy::make_directory;
use crate::image::documents::{Healthcheck, Platform, RunConfig};
use crate::image::host_root;
use crate::image::reference::Reference;
use crate::image::rootfs::{self, Layers};
use crate::image::store::{self, Held, Image};
use crate::launch::file_system;
use crate::plan::defaults::Layer;
use crate::plan::mounts::{Attributes, Source};

/// The flags about it.
pub const IMAGE: Group = Group(
    "Image",
    &[
        flag("pull", None, Some("WHEN"), "missing (default), always, newer, never"),
        PLATFORM,
        flag("quiet", Some('q'), None, "do not say how a pull goes"),
        flag("entrypoint", None, Some("PROGRAM"), "in place of the image's"),
        flag(
            "rootfs",
            None,
            Some("DIR|FILE|host"),
            "no image: a directory, a squashfs or erofs, the host's programs",
        ),
        AUTHFILE,
    ],
);

/// Where the files of a container come from.
pub enum Rootfs<'g> {
    /// A directory, which the container changes.
    Directory(&'g str),
    /// A file with a file system, under a layer of the container's own.
    File {
        path: String,
        kind: &'static str,
        /// Its files, mounted for us alone.
        files: OwnedFd,
    },
    /// The host's own programs, under a layer of the container's own.
    Host,
    /// An image, under a layer of the container's own.
    Image(Box<Chosen<'g>>),
}

/// An image, held until the container that is made of it is kept.
pub struct Chosen<'g> {
    word: &'g str,
    store: &'static store::Store,
    image: Box<Image>,
    layers: Layers,
    _held: Held,
}

/// What a configuration is made of.
#[derive(Default)]
pub struct Files {
    /// The root's directory.
    pub root: String,
    /// The layer of the container on it.
    pub layer: Option<Layer>,
    /// Where users and groups are looked up, the highest layer first.
    pub users: Vec<String>,
    /// Program and arguments.
    pub args: Vec<String>,
    /// What the image says.
    pub image: RunConfig,
}

impl<'g> Rootfs<'g> {
    /// What the flags and the first word say.
    pub fn read(command: &Command, invocation: &Invocation, given: &Given<'g>) -> Result<Rootfs<'g>> {
        let first = given.words.first().copied();
        match (given.value("rootfs"), first) {
            (None, None) => Err(Error::new(format_args!("an image is missing, or --rootfs: see {command}"))),
            (Some(_), None) => Err(Error::new(format_args!("a program to run is missing: see {command}"))),
            (Some("host"), _) => Ok(Rootfs::Host),
            (Some(path), _) if is_file(path) => {
                let kind = file_system::kind(path)?.ok_or_else(|| {
                    Error::new(format_args!(
                        "--rootfs {path}: it is neither a directory nor a squashfs or erofs"
                    ))
                    .hint("`servin import` makes an image of an archive")
                })?;
                let files = file_system::mount(kind, path, &[], Attributes::default())
                    .map_err(|error| error.within("--rootfs"))?;
                Ok(Rootfs::File { path: oci::absolute_or_new(path)?, kind, files })
            }
            (Some(path), _) => Ok(Rootfs::Directory(path)),
            (None, Some(word)) => Chosen::new(invocation, given, word).map(Box::new).map(Rootfs::Image),
        }
    }

    /// What the record says of it, where the flags have not said something else.
    pub fn note(&self, given: &Given, record: &mut Record) {
        let (name, id) = match self {
            Rootfs::Directory(path) => (*path, None),
            Rootfs::File { path, .. } => (path.as_str(), None),
            Rootfs::Host => ("host", None),
            Rootfs::Image(chosen) => (chosen.word, Some(chosen.image.id.clone())),
        };
        record.image = Some(name.into());
        record.image_id = id;
        let Rootfs::Image(chosen) = self else { return };
        let Some(config) = &chosen.image.config.config else { return };
        for (key, value) in &config.labels {
            if record.labels.iter().all(|(known, _)| known != key) {
                record.labels.push((key.clone(), value.clone()));
            }
        }
        let signal = config
            .stop_signal
            .as_ref()
            .and_then(|text| signals::parse(text).ok())
            .filter(|signal| *signal > 0);
        record.stop_signal = record.stop_signal.or(signal);
        record.stop_timeout =
            record.stop_timeout.or(config.stop_timeout.and_then(|seconds| seconds.try_into().ok()));
        if record.health.is_none() && !given.switch("no-healthcheck", false) {
            record.health = config.healthcheck.as_ref().and_then(health);
        }
    }

    /// Its directory, and the layer of container `id` on it.
    pub fn prepare(&self, store: &Store, given: &Given, id: &str) -> Result<Files> {
        let words = |from: usize| given.words.iter().skip(from).map(ToString::to_string).gather::<Vec<_>>();
        let (upper, work) = store.layer(id);
        let mut files = match self {
            Rootfs::Directory(path) => {
                Files { root: oci::absolute(path)?, args: words(0), ..Files::default() }
            }
            Rootfs::File { path, kind, files } => {
                let file = Some((kind.to_string(), path.clone()));
                Files {
                    root: store.mount_point(id),
                    layer: Some(Layer { file, upper, work, ..Layer::default() }),
                    users: Vec::from([path_of(files)]),
                    args: words(0),
                    ..Files::default()
                }
            }
            Rootfs::Host => Files {
                root: host_root(&store.places.home)?,
                layer: Some(Layer { upper, work, ..Layer::default() }),
                args: words(0),
                ..Files::default()
            },
            Rootfs::Image(chosen) => {
                let image = chosen.image.config.config.clone().unwrap_or_default();
                let paths = chosen.layers.paths.clone();
                let (root, layer) = match paths.first() {
                    Some(top) if !chosen.layers.copied => {
                        let lower = paths.clone();
                        let user_xattrs = chosen.layers.user_xattrs;
                        (top.clone(), Some(Layer { file: None, lower, user_xattrs, upper, work }))
                    }
                    // A copy, or nothing at all: the container's own directory.
                    _ => (upper, None),
                };
                Files { root, layer, users: paths, args: words(1), image }
            }
        };
        if files.users.is_empty() && !matches!(self, Rootfs::Image(_)) {
            files.users.push(files.root.clone());
        }
        files.args = arguments(given, &files.image, files.args)?;
        Ok(files)
    }

    /// Whether [`Rootfs::fill`] has something to do.
    pub fn is_to_be_filled(&self) -> bool {
        match self {
            Rootfs::Image(chosen) => chosen.layers.copied,
            Rootfs::File { .. } => true,
            _ => false,
        }
    }

    /// Opens what the container sees before anything is mounted in it; `layers` are what it is made of.
    pub fn open(&self, store: &Store, id: &str, layers: &[String]) -> Result<OwnedFd> {
        match self {
            Rootfs::Image(chosen) if chosen.layers.copied => view::of_layers(&[store.layer(id).0], false),
            Rootfs::Image(chosen) => view::of_layers(layers, chosen.layers.user_xattrs),
            _ => view::of_layers(layers, false),
        }
    }

    /// Fills the container's directory, where no overlay does, or gives it a place to mount what lies below that.
    pub fn fill(&self, store: &Store, id: &str) -> Result<()> {
        match self {
            Rootfs::Image(chosen) if chosen.layers.copied => {
                rootfs::copy(chosen.store, &chosen.image, &store.layer(id).0)
            }
            Rootfs::File { .. } => {
                let path = store.mount_point(id);
                make_directory(CWD, &path, 0o755).step(|| alloc::format!("make {path}"))
            }
            _ => Ok(()),
        }
    }
}

/// The tree of tools that `--with` names: the host's own, those of a directory, or those of an image.
pub fn tools(invocation: &Invocation, given: &Given, word: &str) -> Result<Source> {
    let named = |error: Error| error.within(format_args!("--with {word}"));
    let bind = |path: String| Source::Bind { path, recursive: true };
    if word == "host" {
        return Ok(bind(host_root(&invocation.home(given)?)?));
    }
    if word.starts_with(['/', '.']) {
        return oci::absolute(word).map(bind).map_err(named);
    }
    let Layers { mut paths, user_xattrs, copied } =
        Chosen::new(invocation, given, word).map_err(named)?.layers;
    match paths.len() {
        0 => Err(named(Error::new("the image has no files"))),
        1 => Ok(bind(paths.remove(0))),
        _ if copied => {
            Err(named(Error::new("the image has several layers, and this host no overlay for them")))
        }
        _ => Ok(Source::FileSystem {
            kind: "overlay".into(),
            name: "overlay".into(),
            parameters: view::lower(&paths, user_xattrs),
            looped: false,
            old_flags: 0,
        }),
    }
}

/// Whether something is there that is no directory. What is not there is complained of later.
fn is_file(path: &str) -> bool {
    crate::sys::path::stat(path)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) != FileType::Directory)
}

/// The program: an entry point with arguments after it, which are the image's where none were given.
fn arguments(given: &Given, image: &RunConfig, words: Vec<String>) -> Result<Vec<String>> {
    let mut args = match given.value("entrypoint") {
        None => image.entrypoint.clone().unwrap_or_default(),
        Some("") => Vec::new(),
        Some(program) => Vec::from([program.to_string()]),
    };
    match &image.cmd {
        Some(cmd) if words.is_empty() && given.value("entrypoint").is_none() => args.extend(cmd.clone()),
        _ => args.extend(words),
    }
    if args.is_empty() {
        return Err(Error::new("the image names no program, and neither did you")
            .hint("write one behind the image's name"));
    }
    Ok(args)
}

/// An image's health check; none where it says that there is none.
fn health(check: &Healthcheck) -> Option<HealthCheck> {
    if !matches!(check.test.first().map(String::as_str), Some("CMD" | "CMD-SHELL")) {
        return None;
    }
    let time = |value: Option<u64>| value.filter(|time| *time > 0).unwrap_or(30_000_000_000);
    Some(HealthCheck {
        interval: time(check.interval),
        timeout: time(check.timeout),
        start_period: check.start_period.unwrap_or(0),
        retries: check.retries.filter(|retries| *retries > 0).map_or(3, |retries| retries.min(1000) as u32),
        test: check.test.clone(),
    })
}

impl<'g> Chosen<'g> {
    fn new(invocation: &Invocation, given: &Given, word: &'g str) -> Result<Chosen<'g>> {
        let store = super::super::image::store(invocation, given)?;
        let image = find(invocation, given, store, word)?;
        // From now on it is not removed; it may have been a moment ago.
        let held = store.share()?;
        let image = store.get(&image.digest)?;
        let layers = rootfs::layers(store, &image)?;
        Ok(Chosen { word, store, image, layers, _held: held })
    }
}

/// The image, pulled as `--pull` says.
fn find(invocation: &Invocation, given: &Given, store: &store::Store, word: &str) -> Result<Box<Image>> {
    let wanted = platform(given)?;
    let runs = |image: &Image| {
        let config = &image.config;
        let own = Platform {
            architecture: config.architecture.clone(),
            os: config.os.clone(),
            variant: config.variant.clone(),
            os_version: None,
        };
        given.value("platform").is_none() || wanted.runs(&own)
    };
    let here = store.find(word)?.filter(|image| runs(image));
    let when = given.value("pull").unwrap_or("missing");
    let fetch = |name: &Reference| {
        rootless::with_ids(invocation, given, &mut |inside| {
            let store = super::super::image::store(inside, given)?;
            pull::fetch(inside, given, store, name, given.switch("quiet", false)).map(|_| 0)
        })?;
        store.get(word)
    };
    let names = here.as_ref().map(|image| image.references.clone());
    let name = || {
        let name = Reference::parse(word)?;
        // What is an ID of something here has no name to be pulled by.
        let is_id = names.as_ref().is_some_and(|names| !names.contains(&name));
        if is_id {
            Err(Error::new(format_args!("--pull={when}: {word} is an ID, which cannot be pulled")))
        } else {
            Ok(name)
        }
    };
    match (when, here) {
        ("missing" | "never", Some(image)) => Ok(image),
        ("never", None) => store.get(word),
        ("missing", None) | ("always", _) | ("newer", None) => fetch(&name()?),
        ("newer", Some(image)) => {
            let name = name()?;
            let digest = pull::open(invocation, given, &name, false)
                .and_then(|mut registry| registry.digest(name.manifest_name()));
            match digest {
                // Whoever cannot be asked has nothing newer.
                Err(_) => Ok(image),
                Ok(Some(digest)) if digest == image.digest || image.source_digests.contains(&digest) => {
                    Ok(image)
                }
                Ok(_) => fetch(&name),
            }
        }
        _ => Err(Error::new(format_args!("--pull={when}: it is none of missing, always, newer and never"))),
    }
}
