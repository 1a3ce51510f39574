//! Sizes and ages in Docker's words: `12.3MB`, `3 minutes ago`. Whole numbers alone.

use alloc::format;
use alloc::string::String;

const DECIMAL: &[&str] = &["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: &[&str] = &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// A size in powers of 1000, three digits of it: `12.3MB`.
pub fn size(bytes: u64) -> String {
    significant(bytes, 1000, DECIMAL, 3)
}

/// A size in powers of 1024, four digits of it: `1.953GiB`.
pub fn binary_size(bytes: u64) -> String {
    significant(bytes, 1024, BINARY, 4)
}

/// `digits` digits that count, rounded, without zeros at the end of a fraction (Go's %.3g).
fn significant(bytes: u64, base: u64, units: &[&str], digits: u32) -> String {
    let mut unit = 1u64;
    let mut index = 0;
    while bytes / unit >= base && index + 1 < units.len() {
        unit *= base;
        index += 1;
    }
    loop {
        let whole = bytes / unit;
        let before = whole.checked_ilog10().unwrap_or(0) + 1;
        let scale = 10u128.pow(digits.saturating_sub(before));
        let scaled = (u128::from(bytes) * scale + u128::from(unit) / 2) / u128::from(unit);
        let (whole, part) = (scaled / scale, scaled % scale);
        if whole >= u128::from(base) && index + 1 < units.len() {
            // Rounded up to the next unit.
            unit *= base;
            index += 1;
            continue;
        }
        let mut width = scale.ilog10() as usize;
        let (whole, mut part) = (whole as u64, part as u64);
        while part > 0 && part % 10 == 0 {
            part /= 10;
            width -= 1;
        }
        return match part {
            0 => format!("{whole}{}", units[index]),
            _ => format!("{whole}.{part:0width$}{}", units[index]),
        };
    }
}

/// How long something lasts, in seconds: `About a minute`, `3 hours`.
pub fn duration(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match seconds {
        ..1 => "Less than a second".into(),
        1 => "1 second".into(),
        2..60 => format!("{seconds} seconds"),
        60..120 => "About a minute".into(),
        120..3600 => format!("{minutes} minutes"),
        _ => match hours {
            ..2 => "About an hour".into(),
            2..48 => format!("{hours} hours"),
            48..336 => format!("{} days", hours / 24),
            336..1440 => format!("{} weeks", hours / 24 / 7),
            1440..17_520 => format!("{} months", hours / 24 / 30),
            _ => format!("{} years", hours / 24 / 365),
        },
    }
}

/// How long ago something was: `3 minutes ago`.
pub fn ago(seconds: i64) -> String {
    format!("{} ago", duration(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_dockers() {
        for (bytes, decimal, binary) in [
            (0, "0B", "0B"),
            (999, "999B", "999B"),
            (1000, "1kB", "1000B"),
            (1023, "1.02kB", "1023B"),
            (1024, "1.02kB", "1KiB"),
            (999_999, "1MB", "976.6KiB"),
            (12_345_678, "12.3MB", "11.77MiB"),
            (133_000_000, "133MB", "126.8MiB"),
            (2_097_152_000, "2.1GB", "1.953GiB"),
            (u64::MAX, "18.4EB", "16EiB"),
        ] {
            assert_eq!((size(bytes).as_str(), binary_size(bytes).as_str()), (decimal, binary), "{bytes}");
        }
    }

    #[test]
    fn ages_are_dockers() {
        for (seconds, expected) in [
            (-5, "Less than a second"),
            (0, "Less than a second"),
            (1, "1 second"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (180, "3 minutes"),
            (3600, "About an hour"),
            (7200, "2 hours"),
            (47 * 3600, "47 hours"),
            (48 * 3600, "2 days"),
            (14 * 86_400, "2 weeks"),
            (60 * 86_400, "2 months"),
            (800 * 86_400, "2 years"),
        ] {
            assert_eq!(duration(seconds), expected, "{seconds}");
        }
    }
}
