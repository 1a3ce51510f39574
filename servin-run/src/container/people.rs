//! The containers of people: what is kept of each, below HOME/containers, whether it runs or not.
//!
//! A container is a bundle: `ID/container.json` (the [`Record`]), `ID/config.json`, the layer of its changes, its
//! log. While it runs, its supervisor holds a lock ([`Supervised`]), and `ROOT/ID` is what every OCI container has.
//! `.names/NAME` is a link to the ID. Who changes a record holds the lock on its directory.

mod names;
mod record;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, FileType, OFlags};
use rustix::io::Errno;

pub use record::{HealthCheck, HealthResult, HealthState, Life, LogSettings, Phase, Record};

use super::directory::{Directory, Lock, MOVES_ROOT, Root};
use super::process::Alive;
use super::record::Container;
use super::volume::Volumes;
use super::{removal, time};
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::image::copy::{make_directory, open_at};
use crate::launch::user_namespace;
use crate::network;
use crate::plan::namespaces;
use crate::spec;
use crate::sys::lock::{is_byte_locked, lock_byte};
use crate::sys::path::{readlinkat, symlinkat, unlinkat};

/// The file of the record.
const RECORD: &str = "container.json";
/// The configuration, as the OCI runtime reads it.
pub const CONFIG: &str = "config.json";
/// The beginning of the names of files of which each byte stands for a container, and is locked by its supervisor: one
/// call says whether it is. They are sixteen, so that the kernel has not a thousand locks of one file to look through.
const SUPERVISED: &str = ".supervised-";
/// The socket on which the supervisor listens.
pub const SOCKET: &str = "attach";
/// The folder of the log.
pub const LOG: &str = "log";
/// The overlay's directories: what has changed, and the kernel's own.
const UPPER: &str = "upper";
const WORK: &str = "work";
/// Links from names to ids.
const NAMES: &str = ".names";

const MOVES_HOME: &str = "--home DIR or SERVIN_HOME=DIR keeps Servin's files somewhere else";

/// The exit code of a container whose supervisor was killed, or that was running when the host went down: its
/// processes were killed.
const KILLED: i32 = 137;

/// Where everything is kept.
#[derive(Debug, Clone, Default)]
pub struct Places {
    /// What stays: HOME.
    pub home: String,
    /// What is gone when the host restarts: ROOT.
    pub root: String,
}

impl Places {
    /// The same for what networks keep.
    pub fn network<'p>(&'p self, warn: Option<&'p dyn Fn(&str)>) -> network::Places<'p> {
        network::Places { home: &self.home, root: &self.root, warn }
    }
}

/// All containers of one user.
pub struct Store {
    /// Where they are.
    pub places: Places,
    all: Root,
    names: OwnedFd,
}

/// One container.
pub struct Entry {
    /// Its directory.
    pub directory: Directory,
    /// What is kept of it.
    pub record: Record,
}

/// Removes the directory of a container, or of a volume. In a user's there are files of other users of his.
pub(super) fn remove_files(directory: &Directory) -> Result<()> {
    directory.remove().or_else(|_| user_namespace::as_owner(&mut || directory.remove().map(|()| 0)).map(drop))
}

impl Store {
    /// Opens the store, making what is missing.
    pub fn open(places: Places) -> Result<Store> {
        Root::make(&places.home, MOVES_HOME)?;
        let all = Root::make(&format!("{}/containers", places.home), MOVES_HOME)?;
        let step = || format!("make {}/containers/{NAMES}", places.home);
        make_directory(all.as_fd(), NAMES, 0o700).step(step)?;
        let names = open_at(all.as_fd(), NAMES, crate::image::copy::DIRECTORY).step(step)?;
        Ok(Store { places, all, names })
    }

    /// The path of a container's directory.
    pub fn path(&self, id: &str) -> String {
        format!("{}/containers/{id}", self.places.home)
    }

