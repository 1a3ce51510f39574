//! What is kept of networks: their definitions in HOME/networks, and in ROOT/.networks, which a new start of the host
//! empties, one record for each container that is in one. The records are the leases: an address is taken if and
//! only if a record has it.
//!
//! Whoever reads to decide, or changes anything, holds the lock, which the kernel takes back from whoever is killed.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, flock};
use rustix::io::{self, Errno};

use super::definition::Definition;
use super::subnet::{Address, Subnet};
use crate::error::{Error, Result, Step};
use crate::fs::read_to_end;
use crate::fs::whole::write_whole;
use crate::order;
use crate::spec;
use crate::spec::json::object;
use crate::sys::path::{mkdirat, openat, stat, unlinkat};

/// Where things are, and who is told what is remarkable.
#[derive(Clone, Copy)]
pub struct Places<'a> {
    /// What is kept (`--home`).
    pub home: &'a str,
    /// What runs (`--root`).
    pub root: &'a str,
    /// Hears warnings.
    pub warn: Option<&'a dyn Fn(&str)>,
}

impl Places<'_> {
    /// Says something remarkable.
    pub fn say(&self, text: &str) {
        if let Some(warn) = self.warn {
            warn(text);
        }
    }

    /// A file of a container's bundle.
    pub fn file(&self, id: &str, name: &str) -> String {
        format!("{}/containers/{id}/{name}", self.home)
    }
}

object! {
    /// A container that is in networks.
    pub struct Record {
        /// Its id.
        "id" => id: String,
        /// Its name.
        "name" => name: String,
        /// Its process.
        "pid" => pid: i32,
        /// The number of its network namespace, by which a pid that means another process by now is found out.
        "namespace" => namespace: u64,
        /// Its own names.
        "hostnames" => hostnames: String,
        /// Its hosts file, if it has one of its own, up to its own names and those of the other containers.
        "hosts" => hosts: Option<String>,
        /// Where it is connected.
        "endpoints" => endpoints: Vec<Endpoint>,
    }

    /// A container's place in a network.
    pub struct Endpoint {
        /// The network's name.
        "network" => network: String,
        /// The interface inside.
        "interface" => interface: String,
        /// The other end of the wire, if there is a wire.
        "hostInterface" => host_interface: Option<String>,
        /// The bridge at which that ends.
        "bridge" => bridge: Option<String>,
        /// The hardware address inside.
        "mac" => mac: Option<String>,
        /// Its addresses.
        "addresses" => addresses: Vec<Assigned>,
        /// Other names that it has there.
        "aliases" => aliases: Vec<String>,
    }

    /// An address of a container.
    pub struct Assigned {
        /// The address.
        "address" => address: Address,
        /// The block that it is from.
        "subnet" => subnet: Subnet,
        /// The way out.
        "gateway" => gateway: Option<Address>,
    }
}

impl Record {
    /// Whether its process still has the namespace.
    pub fn lives(&self) -> bool {
        namespace_of(self.pid).is_some_and(|namespace| namespace == self.namespace)
    }

    /// Whether it is in the network.
    pub fn is_in(&self, network: &str) -> bool {
        self.endpoints.iter().any(|endpoint| endpoint.network == network)
    }
}

/// The number of a process's network namespace.
pub fn namespace_of(pid: i32) -> Option<u64> {
    stat(format!("/proc/{pid}/ns/net")).ok().map(|found| found.st_ino)
}

/// Both directories, locked.
pub struct State {
    networks: OwnedFd,
    records: OwnedFd,
    lock: OwnedFd,
}

impl Drop for State {
    fn drop(&mut self) {
        // Whoever was cloned meanwhile has the descriptor too.
        let _ = flock(&self.lock, FlockOperation::Unlock);
    }
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Opens a directory, making what is missing.
fn directory(path: &str) -> Result<OwnedFd> {
    let step = || format!("make the directory {path}");
    match openat(CWD, path, DIRECTORY, Mode::empty()) {
        Err(Errno::NOENT) => {}
        other => return other.step(step),
    }
    let ends = path.match_indices('/').map(|(end, _)| end).filter(|end| *end > 0);
    for end in ends.chain([path.len()]) {
        match mkdirat(CWD, path.get(..end).unwrap_or_default(), Mode::RWXU) {
            Err(Errno::EXIST) => {}
            other => other.step(step)?,
        }
    }
    openat(CWD, path, DIRECTORY, Mode::empty()).step(step)
}

/// The text of a file; `None` where there is none.
fn read(directory: &OwnedFd, name: &str) -> Result<Option<String>> {
    let step = || format!("read {name}");
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => file.step(step)?,
    };
    let bytes = read_to_end(&file).step(step)?;
    String::from_utf8(bytes).map(Some).map_err(|_| Error::new(format_args!("{name}: not UTF-8")))
}

