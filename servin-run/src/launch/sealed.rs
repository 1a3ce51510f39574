//! Programs of Servin's own that a container sees only as sealed copies in memory: no file of the host can be
//! reached, let alone written, through /proc/PID/exe (CVE-2019-5736).

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    CWD, MemfdFlags, Mode, OFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create, openat,
    sendfile,
};
use rustix::io::Errno;

use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::sys::exec::execveat_original;
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

/// A sealed copy of this very program; `None` where it runs from one already.
pub fn copy_of_self() -> Result<Option<OwnedFd>> {
    let own = openat(CWD, c"/proc/self/exe", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
        .step(|| "open /proc/self/exe (is /proc mounted?)")?;
    if fcntl_get_seals(&own).is_ok_and(|seals| seals.contains(SEALS)) {
        return Ok(None);
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
    Error::os("execute the sealed copy of servin-run", execveat_original(copy, original))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_change_a_sealed_copy() {
        let copy = copy("test", b"program").expect("a copy");
        assert_eq!(rustix::io::write(&copy, b"x"), Err(Errno::PERM));
        assert_eq!(rustix::fs::ftruncate(&copy, 0), Err(Errno::PERM));
        assert_eq!(fcntl_add_seals(&copy, SealFlags::FUTURE_WRITE), Err(Errno::PERM));
    }
}
