//! x86_64: number in rax, arguments in rdi rsi rdx r10 r8 r9; rcx and r11 are lost (syscall(2)).

/// # Safety
/// The arguments must satisfy the contract of the system call `number`.
#[inline(always)]
pub unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    let returned;
    // SAFETY: the instruction changes only the named registers and what the caller lets the kernel change.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => returned, in("rdi") a, in("rsi") b, in("rdx") c,
            in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    returned
}

/// As `syscall6`, for calls that take three arguments at most: what the other registers hold is nobody's business.
///
/// # Safety
/// As that of `syscall6`.
#[inline(always)]
pub unsafe fn syscall3(number: usize, a: usize, b: usize, c: usize) -> usize {
    let returned;
    // SAFETY: the instruction changes only the named registers and what the caller lets the kernel change.
    unsafe {
        core::arch::asm!("syscall", inlateout("rax") number => returned, in("rdi") a, in("rsi") b, in("rdx") c,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    returned
}
