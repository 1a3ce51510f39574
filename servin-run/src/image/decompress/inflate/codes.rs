//! The tables by which codes are read (RFC 1951, section 3.2): the next bits are a place in a table, whose entry says
//! how many of them the code has and what it stands for. Longer codes are in second tables.

/// Bits of a code that are looked up at once.
pub const LITERAL_BITS: u32 = 11;
/// The same of distances.
pub const DISTANCE_BITS: u32 = 9;
/// The longest code.
pub const LONGEST: u32 = 15;

/// Room for the first table and for second ones: each is of two codes at least, and there are 288.
pub const LITERALS: usize = (1 << LITERAL_BITS) + 144 * (1 << (LONGEST - LITERAL_BITS));
/// The same for 32 codes.
pub const DISTANCES: usize = (1 << DISTANCE_BITS) + 16 * (1 << (LONGEST - DISTANCE_BITS));

/// An entry: in its lowest six bits how many bits the code and the extra bits behind it have, from the eighth on
/// how many the code alone has, from the twelfth on one of these kinds or none, from the sixteenth on a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(u32);

/// The value is a byte, or the symbol itself.
pub const LITERAL: u32 = 1 << 15;
/// The value is a length or distance, to which the extra bits are added.
pub const BASE: u32 = 1 << 14;
/// The value is the place of a second table, and the lowest bits say how many bits are looked up there.
pub const SECOND: u32 = 1 << 13;
/// The block ends.
pub const END: u32 = 1 << 12;

impl Entry {
    /// Bits that stand for nothing.
    pub const NONE: Entry = Entry(0);

    /// Whether it is of one of the kinds.
    #[inline(always)]
    pub fn is(self, kinds: u32) -> bool {
        self.0 & kinds != 0
    }

    /// How many bits it takes, or how many are looked up in a second table.
    #[inline(always)]
    pub fn bits(self) -> u32 {
        self.0 & 63
    }

    /// How many of them are the code.
    #[inline(always)]
    pub fn code(self) -> u32 {
        self.0 >> 8 & 15
    }

    /// What it stands for.
    #[inline(always)]
    pub fn value(self) -> usize {
        (self.0 >> 16) as usize
    }

    /// The base, and what the extra bits of `bits` add, which the code begins.
    #[inline(always)]
    pub fn with_extra(self, bits: u64) -> usize {
        self.value() + ((bits & ((1 << self.bits()) - 1)) >> self.code()) as usize
    }

    /// In a second table, the place that the bits behind those of the first one stand for.
    #[inline(always)]
    pub fn place(self, behind: u64) -> usize {
        self.value() + (behind as usize & ((1 << self.bits()) - 1))
    }
}

/// What a symbol of literals and lengths stands for.
pub fn literal(symbol: u32) -> u32 {
    match symbol {
        0..256 => symbol << 16 | LITERAL,
        256 => END,
        257..265 => (symbol - 254) << 16 | BASE,
        265..285 => {
            let extra = (symbol - 261) >> 2;
            ((3 + ((4 + ((symbol - 257) & 3)) << extra)) << 16) | BASE | extra
        }
        285 => 258 << 16 | BASE,
        _ => 0,
    }
}

/// What a symbol of distances stands for.
pub fn distance(symbol: u32) -> u32 {
    match symbol {
        0..4 => (1 + symbol) << 16 | BASE,
        4..30 => {
            let extra = (symbol >> 1) - 1;
            (1 + ((2 + (symbol & 1)) << extra)) << 16 | BASE | extra
        }
        _ => 0,
    }
}

/// The symbol itself, of the code in which the lengths of the other codes are written.
pub fn itself(symbol: u32) -> u32 {
    symbol << 16 | LITERAL
}

/// Makes the tables for the codes of these lengths, of which `stands_for` says the meaning; the first table is looked
/// up by so many `bits`. None where such codes cannot be: too many, or fewer than there could be, which is right only
/// for one of one bit, and for none.
pub fn make(table: &mut [Entry], bits: u32, lengths: &[u8], stands_for: fn(u32) -> u32) -> Option<()> {
    let mut counts = [0; 16];
    for length in lengths {
        counts[usize::from(length & 15)] += 1;
    }
    counts[0] = 0;
    let longest = (0..16).rev().find(|length| counts[*length] > 0).unwrap_or(0) as u32;
    let mut left = 1;
    let mut next = [0u32; 17];
    for length in 1..16 {
        left = 2 * left - counts[length];
        if left < 0 {
            return None;
        }
        next[length + 1] = (next[length] + counts[length] as u32) << 1;
    }
    if left > 0 && longest > 1 {
        return None;
    }
    // Where it shows which second tables are there, or which bits are no code.
    table.get_mut(..1 << bits)?.fill(Entry::NONE);
    let second = longest.saturating_sub(bits);
    let mut free = 1 << bits;
    for (symbol, length) in (0..).zip(lengths).filter(|(_, length)| **length > 0) {
        let length = u32::from(*length);
        let code = next.get_mut(length as usize)?;
        // A code's first bit comes first.
        let code = (core::mem::replace(code, *code + 1).reverse_bits() >> (32 - length)) as usize;
        let entry = match stands_for(symbol) {
            0 => Entry::NONE,
            meaning => Entry((meaning + length) | (length << 8)),
        };
        let (part, index, step) = if length <= bits {
            (table.get_mut(..1 << bits)?, code, 1 << length)
        } else {
            let first = table.get_mut(code & ((1 << bits) - 1))?;
            if *first == Entry::NONE {
                *first = Entry(free << 16 | SECOND | second);
                free += 1 << second;
            }
            let start = first.value();
            (table.get_mut(start..start + (1 << second))?, code >> bits, 1 << (length - bits))
        };
        // Whatever comes behind the code.
        part.iter_mut().skip(index).step_by(step).for_each(|place| *place = entry);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn can_be(lengths: &[u8]) -> bool {
        make(&mut [Entry::NONE; LITERALS], LITERAL_BITS, lengths, literal).is_some()
    }

    #[test]
    fn lengths_that_make_no_code_are_refused() {
        assert!(can_be(&[]) && can_be(&[1]) && can_be(&[0, 1]) && can_be(&[1, 2, 2]) && can_be(&[8; 256]));
        assert!(!can_be(&[2]) && !can_be(&[1, 1, 1]) && !can_be(&[1, 2]) && !can_be(&[15; 288]));
        assert!(!can_be(&[12; 288]));
        // Nearly as many second tables as there can be, of four bits each.
        let rest = [13, 14, 15, 15, 1, 2, 3, 5, 6, 7, 9, 10, 11, 12];
        let most: Vec<u8> = std::iter::repeat_n(12, 272).chain(rest).collect();
        assert!(can_be(&most));
    }

    #[test]
    fn lengths_and_distances_are_the_specifications() {
        let base = |meaning: u32| (meaning >> 16, meaning & 63);
        assert_eq!(
            [257, 264, 265, 268, 269, 284, 285].map(|symbol| base(literal(symbol))),
            [(3, 0), (10, 0), (11, 1), (17, 1), (19, 2), (227, 5), (258, 0)]
        );
        assert_eq!(
            [0, 3, 4, 5, 6, 29].map(|symbol| base(distance(symbol))),
            [(1, 0), (4, 0), (5, 1), (7, 1), (9, 2), (24577, 13)]
        );
        assert_eq!([literal(286), literal(287), distance(30), distance(31)], [0; 4]);
    }
}
