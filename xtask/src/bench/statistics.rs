//! What many runs boil down to.

/// The middle value, or the mean of the two in the middle. Zero of nothing.
pub fn median(values: impl IntoIterator<Item = u64>) -> u64 {
    let mut values: Vec<u64> = values.into_iter().collect();
    values.sort_unstable();
    let middle = values.len() / 2;
    match values.len() {
        0 => 0,
        odd if odd % 2 == 1 => values[middle],
        _ => values[middle - 1].midpoint(values[middle]),
    }
}

/// `value` as a multiple of `reference`.
pub fn ratio(value: u64, reference: u64) -> f64 {
    if reference == 0 { f64::NAN } else { value as f64 / reference as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([3, 1, 2]), 2);
        assert_eq!(median([4, 1, 2, 1000]), 3);
        assert_eq!(median([u64::MAX, u64::MAX]), u64::MAX);
        assert_eq!(median([]), 0);
    }

    #[test]
    fn ratios_need_a_reference() {
        assert_eq!(ratio(3, 2), 1.5);
        assert!(ratio(3, 0).is_nan());
    }
}
