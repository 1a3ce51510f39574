//! Sizes as people write them: `512m`, `1.5g`, with Docker's meaning, where a k is 1024.

use crate::error::{Error, Result};

/// Reads a number of bytes; `flag` is what it was given for.
pub fn parse(flag: &str, text: &str) -> Result<i64> {
    bytes(text).ok_or_else(|| Error::new(format_args!("--{flag} {text}: not a size such as 512m or 1g")))
}

fn bytes(text: &str) -> Option<i64> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let exponent = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 1,
        "m" | "mb" | "mib" => 2,
        "g" | "gb" | "gib" => 3,
        "t" | "tb" | "tib" => 4,
        "p" | "pb" | "pib" => 5,
        _ => return None,
    };
    let unit = 1u128 << (10 * exponent);
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    // A point without digits around it is no number; nine digits behind it are more than anybody means.
    if (whole.is_empty() && part.is_empty()) || part.len() > 9 || (number.contains('.') && part.is_empty()) {
        return None;
    }
    let digits =
        |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u64>().ok().map(u128::from) };
    let part_bytes = digits(part)? * unit / 10u128.pow(part.len() as u32);
    i64::try_from(digits(whole)? * unit + part_bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_dockers() {
        for (text, expected) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("512b", Some(512)),
            ("6k", Some(6144)),
            ("6KiB", Some(6144)),
            ("512m", Some(512 << 20)),
            ("512 MB", Some(512 << 20)),
            ("1.5g", Some(3 << 29)),
            (".5k", Some(512)),
            ("1t", Some(1 << 40)),
            ("8191p", Some(8191 << 50)),
            ("8192p", None),
            ("18446744073709551616", None),
            ("", None),
            (".", None),
            ("1.", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("1 2", None),
            ("1.2.3", None),
            ("0x10", None),
            ("m", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
