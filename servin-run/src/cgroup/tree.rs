//! Making a container's cgroup: its directories, and the controllers enabled downwards to it.
//!
//! A controller is there for a cgroup only if every cgroup above it passes it on (cgroup.subtree_control), which
//! one that has processes of its own may not ("no internal processes", cgroup-v2.rst).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::ops::Deref;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Mode};
use rustix::io::{self, Errno};
use rustix::process::Pid;

use super::file::{self, has_word};
use super::hierarchy::{self, Hierarchy};
use super::limits::Limits;
use super::path::COMMON;
use crate::error::{Error, Result, Step};
use crate::sys::path::{mkdirat, unlinkat};

/// What `statistics` reports and `update` may set later: enabled where that is possible.
const WANTED: &[&str] = &["cpu", "io", "memory", "pids"];

/// The leaf for Servin's own process where it is in the way of its containers.
const ASIDE: &str = "servin-self";

/// A cgroup that exists.
#[derive(Debug)]
pub struct Cgroup {
    path: String,
    directory: OwnedFd,
}

impl Cgroup {
    /// The existing cgroup at `path`, as [`Cgroup::path`] gave it.
    pub fn open(path: &str) -> Result<Cgroup> {
        let step = || format!("open the cgroup {path}");
        let directory = file::open_absolute(path).step(step)?;
        match hierarchy::is_cgroup2(&directory) {
            true => Ok(Cgroup { path: path.to_string(), directory }),
            false => Err(Error::new(format_args!("{path} is not a cgroup of version 2"))),
        }
    }

    /// Its directory's absolute path in the file system.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its directory, for `CLONE_INTO_CGROUP`.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Moves process `pid` into it, for kernels that cannot let it be born there (before Linux 5.7).
    pub fn enter(&self, pid: Pid) -> Result<()> {
        let pid = pid.as_raw_nonzero().get();
        let entered = file::write(&self.directory, "cgroup.procs", &pid.to_string());
        entered.map_err(|errno| {
            let error = Error::os(format_args!("move process {pid} into the cgroup {}", self.path), errno);
            match errno {
                Errno::BUSY => {
                    error.hint("it passes controllers on to cgroups below, so only those may have processes")
                }
                Errno::ACCESS | Errno::PERM => {
                    error.hint("cgroup.procs of both cgroups' common ancestor must be writable")
                }
                _ => error,
            }
        })
    }

    /// The existing cgroup at `path` below it.
    pub fn below(&self, path: &str) -> Result<Cgroup> {
        let path = path.trim_matches('/');
        if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::new(format_args!(
                "\"{path}\" is not the path of a cgroup below the container's"
            )));
        }
        Cgroup::open(&format!("{}/{path}", self.path))
    }

    /// Lets a user of the host make cgroups below it: the directory becomes his, and of the files in it those that the
    /// kernel names as harmless (cgroup-v2.rst, "Model of Delegation"). Limits stay with who has set them.
    pub fn give_to(&self, user: u32) -> Result<()> {
        let owner = rustix::fs::Uid::from_raw(user);
        if owner == rustix::process::geteuid() {
            return Ok(());
        }
        let step = || format!("give the cgroup {} to user {user}", self.path);
        let names = file::read(CWD, "/sys/kernel/cgroup/delegate");
        let names = names.unwrap_or_else(|_| "cgroup.procs cgroup.subtree_control cgroup.threads".into());
        match rustix::fs::fchown(&self.directory, Some(owner), None) {
            // Who is not root keeps it: then the container may not, as if its mount were read-only.
            Err(Errno::PERM) => return Ok(()),
            given => given.step(step)?,
        }
        for name in names.split_ascii_whitespace() {
            match crate::sys::path::chownat(
                &self.directory,
                name,
                Some(owner),
                None,
                AtFlags::SYMLINK_NOFOLLOW,
            ) {
                // Of a controller that is not enabled.
                Err(Errno::NOENT) => {}
                given => given.step(step)?,
            }
        }
        Ok(())
    }

    /// Whether it passes controllers on, so that only those below may have processes.
    pub fn is_inner(&self) -> Result<bool> {
        let enabled = file::read_if_there(&self.directory, "cgroup.subtree_control");
        Ok(!enabled.step(|| format!("read {}/cgroup.subtree_control", self.path))?.trim().is_empty())
    }

    /// A directory that is not proved to be a cgroup.
    #[cfg(test)]
    pub fn of_directory(path: &str) -> Cgroup {
        Cgroup { path: path.into(), directory: file::open_absolute(path).expect("a directory") }
    }
}

