//! `linux.intelRdt`: the container's share of caches and memory bandwidth, through the resctrl file system
//! (Documentation/filesystems/resctrl.rst; [config-linux.md, IntelRdt][rules]).
//!
//! [rules]: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#intelrdt

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{Access, AtFlags, CWD, Mode};
use rustix::io::Errno;
use rustix::process::Pid;

use crate::cgroup::file;
use crate::error::{Error, Result, Step};
use crate::fs::mountinfo;
use crate::spec::IntelRdt;
use crate::sys::path::{access, mkdirat, unlinkat};

/// The groups of one container.
pub struct Groups {
    /// The class of service, and a group of its own for monitoring where one is asked for.
    paths: Vec<String>,
    /// Those among them that are the container's own, in the order of their making.
    pub own: Vec<String>,
    lines: Vec<String>,
}

impl Groups {
    /// Decides which groups container `id` has; nothing is made yet.
    pub fn plan(rdt: &IntelRdt, id: &str) -> Result<Groups> {
        let mounts = mountinfo::read()?;
        match mounts.iter().find(|mount| mount.kind == "resctrl") {
            Some(mount) => plan(&mount.target, rdt, id),
            None => Err(Error::new("linux.intelRdt: no resctrl file system is mounted")
                .hint("where the processor has it: mount -t resctrl resctrl /sys/fs/resctrl")),
        }
    }

    /// Makes what is the container's own. After an error none of it is left.
    pub fn make(&self) -> Result<()> {
        let made = self.own.iter().try_for_each(|path| {
            mkdirat(CWD, path.as_str(), Mode::from_raw_mode(0o755))
                .step(|| format!("make the resctrl group {path}"))
        });
        let made = made.and_then(|()| {
            // An existing class was compared instead.
            let Some(class) = self.paths.first().filter(|class| self.own.contains(class)) else {
                return Ok(());
            };
            let directory = file::open_absolute(class).step(|| format!("open {class}"))?;
            self.lines.iter().try_for_each(|line| {
                file::write(&directory, "schemata", &format!("{line}\n"))
                    .step(|| format!("linux.intelRdt: write \"{line}\" into {class}/schemata"))
            })
        });
        if made.is_err() {
            remove(&self.own);
        }
        made
    }

    /// Puts a process into them; its children follow.
    pub fn assign(&self, pid: Pid) -> Result<()> {
        self.paths.iter().try_for_each(|path| {
            let step = || format!("linux.intelRdt: write {path}/tasks");
            let directory = file::open_absolute(path).step(step)?;
            file::write(&directory, "tasks", &format!("{}", pid.as_raw_nonzero())).step(step)
        })
    }
}

/// Removes groups, the last one first; what is left in them falls back to the group above.
pub fn remove(own: &[String]) {
    for path in own.iter().rev() {
        let _ = unlinkat(CWD, path.as_str(), AtFlags::REMOVEDIR);
    }
}

fn plan(mount: &str, rdt: &IntelRdt, id: &str) -> Result<Groups> {
    let name = rdt.clos_id.as_deref().unwrap_or(id);
    if name.is_empty()
        || name.contains(['/', '\n'])
        || matches!(name, "." | ".." | "info" | "mon_groups" | "mon_data")
    {
        return Err(Error::new(format_args!("linux.intelRdt.closID: \"{name}\" is not the name of a group")));
    }
    let lines = lines(rdt)?;
    let class = format!("{mount}/{name}");
    let exists = access(class.as_str(), Access::EXISTS).is_ok();
    let mut own = Vec::new();
    match (&rdt.clos_id, exists) {
        (Some(_), false) if lines.is_empty() => {
            return Err(Error::os(format_args!("linux.intelRdt.closID: open {class}"), Errno::NOENT));
        }
        (Some(_), true) => compare(&class, &lines)?,
        _ => own.push(class.clone()),
    }
    let mut paths = Vec::from([class.clone()]);
    if [rdt.enable_monitoring, rdt.enable_cmt, rdt.enable_mbm].contains(&Some(true)) {
        let monitoring = format!("{class}/mon_groups/{id}");
        paths.push(monitoring.clone());
        own.push(monitoring);
    }
    Ok(Groups { paths, own, lines })
}

