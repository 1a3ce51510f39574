//! TLS 1.3 after the hellos (RFC 8446 sections 4.3, 4.4, 4.6 and 7).

use alloc::vec::Vec;

use super::{
    CERTIFICATE, CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, FINISHED, Handshake, SERVER_NAME, SUPPORTED_GROUPS,
    ServerHello, Suite, Transcript, same, split,
};
use crate::image::tls::aead::Protection;
use crate::image::tls::fault::{
    DECRYPT_ERROR, Fault, ILLEGAL_PARAMETER, Outcome, UNEXPECTED_MESSAGE, UNSUPPORTED_EXTENSION,
};
use crate::image::tls::key_exchange::Exchange;
use crate::image::tls::message::{Reader, message};
use crate::image::tls::records::{CHANGE_CIPHER, HANDSHAKE, Records};
use crate::image::tls::trust;

const NEW_SESSION_TICKET: u8 = 4;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const KEY_UPDATE: u8 = 24;

impl Suite {
    /// The keys that come of a secret.
    fn protection(&self, secret: &[u8]) -> Outcome<Protection> {
        let key = self.hash.expand(secret, "key", &[], self.key);
        Protection::new(&key, &self.hash.expand(secret, "iv", &[], 12), true)
    }
}

impl Transcript {
    fn derive(&self, secret: &[u8], label: &str) -> Vec<u8> {
        self.hash.expand(secret, label, &self.digest(), self.hash.length())
    }

    /// What a side that has this secret says at its end.
    fn verify_data(&self, secret: &[u8]) -> Vec<u8> {
        let key = self.hash.expand(secret, "finished", &[], self.hash.length());
        self.hash.hmac(&key, &[&self.digest()]).to_vec()
    }
}

pub fn shake(
    handshake: &mut Handshake,
    server: ServerHello,
    exchange: &Exchange,
    mut transcript: Transcript,
) -> Outcome<Updates> {
    let (group, public) = server.share.ok_or(Fault::Own(ILLEGAL_PARAMETER))?;
    if group != usize::from(exchange.group) {
        return Err(Fault::Own(ILLEGAL_PARAMETER));
    }
    let (suite, hash) = (server.suite, server.suite.hash);
    let length = hash.length();
    let (nothing, empty) = ([0; 64], hash.of(&[]));
    let early = hash.hmac(&[], &[&nothing[..length]]);
    let secret = hash.hmac(&hash.expand(&early, "derived", &empty, length), &[&exchange.shared(&public)?]);
    let theirs = transcript.derive(&secret, "s hs traffic");
    let ours = transcript.derive(&secret, "c hs traffic");
    handshake.is_between()?;
    handshake.lenient = true;
    handshake.records.read_by(suite.protection(&theirs)?);

    let next = |handshake: &mut Handshake, kinds: &[u8], transcript: &mut Transcript| {
        let message = handshake.message()?;
        if !kinds.contains(&message[0]) {
            return Err(Fault::Own(UNEXPECTED_MESSAGE));
        }
        transcript.add(&message);
        Ok(message)
    };
    let extensions = next(handshake, &[ENCRYPTED_EXTENSIONS], &mut transcript)?;
    check_extensions(&extensions[4..])?;
    let mut chain = next(handshake, &[CERTIFICATE, CERTIFICATE_REQUEST], &mut transcript)?;
    let asked = chain[0] == CERTIFICATE_REQUEST;
    if asked {
        chain = next(handshake, &[CERTIFICATE], &mut transcript)?;
    }
    let certificates = certificates(&chain[4..])?;
    handshake.trust.check(handshake.name, &certificates)?;
    let mut signed = Vec::from([b' '; 64]);
    signed.extend_from_slice(b"TLS 1.3, server CertificateVerify\0");
    signed.extend_from_slice(&transcript.digest());
    let verify = next(handshake, &[CERTIFICATE_VERIFY], &mut transcript)?;
    let mut reader = Reader(&verify[4..]);
    let (scheme, signature) = (reader.number(2)?, reader.vector(2)?);
    reader.end()?;
    trust::check_signature(certificates[0], scheme, None, &signed, signature.0)?;
    let expected = transcript.verify_data(&theirs);
    let finished = next(handshake, &[FINISHED], &mut transcript)?;
    if !same(&expected, &finished[4..]) {
        return Err(Fault::Own(DECRYPT_ERROR));
    }
    handshake.is_between()?;

    let secret = hash.hmac(&hash.expand(&secret, "derived", &empty, length), &[&nothing[..length]]);
    let updates = Updates {
        suite,
        reading: transcript.derive(&secret, "s ap traffic"),
        writing: transcript.derive(&secret, "c ap traffic"),
    };
    let records = &mut *handshake.records;
    records.read_by(suite.protection(&updates.reading)?);
    records.write(CHANGE_CIPHER, &[1])?;
    records.writing = Some(suite.protection(&ours)?);
    let mut last = Vec::new();
    if asked {
        // There is no certificate of ours.
        last = message(CERTIFICATE, &[&[0, 0, 0, 0]]);
        transcript.add(&last);
    }
    last.extend(message(FINISHED, &[&transcript.verify_data(&ours)]));
    records.write(HANDSHAKE, &last)?;
    records.writing = Some(suite.protection(&updates.writing)?);
    Ok(updates)
}

