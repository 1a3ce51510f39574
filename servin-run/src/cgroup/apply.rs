//! Writing limits into a cgroup: all of them, or none.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::io::{self, Errno};

use super::file;
use super::limits::{Limits, Refusal, Write};
use super::tree::Cgroup;
use crate::error::{Error, Result, Step};
use crate::spec;

/// What a file held before it was written.
struct Before {
    file: String,
    /// What takes this write's own line away again, for files that have a line for each device.
    line: String,
    text: String,
}

impl Cgroup {
    /// Writes the limits, and puts the program that decides about devices into its place. When one of them is
    /// refused, those already written are set back to what they were.
    pub fn apply(&self, limits: &Limits) -> Result<()> {
        self.check_memory(limits)?;
        let mut before = Vec::new();
        let applied = limits.writes.iter().try_for_each(|write| self.apply_one(write, &mut before));
        let applied = match (&applied, &limits.devices) {
            (Ok(()), Some(program)) => super::devices::replace(self.descriptor(), program),
            _ => applied,
        };
        if applied.is_err() {
            while let Some(entry) = before.pop() {
                self.restore(&entry);
            }
        }
        applied
    }

    /// Adds to limits that are to change what they need of those that stay: a quota is written with its period, and
    /// swap is told as memory and swap together.
    pub fn complete(&self, resources: &mut spec::Resources) -> Result<()> {
        let number = |name: &str, word: usize| -> Result<Option<i64>> {
            let text = file::read_if_there(self.descriptor(), name)
                .step(|| format!("read {}/{name}", self.path()))?;
            Ok(text.split_ascii_whitespace().nth(word).map(|word| word.parse().unwrap_or(-1)))
        };
        if let Some(cpu) = &mut resources.cpu {
            let (quota, period) = (cpu.quota.is_some(), cpu.period.is_some());
            if period && !quota {
                cpu.quota = number("cpu.max", 0)?;
            }
            if quota && !period {
                cpu.period = number("cpu.max", 1)?.and_then(|period| period.try_into().ok());
            }
        }
        if let Some(memory) = &mut resources.memory
            && memory.swap.is_some()
            && memory.limit.is_none()
        {
            memory.limit = number("memory.max", 0)?;
        }
        Ok(())
    }

    fn apply_one(&self, write: &Write, before: &mut Vec<Before>) -> Result<()> {
        let errno = match self.write(&write.file, &write.value, before) {
            Ok(()) => return Ok(()),
            Err(errno) => errno,
        };
        let outcome = match (&write.refusal, errno) {
            (Refusal::Missing, Errno::NOENT) | (Refusal::Retried, _) => return Ok(()),
            (Refusal::Instead(file, value), Errno::NOENT) => self.write(file, value, before),
            _ => Err(errno),
        };
        outcome.map_err(|errno| {
            let Write { field, file, value, .. } = write;
            let error = Error::os(
                format_args!("linux.resources.{field}: write \"{value}\" into {}/{file}", self.path()),
                errno,
            );
            match errno {
                Errno::NOENT => {
                    error.hint("the kernel lacks this file, or its controller is not enabled for this cgroup")
                }
                Errno::INVAL | Errno::RANGE => error.hint("the kernel does not accept this value"),
                Errno::NODEV | Errno::NXIO => {
                    error.hint("there is no such device, or it is a partition and not a whole disk")
                }
                Errno::BUSY => error.hint("present use does not allow it"),
                _ => error,
            }
        })
    }

    fn write(&self, name: &str, value: &str, before: &mut Vec<Before>) -> io::Result<()> {
        // Some files can only be written (memory.reclaim).
        let text = file::read(self.descriptor(), name).unwrap_or_default();
        file::write(self.descriptor(), name, value)?;
        before.push(Before { file: name.to_string(), line: without(name, value), text });
        Ok(())
    }

    /// As well as it goes: there is an error to report already.
    fn restore(&self, before: &Before) {
        for line in [before.line.as_str()].into_iter().chain(before.text.lines()) {
            if !line.is_empty() {
                let _ = file::write(self.descriptor(), &before.file, line);
            }
        }
    }