/// What is written into `schemata`, in this order.
fn lines(rdt: &IntelRdt) -> Result<Vec<String>> {
    let bandwidth = rdt.mem_bw_schema.as_deref().filter(|schema| !schema.is_empty());
    if let Some(schema) = bandwidth
        && (!schema.starts_with("MB:") || schema.contains('\n'))
    {
        return Err(Error::new(format_args!(
            "linux.intelRdt.memBwSchema: \"{schema}\" is not one line MB:…"
        )));
    }
    let mut lines = Vec::new();
    for line in rdt.l3_cache_schema.as_deref().unwrap_or_default().lines() {
        let said_elsewhere = bandwidth.is_some() && line.starts_with("MB:");
        if !line.is_empty() && !said_elsewhere {
            lines.push(String::from(line));
        }
    }
    lines.extend(bandwidth.map(String::from));
    lines.extend(rdt.schemata.iter().flat_map(|text| text.lines()).map(String::from));
    Ok(lines)
}

/// A class that is there already must be as the container wants it.
fn compare(class: &str, lines: &[String]) -> Result<()> {
    let step = || format!("read {class}/schemata");
    let directory = file::open_absolute(class).step(step)?;
    let text =
        if lines.is_empty() { String::new() } else { file::read(&directory, "schemata").step(step)? };
    match lines.iter().find(|line| !text.lines().any(|there| there.trim() == line.trim())) {
        Some(line) => Err(Error::new(format_args!(
            "linux.intelRdt.closID: the class {class} exists, and its schemata are not \"{line}\""
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    struct Fake(PathBuf);

    impl Fake {
        fn new(name: &str) -> Fake {
            let path = std::env::temp_dir().join(format!("servin-resctrl-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a scratch directory");
            Fake(path)
        }

        fn plan(&self, rdt: &IntelRdt) -> Result<Groups> {
            plan(self.0.to_str().expect("UTF-8"), rdt, "box")
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn rdt(class: Option<&str>, l3: &str, bandwidth: &str) -> IntelRdt {
        let text = |text: &str| Some(String::from(text)).filter(|text| !text.is_empty());
        IntelRdt {
            clos_id: class.map(String::from),
            l3_cache_schema: text(l3),
            mem_bw_schema: text(bandwidth),
            ..IntelRdt::default()
        }
    }

    #[test]
    fn the_schemata_are_put_together_as_the_specification_says() {
        let both =
            IntelRdt { schemata: vec!["L2:0=f\nMB:0=10".into()], ..rdt(None, "L3:0=f\nMB:0=70", "MB:0=20") };
        assert_eq!(lines(&both).expect("lines"), ["L3:0=f", "MB:0=20", "L2:0=f", "MB:0=10"]);
        assert_eq!(lines(&rdt(None, "L3:0=f\nMB:0=70", "")).expect("lines"), ["L3:0=f", "MB:0=70"]);
        for bad in ["L3:0=f", "MB:0=1\nMB:1=1"] {
            assert!(lines(&rdt(None, "", bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_existing_class_is_compared_and_a_new_one_made() {
        let fake = Fake::new("classes");
        std::fs::create_dir(fake.0.join("gold")).expect("a class");
        std::fs::write(fake.0.join("gold/schemata"), "    L3:0=f;1=f\n    MB:0=100\n").expect("written");
        assert!(fake.plan(&rdt(Some("gold"), "L3:0=f;1=f", "")).expect("the same").own.is_empty());
        let error = fake.plan(&rdt(Some("gold"), "L3:0=3;1=f", "")).err().expect("another").to_string();
        assert!(error.contains("gold exists"), "{error}");
        assert!(fake.plan(&rdt(Some("none"), "", "")).err().expect("missing").to_string().contains("closID"));
        for bad in ["", "a/b", "..", "info"] {
            assert!(fake.plan(&rdt(Some(bad), "", "")).is_err(), "{bad}");
        }
        let new = fake.plan(&rdt(None, "", "")).expect("planned");
        new.make().expect("made");
        assert!(fake.0.join("box").is_dir());
        std::fs::write(fake.0.join("box/tasks"), "").expect("written");
        new.assign(Pid::from_raw(77).expect("a pid")).expect("assigned");
        assert_eq!(std::fs::read_to_string(fake.0.join("box/tasks")).expect("read"), "77");
        std::fs::remove_file(fake.0.join("box/tasks")).expect("removed");
        remove(&new.own);
        assert!(!fake.0.join("box").exists());
        // Nothing fills a new directory of a fake: what was made goes again.
        let failing = fake.plan(&rdt(Some("new"), "L3:0=f", "")).expect("planned");
        assert!(failing.make().is_err() && !fake.0.join("new").exists());
    }
}
