//! Who the process is at the end: limits, priorities, ids, capabilities. The order is the kernel's: what takes
//! privileges comes before they are given up.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Rlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, Gid, Uid, clear_ambient_capability_set,
    configure_capability_in_ambient_set, remove_capability_from_bounding_set, set_capabilities,
    set_keep_capabilities, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::gather::Gather as _;
use crate::plan::capabilities::{self as plan, Capabilities};
use crate::plan::process::{Process, User};
use crate::plan::schedule::Schedule;
use crate::seccomp::Filter;
use crate::sys::path::openat;
use crate::sys::{schedule, seccomp};
use rustix::fd::{AsFd, OwnedFd};

/// Writes the badness of `process` (`self`, or a pid) for the out-of-memory killer.
pub fn set_oom_score(process: impl core::fmt::Display, score: i32) -> Result<()> {
    let path = format!("/proc/{process}/oom_score_adj");
    let step = || format!("write {score} to {path} (process.oomScoreAdj)");
    let file = openat(CWD, path.as_str(), OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).step(step)?;
    write_all(file.as_fd(), format!("{score}").as_bytes()).map_err(|errno| match errno {
        Errno::ACCESS | Errno::PERM => {
            Error::os(step(), errno).hint("a lower score takes CAP_SYS_RESOURCE on the host")
        }
        _ => Error::os(step(), errno),
    })
}

/// Sets priorities, memory nodes and the execution domain.
pub fn set_schedule(wanted: &Schedule) -> Result<()> {
    if !wanted.processors.is_empty() {
        schedule::sched_setaffinity(&wanted.processors)
            .step(|| "take the processors (process.execCPUAffinity)")?;
    }
    if let Some(policy) = &wanted.policy {
        schedule::sched_setattr(policy).step(|| "set the scheduling policy (process.scheduler)")?;
    }
    if let Some(priority) = wanted.io_priority {
        schedule::ioprio_set(priority).step(|| "set the I/O priority (process.ioPriority)")?;
    }
    if let Some((mode, nodes)) = &wanted.memory {
        schedule::set_mempolicy(*mode, nodes).map_err(|errno| {
            let error = Error::os("set the memory policy (linux.memoryPolicy)", errno);
            if errno == Errno::NOSYS { error.hint("the kernel lacks CONFIG_NUMA") } else { error }
        })?;
    }
    if let Some(domain) = wanted.personality {
        schedule::personality(domain).step(|| "set the execution domain (linux.personality)")?;
    }
    Ok(())
}

/// Sets the resource limits.
pub fn set_limits(process: &Process) -> Result<()> {
    let value = |limit: u64| (limit != u64::MAX).then_some(limit);
    for limit in &process.rlimits {
        let new = Rlimit { current: value(limit.soft), maximum: value(limit.hard) };
        setrlimit(limit.resource, new).map_err(|errno| {
            let step = format!("set {} to {}:{}", limit.name, limit.soft, limit.hard);
            let error = Error::os(step, errno);
            if errno == Errno::PERM {
                error.hint("a higher hard limit takes CAP_SYS_RESOURCE")
            } else {
                error
            }
        })?;
    }
    Ok(())
}

/// Becomes root of a new user namespace, so that what is made from here on belongs to its ids. A namespace
/// without an id 0 has no root to become.
pub fn become_root() -> Result<()> {
    let ids = set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT)
        .and_then(|()| set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT));
    match ids {
        Err(Errno::INVAL) => Ok(()),
        other => other.step(|| "become root of the user namespace"),
    }
}

/// Takes the ids of the process; what is permitted stays so, until [`take_capabilities`].
pub fn take_ids(user: &User, capabilities: &Capabilities) -> Result<()> {
    drop_bounding(capabilities)?;
    set_keep_capabilities(true).step(|| "keep capabilities over the change of ids")?;
    let groups: Vec<Gid> = user.groups.iter().map(|&gid| Gid::from_raw(gid)).gather();
    match set_thread_groups(&groups) {
        // In a user namespace without setgroups(2) the caller's groups stay; that is all right if none were asked
        // for (user_namespaces(7), "setgroups").
        Err(Errno::PERM) if groups.is_empty() => {}
        other => other.step(|| "set the supplementary groups (process.user.additionalGids)")?,
    }
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_res_gid(gid, gid, gid).map_err(|errno| unmapped("gid", user.gid, errno))?;
    set_thread_res_uid(uid, uid, uid).map_err(|errno| unmapped("uid", user.uid, errno))?;
    set_keep_capabilities(false).step(|| "stop keeping capabilities")
}

