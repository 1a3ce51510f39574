//! Keyrings (keyctl(2)).

use alloc::ffi::CString;

use linux_raw_sys::general::__NR_keyctl;
use rustix::io::{self, Errno};
use servin_init::syscall;

/// `KEYCTL_JOIN_SESSION_KEYRING` of linux/keyctl.h.
const JOIN_SESSION_KEYRING: u32 = 1;

/// Leaves the session keyring for the one of that name, which is made if there is none that we may join.
pub fn join_session(name: &str) -> io::Result<()> {
    let name = CString::new(name).map_err(|_| Errno::INVAL)?;
    // SAFETY: the name ends with a NUL and lives until the call is over.
    unsafe { syscall!(__NR_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) }.map(drop)
}
