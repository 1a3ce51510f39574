//! RSA signatures, checked (RFC 8017): PKCS #1 v1.5 and PSS. The padding is compared as a whole,
//! never taken apart.

use alloc::vec::Vec;

use super::der::{Der, SEQUENCE};
use super::hash::Hash;
use super::modulus::Modulus;

/// How a digest is made as long as the key.
#[derive(Debug, Clone, Copy)]
pub enum Padding {
    Pkcs1,
    Pss,
}

/// The moduli that are accepted, in bytes: 2048 to 8192 bits, as browsers do.
const SIZES: core::ops::RangeInclusive<usize> = 256..=1024;

/// Whether `signature` is that of `digest` by `key` (an RSAPublicKey of RFC 8017 appendix A.1.1).
pub fn verify(key: &[u8], hash: Hash, digest: &[u8], signature: &[u8], padding: Padding) -> Option<()> {
    let (modulus, exponent) = public_key(key)?;
    if !SIZES.contains(&modulus.len()) || signature.len() != modulus.len() {
        return None;
    }
    let number = Modulus::new(modulus)?;
    let form = number.form(&number.read(signature)?);
    let message = &*number.bytes(&number.plain(&number.power(&form, exponent)));
    match padding {
        Padding::Pkcs1 => (pkcs1(hash, digest, message.len())? == message).then_some(()),
        Padding::Pss => pss(hash, digest, message, modulus.first()?.leading_zeros()),
    }
}

/// Modulus and exponent: odd, of 2 to 33 bits.
fn public_key(key: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Der(key).only(SEQUENCE)?;
    let (modulus, exponent) = (fields.unsigned()?, fields.unsigned()?);
    fields.end()?;
    if exponent.len() > 5 {
        return None;
    }
    let value = exponent.iter().fold(0, |all, byte| all << 8 | u64::from(*byte));
    ((3..1 << 33).contains(&value) && value % 2 == 1).then_some((modulus, exponent))
}

/// EMSA-PKCS1-v1_5 (section 9.2).
fn pkcs1(hash: Hash, digest: &[u8], length: usize) -> Option<Vec<u8>> {
    // DigestInfo of SHA-2: only the last number of the identifier and the length differ.
    let kind = match hash {
        Hash::Sha256 => 1,
        Hash::Sha384 => 2,
        Hash::Sha512 => 3,
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
fn pss(hash: Hash, digest: &[u8], message: &[u8], spare: u32) -> Option<()> {
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
        let mask = hash.of(&[expected, &(counter as u32).to_be_bytes()]);
        chunk.iter_mut().zip(&*mask).for_each(|(byte, mask)| *byte ^= mask);
    }
    *block.first_mut()? &= !unused;
    let (padding, salt) = block.split_at(block.len() - size);
    let (&one, zeroes) = padding.split_last()?;
    let again = hash.of(&[&[0; 8], digest, salt]);
    (one == 1 && zeroes.iter().all(|byte| *byte == 0) && *again == *expected).then_some(())
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
                "256" => Hash::Sha256,
                "384" => Hash::Sha384,
                _ => Hash::Sha512,
            };
            let (key, signature) = (bytes(word()), bytes(word()));
            let digest = &*hash.of(&[b"what was ", b"signed"]);
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
            *other.last_mut().expect("not empty") ^= 1;
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
            let _ = verify(key, Hash::Sha256, &[0; 32], &signature, Padding::Pkcs1);
        });
    }
}
