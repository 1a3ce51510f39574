//! The cgroup of a container: where it goes, whether there is one at all, and how it is found again.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::Access;
use rustix::io::Errno;
use rustix::process::Pid;

use super::record::{Container, Record};
use crate::cgroup::{Cgroup, Hierarchy, Limits, Made, file, path, systemd};
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::plan::Plan;
use crate::spec::Resources;
use crate::sys::path::access;

/// Who makes cgroups.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Manager {
    /// Servin, by plain writes.
    #[default]
    Cgroupfs,
    /// systemd, which is asked at the first of these sockets that answers.
    Systemd(Vec<String>),
    /// Nobody: containers stay in the cgroup of their caller.
    Disabled,
}

impl Manager {
    /// By the name that it is given on command lines; `sockets` are those of systemd.
    pub fn by_name(name: &str, sockets: Vec<String>) -> Result<Manager> {
        match name {
            "cgroupfs" => Ok(Manager::Cgroupfs),
            "systemd" => Ok(Manager::Systemd(sockets)),
            "disabled" => Ok(Manager::Disabled),
            other => Err(Error::new(format_args!(
                "--cgroup-manager {other}: it is none of cgroupfs, systemd and disabled"
            ))),
        }
    }
}

/// Where the cgroup of a container is going to be.
pub enum Placement {
    /// A directory that we make.
    Directory(Place),
    /// A scope that systemd makes.
    Scope(Scope),
}

/// A directory of the hierarchy.
pub struct Place {
    hierarchy: Hierarchy,
    path: String,
    /// The configuration names it.
    asked_for: bool,
}

/// A scope of systemd's.
pub struct Scope {
    hierarchy: Hierarchy,
    /// Its name and its slice,
    pub unit: systemd::Unit,
    /// and who has it.
    pub manager: systemd::Manager,
    directory: String,
}

impl Placement {
    /// Decides; none where the host has no cgroup v2 and nothing that needs it is asked for.
    pub fn find(plan: &Plan, id: &str, manager: &Manager) -> Result<Option<Placement>> {
        let (required, devices) = (plan.limits.required(), &plan.limits.devices);
        if *manager == Manager::Disabled {
            // Rules about devices are in every engine's configuration; who turns cgroups off knows that.
            return match required {
                None => Ok(None),
                Some(write) => Err(Error::new(format_args!(
                    "linux.resources.{}: --cgroup-manager disabled leaves nothing to limit",
                    write.field
                ))),
            };
        }
        let Some(hierarchy) = Hierarchy::find()? else {
            if required.is_none() && (devices.is_none() || !is_host_root()) {
                return Ok(None);
            }
            return Err(Error::new("linux.resources: cgroup v2 is not mounted")
                .hint("mount it: mount -t cgroup2 none /sys/fs/cgroup"));
        };
        let configured = plan.cgroups_path.as_deref();
        if let Manager::Systemd(sockets) = manager {
            return Scope::find(hierarchy, configured, id, sockets)
                .map(|scope| Some(Placement::Scope(scope)));
        }
        let path = path::resolve(configured, id, &hierarchy.own)?;
        Ok(Some(Placement::Directory(Place { hierarchy, path, asked_for: configured.is_some() })))
    }

    /// The directory of the cgroup.
    pub fn directory(&self) -> String {
        match self {
            Placement::Directory(place) => place.hierarchy.directory(&place.path),
            Placement::Scope(scope) => scope.directory.clone(),
        }
    }
}

impl Scope {
    fn find(hierarchy: Hierarchy, configured: Option<&str>, id: &str, sockets: &[String]) -> Result<Scope> {
        let unit = systemd::Unit::resolve(configured, id, !is_host_root())?;
        let mut manager = systemd::Manager::connect(sockets)?;
        let path = format!("{}{}", manager.cgroup()?, unit.path());
        let directory = hierarchy.directory(&path);
        // Its processes would be ended with this container.
        if file::open_absolute(&directory).is_ok() {
            return Err(Error::new(format_args!("the cgroup {directory} is in use already"))
                .hint("linux.cgroupsPath must be the container's own"));
        }
        Ok(Scope { hierarchy, unit, manager, directory })
    }

