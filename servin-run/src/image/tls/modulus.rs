//! Numbers modulo an odd one, multiplied as Montgomery has shown ([Koç, Acar, Kaliski 1996][cios], the method CIOS).
//! How long something takes depends on the lengths of numbers alone, except where it says so: the curves calculate
//! with secrets. A number's *form* is that number times R, where R is 2 to the bits of all its parts; a product of two
//! forms is divided by R, and so is a form again.
//!
//! [cios]: https://www.microsoft.com/en-us/research/publication/analyzing-and-comparing-montgomery-multiplication-algorithms/

use alloc::vec::Vec;
use core::hint::black_box;

/// A number, its least part first.
pub type Number = Vec<u64>;

/// An odd number above one.
pub struct Modulus {
    number: Number,
    /// What makes the least part of a multiple zero: the number's inverse modulo 2^64, negated.
    inverse: u64,
    /// The form of one.
    pub one: Number,
    /// The form of R, by which a number becomes its form.
    form: Number,
    /// How many bytes it was given in.
    length: usize,
}

impl Modulus {
    /// Of bytes, the greatest first and not zero; nothing where it is even. Takes other times for other numbers.
    pub fn new(bytes: &[u8]) -> Option<Modulus> {
        let number = read(bytes);
        let least = *number.first().filter(|least| *least % 2 == 1)?;
        if bytes.first() == Some(&0) || number == [1] {
            return None;
        }
        // Each step doubles the number of bits that are right; an odd number is its own inverse modulo 8.
        let inverse = (0..5)
            .fold(least, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(least.wrapping_mul(inverse))));
        let inverse = inverse.wrapping_neg();
        let (parts, spare) = (number.len(), number.last()?.leading_zeros());
        // The greatest power of two below the modulus, doubled until it is R.
        let mut one = alloc::vec![0; parts];
        *one.last_mut()? = 1 << (63 - spare);
        let mut modulus =
            Modulus { number, inverse, one: Number::new(), form: Number::new(), length: bytes.len() };
        (0..=spare).for_each(|_| modulus.double(&mut one));
        // From the form of one to that of R by doubling as often as need be and squaring for the rest.
        let bits = parts * 64;
        let mut form = one.clone();
        (0..bits >> bits.trailing_zeros()).for_each(|_| modulus.double(&mut form));
        for _ in 0..bits.trailing_zeros() {
            form = modulus.product(&form, &form);
        }
        modulus.one = one;
        modulus.form = form;
        Some(modulus)
    }

    /// Reads a number that is less than this one, and not too many bytes.
    pub fn read(&self, bytes: &[u8]) -> Option<Number> {
        let mut number = read(bytes);
        number.resize(self.number.len().max(number.len()), 0);
        (number.len() == self.number.len() && less(&number, &self.number)).then_some(number)
    }

    /// Reads a number of no more parts, which need not be less.
    pub fn read_any(&self, bytes: &[u8]) -> Number {
        let mut number = read(bytes);
        number.resize(self.number.len(), 0);
        number
    }

    /// Nothing, as long as this number.
    pub fn zero(&self) -> Number {
        alloc::vec![0; self.number.len()]
    }

    /// How many bytes this number has.
    pub fn length(&self) -> usize {
        self.length
    }

    /// A number as bytes, as many as this one has.
    pub fn bytes(&self, number: &[u64]) -> Vec<u8> {
        let bytes: Vec<u8> = number.iter().rev().flat_map(|part| part.to_be_bytes()).collect();
        bytes[bytes.len() - self.length..].into()
    }

    /// The form of a number, which need not be less than this one.
    pub fn form(&self, number: &[u64]) -> Number {
        self.product(number, &self.form)
    }

    /// The number of a form.
    pub fn plain(&self, form: &[u64]) -> Number {
        let mut one = self.zero();
        one[0] = 1;
        self.product(form, &one)
    }

    /// The form of a power of a form. The exponent is no secret.
    pub fn power(&self, form: &[u64], exponent: &[u8]) -> Number {
        let mut result = self.one.clone();
        let bits = exponent.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
        for bit in bits.skip_while(|bit| *bit == 0) {
            result = self.product(&result, &result);
            if bit == 1 {
                result = self.product(&result, form);
            }
        }
        result
    }

    /// The form of what times this form is one; this number has to be a prime.
    pub fn inverse(&self, form: &[u64]) -> Number {
        let mut less_two = self.number.clone();
        let mut two = self.zero();
        two[0] = 2;
        subtract(&mut less_two, &two);
        self.power(form, &self.bytes(&less_two))
    }

    pub fn product(&self, a: &[u64], b: &[u64]) -> Number {
        let mut product = self.zero();
        self.multiply(&mut product, a, b);
        product
    }

    /// The product of two numbers of which one is less than this one, divided by R.
    pub fn multiply(&self, sum: &mut [u64], a: &[u64], b: &[u64]) {
        // The sum so far is less than twice the modulus, and so has one bit more.
        let mut above = 0_u64;
        sum.fill(0);
        for factor in b {
            let carry = add_multiple(sum, a, *factor);
            let (top, over) = above.overflowing_add(carry);
            // Adding this multiple of the modulus makes the least part zero, which then falls away.
            let carry = add_multiple(sum, &self.number, sum[0].wrapping_mul(self.inverse));
            let (top, over_again) = top.overflowing_add(carry);
            sum.copy_within(1.., 0);
            sum[self.number.len() - 1] = top;
            above = u64::from(over) + u64::from(over_again);
        }
        self.reduce(sum, above);
    }

    /// Adds a number that is less than this one to another.
    pub fn add(&self, number: &mut [u64], other: &[u64]) {
        let carry = add(number, other, !0);
        self.reduce(number, carry);
    }

    /// Subtracts one from another.
    pub fn subtract(&self, number: &mut [u64], other: &[u64]) {
        let borrow = subtract(number, other);
        add(number, &self.number, mask(borrow));
    }

    /// Twice a number.
    fn double(&self, number: &mut [u64]) {
        let same = Number::from(&*number);
        self.add(number, &same);
    }

    /// Takes the modulus away where the number, with `above` as one part more, is not less.
    pub fn reduce(&self, number: &mut [u64], above: u64) {
        let borrow = subtract(number, &self.number);
        add(number, &self.number, mask(borrow & !above));
    }
}

