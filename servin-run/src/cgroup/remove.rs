//! Removing a cgroup with all those that the container has made below it.

use alloc::format;
use alloc::string::ToString;

use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, Dir};
use rustix::io::{self, Errno};
use servin_init::sys::clock::now;

use super::file;
use super::path::COMMON;
use super::processes::{PATIENCE, below};
use super::tree::Cgroup;
use crate::error::{Result, Step};
use crate::sys::clock::pause;
use crate::sys::path::unlinkat;

impl Cgroup {
    /// Removes it and everything below it, waiting a while for processes that are still dying. One that is gone
    /// already is no error.
    pub fn remove(&self) -> Result<()> {
        let step = || format!("remove the cgroup {}", self.path());
        let (parent, name) = match self.parent() {
            Err(Errno::NOENT) => return Ok(()),
            other => other.step(step)?,
        };
        let deadline = now() + PATIENCE;
        let mut delay = 1;
        loop {
            match unlinkat(&parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => {
                    remove_common(self.path());
                    return Ok(());
                }
                // cgroupfs says EBUSY of cgroups below and of processes alike.
                Err(Errno::BUSY | Errno::NOTEMPTY) => {}
                Err(errno) => return Err(errno).step(step),
            }
            let progress = sweep(&parent, name).step(step)?;
            if !progress {
                if now() > deadline {
                    return Err(self.alive(&self.pids()?).within(step()));
                }
                pause(delay);
                delay = (delay * 2).min(32);
            }
        }
    }
}

/// Removes the directory at `path` if it is an empty cgroup without processes; whether it was.
pub fn remove_if_empty(path: &str) -> bool {
    let removed = unlinkat(CWD, path, AtFlags::REMOVEDIR).is_ok();
    if removed {
        remove_common(path);
    }
    removed
}

/// With the last of them goes the cgroup of all containers that were not told another.
fn remove_common(path: &str) {
    if let Some((parent, _)) = path.rsplit_once('/')
        && parent.ends_with(COMMON)
    {
        let _ = unlinkat(CWD, parent, AtFlags::REMOVEDIR);
    }
}

/// One way down from `name`: at each level the cgroups are removed that can be, and one that cannot is entered.
/// Holds two descriptors however deep the container has nested; never follows a link.
fn sweep(parent: &OwnedFd, name: &str) -> io::Result<bool> {
    let mut progress = false;
    let mut here = match file::open_directory(parent, name) {
        Err(Errno::NOENT) => return Ok(true),
        other => other?,
    };
    loop {
        let mut deeper = None;
        for entry in Dir::read_from(&here)? {
            let entry = entry?;
            let Some(name) = below(&entry) else { continue };
            match unlinkat(&here, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => progress = true,
                // The last one: the listing's order is that of creation, and older ones may wait for processes.
                Err(Errno::BUSY | Errno::NOTEMPTY) => deeper = Some(name.to_string()),
                Err(errno) => return Err(errno),
            }
        }
        let Some(name) = deeper else { return Ok(progress) };
        here = match file::open_directory(&here, &name) {
            Err(Errno::NOENT) => return Ok(true),
            other => other?,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Fake;
    use super::*;

    #[test]
    fn everything_below_goes_and_nothing_beside() {
        let fake = Fake::new("remove");
        for path in ["box/a/b/c", "box/a/d", "box/e", "beside/x"] {
            std::fs::create_dir_all(fake.0.join(path)).expect("directories");
        }
        let cgroup = Cgroup::of_directory(&format!("{}/box", fake.path()));
        cgroup.remove().expect("removed");
        cgroup.remove().expect("gone already");
        assert!(!fake.0.join("box").exists() && fake.0.join("beside/x").exists());
    }

    #[test]
    fn deep_and_wide_trees_are_removed() {
        let fake = Fake::new("deep");
        std::fs::create_dir_all(fake.0.join(format!("box{}", "/d".repeat(400)))).expect("deep");
        for number in 0..400 {
            std::fs::create_dir_all(fake.0.join(format!("box/w{number}/x"))).expect("wide");
        }
        Cgroup::of_directory(&format!("{}/box", fake.path())).remove().expect("removed");
        assert!(!fake.0.join("box").exists());
    }
}
