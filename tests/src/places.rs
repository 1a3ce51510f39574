//! Where the programs, the fixtures and a test's own files are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// A test's own files: a tmpfs that only the test's mount namespace has, and that ends with it.
pub const SCRATCH: &str = "/tmp/servin-tests";

/// What stands for the host in attacks: made anew for each test, and unchanged at its end.
pub const VICTIM: &str = rootfs_fixtures::hostile::VICTIM;

fn place(variable: &str, default: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| rootfs_fixtures::probe::workspace().join(default), PathBuf::from)
}

/// The runtime under a name that speaks the OCI command line.
pub fn servin_run() -> PathBuf {
    place("SERVIN_RUN", "target/dist/servin-run")
}

/// The runtime under the name that speaks to people.
pub fn servin_program() -> PathBuf {
    place("SERVIN", "target/dist/servin")
}

/// PID 1 as a program of its own.
pub fn servin_init() -> PathBuf {
    place("SERVIN_INIT", "target/dist/servin-init")
}

/// A root file system of the fixtures; not to be written to.
pub fn fixture(root: &str) -> PathBuf {
    place("SERVIN_FIXTURES", "target/fixtures").join("roots").join(root)
}

/// The probe on the host's side.
pub fn probe() -> PathBuf {
    place("SERVIN_FIXTURES", "target/fixtures").join("probe")
}

/// The Debian root, where it was made (`rootfs-fixtures make --debian`).
pub fn debian_root() -> Option<PathBuf> {
    Some(fixture("debian")).filter(|root| root.join("usr/bin/apt").exists())
}

/// A new path below [`SCRATCH`], its directories made.
pub fn scratch(name: &str) -> PathBuf {
    let place = Path::new(SCRATCH).join(name);
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder).expect("make a directory in the test's own tmpfs");
    }
    place
}
