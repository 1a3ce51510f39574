//! The table of system calls for the filter: names with their numbers on the target and on the architectures whose
//! programs it runs too, made from the tables of the crate `syscalls`.

use std::collections::BTreeMap;
use std::fmt::Write;

/// A system call's number on one architecture.
pub type Numbers = BTreeMap<&'static str, u32>;

/// Where x32 has calls of its own, because their structures hold pointers; all others have the number of x86_64
/// (arch/x86/entry/syscalls/syscall_64.tbl of the kernel).
const X32: &[(&str, u32)] = &[
    ("rt_sigaction", 512),
    ("rt_sigreturn", 513),
    ("ioctl", 514),
    ("readv", 515),
    ("writev", 516),
    ("recvfrom", 517),
    ("sendmsg", 518),
    ("recvmsg", 519),
    ("execve", 520),
    ("ptrace", 521),
    ("rt_sigpending", 522),
    ("rt_sigtimedwait", 523),
    ("rt_sigqueueinfo", 524),
    ("sigaltstack", 525),
    ("timer_create", 526),
    ("mq_notify", 527),
    ("kexec_load", 528),
    ("waitid", 529),
    ("set_robust_list", 530),
    ("get_robust_list", 531),
    ("vmsplice", 532),
    ("move_pages", 533),
    ("preadv", 534),
    ("pwritev", 535),
    ("rt_tgsigqueueinfo", 536),
    ("recvmmsg", 537),
    ("sendmmsg", 538),
    ("process_vm_readv", 539),
    ("process_vm_writev", 540),
    ("setsockopt", 541),
    ("getsockopt", 542),
    ("io_setup", 543),
    ("io_submit", 544),
    ("execveat", 545),
    ("preadv2", 546),
    ("pwritev2", 547),
];

macro_rules! numbers {
    ($architecture:ident) => {
        syscalls::$architecture::Sysno::iter()
            .map(|call| (call.name(), call.id() as u32))
            .collect::<Numbers>()
    };
}

/// The numbers of all calls on a target's architectures, the target's own first.
pub fn columns(target: &str) -> Vec<Numbers> {
    match target {
        "x86_64" => {
            let mut x32 = numbers!(x86_64);
            x32.extend(X32.iter().copied());
            vec![numbers!(x86_64), numbers!(x86), x32]
        }
        "aarch64" => vec![of_aarch64(), of_arm()],
        "arm" => vec![of_arm()],
        "riscv64" => vec![numbers!(riscv64)],
        other => panic!("Servin is not built for {other}"),
    }
}

/// The crate has 79 under another name than the kernel, and calls that only machines of 32 bits have (from 403 on:
/// scripts/syscall.tbl of the kernel).
fn of_aarch64() -> Numbers {
    let mut numbers = numbers!(aarch64);
    numbers.remove("fstatat");
    numbers.insert("newfstatat", 79);
    numbers.retain(|_, number| !(403..424).contains(number));
    numbers
}

/// One call has two names.
fn of_arm() -> Numbers {
    let mut numbers = numbers!(arm);
    numbers.insert("sync_file_range2", 341);
    numbers
}

/// The Rust source of the table: `NAMES`, `ENDS`, and `NUMBERS` with a column for each architecture. A number that is none is 65535; those of Arm that are its own begin at 0xf000.
pub fn table(columns: &[Numbers]) -> String {
    let names: BTreeMap<&str, ()> = columns.iter().flatten().map(|(name, _)| (*name, ())).collect();
    let mut ends = Vec::new();
    let mut joined = String::new();
    for name in names.keys() {
        joined.push_str(name);
        ends.push(joined.len());
    }
    let mut source = String::new();
    let _ = writeln!(source, "pub const NAMES: &str = {joined:?};");
    let _ = writeln!(source, "pub static ENDS: [u16; {}] = {ends:?};", ends.len());
    let _ = writeln!(source, "pub static NUMBERS: [[u16; {}]; {}] = [", ends.len(), columns.len());
    for column in columns {
        let number = |name: &&str| column.get(*name).map_or(u16::MAX, |number| short(*number));
        let _ = writeln!(source, "{:?},", names.keys().map(number).collect::<Vec<_>>());
    }
    source.push_str("];\n");
    source
}

fn short(number: u32) -> u16 {
    match number {
        // `__ARM_NR_BASE` of the kernel's arch/arm/include/uapi/asm/unistd.h.
        0xf0000..0xf1000 => (number - 0xf0000 + 0xf000) as u16,
        0..0xf000 => number as u16,
        other => panic!("{other:#x} is no number of a system call"),
    }
}
