//! What a container wants mounted, made ready: volumes made and filled, and the mounts of its configuration.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, OFlags};

use super::{Volumes, anonymous_name};
use crate::container::directory::Lock;
use crate::error::{Error, Result, Step};
use crate::fs::{resolve, tree};
use crate::gather::Gather as _;
use crate::image::copy::{DIRECTORY, open_at};
use crate::order;
use crate::plan::mounts::{clean, propagation};
use crate::spec::{self, json::object};
use crate::sys::path::stat;

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A place of the host.
    Bind(String),
    /// A volume of that name.
    Volume(String),
    /// A new volume without a name, which goes with the container.
    Anonymous,
    /// Memory.
    Tmpfs,
}

/// One mount that a person asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The flag as it was typed, for errors.
    pub flag: String,
    /// What.
    pub kind: Kind,
    /// Where in the container.
    pub destination: String,
    /// The words of mount(8).
    pub options: Vec<String>,
    /// Only the directory itself, not what is mounted below it.
    pub alone: bool,
    /// A new volume gets what the image has there.
    pub copy: bool,
    /// The files are given to the container's user.
    pub give: bool,
    /// Labels of a volume that is made.
    pub labels: Vec<(String, String)>,
    /// Its options.
    pub volume_options: Vec<(String, String)>,
    /// Only this path inside the volume.
    pub subpath: Option<String>,
}

object! {
    /// A mount as `inspect` shows it, with Docker's names.
    pub struct MountPoint {
        /// `bind`, `volume` or `tmpfs`.
        "Type" => kind: String,
        /// The volume's.
        "Name" => name: Option<String>,
        /// The place on the host.
        "Source" => source: Option<String>,
        /// The place in the container.
        "Destination" => destination: String,
        /// `local` for a volume.
        "Driver" => driver: Option<String>,
        /// The options.
        "Mode" => mode: String,
        /// It can be written to.
        "RW" => writable: bool,
        /// What becomes of mounts made below it.
        "Propagation" => propagation: String,
        /// The volume goes with the container.
        "Anonymous" => anonymous: bool,
    }
}

/// What is done at a mount's source when the image's files are there.
struct Source {
    flag: String,
    destination: String,
    /// The directory.
    path: String,
    /// It is a volume's, perhaps a new one's, and gets what the image has at the destination.
    filled: Option<(String, bool)>,
    subpath: Option<String>,
    give: bool,
}

/// Mounts that are ready, but for [`Mounted::fill`]. New volumes are removed again when this is dropped without
/// [`Mounted::keep`].
pub struct Mounted {
    /// For the configuration.
    pub mounts: Vec<spec::Mount>,
    /// For the record.
    pub points: Vec<MountPoint>,
    /// Until the record is written, nobody removes a volume that the container is to have. Without volumes there is
    /// no place for them either.
    volumes: Option<(Volumes, Lock)>,
    new: Vec<String>,
    sources: Vec<Source>,
}

impl Mounted {
    /// Whether [`Mounted::fill`] has something to do.
    pub fn is_to_be_filled(&self) -> bool {
        self.sources.iter().any(|one| one.filled.is_some() || one.subpath.is_some() || one.give)
    }

    /// Fills volumes and gives files to the container's user, `owner`. `image` opens the container's root file system
    /// as it is before anything is mounted.
    pub fn fill(&self, image: &dyn Fn() -> Result<OwnedFd>, owner: (u32, u32)) -> Result<()> {
        for one in &self.sources {
            let named = |error: Error| error.within(&one.flag);
            if let (Some((name, new)), Some((volumes, _))) = (&one.filled, &self.volumes) {
                volumes.fill(name, *new, &image()?, &one.destination).map_err(named)?;
            }
            let open = || {
                let whole = open_at(CWD, &one.path, DIRECTORY)?;
                match &one.subpath {
                    Some(subpath) => resolve::open(whole, subpath, OFlags::PATH),
                    None => Ok(whole),
                }
            };
            if one.subpath.is_some() {
                // Looked for now, and once more when it is mounted.
                open().map(drop).step(|| "look for volume-subpath in it").map_err(named)?;
            }
            if one.give {
                let given = open()
                    .and_then(|place| resolve::reopen(&place, OFlags::RDONLY | OFlags::DIRECTORY))
                    .and_then(|directory| tree::give(directory, owner.0, owner.1));
                given.step(|| format!("give {} to the container's user", one.path)).map_err(named)?;
            }
        }
        Ok(())
    }

    /// The record knows them now.
    pub fn keep(mut self) {
        self.new.clear();
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Some((volumes, _)) = &self.volumes {
            for name in &self.new {
                let _ = volumes.remove(name);
            }
        }
    }
}