    /// A limit below what is used now would make the kernel kill (`memory.checkBeforeUpdate`).
    fn check_memory(&self, limits: &Limits) -> Result<()> {
        let Some((memory, both)) = limits.check_memory else { return Ok(()) };
        let read = |name: &str| -> Result<u64> {
            let text = file::read_if_there(self.descriptor(), name)
                .step(|| format!("read {}/{name}", self.path()))?;
            Ok(text.trim_end().parse().unwrap_or(0))
        };
        let used = read("memory.current")?;
        let swapped = if both.is_some() { read("memory.swap.current")? } else { 0 };
        for (field, limit, used) in [("memory.limit", memory, used), ("memory.swap", both, used + swapped)] {
            if let Some(limit) = limit
                && limit <= used
            {
                return Err(Error::new(format_args!(
                    "linux.resources.{field}: {limit} is not above the {used} bytes that are used now"
                ))
                .hint("memory.checkBeforeUpdate is set, so nothing was changed"));
            }
        }
        Ok(())
    }
}

/// The line that undoes a line for one device, as the kernel's files understand it.
fn without(file: &str, value: &str) -> String {
    let device = value.split(' ').next().unwrap_or_default();
    match file {
        "io.max" => format!("{device} rbps=max wbps=max riops=max wiops=max"),
        "rdma.max" => format!("{device} hca_handle=max hca_object=max"),
        "io.weight" | "io.bfq.weight" if device.contains(':') => format!("{device} default"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::tests::Fake;
    use super::*;

    fn write(file: &str, value: &str, refusal: Refusal) -> Write {
        Write { field: "field".into(), file: file.into(), value: value.into(), refusal }
    }

    #[test]
    fn a_refused_write_leaves_the_old_values() {
        let fake = Fake::new("apply");
        fake.write("memory.max", "max\n");
        fake.write("pids.max", "7\n");
        let mut limits = Limits::default();
        limits.writes.push(write("memory.max", "123", Refusal::Fails));
        limits.writes.push(write("memory.swap.max", "0", Refusal::Missing));
        limits.writes.push(write("io.bfq.weight", "10", Refusal::Instead("pids.max", "9".into())));
        fake.cgroup().apply(&limits).expect("applied");
        // Plain files are not cut when they are written, unlike those of the kernel.
        assert_eq!((fake.read("memory.max"), fake.read("pids.max")), ("123\n".into(), "9\n".into()));
        limits.writes[0].value = "456".into();
        limits.writes.push(write("cpu.max", "1", Refusal::Fails));
        let error = fake.cgroup().apply(&limits).expect_err("refused").to_string();
        assert!(error.starts_with("linux.resources.field: write \"1\" into "), "{error}");
        assert_eq!((fake.read("memory.max"), fake.read("pids.max")), ("123\n".into(), "9\n".into()));
    }

    #[test]
    fn memory_in_use_is_left_alone_where_that_is_asked_for() {
        let fake = Fake::new("check");
        fake.write("memory.current", "1000\n");
        fake.write("memory.swap.current", "500\n");
        for (check, field) in [
            ((Some(1000), None), Some("memory.limit: 1000 is not above the 1000")),
            ((None, Some(1500)), Some("memory.swap: 1500 is not above the 1500")),
            ((Some(1001), Some(1501)), None),
        ] {
            let limits = Limits { check_memory: Some(check), ..Limits::default() };
            let error = fake.cgroup().apply(&limits).err().map(|error| error.to_string());
            match field {
                Some(field) => assert!(error.expect("refused").contains(field)),
                None => assert_eq!(error, None),
            }
        }
    }

    #[test]
    fn lines_for_one_device_are_taken_back_by_name() {
        assert_eq!(without("io.max", "8:0 rbps=1"), "8:0 rbps=max wbps=max riops=max wiops=max");
        assert_eq!(without("io.weight", "8:0 50"), "8:0 default");
        assert_eq!(without("io.weight", "50"), "");
        assert_eq!(without("rdma.max", "mlx hca_handle=1"), "mlx hca_handle=max hca_object=max");
    }
}
