//! A cgroup of each test's own: the root of its cgroup namespace, so that what it makes is below that and can be
//! seen to be gone. The test itself is in a leaf, because a cgroup with processes passes no controllers on.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::run;

/// The cgroup of all tests.
const ALL: &str = "servin-tests";
/// The leaf with the test's own process.
const LEAF: &str = "test";

/// Where the unified hierarchy is mounted, if it is.
pub fn cgroup_mount() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    mounts.lines().rev().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let unified = after.split(' ').next() == Some("cgroup2");
        before.split(' ').nth(4).filter(|_| unified).map(PathBuf::from)
    })
}

/// The cgroup of one test, from outside; removed with the value.
pub(crate) struct Outside(PathBuf);

impl Outside {
    /// Makes it; none on a host without cgroup v2.
    pub(crate) fn make(name: &str) -> Option<Outside> {
        let mount = cgroup_mount()?;
        let controllers = fs::read_to_string(mount.join("cgroup.controllers")).ok()?;
        let all = mount.join(ALL);
        let own = all.join(format!("{}-{name}", std::process::id()));
        fs::create_dir_all(own.join(LEAF)).expect("make the test's cgroup");
        for above in [&mount, &all] {
            for controller in controllers.split_whitespace() {
                // Some cannot be had (cpu with real-time processes); tests that need one say so.
                let _ = fs::write(above.join("cgroup.subtree_control"), format!("+{controller}"));
            }
        }
        Some(Outside(own))
    }

    /// The files through which a process enters it, and then the leaf.
    pub(crate) fn entrances(&self) -> [CString; 2] {
        [self.0.join("cgroup.procs"), self.0.join(LEAF).join("cgroup.procs")]
            .map(|path| CString::new(path.as_os_str().as_bytes()).expect("no zero byte in a path"))
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        let _ = fs::write(self.0.join("cgroup.kill"), "1");
        let end = Instant::now() + run::within(Duration::from_secs(5));
        while fs::metadata(&self.0).is_ok() && Instant::now() < end {
            for path in below(&self.0).iter().rev() {
                let _ = fs::remove_dir(path);
            }
            let _ = fs::remove_dir(&self.0);
            std::thread::sleep(Duration::from_millis(1));
        }
        // With the last test.
        if let Some(all) = self.0.parent() {
            let _ = fs::remove_dir(all);
        }
    }
}

/// All cgroups that the test can see but its own leaf.
pub(crate) fn names() -> BTreeSet<String> {
    let Some(mount) = cgroup_mount() else { return BTreeSet::new() };
    let paths = below(&mount).into_iter().filter(|path| !path.ends_with(LEAF));
    paths.map(|path| path.display().to_string()).collect()
}

/// The directories below `path`, each before what is in it.
fn below(path: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
            found.append(&mut below(&entry.path()));
        }
    }
    found
}

/// Whether the test's cgroup can have this controller.
pub fn has_controller(name: &str) -> bool {
    let controllers =
        cgroup_mount().and_then(|mount| fs::read_to_string(mount.join("cgroup.controllers")).ok());
    controllers.is_some_and(|text| text.split_whitespace().any(|word| word == name))
}
