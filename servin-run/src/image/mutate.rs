//! Deterministic fuzzing for unit tests: seeds are changed at random, always in the same way, so that a failure
//! can be repeated. Parsers of what strangers wrote must neither panic nor hang, whatever comes.

use crate::gather::Gather as _;
use alloc::vec::Vec;

/// The pseudo-random numbers of xorshift64.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

/// What means something to one parser or another.
const SPECIAL: &[u8] = b"0179:/@.-_ =\0\xff\"{}[],\\";

/// Calls `test` with `count` inputs made from `seeds`: bytes changed, taken out, doubled, cut off, mixed.
pub(crate) fn bytes<S: AsRef<[u8]>>(seeds: &[S], count: usize, mut test: impl FnMut(&[u8])) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..count {
        let mut input = seeds[random.below(seeds.len())].as_ref().to_vec();
        for _ in 0..=random.below(4) {
            let (at, other) = (random.below(input.len()), random.below(input.len()));
            match random.below(7) {
                _ if input.is_empty() => input.push(random.below(256) as u8),
                0 => input[at] = random.below(256) as u8,
                1 => input[at] ^= 1 << random.below(8),
                2 => input.truncate(at),
                3 => drop(input.drain(at.min(other)..at.max(other))),
                4 => {
                    let copy: Vec<u8> =
                        input[at.min(other)..at.max(other)].iter().take(600).copied().gather();
                    input.splice(at..at, copy);
                }
                5 => input[at] = SPECIAL[random.below(SPECIAL.len())],
                _ => {
                    let other = seeds[random.below(seeds.len())].as_ref();
                    let from = random.below(other.len());
                    input.extend(&other[from..]);
                }
            }
        }
        test(&input);
    }
}
