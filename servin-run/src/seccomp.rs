//! From `linux.seccomp` to a program of classic BPF that the kernel runs at every system call ([config-linux.md,
//! Seccomp](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#seccomp), seccomp(2)). Pure: no
//! system call.
//!
//! The meaning of a profile is what libseccomp makes of it for runc and crun:
//! - a rule whose action is the default one adds nothing; a name that the table does not know is skipped;
//! - a rule without conditions decides for its call whatever else is said of it;
//! - else the rules count in their order, and the first whose conditions all hold decides;
//! - a rule with two conditions on one argument is one rule for each of its conditions.
//!
//! As with runc, a call that is newer than every call of the profile is answered ENOSYS where the default is another
//! error: C libraries then take the older call, which EPERM would not make them do.

mod abi;
mod architecture;
mod default;
mod program;
mod table;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::errno::{ENOSYS, EPERM};

use crate::error::{Error, Result};
use crate::spec::{self, Action, Operator};
use crate::sys::seccomp::{Instruction, NEW_LISTENER};
use abi::Abi;
pub use architecture::names as architectures;
pub use default::default;
use program::{Condition, Family, Rule};

/// A compiled filter, and how it is installed.
#[derive(Debug, Clone)]
pub struct Filter {
    /// The program.
    pub program: Vec<Instruction>,
    /// `SECCOMP_FILTER_FLAG_*`.
    pub flags: u32,
    /// A descriptor is to be had that answers `SCMP_ACT_NOTIFY`; it goes to this socket, with that text.
    pub listener: Option<Listener>,
}

/// Who answers for the kernel.
#[derive(Debug, Clone)]
pub struct Listener {
    /// The socket, absolute on the host.
    pub path: String,
    /// Opaque to us.
    pub metadata: Option<String>,
}

/// The flags that are known, with their bits (linux/seccomp.h).
pub const FLAGS: &[(&str, u32)] = &[
    // For all threads: there is one.
    ("SECCOMP_FILTER_FLAG_TSYNC", 0),
    ("SECCOMP_FILTER_FLAG_LOG", 1 << 1),
    ("SECCOMP_FILTER_FLAG_SPEC_ALLOW", SPEC_ALLOW),
    ("SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", 1 << 5),
];
const SPEC_ALLOW: u32 = 1 << 2;

/// What the kernel reads in the value that the program returns (linux/seccomp.h).
const KILL_PROCESS: u32 = 0x8000_0000;
const KILL_THREAD: u32 = 0;
const TRAP: u32 = 0x0003_0000;
const ERRNO: u32 = 0x0005_0000;
const USER_NOTIFICATION: u32 = 0x7fc0_0000;
const TRACE: u32 = 0x7ff0_0000;
const LOG: u32 = 0x7ffc_0000;
const ALLOW: u32 = 0x7fff_0000;

/// Compiles a profile for this machine. Errors name the field, from `linux.seccomp` on.
pub fn compile(profile: &spec::Seccomp) -> Result<Filter> {
    let default =
        returned("linux.seccomp.defaultErrnoRet", profile.default_action, profile.default_errno_ret)?;
    let listener = listener(profile)?;
    let families = families(profile, default)?;
    let program = program::assemble(families, KILL_THREAD).ok_or_else(|| {
        Error::new("linux.seccomp: the program is longer than the kernel takes (4096 instructions)")
    })?;
    let mut flags = if profile.flags.is_empty() { SPEC_ALLOW } else { 0 };
    for (index, word) in profile.flags.iter().enumerate() {
        match FLAGS.iter().find(|(name, _)| name == word) {
            Some((_, bit)) => flags |= bit,
            None => {
                return Err(Error::new(format_args!(
                    "linux.seccomp.flags[{index}]: there is no flag {word}"
                )));
            }
        }
    }
    if listener.is_some() {
        flags |= NEW_LISTENER;
    }
    Ok(Filter { program, flags, listener })
}