/// All bits, where there is one; the compiler is not to make a branch of it.
pub fn mask(bit: u64) -> u64 {
    black_box(bit).wrapping_neg()
}

/// Adds what `mask` leaves of a number to `sum`, which is as long; returns the carry.
fn add(sum: &mut [u64], number: &[u64], mask: u64) -> u64 {
    let mut carry = 0;
    for (part, number) in sum.iter_mut().zip(number) {
        let whole = u128::from(*part) + u128::from(*number & mask) + carry;
        *part = whole as u64;
        carry = whole >> 64;
    }
    carry as u64
}

/// Subtracts a number from one that is as long; returns the borrow.
fn subtract(from: &mut [u64], number: &[u64]) -> u64 {
    let mut borrow = 0;
    for (part, number) in from.iter_mut().zip(number) {
        let whole = u128::from(*part).wrapping_sub(u128::from(*number)).wrapping_sub(borrow);
        *part = whole as u64;
        borrow = whole >> 127;
    }
    borrow as u64
}

/// Adds `factor` times `number` to `sum`, which is as long; returns the part above.
fn add_multiple(sum: &mut [u64], number: &[u64], factor: u64) -> u64 {
    let mut carry = 0;
    for (part, number) in sum.iter_mut().zip(number) {
        let whole = u128::from(*number) * u128::from(factor) + u128::from(*part) + carry;
        *part = whole as u64;
        carry = whole >> 64;
    }
    carry as u64
}

/// Whether `a` is less than `b`, which is as long. Takes other times for other numbers.
fn less(a: &[u64], b: &[u64]) -> bool {
    a.iter().rev().lt(b.iter().rev())
}

/// Bytes, the greatest first, as a number.
fn read(bytes: &[u8]) -> Number {
    let part = |chunk: &[u8]| chunk.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    bytes.rchunks(8).map(part).collect()
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

    fn number(parts: &[u64]) -> u128 {
        parts.iter().rev().fold(0, |all, part| all << 64 | u128::from(*part))
    }

    #[test]
    fn what_is_calculated_is_what_the_machine_says_for_numbers_of_up_to_64_bits() {
        let mut random = Random(5);
        let mut draw = |most: u32| {
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
            let (modulus, base, other, exponent) = (draw(64) | 1, draw(64), draw(64), draw(33) as u64 | 1);
            if modulus == 1 {
                continue;
            }
            let (base, other) = (base % modulus, other % modulus);
            let made = Modulus::new(&bytes(modulus)).expect("odd");
            let read = |number| made.read(&bytes(number)).expect("less");
            let form = made.form(&read(base));
            assert_eq!(number(&made.plain(&form)), base, "{base} mod {modulus}");
            let result = made.plain(&made.power(&form, &exponent.to_be_bytes()));
            assert_eq!(number(&result), power(base, exponent, modulus), "{base}^{exponent} mod {modulus}");
            let mut sum = read(base);
            made.add(&mut sum, &read(other));
            assert_eq!(number(&sum), (base + other) % modulus, "{base} + {other} mod {modulus}");
            let mut difference = read(base);
            made.subtract(&mut difference, &read(other));
            assert_eq!(
                number(&difference),
                (modulus + base - other) % modulus,
                "{base} - {other} mod {modulus}"
            );
        }
    }

    #[test]
    fn numbers_of_several_parts_have_inverses_where_carries_are() {
        // 2^255 - 19 and the primes of the curves of NIST are tested with the curves; this one has spare bits: 2^127 - 1.
        let prime = Modulus::new(&bytes((1 << 127) - 1)).expect("odd");
        let mut random = Random(6);
        for _ in 0..500 {
            let word = (0..4).fold(0u128, |all, _| all << 32 | random.below(1 << 32) as u128) >> 1;
            let form = prime.form(&prime.read(&bytes(word | 1)).expect("less"));
            assert_eq!(prime.product(&form, &prime.inverse(&form)), prime.one, "{word}");
        }
    }

    #[test]
    fn what_is_even_or_not_less_is_refused() {
        assert!(Modulus::new(&[4]).is_none() && Modulus::new(&[]).is_none() && Modulus::new(&[1]).is_none());
        assert!(Modulus::new(&[0, 3]).is_none());
        let seven = Modulus::new(&[7]).expect("odd");
        assert!(seven.read(&[7]).is_none() && seven.read(&[1, 0, 0, 0, 0, 0, 0, 0, 1]).is_none());
        let six = seven.form(&seven.read(&[6]).expect("less"));
        assert_eq!(seven.bytes(&seven.plain(&seven.power(&six, &[0, 3]))), [6]);
    }
}
