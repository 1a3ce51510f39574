//! What must be the same after a test as before it: mounts, processes, interfaces, names, descriptors, state.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::alone::{HOME, STATE};
use crate::{cgroup, run, sys};

/// The host as the test sees it.
#[derive(PartialEq, Debug)]
pub(crate) struct Snapshot {
    mounts: BTreeSet<String>,
    processes: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    names: Vec<String>,
    descriptors: BTreeSet<String>,
    state: BTreeSet<String>,
    cgroups: BTreeSet<String>,
}

impl Snapshot {
    pub(crate) fn take() -> Self {
        sys::reap();
        Snapshot {
            mounts: lines("/proc/self/mountinfo"),
            processes: processes(),
            interfaces: lines("/proc/net/dev")
                .iter()
                .filter_map(|line| Some(line.split_once(':')?.0.trim().to_string()))
                .collect(),
            names: ["hostname", "domainname"]
                .map(|name| fs::read_to_string(format!("/proc/sys/kernel/{name}")).unwrap_or_default())
                .to_vec(),
            descriptors: descriptors(),
            cgroups: cgroup::names(),
            state: [STATE, HOME]
                .iter()
                .flat_map(|place| names_below(Path::new(place)))
                .filter(|name| is_state(name))
                .collect(),
        }
    }

    /// Panics with what is new and what is gone. What ends by itself gets a moment to do so.
    pub(crate) fn compare(&self) {
        let mut after = Snapshot::take();
        for _ in 0..40 {
            if after == *self {
                return;
            }
            std::thread::sleep(run::within(Duration::from_millis(50)));
            after = Snapshot::take();
        }
        let difference = |kind: &str, before: &BTreeSet<String>, after: &BTreeSet<String>| {
            let left = after.difference(before).map(|line| format!("  left behind {kind}: {line}\n"));
            let gone = before.difference(after).map(|line| format!("  gone {kind}: {line}\n"));
            left.chain(gone).collect::<String>()
        };
        panic!(
            "the test changed what is not its own:\n{}{}{}{}{}{}{}",
            difference("mount", &self.mounts, &after.mounts),
            difference("process", &self.processes, &after.processes),
            difference("interface", &self.interfaces, &after.interfaces),
            difference("descriptor", &self.descriptors, &after.descriptors),
            difference("state", &self.state, &after.state),
            difference("cgroup", &self.cgroups, &after.cgroups),
            if self.names == after.names { String::new() } else { format!("  names: {:?}\n", after.names) },
        );
    }
}

fn lines(path: &str) -> BTreeSet<String> {
    fs::read_to_string(path).unwrap_or_default().lines().map(str::to_string).collect()
}

fn names(path: &str) -> Vec<String> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every process of the test's PID namespace but the test, with its command line.
fn processes() -> BTreeSet<String> {
    let numbers = names("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok_and(|pid| pid > 1));
    numbers
        .filter_map(|pid| {
            let line = fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?;
            Some(format!("{pid} {}", line.replace('\0', " ")))
        })
        .collect()
}

/// The test's own descriptors; the one that lists them is gone when it is asked where it points to.
fn descriptors() -> BTreeSet<String> {
    let numbers = names("/proc/self/fd");
    numbers
        .iter()
        .filter_map(|fd| {
            Some(format!("{fd} {}", fs::read_link(format!("/proc/self/fd/{fd}")).ok()?.display()))
        })
        .collect()
}

/// Folders and locks stay when there is nothing in them, and the default network once it was used.
fn is_state(name: &str) -> bool {
    const STAYS: [&str; 7] = [
        "containers",
        "containers/.names",
        "networks",
        "networks/bridge.json",
        ".networks",
        ".networks/.lock",
        ".networks/ports",
    ];
    let below = [HOME, STATE].iter().find_map(|place| name.strip_prefix(place)?.strip_prefix('/'));
    !below.is_some_and(|name| STAYS.contains(&name) || name.starts_with("containers/.supervised-"))
}

fn names_below(directory: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        found.insert(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.append(&mut names_below(&entry.path()));
        }
    }
    found
}
