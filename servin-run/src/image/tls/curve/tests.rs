use p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use p256::elliptic_curve::sec1::ToSec1Point;

use super::*;
use crate::image::mutate::Random;

fn draw<const LENGTH: usize>(random: &mut Random) -> [u8; LENGTH] {
    // Often with long runs of zeroes or ones, where carries are.
    let kind = random.below(4);
    core::array::from_fn(|at| match kind {
        0 if at < LENGTH - 1 => 0,
        1 if at > 0 => 0xff,
        2 if at >= LENGTH / 2 => 0,
        _ => random.below(256) as u8,
    })
}

/// A sequence of two integers, each with its bytes as they are.
fn sequence(r: &[u8], s: &[u8]) -> Vec<u8> {
    let (lengths, all) = ([r.len() as u8, s.len() as u8], r.len() + s.len() + 4);
    [&[0x30, all as u8, 2, lengths[0]], r, &[2, lengths[1]], s].concat()
}

/// The same with the zero in front that a number above its half wants.
fn positive(bytes: &[u8]) -> Vec<u8> {
    let first = bytes.iter().position(|byte| *byte != 0).unwrap_or(bytes.len() - 1);
    let bytes = &bytes[first..];
    if bytes[0] >= 0x80 { [&[0], bytes].concat() } else { bytes.to_vec() }
}

macro_rules! agrees {
    ($name:ident, $curve:ident, $parameters:ident, $length:literal) => {
        #[test]
        fn $name() {
            let curve = Curve::new($parameters).expect("a curve");
            let mut random = Random($length);
            for round in 0..9_usize {
                let secret: [u8; $length] = draw(&mut random);
                let theirs = $curve::SecretKey::from_slice(&secret);
                let Ok(theirs) = theirs else {
                    assert!(curve.public(&secret).is_none());
                    continue;
                };
                let public = theirs.public_key().to_sec1_point(false);
                assert_eq!(curve.public(&secret).expect("a key"), public.as_bytes());
                // Exchange.
                let Ok(other) = $curve::SecretKey::from_slice(&draw::<$length>(&mut random)) else {
                    continue;
                };
                let shared =
                    $curve::ecdh::diffie_hellman(other.to_nonzero_scalar(), theirs.public_key().as_affine());
                let others = other.public_key().to_sec1_point(false);
                assert_eq!(
                    curve.shared(&secret, others.as_bytes()).expect("shared"),
                    shared.raw_secret_bytes().to_vec()
                );
                // Signatures, of digests that are shorter and longer than the order.
                let digest: [u8; 64] = draw(&mut random);
                let digest = &digest[..[32, 48, 64][round % 3]];
                let signing = $curve::ecdsa::SigningKey::from(&theirs);
                let Ok(signature) = PrehashSigner::<$curve::ecdsa::Signature>::sign_prehash(&signing, digest)
                else {
                    continue;
                };
                let good = signature.to_der();
                let good = good.as_bytes();
                assert!(curve.verify(public.as_bytes(), digest, good).is_some(), "{round}");
                assert!(curve.verify(others.as_bytes(), digest, good).is_none(), "another key");
                let mut other_digest = digest.to_vec();
                other_digest[random.below(digest.len().min($length))] ^= 1 << random.below(8);
                assert!(curve.verify(public.as_bytes(), &other_digest, good).is_none(), "another digest");
                // Damage, which the other implementation is asked about too.
                for _ in 0..3 {
                    let (mut signature, mut key) = (good.to_vec(), public.as_bytes().to_vec());
                    if random.below(3) == 0 {
                        let at = random.below(key.len());
                        key[at] ^= 1 << random.below(8);
                    } else {
                        let at = random.below(signature.len());
                        signature[at] ^= 1 << random.below(8);
                    }
                    let verifying = $curve::ecdsa::VerifyingKey::from_sec1_bytes(&key);
                    let theirs = verifying.ok().zip($curve::ecdsa::Signature::from_der(&signature).ok());
                    let theirs =
                        theirs.is_some_and(|(key, signature)| key.verify_prehash(digest, &signature).is_ok());
                    assert_eq!(curve.verify(&key, digest, &signature).is_some(), theirs);
                }
            }
        }
    };
}
agrees!(p256_agrees_with_another_implementation, p256, P256, 32);
agrees!(p384_agrees_with_another_implementation, p384, P384, 48);