/// A new cgroup, which is removed again with all that runs in it, unless it is kept.
#[derive(Debug)]
pub struct Made {
    cgroup: Cgroup,
    undo: Undo,
}

impl Made {
    /// The container runs: from now on the cgroup is its own.
    pub fn keep(mut self) -> Cgroup {
        self.undo.made.clear();
        self.undo.complete.clear();
        self.cgroup
    }
}

impl Deref for Made {
    type Target = Cgroup;

    fn deref(&self) -> &Cgroup {
        &self.cgroup
    }
}

/// Removes what was made. What cannot be removed is still there to be seen: the error that led here is told.
#[derive(Debug, Default)]
struct Undo {
    /// The directories made, from the top.
    made: Vec<String>,
    /// The container's cgroup, once it is there and processes may have been born in it.
    complete: String,
}

impl Drop for Undo {
    fn drop(&mut self) {
        if !self.complete.is_empty()
            && let Ok(cgroup) = Cgroup::open(&self.complete)
        {
            let _ = cgroup.kill();
            let _ = cgroup.remove();
        }
        while let Some(path) = self.made.pop() {
            let _ = unlinkat(CWD, path.as_str(), AtFlags::REMOVEDIR);
        }
    }
}

impl Hierarchy {
    /// Makes the cgroup at `path` (from `path::resolve`), with the controllers that `limits` need. The limits
    /// themselves are still to be applied.
    pub fn create(&self, path: &str, limits: &Limits) -> Result<Made> {
        self.require(&limits.controllers)?;
        let mut attempts = 0;
        loop {
            attempts += 1;
            match self.make(path, limits) {
                // The cgroup above was empty for a moment, and whoever emptied it has removed it.
                Err(error)
                    if matches!(error.errno(), Some(Errno::NOENT | Errno::NODEV))
                        && path.starts_with(COMMON)
                        && attempts < 100 => {}
                made => return made,
            }
        }
    }

    /// Enables the controllers that `limits` need for a cgroup that is there, at `directory` in the file system.
    pub fn enable_for(&self, directory: &str, limits: &Limits) -> Result<()> {
        self.require(&limits.controllers)?;
        let mut here = self.directory("");
        let below = directory.strip_prefix(&here).unwrap_or_default();
        for name in below.split('/').filter(|name| !name.is_empty()) {
            let directory = file::open_absolute(&here).step(|| format!("open {here}"))?;
            enable(&directory, &here, &self.controllers, limits)?;
            here = format!("{here}/{name}");
        }
        Ok(())
    }

    fn make(&self, path: &str, limits: &Limits) -> Result<Made> {
        let mut undo = Undo::default();
        let mut here = self.directory("");
        let mut directory = file::open_absolute(&here).step(|| format!("open {here}"))?;
        let mut found = true;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            enable(&directory, &here, &self.controllers, limits)?;
            here = format!("{here}/{name}");
            match mkdirat(&directory, name, Mode::from_raw_mode(0o755)) {
                Ok(()) => {
                    undo.made.push(here.clone());
                    found = false;
                }
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(not_made(&here, errno)),
            }
            directory = file::open_directory(&directory, name).step(|| format!("open the cgroup {here}"))?;
        }
        let cgroup = Cgroup { path: here, directory };
        let pids = if found { cgroup.pids()? } else { Vec::new() };
        if !pids.is_empty() {
            let error = Error::new(format_args!(
                "the cgroup {} is in use already, by the processes {}",
                cgroup.path,
                Pids(&pids)
            ));
            return Err(error.hint("linux.cgroupsPath must be the container's own"));
        }
        undo.complete.clone_from(&cgroup.path);
        Ok(Made { cgroup, undo })
    }
}

fn not_made(path: &str, errno: Errno) -> Error {
    let error = Error::os(format_args!("make the cgroup {path}"), errno);
    match errno {
        Errno::ACCESS | Errno::PERM | Errno::ROFS => error
            .hint("the hierarchy is not writable here: run as root, or in a cgroup that is delegated to you"),
        Errno::AGAIN => error.hint("cgroup.max.depth or cgroup.max.descendants of a cgroup above is reached"),
        _ => error,
    }
}

