//! The cipher of TLS records: AES-GCM, which every server has, in the framing of TLS 1.3 (RFC 8446 section 5.2) and of
//! TLS 1.2 (RFC 5288).

use alloc::boxed::Box;

use aes_gcm::aead::array::typenum::{U12, U16};
use aes_gcm::aead::{AeadCore, AeadInOut, KeyInit};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use rustls::crypto::cipher::{
    AeadKey, InboundOpaqueMessage, InboundPlainMessage, Iv, KeyBlockShape, MessageDecrypter,
    MessageEncrypter, Nonce, OutboundOpaqueMessage, OutboundPlainMessage, PrefixedPayload,
    Tls12AeadAlgorithm, Tls13AeadAlgorithm, UnsupportedOperationError, make_tls12_aad, make_tls13_aad,
};
use rustls::{ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion};

const TAG: usize = 16;
/// The part of a nonce of TLS 1.2's AES-GCM that travels with the record.
const EXPLICIT: usize = 8;
/// The most plain text of a record (RFC 8446 section 5.1).
const MAX_FRAGMENT: usize = 16384;

/// A cipher.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    Aes128Gcm,
    Aes256Gcm,
}

/// What the records' keys can do, of whichever cipher.
trait RecordKey: Send + Sync {
    fn seal(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8]) -> Result<[u8; TAG], Error>;
    fn open(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> Result<(), Error>;
}

impl<A: AeadInOut + AeadCore<NonceSize = U12, TagSize = U16> + Send + Sync> RecordKey for A {
    fn seal(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8]) -> Result<[u8; TAG], Error> {
        let tag = self.encrypt_inout_detached(&(*nonce).into(), about, text.into());
        tag.map(Into::into).map_err(|_| Error::EncryptError)
    }

    fn open(&self, nonce: &[u8; 12], about: &[u8], text: &mut [u8], tag: &[u8; TAG]) -> Result<(), Error> {
        let opened = self.decrypt_inout_detached(&(*nonce).into(), about, text.into(), &(*tag).into());
        opened.map_err(|_| Error::DecryptError)
    }
}

impl Cipher {
    fn key(self, key: &[u8]) -> Box<dyn RecordKey> {
        fn boxed<A: RecordKey + KeyInit + 'static>(key: &[u8]) -> Box<dyn RecordKey> {
            match A::new_from_slice(key) {
                Ok(made) => Box::new(made),
                // rustls cuts the key to the length that it asked for.
                Err(_) => Box::new(NoKey),
            }
        }
        match self {
            Cipher::Aes128Gcm => boxed::<Aes128Gcm>(key),
            Cipher::Aes256Gcm => boxed::<Aes256Gcm>(key),
        }
    }

    fn key_length(self) -> usize {
        if self == Cipher::Aes128Gcm { 16 } else { 32 }
    }

    fn record(self, key: &[u8], iv: Iv, framing: Framing) -> Record {
        Record { key: self.key(key), iv, framing }
    }
}

/// Refuses everything.
struct NoKey;

impl RecordKey for NoKey {
    fn seal(&self, _: &[u8; 12], _: &[u8], _: &mut [u8]) -> Result<[u8; TAG], Error> {
        Err(Error::EncryptError)
    }

    fn open(&self, _: &[u8; 12], _: &[u8], _: &mut [u8], _: &[u8; TAG]) -> Result<(), Error> {
        Err(Error::DecryptError)
    }
}

impl Tls13AeadAlgorithm for Cipher {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        Box::new(self.record(key.as_ref(), iv, Framing::Tls13))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        Box::new(self.record(key.as_ref(), iv, Framing::Tls13))
    }

    fn key_len(&self) -> usize {
        self.key_length()
    }

    fn extract_keys(&self, _: AeadKey, _: Iv) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

