//! `cpu.shares` of cgroup v1 to `cpu.weight` of cgroup v2.
//!
//! From 2–262144 to 1–10000, with both defaults, 1024 and 100, upon each other: with l = log2(shares) the weight is
//! 10 to the power of (l² + 125 l) / 612 − 7/34, rounded up. This is runc's formula since 1.3.2
//! (opencontainers/runc#4785) and crun's since 1.23 (containers/crun#1721).

/// A logarithm to base 2 with so many bits behind the point.
const BITS: u32 = 40;

/// log2(10).
const LOG2_10: i128 = (core::f64::consts::LOG2_10 * (1u64 << BITS) as f64) as i128;

/// The shares of a cgroup that nobody has given any.
pub const DEFAULT: u64 = 1024;

/// The weight of so many shares.
pub fn to_weight(shares: u64) -> u64 {
    match shares {
        0..=2 => return 1,
        262_144.. => return 10_000,
        _ => {}
    }
    let one = 1i128 << BITS;
    let l = log2(shares);
    // Of the exponent, times 612; 7/34 is 126/612.
    let exponent = ((l * l) >> BITS) + 125 * l - 126 * one;
    // Where the power is a whole number, what the logarithms have lost must not round it up.
    let wanted = ((exponent * LOG2_10) >> BITS) - ((612 * one) >> 34);
    let (mut low, mut high) = (1, 10_000);
    while low < high {
        let middle = (low + high) / 2;
        if log2(middle) * 612 >= wanted {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    low
}

/// By squaring: each time the square passes 2, the next bit of the logarithm is 1.
fn log2(number: u64) -> i128 {
    let whole = number.ilog2();
    let mut mantissa = u128::from(number) << (60 - whole);
    let mut result = i128::from(whole);
    for _ in 0..BITS {
        mantissa = (mantissa * mantissa) >> 60;
        result <<= 1;
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            result |= 1;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_of_shares_has_the_weight_that_runc_gives_it() {
        for shares in 3..262_144u64 {
            let l = (shares as f64).log2();
            let expected = 10f64.powf((l * l + 125.0 * l) / 612.0 - 7.0 / 34.0).ceil() as u64;
            assert_eq!(to_weight(shares), expected, "{shares}");
        }
        for (shares, weight) in [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (u64::MAX, 10_000)] {
            assert_eq!(to_weight(shares), weight);
        }
    }
}
