//! Kernel parameters, written through a procfs of our own that is mounted nowhere: no path in it can have been
//! prepared (CVE-2025-52881).

use alloc::format;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstatfs};
use rustix::io::Errno;

use super::mount::{PROC_MAGIC, new_file_system};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::resolve;
use crate::plan::mounts::Attributes;
use crate::plan::sysctl::Sysctl;
use crate::sys::path::openat;

/// Writes one parameter.
pub fn write(sysctl: &Sysctl) -> Result<()> {
    let path = format!("sys/{}", sysctl.path);
    let file = resolve::open_without_links(procfs()?, &path, OFlags::WRONLY).map_err(|errno| {
        let error = Error::os(format_args!("open /proc/{path}"), errno);
        if errno == Errno::NOENT { error.hint("this kernel has no such parameter") } else { error }
    })?;
    write_all(file.as_fd(), sysctl.value.as_bytes()).step(|| "write")
}

/// A fresh procfs; where that cannot be, the host's /proc, which is still the one at this path: the root is not
/// switched yet.
fn procfs() -> Result<OwnedFd> {
    match new_file_system("proc", "proc", &[], Attributes::default()) {
        Ok(procfs) => Ok(procfs),
        Err(_) => {
            let proc =
                openat(CWD, c"/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
                    .step(|| "open /proc")?;
            match fstatfs(&proc).step(|| "look at /proc")?.f_type as u64 {
                PROC_MAGIC => Ok(proc),
                _ => Err(Error::new("/proc is not a proc file system")),
            }
        }
    }
}
