//! Volumes: directories that outlive containers, below HOME/volumes. `NAME/data` is what containers see, and
//! `NAME/volume.json`, written last and removed first, makes it a volume: what killed commands leave has none.

mod wanted;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Dir, OFlags};
use rustix::io::Errno;

pub use wanted::{Kind, MountPoint, Mounted, Wanted, prepare};

use super::directory::{Directory, Lock, Root};
use super::{people, time};
use crate::error::{Error, Result, Step};
use crate::fs::{resolve, tree};
use crate::image::copy::{DIRECTORY, make_directory, open_at, remove_any};
use crate::spec::json::object;
use crate::spec::{self};
use crate::sys::path::renameat;

const RECORD: &str = "volume.json";
const DATA: &str = "data";
/// What becomes the data of a new volume.
const FILLING: &str = "filling";
const MOVES_HOME: &str = "--home DIR or SERVIN_HOME=DIR keeps Servin's files somewhere else";

object! {
    /// What is kept of a volume, with Docker's names.
    pub struct Volume {
        /// Its name.
        "Name" => name: String,
        /// Always `local`.
        "Driver" => driver: String,
        /// The directory that containers see.
        "Mountpoint" => mountpoint: String,
        /// When it was made, as RFC 3339.
        "CreatedAt" => created: String,
        /// What people note at it.
        "Labels" => labels: Vec<(String, String)>,
        /// What is mounted instead of its directory: `type`, `device`, `o`.
        "Options" => options: Vec<(String, String)>,
        /// Always `local`.
        "Scope" => scope: String,
        /// It was made for one container, by nobody's name.
        "Anonymous" => anonymous: bool,
    }
}

/// All volumes of one user.
pub struct Volumes {
    path: String,
    all: Root,
}

impl Volumes {
    /// Opens the place of the volumes, making what is missing.
    pub fn open(home: &str) -> Result<Volumes> {
        Root::make(home, MOVES_HOME)?;
        let path = format!("{home}/volumes");
        let all = Root::make(&path, MOVES_HOME)?;
        Ok(Volumes { path, all })
    }

    /// Held by whoever makes or removes volumes, and until a new container's record says which it has.
    pub fn lock(&self) -> Result<Lock> {
        Lock::on(&self.all).step(|| format!("lock {}", self.path))
    }

    /// Makes a volume; one of that name that is there already is as good. Says whether it is new. Who calls this holds
    /// the lock.
    pub fn create(
        &self,
        name: &str,
        labels: &[(String, String)],
        options: &[(String, String)],
        anonymous: bool,
    ) -> Result<(Volume, bool)> {
        validate_name(name)?;
        check(options)?;
        if let Some(volume) = self.get(name)? {
            return match options.is_empty() || volume.options == options {
                true => Ok((volume, false)),
                false => Err(Error::new(format_args!("the volume {name} exists with other options"))
                    .hint(format!("`servin volume rm {name}` removes it with what is in it"))),
            };
        }
        if let Some(left) = self.all.find(name)? {
            people::remove_files(&left)?;
        }
        let (directory, _lock) = self.all.create(name)?;
        let volume = Volume {
            name: name.into(),
            driver: "local".into(),
            mountpoint: format!("{}/{name}/{DATA}", self.path),
            created: time::now(),
            labels: labels.to_vec(),
            options: options.to_vec(),
            scope: "local".into(),
            anonymous,
        };
        let made = make_directory(directory.as_fd(), DATA, 0o755)
            .step(|| format!("make {}", directory.file(DATA)))
            .and_then(|()| directory.write(RECORD, &spec::to_json(&volume)));
        if made.is_err() {
            let _ = directory.remove();
        }
        made.map(|()| (volume, true))
    }

    /// The volume of that name.
    pub fn get(&self, name: &str) -> Result<Option<Volume>> {
        if validate_name(name).is_err() {
            return Ok(None);
        }
        let Some(directory) = self.all.find(name)? else { return Ok(None) };
        let text = directory.read(RECORD)?;
        text.map(|text| spec::parse(&text, &directory.file(RECORD))).transpose()
    }

    /// All volumes, by name. What killed commands have left is removed.
    pub fn all(&self) -> Result<Vec<Volume>> {
        let _lock = self.lock()?;
        self.all_locked()
    }

    /// The same, for who holds the lock.
    pub fn all_locked(&self) -> Result<Vec<Volume>> {
        let mut volumes = Vec::new();
        for name in self.all.ids()? {
            match self.get(&name)? {
                Some(volume) => volumes.push(volume),
                None => self.all.find(&name)?.map_or(Ok(()), |left| people::remove_files(&left))?,
            }
        }
        Ok(volumes)
    }

