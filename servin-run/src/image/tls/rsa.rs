//! RSA signatures, checked (RFC 8017): PKCS #1 v1.5 and PSS. There is nothing secret in this, so that the arithmetic
//! ([`modulus`]) may be as short as it is; and the padding is compared as a whole, never taken apart.

mod modulus;

use alloc::vec::Vec;

use self::modulus::Modulus;
use super::signature::Sha2;

/// How a digest is made as long as the key.
#[derive(Debug, Clone, Copy)]
pub enum Padding {
    Pkcs1,
    Pss,
}

/// The moduli that are accepted, in bytes: 2048 to 8192 bits, as browsers do.
const SIZES: core::ops::RangeInclusive<usize> = 256..=1024;

/// Whether `signature` is that of `digest` by `key` (an RSAPublicKey of RFC 8017 appendix A.1.1).
pub fn verify(key: &[u8], hash: Sha2, digest: &[u8], signature: &[u8], padding: Padding) -> Option<()> {
    let (modulus, exponent) = public_key(key)?;
    if !SIZES.contains(&modulus.len()) || signature.len() != modulus.len() {
        return None;
    }
    let message = &*Modulus::new(modulus)?.power(signature, exponent)?;
    match padding {
        Padding::Pkcs1 => (pkcs1(hash, digest, message.len())? == message).then_some(()),
        Padding::Pss => pss(hash, digest, message, modulus.first()?.leading_zeros()),
    }
}

/// Modulus and exponent: odd, of 2 to 33 bits.
fn public_key(key: &[u8]) -> Option<(&[u8], u64)> {
    let (fields, rest) = element(key, 0x30)?;
    let (modulus, fields) = element(fields, 0x02)?;
    let (exponent, end) = element(fields, 0x02)?;
    if !rest.is_empty() || !end.is_empty() {
        return None;
    }
    let (modulus, exponent) = (unsigned(modulus)?, unsigned(exponent)?);
    if exponent.len() > 5 {
        return None;
    }
    let exponent = exponent.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    ((3..1 << 33).contains(&exponent) && exponent % 2 == 1).then_some((modulus, exponent))
}