    /// Has systemd make it around the process `pid`; the directory of its cgroup.
    pub fn start(&mut self, pid: Pid, limits: &Limits) -> Result<String> {
        self.hierarchy.require(&limits.controllers)?;
        self.directory = self.manager.start(&self.unit, pid, limits)?;
        Ok(self.directory.clone())
    }

    /// Writes the limits: those that systemd knows too, because it rounds some of them and tells of no refusal.
    pub fn limit(&self, plan: &Plan) -> Result<()> {
        self.hierarchy.enable_for(&self.directory, &plan.limits)?;
        prepare(&Cgroup::open(&self.directory)?, plan, &permitted(&plan.limits))
    }
}

/// Has systemd forget the scope of a container, if it has one.
pub fn stop(record: &Record) -> Result<()> {
    match (&record.scope, &record.systemd) {
        (Some(scope), Some(socket)) => systemd::Manager::connect(core::slice::from_ref(socket))?.stop(scope),
        _ => Ok(()),
    }
}

/// Writes the limits, and then lets the container have what is to be its own.
fn prepare(cgroup: &Cgroup, plan: &Plan, limits: &Limits) -> Result<()> {
    cgroup.apply(limits)?;
    plan.cgroup_owner.map_or(Ok(()), |owner| cgroup.give_to(owner))
}

/// What of the limits this user may set at all.
fn permitted(limits: &Limits) -> Limits {
    let mut limits = limits.clone();
    if limits.devices.is_some() && !is_host_root() {
        limits.devices = None;
    }
    limits
}

impl Place {
    /// Makes it, with its limits. Where this user may not, and no limit needs it: none.
    pub fn make(&self, plan: &Plan, warn: Option<fn(&str)>) -> Result<Option<Made>> {
        let limits = permitted(&plan.limits);
        let made = self.hierarchy.create(&self.path, &limits).and_then(|made| {
            prepare(&made, plan, &limits)?;
            Ok(made)
        });
        match made {
            Err(error)
                if limits.required().is_none()
                    && limits.devices.is_none()
                    && matches!(error.errno(), Some(Errno::ACCESS | Errno::PERM | Errno::ROFS)) =>
            {
                if self.asked_for
                    && let Some(warn) = warn
                {
                    warn(&alloc::format!("{error}"));
                }
                Ok(None)
            }
            made => made.map(Some),
        }
    }
}

/// Root of the initial user namespace, who alone loads programs about devices. Nobody else can make device nodes
/// either, so that there is nothing to decide.
pub fn is_host_root() -> bool {
    let initial = |map: String| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::geteuid().is_root() && read_text("/proc/self/uid_map").is_ok_and(initial)
}

/// Whether rules about devices can hold for a container that is made now.
pub fn decides_about_devices() -> bool {
    let is_writable =
        |hierarchy: &Hierarchy| access(hierarchy.directory("/").as_str(), Access::WRITE_OK).is_ok();
    is_host_root() && Hierarchy::find().is_ok_and(|found| found.as_ref().is_some_and(is_writable))
}

/// Changes the limits of a container, all that are given or none.
pub fn update(container: &Container, mut resources: Resources) -> Result<()> {
    let Some(cgroup) = &container.cgroup else {
        let id = container.directory.id();
        return Err(Error::new(format_args!("the container {id} has no cgroup whose limits could change")));
    };
    cgroup.complete(&mut resources)?;
    let limits = permitted(&Limits::new(&resources)?);
    if let Some(hierarchy) = Hierarchy::find()? {
        hierarchy.enable_for(cgroup.path(), &limits)?;
    }
    cgroup.apply(&limits)?;
    // What the kernel takes systemd takes too, and would otherwise undo one day.
    match (&container.record.scope, &container.record.systemd) {
        (Some(scope), Some(socket)) => {
            systemd::Manager::connect(core::slice::from_ref(socket))?.change(scope, &limits)
        }
        _ => Ok(()),
    }
}

/// The cgroup at `path`; none where somebody has removed it.
pub fn open(path: &str) -> Result<Option<Cgroup>> {
    match Cgroup::open(path) {
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
        cgroup => cgroup.map(Some),
    }
}
