//! Key exchange on X25519 (RFC 7748), P-256 and P-384 (SEC 1).

use alloc::vec::Vec;

use rustix::rand::{GetRandomFlags, getrandom};

use super::curve::{Curve, P256, P384, x25519};
use super::fault::{Fault, ILLEGAL_PARAMETER, INTERNAL_ERROR, Outcome};

/// Bytes of the kernel's generator.
pub fn random<const LENGTH: usize>() -> Outcome<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let mut filled = 0;
    while filled < LENGTH {
        let got = getrandom(&mut bytes[filled..], GetRandomFlags::empty());
        filled += got.map_err(|_| Fault::Own(INTERNAL_ERROR))?;
    }
    Ok(bytes)
}

/// The groups that are offered, the first of which with a share. In TLS 1.2 a certificate on a curve wants that curve
/// to be among them.
pub const GROUPS: &[u16] = &[X25519, SECP256R1, SECP384R1];
pub const X25519: u16 = 0x1d;
const SECP256R1: u16 = 0x17;
const SECP384R1: u16 = 0x18;

/// Our half of an exchange.
pub struct Exchange {
    pub group: u16,
    secret: Vec<u8>,
    pub public: Vec<u8>,
}

/// A curve of NIST, and how many bytes its numbers have.
fn curve(group: u16) -> Option<(Curve, usize)> {
    match group {
        SECP256R1 => Some((Curve::new(P256)?, 32)),
        SECP384R1 => Some((Curve::new(P384)?, 48)),
        _ => None,
    }
}

impl Exchange {
    /// A new one in one of the groups.
    pub fn new(group: u16) -> Outcome<Exchange> {
        // Zero and what is not below the order of a curve come once in 2^32: the next draw is another.
        loop {
            let random = random::<48>()?;
            let (secret, public) = if group == X25519 {
                let mut basis = [0; 32];
                basis[0] = 9;
                let secret = &random[..32];
                (secret, exchange_25519(secret, &basis))
            } else {
                let (curve, length) = curve(group).ok_or(Fault::Own(ILLEGAL_PARAMETER))?;
                let secret = &random[..length];
                (secret, curve.public(secret))
            };
            if let Some(public) = public {
                return Ok(Exchange { group, secret: secret.into(), public });
            }
        }
    }

    /// What is shared with the owner of a public key.
    pub fn shared(&self, public: &[u8]) -> Outcome<Vec<u8>> {
        let shared = match curve(self.group) {
            Some((curve, _)) => curve.shared(&self.secret, public),
            // Nothing is what comes of a point of small order, which would make the secret known (RFC 7748 section
            // 6.1).
            None => exchange_25519(&self.secret, public)
                .filter(|shared| shared.iter().fold(0, |all, byte| all | byte) != 0),
        };
        shared.ok_or(Fault::Own(ILLEGAL_PARAMETER))
    }
}

fn exchange_25519(secret: &[u8], public: &[u8]) -> Option<Vec<u8>> {
    Some(x25519(secret.try_into().ok()?, public.try_into().ok()?)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_share_the_same_in_every_group() {
        for group in GROUPS {
            let (ours, theirs) =
                (Exchange::new(*group).expect("ours"), Exchange::new(*group).expect("theirs"));
            let shared = ours.shared(&theirs.public).expect("shared");
            assert_eq!(shared, theirs.shared(&ours.public).expect("shared"));
            assert!(ours.shared(&theirs.public[1..]).is_err() && ours.shared(&[]).is_err());
        }
        let ours = Exchange::new(X25519).expect("ours");
        assert!(ours.shared(&[0; 32]).is_err(), "a point of small order");
    }
}