fn listener(profile: &spec::Seccomp) -> Result<Option<Listener>> {
    let path = profile.listener_path.as_deref().filter(|path| !path.is_empty());
    if profile.default_action == Action::Notify {
        return Err(Error::new("linux.seccomp.defaultAction: SCMP_ACT_NOTIFY cannot be the default"));
    }
    let mut notifies = false;
    for (index, rule) in profile.syscalls.iter().enumerate().filter(|(_, rule)| rule.action == Action::Notify)
    {
        notifies = true;
        if rule.names.iter().any(|name| name == "write") {
            // Servin itself has to write before the listener is there.
            return Err(Error::new(format_args!(
                "linux.seccomp.syscalls[{index}]: SCMP_ACT_NOTIFY cannot be for write"
            )));
        }
    }
    match path {
        None if notifies => {
            Err(Error::new("linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs it"))
        }
        None if profile.listener_metadata.as_ref().is_some_and(|text| !text.is_empty()) => {
            Err(Error::new("linux.seccomp.listenerMetadata: there is no listenerPath"))
        }
        Some(path) if !path.starts_with('/') => {
            Err(Error::new(format_args!("linux.seccomp.listenerPath: \"{path}\" is not an absolute path")))
        }
        Some(path) if notifies => {
            Ok(Some(Listener { path: path.into(), metadata: profile.listener_metadata.clone() }))
        }
        _ => Ok(None),
    }
}

/// The rules of the profile for each architecture, and what happens to all other calls.
fn families(profile: &spec::Seccomp, default: u32) -> Result<Vec<Family>> {
    let unknown = match default & 0xffff_0000 {
        ERRNO => ERRNO | ENOSYS,
        _ => default,
    };
    let family = |abi: Abi| Family { abi, rules: Vec::new(), default, newest: abi.bit, unknown };
    let mut families: Vec<Family> =
        architecture::wanted(&profile.architectures)?.into_iter().map(family).collect();
    for (index, rule) in profile.syscalls.iter().enumerate() {
        let at = |field: &str| alloc::format!("linux.seccomp.syscalls[{index}].{field}");
        let action =
            returned(format_args!("linux.seccomp.syscalls[{index}].errnoRet"), rule.action, rule.errno_ret)?;
        if rule.names.is_empty() {
            return Err(Error::new(format_args!("{} is empty", at("names"))));
        }
        let conditions = conditions(rule).map_err(|error| error.within(at("args")))?;
        let apart = repeats_an_argument(rule);
        for place in rule.names.iter().filter_map(|name| table::find(name)) {
            for family in &mut families {
                let Some(number) = table::number(place, family.abi.column) else { continue };
                let number = number | family.abi.bit;
                family.newest = family.newest.max(number);
                if action == default {
                    continue;
                }
                match apart {
                    false => family.rules.push(Rule { number, action, conditions: conditions.clone() }),
                    true => family.rules.extend(conditions.iter().map(|condition| Rule {
                        number,
                        action,
                        conditions: [*condition].into(),
                    })),
                }
            }
        }
    }
    Ok(families)
}

fn repeats_an_argument(rule: &spec::SyscallRule) -> bool {
    let earlier = |position: usize, index: u32| rule.args.iter().take(position).any(|arg| arg.index == index);
    rule.args.iter().enumerate().any(|(position, arg)| earlier(position, arg.index))
}

fn conditions(rule: &spec::SyscallRule) -> Result<Vec<Condition>> {
    let mut conditions = Vec::new();
    for (index, arg) in rule.args.iter().enumerate() {
        if arg.index > 5 {
            return Err(Error::new(format_args!("[{index}].index: {} is not from 0 to 5", arg.index)));
        }
        let (mask, value) = match arg.op {
            Operator::MaskedEqual => (arg.value, arg.value_two.unwrap_or(0) & arg.value),
            _ => (u64::MAX, arg.value),
        };
        conditions.push(Condition { argument: arg.index, operator: arg.op, mask, value });
    }
    Ok(conditions)
}

/// The value that the program returns for an action. A number with one that has none is an error (config-linux.md,
/// "Seccomp", errnoRet).
fn returned(field: impl core::fmt::Display, action: Action, number: Option<u32>) -> Result<u32> {
    if number.is_some() && !matches!(action, Action::Errno | Action::Trace) {
        return Err(Error::new(format_args!("{field}: {} has no error number", action.as_str())));
    }
    let data = || match number.unwrap_or(EPERM) {
        number @ 0..=0xffff => Ok(number),
        number => Err(Error::new(format_args!("{field}: {number} is more than 65535"))),
    };
    Ok(match action {
        Action::Kill | Action::KillThread => KILL_THREAD,
        Action::KillProcess => KILL_PROCESS,
        Action::Trap => TRAP,
        Action::Errno => ERRNO | data()?,
        Action::Trace => TRACE | data()?,
        Action::Allow => ALLOW,
        Action::Log => LOG,
        Action::Notify => USER_NOTIFICATION,
    })
}
