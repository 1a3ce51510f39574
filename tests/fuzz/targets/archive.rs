//! Archives, compressed or not, as layers are read: headers, extended ones, maps of holes, contents.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::image::decompress::decompressed;
use servin_run::image::stream::{Buffered, Bytes};
use servin_run::image::tar::{Archive, BLOCK, Limits};

/// Headers with right sums, so that what is behind the sum is reached.
fn summed(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(BLOCK).filter(|block| block[257..262] == *b"ustar") {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
    }
    bytes
}

fuzz_target!(|bytes: &[u8]| {
    let summed = summed(bytes);
    for bytes in [bytes, &summed] {
        let Ok(stream) = decompressed(Box::new(Buffered::new(Box::new(Bytes(bytes))))) else { continue };
        let limits = Limits { bytes: 1 << 24, entries: 1000, header: 1 << 16 };
        let mut archive = Archive::new(stream, limits);
        while let Ok(Some(_)) = archive.next_entry() {
            while let Ok(length @ 1..) = archive.content().map(<[u8]>::len) {
                archive.consume(length);
            }
        }
    }
});