/// The content of one DER element of this type, and what follows it.
fn element(bytes: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = bytes.split_first_chunk::<2>()?;
    if found != kind {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first().filter(|length| **length >= 0x80)?), &rest[1..]),
        0x82 => {
            let (length, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*length)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// The magnitude of a DER integer that is above zero, without the zero in front that keeps it so.
fn unsigned(bytes: &[u8]) -> Option<&[u8]> {
    match bytes {
        [0, rest @ ..] if rest.first().is_some_and(|byte| *byte >= 0x80) => Some(rest),
        [1..0x80, ..] => Some(bytes),
        _ => None,
    }
}

/// EMSA-PKCS1-v1_5 (section 9.2).
fn pkcs1(hash: Sha2, digest: &[u8], length: usize) -> Option<Vec<u8>> {
    // DigestInfo of SHA-2: only the last number of the identifier and the length differ.
    let kind = match hash {
        Sha2::Sha256 => 1,
        Sha2::Sha384 => 2,
        Sha2::Sha512 => 3,
    };
    let size = digest.len() as u8;
    let info = [0x30, 17 + size, 0x30, 13, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, kind, 5, 0, 4, size];
    let filling = length.checked_sub(info.len() + digest.len() + 3)?;
    let mut message = Vec::with_capacity(length);
    message.extend([0, 1]);
    message.resize(2 + filling, 0xff);
    message.push(0);
    message.extend(info);
    message.extend(digest);
    Some(message)
}

/// EMSA-PSS-VERIFY (section 9.1.2), the salt as long as the hash, as TLS and certificates have it. `spare` is how
/// many bits the modulus's first byte leaves unused.
fn pss(hash: Sha2, digest: &[u8], message: &[u8], spare: u32) -> Option<()> {
    // The message has a bit less than the modulus; where that empties a byte, it is not part of it.
    let spare = spare + 1;
    let message = if spare == 8 { message.strip_prefix(&[0])? } else { message };
    let unused = if spare == 8 { 0 } else { !(0xff_u8 >> spare) };
    let size = digest.len();
    let (seeded, tail) = message.split_at_checked(message.len().checked_sub(size + 1)?)?;
    let (expected, end) = tail.split_at(size);
    if end != [0xbc] || seeded.first()? & unused != 0 || seeded.len() < size + 1 {
        return None;
    }
    let mut block = Vec::from(seeded);
    for (counter, chunk) in block.chunks_mut(size).enumerate() {
        let (mask, _) = hash.digest(&[expected, &(counter as u32).to_be_bytes()]);
        chunk.iter_mut().zip(mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    *block.first_mut()? &= !unused;
    let (padding, salt) = block.split_at(block.len() - size);
    let (&one, zeroes) = padding.split_last()?;
    let (again, _) = hash.digest(&[&[0; 8], digest, salt]);
    (one == 1 && zeroes.iter().all(|byte| *byte == 0) && again[..size] == *expected).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Signatures of "what was signed", made by OpenSSL 3.0 (the last one, by a key of 2057 bits, by hand):
    /// padding, hash, key, signature.
    const SIGNATURES: &str = include_str!("rsa/signatures.txt");

    fn bytes(hex: &str) -> Vec<u8> {
        let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
        (0..hex.len()).step_by(2).map(byte).collect()
    }

    #[test]
    fn what_openssl_signed_is_accepted_and_nothing_else() {
        for line in SIGNATURES.lines() {
            let mut words = line.split(' ');
            let mut word = || words.next().expect("four words");
            let padding = if word() == "pss" { Padding::Pss } else { Padding::Pkcs1 };
            let hash = match word() {
                "256" => Sha2::Sha256,
                "384" => Sha2::Sha384,
                _ => Sha2::Sha512,
            };
            let (key, signature) = (bytes(word()), bytes(word()));
            let (digest, length) = hash.digest(&[b"what was ", b"signed"]);
            let digest = &digest[..length];
            let good = |key: &[u8], digest: &[u8], signature: &[u8]| {
                verify(key, hash, digest, signature, padding).is_some()
            };
            assert!(good(&key, digest, &signature), "{line:.20}");
            for at in (0..signature.len()).step_by(37) {
                let mut other = signature.clone();
                other[at] ^= 1;
                assert!(!good(&key, digest, &other), "{line:.20} with another byte at {at}");
            }
            let mut other = Vec::from(digest);
            other[length - 1] ^= 1;
            assert!(!good(&key, &other, &signature), "another digest");
            assert!(!good(&key, digest, &signature[1..]) && !good(&key, digest, &[]), "another length");
            let wrong = if matches!(padding, Padding::Pss) { Padding::Pkcs1 } else { Padding::Pss };
            assert!(verify(&key, hash, digest, &signature, wrong).is_none(), "another padding");
            // Zero, one and the modulus less one are their own powers.
            let modulus = public_key(&key).expect("a key").0.to_vec();
            let mut less_one = modulus.clone();
            *less_one.last_mut().expect("not empty") ^= 1;
            let mut one = alloc::vec![0; modulus.len()];
            assert!(
                !good(&key, digest, &one) && !good(&key, digest, &less_one) && !good(&key, digest, &modulus)
            );
            *one.last_mut().expect("not empty") = 1;
            assert!(!good(&key, digest, &one));
        }
    }

    #[test]
    fn a_hostile_key_does_no_harm() {
        let line = SIGNATURES.lines().next().expect("one");
        let words: Vec<&str> = line.split(' ').collect();
        let (key, signature) = (bytes(words[2]), bytes(words[3]));
        crate::image::mutate::bytes(&[key], 300, |key| {
            let _ = verify(key, Sha2::Sha256, &[0; 32], &signature, Padding::Pkcs1);
        });
    }
}
