//! aarch64: number in x8, arguments in x0 to x5 (syscall(2)).

/// # Safety
/// The arguments must satisfy the contract of the system call `number`.
#[inline(always)]
pub unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    let returned;
    // SAFETY: the instruction changes only x0 and what the caller lets the kernel change.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a => returned, in("x1") b, in("x2") c,
            in("x3") d, in("x4") e, in("x5") f, options(nostack));
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
    // SAFETY: the instruction changes only x0 and what the caller lets the kernel change.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inlateout("x0") a => returned, in("x1") b, in("x2") c,
            options(nostack));
    }
    returned
}
