//! A document as it stands, before anybody looks for types in it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::order;

/// So many names are put into order one by one, which is the fastest way for the objects that there mostly are.
const FEW: usize = 64;

/// Any JSON value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// Names with their values.
    Object(Object),
}

/// A number, of which nobody here needs any but whole ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Number {
    /// A whole one.
    U64(u64),
    /// A negative whole one.
    I64(i64),
    /// A fraction or a larger number, as it was written.
    Other(String),
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Number::U64(number) => number.fmt(f),
            Number::I64(number) => number.fmt(f),
            Number::Other(text) => f.write_str(text),
        }
    }
}

/// Names with their values, in the order of the names. Each is there once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// One without names.
    pub fn new() -> Object {
        Object::default()
    }

    fn place(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let place = self.place(name).ok()?;
        self.0.get(place).map(|(_, value)| value)
    }

    /// The value of `name`. It is looked for first at the place `near`, behind the one that was found last: whoever asks in
    /// order need not search.
    pub fn get_near(&self, name: &str, near: &mut usize) -> Option<&Value> {
        let there = self.0.get(*near).is_some_and(|(known, _)| known == name);
        let place = if there { *near } else { self.place(name).ok()? };
        *near = place + 1;
        self.0.get(place).map(|(_, value)| value)
    }

    /// The value of `name`, to be changed; nothing at first.
    pub fn entry(&mut self, name: &str) -> &mut Value {
        let place = self.place(name).unwrap_or_else(|place| {
            self.0.insert(place, (name.into(), Value::Null));
            place
        });
        &mut self.0[place].1
    }

    fn put(&mut self, name: String, value: Value) {
        match self.place(&name) {
            Ok(place) => self.0[place].1 = value,
            Err(place) => self.0.insert(place, (name, value)),
        }
    }

    /// Gives `name` a value, another one if it had one.
    pub fn insert(&mut self, name: &str, value: Value) {
        *self.entry(name) = value;
    }

    /// Takes out those whose name is not wanted.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) {
        self.0.retain(|(name, _)| wanted(name));
    }

    /// Whether `name` is there.
    pub fn contains_key(&self, name: &str) -> bool {
        self.place(name).is_ok()
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(name, _)| name)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// In any order, and of what has one name the last one holds.
impl From<Vec<(String, Value)>> for Object {
    fn from(entries: Vec<(String, Value)>) -> Object {
        if entries.is_sorted_by(|(one, _), (other, _)| one < other) {
            return Object(entries);
        }
        if entries.len() <= FEW {
            let mut object = Object(Vec::with_capacity(entries.len()));
            entries.into_iter().for_each(|(name, value)| object.put(name, value));
            return object;
        }
        // With their places, because the sort does not keep the order of equals.
        let mut placed: Vec<(usize, (String, Value))> = entries.into_iter().enumerate().collect();
        order::sort_by(&mut placed, |(place, (name, _)), (other_place, (other, _))| {
            name.cmp(other).then(other_place.cmp(place))
        });
        placed.dedup_by(|(_, (name, _)), (_, (kept, _))| name == kept);
        Object(placed.into_iter().map(|(_, entry)| entry).collect())
    }
}

impl FromIterator<(String, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (String, Value)>>(entries: I) -> Object {
        Vec::from_iter(entries).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: &[(&str, u64)]) -> Object {
        entries.iter().map(|(name, value)| ((*name).into(), Value::Number(Number::U64(*value)))).collect()
    }

    #[test]
    fn the_last_of_a_name_holds_and_names_come_in_order() {
        let read = object(&[("b", 1), ("a", 2), ("b", 3), ("c", 4), ("b", 5), ("a", 6)]);
        assert_eq!(read, object(&[("a", 6), ("b", 5), ("c", 4)]));
        assert_eq!(read.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(read.get("b"), Some(&Value::Number(Number::U64(5))));
        assert_eq!((read.get("d"), read.contains_key("c"), read.len()), (None, true, 3));
    }

    #[test]
    fn names_are_added_changed_and_taken_out() {
        let mut object = object(&[("b", 1)]);
        object.insert("a", Value::Bool(true));
        object.insert("b", Value::Bool(false));
        *object.entry("c") = Value::Null;
        assert_eq!(object.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        object.retain(|name| name != "a");
        assert_eq!(object.get("b"), Some(&Value::Bool(false)));
        assert_eq!(object.get("a"), None);
    }
}
