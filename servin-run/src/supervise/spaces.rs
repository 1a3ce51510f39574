//! Whose namespaces a container shares: those of the containers that `--pid`, `--ipc` and `--network` name, as they run
//! now. The configuration has the pids of when it was made.

use alloc::format;

use crate::container::people::{Record, Store};
use crate::error::{Error, Result};
use crate::spec::{self, NamespaceKind};

/// The process whose namespace is shared for `flag`.
pub fn process(store: &Store, flag: &str, owner: &str) -> Result<i32> {
    let owner = &store.find(owner).map_err(|error| error.within(format_args!("--{flag} container")))?.record;
    match store.process(&owner.id)? {
        Some(process) => Ok(process.pid.as_raw_nonzero().get()),
        None => Err(Error::new(format_args!("--{flag} container: {} does not run", owner.name))
            .hint(format!("`servin start {}` changes that", owner.name))),
    }
}

/// Puts the processes of now into the configuration; whether that has changed it.
pub fn renew(store: &Store, record: &Record, config: &mut spec::Config) -> Result<bool> {
    for (flag, owner) in &record.shared {
        let pid = process(store, flag, owner)?;
        let kind = match flag.as_str() {
            "pid" => NamespaceKind::Pid,
            _ => NamespaceKind::Ipc,
        };
        let namespaces = config.linux.iter_mut().flat_map(|linux| &mut linux.namespaces);
        for namespace in namespaces.filter(|namespace| namespace.kind == kind) {
            namespace.path = Some(format!("/proc/{pid}/ns/{flag}"));
        }
        // The shared memory is mounted from there.
        let memory = |mount: &&mut spec::Mount| mount.destination == "/dev/shm" && mount.subpath.is_some();
        for mount in config.mounts.iter_mut().filter(memory).filter(|_| kind == NamespaceKind::Ipc) {
            mount.source = Some(format!("/proc/{pid}/root"));
        }
    }
    Ok(!record.shared.is_empty())
}
