//! What this program's own code takes of memory.

use linux_raw_sys::general::{__NR_madvise, __NR_ppoll, MADV_DONTNEED, MADV_RANDOM};
use rustix::event::PollFd;
use rustix::io;
use rustix::param::page_size;
use servin_init::syscall;

unsafe extern "C" {
    /// Where the linker has put the code's beginning, and its end.
    static __executable_start: u8;
    static etext: u8;
}

/// More than the machine code of [`poll_without_code`] is long.
const LENGTH: usize = 512;

/// Waits as poll(2) does, for long: without the pages of the code, which come back from the page cache when they are
/// needed (madvise(2), MADV_DONTNEED). What is executed after that comes back at once, with its neighbours: 64 KiB of
/// them, or since Linux 6.18 all that the page cache has in one piece; but only those of its own mapping, which another
/// advice makes one of this function alone.
#[inline(never)]
pub fn poll_without_code(polled: &mut [PollFd<'_>]) -> io::Result<usize> {
    let (start, end) = ((&raw const __executable_start).addr(), (&raw const etext).addr());
    let here = poll_without_code as fn(&mut [PollFd<'_>]) -> io::Result<usize> as usize;
    let own = here & !(page_size() - 1);
    // SAFETY: advice on how these pages are read changes nothing of them.
    let _ = unsafe { syscall!(__NR_madvise, own, here + LENGTH - own, MADV_RANDOM) };
    // SAFETY: the pages are those of the program's file, and nothing has been written to them; the slice lives until the
    // call is over.
    unsafe { drop_and_poll(start, end - start, polled.as_mut_ptr(), polled.len()) }
}

/// Forgets the pages and waits; on x86-64 with nothing between the two that stands elsewhere, on others with what the
/// compiler puts there.
///
/// # Safety
/// The pages come back as they are when they are read again; there are `count` descriptors at `first`.
#[inline(always)]
unsafe fn drop_and_poll(
    start: usize,
    length: usize,
    first: *mut PollFd<'_>,
    count: usize,
) -> io::Result<usize> {
    #[cfg(target_arch = "x86_64")]
    {
        let answer: isize;
        // SAFETY: both calls destroy rcx and r11 and return in rax; null is no time limit and no signal mask. PollFd has the
        // layout of the kernel's pollfd.
        unsafe {
            core::arch::asm!(
                "syscall",
                "mov eax, {ppoll}",
                "mov rdi, {first}",
                "mov rsi, {count}",
                "xor edx, edx",
                "xor r10d, r10d",
                "xor r8d, r8d",
                "syscall",
                ppoll = const __NR_ppoll,
                first = in(reg) first,
                count = in(reg) count,
                inout("rax") __NR_madvise as usize => answer,
                inout("rdi") start => _,
                inout("rsi") length => _,
                inout("rdx") MADV_DONTNEED as usize => _,
                out("rcx") _,
                out("r8") _,
                out("r10") _,
                out("r11") _,
                options(nostack),
            );
        }
        usize::try_from(answer).map_err(|_| io::Errno::from_raw_os_error(-answer as i32))
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // SAFETY: said by whoever calls this.
        let _ = unsafe { syscall!(__NR_madvise, start, length, MADV_DONTNEED) };
        // SAFETY: null is no time limit and no signal mask. PollFd has the layout of the kernel's pollfd.
        unsafe { syscall!(__NR_ppoll, first, count, 0, 0, 0) }
    }
}
