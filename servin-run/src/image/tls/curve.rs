//! Key exchange and signatures on the curves P-256 and P-384 (SEC 1, FIPS 186-5), and key exchange on Curve25519 (RFC
//! 7748), all by [`Modulus`]. What is calculated with a secret takes the same steps and the same memory whatever the
//! secret is: points are added by formulas that have no exceptions ([Renes, Costello, Batina 2015][complete]).
//!
//! [complete]: https://eprint.iacr.org/2015/1060

use alloc::vec::Vec;

use super::der::{Der, SEQUENCE};
use super::modulus::{Modulus, Number, mask};

/// One step of a calculation: what is done, and in which places its result and its operands are.
type Step = (Operation, usize, usize, usize);

#[derive(Clone, Copy)]
enum Operation {
    Times,
    Plus,
    Minus,
}

macro_rules! operation {
    (*) => {
        Operation::Times
    };
    (+) => {
        Operation::Plus
    };
    (-) => {
        Operation::Minus
    };
}

macro_rules! steps {
    ($($to:ident = $a:ident $operation:tt $b:ident)*) => { &[$((operation!($operation), $to, $a, $b),)*] };
}

/// Numbers in numbered places, and the calculation with them.
struct Calculation<'a> {
    field: &'a Modulus,
    places: [Number; PLACES],
    result: Number,
}

/// The points that are added and their sum, with coordinates of which the third divides the others.
const X1: usize = 0;
const Y1: usize = 1;
const Z1: usize = 2;
const X2: usize = 3;
const Y2: usize = 4;
const Z2: usize = 5;
const X3: usize = 6;
const Y3: usize = 7;
const Z3: usize = 8;
/// What is on the way.
const T0: usize = 9;
const T1: usize = 10;
const T2: usize = 11;
const T3: usize = 12;
const T4: usize = 13;
/// The curve's constant.
const B: usize = 14;
const PLACES: usize = 15;

/// The sum of two points of y² = x³ - 3x + b: algorithm 4 of the paper.
#[rustfmt::skip]
const ADDITION: &[Step] = steps! {
    T0 = X1 * X2   T1 = Y1 * Y2   T2 = Z1 * Z2   T3 = X1 + Y1   T4 = X2 + Y2   T3 = T3 * T4
    T4 = T0 + T1   T3 = T3 - T4   T4 = Y1 + Z1   X3 = Y2 + Z2   T4 = T4 * X3   X3 = T1 + T2
    T4 = T4 - X3   X3 = X1 + Z1   Y3 = X2 + Z2   X3 = X3 * Y3   Y3 = T0 + T2   Y3 = X3 - Y3
    Z3 = B * T2    X3 = Y3 - Z3   Z3 = X3 + X3   X3 = X3 + Z3   Z3 = T1 - X3   X3 = T1 + X3
    Y3 = B * Y3    T1 = T2 + T2   T2 = T1 + T2   Y3 = Y3 - T2   Y3 = Y3 - T0   T1 = Y3 + Y3
    Y3 = T1 + Y3   T1 = T0 + T0   T0 = T1 + T0   T0 = T0 - T2   T1 = T4 * Y3   T2 = T0 * Y3
    Y3 = X3 * Z3   Y3 = Y3 + T2   X3 = T3 * X3   X3 = X3 - T1   Z3 = T4 * Z3   T1 = T3 * T0
    Z3 = Z3 + T1
};

/// What both sides of the curve's equation differ by for X1 and Y1.
#[rustfmt::skip]
const EQUATION: &[Step] = steps! {
    T0 = X1 * X1   T0 = T0 * X1   T0 = T0 - X1   T0 = T0 - X1   T0 = T0 - X1   T0 = T0 + B
    T1 = Y1 * Y1   T0 = T0 - T1
};

