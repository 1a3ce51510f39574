//! Key exchange on X25519 (RFC 7748), P-256 and P-384 (SEC 1).

use alloc::boxed::Box;
use alloc::vec::Vec;

use rustix::rand::{GetRandomFlags, getrandom};
use rustls::crypto::{ActiveKeyExchange, GetRandomFailed, SecureRandom, SharedSecret, SupportedKxGroup};
use rustls::{Error, NamedGroup, PeerMisbehaved};

use super::curve::{Curve, P256, P384, x25519};

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

/// The groups that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    X25519,
    P256,
    /// In TLS 1.2 a certificate on a curve wants that curve to be offered here.
    P384,
}

impl Group {
    /// A curve of NIST.
    fn curve(self) -> Result<Curve, Error> {
        let parameters = if self == Group::P256 { P256 } else { P384 };
        Curve::new(parameters).ok_or_else(bad_share)
    }
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        if *self == Group::X25519 {
            let secret = secret::<32>()?;
            let mut basis = [0; 32];
            basis[0] = 9;
            let public = x25519(&secret, &basis).ok_or_else(bad_share)?.into();
            return Ok(Box::new(Exchange { group: *self, secret: secret.into(), public }));
        }
        let curve = self.curve()?;
        // Zero and what is not below the order come once in 2^32: the next draw is another.
        loop {
            let secret = &secret::<48>()?[..if *self == Group::P256 { 32 } else { 48 }];
            if let Some(public) = curve.public(secret) {
                return Ok(Box::new(Exchange { group: *self, secret: secret.into(), public }));
            }
        }
    }

    fn name(&self) -> NamedGroup {
        match self {
            Group::X25519 => NamedGroup::X25519,
            Group::P256 => NamedGroup::secp256r1,
            Group::P384 => NamedGroup::secp384r1,
        }
    }
}

struct Exchange {
    group: Group,
    secret: Vec<u8>,
    public: Vec<u8>,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let shared = if self.group == Group::X25519 {
            let both = <&[u8; 32]>::try_from(&*self.secret).ok().zip(<&[u8; 32]>::try_from(peer).ok());
            let shared = both.and_then(|(secret, peer)| x25519(secret, peer)).ok_or_else(bad_share)?;
            // A point of small order, which would make the secret known (RFC 7748 section 6.1).
            if shared.iter().fold(0, |all, byte| all | byte) == 0 {
                return Err(bad_share());
            }
            shared.into()
        } else {
            self.group.curve()?.shared(&self.secret, peer).ok_or_else(bad_share)?
        };
        Ok(SharedSecret::from(shared))
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        self.group.name()
    }
}
