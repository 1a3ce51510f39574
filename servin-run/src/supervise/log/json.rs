//! The entries of a json-file.

use alloc::vec::Vec;

/// Appends bytes as a JSON string; what is not UTF-8 becomes U+FFFD, as in Docker's.
pub fn quote(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        let text = chunk.valid();
        let mut plain = 0;
        for (at, byte) in text.bytes().enumerate() {
            let escape = match byte {
                b'"' => "\\\"",
                b'\\' => "\\\\",
                b'\n' => "\\n",
                b'\r' => "\\r",
                b'\t' => "\\t",
                0..0x20 => "",
                _ => continue,
            };
            out.extend_from_slice(&text.as_bytes()[plain..at]);
            plain = at + 1;
            out.extend_from_slice(escape.as_bytes());
            if escape.is_empty() {
                let digit = |half: u8| b"0123456789abcdef"[usize::from(half)];
                out.extend([b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
        }
        out.extend_from_slice(&text.as_bytes()[plain..]);
        if !chunk.invalid().is_empty() {
            out.extend("\u{fffd}".bytes());
        }
    }
    out.push(b'"');
}

/// Reads a string whose first quote was taken; what is left behind the second one.
pub fn unquote(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    let mut rest = bytes;
    loop {
        let plain = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))?;
        text.extend_from_slice(&rest[..plain]);
        if rest[plain] == b'"' {
            return Some((text, &rest[plain + 1..]));
        }
        let escape = *rest.get(plain + 1)?;
        rest = &rest[plain + 2..];
        let byte = match escape {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 8,
            b'f' => 12,
            b'u' => {
                let digits = core::str::from_utf8(rest.get(..4)?).ok()?;
                let code = u32::from_str_radix(digits, 16).ok()?;
                rest = &rest[4..];
                let mut buffer = [0; 4];
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                text.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                continue;
            }
            other => other,
        };
        text.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    #[test]
    fn whatever_is_printed_becomes_a_string() {
        let quoted = |bytes: &[u8]| {
            let mut out = Vec::new();
            quote(&mut out, bytes);
            String::from_utf8(out).expect("UTF-8")
        };
        assert_eq!(quoted(b"a\"b\\c\n\x1b[0m\xff\x00"), "\"a\\\"b\\\\c\\n\\u001b[0m\u{fffd}\\u0000\"");
        assert_eq!(quoted("ä€".as_bytes()), "\"ä€\"");
    }
}
