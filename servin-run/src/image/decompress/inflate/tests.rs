//! Beside another library, which also compresses what is decompressed here.

use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::*;
use crate::image::mutate::{self, Random};
use crate::image::source::Read;
use crate::image::stream::Buffered;

/// Bytes that come in pieces.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let (some, rest) = self.0.split_at(self.0.len().min(self.1).min(buffer.len()));
        buffer[..some.len()].copy_from_slice(some);
        self.0 = rest;
        Ok(some.len())
    }
}

/// All that is in `packed`, which comes in pieces, out through rooms of so many bytes; and how much is left behind it.
fn inflated(packed: &[u8], piece: usize, room: usize, most: usize) -> Option<(Vec<u8>, usize)> {
    let mut input = Buffered::new(Box::new(Pieces(packed, piece)));
    let mut inflate = Box::<Inflate>::default();
    let mut output = vec![0; HISTORY + room + SLACK];
    let (mut all, mut at) = (Vec::new(), 0);
    while !inflate.is_done() && all.len() < most {
        if at >= HISTORY {
            output.copy_within(at - HISTORY..at, 0);
            at = HISTORY;
        }
        let end = inflate.inflate(&mut input, &mut output, at).ok()?;
        all.extend(&output[at..end]);
        at = end;
    }
    let left = std::iter::from_fn(|| inflate.byte(&mut input).ok()).count();
    Some((all, left))
}

/// Of all kinds: noise, words, repetitions near and far, zeroes.
fn sample(random: &mut Random, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        match random.below(5) {
            0 => bytes.extend((0..random.below(9000)).map(|_| random.below(256) as u8)),
            1 => bytes.extend((0..random.below(9000)).map(|_| b"etaoin shrdlu"[random.below(13)])),
            2 => bytes.extend(std::iter::repeat_n(random.below(256) as u8, random.below(3000))),
            _ if bytes.is_empty() => {}
            _ => {
                let from = bytes.len() - 1 - random.below(bytes.len().min(40_000));
                let near = bytes.len() - 1 - random.below(bytes.len().min(40));
                for place in [from, near] {
                    (0..random.below(500)).for_each(|index| bytes.push(bytes[place + index]));
                }
            }
        }
    }
    bytes
}

#[test]
fn what_is_compressed_in_any_way_is_the_same_again_in_any_pieces() {
    let mut random = Random(11);
    for level in 0..=10 {
        let bytes = sample(&mut random, 300_000);
        let mut packed = compress_to_vec(&bytes, level);
        packed.extend(b"trailer!");
        for (piece, room) in [(usize::MAX, 128 << 10), (1, 1), (7, 100), (1000, 40_000), (9, 1 << 20)] {
            let (found, left) = inflated(&packed, piece, room, usize::MAX).expect("decompressed");
            assert!(found == bytes && left == 8, "level {level}, pieces of {piece}, room {room}");
        }
    }
    let (nothing, _) = inflated(&compress_to_vec(&[], 6), 1, 1, usize::MAX).expect("decompressed");
    assert!(nothing.is_empty());
}

#[test]
fn what_is_cut_off_or_reaches_too_far_back_is_refused() {
    let bytes = sample(&mut Random(5), 20_000);
    let packed = compress_to_vec(&bytes, 6);
    for cut in (0..packed.len()).step_by(97).chain([packed.len() - 1]) {
        assert!(inflated(&packed[..cut], 50, 5000, usize::MAX).is_none(), "cut at {cut}");
    }
    // A block of the fixed codes: a length, before which nothing is.
    assert!(inflated(&[0b0000_0011, 0b0000_0010, 0, 0, 0, 0, 0, 0, 0, 0], 50, 5000, 10).is_none());
    // The kind of block that is none, and stored lengths that do not match.
    assert!(inflated(&[0b111, 0, 0, 0, 0, 0], 50, 5000, 10).is_none());
    assert!(inflated(&[0b001, 2, 0, 2, 0, 0, 0], 50, 5000, 10).is_none());
}

#[test]
fn damaged_streams_are_what_another_library_takes_them_for() {
    let mut random = Random(3);
    let seeds: Vec<Vec<u8>> =
        [0, 1, 6, 10].into_iter().map(|level| compress_to_vec(&sample(&mut random, 3000), level)).collect();
    let (mut same, mut both) = (0, 0);
    mutate::bytes(&seeds, 20_000, |input| {
        let own = inflated(input, 61, 4000, 1 << 20).filter(|(bytes, _)| bytes.len() < 1 << 20);
        let other = decompress_to_vec_with_limit(input, 1 << 20).ok();
        same += usize::from(own.is_some() == other.is_some());
        if let (Some((own, _)), Some(other)) = (own, other) {
            assert!(own == other, "{input:?}");
            both += 1;
        }
    });
    // They may differ on codes that nobody uses.
    assert!(same > 19_950 && both > 100, "{same} {both}");
}