impl Tls12AeadAlgorithm for Cipher {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        Box::new(self.record(key.as_ref(), joined(iv, extra), Framing::Tls12))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        Box::new(self.record(key.as_ref(), joined(iv, &[]), Framing::Tls12))
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        let explicit_nonce_len = Framing::Tls12.explicit();
        KeyBlockShape {
            enc_key_len: self.key_length(),
            fixed_iv_len: 12 - explicit_nonce_len,
            explicit_nonce_len,
        }
    }

    fn extract_keys(
        &self,
        _: AeadKey,
        _: &[u8],
        _: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

fn joined(iv: &[u8], extra: &[u8]) -> Iv {
    let mut whole = [0; 12];
    whole.iter_mut().zip(iv.iter().chain(extra)).for_each(|(to, from)| *to = *from);
    Iv::new(whole)
}

/// How a record says its nonce and its type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// The type is encrypted with the text.
    Tls13,
    /// Eight bytes of the nonce stand before the text.
    Tls12,
}

impl Framing {
    fn explicit(self) -> usize {
        if self == Framing::Tls12 { EXPLICIT } else { 0 }
    }
}

/// One direction of a connection.
struct Record {
    key: Box<dyn RecordKey>,
    iv: Iv,
    framing: Framing,
}

impl MessageEncrypter for Record {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        number: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        let length = self.encrypted_payload_len(message.payload.len());
        let nonce = Nonce::new(&self.iv, number).0;
        let mut payload = PrefixedPayload::with_capacity(length);
        let explicit = self.framing.explicit();
        payload.extend_from_slice(&nonce[nonce.len() - explicit..]);
        payload.extend_from_chunks(&message.payload);
        let (about13, about12);
        let (about, kind, version): (&[u8], _, _) = if self.framing == Framing::Tls13 {
            payload.extend_from_slice(&message.typ.to_array());
            about13 = make_tls13_aad(length);
            (&about13, ContentType::ApplicationData, ProtocolVersion::TLSv1_2)
        } else {
            about12 = make_tls12_aad(number, message.typ, message.version, message.payload.len());
            (&about12, message.typ, message.version)
        };
        let tag = self.key.seal(&nonce, about, &mut payload.as_mut()[explicit..])?;
        payload.extend_from_slice(&tag);
        Ok(OutboundOpaqueMessage::new(kind, version, payload))
    }

    fn encrypted_payload_len(&self, length: usize) -> usize {
        let kind = usize::from(self.framing == Framing::Tls13);
        self.framing.explicit() + length + kind + TAG
    }
}

impl MessageDecrypter for Record {
    fn decrypt<'a>(
        &mut self,
        mut message: InboundOpaqueMessage<'a>,
        number: u64,
    ) -> Result<InboundPlainMessage<'a>, Error> {
        let explicit = self.framing.explicit();
        let whole = message.payload.len();
        let length = whole.checked_sub(explicit + TAG).ok_or(Error::DecryptError)?;
        let mut nonce = Nonce::new(&self.iv, number).0;
        let (head, rest) = message.payload.split_at_mut(explicit);
        if explicit > 0 {
            nonce = joined_nonce(&self.iv, head);
        }
        let (text, tag) = rest.split_at_mut(length);
        let tag = <&[u8; TAG]>::try_from(&*tag).map_err(|_| Error::DecryptError)?;
        if self.framing == Framing::Tls13 {
            self.key.open(&nonce, &make_tls13_aad(whole), text, tag)?;
            message.payload.truncate(length);
            return message.into_tls13_unpadded_message();
        }
        let about = make_tls12_aad(number, message.typ, message.version, length);
        self.key.open(&nonce, &about, text, tag)?;
        if length > MAX_FRAGMENT {
            return Err(Error::PeerSentOversizedRecord);
        }
        Ok(message.into_plain_message_range(explicit..explicit + length))
    }
}

/// The fixed part, and what came with the record.
fn joined_nonce(iv: &Iv, explicit: &[u8]) -> [u8; 12] {
    let mut nonce = [0; 12];
    let fixed = &iv.as_ref()[..12 - EXPLICIT];
    nonce.iter_mut().zip(fixed.iter().chain(explicit)).for_each(|(to, from)| *to = *from);
    nonce
}
