//! The systemd driver: a container's cgroup is that of a transient scope, so that systemd knows of it, and writes the
//! limits that it has words for again whenever it sets its tree up anew. systemd hands the cgroup over (Delegate=):
//! what it has no words for, the program about devices too, is written there as without systemd.
//!
//! Its manager is asked over D-Bus (org.freedesktop.systemd1(5)), spoken directly on one of its sockets.

mod connection;
mod properties;
pub mod wire;

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use rustix::process::Pid;

use self::connection::Connection;
use self::wire::{Body, Value};
use super::Limits;
use super::hierarchy::Hierarchy;
use crate::error::{Error, Result};

/// The slice of containers that were not told another.
const SLICES: [&str; 2] = ["system.slice", "user.slice"];

/// The manager's object.
const MANAGER: (&str, &str) = ("/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager");

/// The scope of one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// `machine.slice`, in which it is,
    pub slice: String,
    /// and its own name, which ends in `.scope`.
    pub name: String,
}

impl Unit {
    /// From `linux.cgroupsPath` as engines write it for this driver: `slice:prefix:name`.
    pub fn resolve(configured: Option<&str>, id: &str, of_user: bool) -> Result<Unit> {
        let path = configured.unwrap_or_default();
        let refused =
            |why: &str| Error::new(format_args!("linux.cgroupsPath: \"{path}\" {why} (systemd driver)"));
        let mut parts = if path.is_empty() { "::".split(':') } else { path.split(':') };
        let (Some(slice), Some(prefix), Some(name), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(refused("is not of the form slice:prefix:name"));
        };
        let prefix = if path.is_empty() { "servin" } else { prefix };
        let name = if name.is_empty() { id } else { name };
        let slice = if slice.is_empty() { SLICES[usize::from(of_user)] } else { slice };
        if path_of(slice).is_none() {
            return Err(refused("does not begin with the name of a slice, such as machine.slice"));
        }
        let name = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        // systemd.unit(5): the characters of names, and how many of them.
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":-_.\\".contains(&byte);
        if name.len() > 255 || !name.bytes().all(allowed) {
            return Err(refused("does not make the name of a unit: letters, digits and :-_. are allowed"));
        }
        Ok(Unit { slice: slice.to_string(), name })
    }

    /// The path of its cgroup below that of the manager.
    pub fn path(&self) -> String {
        format!("{}/{}", path_of(&self.slice).unwrap_or_default(), self.name)
    }
}

