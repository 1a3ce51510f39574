//! seccomp(2).

use linux_raw_sys::general::__NR_seccomp;
use rustix::fd::{FromRawFd, OwnedFd};
use rustix::io;
use servin_init::syscall;

/// `SECCOMP_SET_MODE_FILTER` of linux/seccomp.h.
const SET_MODE_FILTER: u32 = 1;

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER`: a descriptor is to be had through which another process answers for the kernel.
pub const NEW_LISTENER: u32 = 1 << 3;

/// An instruction of classic BPF (`struct sock_filter` of linux/filter.h).
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub code: u16,
    /// How many instructions are passed over if a condition holds,
    pub jt: u8,
    /// and if it does not.
    pub jf: u8,
    /// The constant.
    pub k: u32,
}

/// `struct sock_fprog`.
#[repr(C)]
struct Program {
    length: u16,
    first: *const Instruction,
}

/// Installs a filter for this process and all that it executes. Returns the listener's descriptor where the flags
/// ask for one. It takes CAP_SYS_ADMIN or no_new_privs.
pub fn set_filter(program: &[Instruction], flags: u32) -> io::Result<Option<OwnedFd>> {
    let length = u16::try_from(program.len()).map_err(|_| io::Errno::INVAL)?;
    let program = Program { length, first: program.as_ptr() };
    // SAFETY: the struct has the kernel's layout and says how many instructions there are; the kernel copies them.
    let returned = unsafe { syscall!(__NR_seccomp, SET_MODE_FILTER, flags, &raw const program) }?;
    if flags & NEW_LISTENER == 0 {
        return Ok(None);
    }
    // SAFETY: with this flag the kernel has just made the descriptor for us.
    Ok(Some(unsafe { OwnedFd::from_raw_fd(returned as i32) }))
}