    /// The upper and the working directory of a container's own layer.
    pub fn layer(&self, id: &str) -> (String, String) {
        let path = self.path(id);
        (format!("{path}/{UPPER}"), format!("{path}/{WORK}"))
    }

    /// Where the file system in a file is mounted in a container's mount namespace, below the container's layer.
    pub fn mount_point(&self, id: &str) -> String {
        [&self.path(id), "/lower"].concat()
    }

    /// Keeps a new container: its record, its configuration, the directories that it writes to, and what `fill` puts
    /// there. A record without a name gets one.
    pub fn create(
        &self,
        mut record: Record,
        config: &str,
        fill: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Box<Entry>> {
        // Held until its directory is there, without which a name is nobody's.
        let names = self.lock()?;
        match record.name.as_str() {
            "" => record.name = self.free_name()?,
            name => validate_name(name)?,
        }
        self.claim(&record.name, &record.id)?;
        let (name, id) = (record.name.clone(), record.id.clone());
        let made = self.make(record, config, names, fill);
        if made.is_err() {
            self.give_up(&name, &id)?;
        }
        made
    }

    fn make(
        &self,
        record: Record,
        config: &str,
        names: Lock,
        fill: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Box<Entry>> {
        let (directory, _lock) = self.all.create(&record.id)?;
        // An image may be large; meanwhile others make containers too.
        drop(names);
        let entry = Box::new(Entry { directory, record });
        let mut make = || {
            for (name, mode) in [(UPPER, 0o755), (WORK, 0o700), (LOG, 0o700)] {
                make_directory(entry.directory.as_fd(), name, mode)
                    .step(|| format!("make {}", entry.directory.file(name)))?;
            }
            entry.directory.write(CONFIG, config)?;
            fill()?;
            // Without this file there is no container.
            entry.save()
        };
        let made = make();
        if made.is_err() {
            // Or the next command does that: it has no record.
            let _ = remove_files(&entry.directory);
        }
        made.map(|()| entry)
    }

    /// Gives a name back that is container `id`'s.
    fn give_up(&self, name: &str, id: &str) -> Result<()> {
        if self.owner(name)?.as_deref() == Some(id) {
            self.release(name);
        }
        Ok(())
    }

    fn lock(&self) -> Result<Lock> {
        Lock::on(&self.all).step(|| format!("lock {}/containers", self.places.home))
    }

    /// Makes `name` that of container `id`. Called with the lock.
    fn claim(&self, name: &str, id: &str) -> Result<()> {
        if let Some(owner) = self.owner(name)? {
            if self.all.find(&owner)?.is_some() {
                return Err(Error::new(format_args!(
                    "the name \"{name}\" is already in use by the container {}",
                    short(&owner)
                ))
                .hint(format!(
                    "`servin rm {name}` removes that, `servin rename {name} OTHER` gives it another"
                )));
            }
            // Its command was killed, or its directory removed by hand.
            self.release(name);
        }
        symlinkat(id, &self.names, name).step(|| format!("give the container the name {name}"))
    }

    fn owner(&self, name: &str) -> Result<Option<String>> {
        match readlinkat(&self.names, name, Vec::new()) {
            Ok(id) => Ok(id.into_string().ok()),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::os(format_args!("look for the name {name}"), errno)),
        }
    }

    fn release(&self, name: &str) {
        let _ = unlinkat(&self.names, name, AtFlags::empty());
    }

    /// Cleans what killed commands have left of containers that are gone: their names, and what networks keep of them.
    pub fn sweep_gone(&self) -> Result<()> {
        self.sweep_names()?;
        // Asked under the lock of the networks, to which no container is connected before it has its directory.
        let is_there = |id: &str| self.all.find(id).is_ok_and(|found| found.is_some());
        network::prune(&self.places.network(None), &is_there)
    }

    fn sweep_names(&self) -> Result<()> {
        let _names = self.lock()?;
        let step = || format!("list {}/containers/.names", self.places.home);
        for entry in Dir::read_from(&self.names).step(step)? {
            let entry = entry.step(step)?;
            let Ok(name) = entry.file_name().to_str() else { continue };
            if entry.file_type() == FileType::Symlink
                && let Some(owner) = self.owner(name)?
                && self.all.find(&owner)?.is_none()
            {
                self.release(name);
            }
        }
        Ok(())
    }

    fn free_name(&self) -> Result<String> {
        let mut tries = 0u32;
        loop {
            let mut name = names::generate()?;
            // There are some thousand names, and may be as many containers.
            if tries > 9 {
                name.push_str(&format!("{tries}"));
            }
            if self.owner(&name)?.is_none() {
                return Ok(name);
            }
            tries += 1;
        }
    }

    /// Gives a container another name.
    pub fn rename(&self, word: &str, name: &str) -> Result<()> {
        validate_name(name)?;
        let _names = self.lock()?;
        let mut entry = self.find(word)?;
        let _lock = entry.reload()?;
        entry.record.is_whole()?;
        if entry.record.name == name {
            return Ok(());
        }
        self.claim(name, &entry.record.id)?;
        let before = core::mem::replace(&mut entry.record.name, name.into());
        if let Err(error) = entry.save() {
            self.release(name);
            return Err(error);
        }
        self.release(&before);
        Ok(())
    }

    /// The container of a full id, a name, or the beginning of an id that no other begins with.
    pub fn find(&self, word: &str) -> Result<Box<Entry>> {
        let missing =
            || Error::new(format_args!("there is no container {word}")).hint("`servin ps -a` lists them all");
        if word.is_empty() || word.starts_with('.') || word.contains('/') {
            return Err(missing());
        }
        let id = match self.owner(word)? {
            Some(id) => id,
            None if word.len() == 64 => word.into(),
            None => {
                let mut found = self.all.ids()?.into_iter().filter(|id| id.starts_with(word));
                match (found.next(), found.next()) {
                    (Some(id), None) => id,
                    (Some(_), Some(_)) => {
                        return Err(Error::new(format_args!(
                            "several containers have ids that begin with {word}: type more of it"
                        )));
                    }
                    _ => return Err(missing()),
                }
            }
        };
        match self.load(&id)? {
            Some(entry) => Ok(entry),
            None => self.sweep(&id).and_then(|()| Err(missing())),
        }
    }

    /// All containers, in the order of their ids. What killed commands have left is cleaned.
    pub fn all(&self) -> Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for id in self.all.ids()? {
            match self.load(&id)? {
                Some(entry) => entries.push(*entry),
                None => self.sweep(&id)?,
            }
        }
        Ok(entries)
    }