/// The path of a slice: `a-b.slice` is in `a.slice` (systemd.slice(5)).
fn path_of(slice: &str) -> Option<String> {
    let name = slice.strip_suffix(".slice")?;
    if name == "-" {
        return Some(String::new());
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b":_.\\".contains(&byte);
    let (mut path, mut so_far) = (String::new(), String::new());
    for part in name.split('-') {
        if part.is_empty() || !part.bytes().all(allowed) {
            return None;
        }
        so_far = if so_far.is_empty() { part.to_string() } else { format!("{so_far}-{part}") };
        path = format!("{path}/{so_far}.slice");
    }
    Some(path)
}

/// A manager, of the system or of one user.
pub struct Manager(Connection);

impl Manager {
    /// Whoever answers first at one of `addresses`, paths of sockets.
    pub fn connect(addresses: &[String]) -> Result<Manager> {
        let mut failed = Error::new("there is no systemd to ask: nobody says where it is");
        for address in addresses {
            match Connection::open(address) {
                Ok(connection) => return Ok(Manager(connection)),
                Err(error) => failed = error,
            }
        }
        Err(failed.hint("--cgroup-manager cgroupfs does without systemd"))
    }

    /// Where it was reached.
    pub fn address(&self) -> &str {
        self.0.address()
    }

    /// The path of its own cgroup, below which all its units are; empty for the root.
    pub fn cgroup(&mut self) -> Result<String> {
        let mut body = Body::new();
        body.text(MANAGER.1);
        body.text("ControlGroup");
        let (object, interface) = (MANAGER.0, "org.freedesktop.DBus.Properties");
        let answer = self.0.call(object, interface, "Get", "ss", body)?;
        let path = answer.reader().variant_text();
        path.map(|path| path.trim_end_matches('/').to_string())
            .ok_or_else(|| Error::new("systemd: its cgroup is not a path"))
    }

    /// Starts the scope with the process `pid` in it, and returns the path of its cgroup in the file system.
    pub fn start(&mut self, unit: &Unit, pid: Pid, limits: &Limits) -> Result<String> {
        let properties = properties_of_new(unit, pid, limits);
        let step = format!("start {} in {}", unit.name, unit.slice);
        let job = match self.start_transient(unit, &properties) {
            // What failed once keeps its name until that is forgotten.
            Err(error) if connection::is(&error, "UnitExists") => {
                self.reset_failed(&unit.name)?;
                self.start_transient(unit, &properties)
            }
            job => job,
        };
        let result = job.and_then(|job| self.0.wait_for_job(&job)).map_err(|error| error.within(&step))?;
        if result != "done" {
            return Err(Error::new(format_args!("{step}: systemd says \"{result}\""))
                .hint(format!("`journalctl -u {}` may know more", unit.name)));
        }
        // Where it is, the kernel knows best.
        let found = Hierarchy::find_for(&format!("/proc/{}/cgroup", pid.as_raw_nonzero()))?;
        match found {
            Some(hierarchy) if hierarchy.own.ends_with(&format!("/{}", unit.name)) => {
                Ok(hierarchy.directory(&hierarchy.own))
            }
            Some(hierarchy) => Err(Error::new(format_args!(
                "{step}: the process is in {} and not in the scope",
                hierarchy.own
            ))),
            None => Err(Error::new(format_args!("{step}: cgroup v2 is not mounted"))),
        }
    }

    fn start_transient(&mut self, unit: &Unit, properties: &[(&str, Value)]) -> Result<String> {
        let mut body = Body::new();
        body.text(&unit.name);
        body.text("fail");
        body.properties(properties);
        // No auxiliary units.
        body.empty_array(8);
        let answer = self.0.call(MANAGER.0, MANAGER.1, "StartTransientUnit", "ssa(sv)a(sa(sv))", body)?;
        answer.reader().text().ok_or_else(|| Error::new("systemd: the answer names no job"))
    }

    /// Tells it of limits that have changed.
    pub fn change(&mut self, name: &str, limits: &Limits) -> Result<()> {
        let changed = properties::of_limits(limits);
        if changed.is_empty() {
            return Ok(());
        }
        let mut body = Body::new();
        body.text(name);
        // As long as the unit lives, and not longer.
        body.flag(true);
        body.properties(&changed);
        self.0.call(MANAGER.0, MANAGER.1, "SetUnitProperties", "sba(sv)", body).map(drop)
    }

    /// Stops a scope and forgets how it ended. One that is gone is no error.
    pub fn stop(&mut self, name: &str) -> Result<()> {
        let mut body = Body::new();
        body.text(name);
        body.text("replace");
        match self.0.call(MANAGER.0, MANAGER.1, "StopUnit", "ss", body) {
            Ok(answer) => {
                if let Some(job) = answer.reader().text() {
                    self.0.wait_for_job(&job)?;
                }
            }
            Err(error) if connection::is(&error, "NoSuchUnit") => return Ok(()),
            Err(error) => return Err(error),
        }
        self.reset_failed(name)
    }

    fn reset_failed(&mut self, name: &str) -> Result<()> {
        let mut body = Body::new();
        body.text(name);
        match self.0.call(MANAGER.0, MANAGER.1, "ResetFailedUnit", "s", body) {
            Err(error) if !connection::is(&error, "NoSuchUnit") => Err(error),
            _ => Ok(()),
        }
    }
}

/// `Delegate` gives us the cgroup; without `DefaultDependencies` the scope is not in the way of a shutdown's order.
/// No policy about devices is set: with systemd's default it attaches no program of its own, and leaves ours alone.
fn properties_of_new(unit: &Unit, pid: Pid, limits: &Limits) -> Vec<(&'static str, Value)> {
    let mut all = vec![
        (
            "Description",
            Value::Text(format!("container {}", unit.name.strip_suffix(".scope").unwrap_or(&unit.name))),
        ),
        ("Slice", Value::Text(unit.slice.clone())),
        ("PIDs", Value::Numbers(vec![pid.as_raw_nonzero().get().unsigned_abs()])),
        ("Delegate", Value::Flag(true)),
        ("DefaultDependencies", Value::Flag(false)),
        ("CollectMode", Value::Text("inactive-or-failed".into())),
    ];
    for accounting in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"] {
        all.push((accounting, Value::Flag(true)));
    }
    all.append(&mut properties::of_limits(limits));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_the_names_that_engines_expect() {
        for (configured, of_user, slice, name, path) in [
            (None, false, "system.slice", "servin-box.scope", "/system.slice/servin-box.scope"),
            (Some(""), true, "user.slice", "servin-box.scope", "/user.slice/servin-box.scope"),
            (
                Some("machine.slice:libpod:abc"),
                false,
                "machine.slice",
                "libpod-abc.scope",
                "/machine.slice/libpod-abc.scope",
            ),
            (
                Some("a-b-c.slice::x"),
                false,
                "a-b-c.slice",
                "x.scope",
                "/a.slice/a-b.slice/a-b-c.slice/x.scope",
            ),
            (Some(":runc:"), false, "system.slice", "runc-box.scope", "/system.slice/runc-box.scope"),
            (Some("-.slice:a:b"), false, "-.slice", "a-b.scope", "/a-b.scope"),
        ] {
            let unit = Unit::resolve(configured, "box", of_user).expect("a unit");
            assert_eq!((unit.slice.as_str(), unit.name.as_str(), unit.path().as_str()), (slice, name, path));
        }
        for bad in [
            "/a/b",
            "a:b",
            "a:b:c:d",
            "a:b:c",
            ".slice:b:c",
            "a--b.slice:b:c",
            "a/b.slice:c:d",
            "a.slice:b:c/d",
            "a.slice:b:ü",
        ] {
            let error = Unit::resolve(Some(bad), "box", false).expect_err(bad).to_string();
            assert!(error.starts_with("linux.cgroupsPath: "), "{error}");
        }
    }
}
