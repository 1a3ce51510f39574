//! Key exchange on X25519 (RFC 7748), P-256 and P-384 (SEC 1).

use alloc::boxed::Box;
use alloc::vec::Vec;

use p256::elliptic_curve::sec1::ToSec1Point;
use rustix::rand::{GetRandomFlags, getrandom};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

/// The kernel's generator.
#[derive(Debug)]
pub struct KernelRandom;

impl SecureRandom for KernelRandom {
    fn fill(&self, mut bytes: &mut [u8]) -> Result<(), GetRandomFailed> {
        while !bytes.is_empty() {
            let rest = core::mem::take(&mut bytes);
            let filled = getrandom(&mut *rest, GetRandomFlags::empty()).map_err(|_| GetRandomFailed)?;
            bytes = &mut rest[filled..];
        }
        Ok(())
    }
}

fn secret<const LENGTH: usize>() -> Result<[u8; LENGTH], Error> {
    let mut bytes = [0; LENGTH];
    KernelRandom.fill(&mut bytes)?;
    Ok(bytes)
}

fn bad_share() -> Error {
    PeerMisbehaved::InvalidKeyShare.into()
}

#[derive(Debug)]
pub struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let secret = secret()?;
        let public = x25519_dalek::x25519(secret, x25519_dalek::X25519_BASEPOINT_BYTES);
        Ok(Box::new(X25519Exchange { secret, public }))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct X25519Exchange {
    secret: [u8; 32],
    public: [u8; 32],
}

impl ActiveKeyExchange for X25519Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let peer = <[u8; 32]>::try_from(peer).map_err(|_| bad_share())?;
        let shared = x25519_dalek::x25519(self.secret, peer);
        // A point of small order, which would make the secret known (RFC 7748 section 6.1).
        if shared.iter().fold(0, |all, byte| all | byte) == 0 {
            return Err(bad_share());
        }
        Ok(SharedSecret::from(&shared[..]))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

/// A curve of NIST with its arithmetic.
macro_rules! curve {
    ($name:ident, $exchange:ident, $curve:ident, $bytes:literal, $group:ident) => {
        #[derive(Debug)]
        pub struct $name;

        impl SupportedKxGroup for $name {
            fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
                // Zero and what is not below the order come once in 2^32: the next draw is another.
                let secret = loop {
                    let scalar = $curve::NonZeroScalar::from_repr(secret::<$bytes>()?.into()).into_option();
                    if let Some(scalar) = scalar {
                        break scalar;
                    }
                };
                let public = $curve::PublicKey::from_secret_scalar(&secret).to_sec1_point(false);
                Ok(Box::new($exchange { secret, public: public.as_bytes().to_vec() }))
            }

            fn name(&self) -> NamedGroup {
                NamedGroup::$group
            }
        }

        struct $exchange {
            secret: $curve::NonZeroScalar,
            public: Vec<u8>,
        }

        impl ActiveKeyExchange for $exchange {
            fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
                // Uncompressed alone (RFC 8446 section 4.2.8.2); whether it lies on the curve is checked here.
                if peer.first() != Some(&4) {
                    return Err(bad_share());
                }
                let peer = $curve::PublicKey::from_sec1_bytes(peer).map_err(|_| bad_share())?;
                let shared = peer.to_projective() * *self.secret;
                // The point at infinity has no x.
                let point = shared.to_affine().to_sec1_point(false);
                Ok(SharedSecret::from(point.x().ok_or_else(bad_share)?.as_slice()))
            }

            fn pub_key(&self) -> &[u8] {
                &self.public
            }

            fn group(&self) -> NamedGroup {
                NamedGroup::$group
            }
        }
    };
}
curve!(P256, P256Exchange, p256, 32, secp256r1);
// In TLS 1.2 a certificate on a curve wants that curve to be offered here.
curve!(P384, P384Exchange, p384, 48, secp384r1);
