//! Signatures of certificates and handshakes: ECDSA on P-256 and P-384, RSA ([`super::rsa`]).

use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};

use super::curve::{Curve, P256, P384};
use super::hash::Hash;
use super::rsa::{self, Padding};

#[derive(Debug, Clone, Copy)]
enum Method {
    P256,
    P384,
    Rsa(Padding),
}

#[derive(Debug)]
struct Algorithm {
    method: Method,
    hash: Hash,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let digest = &*self.hash.of(&[message]);
        let verified = match self.method {
            Method::P256 => Curve::new(P256).and_then(|curve| curve.verify(key, digest, signature)),
            Method::P384 => Curve::new(P384).and_then(|curve| curve.verify(key, digest, signature)),
            Method::Rsa(padding) => rsa::verify(key, self.hash, digest, signature, padding),
        };
        verified.ok_or(InvalidSignature)
    }

    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        self.key
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        self.signature
    }
}

macro_rules! algorithms {
    ($($name:ident: $method:expr, $hash:ident, $key:ident, $signature:ident;)*) => { $(
        static $name: Algorithm = Algorithm {
            method: $method,
            hash: Hash::$hash,
            key: alg_id::$key,
            signature: alg_id::$signature,
        };
    )* };
}
algorithms! {
    P256_SHA256: Method::P256, Sha256, ECDSA_P256, ECDSA_SHA256;
    P256_SHA384: Method::P256, Sha384, ECDSA_P256, ECDSA_SHA384;
    P384_SHA256: Method::P384, Sha256, ECDSA_P384, ECDSA_SHA256;
    P384_SHA384: Method::P384, Sha384, ECDSA_P384, ECDSA_SHA384;
    PKCS1_SHA256: Method::Rsa(Padding::Pkcs1), Sha256, RSA_ENCRYPTION, RSA_PKCS1_SHA256;
    PKCS1_SHA384: Method::Rsa(Padding::Pkcs1), Sha384, RSA_ENCRYPTION, RSA_PKCS1_SHA384;
    PKCS1_SHA512: Method::Rsa(Padding::Pkcs1), Sha512, RSA_ENCRYPTION, RSA_PKCS1_SHA512;
    PSS_SHA256: Method::Rsa(Padding::Pss), Sha256, RSA_ENCRYPTION, RSA_PSS_SHA256;
    PSS_SHA384: Method::Rsa(Padding::Pss), Sha384, RSA_ENCRYPTION, RSA_PSS_SHA384;
    PSS_SHA512: Method::Rsa(Padding::Pss), Sha512, RSA_ENCRYPTION, RSA_PSS_SHA512;
}

/// What is accepted; in TLS 1.2 a scheme names a hash alone, hence several keys for one.
pub static ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        &P256_SHA256,
        &P256_SHA384,
        &P384_SHA256,
        &P384_SHA384,
        &PKCS1_SHA256,
        &PKCS1_SHA384,
        &PKCS1_SHA512,
        &PSS_SHA256,
        &PSS_SHA384,
        &PSS_SHA512,
    ],
    mapping: &[
        (SignatureScheme::ECDSA_NISTP384_SHA384, &[&P384_SHA384, &P256_SHA384]),
        (SignatureScheme::ECDSA_NISTP256_SHA256, &[&P256_SHA256, &P384_SHA256]),
        (SignatureScheme::RSA_PSS_SHA512, &[&PSS_SHA512]),
        (SignatureScheme::RSA_PSS_SHA384, &[&PSS_SHA384]),
        (SignatureScheme::RSA_PSS_SHA256, &[&PSS_SHA256]),
        (SignatureScheme::RSA_PKCS1_SHA512, &[&PKCS1_SHA512]),
        (SignatureScheme::RSA_PKCS1_SHA384, &[&PKCS1_SHA384]),
        (SignatureScheme::RSA_PKCS1_SHA256, &[&PKCS1_SHA256]),
    ],
};