/// Makes everything ready that a container wants, volumes below `home`.
pub fn prepare(home: &str, mut wanted: Vec<Wanted>) -> Result<Mounted> {
    for (index, one) in wanted.iter().enumerate() {
        if wanted[..index].iter().any(|other| clean(&other.destination) == clean(&one.destination)) {
            return Err(Error::new(format_args!("{}: something is mounted there already", one.flag)));
        }
    }
    // What is mounted inside another mount comes after it.
    let place = |one: &Wanted| (clean(&one.destination).matches('/').count(), clean(&one.destination));
    order::sort_by_key(&mut wanted, place);
    let mut mounted = Mounted {
        mounts: Vec::new(),
        points: Vec::new(),
        volumes: None,
        new: Vec::new(),
        sources: Vec::new(),
    };
    if wanted.iter().any(|one| matches!(one.kind, Kind::Volume(_) | Kind::Anonymous)) {
        let volumes = Volumes::open(home)?;
        let lock = volumes.lock()?;
        mounted.volumes = Some((volumes, lock));
    }
    for one in &wanted {
        let named = |error: Error| error.within(&one.flag);
        let mount = match &one.kind {
            Kind::Tmpfs => spec::Mount { options: one.options.clone(), ..mount("tmpfs", "tmpfs", one) },
            Kind::Bind(source) => {
                stat(source.as_str()).step(|| format!("look at {source}")).map_err(named)?;
                let mut mount = mount("bind", source, one);
                mount.options.push(if one.alone { "bind" } else { "rbind" }.into());
                mount.options.extend(one.options.iter().cloned());
                mounted.source(one, source.clone(), None);
                mount
            }
            Kind::Volume(name) => mounted.volume(name, false, one).map_err(named)?,
            Kind::Anonymous => mounted.volume(&anonymous_name()?, true, one).map_err(named)?,
        };
        mounted.points.push(point(one, &mount, &mounted.new));
        mounted.mounts.push(mount);
    }
    Ok(mounted)
}

impl Mounted {
    fn volume(&mut self, name: &str, anonymous: bool, one: &Wanted) -> Result<spec::Mount> {
        let Some((volumes, _)) = &self.volumes else {
            return Err(Error::new("a bug in servin: the place of the volumes was not opened"));
        };
        let (volume, new) = volumes.create(name, &one.labels, &one.volume_options, anonymous)?;
        if new {
            self.new.push(name.to_string());
        }
        let mut mount = volume.mount(&one.destination, &one.options);
        if one.subpath.is_some() {
            if !volume.options.is_empty() {
                return Err(Error::new(
                    "volume-subpath: the volume is another file system, mounted anew each time",
                ));
            }
            mount.subpath.clone_from(&one.subpath);
        }
        let filled = (one.copy && volume.options.is_empty()).then(|| (name.to_string(), new));
        self.source(one, mount.source.clone().unwrap_or_default(), filled);
        Ok(mount)
    }

    fn source(&mut self, one: &Wanted, path: String, filled: Option<(String, bool)>) {
        self.sources.push(Source {
            flag: one.flag.clone(),
            destination: one.destination.clone(),
            path,
            filled,
            subpath: one.subpath.clone(),
            give: one.give,
        });
    }
}

fn mount(kind: &str, source: &str, one: &Wanted) -> spec::Mount {
    spec::Mount {
        destination: one.destination.clone(),
        kind: Some(kind.into()),
        source: Some(source.into()),
        ..spec::Mount::default()
    }
}

fn point(one: &Wanted, mount: &spec::Mount, new: &[String]) -> MountPoint {
    let (kind, name) = match &one.kind {
        Kind::Bind(_) => ("bind", None),
        Kind::Tmpfs => ("tmpfs", None),
        Kind::Volume(name) => ("volume", Some(name.clone())),
        Kind::Anonymous => ("volume", new.last().cloned()),
    };
    // What is so anyway is not worth a word.
    let mode: Vec<&str> = one
        .options
        .iter()
        .map(String::as_str)
        .filter(|word| !matches!(*word, "rprivate" | "private"))
        .gather();
    let spread = mount.options.iter().find(|word| propagation(word).is_some());
    MountPoint {
        kind: kind.into(),
        driver: name.is_some().then(|| "local".into()),
        name,
        source: mount.source.clone().filter(|_| one.kind != Kind::Tmpfs),
        destination: one.destination.clone(),
        mode: mode.join(","),
        writable: !one.options.iter().any(|word| word == "ro" || word == "rro"),
        propagation: spread.cloned().unwrap_or_default(),
        anonymous: one.kind == Kind::Anonymous,
    }
}
