//! Signatures of certificates and handshakes: ECDSA on P-256 and P-384, RSA ([`super::rsa`]).

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rustls::SignatureScheme;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls::pki_types::{AlgorithmIdentifier, InvalidSignature, SignatureVerificationAlgorithm, alg_id};
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::rsa::{self, Padding};

/// A hash of the SHA-2 family.
#[derive(Debug, Clone, Copy)]
pub enum Sha2 {
    Sha256,
    Sha384,
    Sha512,
}

impl Sha2 {
    /// The hash of what the parts make together: the buffer and how much of it counts.
    pub fn digest(self, parts: &[&[u8]]) -> ([u8; 64], usize) {
        fn of<D: Digest>(parts: &[&[u8]], out: &mut [u8]) -> usize {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            let sum = hash.finalize();
            out.iter_mut().zip(sum.iter()).for_each(|(to, from)| *to = *from);
            sum.len()
        }
        let mut out = [0; 64];
        let length = match self {
            Sha2::Sha256 => of::<Sha256>(parts, &mut out),
            Sha2::Sha384 => of::<Sha384>(parts, &mut out),
            Sha2::Sha512 => of::<Sha512>(parts, &mut out),
        };
        (out, length)
    }
}

#[derive(Debug, Clone, Copy)]
enum Method {
    P256,
    P384,
    Rsa(Padding),
}

#[derive(Debug)]
struct Algorithm {
    method: Method,
    hash: Sha2,
    key: AlgorithmIdentifier,
    signature: AlgorithmIdentifier,
}

impl SignatureVerificationAlgorithm for Algorithm {
    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let (digest, length) = self.hash.digest(&[message]);
        let digest = &digest[..length];
        match self.method {
            Method::P256 => {
                let signature = p256::ecdsa::Signature::from_der(signature);
                let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
                key.verify_prehash(digest, &signature.map_err(|_| InvalidSignature)?)
                    .map_err(|_| InvalidSignature)
            }
            Method::P384 => {
                let signature = p384::ecdsa::Signature::from_der(signature);
                let key = p384::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
                key.verify_prehash(digest, &signature.map_err(|_| InvalidSignature)?)
                    .map_err(|_| InvalidSignature)
            }
            Method::Rsa(padding) => {
                rsa::verify(key, self.hash, digest, signature, padding).ok_or(InvalidSignature)
            }
        }
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
            hash: Sha2::$hash,
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
