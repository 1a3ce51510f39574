//! Structures to JSON text, in the order of their tables.

use alloc::string::String;
use core::fmt::{Display, Write};

use super::Encode;

/// The document on one line, without the properties that are absent.
pub fn to_json(value: &dyn Encode) -> String {
    write(value, false)
}

/// The document for people, indented by tabs as runc's `spec` does.
pub fn to_json_pretty(value: &dyn Encode) -> String {
    write(value, true)
}

/// The same of several documents, as one list.
pub fn to_json_pretty_list(values: &[&dyn Encode]) -> String {
    let mut out = Writer { text: String::new(), pretty: true, depth: 0, first: true };
    out.open('[');
    for value in values {
        out.next_item();
        value.encode(&mut out);
    }
    out.close(']');
    out.text
}

fn write(value: &dyn Encode, pretty: bool) -> String {
    let mut out = Writer { text: String::new(), pretty, depth: 0, first: true };
    value.encode(&mut out);
    out.text
}

/// Puts a document together.
pub struct Writer {
    text: String,
    pretty: bool,
    depth: usize,
    /// Nothing was written yet inside the innermost bracket.
    first: bool,
}

impl Writer {
    pub(super) fn open(&mut self, bracket: char) {
        self.text.push(bracket);
        self.depth += 1;
        self.first = true;
    }

    pub(super) fn close(&mut self, bracket: char) {
        self.depth -= 1;
        if !self.first {
            self.new_line();
        }
        self.text.push(bracket);
        self.first = false;
    }

    fn new_line(&mut self) {
        if self.pretty {
            self.text.push('\n');
            self.text.extend(core::iter::repeat_n('\t', self.depth));
        }
    }

    pub(super) fn next_item(&mut self) {
        if !self.first {
            self.text.push(',');
        }
        self.first = false;
        self.new_line();
    }

    pub(super) fn property(&mut self, name: &str, value: &dyn Encode) {
        self.next_item();
        quote(&mut self.text, name);
        self.text.push_str(if self.pretty { ": " } else { ":" });
        value.encode(self);
    }
    /// Writes a string.
    pub fn string(&mut self, text: &str) {
        quote(&mut self.text, text);
    }

    /// Writes what needs no quotes: a number, `true`, `false`.
    pub fn plain(&mut self, value: &dyn Display) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.text, "{value}");
    }
}

/// The characters with an escape of their own.
const ESCAPES: &[(char, &str)] =
    &[('"', "\\\""), ('\\', "\\\\"), ('\n', "\\n"), ('\r', "\\r"), ('\t', "\\t")];

/// Appends `text` as a JSON string.
pub(super) fn quote(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match ESCAPES.iter().find(|(escaped, _)| *escaped == character) {
            Some((_, escape)) => out.push_str(escape),
            None if character < ' ' => {
                // Writing to a `String` cannot fail.
                let _ = write!(out, "\\u{:04x}", character as u32);
            }
            None => out.push(character),
        }
    }
    out.push('"');
}
