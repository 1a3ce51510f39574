//! Every test alone: a process of its own, as PID 1 of a PID namespace (so that nothing it starts outlives it, and
//! every orphan is its child), with mount, network, IPC and UTS namespaces of its own.

use std::any::type_name;
use std::fmt::Display;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::cgroup::{Outside, cgroup_mount};
use crate::leaks::Snapshot;
use crate::places::{SCRATCH, VICTIM};
use crate::{run, sys};

/// Names the test that this process was started for.
const ALONE: &str = "SERVIN_TEST_ALONE";

/// The container state of a test.
pub(crate) const STATE: &str = "/tmp/servin-tests/state";
/// The images and caches of a test.
pub(crate) const HOME: &str = "/tmp/servin-tests/home";

/// Runs a test by itself; fails it when it left anything behind, or touched what stands for the host.
pub fn alone<Test: FnOnce()>(test: Test) {
    // `the_tests_name::{{closure}}`, after the crate's name: std has no other word for the running function.
    let path = type_name::<Test>();
    let name = path.split_once("::").map_or(path, |(_, rest)| rest).trim_end_matches("::{{closure}}");
    match std::env::var(ALONE) {
        Ok(inside) if inside == name => within(test),
        _ => start(name),
    }
}

/// The outer half: this same program again, for one test.
fn start(name: &str) {
    fs::create_dir_all(SCRATCH).expect("make the place for the tests' files");
    let mut own = Command::new(std::env::current_exe().expect("find the running program"));
    own.args([name, "--exact", "--nocapture", "--test-threads=1"]);
    own.env(ALONE, name).env("SERVIN_ROOT", STATE).env("SERVIN_HOME", HOME).env_remove("RUST_BACKTRACE");
    own.stdin(Stdio::null()).current_dir("/");
    let cgroup = Outside::make(name);
    sys::give_own_namespaces(&mut own, cgroup.as_ref().map(Outside::entrances));
    let (code, output) = run::collected(own);
    drop(cgroup);
    // Past libtest's capture: who reads a passing run sees what it did not test.
    // libtest leaves the line that it began open, inside and out: `test NAME ... SKIPPED: NAME: why`.
    for skipped in output.lines().filter_map(|line| Some(&line[line.find("SKIPPED: ")?..])) {
        let _ = writeln!(std::io::stdout(), "\n{skipped}");
    }
    assert!(code == Some(0), "{name}, by itself, ended with {code:?}:\n{output}");
}

/// The inner half: makes the namespaces one's own, runs the test, looks at what it left.
fn within(test: impl FnOnce()) {
    sys::make_private();
    sys::file_system("proc", "proc", "/proc", "").expect("mount a proc of the test's own PID namespace");
    sys::tmpfs(SCRATCH).expect("mount the test's own tmpfs");
    if let Some(place) = cgroup_mount() {
        let place = place.to_str().expect("UTF-8");
        sys::unmount(place).expect("unmount the host's cgroups");
        sys::file_system("cgroup2", "cgroup2", place, "").expect("mount the test's own cgroups");
    }
    sys::stay_in_scratch();
    arm_victim();
    let before = Snapshot::take();
    test();
    before.compare();
    assert_eq!(
        victim(),
        VICTIMS.map(|(name, content)| (name.to_string(), content.to_string())),
        "the host was touched"
    );
}

/// What the attacks want to change, and what must still be there afterwards.
const VICTIMS: [(&str, &str); 2] =
    [("marker", "untouched"), ("passwd", "app:x:0:0::/:/bin/sh\nhostonly:x:0:0::/:/bin/sh\n")];

fn arm_victim() {
    fs::create_dir(VICTIM).expect("make the victim");
    for (name, content) in VICTIMS {
        fs::write(format!("{VICTIM}/{name}"), content).expect("write the victim's files");
    }
}

fn victim() -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(VICTIM)
        .expect("list the victim")
        .map(|entry| {
            let entry = entry.expect("list the victim");
            let content = fs::read_to_string(entry.path()).unwrap_or_else(|error| error.to_string());
            (entry.file_name().to_string_lossy().into_owned(), content)
        })
        .collect();
    found.sort();
    found
}

/// Runs a test in the machine's own namespaces, one such test at a time: for what a service of the machine must see.
/// The machine is one that is thrown away, and says by SERVIN_ROOT where containers are kept.
pub fn beside_the_host<Test: FnOnce()>(test: Test) {
    static ONE: Mutex<()> = Mutex::new(());
    let _held = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    assert!(std::env::var_os("SERVIN_ROOT").is_some(), "this test is for a machine of its own");
    sys::adopt_orphans();
    test();
}

/// Takes away what Servin keeps on purpose (the root made of the host's programs), so that the rest can be compared.
pub fn forget_home() {
    let _ = fs::remove_dir_all(HOME);
}

/// The capabilities that the test itself has, by name.
pub fn own_capabilities() -> Vec<String> {
    let mut probe = Command::new(crate::probe());
    probe.arg("report");
    let seen = crate::start(probe).finish().report();
    let names = seen["capabilities"]["bounding"].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_string)).collect()
}

/// Makes the test's mounts a peer group of their own, for tests of propagation.
pub fn make_shared(place: &str) {
    sys::propagation(place, libc::MS_SHARED).expect("make a mount shared");
}

/// Undoes [`make_shared`].
pub fn make_private_again(place: &str) {
    sys::propagation(place, libc::MS_PRIVATE).expect("make a mount private");
}

/// Says that a test was skipped; see [`crate::skip`].
pub fn skipped(why: impl Display) {
    eprintln!("SKIPPED: {}: {why}", std::env::var(ALONE).unwrap_or_default());
}