/// The names of a directory's files, without `.json`, sorted.
fn names(directory: &OwnedFd) -> Result<Vec<String>> {
    let step = || "list the networks";
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).step(step)? {
        let entry = entry.step(step)?;
        let name = entry.file_name().to_str().ok().filter(|name| !name.starts_with('.'));
        names.extend(name.and_then(|name| name.strip_suffix(".json")).map(String::from));
    }
    order::sort(&mut names);
    Ok(names)
}

fn remove(directory: &OwnedFd, name: &str) -> Result<()> {
    match unlinkat(directory, format!("{name}.json"), AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other.step(|| format!("remove {name}.json")),
    }
}

impl State {
    /// Waits for the lock.
    pub fn lock(places: &Places) -> Result<State> {
        let networks = directory(&format!("{}/networks", places.home))
            .map_err(|error| error.hint("--home DIR or SERVIN_HOME moves it"))?;
        let records = directory(&format!("{}/.networks", places.root))
            .map_err(|error| error.hint("--root DIR or SERVIN_ROOT moves it"))?;
        let step = || format!("lock {}/.networks", places.root);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let lock = openat(&records, c".lock", flags, Mode::RUSR | Mode::WUSR).step(step)?;
        io::retry_on_intr(|| flock(&lock, FlockOperation::LockExclusive)).step(step)?;
        Ok(State { networks, records, lock })
    }

    /// All networks there are, but for the default one while nobody has used it.
    pub fn definitions(&self) -> Result<Vec<Definition>> {
        let mut all = Vec::new();
        for name in names(&self.networks)? {
            all.extend(self.definition(&name)?);
        }
        Ok(all)
    }

    /// A network by its name.
    pub fn definition(&self, name: &str) -> Result<Option<Definition>> {
        let file = format!("{name}.json");
        match name.contains('/') || name.starts_with('.') {
            true => Ok(None),
            false => read(&self.networks, &file)?.map(|text| spec::parse(&text, &file)).transpose(),
        }
    }

    /// When a network was made: when its file was last written.
    pub fn made_at(&self, name: &str) -> i64 {
        let found =
            crate::sys::path::statat(&self.networks, format!("{name}.json"), AtFlags::SYMLINK_NOFOLLOW);
        found.map_or(0, |found| found.st_mtime)
    }

    /// A network by its name, or by its id or the beginning of that.
    pub fn find(&self, what: &str) -> Result<Definition> {
        if let Some(found) = self.definition(what)? {
            return Ok(found);
        }
        let mut all = self.definitions()?;
        all.retain(|definition| what.len() >= 3 && definition.id.starts_with(what));
        match (all.pop(), all.is_empty()) {
            (Some(found), true) => Ok(found),
            (Some(_), false) => {
                Err(Error::new(format_args!("several networks have ids that begin with {what}")))
            }
            (None, _) => Err(Error::new(format_args!("there is no network {what}"))
                .hint("`servin network ls` lists them, `servin network create` makes one")),
        }
    }

    /// Keeps a network.
    pub fn save_definition(&self, definition: &Definition) -> Result<()> {
        let name = format!("{}.json", definition.name);
        write_whole(self.networks.as_fd(), &name, &spec::to_json(definition), 0o600)
            .step(|| format!("write networks/{name}"))
    }

    /// Forgets a network.
    pub fn remove_definition(&self, name: &str) -> Result<()> {
        remove(&self.networks, name)
    }

    /// All records. One that cannot be read is an error: its addresses would be given out again.
    pub fn records(&self) -> Result<Vec<Record>> {
        let mut all = Vec::new();
        for id in names(&self.records)? {
            all.extend(self.record(&id)?);
        }
        Ok(all)
    }

    /// A container's record, if it is in any network.
    pub fn record(&self, id: &str) -> Result<Option<Record>> {
        let file = format!("{id}.json");
        read(&self.records, &file)?.map(|text| spec::parse(&text, &file)).transpose()
    }

    /// Keeps a record, and so its leases.
    pub fn save(&self, record: &Record) -> Result<()> {
        let name = format!("{}.json", record.id);
        write_whole(self.records.as_fd(), &name, &spec::to_json(record), 0o600)
            .step(|| format!("write .networks/{name}"))
    }

    /// Gives a container's leases back.
    pub fn remove(&self, id: &str) -> Result<()> {
        remove(&self.records, id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_namespace() {
        let own = rustix::process::getpid().as_raw_nonzero().get();
        let namespace = namespace_of(own).expect("ours");
        let record = Record { pid: own, namespace, ..Record::default() };
        assert!(record.lives());
        assert!(!Record { namespace: namespace + 1, ..record.clone() }.lives());
        assert!(!Record { pid: i32::MAX, ..record }.lives());
    }
}
