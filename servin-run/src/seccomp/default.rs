//! The default filter of people's containers, which the build has compiled (build/default_filter.rs).

use super::program::RETURN;
use super::{ALLOW, ERRNO, Filter, SPEC_ALLOW};
use crate::sys::seccomp::Instruction;

include!(concat!(env!("OUT_DIR"), "/default_filter.rs"));

/// The upper half of a marker; below it are the numbers of a capability and of an error.
const MARKER: u32 = 1;

/// The filter for a process with these capabilities, a bit for each.
pub fn default(capabilities: u64) -> Filter {
    let instruction = |&(code, jt, jf, k): &(u16, u8, u8, u32)| {
        let k = match k >> 16 {
            MARKER if code == RETURN => match capabilities >> (k >> 8 & 0x3f) & 1 {
                1 => ALLOW,
                _ => ERRNO | k & 0xff,
            },
            _ => k,
        };
        Instruction { code, jt, jf, k }
    };
    Filter { program: PROGRAM.iter().map(instruction).collect(), flags: SPEC_ALLOW, listener: None }
}
