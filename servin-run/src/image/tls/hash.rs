//! SHA-2 and HMAC (RFC 2104) for TLS.

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustls::crypto::hash::{self, Context, HashAlgorithm, Output};
use rustls::crypto::hmac::{self, Hmac, Tag};
use sha2::{Digest as _, Sha256};

use super::sha512::Sha512;

/// A hash of the SHA-2 family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// What a hash makes of something.
pub struct Digest {
    bytes: [u8; 64],
    length: usize,
}

impl core::ops::Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

impl Hash {
    pub fn length(self) -> usize {
        match self {
            Hash::Sha256 => 32,
            Hash::Sha384 => 48,
            Hash::Sha512 => 64,
        }
    }

    /// How much of the text is hashed at once, which HMAC has to know.
    fn block(self) -> usize {
        if self == Hash::Sha256 { 64 } else { 128 }
    }

    pub fn begin(self) -> Hasher {
        let state = match self {
            Hash::Sha256 => State::Short(Sha256::default()),
            Hash::Sha384 => State::Long(Sha512::new_384()),
            Hash::Sha512 => State::Long(Sha512::new_512()),
        };
        Hasher { state, length: self.length() }
    }

    /// The digest of what the parts make together.
    pub fn of(self, parts: &[&[u8]]) -> Digest {
        let mut hasher = self.begin();
        parts.iter().for_each(|part| hasher.update(part));
        hasher.finish()
    }

    /// The two hashes of HMAC after their first block, which is all that the key is needed for.
    fn keyed(self, key: &[u8]) -> Keyed {
        let mut padded = [0; 128];
        let padded = &mut padded[..self.block()];
        let hashed = (key.len() > padded.len()).then(|| self.of(&[key]));
        let key = hashed.as_deref().unwrap_or(key);
        padded[..key.len()].copy_from_slice(key);
        let begun = |pad: u8| {
            let mut hasher = self.begin();
            hasher.update(&padded.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>());
            hasher
        };
        Keyed { inner: begun(0x36), outer: begun(0x5c) }
    }
}

#[derive(Clone)]
enum State {
    Short(Sha256),
    Long(Sha512),
}

/// A digest in the making.
#[derive(Clone)]
pub struct Hasher {
    state: State,
    length: usize,
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Short(state) => state.update(bytes),
            State::Long(state) => state.update(bytes),
        }
    }

    pub fn finish(self) -> Digest {
        let mut bytes = [0; 64];
        match self.state {
            State::Short(state) => bytes[..32].copy_from_slice(&state.finalize()),
            State::Long(state) => bytes = state.finish(),
        }
        Digest { bytes, length: self.length }
    }
}

impl hash::Hash for Hash {
    fn start(&self) -> Box<dyn Context> {
        Box::new(self.begin())
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&self.of(&[data]))
    }

    fn output_len(&self) -> usize {
        self.length()
    }

    fn algorithm(&self) -> HashAlgorithm {
        if *self == Hash::Sha256 { HashAlgorithm::SHA256 } else { HashAlgorithm::SHA384 }
    }
}

impl Context for Hasher {
    fn fork_finish(&self) -> Output {
        Output::new(&self.clone().finish())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(self.clone())
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&Hasher::finish(*self))
    }

    fn update(&mut self, data: &[u8]) {
        Hasher::update(self, data);
    }
}

impl Hmac for Hash {
    fn with_key(&self, key: &[u8]) -> Box<dyn hmac::Key> {
        Box::new(self.keyed(key))
    }

    fn hash_output_len(&self) -> usize {
        self.length()
    }
}

struct Keyed {
    inner: Hasher,
    outer: Hasher,
}

impl hmac::Key for Keyed {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut inner = self.inner.clone();
        inner.update(first);
        middle.iter().for_each(|part| inner.update(part));
        inner.update(last);
        let mut outer = self.outer.clone();
        outer.update(&inner.finish());
        Tag::new(&outer.finish())
    }

    fn tag_len(&self) -> usize {
        self.inner.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let hex = |tag: Tag| tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let short = Hash::Sha256.with_key(b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = Hash::Sha256.with_key(&[0xaa; 131]).sign(&[long]);
        assert_eq!(hex(tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        let tag = Hash::Sha384.with_key(&[0xaa; 131]).sign(&[long]);
        assert!(hex(tag).starts_with("4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"));
    }
}
