//! The values that properties are made of: words, numbers, lists, maps, and what may be absent.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Decode, Encode, Number, Path, Step, Value, Writer};
use crate::error::Result;

impl Decode for String {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        let Value::String(text) = value else {
            return Err(at.mismatch(&"a string", value));
        };
        // Every string of these documents ends up in the kernel's hands, where a NUL ends it.
        if text.contains('\0') {
            return Err(at.error("holds a NUL character"));
        }
        self.clone_from(text);
        Ok(())
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Writer) {
        out.string(self);
    }
}

impl Encode for &str {
    fn encode(&self, out: &mut Writer) {
        out.string(self);
    }
}

/// What another document has.
impl<T: Encode> Encode for &T {
    fn encode(&self, out: &mut Writer) {
        (**self).encode(out);
    }

    fn absent(&self) -> bool {
        (**self).absent()
    }
}

/// A list or map that is written where it is empty, too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Present<T>(pub T);

impl<T: Encode> Encode for Present<T> {
    fn encode(&self, out: &mut Writer) {
        self.0.encode(out);
    }
}

impl Decode for bool {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        let Value::Bool(word) = value else {
            return Err(at.mismatch(&"true or false", value));
        };
        *self = *word;
        Ok(())
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut Writer) {
        out.plain(self);
    }
}

/// Any value: what a document holds that nobody here has a type for.
impl Decode for Value {
    fn decode(&mut self, value: &Value, _: &Path) -> Result<()> {
        self.clone_from(value);
        Ok(())
    }

    fn optional(&self) -> bool {
        true
    }
}

impl Encode for Value {
    fn encode(&self, out: &mut Writer) {
        match self {
            Value::Null => out.plain(&"null"),
            Value::Bool(value) => out.plain(value),
            Value::Number(number) => out.plain(number),
            Value::String(text) => out.string(text),
            Value::Array(items) => {
                out.open('[');
                for item in items {
                    out.next_item();
                    item.encode(out);
                }
                out.close(']');
            }
            Value::Object(entries) => {
                out.open('{');
                for (name, value) in entries.iter() {
                    out.property(name, value);
                }
                out.close('}');
            }
        }
    }

    fn absent(&self) -> bool {
        matches!(self, Value::Null)
    }
}

/// A whole number from `min` to `max`, as the 64 bits of its two's complement.
fn integer(value: &Value, at: &Path, min: i64, max: u64) -> Result<u64> {
    match value {
        Value::Number(Number::U64(number)) if *number <= max => Ok(*number),
        Value::Number(Number::I64(number)) if *number >= min => Ok(*number as u64),
        _ => Err(at.mismatch(&format_args!("a number from {min} to {max}"), value)),
    }
}

macro_rules! integers {
    ($($type:ty as $widest:ty,)*) => { $(
        impl Decode for $type {
            fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
                *self = integer(value, at, <$type>::MIN as i64, <$type>::MAX as u64)? as $type;
                Ok(())
            }
        }

        impl Encode for $type {
            fn encode(&self, out: &mut Writer) {
                out.plain(&<$widest>::from(*self));
            }
        }
    )* };
}
integers! { u16 as u64, u32 as u64, u64 as u64, i32 as i64, i64 as i64, }

impl<T: Decode + Default> Decode for Option<T> {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        self.insert(T::default()).decode(value, at)
    }

    fn optional(&self) -> bool {
        true
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Writer) {
        if let Some(value) = self {
            value.encode(out);
        }
    }

    fn absent(&self) -> bool {
        self.is_none()
    }
}

/// A list to be filled, so that the loop over it need not be made for each type.
trait Filled {
    /// Appends a default item.
    fn add(&mut self) -> &mut dyn Decode;
}

/// A list to be written, in the same way.
trait List {
    fn item(&self, index: usize) -> Option<&dyn Encode>;
}

impl<T: Decode + Default> Filled for Vec<T> {
    fn add(&mut self) -> &mut dyn Decode {
        let index = self.len();
        self.push(T::default());
        &mut self[index]
    }
}

impl<T: Encode> List for &[T] {
    fn item(&self, index: usize) -> Option<&dyn Encode> {
        Some(self.get(index)?)
    }
}

fn decode_list(list: &mut dyn Filled, value: &Value, at: &Path) -> Result<()> {
    let Value::Array(items) = value else {
        return Err(at.mismatch(&"a list", value));
    };
    let mut items = items.iter().enumerate();
    items.try_for_each(|(index, item)| list.add().decode(item, &at.then(Step::Index(index))))
}

fn encode_list(list: &dyn List, out: &mut Writer) {
    out.open('[');
    let mut index = 0;
    while let Some(item) = list.item(index) {
        out.next_item();
        item.encode(out);
        index += 1;
    }
    out.close(']');
}

impl<T: Decode + Default> Decode for Vec<T> {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        decode_list(self, value, at)
    }

    fn optional(&self) -> bool {
        true
    }
}

impl<T: Encode> Encode for &[T] {
    fn encode(&self, out: &mut Writer) {
        encode_list(self, out);
    }

    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Writer) {
        encode_list(&self.as_slice(), out);
    }

    fn absent(&self) -> bool {
        self.is_empty()
    }
}

/// A map to be filled, sorted by its keys when it was read.
trait FilledMap {
    /// Appends a default entry.
    fn add(&mut self, key: &str) -> &mut dyn Decode;
}

/// A map to be written.
trait Map {
    fn entry(&self, index: usize) -> Option<(&str, &dyn Encode)>;
}

impl<T: Decode + Default> FilledMap for Vec<(String, T)> {
    fn add(&mut self, key: &str) -> &mut dyn Decode {
        let index = self.len();
        self.push((key.into(), T::default()));
        &mut self[index].1
    }
}

impl<T: Encode> Map for &[(String, T)] {
    fn entry(&self, index: usize) -> Option<(&str, &dyn Encode)> {
        let (key, value) = self.get(index)?;
        Some((key, value))
    }
}

fn decode_map(map: &mut dyn FilledMap, value: &Value, at: &Path) -> Result<()> {
    let Value::Object(entries) = value else {
        return Err(at.mismatch(&"an object", value));
    };
    let mut present = entries.iter().filter(|(_, value)| !matches!(value, Value::Null));
    present.try_for_each(|(key, value)| map.add(key).decode(value, &at.then(Step::Key(key))))
}

fn encode_map(map: &dyn Map, out: &mut Writer) {
    out.open('{');
    let mut index = 0;
    while let Some((key, value)) = map.entry(index) {
        out.property(key, value);
        index += 1;
    }
    out.close('}');
}

impl<T: Decode + Default> Decode for Vec<(String, T)> {
    fn decode(&mut self, value: &Value, at: &Path) -> Result<()> {
        decode_map(self, value, at)
    }

    fn optional(&self) -> bool {
        true
    }
}

impl<T: Encode> Encode for &[(String, T)] {
    fn encode(&self, out: &mut Writer) {
        encode_map(self, out);
    }

    fn absent(&self) -> bool {
        self.is_empty()
    }
}

impl<T: Encode> Encode for Vec<(String, T)> {
    fn encode(&self, out: &mut Writer) {
        encode_map(&self.as_slice(), out);
    }

    fn absent(&self) -> bool {
        self.is_empty()
    }
}
