//! The cipher of records: AES-GCM, which every server has, in the framing of TLS 1.3 (RFC 8446 section 5.2) and of
//! TLS 1.2 (RFC 5288).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::ops::Range;

use aes_gcm::aead::array::typenum::{U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};

use super::fault::{BAD_RECORD_MAC, Fault, INTERNAL_ERROR, Outcome, RECORD_OVERFLOW, UNEXPECTED_MESSAGE};

/// The most plain text of a record (RFC 8446 section 5.1).
pub const MAX_FRAGMENT: usize = 16384;
/// Type, version and length, in front of every record.
pub const HEADER: usize = 5;
pub const TAG: usize = 16;
/// The part of a nonce of TLS 1.2 that travels with the record.
const EXPLICIT: usize = 8;
/// After so many records a key of AES-GCM is to be changed (RFC 8446 section 5.5).
const LIMIT: u64 = 1 << 24;

/// What the keys can do, of whichever length.
trait Key {
    fn seal(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8]) -> Option<[u8; TAG]>;
    fn open(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> Option<()>;
}

impl<A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16>> Key for A {
    fn seal(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8]) -> Option<[u8; TAG]> {
        self.encrypt_inout_detached(&(*nonce).into(), about, text.into()).ok().map(Into::into)
    }

    fn open(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> Option<()> {
        self.decrypt_inout_detached(&(*nonce).into(), about, text.into(), &(*tag).into()).ok()
    }
}

/// One direction of a connection.
pub struct Protection {
    key: Box<dyn Key>,
    /// Twelve bytes; in TLS 1.2 the last eight of them travel with each record.
    iv: [u8; 12],
    pub tls13: bool,
    /// How many records there have been.
    number: u64,
}

impl Protection {
    /// With a key of 16 or 32 bytes and what there is of an IV: all of it in TLS 1.3, four bytes in TLS 1.2.
    pub fn new(key: &[u8], iv: &[u8], tls13: bool) -> Outcome<Protection> {
        let fault = |_| Fault::Own(INTERNAL_ERROR);
        let key: Box<dyn Key> = if key.len() == 16 {
            Box::new(Aes128Gcm::new_from_slice(key).map_err(fault)?)
        } else {
            Box::new(Aes256Gcm::new_from_slice(key).map_err(fault)?)
        };
        let mut whole = [0; 12];
        whole.iter_mut().zip(iv).for_each(|(to, from)| *to = *from);
        Ok(Protection { key, iv: whole, tls13, number: 0 })
    }

    /// Whether the key has been used for as long as it may be.
    pub fn is_worn(&self) -> bool {
        self.number >= LIMIT
    }

    /// The nonce of the next record: the IV and the number.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        nonce[4..].iter_mut().zip(self.number.to_be_bytes()).for_each(|(to, from)| *to ^= from);
        nonce
    }

    /// What is protected beside the text: of TLS 1.3 the header, of TLS 1.2 more.
    fn about(&self, header: [u8; HEADER], length: usize) -> ([u8; 13], usize) {
        let mut about = [0; 13];
        if self.tls13 {
            about[..HEADER].copy_from_slice(&header);
            return (about, HEADER);
        }
        about[..8].copy_from_slice(&self.number.to_be_bytes());
        about[8..11].copy_from_slice(&header[..3]);
        about[11..].copy_from_slice(&(length as u16).to_be_bytes());
        (about, 13)
    }

    /// Appends a record of this kind to `out`.
    pub fn seal(&mut self, kind: u8, text: &[u8], out: &mut Vec<u8>) -> Outcome<()> {
        let explicit = if self.tls13 { 0 } else { EXPLICIT };
        let inner = text.len() + usize::from(self.tls13);
        let [high, low] = ((explicit + inner + TAG) as u16).to_be_bytes();
        let header = [if self.tls13 { 23 } else { kind }, 3, 3, high, low];
        let nonce = self.nonce();
        out.extend_from_slice(&header);
        out.extend_from_slice(&nonce[12 - explicit..]);
        let begin = out.len();
        out.extend_from_slice(text);
        if self.tls13 {
            out.push(kind);
        }
        let (about, length) = self.about(header, inner);
        let tag = self.key.seal(&nonce, &about[..length], &mut out[begin..]);
        out.extend_from_slice(&tag.ok_or(Fault::Own(INTERNAL_ERROR))?);
        self.number += 1;
        Ok(())
    }

    /// Decrypts a whole record in its place: its kind, and where its text is.
    pub fn open(&mut self, record: &mut [u8]) -> Outcome<(u8, Range<usize>)> {
        let damaged = || Fault::Own(BAD_RECORD_MAC);
        let (header, payload) = record.split_first_chunk_mut::<HEADER>().ok_or_else(damaged)?;
        let explicit = if self.tls13 { 0 } else { EXPLICIT };
        let (head, rest) = payload.split_at_mut_checked(explicit).ok_or_else(damaged)?;
        let mut nonce = self.nonce();
        nonce[12 - explicit..].copy_from_slice(head);
        let (text, tag) = rest.split_last_chunk_mut::<TAG>().ok_or_else(damaged)?;
        let (about, length) = self.about(*header, text.len());
        self.key.open(&nonce, &about[..length], text, tag).ok_or_else(damaged)?;
        self.number += 1;
        let (mut kind, mut length) = (header[0], text.len());
        if self.tls13 {
            // The kind is the last byte that is not zero.
            length = text.iter().rposition(|byte| *byte != 0).ok_or(Fault::Own(UNEXPECTED_MESSAGE))?;
            kind = text[length];
        }
        if length > MAX_FRAGMENT {
            return Err(Fault::Own(RECORD_OVERFLOW));
        }
        let begin = HEADER + explicit;
        Ok((kind, begin..begin + length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_sealed_is_opened_in_its_order_alone_and_nothing_else_is() {
        for (tls13, key) in [(true, 16), (true, 32), (false, 16), (false, 32)] {
            let side = || {
                Protection::new(&[7; 32][..key], &[9; 12][..if tls13 { 12 } else { 4 }], tls13)
                    .expect("a key")
            };
            let (mut sender, mut receiver) = (side(), side());
            let mut records = Vec::new();
            for text in [&b"first"[..], b"", &[1; MAX_FRAGMENT]] {
                let mut record = Vec::new();
                sender.seal(22, text, &mut record).expect("sealed");
                assert_eq!(usize::from(record[3]) << 8 | usize::from(record[4]), record.len() - HEADER);
                records.push((text, record));
            }
            for (text, record) in &records {
                for at in (0..record.len()).step_by(if text.len() > 100 { 1001 } else { 1 }) {
                    let mut other = record.clone();
                    other[at] ^= 1;
                    // Of TLS 1.2 the length of the header is protected as that of the text.
                    assert!(receiver.open(&mut other).is_err() || !tls13 && (3..5).contains(&at), "{at}");
                    receiver.number -= u64::from(!tls13 && (3..5).contains(&at));
                }
                for length in 0..record.len().min(40) {
                    assert!(receiver.open(&mut record[..length].to_vec()).is_err());
                }
                let mut record = record.clone();
                let (kind, range) = receiver.open(&mut record).expect("opened");
                assert_eq!((kind, &record[range]), (22, *text));
                assert!(receiver.open(&mut record).is_err(), "twice");
            }
        }
    }
}
