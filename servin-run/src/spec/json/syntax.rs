//! Where a text stops being JSON (RFC 8259). miniserde only says that it does; this is run for the error
//! alone.

use alloc::vec::Vec;
use core::fmt;

/// Displays as ` at line 3, column 5: expected ':'`, or as nothing where the text is well formed.
pub struct FirstError<'a>(pub &'a str);

impl fmt::Display for FirstError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.0.as_bytes();
        let mut scan = Scan { bytes, position: 0 };
        let Err(expected) = scan.document() else {
            return Ok(());
        };
        let before = &bytes[..scan.position.min(bytes.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        write!(f, " at line {line}, column {column}: expected {expected}")
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Want {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// What a text lacks at the place where it goes wrong.
type Expected = &'static str;

struct Scan<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl Scan<'_> {
    fn document(&mut self) -> Result<(), Expected> {
        use Want::*;
        let mut open = Vec::new();
        let mut want = Value;
        loop {
            self.skip(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
            let inside_object = open.last() == Some(&b'}');
            want = match (want, self.peek()) {
                (Nothing, None) => return Ok(()),
                (Value | ValueOrEnd, b @ Some(b'{' | b'[')) => {
                    self.position += 1;
                    open.push(if b == Some(b'{') { b'}' } else { b']' });
                    if b == Some(b'{') { KeyOrEnd } else { ValueOrEnd }
                }
                (ValueOrEnd | KeyOrEnd | CommaOrEnd, end) if end.is_some() && end.as_ref() == open.last() => {
                    self.position += 1;
                    open.pop();
                    if open.is_empty() { Nothing } else { CommaOrEnd }
                }
                (Value | ValueOrEnd, Some(_)) => {
                    self.scalar()?;
                    if open.is_empty() { Nothing } else { CommaOrEnd }
                }
                (Key | KeyOrEnd, Some(b'"')) => {
                    self.string()?;
                    Colon
                }
                (Colon, Some(b':')) => {
                    self.position += 1;
                    Value
                }
                (CommaOrEnd, Some(b',')) => {
                    self.position += 1;
                    if inside_object { Key } else { Value }
                }
                (Value | ValueOrEnd, None) => return Err("a value"),
                (Key | KeyOrEnd, _) => return Err("a property's name in double quotes"),
                (Colon, _) => return Err("':'"),
                (CommaOrEnd, _) => return Err(if inside_object { "',' or '}'" } else { "',' or ']'" }),
                (Nothing, Some(_)) => return Err("nothing after the document"),
            };
        }
    }

    fn scalar(&mut self) -> Result<(), Expected> {
        match self.peek() {
            Some(b'"') => return self.string(),
            Some(b'-' | b'0'..=b'9') => return self.number(),
            _ => {}
        }
        let rest = &self.bytes[self.position..];
        let word = ["true", "false", "null"].into_iter().find(|word| rest.starts_with(word.as_bytes()));
        self.position += word.ok_or("a value")?.len();
        Ok(())
    }

    fn string(&mut self) -> Result<(), Expected> {
        self.position += 1;
        loop {
            self.skip(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(_) => return Err("an escape such as \\n for a control character"),
                None => return Err("'\"' at the end of a string"),
            }
        }
        self.position += 1;
        Ok(())
    }

    fn escape(&mut self) -> Result<(), Expected> {
        let rest = &self.bytes[self.position + 1..];
        let length = match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 1,
            Some(b'u') if rest.len() > 4 && rest[1..5].iter().all(u8::is_ascii_hexdigit) => 5,
            _ => return Err("one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"),
        };
        self.position += 1 + length;
        Ok(())
    }

    fn number(&mut self) -> Result<(), Expected> {
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        if self.take(b".") {
            self.digits()?;
        }
        if self.take(b"eE") {
            self.take(b"+-");
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Expected> {
        let start = self.position;
        self.skip(|byte| byte.is_ascii_digit());
        if self.position == start { Err("a digit") } else { Ok(()) }
    }

    fn take(&mut self, any: &[u8]) -> bool {
        let taken = self.peek().is_some_and(|byte| any.contains(&byte));
        self.position += usize::from(taken);
        taken
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    fn skip(&mut self, belongs: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&belongs) {
            self.position += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FirstError;

    #[test]
    fn what_is_well_formed_has_no_syntax_error() {
        let documents = [
            include_str!("../testdata/maximal.json"),
            "-0.5e+3",
            " [ ] ",
            r#"[{},[],"\u00e9\\\"",true,false,null,{"a":[{}],"b":0}]"#,
        ];
        for text in documents {
            assert_eq!(FirstError(text).to_string(), "", "{text}");
        }
    }
}
