//! Signatures of certificates and handshakes: ECDSA on P-256 and P-384 ([`super::curve`]), RSA ([`super::rsa`]).

use super::curve::{Curve, P256, P384};
use super::der::{Der, SEQUENCE};
use super::hash::Hash;
use super::rsa::{self, Padding};

/// What a public key is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    P256,
    P384,
    Rsa,
}

/// A public key.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    pub kind: Kind,
    bytes: &'a [u8],
}

/// The identifiers of kinds of keys (RFC 3279, RFC 5480).
const KINDS: [(Kind, &[u8]); 3] = [
    (Kind::P256, b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"),
    (Kind::P384, b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22"),
    (Kind::Rsa, b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00"),
];

impl Key<'_> {
    /// Reads the content of a SubjectPublicKeyInfo.
    pub fn read(bytes: &[u8]) -> Option<Key<'_>> {
        let mut reader = Der(bytes);
        let identifier = reader.take(SEQUENCE)?;
        let bytes = reader.bits()?;
        reader.end()?;
        let (kind, _) = KINDS.iter().find(|(_, known)| *known == identifier)?;
        Some(Key { kind: *kind, bytes })
    }
}

/// How something is signed.
#[derive(Debug, Clone, Copy)]
pub struct Method {
    pub hash: Hash,
    /// Of RSA.
    pub padding: Option<Padding>,
}

const fn ecdsa(hash: Hash) -> Method {
    Method { hash, padding: None }
}

const fn pkcs1(hash: Hash) -> Method {
    Method { hash, padding: Some(Padding::Pkcs1) }
}

const fn pss(hash: Hash) -> Method {
    Method { hash, padding: Some(Padding::Pss) }
}

impl Method {
    /// Whether `signature` is that of `message` by a key.
    pub fn verify(self, key: Key, message: &[u8], signature: &[u8]) -> Option<()> {
        let digest = &*self.hash.of(&[message]);
        match (key.kind, self.padding) {
            (Kind::P256, None) => Curve::new(P256)?.verify(key.bytes, digest, signature),
            (Kind::P384, None) => Curve::new(P384)?.verify(key.bytes, digest, signature),
            (Kind::Rsa, Some(padding)) => rsa::verify(key.bytes, self.hash, digest, signature, padding),
            _ => None,
        }
    }

    /// The method of a certificate, by the content of its AlgorithmIdentifier (RFC 5758, RFC 4055).
    pub fn of_certificate(identifier: &[u8]) -> Option<Method> {
        let found = |(known, method): &(&[u8], Method)| (*known == identifier).then_some(*method);
        METHODS.iter().find_map(found)
    }
}

const fn pkcs1_identifier(last: u8) -> [u8; 13] {
    [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last, 0x05, 0x00]
}

/// PSS with one hash for everything (the last byte of whose identifier this is) and a salt as long as it.
const fn pss_identifier(hash: u8, salt: u8) -> [u8; 65] {
    let mut bytes = *b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
        \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\
        \x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\xa2\x03\x02\x01\x20";
    bytes[27] = hash;
    bytes[57] = hash;
    bytes[64] = salt;
    bytes
}

static METHODS: &[(&[u8], Method)] = &[
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02", ecdsa(Hash::Sha256)),
    (b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03", ecdsa(Hash::Sha384)),
    (&pkcs1_identifier(11), pkcs1(Hash::Sha256)),
    (&pkcs1_identifier(12), pkcs1(Hash::Sha384)),
    (&pkcs1_identifier(13), pkcs1(Hash::Sha512)),
    (&pss_identifier(1, 32), pss(Hash::Sha256)),
    (&pss_identifier(2, 48), pss(Hash::Sha384)),
    (&pss_identifier(3, 64), pss(Hash::Sha512)),
];

/// A scheme of handshakes (RFC 8446 section 4.2.3).
pub struct Scheme {
    pub code: u16,
    pub method: Method,
    /// The kind of keys that TLS 1.3 has it for, if it has it for handshakes at all; in TLS 1.2 the code of ECDSA names
    /// the hash alone.
    pub tls13: Option<Kind>,
}

macro_rules! schemes {
    ($($code:literal $method:ident $hash:ident $tls13:expr;)*) => {
        /// In the order of preference.
        pub static SCHEMES: &[Scheme] =
            &[$(Scheme { code: $code, method: $method(Hash::$hash), tls13: $tls13 }),*];
    };
}
schemes! {
    0x0403 ecdsa Sha256 Some(Kind::P256);
    0x0503 ecdsa Sha384 Some(Kind::P384);
    0x0804 pss Sha256 Some(Kind::Rsa);
    0x0805 pss Sha384 Some(Kind::Rsa);
    0x0806 pss Sha512 Some(Kind::Rsa);
    0x0401 pkcs1 Sha256 None;
    0x0501 pkcs1 Sha384 None;
    0x0601 pkcs1 Sha512 None;
}
