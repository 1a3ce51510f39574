//! The three macros that declare the documents, and the one decoder and encoder behind them.

use alloc::string::String;

use super::{Decode, Encode, Path, Step, Value, Writer};
use crate::error::Result;

/// Declares structures as tables: the JSON name, the field, its type. A property is required unless its type
/// is `Option` or `Vec`.
macro_rules! object {
    ($(
        $(#[$about:meta])*
        pub struct $name:ident { $( $(#[$field_about:meta])* $json:literal => $field:ident: $type:ty, )* }
    )*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name { $( $(#[$field_about])* pub $field: $type, )* }

        impl Default for $name {
            // Once, not wherever a part of a document may be missing.
            #[inline(never)]
            fn default() -> $name {
                $name { $($field: Default::default(),)* }
            }
        }

        impl $crate::spec::json::Decode for $name {
            fn decode(
                &mut self,
                value: &$crate::spec::json::Value,
                at: &$crate::spec::json::Path,
            ) -> $crate::error::Result<()> {
                const NAMES: &str = concat!($($json, ","),*);
                let fields: &mut [&mut dyn $crate::spec::json::Decode] = &mut [$(&mut self.$field),*];
                $crate::spec::json::table::decode_fields(NAMES, fields, value, at)
            }
        }

        impl $crate::spec::json::Encode for $name {
            fn encode(&self, out: &mut $crate::spec::json::Writer) {
                const NAMES: &str = concat!($($json, ","),*);
                $crate::spec::json::table::encode_fields(NAMES, &[$(&self.$field),*], out);
            }
        }
    )* };
}
pub(crate) use object;

/// Declares structures in the same way that are only written, and so may borrow what they say. A property is left out
/// where it is `None` or an empty list that is not [`Present`](super::Present).
macro_rules! written {
    ($(
        $(#[$about:meta])*
        pub struct $name:ident $(<$life:lifetime>)? {
            $( $(#[$field_about:meta])* $json:literal => $field:ident: $type:ty, )*
        }
    )*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Default)]
        pub struct $name $(<$life>)? { $( $(#[$field_about])* pub $field: $type, )* }

        impl $(<$life>)? $crate::spec::json::Encode for $name $(<$life>)? {
            fn encode(&self, out: &mut $crate::spec::json::Writer) {
                const NAMES: &str = concat!($($json, ","),*);
                $crate::spec::json::table::encode_fields(NAMES, &[$(&self.$field),*], out);
            }
        }
    )* };
}
pub(crate) use written;

/// Declares a closed set of words; the first is the type's `Default`.
macro_rules! word_enum {
    ($(
        $(#[$about:meta])*
        pub enum $name:ident {
            $(#[$first_about:meta])* $first_word:literal => $first:ident,
            $( $(#[$variant_about:meta])* $word:literal => $variant:ident, )*
        }
    )*) => { $(
        $(#[$about])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        pub enum $name {
            #[default]
            $(#[$first_about])* $first,
            $( $(#[$variant_about])* $variant, )*
        }

        impl $name {
            /// Every one, in the order of the specification.
            pub const ALL: &'static [$name] = &[$name::$first, $($name::$variant),*];
            /// Their words, in the same order.
            pub const WORDS: &'static [&'static str] = &[$first_word, $($word),*];

            /// The word in the document.
            pub fn as_str(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }

        impl $crate::spec::json::Decode for $name {
            fn decode(
                &mut self,
                value: &$crate::spec::json::Value,
                at: &$crate::spec::json::Path,
            ) -> $crate::error::Result<()> {
                *self = Self::ALL[$crate::spec::json::table::decode_word(Self::WORDS, value, at)?];
                Ok(())
            }
        }

        impl $crate::spec::json::Encode for $name {
            fn encode(&self, out: &mut $crate::spec::json::Writer) {
                out.string(self.as_str());
            }
        }
    )* };
}
pub(crate) use word_enum;

/// Names, each followed by a comma.
struct Names(&'static str);

impl Iterator for Names {
    type Item = &'static str;

    fn next(&mut self) -> Option<&'static str> {
        let end = self.0.bytes().position(|byte| byte == b',')?;
        let name = &self.0[..end];
        self.0 = &self.0[end + 1..];
        Some(name)
    }
}

/// Reads an object into `fields`, whose names are `names`, each followed by a comma.
pub fn decode_fields(
    names: &'static str,
    fields: &mut [&mut dyn Decode],
    value: &Value,
    at: &Path,
) -> Result<()> {
    let Value::Object(object) = value else {
        return Err(at.mismatch(&"an object", value));
    };
    let mut near = 0;
    for (name, field) in Names(names).zip(fields) {
        let at = at.then(Step::Property(name));
        match object.get_near(name, &mut near) {
            None | Some(Value::Null) if field.optional() => {}
            None | Some(Value::Null) => return Err(at.missing()),
            Some(value) => field.decode(value, &at)?,
        }
    }
    Ok(())
}

/// Writes `fields` as an object.
pub fn encode_fields(names: &'static str, fields: &[&dyn Encode], out: &mut Writer) {
    out.open('{');
    for (name, field) in Names(names).zip(fields) {
        if !field.absent() {
            out.property(name, *field);
        }
    }
    out.close('}');
}

/// Which of `words` the value is.
pub fn decode_word(words: &[&str], value: &Value, at: &Path) -> Result<usize> {
    let Value::String(found) = value else {
        return Err(at.mismatch(&"a word", value));
    };
    words.iter().position(|word| word == found).ok_or_else(|| {
        let known: String = words.join(", ");
        at.error(format_args!("{} is none of {known}", super::Found(value)))
    })
}
