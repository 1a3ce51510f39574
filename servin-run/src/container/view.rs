//! A container's files as it sees them, for commands on the host: through its process while it runs, and through a mount
//! that is attached nowhere while it does not. Every path inside is a stranger's: it is resolved by [`resolve`].
//!
//! [`resolve`]: crate::fs::resolve

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_change};

use super::people::{CONFIG, Entry, Store};
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::launch::file_system;
use crate::launch::mount::{attach, new_file_system};
use crate::launch::overlay::split;
use crate::plan::mounts::Attributes;
use crate::spec;
use crate::spec::Config;
use crate::sys::clone::{CloneFlags, unshare};
use crate::sys::path::openat;

const DIRECTORY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Opens a container's root. Who calls this for one that does not run holds its lock, so that nobody starts it meanwhile.
pub fn of_container(store: &Store, entry: &Entry) -> Result<OwnedFd> {
    let record = &entry.record;
    if record.state.phase.is_alive() {
        let process = store.process(&record.id)?;
        let process = process
            .ok_or_else(|| Error::new(format_args!("the container {} has just ended", record.name)))?;
        return process.open("root", DIRECTORY);
    }
    let config = configuration(entry)?;
    match Overlay::of(&config)? {
        Some(overlay) => overlay_of(overlay.0),
        None => of_root(&config),
    }
}

/// All files of the container for who only reads them, whether it runs or not.
pub fn read_only(config: &Config) -> Result<OwnedFd> {
    let Some(overlay) = Overlay::of(config)? else { return of_root(config) };
    let (upper, lower) = (overlay.value("upperdir").unwrap_or_default(), overlay.value("lowerdir"));
    let mut layers = split(lower.unwrap_or_default());
    layers.insert(0, upper.to_string());
    of_layers(&layers, overlay.has_user_xattrs())
}

/// The files that a container was made of, below the layer of its own changes; none where it has no such layer.
pub fn of_image(entry: &Entry) -> Result<Option<OwnedFd>> {
    let config = configuration(entry)?;
    let Some(overlay) = Overlay::of(&config)? else { return Ok(None) };
    let layers = split(overlay.value("lowerdir").unwrap_or_default());
    of_layers(&layers, overlay.has_user_xattrs()).map(Some)
}

/// The directory that holds what the container has changed; none where it has changed its root itself.
pub fn upper(config: &Config) -> Option<&str> {
    Overlay::find(config)?.value("upperdir")
}

/// The overlay on `/` of a configuration.
struct Overlay<'c>(&'c [String]);

impl<'c> Overlay<'c> {
    fn find(config: &'c Config) -> Option<Overlay<'c>> {
        let is_root =
            |mount: &&spec::Mount| mount.destination == "/" && mount.kind.as_deref() == Some("overlay");
        config.mounts.iter().find(is_root).map(|mount| Overlay(&mount.options))
    }

    /// The same, after a file system that lies in a file has been mounted below it, in a mount namespace of our own.
    fn of(config: &'c Config) -> Result<Option<Overlay<'c>>> {
        if let (Some(mount), Some(root)) = (config.mounts.first(), &config.root)
            && mount.options.iter().any(|option| option == "loop")
            && let (Some(kind), Some(file)) = (&mount.kind, &mount.source)
        {
            let tree = file_system::mount(kind, file, &[], Attributes::default())?;
            unshare(CloneFlags::NEWNS).step(|| "make a mount namespace")?;
            // What the host unmounts is unmounted here too, and nothing of here is seen there.
            mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)
                .step(|| "make it a slave")?;
            attach(&tree, of_directory(&root.path)?).step(|| format!("mount {file}"))?;
        }
        Ok(Overlay::find(config))
    }

    fn value(&self, key: &str) -> Option<&'c str> {
        self.0.iter().find_map(|option| option.strip_prefix(key)?.strip_prefix('='))
    }

    fn has_user_xattrs(&self) -> bool {
        self.0.iter().any(|option| option == "userxattr")
    }
}

fn configuration(entry: &Entry) -> Result<Config> {
    let text = entry.directory.read(CONFIG)?.unwrap_or_default();
    spec::parse(&text, &entry.directory.file(CONFIG))
}

/// Opens the files of an image's layers, the highest first.
pub fn of_layers(layers: &[String], user_xattrs: bool) -> Result<OwnedFd> {
    if let [layer] = layers {
        return of_directory(layer);
    }
    overlay_of(&lower(layers, user_xattrs))
}

/// The words for an overlay of these layers, the highest first, that nobody can write to.
pub fn lower(layers: &[String], user_xattrs: bool) -> Vec<String> {
    let escape = |path: &String| path.replace('\\', "\\\\").replace(':', "\\:");
    let lower: Vec<String> = layers.iter().map(escape).gather();
    let mut options = Vec::from([format!("lowerdir={}", lower.join(":"))]);
    if user_xattrs {
        options.push("userxattr".to_string());
    }
    options
}

fn of_root(config: &Config) -> Result<OwnedFd> {
    of_directory(config.root.as_ref().map_or("", |root| root.path.as_str()))
}

fn of_directory(path: &str) -> Result<OwnedFd> {
    openat(CWD, path, DIRECTORY, Mode::empty()).step(|| format!("open the root file system {path}"))
}

fn overlay_of(options: &[String]) -> Result<OwnedFd> {
    let mounted = new_file_system("overlay", "overlay", options, Attributes::default());
    mounted.map_err(|error| {
        let error = error.within("mount the container's files");
        match error.errno() {
            Some(Errno::PERM) => error.hint("this takes root's privileges"),
            Some(Errno::NOSYS) => error.hint("this needs Linux 5.2, and 6.5 for images of many layers"),
            _ => error,
        }
    })
}