/// One step of the ladder (RFC 7748 section 5): the points are X2:Z2 and X3:Z3, X1 is what they differ by, and the
/// constant (A - 2) / 4 is in B.
#[rustfmt::skip]
const LADDER: &[Step] = steps! {
    T0 = X2 + Z2   T1 = X2 - Z2   T2 = X3 + Z3   T3 = X3 - Z3   T3 = T3 * T0   T2 = T2 * T1
    X3 = T3 + T2   X3 = X3 * X3   Z3 = T3 - T2   Z3 = Z3 * Z3   Z3 = X1 * Z3
    T0 = T0 * T0   T1 = T1 * T1   X2 = T0 * T1   T1 = T0 - T1   Z2 = B * T1    Z2 = T0 + Z2   Z2 = T1 * Z2
};

impl Calculation<'_> {
    fn new(field: &Modulus) -> Calculation<'_> {
        let zero = field.zero();
        Calculation { field, places: core::array::from_fn(|_| zero.clone()), result: zero }
    }

    fn run(&mut self, steps: &[Step]) {
        for (operation, to, a, b) in steps {
            let (a, b) = (&self.places[*a], &self.places[*b]);
            if let Operation::Times = operation {
                self.field.multiply(&mut self.result, a, b);
            } else {
                self.result.copy_from_slice(a);
                match operation {
                    Operation::Plus => self.field.add(&mut self.result, b),
                    _ => self.field.subtract(&mut self.result, b),
                }
            }
            core::mem::swap(&mut self.places[*to], &mut self.result);
        }
    }

    /// Exchanges two places where there is a bit.
    fn exchange(&mut self, a: usize, b: usize, bit: u64) {
        let mask = mask(bit);
        if let Ok([a, b]) = self.places.get_disjoint_mut([a, b]) {
            for (a, b) in a.iter_mut().zip(b) {
                let difference = (*a ^ *b) & mask;
                *a ^= difference;
                *b ^= difference;
            }
        }
    }
}