#[test]
fn numbers_of_a_signature_that_are_none_are_refused() {
    for parameters in [P256, P384] {
        let curve = Curve::new(parameters).expect("a curve");
        let length = curve.length();
        let order = parameters[1];
        let mut one = alloc::vec![0; length];
        one[length - 1] = 1;
        let key = curve.public(&one).expect("the generator");
        let zero = alloc::vec![0; length];
        let mut above = order.to_vec();
        above[length - 1] += 1;
        let prime = parameters[0].to_vec();
        let numbers =
            [&zero[..1], &zero, &positive(order), &positive(&above), &positive(&prime), &[0xff], &[]];
        for digest in [&zero, &one, &order.to_vec()] {
            for bad in numbers {
                for good in [&one[length - 1..], bad] {
                    assert!(curve.verify(&key, digest, &sequence(bad, good)).is_none(), "r {bad:x?}");
                    assert!(curve.verify(&key, digest, &sequence(good, bad)).is_none(), "s {bad:x?}");
                }
            }
            // Numbers with needless zeroes in front, bytes behind, another type, nothing.
            assert!(curve.verify(&key, digest, &sequence(&[0, 1], &[1])).is_none());
            assert!(curve.verify(&key, digest, &[sequence(&[1], &[1]), vec![0]].concat()).is_none());
            assert!(curve.verify(&key, digest, &[0x31, 6, 2, 1, 1, 2, 1, 1]).is_none());
            assert!(curve.verify(&key, digest, &[]).is_none() && curve.verify(&[], digest, &[]).is_none());
        }
        // The sum is the point at infinity: a digest of zero, the key whose multiple is nothing, is no signature; and
        // one where both points are the same, or each other's opposite, is calculated as any other.
        let x = &key[1..=length];
        assert!(
            curve.verify(&key, &zero, &sequence(&positive(x), &positive(x))).is_some(),
            "x of one times the key"
        );
        let mut less_one = order.to_vec();
        less_one[length - 1] -= 1;
        let opposite = curve.public(&less_one).expect("the generator's opposite");
        assert_eq!((&opposite[1..=length], opposite[1 + length..] == key[1 + length..]), (x, false));
        // r = s = digest: the generator and its opposite, which are nothing together.
        assert!(curve.verify(&opposite, x, &sequence(&positive(x), &positive(x))).is_none(), "infinity");
    }
}

#[test]
fn points_that_are_not_on_the_curve_are_refused() {
    for parameters in [P256, P384] {
        let curve = Curve::new(parameters).expect("a curve");
        let length = curve.length();
        let mut secret = alloc::vec![0; length];
        secret[length - 1] = 7;
        let good = curve.public(&secret).expect("a key");
        assert!(curve.shared(&secret, &good).is_some());
        let mut bad: Vec<Vec<u8>> = alloc::vec![vec![], vec![0], vec![4], good[..good.len() - 1].to_vec()];
        bad.push([&good[..], &[0]].concat());
        // Infinity in the affine plane, the compressed and the hybrid form, x of the field's prime and more.
        bad.push([&[4][..], &alloc::vec![0; 2 * length]].concat());
        bad.push([&[2 + (good[2 * length] & 1)], &good[1..=length]].concat());
        bad.push([&[6 + (good[2 * length] & 1)], &good[1..]].concat());
        bad.push([&[4], parameters[0], &good[1 + length..]].concat());
        bad.push([&[4][..], &alloc::vec![0xff; length], &good[1 + length..]].concat());
        for at in [1, length, 1 + length, 2 * length] {
            let mut other = good.clone();
            other[at] ^= 1;
            bad.push(other);
        }
        for bad in bad {
            assert!(curve.shared(&secret, &bad).is_none(), "{bad:x?}");
        }
        assert!(curve.public(&alloc::vec![0; length]).is_none() && curve.public(parameters[1]).is_none());
    }
}

#[test]
fn x25519_agrees_with_another_implementation() {
    let mut random = Random(25519);
    let mut publics: Vec<[u8; 32]> = (0..60).map(|_| draw(&mut random)).collect();
    // Points of small order, and numbers that are not less than the prime (RFC 7748 section 6.1).
    for first in [0, 1, 0xec, 0xed, 0xee, 0xff] {
        for rest in [0, 0xff] {
            let mut public = [rest; 32];
            public[0] = first;
            publics.push(public);
            public[31] &= 0x7f;
            publics.push(public);
        }
    }
    for public in publics {
        let secret = draw(&mut random);
        assert_eq!(x25519(&secret, &public), Some(x25519_dalek::x25519(secret, public)), "{public:x?}");
    }
}
