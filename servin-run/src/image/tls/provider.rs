//! What rustls computes with: pure Rust, so that every target is built without a C compiler, and no more than
//! registries need.

use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::crypto::tls12::PrfUsingHmac;
use rustls::crypto::tls13::HkdfUsingHmac;
use rustls::crypto::{CipherSuiteCommon, CryptoProvider, KeyExchangeAlgorithm, KeyProvider};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::{CipherSuite, Error, SignatureScheme, SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite};

use super::aead::Cipher;
use super::hash::{HMAC_SHA256, HMAC_SHA384, SHA256, SHA384};
use super::key_exchange::{KernelRandom, P256, P384, X25519};
use super::signature::ALGORITHMS;

/// The provider.
pub fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: Vec::from(SUITES),
        kx_groups: alloc::vec![&X25519, &P256, &P384],
        signature_verification_algorithms: ALGORITHMS,
        secure_random: &KernelRandom,
        key_provider: &NoKeys,
    }
}

/// There are no client certificates.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("client certificates are not supported".into()))
    }
}

/// After so many records a key of AES-GCM is to be changed (RFC 8446 section 5.5).
const GCM_LIMIT: u64 = 1 << 24;

const ECDSA: &[SignatureScheme] =
    &[SignatureScheme::ECDSA_NISTP384_SHA384, SignatureScheme::ECDSA_NISTP256_SHA256];
const RSA: &[SignatureScheme] = &[
    SignatureScheme::RSA_PSS_SHA512,
    SignatureScheme::RSA_PSS_SHA384,
    SignatureScheme::RSA_PSS_SHA256,
    SignatureScheme::RSA_PKCS1_SHA512,
    SignatureScheme::RSA_PKCS1_SHA384,
    SignatureScheme::RSA_PKCS1_SHA256,
];

macro_rules! suite13 {
    ($name:ident, $cipher:ident, $hash:ident, $hmac:ident) => {
        SupportedCipherSuite::Tls13(&Tls13CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::$name,
                hash_provider: &$hash,
                confidentiality_limit: GCM_LIMIT,
            },
            hkdf_provider: &HkdfUsingHmac(&$hmac),
            aead_alg: &Cipher::$cipher,
            quic: None,
        })
    };
}

macro_rules! suite12 {
    ($name:ident, $sign:ident, $cipher:ident, $hash:ident, $hmac:ident) => {
        SupportedCipherSuite::Tls12(&Tls12CipherSuite {
            common: CipherSuiteCommon {
                suite: CipherSuite::$name,
                hash_provider: &$hash,
                confidentiality_limit: GCM_LIMIT,
            },
            kx: KeyExchangeAlgorithm::ECDHE,
            sign: $sign,
            aead_alg: &Cipher::$cipher,
            prf_provider: &PrfUsingHmac(&$hmac),
        })
    };
}

/// In the order of preference.
#[rustfmt::skip]
static SUITES: &[SupportedCipherSuite] = &[
    suite13!(TLS13_AES_128_GCM_SHA256,       Aes128Gcm,        SHA256, HMAC_SHA256),
    suite13!(TLS13_AES_256_GCM_SHA384,       Aes256Gcm,        SHA384, HMAC_SHA384),
    suite12!(TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, ECDSA, Aes128Gcm, SHA256, HMAC_SHA256),
    suite12!(TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, ECDSA, Aes256Gcm, SHA384, HMAC_SHA384),
    suite12!(TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, RSA, Aes128Gcm, SHA256, HMAC_SHA256),
    suite12!(TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, RSA, Aes256Gcm, SHA384, HMAC_SHA384),
];
