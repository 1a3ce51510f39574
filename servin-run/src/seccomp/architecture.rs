//! The architectures whose system calls a kernel answers: its own, and those that its processor runs too.

use alloc::string::String;
use alloc::vec::Vec;

use super::abi::{self, Abi};
use crate::error::{Error, Result};

const ABIS: &[Abi] = abi::of_machine(if cfg!(target_arch = "x86_64") {
    "x86_64"
} else if cfg!(target_arch = "aarch64") {
    "aarch64"
} else if cfg!(target_arch = "arm") {
    "arm"
} else {
    "riscv64"
});

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
