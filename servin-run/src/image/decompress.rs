//! Decompression of streams: gzip (RFC 1952) and zstd (RFC 8878), known by their first bytes; anything else passes.

mod crc32;
pub mod inflate;

use alloc::boxed::Box;
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use ruzstd::io;

use self::crc32::Crc32;
use self::inflate::{HISTORY, Inflate, SLACK};
use super::stream::{BUFFER, Stream, take};
use crate::error::{Error, Result};

/// How a stream is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// A frame that decoders pass over begins with one of sixteen numbers, of which this is the part they share.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];
/// What others compress with, to be named in the refusal.
const UNSUPPORTED: &[(&[u8], &str)] =
    &[(b"\xfd7zXZ\0", "xz"), (b"BZh", "bzip2"), (b"\x04\x22\x4d\x18", "lz4"), (b"LZIP", "lzip")];
/// The largest window of a zstd frame: what `zstd --ultra` uses, and no more memory than that is ever taken.
const ZSTD_WINDOW: u64 = 128 << 20;

/// How the stream that begins with `bytes` is compressed.
pub fn compression(bytes: &[u8]) -> Result<Compression> {
    if let Some((_, name)) = UNSUPPORTED.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Error::new(format_args!("it is compressed by {name}; gzip and zstd are supported"))
            .hint(format!("`{name} -dc FILE | servin …` decompresses it on the way")));
    }
    Ok(match bytes {
        _ if bytes.starts_with(GZIP) => Compression::Gzip,
        _ if bytes.starts_with(ZSTD) => Compression::Zstd,
        [0x50..=0x5f, rest @ ..] if rest.starts_with(ZSTD_SKIPPABLE) => Compression::Zstd,
        _ => Compression::None,
    })
}

/// The stream without its compression, which its first bytes tell.
pub fn decompressed<'a>(stream: Box<dyn Stream + 'a>) -> Result<Box<dyn Stream + 'a>> {
    opened(stream, Some(Crc32::new()))
}

/// The same for who compares a digest of what comes out: gzip's own checksum, which says less, is not computed.
pub fn decompressed_for_digest<'a>(stream: Box<dyn Stream + 'a>) -> Result<Box<dyn Stream + 'a>> {
    opened(stream, None)
}

fn opened<'a>(mut stream: Box<dyn Stream + 'a>, checksum: Option<Crc32>) -> Result<Box<dyn Stream + 'a>> {
    Ok(match compression(stream.fill()?)? {
        Compression::None => stream,
        Compression::Gzip => Box::new(Gzip {
            input: stream,
            state: Box::default(),
            window: vec![0; HISTORY + BUFFER + SLACK],
            ready: (0, 0),
            place: Place::Header,
            checksum,
            length: 0,
        }),
        Compression::Zstd => {
            let mut decoder = Box::new(FrameDecoder::new());
            decoder.set_max_window_size(ZSTD_WINDOW);
            let output = vec![0; BUFFER];
            Box::new(Zstd { input: Input(stream, None), decoder, output, ready: (0, 0), inside: false })
        }
    })
}

/// Where in a gzip stream we are.
#[derive(PartialEq)]
enum Place {
    Header,
    Data,
    End,
}

struct Gzip<'a> {
    input: Box<dyn Stream + 'a>,
    state: Box<Inflate>,
    /// The newest output, in which what follows is found again.
    window: Vec<u8>,
    /// What of it was not consumed yet.
    ready: (usize, usize),
    place: Place,
    /// Of the member's content so far.
    checksum: Option<Crc32>,
    length: u32,
}

fn damaged(kind: &str) -> Error {
    Error::new(format_args!("the {kind} stream is damaged or cut off"))
}

