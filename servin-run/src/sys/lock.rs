//! Locks on single bytes of a file, which need not be there. They belong to the open file and not to the process, so
//! that whoever inherits the descriptor has the lock too (fcntl_locking(2), "Open file description locks").

#[cfg(not(target_arch = "arm"))]
use linux_raw_sys::general::__NR_fcntl;
#[cfg(target_arch = "arm")]
use linux_raw_sys::general::__NR_fcntl64 as __NR_fcntl;
use linux_raw_sys::general::{F_OFD_GETLK, F_OFD_SETLK, F_UNLCK, F_WRLCK, SEEK_SET, flock64};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io;
use servin_init::syscall;

/// Locks a byte. That it is locked already is an error (EAGAIN).
pub fn lock_byte(file: impl AsFd, at: u64) -> io::Result<()> {
    call(file.as_fd().as_raw_fd(), F_OFD_SETLK, at).map(drop)
}

/// Whether somebody else has locked a byte.
pub fn is_byte_locked(file: impl AsFd, at: u64) -> io::Result<bool> {
    call(file.as_fd().as_raw_fd(), F_OFD_GETLK, at).map(|found| u32::from(found.l_type as u16) != F_UNLCK)
}

fn call(file: i32, command: u32, at: u64) -> io::Result<flock64> {
    let mut lock = flock64 {
        l_type: F_WRLCK as _,
        l_whence: SEEK_SET as _,
        l_start: at as _,
        l_len: 1,
        // Must be zero.
        l_pid: 0,
    };
    // SAFETY: the kernel reads and writes the struct, which lives until the call is over.
    unsafe { syscall!(__NR_fcntl, file, command, &raw mut lock) }?;
    Ok(lock)
}
