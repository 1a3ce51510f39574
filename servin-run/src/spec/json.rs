//! JSON to typed structures and back, by tables. `table`'s `object!` declares a structure with the names of
//! its properties, `written!` one that is never read, `word_enum!` a closed set of words. One decoder and one encoder walk the fields as `dyn
//! Decode` and `dyn Encode`, so that two hundred properties cost one loop. Every error names the document and the property.

use alloc::string::String;
use core::fmt;

use crate::error::{Error, Result};

mod reader;
pub(crate) mod table;
mod value;
mod values;
mod writer;

pub use reader::{SyntaxError, from_str};
pub(crate) use table::{object, word_enum, written};
pub use value::{Number, Object, Value};
pub use values::Present;
pub use writer::{Writer, to_json, to_json_pretty, to_json_pretty_list};

/// What is read from JSON. Reading and writing are two traits, so that the program has no code to read what it only
/// writes, nor to write what it only reads.
pub trait Decode {
    /// Reads `value` into `self`, which is fresh from its `Default`.
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()>;
    /// Whether a document may do without the property.
    fn optional(&self) -> bool {
        false
    }
}

/// What is written as JSON.
pub trait Encode {
    /// Writes the value.
    fn encode(&self, out: &mut Writer);
    /// Whether the property is left out of a document: true of `None` and of what is empty.
    fn absent(&self) -> bool {
        false
    }
}

/// The document in `text`; `document` is its name in errors: `config.json: root.path is missing`.
pub fn parse<T: Decode + Default>(text: &str, document: &str) -> Result<T> {
    let mut parsed = T::default();
    parse_into(&mut parsed, text, document)?;
    Ok(parsed)
}

fn parse_into(target: &mut dyn Decode, text: &str, document: &str) -> Result<()> {
    let at = Path { parent: None, step: Step::Document(document) };
    let value =
        from_str(text).map_err(|error| Error::new(format_args!("{document}: not valid JSON{error}")))?;
    target.decode(&value, &at)
}

/// Where in a document a value is: a chain of steps on the stack, put into words only for an error.
pub struct Path<'a> {
    parent: Option<&'a Path<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Document(&'a str),
    Property(&'a str),
    Index(usize),
    Key(&'a str),
}

impl<'a> Path<'a> {
    fn then<'b>(&'b self, step: Step<'b>) -> Path<'b> {
        Path { parent: Some(self), step }
    }

    /// An error about this place, as `config.json: process.cwd: expected …`.
    pub fn error(&self, what: impl fmt::Display) -> Error {
        Error::new(format_args!("{self}: {what}"))
    }

    fn missing(&self) -> Error {
        Error::new(format_args!("{self} is missing"))
    }

    /// `expected`, and what was found there.
    pub fn mismatch(&self, expected: &dyn fmt::Display, found: &Value) -> Error {
        self.error(format_args!("expected {expected}, found {}", Found(found)))
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        if let Some(parent) = self.parent {
            parent.fmt(f)?;
            separator = if parent.parent.is_none() { ": " } else { "" };
        }
        match self.step {
            Step::Property(name) if separator.is_empty() => write!(f, ".{name}"),
            Step::Document(name) | Step::Property(name) => write!(f, "{separator}{name}"),
            Step::Index(index) => write!(f, "{separator}[{index}]"),
            Step::Key(key) => write!(f, "{separator}[{}]", Quoted(key)),
        }
    }
}

/// What a reader recognises in the document: short, and on one line.
struct Found<'a>(&'a Value);

impl fmt::Display for Found<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Number(Number::U64(number)) => write!(f, "{number}"),
            Value::Number(Number::I64(number)) => write!(f, "{number}"),
            Value::Number(Number::Other(_)) => f.write_str("a fraction or a larger number"),
            Value::String(text) => Quoted(text).fmt(f),
            Value::Array(_) => f.write_str("a list"),
            Value::Object(_) => f.write_str("an object"),
        }
    }
}

/// A word of the document in quotes, cut after 60 characters.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, more) = match self.0.char_indices().nth(60) {
            Some((end, _)) => (&self.0[..end], "…"),
            None => (self.0, ""),
        };
        let mut text = String::new();
        writer::quote(&mut text, shown);
        write!(f, "{text}{more}")
    }
}