impl Gzip<'_> {
    fn byte(&mut self) -> Result<u8> {
        let mut byte = [0];
        match take(&mut *self.input, &mut byte)? {
            1 => Ok(byte[0]),
            _ => Err(damaged("gzip")),
        }
    }

    /// Reads a member's header; false where the stream ends instead. Several members may follow each other, and
    /// zeroes behind them fill a block.
    fn header(&mut self) -> Result<bool> {
        let mut fixed = [0; 10];
        if take(&mut *self.input, &mut fixed[..1])? == 0 || fixed[0] == 0 {
            super::stream::drain(&mut *self.input)?;
            return Ok(false);
        }
        if take(&mut *self.input, &mut fixed[1..])? != 9 || !fixed.starts_with(GZIP) || fixed[2] != 8 {
            return Err(damaged("gzip"));
        }
        let flags = fixed[3];
        if flags & 4 != 0 {
            let length = u16::from_le_bytes([self.byte()?, self.byte()?]);
            (0..length).try_for_each(|_| self.byte().map(drop))?;
        }
        // A name and a comment, each ended by a zero.
        for flag in [8, 16] {
            while flags & flag != 0 && self.byte()? != 0 {}
        }
        if flags & 2 != 0 {
            self.byte()?;
            self.byte()?;
        }
        Ok(true)
    }

    fn inflate(&mut self) -> Result<()> {
        let mut from = self.ready.1;
        if from >= HISTORY + BUFFER {
            self.window.copy_within(from - HISTORY..from, 0);
            from = HISTORY;
        }
        let to = self.state.inflate(&mut *self.input, &mut self.window, from)?;
        self.ready = (from, to);
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&self.window[from..to]);
        }
        self.length = self.length.wrapping_add((to - from) as u32);
        if self.state.is_done() {
            let mut trailer = [0; 8];
            for byte in &mut trailer {
                *byte = self.state.byte(&mut *self.input)?;
            }
            let [c0, c1, c2, c3, l0, l1, l2, l3] = trailer;
            let (said, length) = (u32::from_le_bytes([c0, c1, c2, c3]), u32::from_le_bytes([l0, l1, l2, l3]));
            let checksum = self.checksum.as_mut().map_or(said, Crc32::take);
            if (said, length) != (checksum, core::mem::take(&mut self.length)) {
                return Err(damaged("gzip"));
            }
            self.place = Place::Header;
        }
        Ok(())
    }
}

impl Stream for Gzip<'_> {
    fn fill(&mut self) -> Result<&[u8]> {
        while self.ready.0 == self.ready.1 && self.place != Place::End {
            if self.place == Place::Header {
                self.place = if self.header()? { Place::Data } else { Place::End };
                // A member knows nothing of those before it.
                (self.ready, _) = ((0, 0), self.state.again());
            } else {
                self.inflate()?;
            }
        }
        Ok(&self.window[self.ready.0..self.ready.1])
    }

    fn consume(&mut self, length: usize) {
        self.ready.0 += length;
    }
}

/// A stream as the decoder reads it; our own error is kept beside.
struct Input<'a>(Box<dyn Stream + 'a>, Option<Error>);

impl io::Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> core::result::Result<usize, io::Error> {
        take(&mut *self.0, buffer).map_err(|error| {
            self.1 = Some(error);
            io::Error::from(io::ErrorKind::Other)
        })
    }
}

struct Zstd<'a> {
    input: Input<'a>,
    decoder: Box<FrameDecoder>,
    output: Vec<u8>,
    ready: (usize, usize),
    inside: bool,
}

impl Zstd<'_> {
    /// Begins the next frame; false at the end of the stream.
    fn frame(&mut self) -> Result<bool> {
        if self.input.0.fill()?.is_empty() {
            return Ok(false);
        }
        match self.decoder.reset(&mut self.input) {
            Ok(()) => self.inside = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let mut left = length as usize;
                while left > 0 {
                    let there = self.input.0.fill()?.len().min(left);
                    if there == 0 {
                        return Err(damaged("zstd"));
                    }
                    self.input.0.consume(there);
                    left -= there;
                }
            }
            Err(error) => return Err(self.failed(&error)),
        }
        Ok(true)
    }

    fn failed(&mut self, error: &FrameDecoderError) -> Error {
        self.input.1.take().unwrap_or_else(|| match error {
            FrameDecoderError::WindowSizeTooBig { requested, max } => {
                Error::new(format_args!("the zstd stream needs {requested} bytes of memory, more than {max}"))
            }
            _ => damaged("zstd"),
        })
    }
}

