//! Digests: what content is called by. SHA-256 is the one that everybody uses.

use alloc::string::String;

use sha2::{Digest, Sha256};

/// A digest in the making.
#[derive(Default)]
pub struct Hasher {
    state: Sha256,
    /// How many bytes it has seen.
    pub length: u64,
}

impl Hasher {
    /// Takes more of the content.
    pub fn update(&mut self, bytes: &[u8]) {
        self.state.update(bytes);
        self.length += bytes.len() as u64;
    }

    /// The digest of all that it was given, as `sha256:` and 64 digits.
    pub fn finish(self) -> String {
        let mut text = String::from("sha256:");
        for byte in self.state.finalize() {
            for half in [byte >> 4, byte & 15] {
                text.push(char::from_digit(half.into(), 16).unwrap_or('0'));
            }
        }
        text
    }
}

/// The digest of `bytes`.
pub fn of(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// A digest's digits, which name a file.
pub fn digits(digest: &str) -> &str {
    digest.split_once(':').map_or(digest, |(_, digits)| digits)
}

#[cfg(test)]
mod tests {
    #[test]
    fn digests_are_written_as_others_write_them() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(super::of(b""), empty);
        assert_eq!(super::digits(empty).len(), 64);
    }
}