    /// Removes what is half made, or half removed, if nobody is at it any more.
    fn sweep(&self, id: &str) -> Result<()> {
        // Whoever makes a container has this lock before he has that of its directory.
        let names = Lock::try_on(&self.all).step(|| format!("lock {}/containers", self.places.home))?;
        if names.is_some()
            && let Some(directory) = self.all.find(id)?
            && let Ok(Some(_lock)) = directory.try_lock()
            && !directory.has(RECORD)
        {
            let _ = remove_files(&directory);
        }
        Ok(())
    }

    /// Shows the records of all containers, with as few system calls as that takes: there may be a thousand.
    pub fn records(&self, see: &mut dyn FnMut(&Record)) -> Result<()> {
        let mut supervised = Supervised::default();
        for id in self.all.ids()? {
            let path = format!("{id}/{RECORD}");
            let record: Option<Record> =
                self.all.read(&path)?.and_then(|text| spec::parse(&text, &path).ok());
            match record {
                Some(record)
                    if !record.state.phase.is_alive() || supervised.holds(self.all.as_fd(), &id)? =>
                {
                    see(&record);
                }
                _ => {
                    if let Some(entry) = self.load(&id)? {
                        see(&entry.record);
                    }
                }
            }
        }
        Ok(())
    }

    /// The container `id`, if there is one; settled, where its supervisor was killed.
    fn load(&self, id: &str) -> Result<Option<Box<Entry>>> {
        let Some(directory) = self.all.find(id)? else { return Ok(None) };
        let Some(record) = Record::load(&directory)? else { return Ok(None) };
        let entry = Box::new(Entry { directory, record });
        match entry.record.state.phase.is_alive() && !entry.is_supervised()? {
            true => self.settle(entry),
            false => Ok(Some(entry)),
        }
    }

