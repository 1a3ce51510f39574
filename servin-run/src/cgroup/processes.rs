//! The processes of a cgroup and of those below it: listing, signalling, freezing and killing all of them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use linux_raw_sys::general::SIGKILL;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Dir, OFlags};
use rustix::io::{self, Errno};
use rustix::process::Pid;
use servin_init::sys::clock::{Nanoseconds, SECOND, now};

use super::file;
use super::tree::{Cgroup, Pids, numbers};
use crate::error::{Error, Result, Step};
use crate::sys::clock::{pause, timespec};
use crate::sys::signal;

/// How long processes may take to stop or to die; one that waits for a dead disk takes longer.
pub const PATIENCE: Nanoseconds = 10 * SECOND;

impl Cgroup {
    /// All processes in it and below it.
    pub fn pids(&self) -> Result<Vec<Pid>> {
        self.list().step(|| format!("list the processes of the cgroup {}", self.path()))
    }

    fn list(&self) -> io::Result<Vec<Pid>> {
        let mut pids = Vec::new();
        // Paths, not descriptors: the container may nest its cgroups deeper than this process may open files.
        let mut ahead = vec![String::from(".")];
        while let Some(path) = ahead.pop() {
            let directory = match file::open_directory(self.descriptor(), &path) {
                Err(Errno::NOENT) => continue,
                other => other?,
            };
            let text = match file::read(&directory, "cgroup.procs") {
                // A threaded cgroup: its processes are listed by the one above, unless that is not ours to see.
                Err(Errno::OPNOTSUPP) if path != "." => continue,
                Err(Errno::OPNOTSUPP) => file::read(&directory, "cgroup.threads")?,
                // Removed meanwhile.
                Err(Errno::NODEV | Errno::NOENT) => continue,
                other => other?,
            };
            pids.append(&mut numbers(&text));
            for entry in Dir::read_from(&directory)? {
                let entry = entry?;
                if let Some(name) = below(&entry) {
                    ahead.push(format!("{path}/{name}"));
                }
            }
        }
        Ok(pids)
    }

    /// Sends signal `number` to every process; frozen meanwhile, so that none is born and missed.
    pub fn signal(&self, number: u32) -> Result<()> {
        if number == SIGKILL {
            return self.kill();
        }
        let thaw = !self.is_frozen()? && self.freeze().is_ok();
        let sent = self.send(number);
        if thaw {
            self.thaw()?;
        }
        sent
    }

    fn send(&self, number: u32) -> Result<()> {
        for pid in self.pids()? {
            match signal::kill(pid, number) {
                // It ended meanwhile.
                Err(Errno::SRCH) => {}
                sent => sent.step(|| format!("send signal {number} to process {}", pid.as_raw_nonzero()))?,
            }
        }
        Ok(())
    }

    /// Kills every process, frozen ones too. They may still be dying when this returns.
    pub fn kill(&self) -> Result<()> {
        match file::write(self.descriptor(), "cgroup.kill", "1") {
            // Linux before 5.14, and a threaded cgroup.
            Err(Errno::NOENT | Errno::OPNOTSUPP) => self.kill_one_by_one(),
            // Removed meanwhile: systemd does that to a scope without processes.
            Err(Errno::NODEV) => Ok(()),
            killed => killed.step(|| format!("kill the processes of the cgroup {}", self.path())),
        }
    }

    /// Frozen processes do not fork, and SIGKILL reaches them all the same. Where there is no freezer, or a process
    /// is slow to stop, those that were born meanwhile are found in the next round.
    fn kill_one_by_one(&self) -> Result<()> {
        let _ = file::write(self.descriptor(), "cgroup.freeze", "1");
        let deadline = now() + PATIENCE;
        let outcome = loop {
            match self.pids() {
                Ok(pids) if pids.is_empty() => break Ok(()),
                Ok(pids) if now() > deadline => break Err(self.alive(&pids)),
                Ok(_) => {
                    if let Err(error) = self.send(SIGKILL) {
                        break Err(error);
                    }
                    pause(1);
                }
                Err(error) => break Err(error),
            }
        };
        let _ = file::write(self.descriptor(), "cgroup.freeze", "0");
        outcome
    }

    pub(super) fn alive(&self, pids: &[Pid]) -> Error {
        Error::new(format_args!(
            "the cgroup {}: the processes {} are still there after {} s",
            self.path(),
            Pids(pids),
            PATIENCE / SECOND
        ))
        .hint("they may wait for a device that does not answer (state D in /proc/PID/status)")
    }

