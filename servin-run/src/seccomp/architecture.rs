//! The architectures whose system calls a kernel answers: its own, and those that its processor runs too.

use alloc::string::String;
use alloc::vec::Vec;

use super::program::Rule;
use crate::error::{Error, Result};

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

/// What a profile says of one architecture.
#[derive(Debug, Clone)]
pub struct Family {
    /// Which one.
    pub abi: Abi,
    /// Its rules; several may be for one call.
    pub rules: Vec<Rule>,
    /// What is returned for a call without a rule.
    pub default: u32,
    /// The highest number that the profile knows.
    pub newest: u32,
    /// What is returned for a call beyond that.
    pub unknown: u32,
}

/// `__X32_SYSCALL_BIT` of the kernel.
pub const X32_BIT: u32 = 0x4000_0000;

const fn abi(name: &'static str, audit: u32, bit: u32, column: usize, wide: bool) -> Abi {
    Abi { name, audit, bit, column, wide }
}

#[cfg(target_arch = "x86_64")]
const ABIS: &[Abi] = &[
    abi("SCMP_ARCH_X86_64", 0xc000_003e, 0, 0, true),
    abi("SCMP_ARCH_X86", 0x4000_0003, 0, 1, false),
    abi("SCMP_ARCH_X32", 0xc000_003e, X32_BIT, 2, true),
];
#[cfg(target_arch = "aarch64")]
const ABIS: &[Abi] =
    &[abi("SCMP_ARCH_AARCH64", 0xc000_00b7, 0, 0, true), abi("SCMP_ARCH_ARM", 0x4000_0028, 0, 1, false)];
#[cfg(target_arch = "arm")]
const ABIS: &[Abi] = &[abi("SCMP_ARCH_ARM", 0x4000_0028, 0, 0, false)];
#[cfg(target_arch = "riscv64")]
const ABIS: &[Abi] = &[abi("SCMP_ARCH_RISCV64", 0xc000_00f3, 0, 0, true)];

/// What a profile may list for other machines; here no program can use them.
const OTHERS: &str = "X86 X86_64 X32 ARM AARCH64 MIPS MIPS64 MIPS64N32 MIPSEL MIPSEL64 MIPSEL64N32 PPC PPC64 PPC64LE \
                      S390 S390X PARISC PARISC64 RISCV64 LOONGARCH64 M68K SH SHEB";

/// The architectures that filters are made for on this machine.
pub fn names() -> impl Iterator<Item = &'static str> {
    ABIS.iter().map(|abi| abi.name)
}

/// The machine's own architecture, always, and those that are listed beside it.
pub fn wanted(listed: &[String]) -> Result<Vec<Abi>> {
    for (index, word) in listed.iter().enumerate() {
        let name = word.strip_prefix("SCMP_ARCH_").unwrap_or_default();
        if !OTHERS.split(' ').any(|known| known == name) {
            return Err(Error::new(format_args!(
                "linux.seccomp.architectures[{index}]: there is no architecture {word}"
            )));
        }
    }
    let is_wanted = |index: usize, abi: &Abi| index == 0 || listed.iter().any(|word| word == abi.name);
    Ok(ABIS.iter().enumerate().filter(|(index, abi)| is_wanted(*index, abi)).map(|(_, abi)| *abi).collect())
}