/// Lets the cgroup `directory` pass on what the limits need, and what is good to have where that succeeds too.
fn enable(directory: &OwnedFd, path: &str, available: &str, limits: &Limits) -> Result<()> {
    let step = || format!("read {path}/cgroup.subtree_control");
    let enabled = file::read_if_there(directory, "cgroup.subtree_control").step(step)?;
    let mut request = String::new();
    let wanted = WANTED.iter().filter(|name| !limits.controllers.contains(*name));
    for name in limits.controllers.iter().chain(wanted) {
        if has_word(available, name) && !has_word(&enabled, name) {
            request.push_str(if request.is_empty() { "+" } else { " +" });
            request.push_str(name);
        }
    }
    if request.is_empty() {
        return Ok(());
    }
    // The kernel refuses only some of them for a cgroup with processes; with the others (pids, cpu) it becomes the
    // root of a threaded subtree, below which no process of another can be (cgroup-v2.rst, "Threads"). The root has
    // no such rule, and no cgroup.type.
    let pids = numbers(&file::read_if_there(directory, "cgroup.procs").step(step)?);
    let mut busy = !pids.is_empty() && !file::read_if_there(directory, "cgroup.type").step(step)?.is_empty();
    let is_needed = limits.controllers.iter().any(|name| !has_word(&enabled, name));
    if busy && is_needed && pids.iter().all(|pid| *pid == rustix::process::getpid()) {
        step_aside(directory, path)?;
        busy = false;
    }
    if !busy && file::write(directory, "cgroup.subtree_control", &request).is_ok() {
        return Ok(());
    }
    for name in &limits.controllers {
        if !has_word(&enabled, name) {
            let written = match busy {
                true => Err(Errno::BUSY),
                false => file::write(directory, "cgroup.subtree_control", &format!("+{name}")),
            };
            written.map_err(|errno| not_enabled(directory, path, name, errno))?;
        }
    }
    Ok(())
}

/// Nobody but us is in the way, as in a service that is Servin alone: we go on in a leaf. It stays with the cgroup above,
/// whoever owns that.
fn step_aside(directory: &OwnedFd, path: &str) -> Result<()> {
    match mkdirat(directory, ASIDE, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(errno) => return Err(not_made(&format!("{path}/{ASIDE}"), errno)),
    }
    // "0" is whoever writes.
    let moved = file::write(directory, &format!("{ASIDE}/cgroup.procs"), "0");
    moved.step(|| format!("move servin itself into the cgroup {path}/{ASIDE}"))
}

fn not_enabled(directory: &OwnedFd, path: &str, controller: &str, errno: Errno) -> Error {
    let error = Error::os(format_args!("enable the {controller} controller below the cgroup {path}"), errno);
    match errno {
        Errno::BUSY => {
            let pids = numbers(&file::read(directory, "cgroup.procs").unwrap_or_default());
            error.hint(format!(
                "it has processes of its own ({}), and such a cgroup may not pass controllers on: move them into a cgroup below it, or choose another linux.cgroupsPath",
                Pids(&pids)
            ))
        }
        Errno::NOENT | Errno::NODEV => {
            error.hint("a cgroup above does not pass it on (cgroup.subtree_control)")
        }
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            error.hint("the cgroup is not writable here: run as root, or let it be delegated to you")
        }
        _ => error,
    }
}

/// The processes that a file such as cgroup.procs lists. One of another PID namespace is shown as 0: it is left out.
pub fn numbers(text: &str) -> Vec<Pid> {
    let mut pids = Vec::new();
    for line in text.lines() {
        pids.extend(line.trim().parse().ok().and_then(Pid::from_raw));
    }
    pids
}

/// Some pids in words, not too many.
pub struct Pids<'a>(pub &'a [Pid]);

impl core::fmt::Display for Pids<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (index, pid) in self.0.iter().enumerate() {
            if index == 8 {
                return f.write_str(", …");
            }
            f.write_str(if index == 0 { "" } else { ", " })?;
            write!(f, "{}", pid.as_raw_nonzero())?;
        }
        Ok(())
    }
}

