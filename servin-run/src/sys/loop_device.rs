//! Loop devices (loop(4)): a file as a block device.

use alloc::format;
use alloc::string::String;

use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};

use crate::sys::path::openat;
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{self, Errno};
use servin_init::syscall;

use linux_raw_sys::general::__NR_ioctl;

/// linux/loop.h.
const LOOP_CTL_GET_FREE: usize = 0x4c82;
const LOOP_CONFIGURE: usize = 0x4c0a;
const LO_FLAGS_READ_ONLY: u32 = 1;
const LO_FLAGS_AUTOCLEAR: u32 = 4;

/// `struct loop_config`, of which only the descriptor and the flags of its `struct loop_info64` are used.
#[repr(C, align(8))]
struct Config {
    descriptor: u32,
    block_size: u32,
    before_flags: [u8; 52],
    flags: u32,
    after_flags: [u8; 176],
    reserved: [u64; 8],
}

/// Makes a read-only device of a file (Linux 5.8); says its path. It is gone when nobody uses it any more.
pub fn attach(file: BorrowedFd<'_>) -> io::Result<(OwnedFd, String)> {
    let open = |path: &str| openat(CWD, path, OFlags::RDWR | OFlags::CLOEXEC, Mode::empty());
    let control = open("/dev/loop-control")?;
    // Somebody else may take the free one first.
    for _ in 0..64 {
        // SAFETY: the call takes no pointers.
        let number = unsafe { syscall!(__NR_ioctl, control.as_raw_fd(), LOOP_CTL_GET_FREE, 0) }?;
        let path = format!("/dev/loop{number}");
        let device = open(&path)?;
        let config = Config {
            descriptor: file.as_raw_fd() as u32,
            block_size: 0,
            before_flags: [0; 52],
            flags: LO_FLAGS_READ_ONLY | LO_FLAGS_AUTOCLEAR,
            after_flags: [0; 176],
            reserved: [0; 8],
        };
        // SAFETY: the kernel reads the 304 bytes of the struct.
        match unsafe { syscall!(__NR_ioctl, device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) } {
            Err(Errno::BUSY) => {}
            configured => return configured.map(|_| (device, path)),
        }
    }
    Err(Errno::BUSY)
}

// The kernel's own size, and where it expects the flags.
const _: () = assert!(size_of::<Config>() == 304 && core::mem::offset_of!(Config, flags) == 60);
