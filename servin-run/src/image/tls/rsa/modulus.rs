//! Numbers modulo an odd one, multiplied as Montgomery has shown ([Koç, Acar, Kaliski 1996][cios], the method CIOS). It
//! takes other times for other numbers: nothing secret may be given to it.
//!
//! [cios]: https://www.microsoft.com/en-us/research/publication/analyzing-and-comparing-montgomery-multiplication-algorithms/

use crate::gather::Gather as _;
use alloc::vec::Vec;

/// A number, its least part first.
type Number = Vec<u32>;

/// An odd number.
pub struct Modulus {
    number: Number,
    /// What makes the least part of a multiple zero: the number's inverse modulo 2^32, negated.
    inverse: u32,
    /// How many bytes it was given in.
    length: usize,
}

impl Modulus {
    /// Of bytes, the greatest first and not zero; nothing where it is even.
    pub fn new(bytes: &[u8]) -> Option<Modulus> {
        let number = read(bytes);
        let least = *number.first().filter(|least| *least % 2 == 1)?;
        if bytes.first() == Some(&0) || number == [1] {
            return None;
        }
        // Each step doubles the number of bits that are right; an odd number is its own inverse modulo 8.
        let inverse = (0..4)
            .fold(least, |inverse, _| inverse.wrapping_mul(2u32.wrapping_sub(least.wrapping_mul(inverse))));
        Some(Modulus { number, inverse: inverse.wrapping_neg(), length: bytes.len() })
    }

    /// The power of a number that is less than this one, with as many bytes as this one.
    pub fn power(&self, base: &[u8], exponent: u64) -> Option<Vec<u8>> {
        let mut base = read(base);
        base.resize(self.number.len().max(base.len()), 0);
        if base.len() > self.number.len() || !less(&base, &self.number) || exponent == 0 {
            return None;
        }
        // R is 2 to the bits of all parts. A number's form here is that number times R, and a product of two forms
        // is divided by R.
        let bits = self.number.len() * 32;
        let mut form = base;
        (0..bits).for_each(|_| self.double(&mut form));
        let mut result = form.clone();
        for bit in (0..exponent.ilog2()).rev() {
            result = self.multiply(&result, &result);
            if exponent >> bit & 1 == 1 {
                result = self.multiply(&result, &form);
            }
        }
        let mut one = alloc::vec![0; self.number.len()];
        *one.first_mut()? = 1;
        let result = self.multiply(&result, &one);
        let bytes: Vec<u8> = result.iter().rev().flat_map(|part| part.to_be_bytes()).gather();
        Some(bytes[bytes.len() - self.length..].into())
    }

    /// Twice a number.
    fn double(&self, number: &mut [u32]) {
        let mut carry = 0;
        for part in &mut *number {
            let next = *part >> 31;
            *part = *part << 1 | carry;
            carry = next;
        }
        self.reduce(number, carry);
    }

    /// Takes the modulus away where the number, with `above` as one part more, is not less.
    fn reduce(&self, number: &mut [u32], above: u32) {
        if above == 0 && less(number, &self.number) {
            return;
        }
        let mut borrow = false;
        for (part, taken) in number.iter_mut().zip(&self.number) {
            let (less, first) = part.overflowing_sub(*taken);
            let (less, second) = less.overflowing_sub(borrow.into());
            *part = less;
            borrow = first || second;
        }
    }

    /// The product of two numbers, divided by R.
    fn multiply(&self, a: &[u32], b: &[u32]) -> Number {
        let length = self.number.len();
        // The sum so far; it is less than twice the modulus, and so has one bit more.
        let mut sum = alloc::vec![0; length];
        let mut above = 0;
        for factor in b {
            let carry = add_multiple(&mut sum, a, *factor);
            let (top, over) = add(above, carry);
            // Adding this multiple of the modulus makes the least part zero, which then falls away.
            let factor = sum[0].wrapping_mul(self.inverse);
            let carry = add_multiple(&mut sum, &self.number, factor);
            let (top, over_again) = add(top, carry);
            sum.copy_within(1.., 0);
            sum[length - 1] = top;
            above = over + over_again;
        }
        self.reduce(&mut sum, above);
        sum
    }
}

/// A sum and its carry.
fn add(a: u32, b: u32) -> (u32, u32) {
    let (sum, over) = a.overflowing_add(b);
    (sum, over.into())
}

/// Adds `factor` times `number` to `sum`, which is as long; returns the part above.
fn add_multiple(sum: &mut [u32], number: &[u32], factor: u32) -> u32 {
    let mut carry = 0;
    for (part, number) in sum.iter_mut().zip(number) {
        let whole = u64::from(*number) * u64::from(factor) + u64::from(*part) + carry;
        *part = whole as u32;
        carry = whole >> 32;
    }
    carry as u32
}

/// Whether `a` is less than `b`, which is as long.
fn less(a: &[u32], b: &[u32]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Bytes, the greatest first, as a number.
fn read(bytes: &[u8]) -> Number {
    let part = |chunk: &[u8]| chunk.iter().fold(0, |all, byte| all << 8 | u32::from(*byte));
    bytes.rchunks(4).map(part).gather()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::mutate::Random;

    /// The same by the machine's own numbers.
    fn power(base: u128, exponent: u64, modulus: u128) -> u128 {
        let (mut result, mut square) = (1, base % modulus);
        for bit in 0..64 {
            if exponent >> bit & 1 == 1 {
                result = result * square % modulus;
            }
            square = square * square % modulus;
        }
        result
    }

    fn bytes(number: u128) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        bytes[(number.leading_zeros() / 8) as usize..].into()
    }

    #[test]
    fn powers_are_those_of_the_machine_for_numbers_of_up_to_64_bits() {
        let mut random = Random(5);
        let mut number = |most: u32| {
            let bits = 2 + random.below(most as usize - 2) as u32;
            let word = (random.below(1 << 32) as u128) << 32 | random.below(1 << 32) as u128;
            // Often all ones at the top or the bottom, where carries are.
            match random.below(4) {
                0 => u128::from(u64::MAX) >> (64 - bits),
                1 => (word | u128::from(u64::MAX) << 40) & (u128::from(u64::MAX) >> (64 - bits)),
                _ => word & (u128::from(u64::MAX) >> (64 - bits)),
            }
        };
        for _ in 0..20_000 {
            let (modulus, base, exponent) = (number(64) | 1, number(64), number(33) as u64 | 1);
            if modulus == 1 {
                continue;
            }
            let base = base % modulus;
            let result =
                Modulus::new(&bytes(modulus)).expect("odd").power(&bytes(base), exponent).expect("less");
            let result = result.iter().fold(0, |all, byte| all << 8 | u128::from(*byte));
            assert_eq!(result, power(base, exponent, modulus), "{base}^{exponent} mod {modulus}");
        }
    }

    #[test]
    fn what_is_even_or_not_less_is_refused() {
        assert!(Modulus::new(&[4]).is_none() && Modulus::new(&[]).is_none() && Modulus::new(&[1]).is_none());
        assert!(Modulus::new(&[0, 3]).is_none());
        let seven = Modulus::new(&[7]).expect("odd");
        assert!(seven.power(&[7], 3).is_none() && seven.power(&[0, 0, 0, 0, 1], 3).is_none());
        assert_eq!(seven.power(&[6], 3), Some(vec![6]));
    }
}