    /// Stops every process, and waits until all have stopped.
    pub fn freeze(&self) -> Result<()> {
        let frozen = self.set_frozen(true);
        if frozen.is_err() {
            // Half a freeze would look like a hang.
            let _ = file::write(self.descriptor(), "cgroup.freeze", "0");
        }
        frozen
    }

    /// Lets every process go on, and waits until they do.
    pub fn thaw(&self) -> Result<()> {
        self.set_frozen(false)
    }

    /// Whether all processes are stopped.
    pub fn is_frozen(&self) -> Result<bool> {
        let events = file::read(self.descriptor(), "cgroup.events")
            .step(|| format!("read {}/cgroup.events", self.path()))?;
        Ok(file::number(&events, "frozen") == Some(1))
    }

    fn set_frozen(&self, frozen: bool) -> Result<()> {
        let word = if frozen { "freeze" } else { "thaw" };
        let step = || format!("{word} the cgroup {}", self.path());
        match file::write(self.descriptor(), "cgroup.freeze", if frozen { "1" } else { "0" }) {
            Err(Errno::NOENT) => return Err(Error::os(step(), Errno::NOENT).hint("this needs Linux 5.2")),
            written => written.step(step)?,
        }
        match self.wait_for_event("frozen", u64::from(frozen), PATIENCE).step(step)? {
            true => Ok(()),
            // Thawing ends with a wish; whoever froze a cgroup above keeps it frozen.
            false if !frozen => Err(Error::new(step()).hint("it stays frozen: a cgroup above it is frozen")),
            false => Err(self.alive(&self.pids()?).within(step())),
        }
    }

    /// Waits until cgroup.events says `value` of `key`; false when that takes too long. The kernel tells every
    /// change of the file by POLLPRI (cgroup-v2.rst, "cgroup.events").
    pub fn wait_for_event(&self, key: &str, value: u64, patience: Nanoseconds) -> io::Result<bool> {
        let events = file::open(self.descriptor(), "cgroup.events", OFlags::RDONLY)?;
        let deadline = now() + patience;
        loop {
            if file::number(&file::read_again(&events)?, key) == Some(value) {
                return Ok(true);
            }
            let left = deadline.saturating_sub(now());
            if left == 0 {
                return Ok(false);
            }
            match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&timespec(left))) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(errno) => return Err(errno),
            }
        }
    }
}

/// The name of a cgroup below, if the entry is one.
pub(super) fn below(entry: &rustix::fs::DirEntry) -> Option<&str> {
    let name = entry.file_name().to_str().ok()?;
    (entry.file_type() == rustix::fs::FileType::Directory && name != "." && name != "..").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Fake;
    use super::*;

    #[test]
    fn processes_of_nested_cgroups_are_listed_and_links_are_not_followed() {
        let fake = Fake::new("pids");
        fake.write("cgroup.procs", "3\n");
        fake.write("a/cgroup.procs", "5\n0\n");
        fake.write("a/b/cgroup.procs", "7\n9");
        std::os::unix::fs::symlink("..", fake.0.join("a/loop")).expect("a link");
        let mut pids: Vec<i32> =
            fake.cgroup().pids().expect("listed").iter().map(|pid| pid.as_raw_nonzero().get()).collect();
        pids.sort_unstable();
        assert_eq!(pids, [3, 5, 7, 9]);
    }

    #[test]
    fn the_frozen_state_is_read_and_waited_for() {
        let fake = Fake::new("frozen");
        fake.write("cgroup.events", "populated 1\nfrozen 1\n");
        fake.write("cgroup.freeze", "0");
        assert!(fake.cgroup().is_frozen().expect("read"));
        fake.cgroup().freeze().expect("frozen already");
        assert_eq!(fake.read("cgroup.freeze"), "1");
        assert_eq!(fake.cgroup().wait_for_event("frozen", 0, 1), Ok(false));
        let error = Fake::new("old").cgroup().freeze().expect_err("no freezer").to_string();
        assert!(error.ends_with("this needs Linux 5.2"), "{error}");
    }

    #[test]
    fn an_old_kernel_kills_one_by_one() {
        let fake = Fake::new("kill");
        fake.write("cgroup.procs", "");
        fake.write("cgroup.freeze", "");
        fake.cgroup().kill().expect("nothing to kill");
        // Frozen, then thawed: a plain file keeps the last word.
        assert_eq!(fake.read("cgroup.freeze"), "0");
        fake.write("cgroup.kill", "");
        fake.cgroup().kill().expect("written");
        assert_eq!(fake.read("cgroup.kill"), "1");
    }
}
