//! The time of day, and letting it pass.

#[cfg(not(target_arch = "arm"))]
use linux_raw_sys::general::__NR_clock_gettime;
#[cfg(target_arch = "arm")]
use linux_raw_sys::general::__NR_clock_gettime64 as __NR_clock_gettime;
use linux_raw_sys::general::{__kernel_timespec, CLOCK_REALTIME};
use rustix::fs::Timespec;
use rustix::thread::nanosleep;
use servin_init::sys::clock::{Nanoseconds, SECOND};
use servin_init::syscall;

/// Seconds and nanoseconds since 1970 began (clock_gettime(2)). A system call: the kernel's shortcut through memory is
/// worth its code only to who asks often.
pub fn time_of_day() -> (i64, u32) {
    let mut time = __kernel_timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call writes a timespec of 64 bits, by the number that it has for it on this architecture.
    let _ = unsafe { syscall!(__NR_clock_gettime, CLOCK_REALTIME, &raw mut time) };
    (time.tv_sec, time.tv_nsec as u32)
}

/// A span of time as the kernel takes it.
pub fn timespec(nanoseconds: Nanoseconds) -> Timespec {
    Timespec { tv_sec: (nanoseconds / SECOND) as _, tv_nsec: (nanoseconds % SECOND) as _ }
}

/// Waits so long, or until a signal comes.
pub fn pause(milliseconds: u32) {
    let _ = nanosleep(&timespec(Nanoseconds::from(milliseconds) * (SECOND / 1000)));
}
