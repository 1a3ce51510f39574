//! 32-bit ARM, EABI: number in r7, arguments in r0 to r5 (syscall(2)). Thumb code keeps its frame pointer in
//! r7, which the compiler therefore refuses as an operand: it is swapped in and out by hand.

/// # Safety
/// The arguments must satisfy the contract of the system call `number`.
#[inline(always)]
pub unsafe fn syscall6(number: usize, a: usize, b: usize, c: usize, d: usize, e: usize, f: usize) -> usize {
    let returned;
    // SAFETY: r7 is restored before the block ends; otherwise only r0 and the scratch register change.
    unsafe {
        core::arch::asm!("mov {number}, r7", "mov r7, {number_in}", "svc 0", "mov r7, {number}",
            number = out(reg) _, number_in = in(reg) number, inlateout("r0") a => returned, in("r1") b,
            in("r2") c, in("r3") d, in("r4") e, in("r5") f, options(nostack));
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
    // SAFETY: r7 is restored before the block ends; otherwise only r0 and the scratch register change.
    unsafe {
        core::arch::asm!("mov {number}, r7", "mov r7, {number_in}", "svc 0", "mov r7, {number}",
            number = out(reg) _, number_in = in(reg) number, inlateout("r0") a => returned, in("r1") b,
            in("r2") c, options(nostack));
    }
    returned
}
