//! The time of day as people and engines read it: RFC 3339, in UTC.

use alloc::format;
use alloc::string::String;

use crate::sys::clock::time_of_day;

/// The time now: `2026-01-31T23:59:59.123456789Z`.
pub fn now() -> String {
    let (seconds, nanoseconds) = time_of_day();
    format(seconds, nanoseconds)
}

/// Seconds since 1970 began.
pub fn seconds() -> i64 {
    time_of_day().0
}

/// Reads RFC 3339, with a fraction or without, in UTC or with an offset: seconds and nanoseconds since 1970 began.
pub fn parse(text: &str) -> Option<(i64, u32)> {
    let number = |range: core::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let separators = [4, 7, 10, 13, 16].map(|at| text.as_bytes().get(at).copied());
    let separated =
        matches!(separators, [Some(b'-'), Some(b'-'), Some(b'T' | b't' | b' '), Some(b':'), Some(b':')]);
    if !separated
        || !(1..=12).contains(&month)
        || !(1..=31).contains(&day)
        || hour > 23
        || minute > 59
        || second > 60
    {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        None => (0, rest),
        Some(rest) => {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let digits = rest[..end].bytes().chain(core::iter::repeat(b'0')).take(9);
            (digits.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), &rest[end..])
        }
    };
    let offset = match zone.as_bytes() {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let at = text.len() - zone.len();
            let minutes = number(at + 1..at + 3)? * 60 + number(at + 4..at + 6)?;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    Some((seconds, fraction))
}

/// A date as days since 1970 began, counted as in [`date`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A time of so many seconds since 1970 began.
pub fn at(seconds: i64) -> String {
    format(seconds, 0)
}

/// Seconds and nanoseconds since 1970 began.
fn format(seconds: i64, nanoseconds: u32) -> String {
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let second = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds:09}Z")
}

/// Days since 1970 began, as a date. Counted in years that begin in March, a leap day is the last of its year, and
/// each 400 years have 146,097 days.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day = day_of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let month_from_january = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month_from_january <= 2);
    (year, month_from_january, day - (153 * month + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_calendar_is_kept() {
        assert_eq!(format(0, 0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(format(951_782_400, 1), "2000-02-29T00:00:00.000000001Z");
        assert_eq!(format(4_107_542_399, 0), "2100-02-28T23:59:59.000000000Z");
        assert_eq!(format(4_107_542_400, 0), "2100-03-01T00:00:00.000000000Z");
        assert_eq!(format(-1, 0), "1969-12-31T23:59:59.000000000Z");
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (seconds, nanoseconds) in
            [(0, 0), (951_782_400, 1), (4_107_542_399, 999_999_999), (1_700_000_000, 500), (-1, 0)]
        {
            assert_eq!(parse(&format(seconds, nanoseconds)), Some((seconds, nanoseconds)));
        }
        assert_eq!(parse("2000-02-29T02:00:00.5+02:00"), Some((951_782_400, 500_000_000)));
        assert_eq!(parse("2000-02-28T22:30:00-01:30"), Some((951_782_400, 0)));
        for bad in [
            "",
            "2000-02-29",
            "2000-13-01T00:00:00Z",
            "2000-02-29T00:00:00",
            "2000-02-29T00:00:00é",
            "+000-02-29T00:00:00Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
