//! The cgroup of a container: where it goes, whether there is one at all, and how it is found again.

use alloc::string::String;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::cgroup::{Cgroup, Hierarchy, Limits, Made, path};
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::plan::Plan;
use crate::spec::Resources;

/// Who makes cgroups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Manager {
    /// Servin, by plain writes.
    #[default]
    Cgroupfs,
    /// Nobody: containers stay in the cgroup of their caller.
    Disabled,
}

impl Manager {
    /// By the name that it is given on command lines.
    pub fn by_name(name: &str) -> Result<Manager> {
        match name {
            "cgroupfs" => Ok(Manager::Cgroupfs),
            "disabled" => Ok(Manager::Disabled),
            other => {
                Err(Error::new(format_args!("--cgroup-manager {other}: it is none of cgroupfs and disabled")))
            }
        }
    }
}

/// Where the cgroup of a container is going to be.
pub struct Placement {
    hierarchy: Hierarchy,
    path: String,
    /// The configuration names it.
    asked_for: bool,
}

impl Placement {
    /// Decides; none where the host has no cgroup v2 and nothing that needs it is asked for.
    pub fn find(plan: &Plan, id: &str, manager: Manager) -> Result<Option<Placement>> {
        let (required, devices) = (plan.limits.required(), &plan.limits.devices);
        if manager == Manager::Disabled {
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
            if required.is_none() && (devices.is_none() || !may_decide_about_devices()) {
                return Ok(None);
            }
            return Err(Error::new("linux.resources: cgroup v2 is not mounted")
                .hint("mount it: mount -t cgroup2 none /sys/fs/cgroup"));
        };
        let configured = plan.cgroups_path.as_deref();
        let path = path::resolve(configured, id, &hierarchy.own)?;
        Ok(Some(Placement { hierarchy, path, asked_for: configured.is_some() }))
    }

    /// The directory of the cgroup.
    pub fn directory(&self) -> String {
        self.hierarchy.directory(&self.path)
    }

    /// Makes it, with its limits. Where this user may not, and no limit needs it: none.
    pub fn make(&self, limits: &Limits, warn: Option<fn(&str)>) -> Result<Option<Made>> {
        let mut limits = limits.clone();
        if limits.devices.is_some() && !may_decide_about_devices() {
            limits.devices = None;
        }
        let made = self.hierarchy.create(&self.path, &limits).and_then(|made| {
            made.apply(&limits)?;
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

/// Programs about devices are loaded by root of the initial user namespace alone. Nobody else can make device nodes
/// either, so that there is nothing to decide.
fn may_decide_about_devices() -> bool {
    let initial = |map: String| map.split_ascii_whitespace().eq(["0", "0", "4294967295"]);
    rustix::process::geteuid().is_root() && read_text("/proc/self/uid_map").is_ok_and(initial)
}

/// Whether rules about devices can hold for a container that is made now.
pub fn decides_about_devices() -> bool {
    let is_writable =
        |hierarchy: &Hierarchy| access(hierarchy.directory("/").as_str(), Access::WRITE_OK).is_ok();
    may_decide_about_devices() && Hierarchy::find().is_ok_and(|found| found.as_ref().is_some_and(is_writable))
}

/// Changes the limits of a container's cgroup, all that are given or none.
pub fn update(cgroup: &Cgroup, mut resources: Resources) -> Result<()> {
    cgroup.complete(&mut resources)?;
    let mut limits = Limits::new(&resources)?;
    if !may_decide_about_devices() {
        limits.devices = None;
    }
    if let Some(hierarchy) = Hierarchy::find()? {
        hierarchy.enable_for(cgroup.path(), &limits)?;
    }
    cgroup.apply(&limits)
}

/// The cgroup at `path`; none where somebody has removed it.
pub fn open(path: &str) -> Result<Option<Cgroup>> {
    match Cgroup::open(path) {
        Err(error) if error.errno() == Some(Errno::NOENT) => Ok(None),
        cgroup => cgroup.map(Some),
    }
}