    /// The supervisor was killed, and with it the container; or the host went down. Writes that down, and cleans what
    /// is left; `None` where the container was to be removed in the end.
    fn settle(&self, mut entry: Box<Entry>) -> Result<Option<Box<Entry>>> {
        let Ok(_lock) = entry.reload() else { return Ok(None) };
        // The supervisor takes its lock before it writes that the container runs; it may also just have ended.
        if !entry.record.state.phase.is_alive() || entry.is_supervised()? {
            return Ok(Some(entry));
        }
        self.clean_runtime(&entry.record.id)?;
        network::detach(&self.places.network(None), &entry.record.id)?;
        if entry.record.remove {
            self.remove_locked(&entry)?;
            return Ok(None);
        }
        let state = &mut entry.record.state;
        // One that waits for its restart has ended by itself.
        if state.phase != Phase::Restarting {
            state.exit_code = Some(KILLED);
            state.finished = Some(time::now());
        }
        state.phase = Phase::Exited;
        state.pid = None;
        entry.record.attached = None;
        // Where that cannot be written, on a full disk, it is found out again by the next one.
        let _ = entry.save();
        Ok(Some(entry))
    }

    /// Removes what a container that does not run any more has left outside its directory here: processes, cgroup,
    /// published ports, `ROOT/ID`. Its interfaces go later, since nobody need wait for that.
    pub fn clean_runtime(&self, id: &str) -> Result<()> {
        network::unprivileged::end(&self.places.network(None), id);
        network::ports::unpublish(&self.places.root, id)?;
        let Some(directory) = Root::open(&self.places.root)?.map_or(Ok(None), |root| root.find(id))? else {
            return Ok(());
        };
        let _lock = directory.lock()?;
        let container = Container::look(directory)?;
        removal::end(&container)?;
        let state = container.record.state(id, Vec::new());
        removal::clean_up(&container.directory, &container.record, &[], state, None)
    }

    /// Removes a container that does not run. Who calls this holds its lock.
    pub fn remove_locked(&self, entry: &Entry) -> Result<()> {
        self.clean_runtime(&entry.record.id)?;
        let config = entry.directory.read(CONFIG)?;
        // The record first: what is left of a removal that was killed is not taken for a container.
        entry.directory.remove_file(RECORD)?;
        self.give_up(&entry.record.name, &entry.record.id)?;
        entry.directory.remove().or_else(|error| {
            // What a user's container has made for other users of its own is not his.
            let config: spec::Config = spec::parse(config.as_deref().unwrap_or_default(), CONFIG)?;
            let linux = config.linux.as_ref().filter(|linux| linux.uid_mappings.len() > 1).ok_or(error)?;
            let maps = namespaces::id_maps("linux", &linux.uid_mappings, &linux.gid_mappings)?;
            user_namespace::within(&maps, &mut || entry.directory.remove().map(|()| 0)).map(drop)
        })?;
        match entry.record.remove {
            true => self.release_volumes(&entry.record),
            false => Ok(()),
        }
    }

    /// Removes the nameless volumes of a container that was removed, unless another one has them too.
    pub fn release_volumes(&self, record: &Record) -> Result<()> {
        let nameless: Vec<&str> = record
            .mounts
            .iter()
            .filter(|point| point.anonymous)
            .filter_map(|point| point.name.as_deref())
            .gather();
        if nameless.is_empty() {
            return Ok(());
        }
        let (volumes, others) = (Volumes::open(&self.places.home)?, self.all()?);
        nameless
            .iter()
            .filter(|name| !others.iter().any(|other| other.record.has_volume(name)))
            .try_for_each(|name| volumes.remove(name))
    }