/// A curve's prime and order, its constant b, and the generator's x and y.
type Parameters = [&'static [u8]; 5];

/// secp256r1.
#[rustfmt::skip]
pub const P256: &Parameters = &[
    b"\xff\xff\xff\xff\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\
      \xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xbc\xe6\xfa\xad\xa7\x17\x9e\x84\
      \xf3\xb9\xca\xc2\xfc\x63\x25\x51",
    b"\x5a\xc6\x35\xd8\xaa\x3a\x93\xe7\xb3\xeb\xbd\x55\x76\x98\x86\xbc\x65\x1d\x06\xb0\xcc\x53\xb0\xf6\
      \x3b\xce\x3c\x3e\x27\xd2\x60\x4b",
    b"\x6b\x17\xd1\xf2\xe1\x2c\x42\x47\xf8\xbc\xe6\xe5\x63\xa4\x40\xf2\x77\x03\x7d\x81\x2d\xeb\x33\xa0\
      \xf4\xa1\x39\x45\xd8\x98\xc2\x96",
    b"\x4f\xe3\x42\xe2\xfe\x1a\x7f\x9b\x8e\xe7\xeb\x4a\x7c\x0f\x9e\x16\x2b\xce\x33\x57\x6b\x31\x5e\xce\
      \xcb\xb6\x40\x68\x37\xbf\x51\xf5",
];
/// secp384r1.
#[rustfmt::skip]
pub const P384: &Parameters = &[
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
      \xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\
      \xc7\x63\x4d\x81\xf4\x37\x2d\xdf\x58\x1a\x0d\xb2\x48\xb0\xa7\x7a\xec\xec\x19\x6a\xcc\xc5\x29\x73",
    b"\xb3\x31\x2f\xa7\xe2\x3e\xe7\xe4\x98\x8e\x05\x6b\xe3\xf8\x2d\x19\x18\x1d\x9c\x6e\xfe\x81\x41\x12\
      \x03\x14\x08\x8f\x50\x13\x87\x5a\xc6\x56\x39\x8d\x8a\x2e\xd1\x9d\x2a\x85\xc8\xed\xd3\xec\x2a\xef",
    b"\xaa\x87\xca\x22\xbe\x8b\x05\x37\x8e\xb1\xc7\x1e\xf3\x20\xad\x74\x6e\x1d\x3b\x62\x8b\xa7\x9b\x98\
      \x59\xf7\x41\xe0\x82\x54\x2a\x38\x55\x02\xf2\x5d\xbf\x55\x29\x6c\x3a\x54\x5e\x38\x72\x76\x0a\xb7",
    b"\x36\x17\xde\x4a\x96\x26\x2c\x6f\x5d\x9e\x98\xbf\x92\x92\xdc\x29\xf8\xf4\x1d\xbd\x28\x9a\x14\x7c\
      \xe9\xda\x31\x13\xb5\xf0\xb8\xc0\x0a\x60\xb1\xce\x1d\x7e\x81\x9d\x7a\x43\x1d\x7c\x90\xea\x0e\x5f",
];

/// A curve of NIST.
pub struct Curve {
    field: Modulus,
    order: Modulus,
    b: Number,
    generator: Point,
}

/// A point that is not the one at infinity: the forms of its x and y.
#[derive(Clone)]
struct Point(Number, Number);

impl Curve {
    /// Nothing is never what comes of the parameters here.
    pub fn new(parameters: &Parameters) -> Option<Curve> {
        let [prime, order, b, x, y] = *parameters;
        let (field, order) = (Modulus::new(prime)?, Modulus::new(order)?);
        let form = |bytes| Some(field.form(&field.read(bytes)?));
        let (b, generator) = (form(b)?, Point(form(x)?, form(y)?));
        Some(Curve { field, order, b, generator })
    }

    /// How many bytes a number has.
    fn length(&self) -> usize {
        self.field.length()
    }

    /// Reads a point that is not compressed and lies on the curve.
    fn point(&self, bytes: &[u8]) -> Option<Point> {
        let (x, y) = bytes.strip_prefix(&[4])?.split_at_checked(self.length())?;
        if y.len() != self.length() {
            return None;
        }
        let form = |bytes| Some(self.field.form(&self.field.read(bytes)?));
        let point = Point(form(x)?, form(y)?);
        let mut calculation = Calculation::new(&self.field);
        calculation.places[X1].clone_from(&point.0);
        calculation.places[Y1].clone_from(&point.1);
        calculation.places[B].clone_from(&self.b);
        calculation.run(EQUATION);
        calculation.places[T0].iter().all(|part| *part == 0).then_some(point)
    }

    /// The sum of points, each multiplied by a number that has as many bytes as the order: x and y of it.
    fn sum(&self, terms: &[(&[u8], &Point)]) -> Option<(Number, Number)> {
        let mut calculation = Calculation::new(&self.field);
        calculation.places[B].clone_from(&self.b);
        // The point at infinity.
        calculation.places[Y3].clone_from(&self.field.one);
        for bit in 0..self.length() * 8 {
            for coordinate in 0..3 {
                let sum = calculation.places[X3 + coordinate].clone();
                calculation.places[X1 + coordinate].clone_from(&sum);
                calculation.places[X2 + coordinate] = sum;
            }
            calculation.run(ADDITION);
            for (number, Point(x, y)) in terms {
                let mask = mask(u64::from(number[bit / 8] >> (7 - bit % 8) & 1));
                for part in 0..x.len() {
                    let one = self.field.one[part];
                    calculation.places[X2][part] = x[part] & mask;
                    calculation.places[Y2][part] = y[part] & mask | one & !mask;
                    calculation.places[Z2][part] = one & mask;
                    for coordinate in 0..3 {
                        calculation.places[X1 + coordinate][part] = calculation.places[X3 + coordinate][part];
                    }
                }
                calculation.run(ADDITION);
            }
        }
        let [.., x, y, z, _, _, _, _, _, _] = &calculation.places;
        if z.iter().all(|part| *part == 0) {
            return None;
        }
        let inverse = self.field.inverse(z);
        let plain = |form| self.field.plain(&self.field.product(form, &inverse));
        Some((plain(x), plain(y)))
    }

    /// The public key of a secret one; nothing where that is no key: the next draw is another.
    pub fn public(&self, secret: &[u8]) -> Option<Vec<u8>> {
        self.order.read(secret)?;
        let (x, y) = self.sum(&[(secret, &self.generator)])?;
        Some([&[4], &*self.field.bytes(&x), &*self.field.bytes(&y)].concat())
    }

    /// What the owner of a secret key and that of a public key share.
    pub fn shared(&self, secret: &[u8], public: &[u8]) -> Option<Vec<u8>> {
        let (x, _) = self.sum(&[(secret, &self.point(public)?)])?;
        Some(self.field.bytes(&x))
    }

    /// Whether `signature` (ECDSA-Sig-Value of RFC 3279) is that of a digest by a key.
    pub fn verify(&self, key: &[u8], digest: &[u8], signature: &[u8]) -> Option<()> {
        let key = self.point(key)?;
        let mut fields = Der(signature).only(SEQUENCE)?;
        // Both are above zero, and less than the order.
        let order = &self.order;
        let (r, s) = (order.read(fields.unsigned()?)?, order.read(fields.unsigned()?)?);
        fields.end()?;
        let digest = &digest[..digest.len().min(self.length())];
        let inverse = order.inverse(&order.form(&s));
        // Of a form and a number, the product is a number.
        let times = |number: &[u64]| order.bytes(&order.product(number, &inverse));
        let (first, second) = (times(&order.read_any(digest)), times(&r));
        let (mut x, _) = self.sum(&[(&first, &self.generator), (&second, &key)])?;
        // The prime is less than twice the order.
        order.reduce(&mut x, 0);
        (x == r).then_some(())
    }
}

/// What the owner of a secret key and that of a public key share on Curve25519; the basis gives the public key.
pub fn x25519(secret: &[u8; 32], public: &[u8; 32]) -> Option<[u8; 32]> {
    let field = Modulus::new(&PRIME_25519)?;
    // Numbers come with the least byte first.
    let [mut secret, mut public] = [*secret, *public];
    secret.reverse();
    public.reverse();
    secret[0] = secret[0] & 0x7f | 0x40;
    secret[31] &= 0xf8;
    public[0] &= 0x7f;
    let mut calculation = Calculation::new(&field);
    let x = field.form(&field.read_any(&public));
    calculation.places[X1].clone_from(&x);
    calculation.places[X2].clone_from(&field.one);
    calculation.places[X3] = x;
    calculation.places[Z3].clone_from(&field.one);
    calculation.places[B] = field.form(&field.read_any(&121_665_u32.to_be_bytes()));
    let mut before = 0;
    for at in 0..=256 {
        // The first bit is never set; after the last one, one more exchange and no step.
        let bit = if at < 256 { u64::from(secret[at / 8] >> (7 - at % 8) & 1) } else { 0 };
        calculation.exchange(X2, X3, bit ^ before);
        calculation.exchange(Z2, Z3, bit ^ before);
        before = bit;
        if at < 256 {
            calculation.run(LADDER);
        }
    }
    let inverse = field.inverse(&calculation.places[Z2]);
    let shared = field.plain(&field.product(&calculation.places[X2], &inverse));
    let mut bytes = <[u8; 32]>::try_from(field.bytes(&shared)).ok()?;
    bytes.reverse();
    Some(bytes)
}

/// 2^255 - 19, the greatest byte first.
const PRIME_25519: [u8; 32] = {
    let mut bytes = [0xff; 32];
    bytes[0] = 0x7f;
    bytes[31] = 0xed;
    bytes
};

#[cfg(test)]
mod tests;
