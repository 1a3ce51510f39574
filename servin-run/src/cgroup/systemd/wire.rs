//! Messages of D-Bus as bytes ([D-Bus specification][rules], "Marshaling" and "Message Format"): what we write, and
//! what we read of others, each length checked before it is believed. Everything is aligned to its own size, counted
//! from the beginning of the message; a body begins at a multiple of eight.
//!
//! [rules]: https://dbus.freedesktop.org/doc/dbus-specification.html

use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// More than any answer that we ask for; the specification allows 128 MiB.
const LONGEST: usize = 1 << 20;

/// The part of a header whose length is known.
pub const FIXED: usize = 16;

/// The kind of a message that calls a method.
pub const CALL: u8 = 1;
/// Of one that answers it,
pub const RETURN: u8 = 2;
/// or says why not.
pub const ERROR: u8 = 3;
/// Of one that nobody has asked for.
pub const SIGNAL: u8 = 4;

// Fields of a header.
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// The value of a property, as far as ours have them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `b`.
    Flag(bool),
    /// `t`.
    Number(u64),
    /// `s`.
    Text(String),
    /// `ay`.
    Bytes(Vec<u8>),
    /// `au`.
    Numbers(Vec<u32>),
    /// `a(st)`.
    Rates(Vec<(String, u64)>),
}

/// The arguments of a call.
#[derive(Debug, Default)]
pub struct Body(Vec<u8>);

impl Body {
    /// None yet.
    pub fn new() -> Body {
        Body::default()
    }

    fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    fn number(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    fn long(&mut self, number: u64) {
        self.align(8);
        self.0.extend(number.to_le_bytes());
    }

    /// `s`, and `o` too.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u32);
        self.0.extend(text.bytes());
        self.0.push(0);
    }

    /// `g`; ours are short.
    fn signature(&mut self, text: &str) {
        self.0.push(text.len() as u8);
        self.0.extend(text.bytes());
        self.0.push(0);
    }

    /// `b`.
    pub fn flag(&mut self, flag: bool) {
        self.number(flag.into());
    }

    /// An array of what `items` writes, each aligned to `to`.
    fn array(&mut self, to: usize, items: &mut dyn FnMut(&mut Body)) {
        self.number(0);
        let length_at = self.0.len() - 4;
        // Not counted: what lies before the first item.
        self.align(to);
        let begin = self.0.len();
        items(self);
        let length = ((self.0.len() - begin) as u32).to_le_bytes();
        self.0[length_at..length_at + 4].copy_from_slice(&length);
    }

    /// An array without items, which would be aligned to `to`.
    pub fn empty_array(&mut self, to: usize) {
        self.array(to, &mut |_| {});
    }

    /// `a(sv)`.
    pub fn properties(&mut self, properties: &[(&str, Value)]) {
        self.array(8, &mut |body| {
            for (name, value) in properties {
                body.align(8);
                body.text(name);
                body.variant(value);
            }
        });
    }

    fn variant(&mut self, value: &Value) {
        match value {
            Value::Flag(flag) => {
                self.signature("b");
                self.flag(*flag);
            }
            Value::Number(number) => {
                self.signature("t");
                self.long(*number);
            }
            Value::Text(text) => {
                self.signature("s");
                self.text(text);
            }
            Value::Bytes(bytes) => {
                self.signature("ay");
                self.array(1, &mut |body| body.0.extend(bytes));
            }
            Value::Numbers(numbers) => {
                self.signature("au");
                self.array(4, &mut |body| numbers.iter().for_each(|number| body.number(*number)));
            }
            Value::Rates(rates) => {
                self.signature("a(st)");
                self.array(8, &mut |body| {
                    for (path, rate) in rates {
                        body.align(8);
                        body.text(path);
                        body.long(*rate);
                    }
                });
            }
        }
    }
}

/// A method to call.
pub struct Call<'c> {
    /// By which its answer is known.
    pub serial: u32,
    /// Whom; on a connection of two there is nobody else.
    pub destination: Option<&'c str>,
    /// The object,
    pub path: &'c str,
    /// of the object's interfaces one,
    pub interface: &'c str,
    /// and the method in it.
    pub member: &'c str,
    /// The types of the arguments,
    pub signature: &'c str,
    /// and the arguments.
    pub body: &'c Body,
}

