//! The ways to make system calls on the machines that Servin is built for, each machine's own first. The build compiles
//! this file too (build/default_filter.rs).

/// One way to make system calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abi {
    /// The specification's word for it.
    pub name: &'static str,
    /// What `seccomp_data.arch` holds (linux/audit.h).
    pub audit: u32,
    /// Set in all its numbers.
    pub bit: u32,
    /// Its column in the table of numbers.
    pub column: usize,
    /// Arguments have 64 bits.
    pub wide: bool,
}

/// `__X32_SYSCALL_BIT` of the kernel.
pub const X32_BIT: u32 = 0x4000_0000;

const fn abi(name: &'static str, audit: u32, bit: u32, column: usize, wide: bool) -> Abi {
    Abi { name, audit, bit, column, wide }
}

const X86_64: &[Abi] = &[
    abi("SCMP_ARCH_X86_64", 0xc000_003e, 0, 0, true),
    abi("SCMP_ARCH_X86", 0x4000_0003, 0, 1, false),
    abi("SCMP_ARCH_X32", 0xc000_003e, X32_BIT, 2, true),
];
const AARCH64: &[Abi] =
    &[abi("SCMP_ARCH_AARCH64", 0xc000_00b7, 0, 0, true), abi("SCMP_ARCH_ARM", 0x4000_0028, 0, 1, false)];
const ARM: &[Abi] = &[abi("SCMP_ARCH_ARM", 0x4000_0028, 0, 0, false)];
const RISCV64: &[Abi] = &[abi("SCMP_ARCH_RISCV64", 0xc000_00f3, 0, 0, true)];

/// Those of a machine, by its name in Rust's targets.
pub const fn of_machine(machine: &str) -> &'static [Abi] {
    match machine.as_bytes() {
        b"x86_64" => X86_64,
        b"aarch64" => AARCH64,
        b"arm" => ARM,
        b"riscv64" => RISCV64,
        _ => &[],
    }
}