    /// Removes a volume with what is in it. Who calls this holds the lock, and knows that no container has it.
    pub fn remove(&self, name: &str) -> Result<()> {
        let Some(directory) = self.find(name)? else { return Ok(()) };
        directory.remove_file(RECORD)?;
        people::remove_files(&directory)
    }

    /// The bytes that it takes on the disk.
    pub fn size(&self, name: &str) -> Result<u64> {
        let step = || format!("measure the volume {name}");
        let data = open_at(CWD, &format!("{}/{name}/{DATA}", self.path), DIRECTORY).step(step)?;
        tree::size(data).step(step)
    }

    fn find(&self, name: &str) -> Result<Option<Directory>> {
        validate_name(name).and_then(|()| self.all.find(name))
    }

    /// Fills an empty volume with what the image has at `destination`, and gives it that directory's mode and owner.
    fn fill(&self, name: &str, new: bool, image: &OwnedFd, destination: &str) -> Result<()> {
        let step = || format!("fill the volume {name} from {destination} of the image");
        let from = match resolve::open(image, destination, OFlags::RDONLY | OFlags::DIRECTORY) {
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
            from => from.step(step)?,
        };
        let Some(volume) = self.find(name)? else { return Ok(()) };
        let copy = |place: &str| {
            let to = open_at(volume.as_fd(), place, DIRECTORY).step(step)?;
            for entry in Dir::read_from(&to).step(step)? {
                if !matches!(entry.step(step)?.file_name().to_bytes(), b"." | b"..") {
                    return Ok(());
                }
            }
            crate::fs::copy::copy_tree(&from, &to).map_err(|error| error.within(step()))
        };
        if !new {
            // A container may have it mounted.
            return copy(DATA);
        }
        // Who is killed meanwhile leaves it empty, to be filled by the next one, and not half full.
        absent(remove_any(volume.as_fd(), FILLING.as_bytes())).step(step)?;
        make_directory(volume.as_fd(), FILLING, 0o755).step(step)?;
        copy(FILLING)?;
        renameat(&volume, FILLING, &volume, DATA).step(step)
    }
}

fn absent(removed: rustix::io::Result<()>) -> rustix::io::Result<()> {
    match removed {
        Err(Errno::NOENT) => Ok(()),
        other => other,
    }
}

/// A name for a volume that nobody has named.
fn anonymous_name() -> Result<String> {
    people::new_id()
}

/// Docker's rule.
pub fn validate_name(name: &str) -> Result<()> {
    people::validate_name(name).map_err(|_| {
        Error::new(format_args!(
            "the volume's name \"{name}\": a letter or digit, and then letters, digits and _.-; two characters at least"
        ))
    })
}

/// The options of Docker's local driver: what mount(8) is told.
fn check(options: &[(String, String)]) -> Result<()> {
    let value = |key: &str| options.iter().find(|(own, _)| own == key).map(|(_, value)| value.as_str());
    for (key, _) in options {
        if !matches!(key.as_str(), "type" | "device" | "o") {
            return Err(Error::new(format_args!("--opt {key}: there are type, device and o")));
        }
    }
    match (value("type"), value("device")) {
        (None, None) => Ok(()),
        (Some("tmpfs"), _) => Err(Error::new(
            "--opt type=tmpfs: a file system in memory is each container's own: `servin run --tmpfs`",
        )),
        (_, None) => Err(Error::new("--opt type: --opt device=… is needed with it")),
        (_, Some(_)) => Ok(()),
    }
}

impl Volume {
    /// How a container mounts it.
    fn mount(&self, destination: &str, options: &[String]) -> spec::Mount {
        let value =
            |key: &str| self.options.iter().find(|(own, _)| own == key).map(|(_, value)| value.clone());
        let mut mount = spec::Mount { destination: destination.into(), ..spec::Mount::default() };
        match value("device") {
            None => {
                mount.kind = Some("bind".into());
                mount.source = Some(self.mountpoint.clone());
                mount.options.push("rbind".into());
            }
            Some(device) => {
                mount.kind = value("type");
                mount.source = Some(device);
                let own = value("o").unwrap_or_default();
                mount.options.extend(own.split(',').filter(|word| !word.is_empty()).map(ToString::to_string));
            }
        }
        mount.options.extend(options.iter().cloned());
        mount
    }
}

#[cfg(test)]
mod tests;
