//! Deflate (RFC 1951), the compression of gzip: what most layers come in, and so what takes most of the time of their
//! coming. Most of a block is therefore read by a loop that knows of no end of input or output ([`Inflate::fast`]);
//! near one of these each symbol is read by itself.

use super::super::stream::Stream;
use super::damaged;
use crate::error::Result;

mod codes;
#[cfg(test)]
mod tests;

use codes::{BASE, DISTANCE_BITS, DISTANCES, END, Entry, LITERAL, LITERAL_BITS, LITERALS, LONGEST, SECOND};

/// How far back a repetition reaches.
pub const HISTORY: usize = 32 << 10;
/// Room at the end of an output for the longest repetition, which is copied in whole pieces.
pub const SLACK: usize = 258 + 16;

/// The order in which the lengths of the codes for lengths come.
const ORDER: [u8; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// What comes next.
#[derive(PartialEq)]
enum State {
    Header,
    /// So many bytes as they are.
    Stored(usize),
    Codes,
    End,
}

/// A stream being decompressed.
pub struct Inflate {
    /// What was taken from the input, its first bit the lowest.
    bits: u64,
    /// How many of them count. Those above are what the input will give next, or zero.
    count: u32,
    state: State,
    last: bool,
    literals: [Entry; LITERALS],
    distances: [Entry; DISTANCES],
}

impl Default for Inflate {
    fn default() -> Self {
        Inflate {
            bits: 0,
            count: 0,
            state: State::Header,
            last: false,
            literals: [Entry::NONE; LITERALS],
            distances: [Entry::NONE; DISTANCES],
        }
    }
}

impl Inflate {
    /// Whether all blocks have been read.
    pub fn is_done(&self) -> bool {
        self.state == State::End
    }

    /// Begins anew. What is left of the input's last byte is passed over.
    pub fn again(&mut self) {
        (self.state, self.last) = (State::Header, false);
    }

    /// Writes into `output` from `at` on, what is before that being history, until [`SLACK`] bytes are left or all
    /// blocks have been read; says where it ends.
    pub fn inflate(&mut self, input: &mut dyn Stream, output: &mut [u8], mut at: usize) -> Result<usize> {
        let end = output.len().saturating_sub(SLACK);
        while at < end && self.state != State::End {
            match self.state {
                State::Stored(0) => self.state = State::Header,
                State::Stored(left) if self.count > 0 => {
                    output[at] = self.byte(input)?;
                    at += 1;
                    self.state = State::Stored(left - 1);
                }
                State::Stored(left) => {
                    let there = input.fill()?;
                    let length = left.min(there.len()).min(end - at);
                    if length == 0 {
                        return Err(damaged("gzip"));
                    }
                    output[at..at + length].copy_from_slice(&there[..length]);
                    input.consume(length);
                    at += length;
                    self.state = State::Stored(left - length);
                }
                State::Codes => {
                    let done = self.fast(input.fill()?, output, at);
                    let (read, written) = done.ok_or_else(|| damaged("gzip"))?;
                    input.consume(read);
                    at = written;
                    if self.state == State::Codes && at < end {
                        at = self.symbol(input, output, at)?;
                    }
                }
                State::Header | State::End => self.header(input)?,
            }
        }
        Ok(at)
    }

    /// The next whole byte.
    pub fn byte(&mut self, input: &mut dyn Stream) -> Result<u8> {
        self.drop_bits(self.count & 7);
        let byte = self.take(input, 8)? as u8;
        if self.count == 0 {
            // Bytes may be taken past us now.
            self.bits = 0;
        }
        Ok(byte)
    }

    /// Sees to it that so many bits are there.
    fn need(&mut self, input: &mut dyn Stream, bits: u32) -> Result<()> {
        while self.count < bits {
            let Some(byte) = input.fill()?.first().copied() else { return Err(damaged("gzip")) };
            input.consume(1);
            self.bits |= u64::from(byte) << self.count;
            self.count += 8;
        }
        Ok(())
    }

    fn drop_bits(&mut self, bits: u32) {
        self.bits >>= bits;
        self.count -= bits;
    }

    fn take(&mut self, input: &mut dyn Stream, bits: u32) -> Result<u32> {
        self.need(input, bits)?;
        let value = self.bits as u32 & ((1 << bits) - 1);
        self.drop_bits(bits);
        Ok(value)
    }

    /// The header of a block.
    fn header(&mut self, input: &mut dyn Stream) -> Result<()> {
        if self.last {
            self.state = State::End;
            return Ok(());
        }
        self.last = self.take(input, 1)? == 1;
        match self.take(input, 2)? {
            0 => {
                let mut fields = [0; 4];
                for field in &mut fields {
                    *field = self.byte(input)?;
                }
                let [low, high, not_low, not_high] = fields;
                if (low, high) != (!not_low, !not_high) {
                    return Err(damaged("gzip"));
                }
                self.state = State::Stored(u16::from_le_bytes([low, high]).into());
                Ok(())
            }
            1 => {
                let mut lengths = [8; 288];
                lengths[144..256].fill(9);
                lengths[256..280].fill(7);
                self.codes(&lengths, &[5; 32])
            }
            2 => self.own_codes(input),
            _ => Err(damaged("gzip")),
        }
    }

    fn codes(&mut self, literals: &[u8], distances: &[u8]) -> Result<()> {
        codes::make(&mut self.literals, LITERAL_BITS, literals, codes::literal)
            .and_then(|()| codes::make(&mut self.distances, DISTANCE_BITS, distances, codes::distance))
            .ok_or_else(|| damaged("gzip"))?;
        self.state = State::Codes;
        Ok(())
    }

    /// The lengths of a block's own codes, which are themselves written in codes.
    fn own_codes(&mut self, input: &mut dyn Stream) -> Result<()> {
        /// The longest of those.
        const BITS: u32 = 7;
        let literals = 257 + self.take(input, 5)? as usize;
        let distances = 1 + self.take(input, 5)? as usize;
        let count = 4 + self.take(input, 4)? as usize;
        if literals > 286 || distances > 30 {
            return Err(damaged("gzip"));
        }
        let mut lengths = [0; 19];
        for place in &ORDER[..count] {
            lengths[usize::from(*place)] = self.take(input, 3)? as u8;
        }
        // The table of distances is not needed yet.
        codes::make(&mut self.distances, BITS, &lengths, codes::itself).ok_or_else(|| damaged("gzip"))?;
        let mut lengths = [0; 286 + 30];
        let (mut filled, all) = (0, literals + distances);
        while filled < all {
            let entry = self.code(input, |own| &own.distances, BITS)?;
            self.drop_bits(entry.code());
            let (length, times) = match entry.value() {
                length @ 0..16 => (length as u8, 1),
                16 if filled == 0 => return Err(damaged("gzip")),
                16 => (lengths[filled - 1], 3 + self.take(input, 2)?),
                17 => (0, 3 + self.take(input, 3)?),
                _ => (0, 11 + self.take(input, 7)?),
            };
            let end = filled + times as usize;
            if end > all {
                return Err(damaged("gzip"));
            }
            lengths[filled..end].fill(length);
            filled = end;
        }
        // Without a code for its end a block has none.
        if lengths[256] == 0 {
            return Err(damaged("gzip"));
        }
        let (of_literals, rest) = lengths.split_at(literals);
        self.codes(of_literals, &rest[..distances])
    }

    /// The entry of the code that comes next; no more of the input is taken than it has.
    fn code(&mut self, input: &mut dyn Stream, table: fn(&Self) -> &[Entry], bits: u32) -> Result<Entry> {
        loop {
            let there = self.bits & ((1 << self.count) - 1);
            let mut entry = table(self)[there as usize & ((1 << bits) - 1)];
            if entry.is(SECOND) {
                entry = table(self).get(entry.place(there >> bits)).copied().unwrap_or(Entry::NONE);
            }
            if entry != Entry::NONE && entry.code() <= self.count {
                return Ok(entry);
            }
            if self.count >= LONGEST {
                return Err(damaged("gzip"));
            }
            self.need(input, self.count + 1)?;
        }
    }

    /// The base of an entry, and what its extra bits add.
    fn base(&mut self, input: &mut dyn Stream, entry: Entry) -> Result<usize> {
        self.drop_bits(entry.code());
        let extra = self.take(input, entry.bits() - entry.code())?;
        Ok(entry.value() + extra as usize)
    }

    /// One symbol, wherever input and output end; says where the output goes on.
    fn symbol(&mut self, input: &mut dyn Stream, output: &mut [u8], at: usize) -> Result<usize> {
        let entry = self.code(input, |own| &own.literals, LITERAL_BITS)?;
        if entry.is(BASE) {
            let length = self.base(input, entry)?;
            let entry = self.code(input, |own| &own.distances, DISTANCE_BITS)?;
            let distance = self.base(input, entry)?;
            return repeat(output, at, length, distance).ok_or_else(|| damaged("gzip"));
        }
        self.drop_bits(entry.code());
        if entry.is(END) {
            self.state = State::Header;
            return Ok(at);
        }
        output[at] = entry.value() as u8;
        Ok(at + 1)
    }

    /// Reads symbols as long as neither input nor output can end within one. Says how much was read and where the
    /// output goes on; nothing where the input is damaged.
    fn fast(&mut self, input: &[u8], output: &mut [u8], mut at: usize) -> Option<(usize, usize)> {
        let end = output.len().checked_sub(SLACK)?;
        let (mut bits, mut count, mut read) = (self.bits, self.count, 0);
        // Takes whole bytes, until there are 56 bits or more. Of the byte that comes next bits may be there already,
        // which are the same again.
        macro_rules! refill {
            () => {
                let Some(word) = input.get(read..).and_then(|rest| rest.first_chunk()) else { break };
                bits |= u64::from_le_bytes(*word) << count;
                read += ((63 - count) >> 3) as usize;
                count |= 56;
            };
        }
        macro_rules! drop_bits {
            ($entry:expr) => {
                bits >>= $entry.bits();
                count -= $entry.bits();
            };
        }
        while at < end {
            refill!();
            let mut entry = self.literals[bits as usize & ((1 << LITERAL_BITS) - 1)];
            if entry.is(LITERAL) {
                // Three fit into the bits that are there.
                let room: &mut [u8; 3] = output.get_mut(at..)?.first_chunk_mut()?;
                room[0] = entry.value() as u8;
                at += 1;
                drop_bits!(entry);
                entry = self.literals[bits as usize & ((1 << LITERAL_BITS) - 1)];
                if entry.is(LITERAL) {
                    room[1] = entry.value() as u8;
                    at += 1;
                    drop_bits!(entry);
                    entry = self.literals[bits as usize & ((1 << LITERAL_BITS) - 1)];
                    if entry.is(LITERAL) {
                        room[2] = entry.value() as u8;
                        at += 1;
                        drop_bits!(entry);
                        continue;
                    }
                }
                // A length and its distance with their extra bits have 48 at most.
                if count < 48 {
                    refill!();
                }
            }
            if entry.is(SECOND) {
                entry = *self.literals.get(entry.place(bits >> LITERAL_BITS))?;
            }
            let before = bits;
            drop_bits!(entry);
            if !entry.is(BASE) {
                if entry.is(LITERAL) {
                    output[at] = entry.value() as u8;
                    at += 1;
                    continue;
                }
                if entry.is(END) {
                    self.state = State::Header;
                    break;
                }
                return None;
            }
            let length = entry.with_extra(before);
            let mut entry = self.distances[bits as usize & ((1 << DISTANCE_BITS) - 1)];
            if entry.is(SECOND) {
                entry = *self.distances.get(entry.place(bits >> DISTANCE_BITS))?;
            }
            if !entry.is(BASE) {
                return None;
            }
            let distance = entry.with_extra(bits);
            drop_bits!(entry);
            at = repeat(output, at, length, distance)?;
        }
        (self.bits, self.count) = (bits, count);
        Some((read, at))
    }
}

/// Copies `length` bytes from `distance` before `at` to there, and maybe a few more behind them; says where they end.
/// None where nothing was written so far back.
#[inline(always)]
fn repeat(output: &mut [u8], at: usize, length: usize, distance: usize) -> Option<usize> {
    let (mut from, mut to, end) = (at.checked_sub(distance)?, at, at + length);
    if distance >= 16 {
        while to < end {
            let piece: [u8; 16] = *output.get(from..)?.first_chunk()?;
            *output.get_mut(to..)?.first_chunk_mut()? = piece;
            (from, to) = (from + 16, to + 16);
        }
        return Some(end);
    }
    if distance < 8 {
        // Of what repeats itself so soon, eight bytes one by one; then it repeats itself also at a longer distance.
        for index in 0..8 {
            output[to + index] = output[from + index];
        }
        to += 8;
        from = to - distance * 8_usize.div_ceil(distance);
    }
    while to < end {
        let piece: [u8; 8] = *output.get(from..)?.first_chunk()?;
        *output.get_mut(to..)?.first_chunk_mut()? = piece;
        (from, to) = (from + 8, to + 8);
    }
    Some(end)
}
