//! The bodies of memcpy and its kin where the architecture has no assembly for them: a word at a time where
//! both sides are aligned alike, else a byte at a time.

use core::mem::size_of;

const WORD: usize = size_of::<usize>();

/// Copies `count` bytes; the ranges may overlap.
///
/// # Safety
/// Both ranges are valid for `count` bytes.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, count: usize) {
    let apart = (to as usize).wrapping_sub(from as usize);
    // A destination inside the source must be written from its end.
    if apart < count {
        for i in (0..count).rev() {
            // SAFETY: i < count.
            unsafe { copy_unit::<u8>(to, from, i) };
        }
        return;
    }
    let mut done = 0;
    if apart.is_multiple_of(WORD) {
        while done < count && !(to as usize + done).is_multiple_of(WORD) {
            // SAFETY: done < count.
            unsafe { copy_unit::<u8>(to, from, done) };
            done += 1;
        }
        while count - done >= WORD {
            // SAFETY: a whole aligned word is left on both sides.
            unsafe { copy_unit::<usize>(to, from, done) };
            done += WORD;
        }
    }
    while done < count {
        // SAFETY: done < count.
        unsafe { copy_unit::<u8>(to, from, done) };
        done += 1;
    }
}

/// # Safety
/// Both sides are valid for one `T`, aligned for it, at byte `offset`. Volatile, so that the compiler does
/// not turn the loop around it into the very memcpy that it implements.
#[inline(always)]
unsafe fn copy_unit<T: Copy>(to: *mut u8, from: *const u8, offset: usize) {
    // SAFETY: the caller vouches for the source.
    let unit = unsafe { from.wrapping_add(offset).cast::<T>().read_volatile() };
    // SAFETY: the caller vouches for the destination.
    unsafe { to.wrapping_add(offset).cast::<T>().write_volatile(unit) };
}

/// Fills `count` bytes.
///
/// # Safety
/// The range is valid for `count` bytes.
#[inline(always)]
pub unsafe fn fill(to: *mut u8, byte: u8, count: usize) {
    for i in 0..count {
        // SAFETY: i < count.
        let at = unsafe { to.add(i) };
        // SAFETY: as above.
        unsafe { at.write_volatile(byte) };
    }
}

/// The difference of the first bytes that differ, or 0.
///
/// # Safety
/// Both ranges are valid for `count` bytes.
#[inline(always)]
pub unsafe fn compare(a: *const u8, b: *const u8, count: usize) -> i32 {
    for i in 0..count {
        // SAFETY: i < count.
        let left = unsafe { *a.wrapping_add(i) };
        // SAFETY: i < count.
        let right = unsafe { *b.wrapping_add(i) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
    }
    0
}

/// The number of bytes before the first NUL.
///
/// # Safety
/// A NUL follows somewhere.
#[inline(always)]
pub unsafe fn length(string: *const u8) -> usize {
    let mut end = 0;
    // SAFETY: no byte before `end` was the NUL, so `end` is still inside the string.
    while unsafe { *string.wrapping_add(end) } != 0 {
        end += 1;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_like_the_slices_do_at_every_offset_and_overlap() {
        for from in 0..20 {
            for to in 0..20 {
                for count in 0..20 {
                    let mut expected: [u8; 40] = core::array::from_fn(|i| i as u8);
                    let mut got = expected;
                    expected.copy_within(from..from + count, to);
                    let base = got.as_mut_ptr();
                    // SAFETY: 19 + 19 < 40.
                    unsafe { copy(base.wrapping_add(to), base.wrapping_add(from), count) };
                    assert_eq!(got, expected, "{count} bytes from {from} to {to}");
                }
            }
        }
    }

    #[test]
    fn compares_and_measures_like_c() {
        // SAFETY: three bytes on both sides.
        let order = |a: &[u8; 3], b: &[u8; 3]| unsafe { compare(a.as_ptr(), b.as_ptr(), 3) }.signum();
        assert_eq!(order(b"abc", b"abc"), 0);
        assert_eq!(order(b"ab\xff", b"abc"), 1);
        assert_eq!(order(b"abb", b"abc"), -1);
        // SAFETY: the literal ends with a NUL.
        assert_eq!(unsafe { length(c"four".as_ptr().cast()) }, 4);
    }
}
