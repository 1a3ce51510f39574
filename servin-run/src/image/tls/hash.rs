//! SHA-2 and HMAC (RFC 2104) for TLS. Whatever is built of a hash goes through rustls's `dyn Hash`, so that only the
//! hash itself is compiled twice.

use crate::gather::Gather as _;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::marker::PhantomData;

use rustls::crypto::hash::{Context, Hash, HashAlgorithm, Output};
use rustls::crypto::hmac::{Hmac, Key, Tag};
use sha2::{Digest, Sha256, Sha384};

/// One member of the family.
pub struct Sha<D>(PhantomData<fn() -> D>);

pub static SHA256: Sha<Sha256> = Sha(PhantomData);
pub static SHA384: Sha<Sha384> = Sha(PhantomData);
pub static HMAC_SHA256: HmacOf = HmacOf(&SHA256, 64);
pub static HMAC_SHA384: HmacOf = HmacOf(&SHA384, 128);

impl<D: Digest + Clone + Send + Sync + 'static> Hash for Sha<D> {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(D::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&D::digest(data))
    }

    fn output_len(&self) -> usize {
        <D as Digest>::output_size()
    }

    fn algorithm(&self) -> HashAlgorithm {
        if self.output_len() == 32 { HashAlgorithm::SHA256 } else { HashAlgorithm::SHA384 }
    }
}

struct Running<D>(D);

impl<D: Digest + Clone + Send + Sync + 'static> Context for Running<D> {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Running(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// HMAC of a hash, whose blocks have that many bytes.
pub struct HmacOf(&'static dyn Hash, usize);

impl Hmac for HmacOf {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        let HmacOf(hash, block) = *self;
        let mut padded = Vec::from(key);
        if key.len() > block {
            padded = Vec::from(hash.hash(key).as_ref());
        }
        padded.resize(block, 0);
        let begun = |pad: u8| {
            let mut context = hash.start();
            context.update(&padded.iter().map(|byte| byte ^ pad).gather::<Vec<u8>>());
            context
        };
        Box::new(HmacKey { inner: begun(0x36), outer: begun(0x5c), length: hash.output_len() })
    }

    fn hash_output_len(&self) -> usize {
        self.0.output_len()
    }
}

/// The two hashes of HMAC after their first block, which is all that the key is needed for.
struct HmacKey {
    inner: Box<dyn Context>,
    outer: Box<dyn Context>,
    length: usize,
}

impl Key for HmacKey {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut inner = self.inner.fork();
        inner.update(first);
        middle.iter().for_each(|part| inner.update(part));
        inner.update(last);
        let mut outer = self.outer.fork();
        outer.update(inner.finish().as_ref());
        Tag::new(outer.finish().as_ref())
    }

    fn tag_len(&self) -> usize {
        self.length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_agrees_with_rfc_4231() {
        let hex = |tag: Tag| tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let short = HMAC_SHA256.with_key(b"Jefe").sign(&[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(short), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let long = b"Test Using Larger Than Block-Size Key - Hash Key First";
        let tag = HMAC_SHA256.with_key(&[0xaa; 131]).sign(&[long]);
        assert_eq!(hex(tag), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
        let tag = HMAC_SHA384.with_key(&[0xaa; 131]).sign(&[long]);
        assert!(hex(tag).starts_with("4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"));
    }
}
