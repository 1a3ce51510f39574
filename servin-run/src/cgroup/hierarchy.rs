//! Where the unified hierarchy is, and what of it is there for containers: alone on the host, beside cgroup v1
//! (hybrid), mounted elsewhere, or not at all (cgroups(7), proc_pid_cgroup(5)).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::{CWD, fstatfs};

use super::file::{self, has_word};
use crate::error::{Error, Result, Step};
use crate::fs::mountinfo::{self, MountInfo};

/// `CGROUP2_SUPER_MAGIC` of linux/magic.h.
const MAGIC: u64 = 0x6367_7270;

/// The unified hierarchy, as far as this process can see it.
#[derive(Debug, Clone, Default)]
pub struct Hierarchy {
    /// The directory that it is mounted on.
    pub mount: String,
    /// The cgroup of that process, from `mount`: `/` or `/a/b`.
    pub own: String,
    /// The controllers that the topmost visible cgroup has, separated by blanks.
    pub controllers: String,
    /// The controllers that cgroup v1 holds instead, each with the place where it is mounted.
    pub bound: Vec<(String, String)>,
}

impl Hierarchy {
    /// The unified hierarchy; none where cgroup v2 is not mounted.
    pub fn find() -> Result<Option<Hierarchy>> {
        Hierarchy::find_for("/proc/self/cgroup")
    }

    /// As a process sees it whose file in /proc that is.
    pub fn find_for(file: &str) -> Result<Option<Hierarchy>> {
        let membership = file::read(CWD, file).step(|| format!("read {file}"))?;
        let mounts = mountinfo::read()?;
        // Another mount may lie over one of them: then it is not what its path leads to.
        let is_visible = |mount: &&MountInfo| {
            mount.kind == "cgroup2"
                && file::open_absolute(&mount.target).is_ok_and(|directory| is_cgroup2(&directory))
        };
        let Some(unified) = preferred(mounts.iter().filter(is_visible)) else { return Ok(None) };
        let mut hierarchy = read(unified, &mounts, &membership);
        let name = format!("{}/cgroup.controllers", hierarchy.mount);
        hierarchy.controllers =
            file::read(CWD, &name).step(|| format!("read {name}"))?.trim_end().to_string();
        Ok(Some(hierarchy))
    }

    /// The path in the file system of the cgroup at `path` from the hierarchy's root.
    pub fn directory(&self, path: &str) -> String {
        format!("{}{path}", self.mount.trim_end_matches('/'))
    }

    /// Refuses limits whose controllers are not there, and says where they are and what to do.
    pub fn require(&self, controllers: &[&str]) -> Result<()> {
        for &controller in controllers {
            if has_word(&self.controllers, controller) {
                continue;
            }
            let bound = self.bound.iter().find(|(name, _)| name == controller);
            let error = Error::new(match bound {
                Some((_, place)) => format!(
                    "linux.resources: the {controller} controller is bound to cgroup v1 (on {place}), so cgroup v2 on {} lacks it",
                    self.mount
                ),
                None => {
                    format!("linux.resources: cgroup v2 on {} has no {controller} controller", self.mount)
                }
            });
            return Err(error.hint(match bound {
                Some(_) => {
                    "run without limits, or boot with systemd.unified_cgroup_hierarchy=1 (without systemd: cgroup_no_v1=all)"
                }
                None => "the kernel lacks it, or the cgroup above does not enable it (cgroup.subtree_control)",
            }));
        }
        Ok(())
    }
}

/// Whether this is a directory of cgroup v2, and not something made to look like it.
pub fn is_cgroup2(directory: &rustix::fd::OwnedFd) -> bool {
    fstatfs(directory).is_ok_and(|status| status.f_type as u64 == MAGIC)
}

/// The usual place, else one that shows the whole hierarchy, else any.
fn preferred<'a>(mounts: impl Iterator<Item = &'a MountInfo>) -> Option<&'a MountInfo> {
    let mut best = None;
    let mut rank = 0;
    for mount in mounts {
        let own = match () {
            () if mount.target == "/sys/fs/cgroup" => 3,
            () if mount.root == "/" => 2,
            () => 1,
        };
        if own > rank {
            (best, rank) = (Some(mount), own);
        }
    }
    best
}

