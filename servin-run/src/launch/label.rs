//! The labels that AppArmor and SELinux give the program at its exec, written to /proc/PID/attr (proc_pid_attr(5)).
//!
//! The container's own /proc is not to be trusted: something else may be mounted over the file, and the process would
//! go on unconfined (CVE-2019-16884). The file is taken from a procfs that is attached nowhere; where the kernel makes
//! none, from the container's, if it is proved to be one.

use alloc::format;
use alloc::string::String;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstatfs};
use rustix::io::Errno;

use super::mount::{PROC_MAGIC, new_file_system};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::{read_to_end, resolve};
use crate::plan::Plan;
use crate::plan::mounts::Attributes;
use crate::plan::process::Process;
use crate::sys::path::{access, openat};

/// An error unless this host can give the labels that are asked for.
pub fn check_host(plan: &Plan) -> Result<()> {
    let process = &plan.process;
    if process.apparmor.is_some() && !has_apparmor() {
        return Err(Error::new(
            "process.apparmorProfile: this host has no AppArmor (CONFIG_SECURITY_APPARMOR, lsm=)",
        ));
    }
    let field = match (&process.selinux, &plan.mount_label) {
        (Some(_), _) => "process.selinuxLabel",
        (None, Some(_)) => "linux.mountLabel",
        (None, None) => return Ok(()),
    };
    match access(c"/sys/fs/selinux/enforce", rustix::fs::Access::EXISTS) {
        Ok(()) => Ok(()),
        Err(_) => {
            Err(Error::new(format_args!("{field}: this host has no SELinux (CONFIG_SECURITY_SELINUX, lsm=)")))
        }
    }
}

fn has_apparmor() -> bool {
    let enabled = c"/sys/module/apparmor/parameters/enabled";
    let file = openat(CWD, enabled, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
    file.is_ok_and(|file| read_to_end(&file).is_ok_and(|text| text.starts_with(b"Y")))
}

/// Asks for the labels at the next exec of this process.
pub fn set(process: &Process) -> Result<()> {
    if let Some(profile) = &process.apparmor {
        let step = || format!("take the AppArmor profile {profile} (process.apparmorProfile)");
        // Of its own since Linux 5.8, where it stands beside other modules.
        let file = match attribute("attr/apparmor/exec") {
            Err(error) if error.errno() == Some(Errno::NOENT) => attribute("attr/exec")?,
            other => other?,
        };
        write_all(file.as_fd(), format!("exec {profile}").as_bytes()).map_err(|errno| {
            let error = Error::os(step(), errno);
            if errno == Errno::NOENT { error.hint("the profile is not loaded") } else { error }
        })?;
    }
    if let Some(label) = &process.selinux {
        let step = || format!("take the SELinux label {label} (process.selinuxLabel)");
        write_all(attribute("attr/exec")?.as_fd(), label.as_bytes()).step(step)?;
    }
    Ok(())
}

fn attribute(name: &str) -> Result<OwnedFd> {
    let step = || format!("open {name} of a procfs");
    let path: String = format!("{}/{name}", rustix::process::getpid());
    match new_file_system("proc", "proc", &[], Attributes::default()) {
        Ok(procfs) => openat(&procfs, &*path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).step(step),
        Err(_) => {
            let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step(step)?;
            let file =
                resolve::open_without_links(&root, &format!("/proc/{path}"), OFlags::WRONLY).step(step)?;
            match fstatfs(&file).step(step)?.f_type as u64 {
                PROC_MAGIC => Ok(file),
                _ => Err(Error::new(format_args!("{}: it is a file of something else", step()))),
            }
        }
    }
}