/// Of what was offered, these are answered here; nothing in them matters to us.
fn check_extensions(bytes: &[u8]) -> Outcome<()> {
    let mut reader = Reader(bytes);
    let mut extensions = reader.vector(2)?;
    reader.end()?;
    while !extensions.is_empty() {
        let kind = extensions.number(2)? as u16;
        extensions.vector(2)?;
        if kind != SERVER_NAME && kind != SUPPORTED_GROUPS {
            return Err(Fault::Own(UNSUPPORTED_EXTENSION));
        }
    }
    Ok(())
}

/// The certificates of a message, of which there is at least one.
fn certificates(bytes: &[u8]) -> Outcome<Vec<&[u8]>> {
    let mut reader = Reader(bytes);
    let (context, mut list) = (reader.vector(1)?, reader.vector(3)?);
    reader.end()?;
    context.end()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.vector(3)?.0);
        // No extension was asked for.
        if !list.vector(2)?.is_empty() {
            return Err(Fault::Own(UNSUPPORTED_EXTENSION));
        }
    }
    if found.is_empty() { Err(Fault::Own(super::DECODE_ERROR)) } else { Ok(found) }
}

/// How the keys are changed in the course of a connection.
pub struct Updates {
    suite: Suite,
    reading: Vec<u8>,
    writing: Vec<u8>,
}

impl Updates {
    /// Takes what the server has sent after the handshake: tickets, which we do not use, and its changes of keys.
    pub fn take(&mut self, records: &mut Records, pending: &mut Vec<u8>) -> Outcome<()> {
        while let Some(message) = split(pending)? {
            match *message {
                [NEW_SESSION_TICKET, ..] => {}
                [KEY_UPDATE, 0, 0, 1, wish @ (0 | 1)] if pending.is_empty() => {
                    self.reading = self.after(&self.reading);
                    records.read_by(self.suite.protection(&self.reading)?);
                    if wish == 1 {
                        self.change(records)?;
                    }
                }
                _ => return Err(Fault::Own(UNEXPECTED_MESSAGE)),
            }
        }
        Ok(())
    }

    /// Changes the keys that we write by.
    pub fn change(&mut self, records: &mut Records) -> Outcome<()> {
        records.write(HANDSHAKE, &message(KEY_UPDATE, &[&[0]]))?;
        self.writing = self.after(&self.writing);
        records.writing = Some(self.suite.protection(&self.writing)?);
        Ok(())
    }

    fn after(&self, secret: &[u8]) -> Vec<u8> {
        self.suite.hash.expand(secret, "traffic upd", &[], secret.len())
    }
}