fn read(unified: &MountInfo, mounts: &[MountInfo], membership: &str) -> Hierarchy {
    let mut hierarchy =
        Hierarchy { mount: unified.target.clone(), own: "/".to_string(), ..Hierarchy::default() };
    for line in membership.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(number), Some(controllers), Some(path)) = (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        if number == "0" {
            // Both paths start at the root of this process's cgroup namespace; the mount may show less.
            let below = path.strip_prefix(unified.root.trim_end_matches('/'));
            hierarchy.own = below.filter(|below| below.starts_with('/')).unwrap_or("/").to_string();
        } else if !controllers.starts_with("name=") {
            for name in controllers.split(',') {
                // The one controller that cgroup v2 has renamed.
                let renamed = if name == "blkio" { "io" } else { name };
                hierarchy.bound.push((renamed.to_string(), place_of(name, mounts)));
            }
        }
    }
    hierarchy
}

/// Where cgroup v1 has `controller`: by custom in a directory of that name, joined with others by commas.
fn place_of(controller: &str, mounts: &[MountInfo]) -> String {
    let place = mounts.iter().find(|mount| {
        let name = mount.target.rsplit('/').next().unwrap_or_default();
        mount.kind == "cgroup" && name.split(',').any(|part| part == controller)
    });
    place.map_or_else(|| "a hierarchy that is not mounted here".to_string(), |mount| mount.target.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, root: &str, target: &str) -> MountInfo {
        MountInfo { id: 1, parent: 1, root: root.into(), target: target.into(), kind: kind.into() }
    }

    #[test]
    fn a_hybrid_host_says_where_its_controllers_are() {
        let mounts = [
            mount("cgroup", "/", "/sys/fs/cgroup/cpu,cpuacct"),
            mount("cgroup2", "/", "/sys/fs/cgroup/unified"),
        ];
        let unified = preferred(mounts.iter().filter(|m| m.kind == "cgroup2")).expect("found");
        let mut found = read(unified, &mounts, "4:blkio:/m\n2:cpu,cpuacct:/\n1:name=systemd:/x\n0::/a/b\n");
        found.controllers = "hugetlb pids".into();
        assert_eq!(found.own, "/a/b");
        assert_eq!(found.bound.len(), 3);
        let error = found.require(&["pids", "cpu"]).expect_err("refused").to_string();
        assert!(
            error.contains("cpu controller is bound to cgroup v1 (on /sys/fs/cgroup/cpu,cpuacct)"),
            "{error}"
        );
        let error = found.require(&["io"]).expect_err("refused").to_string();
        assert!(error.contains("io controller is bound to cgroup v1 (on a hierarchy that is not"), "{error}");
        let error = found.require(&["rdma"]).expect_err("refused").to_string();
        assert!(error.contains("/sys/fs/cgroup/unified has no rdma controller"), "{error}");
        assert!(found.require(&["hugetlb", "pids"]).is_ok());
        assert_eq!(found.directory("/a"), "/sys/fs/cgroup/unified/a");
    }

    #[test]
    fn the_usual_place_comes_first_and_a_part_of_the_hierarchy_last() {
        let (part, whole, usual) = (
            mount("cgroup2", "/x", "/p"),
            mount("cgroup2", "/", "/w"),
            mount("cgroup2", "/", "/sys/fs/cgroup"),
        );
        assert_eq!(preferred([&part, &whole, &usual].into_iter()), Some(&usual));
        assert_eq!(preferred([&part, &whole].into_iter()), Some(&whole));
        assert_eq!(preferred([&part].into_iter()), Some(&part));
        assert_eq!(read(&part, &[], "0::/x/y\n").own, "/y");
        assert_eq!(read(&part, &[], "0::/x\n").own, "/");
        assert_eq!(read(&part, &[], "0::/xy\nnonsense\n").own, "/");
    }

    #[test]
    fn this_host_is_read() {
        Hierarchy::find().expect("readable");
    }
}
