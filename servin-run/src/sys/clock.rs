//! The time of day.

#[cfg(not(target_arch = "arm"))]
use linux_raw_sys::general::__NR_clock_gettime;
#[cfg(target_arch = "arm")]
use linux_raw_sys::general::__NR_clock_gettime64 as __NR_clock_gettime;
use linux_raw_sys::general::{__kernel_timespec, CLOCK_REALTIME};
use servin_init::syscall;

/// Seconds and nanoseconds since 1970 began (clock_gettime(2)). A system call: the kernel's shortcut through memory is
/// worth its code only to who asks often.
pub fn time_of_day() -> (i64, u32) {
    let mut time = __kernel_timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes a timespec of 64 bits, by the number that it has for it on this architecture.
    let _ = unsafe { syscall!(__NR_clock_gettime, CLOCK_REALTIME, &raw mut time) };
    (time.tv_sec, time.tv_nsec as u32)
}
