//! riscv64: number in a7, arguments in a0 to a5 (syscall(2)).

/// # Safety
/// The arguments must satisfy the contract of the system call `number`.
#[inline(always)]
pub unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    let returned;
    // SAFETY: the instruction changes only a0 and what the caller lets the kernel change.
    unsafe {
        core::arch::asm!("ecall", in("a7") number, inlateout("a0") a => returned, in("a1") b, in("a2") c,
            in("a3") d, in("a4") e, in("a5") f, options(nostack));
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
    // SAFETY: the instruction changes only a0 and what the caller lets the kernel change.
    unsafe {
        core::arch::asm!("ecall", in("a7") number, inlateout("a0") a => returned, in("a1") b, in("a2") c,
            options(nostack));
    }
    returned
}
