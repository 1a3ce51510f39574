//! Servin's own programs behind what nobody can write to, since a container may get hold of the program that a process
//! executes, by /proc/PID/exe (CVE-2019-5736): a sealed copy in memory, which is no file of the host at all; or, where
//! nobody but Servin is around to look, the file as a read-only mount in no namespace, which saves the copying.

use alloc::vec::Vec;
use core::ffi::CStr;

use linux_raw_sys::general::MOUNT_ATTR_RDONLY;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, SealFlags, StatVfsMountFlags, fcntl_add_seals, fcntl_get_seals, fstatvfs,
    memfd_create, sendfile,
};
use rustix::io::Errno;
use rustix::mount::{OpenTreeFlags, open_tree};

use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::sys::exec::execveat_original;
use crate::sys::mount::{MountAttr, mount_setattr};
use crate::sys::path::{openat, readlinkat};
use servin_init::sys::start::Arguments;

/// Everything that could change the copy is forbidden, the taking away of seals too.
const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// `MFD_EXEC` of linux/memfd.h (Linux 6.3), which a host with `vm.memfd_noexec=1` demands for a program.
const EXECUTABLE: MemfdFlags = MemfdFlags::from_bits_retain(0x10);

/// A sealed copy of `program`.
pub fn copy(name: &str, program: &[u8]) -> Result<OwnedFd> {
    seal(name, |file| write_all(file.as_fd(), program))
}

/// Whom a process of Servin may meet before it becomes the container's.
#[derive(Clone, Copy, PartialEq)]
pub enum Company {
    /// Processes of a container, which look at its program.
    Strangers,
    /// Nobody: its PID namespace is a new one. Yet what it executes in the end may lead back to Servin's own program.
    Nobody,
}

/// This very program where nothing can change it; `None` where it runs from there already.
pub fn copy_of_self(company: Company) -> Result<Option<OwnedFd>> {
    let own = openat(CWD, OWN, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open /proc/self/exe (is /proc mounted?)")?;
    if fcntl_get_seals(&own).is_ok_and(|seals| seals.contains(SEALS)) {
        return Ok(None);
    }
    if company == Company::Nobody {
        // The file is the root of such a mount, and no other program is.
        let is_root = readlinkat(CWD, OWN, Vec::new()).is_ok_and(|path| path.as_bytes() == b"/");
        if is_root && is_read_only(&own) {
            return Ok(None);
        }
        if let Some(view) = read_only_view() {
            return Ok(Some(view));
        }
    }
    // Inside the kernel, in one call: this is on the way of every container.
    seal("servin-run", |file| {
        loop {
            if sendfile(file, &own, None, 1 << 30)? == 0 {
                return Ok(());
            }
        }
    })
    .map(Some)
}

/// The file as a mount of its own, read-only and in no namespace: nobody finds it there to make it writable again, and
/// as a process's program it keeps the mount's flags (mnt_want_write in the kernel's fs/namespace.c). None where the
/// kernel has no such mounts, or does not let us.
fn read_only_view() -> Option<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let view = open_tree(CWD, OWN, flags).ok()?;
    let change = MountAttr { set: MOUNT_ATTR_RDONLY.into(), ..MountAttr::default() };
    mount_setattr(&view, false, &change).ok()?;
    is_read_only(&view).then_some(view)
}

fn is_read_only(file: &OwnedFd) -> bool {
    fstatvfs(file).is_ok_and(|found| found.f_flag.contains(StatVfsMountFlags::RDONLY))
}

const OWN: &CStr = c"/proc/self/exe";

fn seal(name: &str, fill: impl FnOnce(&OwnedFd) -> rustix::io::Result<()>) -> Result<OwnedFd> {
    let step = || alloc::format!("make a sealed copy of {name} in memory (memfd_create)");
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = match memfd_create(name, flags | EXECUTABLE) {
        Err(Errno::INVAL) => memfd_create(name, flags),
        other => other,
    }
    .step(step)?;
    fill(&file).step(step)?;
    fcntl_add_seals(&file, SEALS).step(step)?;
    Ok(file)
}

/// Executes `copy` with the arguments and the environment that this process was started with. Returns only on
/// failure.
pub fn execute(copy: &OwnedFd, original: Arguments) -> Error {
    Error::os("execute servin-run where nothing can change it", execveat_original(copy, original))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_of_ones_own_file_is_read_only() {
        // Without rights over mounts there is none.
        if let Some(view) = read_only_view() {
            let path = std::format!("/proc/self/fd/{}", rustix::fd::AsRawFd::as_raw_fd(&view));
            // Not by opening it: it is being executed, which is refused first.
            let changed = crate::sys::path::chmodat(CWD, &*path, Mode::RWXU, rustix::fs::AtFlags::empty());
            assert_eq!(changed, Err(Errno::ROFS));
        }
    }

    #[test]
    fn nothing_can_change_a_sealed_copy() {
        let copy = copy("test", b"program").expect("a copy");
        assert_eq!(rustix::io::write(&copy, b"x"), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&copy, 0), Err(Errno::PERM));
        assert_eq!(fcntl_add_seals(&copy, SealFlags::FUTURE_WRITE), Err(Errno::PERM));
    }
}