impl Call<'_> {
    /// As it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Body::new();
        // Little-endian, a call, no flags, version 1 of the protocol.
        out.0.extend([b'l', CALL, 0, 1]);
        out.number(self.body.0.len() as u32);
        out.number(self.serial);
        out.array(8, &mut |out| {
            let mut field = |code: u8, kind: &str, text: &str| {
                out.align(8);
                out.0.push(code);
                out.signature(kind);
                out.text(text);
            };
            field(PATH, "o", self.path);
            field(INTERFACE, "s", self.interface);
            field(MEMBER, "s", self.member);
            if let Some(destination) = self.destination {
                field(DESTINATION, "s", destination);
            }
            if !self.signature.is_empty() {
                out.align(8);
                out.0.push(SIGNATURE);
                out.signature("g");
                out.signature(self.signature);
            }
        });
        out.align(8);
        out.0.extend(&self.body.0);
        out.0
    }
}

/// A message of the other side.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// [`RETURN`] and the like.
    pub kind: u8,
    /// The call that it answers.
    pub answers: u32,
    /// Of a signal: its interface,
    pub interface: String,
    /// and its name.
    pub member: String,
    /// The name of an error.
    pub error: String,
    /// The types of what it holds.
    pub signature: String,
    body: Vec<u8>,
}

impl Message {
    /// How long the whole message is whose first [`FIXED`] bytes these are; none where that cannot be.
    pub fn length(fixed: &[u8]) -> Option<usize> {
        let mut reader = Reader { bytes: fixed, at: 0 };
        let [order, _, _, version] = *reader.take(4)?.first_chunk::<4>()?;
        let body = reader.number()? as usize;
        reader.number()?;
        let fields = reader.number()? as usize;
        // Both sides are on the same machine, and all that Servin is built for are little-endian.
        let length = fields.checked_add(FIXED)?.checked_next_multiple_of(8)?.checked_add(body)?;
        (order == b'l' && version == 1 && length <= LONGEST).then_some(length)
    }

    /// Reads a whole message.
    pub fn read(bytes: &[u8]) -> Option<Message> {
        if Message::length(bytes)? != bytes.len() {
            return None;
        }
        let mut message = Message { kind: *bytes.get(1)?, ..Message::default() };
        let mut reader = Reader { bytes, at: 12 };
        let end = (reader.number()? as usize).checked_add(FIXED)?;
        while reader.at < end {
            reader.align(8)?;
            let code = *reader.take(1)?.first()?;
            let kind = reader.signature()?;
            match (kind.as_str(), code) {
                ("u", REPLY_SERIAL) => message.answers = reader.number()?,
                ("u", _) => drop(reader.number()?),
                ("s", INTERFACE) => message.interface = reader.text()?,
                ("s", MEMBER) => message.member = reader.text()?,
                ("s", ERROR_NAME) => message.error = reader.text()?,
                ("s" | "o", _) => drop(reader.text()?),
                ("g", SIGNATURE) => message.signature = reader.signature()?,
                ("g", _) => drop(reader.signature()?),
                // No field is of another type.
                _ => return None,
            }
        }
        if reader.at != end {
            return None;
        }
        reader.align(8)?;
        message.body = bytes.get(reader.at..)?.to_vec();
        Some(message)
    }

    /// What it holds, from the beginning.
    pub fn reader(&self) -> Reader<'_> {
        Reader { bytes: &self.body, at: 0 }
    }
}

/// Reads values one after the other; nothing where the bytes end or are no such value.
pub struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Reader<'b> {
    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let end = self.at.checked_add(length)?;
        let taken = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(taken)
    }

    fn align(&mut self, to: usize) -> Option<()> {
        let padding = self.at.next_multiple_of(to) - self.at;
        self.take(padding)?.iter().all(|byte| *byte == 0).then_some(())
    }

    /// `u`.
    pub fn number(&mut self) -> Option<u32> {
        self.align(4)?;
        self.take(4)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// `s` and `o`.
    pub fn text(&mut self) -> Option<String> {
        let length = self.number()? as usize;
        self.string(length)
    }

    /// `g`.
    fn signature(&mut self) -> Option<String> {
        let length = *self.take(1)?.first()?;
        self.string(length.into())
    }

    fn string(&mut self, length: usize) -> Option<String> {
        let bytes = self.take(length)?;
        let end = self.take(1)?;
        let text = core::str::from_utf8(bytes).ok()?;
        (end == [0] && !text.contains('\0')).then(|| text.to_string())
    }

    /// A variant that is a `s` or an `o`.
    pub fn variant_text(&mut self) -> Option<String> {
        match self.signature()?.as_str() {
            "s" | "o" => self.text(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
