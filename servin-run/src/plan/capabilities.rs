//! Capability names and sets (capabilities(7)).

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::spec;

/// The name of each capability without `CAP_`, at the place of its number (linux/capability.h).
#[rustfmt::skip]
const NAMES: &[&str] = &[
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
];

/// A set of capabilities, bit N for capability N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapabilitySet(pub u64);

impl CapabilitySet {
    /// Every capability that this version knows.
    pub const ALL: CapabilitySet = CapabilitySet((1 << NAMES.len()) - 1);

    /// The numbers of the capabilities in the set.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |n| self.0 & (1 << n) != 0)
    }

    /// The names of the capabilities in the set, without `CAP_`.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES.iter().enumerate().filter(move |(n, _)| self.0 & (1 << n) != 0).map(|(_, name)| *name)
    }

    /// Adds the capability called `name`, in capitals and without `CAP_`.
    pub fn by_name(name: &str) -> Option<CapabilitySet> {
        NAMES.iter().position(|n| *n == name).map(|number| CapabilitySet(1 << number))
    }
}

impl core::ops::BitOrAssign for CapabilitySet {
    fn bitor_assign(&mut self, other: CapabilitySet) {
        self.0 |= other.0;
    }
}

/// The five sets of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Capabilities {
    /// What an exec can ever give.
    pub bounding: CapabilitySet,
    /// What the kernel checks.
    pub effective: CapabilitySet,
    /// What can be made effective.
    pub permitted: CapabilitySet,
    /// What a file with inheritable capabilities keeps over an exec. Never filled by Servin itself
    /// (CVE-2022-29162).
    pub inheritable: CapabilitySet,
    /// What a program without privileges of its own keeps over an exec.
    pub ambient: CapabilitySet,
}

/// Reads `process.capabilities`; a process without that field gets none. Also returned are the names that stand for
/// none: an engine may know a newer kernel than we do, and the container is to run all the same (config.md,
/// "capabilities").
pub fn plan(process: &spec::Process) -> Result<(Capabilities, Vec<String>)> {
    let mut unknown = Vec::new();
    let Some(wanted) = &process.capabilities else { return Ok((Capabilities::default(), unknown)) };
    let mut parse = |names: &[String]| parse(names, &mut unknown);
    let sets = Capabilities {
        bounding: parse(&wanted.bounding),
        effective: parse(&wanted.effective),
        permitted: parse(&wanted.permitted),
        inheritable: parse(&wanted.inheritable),
        ambient: parse(&wanted.ambient),
    };
    // The kernel's own rule, checked here so that the error names the field and not capset.
    match CapabilitySet(sets.effective.0 & !sets.permitted.0).names().next() {
        Some(name) => Err(Error::new(format_args!(
            "process.capabilities.effective: CAP_{name} is not in process.capabilities.permitted, as the kernel demands"
        ))),
        None => Ok((sets, unknown)),
    }
}

fn parse(names: &[String], unknown: &mut Vec<String>) -> CapabilitySet {
    let mut parsed = CapabilitySet::default();
    for name in names {
        match name.strip_prefix("CAP_").and_then(CapabilitySet::by_name) {
            Some(known) => parsed |= known,
            None if unknown.contains(name) => {}
            None => unknown.push(name.clone()),
        }
    }
    parsed
}

impl Capabilities {
    /// The ambient capabilities that the kernel lets be raised: those that are permitted and inheritable too
    /// (capabilities(7)). Default configurations ask for others since inheritable sets are empty
    /// (CVE-2022-29162), and no runtime refuses them for it.
    pub fn ambient_that_can_be(&self) -> CapabilitySet {
        CapabilitySet(self.ambient.0 & self.permitted.0 & self.inheritable.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (name, number) in [("CHOWN", 0), ("SYS_ADMIN", 21), ("MKNOD", 27), ("CHECKPOINT_RESTORE", 40)] {
            assert_eq!(CapabilitySet::by_name(name), Some(CapabilitySet(1 << number)), "{name}");
        }
        assert_eq!(CapabilitySet::by_name("sys_admin"), None);
        assert_eq!(CapabilitySet::ALL.numbers().count(), 41);
    }

    #[test]
    fn unknown_names_are_told_once_and_left_out() {
        let names = ["CAP_CHOWN".into(), "CAP_NOSUCH".into(), "CHOWN".into(), "CAP_NOSUCH".into()];
        let mut unknown = Vec::new();
        assert_eq!(parse(&names, &mut unknown), CapabilitySet(1));
        assert_eq!(unknown, ["CAP_NOSUCH", "CHOWN"], "a configuration's names begin with CAP_");
    }

    #[test]
    fn a_set_that_the_kernel_would_refuse_is_refused_by_name() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).into()).collect();
        let wanted =
            spec::Capabilities { effective: names(&["CAP_SYS_ADMIN"]), ..spec::Capabilities::default() };
        let process = spec::Process { capabilities: Some(wanted), ..spec::Process::default() };
        let error = plan(&process).expect_err("refused").to_string();
        assert!(error.starts_with("process.capabilities.effective: CAP_SYS_ADMIN"), "{error}");
    }

    #[test]
    fn an_ambient_capability_must_be_permitted_and_inheritable() {
        let all = CapabilitySet(7);
        let sets = Capabilities {
            ambient: all,
            permitted: CapabilitySet(6),
            inheritable: CapabilitySet(3),
            ..Capabilities::default()
        };
        assert_eq!(sets.ambient_that_can_be(), CapabilitySet(2));
    }
}
