//! SHA-2, and what TLS makes of it: HMAC (RFC 2104), HKDF (RFC 5869) in the form of TLS 1.3 (RFC 8446 section 7.1) and the
//! PRF of TLS 1.2 (RFC 5246 section 5).

use alloc::vec::Vec;

use sha2::{Digest as _, Sha256};

use super::message::vector;
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

    /// HMAC of what the parts make together; this is HKDF-Extract too, of which the key is the salt.
    pub fn hmac(self, key: &[u8], parts: &[&[u8]]) -> Digest {
        let mut padded = [0; 128];
        let padded = &mut padded[..self.block()];
        let hashed = (key.len() > padded.len()).then(|| self.of(&[key]));
        let key = hashed.as_deref().unwrap_or(key);
        padded[..key.len()].copy_from_slice(key);
        let mut inner = self.begin();
        padded.iter_mut().for_each(|byte| *byte ^= 0x36);
        inner.update(padded);
        parts.iter().for_each(|part| inner.update(part));
        padded.iter_mut().for_each(|byte| *byte ^= 0x36 ^ 0x5c);
        self.of(&[padded, &inner.finish()])
    }

    /// HKDF-Expand-Label, of no more than one digest: TLS wants no more.
    pub fn expand(self, secret: &[u8], label: &str, context: &[u8], length: usize) -> Vec<u8> {
        let bytes = (length as u16).to_be_bytes();
        let label = vector(1, &[b"tls13 ", label.as_bytes()]);
        let block = self.hmac(secret, &[&bytes, &label, &vector(1, &[context]), &[1]]);
        block[..length.min(self.length())].into()
    }

    /// PRF, its seed in parts.
    pub fn expand12(self, secret: &[u8], label: &str, seed: &[&[u8]], length: usize) -> Vec<u8> {
        let seed = [&[label.as_bytes()], seed].concat();
        let mut chain = self.hmac(secret, &seed);
        let mut out = Vec::new();
        while out.len() < length {
            out.extend_from_slice(&self.hmac(secret, &[&[&*chain], &*seed].concat()));
            chain = self.hmac(secret, &[&chain]);
        }
        out.truncate(length);
        out
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

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let short = Hash::Sha256.hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = Hash::Sha256.hmac(&[0xaa; 131], &[long]);
        assert_eq!(hex(&tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        let tag = Hash::Sha384.hmac(&[0xaa; 131], &[long]);
        assert!(hex(&tag).starts_with("4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"));
    }

    #[test]
    fn secrets_are_expanded_as_rfc_8448_has_it() {
        // Section 3: the early secret, and what is derived of it for the handshake.
        let early = Hash::Sha256.hmac(&[], &[&[0; 32]]);
        assert_eq!(hex(&early), "33ad0a1c607ec03b09e6cd9893680ce210adf300aa1f2660e1b22e10f170f92a");
        let derived = Hash::Sha256.expand(&early, "derived", &Hash::Sha256.of(&[]), 32);
        assert_eq!(hex(&derived), "6f2615a108c702c5678f54fc9dbab69716c076189c48250cebeac3576c3611ba");
    }
}
