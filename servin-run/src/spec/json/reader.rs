//! Text to values (RFC 8259). What is wrong is said with its place, as ` at line 3, column 5: expected ':'`.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::{Number, Object, Value};

/// How many brackets may stand within each other: whoever walks through a document does so on its stack.
const DEPTH: usize = 1000;

/// Where a text stops being JSON, and what should have been there.
#[derive(Debug)]
pub struct SyntaxError {
    line: usize,
    column: usize,
    expected: Expected,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " at line {}, column {}: expected {}", self.line, self.column, self.expected)
    }
}

/// The document in `text`, alone but for white space.
pub fn from_str(text: &str) -> Result<Value, SyntaxError> {
    let mut reader = Reader { text, position: 0 };
    reader.document().map_err(|expected| {
        let before = text.as_bytes().get(..reader.position).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        SyntaxError { line, column, expected }
    })
}

/// What a text lacks at the place where it goes wrong.
type Expected = &'static str;

struct Reader<'a> {
    text: &'a str,
    position: usize,
}

impl Reader<'_> {
    fn document(&mut self) -> Result<Value, Expected> {
        let value = self.value(DEPTH)?;
        match self.next_byte() {
            None => Ok(value),
            Some(_) => Err("nothing after the document"),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Value, Expected> {
        match self.next_byte() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string().map(Value::String),
            Some(b'-' | b'0'..=b'9') => self.number().map(Value::Number),
            _ => {
                let rest = self.text.get(self.position..).unwrap_or_default();
                let words =
                    [("true", Value::Bool(true)), ("false", Value::Bool(false)), ("null", Value::Null)];
                let word = words.into_iter().find(|(word, _)| rest.starts_with(word)).ok_or("a value")?;
                self.position += word.0.len();
                Ok(word.1)
            }
        }
    }

    #[inline(never)]
    fn object(&mut self, depth: usize) -> Result<Value, Expected> {
        let depth = inner(depth)?;
        self.position += 1;
        let mut entries = Vec::new();
        if self.next_byte() == Some(b'}') {
            self.position += 1;
            return Ok(Value::Object(Object::new()));
        }
        loop {
            if self.next_byte() != Some(b'"') {
                return Err("a property's name in double quotes");
            }
            let name = self.string()?;
            self.next_byte();
            if !self.take(b":") {
                return Err("':'");
            }
            entries.push((name, self.value(depth)?));
            match self.next_byte() {
                Some(b',') => self.position += 1,
                Some(b'}') => break,
                _ => return Err("',' or '}'"),
            }
        }
        self.position += 1;
        Ok(Value::Object(entries.into()))
    }

    #[inline(never)]
    fn array(&mut self, depth: usize) -> Result<Value, Expected> {
        let depth = inner(depth)?;
        self.position += 1;
        let mut items = Vec::new();
        if self.next_byte() == Some(b']') {
            self.position += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            match self.next_byte() {
                Some(b',') => self.position += 1,
                Some(b']') => break,
                _ => return Err("',' or ']'"),
            }
        }
        self.position += 1;
        Ok(Value::Array(items))
    }

    #[inline(never)]
    fn string(&mut self) -> Result<String, Expected> {
        self.position += 1;
        let mut read = String::new();
        loop {
            let start = self.position;
            self.skip(|byte| byte >= b' ' && byte != b'"' && byte != b'\\');
            // What ends here is no part of a longer character.
            read.push_str(self.text.get(start..self.position).unwrap_or_default());
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => read.push(self.escape()?),
                Some(_) => return Err("an escape such as \\n for a control character"),
                None => return Err("'\"' at the end of a string"),
            }
        }
        self.position += 1;
        Ok(read)
    }

    fn escape(&mut self) -> Result<char, Expected> {
        const SHORT: [(u8, char); 8] = [
            (b'"', '"'),
            (b'\\', '\\'),
            (b'/', '/'),
            (b'b', '\u{8}'),
            (b'f', '\u{c}'),
            (b'n', '\n'),
            (b'r', '\r'),
            (b't', '\t'),
        ];
        const KNOWN: Expected = "one of the escapes \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX";
        let letter = self.text.as_bytes().get(self.position + 1);
        if let Some((_, character)) = SHORT.iter().find(|(known, _)| Some(known) == letter) {
            self.position += 2;
            return Ok(*character);
        }
        let first = self.unit().ok_or(KNOWN)?;
        let code = match first {
            // Half of a character in UTF-16, the other half of which has to follow.
            0xd800..0xdc00 => {
                let second = self.unit().filter(|second| (0xdc00..0xe000).contains(second));
                0x10000 + ((first - 0xd800) << 10) + (second.ok_or(PAIR)? - 0xdc00)
            }
            _ => first,
        };
        char::from_u32(code).ok_or(PAIR)
    }

    /// `\uXXXX`, a unit of UTF-16.
    fn unit(&mut self) -> Option<u32> {
        let digits = self.text.get(self.position..)?.strip_prefix("\\u")?.get(..4)?;
        let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.position += 6;
        u32::from_str_radix(digits, 16).ok()
    }

    #[inline(never)]
    fn number(&mut self) -> Result<Number, Expected> {
        let start = self.position;
        self.take(b"-");
        if !self.take(b"0") {
            self.digits()?;
        }
        let mut whole = true;
        if self.take(b".") {
            whole = false;
            self.digits()?;
        }
        if self.take(b"eE") {
            whole = false;
            self.take(b"+-");
            self.digits()?;
        }
        let text = self.text.get(start..self.position).unwrap_or_default();
        Ok(match (text.parse(), text.parse()) {
            (Ok(number), _) if whole => Number::U64(number),
            (_, Ok(number)) if whole => Number::I64(number),
            _ => Number::Other(text.into()),
        })
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
        self.text.as_bytes().get(self.position).copied()
    }

    /// The next byte that is no white space.
    #[inline(never)]
    fn next_byte(&mut self) -> Option<u8> {
        self.skip(|byte| matches!(byte, b' ' | b'\n' | b'\t' | b'\r'));
        self.peek()
    }

    fn skip(&mut self, belongs: impl Fn(u8) -> bool) {
        let rest = self.text.as_bytes().get(self.position..).unwrap_or_default();
        self.position += rest.iter().position(|byte| !belongs(*byte)).unwrap_or(rest.len());
    }
}

