//! The names of system calls and their numbers, in a table that the build makes (build/syscalls.rs).

include!(concat!(env!("OUT_DIR"), "/syscalls.rs"));

/// The number of the call at `place` on the architecture of a column; `None` where there is no such call.
pub fn number(place: usize, column: usize) -> Option<u32> {
    match *NUMBERS.get(column)?.get(place)? {
        u16::MAX => None,
        // Arm's own calls.
        number @ 0xf000.. => Some(u32::from(number) - 0xf000 + 0xf0000),
        number => Some(number.into()),
    }
}

/// Where the table has a name.
pub fn find(name: &str) -> Option<usize> {
    let (mut low, mut high) = (0, ENDS.len());
    while low < high {
        let middle = low.midpoint(high);
        // The names follow each other in their order.
        let start = if middle == 0 { 0 } else { ENDS[middle - 1].into() };
        match NAMES.get(start..ENDS[middle].into())?.cmp(name) {
            core::cmp::Ordering::Equal => return Some(middle),
            core::cmp::Ordering::Less => low = middle + 1,
            core::cmp::Ordering::Greater => high = middle,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_and_no_other() {
        let mut start = 0;
        for (index, end) in ENDS.iter().map(|end| usize::from(*end)).enumerate() {
            assert_eq!(find(&NAMES[start..end]), Some(index));
            start = end;
        }
        for name in ["", "a", "zzz", "rea", "reada"] {
            assert_eq!(find(name), None, "{name}");
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_the_kernels() {
        let numbers = |name| [0, 1, 2].map(|column| number(find(name)?, column));
        assert_eq!(numbers("read"), [Some(0), Some(3), Some(0)]);
        assert_eq!(numbers("execve"), [Some(59), Some(11), Some(520)]);
        assert_eq!(numbers("socketcall"), [None, Some(102), None]);
        assert_eq!(numbers("mseal"), [Some(462), Some(462), Some(462)]);
        assert_eq!(numbers("read")[0], Some(linux_raw_sys::general::__NR_read));
    }
}