/// What of the sets this process can give, and a warning about the rest: the specification wants that said, and the
/// container to run (config.md, "capabilities").
pub fn grantable(process: &Process) -> Result<(Capabilities, Option<String>)> {
    let wanted = &process.capabilities;
    let own = rustix::thread::capabilities(None).step(|| "read our own capabilities")?.permitted.bits();
    let only = |set: plan::CapabilitySet| plan::CapabilitySet(set.0 & own);
    let given = Capabilities {
        // A bounding set is only ever reduced: what we lack is not in it.
        bounding: wanted.bounding,
        effective: only(wanted.effective),
        permitted: only(wanted.permitted),
        inheritable: only(wanted.inheritable),
        ambient: only(wanted.ambient_that_can_be()),
    };
    let lacking = (wanted.permitted.0 & !given.permitted.0) | (wanted.ambient.0 & !given.ambient.0);
    let mut names: Vec<String> =
        plan::CapabilitySet(lacking).names().map(|name| format!("CAP_{name}")).gather();
    names.extend(process.unknown_capabilities.iter().cloned());
    let warning = format!("process.capabilities: cannot be given: {}", names.join(" "));
    Ok((given, (!names.is_empty()).then_some(warning)))
}

fn unmapped(which: &str, id: u32, errno: Errno) -> Error {
    let error = Error::os(format_args!("take the {which} {id} (process.user.{which})"), errno);
    if errno == Errno::INVAL { error.hint("the id is not mapped in the user namespace") } else { error }
}

fn drop_bounding(capabilities: &Capabilities) -> Result<()> {
    for number in (0..u64::BITS).filter(|number| capabilities.bounding.0 & (1 << number) == 0) {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << number)) {
            Ok(()) => {}
            // The kernel's last capability was the one before.
            Err(Errno::INVAL) => break,
            Err(errno) => {
                let error = Error::os("drop a capability from the bounding set", errno);
                return Err(error.hint("this takes CAP_SETPCAP"));
            }
        }
    }
    Ok(())
}

/// Installs a filter, which without no_new_privs takes CAP_SYS_ADMIN. Returns the listener's descriptor.
pub fn set_filter(filter: &Filter, no_new_privileges: bool) -> Result<Option<OwnedFd>> {
    if !no_new_privileges {
        // The change of ids has left it permitted at most.
        let mut own = rustix::thread::capabilities(None).step(|| "read our own capabilities")?;
        own.effective = own.permitted;
        set_capabilities(None, own).step(|| "raise our own capabilities")?;
    }
    seccomp::set_filter(&filter.program, filter.flags).map_err(|errno| {
        let error = Error::os("install the filter of system calls (linux.seccomp)", errno);
        match errno {
            Errno::INVAL => {
                error.hint("the kernel lacks CONFIG_SECCOMP_FILTER, an action or one of the flags")
            }
            Errno::ACCESS => error.hint("this takes CAP_SYS_ADMIN or process.noNewPrivileges"),
            Errno::BUSY => error.hint("there is a listener already, outside"),
            _ => error,
        }
    })
}

/// Gives up every capability but those.
pub fn take_capabilities(capabilities: &Capabilities) -> Result<()> {
    let set = |set: plan::CapabilitySet| CapabilitySet::from_bits_retain(set.0);
    let sets = CapabilitySets {
        effective: set(capabilities.effective),
        permitted: set(capabilities.permitted),
        inheritable: set(capabilities.inheritable),
    };
    set_capabilities(None, sets).map_err(|errno| {
        let error = Error::os("set the capabilities (process.capabilities)", errno);
        if errno == Errno::PERM {
            error.hint("Servin cannot give what it does not have itself")
        } else {
            error
        }
    })?;
    match clear_ambient_capability_set() {
        // Before Linux 4.3 there is no such set.
        Err(Errno::INVAL) if capabilities.ambient.0 == 0 => return Ok(()),
        other => other.step(|| "clear the ambient capabilities")?,
    }
    for number in capabilities.ambient.numbers() {
        configure_capability_in_ambient_set(CapabilitySet::from_bits_retain(1 << number), true)
            .step(|| "raise an ambient capability (process.capabilities.ambient)")?;
    }
    Ok(())
}