const PAIR: Expected = "the escapes of two surrogates that belong together";

/// How many brackets there may be inside one more.
fn inner(depth: usize) -> Result<usize, Expected> {
    depth.checked_sub(1).ok_or("at most 1000 brackets within each other")
}

#[cfg(test)]
mod tests {
    use super::super::{to_json, to_json_pretty};
    use super::*;
    use miniserde::json as other;

    #[test]
    fn documents_read_as_by_another_reader() {
        let documents = [
            include_str!("../testdata/maximal.json"),
            include_str!("../testdata/runc-spec.json"),
            include_str!("../../../build/default-seccomp.json"),
            " [ ] ",
            "{}",
            "18446744073709551615",
            "-9223372036854775808",
            r#"[{},[],"\u00e9\\\"\/\b\f\n\r\t\ud83d\ude00é",true,false,null,{"a":[{}],"b":0,"a":1}]"#,
        ];
        for text in documents {
            let value = from_str(text).expect(text);
            let expected: other::Value = other::from_str(text).expect(text);
            for written in [to_json(&value), to_json_pretty(&value)] {
                let again: other::Value = other::from_str(&written).expect(text);
                assert_eq!(other::to_string(&again), other::to_string(&expected), "{text}");
            }
        }
    }

    #[test]
    fn a_number_that_no_machine_holds_stays_as_it_was_written() {
        for text in ["-0.5e+3", "1e999", "18446744073709551616", "-9223372036854775809", "1.0"] {
            assert_eq!(from_str(text).expect(text), Value::Number(Number::Other(text.into())));
            assert_eq!(to_json(&from_str(text).expect(text)), text);
        }
    }
}
