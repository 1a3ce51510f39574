//! A profile of system calls: whatever it says, the program is one that the kernel's checker accepts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::seccomp;
use servin_run::spec::{self, Seccomp};

/// The most instructions that the kernel takes (BPF_MAXINSNS).
const LONGEST: usize = 4096;

fuzz_target!(|text: &str| {
    let Ok(profile) = spec::parse::<Seccomp>(text, "profile") else { return };
    let Ok(filter) = seccomp::compile(&profile) else { return };
    let program = &filter.program;
    assert!(!program.is_empty() && program.len() <= LONGEST, "{} instructions", program.len());
    for (at, instruction) in program.iter().enumerate() {
        let behind = program.len() - at - 1;
        match instruction.code & 7 {
            // Jumps: conditional by their two short distances, or by a long one.
            5 if instruction.code & 0xf0 == 0 => assert!((instruction.k as usize) < behind),
            5 => assert!(usize::from(instruction.jt.max(instruction.jf)) < behind),
            // A return may be the last, anything else not.
            6 => {}
            _ => assert!(behind > 0),
        }
    }
});
