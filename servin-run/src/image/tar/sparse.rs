//! Files with holes, in GNU's four ways: segments of the content with their places in the file.

use alloc::vec::Vec;

use super::header::number;
use super::pax::{Sparse, decimal};
use super::{Archive, BLOCK, cut_off, padding};
use crate::error::{Error, Result};
use crate::gather::Gather as _;

/// A part of a file that is no hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Where it begins.
    pub offset: u64,
    /// How long it is.
    pub length: u64,
}

/// What is known of a file with holes.
pub struct Found {
    pub name: Option<Vec<u8>>,
    pub size: u64,
    pub segments: Vec<Segment>,
}

/// What one segment takes in memory, which the limit for headers is for too.
const SEGMENT: u64 = size_of::<Segment>() as u64;

/// GNU's own format: four segments in the header, and more in blocks behind it.
pub fn gnu(archive: &mut Archive, header: &[u8; BLOCK]) -> Result<Option<Found>> {
    let mut segments = Vec::new();
    let wrong = || Error::new("its map of holes is malformed");
    let mut some = |fields: &[u8]| {
        for pair in fields.chunks_exact(24) {
            let (offset, length) = (number(&pair[..12]), number(&pair[12..]));
            match (offset.and_then(|n| u64::try_from(n).ok()), length.and_then(|n| u64::try_from(n).ok())) {
                // An empty field is the end, and also the number 0.
                (Some(_), Some(_)) if pair[12] == 0 => {}
                (Some(offset), Some(length)) => segments.push(Segment { offset, length }),
                _ => return Err(wrong()),
            }
        }
        Ok(segments.len() as u64 * SEGMENT)
    };
    some(&header[386..482])?;
    let size = number(&header[483..495]).and_then(|size| u64::try_from(size).ok()).ok_or_else(wrong)?;
    let mut more = header[482] != 0;
    let mut block = [0; BLOCK];
    while more {
        if !archive.block(&mut block)? {
            return Err(cut_off());
        }
        let memory = some(&block[..504])?;
        check_memory(archive, memory)?;
        more = block[504] != 0;
    }
    finish(archive, Found { name: None, size, segments })
}

/// What pax records say; in version 1.0 the map is at the beginning of the content.
pub fn pax(archive: &mut Archive, records: Sparse) -> Result<Option<Found>> {
    let Sparse { major, name, size, segments, .. } = records;
    let (Some(size), true) = (size, segments.is_some() || major.is_some()) else { return Ok(None) };
    let segments = match (major, segments) {
        (Some(1), _) => map(archive)?,
        (_, Some(segments)) => segments,
        _ => return Err(Error::new("it is a sparse file of a version that is not supported")),
    };
    finish(archive, Found { name, size, segments })
}

/// Decimal numbers, a line each: how many segments, then each one's offset and length; filled up to whole blocks.
fn map(archive: &mut Archive) -> Result<Vec<Segment>> {
    let (mut line, mut numbers, mut expected) = (Vec::new(), Vec::new(), None);
    let mut read = 0u64;
    while expected.is_none_or(|expected| (numbers.len() as u64) < expected) {
        let byte = *archive.content()?.first().ok_or_else(cut_off)?;
        archive.consume(1);
        read += 1;
        if byte != b'\n' {
            line.push(byte);
            check_memory(archive, line.len() as u64)?;
            continue;
        }
        let value = decimal(&line).ok_or_else(|| Error::new("its map of holes is malformed"))?;
        line.clear();
        if expected.is_none() {
            check_memory(archive, value.saturating_mul(SEGMENT))?;
            expected = Some(value * 2);
        } else {
            numbers.push(value);
        }
    }
    let mut rest = padding(read);
    while rest > 0 {
        let there = (archive.content()?.len() as u64).min(rest);
        if there == 0 {
            return Err(cut_off());
        }
        archive.consume(there as usize);
        rest -= there;
    }
    Ok(numbers.chunks_exact(2).map(|pair| Segment { offset: pair[0], length: pair[1] }).gather())
}

fn check_memory(archive: &Archive, bytes: u64) -> Result<()> {
    if bytes > archive.limits.header {
        return Err(Error::new("its map of holes is longer than the limit")
            .hint("--max-header-size raises the limit"));
    }
    Ok(())
}

/// The segments follow each other inside the file, and the content is exactly theirs.
fn finish(archive: &Archive, found: Found) -> Result<Option<Found>> {
    let (mut end, mut total) = (0u64, 0u64);
    for segment in &found.segments {
        let next = segment.offset.checked_add(segment.length);
        match next {
            Some(next) if segment.offset >= end && next <= found.size => end = next,
            _ => return Err(Error::new("its map of holes does not fit the file")),
        }
        total += segment.length;
    }
    if total != archive.left || found.size > i64::MAX as u64 {
        return Err(Error::new("its map of holes does not fit the content"));
    }
    Ok(Some(found))
}
