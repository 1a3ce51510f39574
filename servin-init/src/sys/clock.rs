//! The monotonic clock.

use linux_raw_sys::general::{__NR_clock_gettime, __kernel_old_timespec, CLOCK_MONOTONIC};

/// A number of 64 bits lasts for centuries, and needs less code than a Duration.
pub type Nanoseconds = u64;
/// One second.
pub const SECOND: Nanoseconds = 1_000_000_000;

/// The time since some fixed point in the past (clock_gettime(2), CLOCK_MONOTONIC).
pub fn now() -> Nanoseconds {
    let mut time = __kernel_old_timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is what this call writes, on 32-bit machines too (the 64-bit form has another number there).
    let _ = unsafe { crate::syscall!(__NR_clock_gettime, CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * SECOND + time.tv_nsec as u64
}