    /// The first process of a container, if it runs. The pid in its record may be somebody else's by now.
    pub fn process(&self, id: &str) -> Result<Option<Alive>> {
        let directory = Root::open(&self.places.root)?.map_or(Ok(None), |root| root.find(id))?;
        Ok(directory.map(Container::look).transpose()?.and_then(|container| container.process))
    }

    /// Where what runs is.
    pub fn runtime(&self) -> Result<Root> {
        Root::make(&self.places.root, MOVES_ROOT)
    }
}

impl Entry {
    /// Writes the record. Who calls this holds the lock.
    pub fn save(&self) -> Result<()> {
        self.directory.write(RECORD, &spec::to_json(&self.record))
    }

    /// Takes the lock and reads the record as it is now.
    pub fn reload(&mut self) -> Result<Lock> {
        let lock = self.directory.lock().map_err(|_| self.gone())?;
        self.record = Record::load(&self.directory)?.ok_or_else(|| self.gone())?;
        Ok(lock)
    }

    fn gone(&self) -> Error {
        Error::new(format_args!("the container {} was removed", self.record.name))
    }

    /// Changes the record as it is now.
    pub fn change(&mut self, change: impl FnOnce(&mut Record)) -> Result<()> {
        let _lock = self.reload()?;
        change(&mut self.record);
        self.save()
    }

    /// Whether it has a supervisor.
    pub fn is_supervised(&self) -> Result<bool> {
        Supervised::default().holds(self.directory.all(), self.directory.id())
    }

    /// Becomes its supervisor: the descriptor is the lock. Who calls this holds the container's lock, and has found that
    /// there is none.
    pub fn supervise(&self) -> Result<OwnedFd> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let (name, at) = place_of(self.directory.id());
        let step = || format!("lock {name}");
        let file = open_at(self.directory.all(), &name, flags).step(step)?;
        lock_byte(&file, at).step(step)?;
        Ok(file)
    }
}

/// The file and the byte in it that stand for a container: the first digit of its id, and fifteen more.
fn place_of(id: &str) -> (String, u64) {
    let at = id.get(1..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
    (format!("{SUPERVISED}{}", id.get(..1).unwrap_or_default()), at.unwrap_or_default())
}

/// Says which containers are supervised; keeps the last file open, because those whose ids begin alike are asked for
/// after each other.
#[derive(Default)]
struct Supervised(Option<(String, OwnedFd)>);

impl Supervised {
    fn holds(&mut self, all: BorrowedFd<'_>, id: &str) -> Result<bool> {
        let (name, at) = place_of(id);
        let step = || format!("look whether {name} is locked");
        if self.0.as_ref().is_none_or(|(last, _)| *last != name) {
            match open_at(all, &name, OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC) {
                Err(Errno::NOENT) => return Ok(false),
                file => self.0 = Some((name.clone(), file.step(step)?)),
            }
        }
        self.0.as_ref().map_or(Ok(false), |(_, file)| is_byte_locked(file, at)).step(step)
    }
}

/// Docker's rule.
pub fn validate_name(name: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    match first && name.len() >= 2 && name.len() <= 128 && name.bytes().all(allowed) {
        true => Ok(()),
        false => Err(Error::new(format_args!(
            "--name {name}: a letter or digit, and then letters, digits and _.-; two characters at least"
        ))),
    }
}

/// The twelve digits that are shown of an id.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// 64 hexadecimal digits of randomness, as Docker's.
pub fn new_id() -> Result<String> {
    let mut bytes = [0; 32];
    let flags = rustix::rand::GetRandomFlags::empty();
    rustix::rand::getrandom(&mut bytes[..], flags).step(|| "get random bytes")?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
