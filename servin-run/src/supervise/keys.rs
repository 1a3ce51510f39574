//! The keys that leave a terminal: `ctrl-p,ctrl-q` unless somebody wants others.

use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::gather::Gather as _;

/// ctrl-p, ctrl-q.
const DEFAULT: &[u8] = &[0x10, 0x11];

/// The keys, and how many of them were typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keys {
    keys: Vec<u8>,
    matched: usize,
}

impl Keys {
    /// Reads `ctrl-p,ctrl-q`, `ctrl-@`, `a,b`; what is not given is Docker's.
    pub fn read(text: Option<&str>) -> Result<Keys> {
        let Some(text) = text else { return Ok(Keys { keys: DEFAULT.into(), matched: 0 }) };
        let key = |word: &str| -> Option<u8> {
            match word.as_bytes() {
                [key] if key.is_ascii() => Some(*key),
                [b'c', b't', b'r', b'l', b'-', key] => match key {
                    b'a'..=b'z' => Some(key - b'a' + 1),
                    b'@' => Some(0),
                    b'[' | b'\\' | b']' | b'^' | b'_' => Some(key - b'@'),
                    _ => None,
                },
                _ => None,
            }
        };
        let keys: Option<Vec<u8>> = text.split(',').filter(|word| !word.is_empty()).map(key).gather();
        let keys = keys.ok_or_else(|| {
            Error::new(format_args!(
                "--detach-keys {text}: it takes keys such as ctrl-p,ctrl-q or a single letter"
            ))
        })?;
        Ok(Keys { keys, matched: 0 })
    }

    /// What of the typed bytes is for the container, and whether they end with the last of the keys.
    pub fn take(&mut self, bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut typed = Vec::new();
        for byte in bytes {
            if self.keys.get(self.matched) == Some(byte) {
                self.matched += 1;
                if self.matched == self.keys.len() {
                    self.matched = 0;
                    return (typed, true);
                }
                continue;
            }
            // It was no sequence of keys: the container gets what was kept back.
            typed.extend_from_slice(&self.keys[..self.matched]);
            self.matched = usize::from(self.keys.first() == Some(byte));
            if self.matched == 0 {
                typed.push(*byte);
            }
        }
        (typed, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_docker_writes_them() {
        let keys = |text| Keys::read(text).map(|keys| keys.keys);
        assert_eq!(keys(Some("ctrl-p,ctrl-q")).expect("keys"), keys(None).expect("keys"));
        assert_eq!(keys(Some("ctrl-@,x,ctrl-[")).expect("keys"), [0, b'x', 27]);
        assert_eq!(keys(Some("")).expect("none"), []);
        for bad in ["ctrl-", "ctrl-1", "abc", "ctrl-P", "ä"] {
            assert!(keys(Some(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_only_began_like_the_keys_was_typed_for_the_container() {
        let mut keys = Keys::read(Some("a,b")).expect("keys");
        assert_eq!(keys.take(b"xa"), (b"x".to_vec(), false));
        assert_eq!(keys.take(b"caab"), (b"aca".to_vec(), true));
        assert_eq!(Keys::default().take(b"ab"), (b"ab".to_vec(), false));
    }
}
