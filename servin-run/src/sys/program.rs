//! What this program's own code takes of memory.

use linux_raw_sys::general::{__NR_madvise, __NR_ppoll, MADV_DONTNEED};
use rustix::event::PollFd;
use rustix::io;
use servin_init::syscall;

unsafe extern "C" {
    /// Where the linker has put the code's beginning, and its end.
    static __executable_start: u8;
    static etext: u8;
}

/// Waits as poll(2) does, for long: without the pages of the code, which come back from the page cache, one by one, when
/// they are needed (madvise(2), MADV_DONTNEED). Both calls stand here, because what is executed between them comes back
/// at once, with its neighbours.
#[inline(never)]
pub fn poll_without_code(polled: &mut [PollFd<'_>]) -> io::Result<usize> {
    let (start, end) = ((&raw const __executable_start).addr(), (&raw const etext).addr());
    let (first, count) = (polled.as_mut_ptr(), polled.len());
    // SAFETY: nothing has been written to these pages, so that they come back as they are.
    let _ = unsafe { syscall!(__NR_madvise, start, end - start, MADV_DONTNEED) };
    // SAFETY: PollFd has the layout of the kernel's pollfd, and the slice lives until the call is over; null is no time
    // limit and no signal mask.
    unsafe { syscall!(__NR_ppoll, first, count, 0, 0, 0) }
}