impl Stream for Zstd<'_> {
    fn fill(&mut self) -> Result<&[u8]> {
        while self.ready.0 == self.ready.1 {
            if !self.inside {
                if !self.frame()? {
                    break;
                }
                continue;
            }
            if self.decoder.can_collect() == 0 && !self.decoder.is_finished() {
                let one = BlockDecodingStrategy::UptoBlocks(1);
                if let Err(error) = self.decoder.decode_blocks(&mut self.input, one) {
                    return Err(self.failed(&error));
                }
            }
            let length = io::Read::read(&mut *self.decoder, &mut self.output).map_err(|_| damaged("zstd"))?;
            self.ready = (0, length);
            self.inside = length > 0 || !self.decoder.is_finished();
        }
        Ok(&self.output[self.ready.0..self.ready.1])
    }

    fn consume(&mut self, length: usize) {
        self.ready.0 += length;
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::mutate;
    use crate::image::stream::{Buffered, Bytes};
    use std::io::Write;
    use std::process::{Command, Stdio};

    fn compress(program: &[&str], bytes: &[u8]) -> Option<Vec<u8>> {
        let mut child = Command::new(program[0])
            .args(&program[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut input = child.stdin.take()?;
        let bytes = bytes.to_vec();
        let writer = std::thread::spawn(move || input.write_all(&bytes));
        let output = child.wait_with_output().ok()?;
        writer.join().ok()?.ok()?;
        Some(output.stdout)
    }

    fn all(bytes: &[u8], limit: usize) -> Result<Vec<u8>> {
        let mut stream = decompressed(Box::new(Buffered::new(Box::new(Bytes(bytes)))))?;
        let mut found = Vec::new();
        while found.len() < limit {
            let some = stream.fill()?;
            if some.is_empty() {
                break;
            }
            found.extend(some);
            let length = some.len();
            stream.consume(length);
        }
        Ok(found)
    }

    /// Neither all alike nor noise.
    fn sample(length: usize) -> Vec<u8> {
        let mut random = mutate::Random(7);
        let mut bytes: Vec<u8> = Vec::new();
        while bytes.len() < length {
            match random.below(3) {
                0 => bytes.extend(std::iter::repeat_n(random.below(256) as u8, random.below(4000))),
                1 => bytes.extend((0..random.below(900)).map(|i| (i * i) as u8)),
                _ => {
                    let from = random.below(bytes.len());
                    bytes.extend_from_within(from..(from + random.below(9000)).min(bytes.len()));
                }
            }
        }
        bytes
    }

    #[test]
    fn what_gzip_and_zstd_compress_is_the_same_again() {
        let bytes = sample(3 << 20);
        assert_eq!(all(&bytes, usize::MAX).unwrap(), bytes);
        for program in [&["gzip", "-c"][..], &["gzip", "-c1"], &["zstd", "-qc"], &["zstd", "-qc19"]] {
            let Some(packed) = compress(program, &bytes) else { continue };
            assert!(all(&packed, usize::MAX).unwrap() == bytes, "{program:?}");
            // Members and frames follow each other.
            let twice = [&packed[..], &packed].concat();
            assert_eq!(all(&twice, usize::MAX).unwrap().len(), 2 * bytes.len());
            if program[0] == "gzip" {
                // The checksum, and the length.
                for place in [1, 5] {
                    let mut wrong = twice.clone();
                    let at = packed.len() - place;
                    wrong[at] ^= 1;
                    assert!(all(&wrong, usize::MAX).is_err(), "a trailer is wrong {place} before its end");
                }
            }
            for cut in [5, 40, packed.len() / 2, packed.len() - 1] {
                assert!(all(&packed[..cut], usize::MAX).is_err(), "{program:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_is_compressed_otherwise_is_named() {
        let error = all(b"\xfd7zXZ\0....", 1).unwrap_err().to_string();
        assert!(error.contains("xz"), "{error}");
    }

    #[test]
    fn no_stream_panics_or_hangs() {
        let bytes = sample(20_000);
        let seeds: Vec<Vec<u8>> =
            [["gzip", "-c"], ["zstd", "-qc"]].iter().filter_map(|p| compress(p, &bytes)).collect();
        mutate::bytes(&seeds, 3000, |input| drop(all(input, 1 << 20)));
    }
}