impl Cgroup {
    /// Its name, and the cgroup above it.
    pub(super) fn parent(&self) -> io::Result<(OwnedFd, &str)> {
        let (parent, name) = self.path.rsplit_once('/').ok_or(Errno::INVAL)?;
        Ok((file::open_absolute(parent)?, name))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A directory tree with plain files that stands for a hierarchy, removed with the value.
    pub struct Fake(pub PathBuf);

    impl Fake {
        pub fn new(name: &str) -> Fake {
            let path = std::env::temp_dir().join(format!("servin-cgroup-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a scratch directory");
            Fake(path)
        }

        pub fn path(&self) -> &str {
            self.0.to_str().expect("UTF-8")
        }

        pub fn write(&self, file: &str, text: &str) {
            let path = self.0.join(file);
            std::fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
            std::fs::write(path, text).expect("written");
        }

        pub fn read(&self, file: &str) -> String {
            std::fs::read_to_string(self.0.join(file)).expect("readable")
        }

        pub fn cgroup(&self) -> Cgroup {
            Cgroup::of_directory(self.path())
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn hierarchy(fake: &Fake) -> Hierarchy {
        Hierarchy {
            mount: fake.path().into(),
            controllers: "cpu memory hugetlb".into(),
            ..Hierarchy::default()
        }
    }

    #[test]
    fn what_was_made_is_removed_unless_it_is_kept() {
        let fake = Fake::new("guard");
        fake.write("old/cgroup.subtree_control", "memory cpu");
        fake.write("cgroup.subtree_control", "");
        let limits = Limits { controllers: vec!["hugetlb", "memory"], ..Limits::default() };
        // Nothing fills a new directory of a fake.
        let error = hierarchy(&fake).create("/old/new/box", &limits).expect_err("no file").to_string();
        assert!(error.starts_with("enable the hugetlb controller below the cgroup "), "{error}");
        assert!(!fake.0.join("old/new").exists() && fake.0.join("old").exists());
        assert_eq!(fake.read("cgroup.subtree_control"), "+hugetlb +memory +cpu");
        assert!(fake.read("old/cgroup.subtree_control").starts_with("+hugetlb"));
    }

    #[test]
    fn a_cgroup_in_use_is_refused_with_its_processes() {
        let fake = Fake::new("used");
        fake.write("box/cgroup.procs", "7\n0\n12\n");
        let error = hierarchy(&fake).create("/box", &Limits::default()).expect_err("refused").to_string();
        assert!(error.contains("/box is in use already, by the processes 7, 12:"), "{error}");
        let missing = Limits { controllers: vec!["pids"], ..Limits::default() };
        let error = hierarchy(&fake).create("/new", &missing).expect_err("refused").to_string();
        assert!(error.contains("no pids controller") && !fake.0.join("new").exists(), "{error}");
    }

    #[test]
    fn who_is_alone_in_the_way_steps_aside() {
        let fake = Fake::new("aside");
        let own = std::process::id().to_string();
        for (processes, aside) in [(format!("{own}\n"), true), (format!("{own}\n1\n"), false)] {
            fake.write("cgroup.type", "domain\n");
            fake.write("cgroup.procs", &processes);
            fake.write("cgroup.subtree_control", "");
            fake.write("servin-self/cgroup.procs", "");
            let limits = Limits { controllers: vec!["memory"], ..Limits::default() };
            let made = hierarchy(&fake).create("/box", &limits).map(|made| made.path().to_string());
            assert_eq!(fake.read("servin-self/cgroup.procs"), if aside { "0" } else { "" });
            match made {
                Ok(path) => assert!(aside && path.ends_with("/box")),
                Err(error) => {
                    assert!(!aside && error.to_string().contains(&format!("({own}, 1)")), "{error}")
                }
            }
        }
    }

    #[test]
    fn only_a_cgroup_is_opened_and_an_empty_one_kept() {
        let fake = Fake::new("kept");
        assert!(Cgroup::open(fake.path()).expect_err("refused").to_string().contains("is not a cgroup"));
        fake.write("box/cgroup.procs", "");
        let made = hierarchy(&fake).create("/box", &Limits::default()).expect("made");
        let cgroup = made.keep();
        assert_eq!(cgroup.path(), format!("{}/box", fake.path()));
        cgroup.enter(Pid::from_raw(77).expect("a pid")).expect("written");
        assert_eq!(fake.read("box/cgroup.procs"), "77");
    }
}
