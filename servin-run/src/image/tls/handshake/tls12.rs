//! TLS 1.2 after the hellos (RFC 5246 section 7.4, RFC 8422), with the secret that is bound to the handshake where the
//! server has it (RFC 7627).

use alloc::vec::Vec;

use super::{CERTIFICATE, CERTIFICATE_REQUEST, FINISHED, Handshake, ServerHello, Transcript, same};
use crate::image::tls::aead::Protection;
use crate::image::tls::fault::{
    DECODE_ERROR, DECRYPT_ERROR, Fault, ILLEGAL_PARAMETER, Outcome, UNEXPECTED_MESSAGE,
};
use crate::image::tls::key_exchange::{Exchange, GROUPS};
use crate::image::tls::message::{Reader, message, vector};
use crate::image::tls::records::{CHANGE_CIPHER, HANDSHAKE};
use crate::image::tls::trust;

const SERVER_KEY_EXCHANGE: u8 = 12;
const SERVER_HELLO_DONE: u8 = 14;
const CLIENT_KEY_EXCHANGE: u8 = 16;
const NAMED_CURVE: usize = 3;
const VERIFY_DATA: usize = 12;

pub fn shake(
    handshake: &mut Handshake,
    ours: &[u8; 32],
    server: ServerHello,
    mut transcript: Transcript,
) -> Outcome<()> {
    let (suite, hash, theirs) = (server.suite, server.suite.hash, &server.random);
    let chain = handshake.expect(CERTIFICATE)?;
    transcript.add(&chain);
    let certificates = certificates(&chain[4..])?;
    let keys = handshake.expect(SERVER_KEY_EXCHANGE)?;
    transcript.add(&keys);
    let mut last = handshake.message()?;
    transcript.add(&last);
    let asked = last[0] == CERTIFICATE_REQUEST;
    if asked {
        last = handshake.message()?;
        transcript.add(&last);
    }
    if *last != [SERVER_HELLO_DONE, 0, 0, 0] {
        return Err(Fault::Own(UNEXPECTED_MESSAGE));
    }
    handshake.trust.check(handshake.name, &certificates)?;
    let mut reader = Reader(&keys[4..]);
    let (kind, group, public) = (reader.number(1)?, reader.number(2)?, reader.vector(1)?.0);
    let parameters = &keys[4..keys.len() - reader.0.len()];
    let (scheme, signature) = (reader.number(2)?, reader.vector(2)?.0);
    reader.end()?;
    let signed = [ours, &theirs[..], parameters].concat();
    trust::check_signature(certificates[0], scheme, Some(suite.ecdsa), &signed, signature)?;
    let group = GROUPS.iter().find(|known| usize::from(**known) == group && kind == NAMED_CURVE);
    let exchange = Exchange::new(*group.ok_or(Fault::Own(ILLEGAL_PARAMETER))?)?;
    let shared = exchange.shared(public)?;

    let mut answer = Vec::new();
    if asked {
        // There is no certificate of ours.
        answer = message(CERTIFICATE, &[&[0, 0, 0]]);
    }
    answer.extend(message(CLIENT_KEY_EXCHANGE, &[&vector(1, &[&exchange.public])]));
    transcript.add(&answer);
    let secret = if server.extended_secret {
        hash.expand12(&shared, "extended master secret", &[&transcript.digest()], 48)
    } else {
        hash.expand12(&shared, "master secret", &[ours, theirs], 48)
    };
    let block = hash.expand12(&secret, "key expansion", &[theirs, ours], 2 * suite.key + 8);
    let (keys, ivs) = block.split_at(2 * suite.key);
    let (our_key, their_key) = keys.split_at(suite.key);
    let finished = |label, transcript: &Transcript| {
        message(FINISHED, &[&hash.expand12(&secret, label, &[&transcript.digest()], VERIFY_DATA)])
    };
    let own = finished("client finished", &transcript);
    transcript.add(&own);
    let records = &mut *handshake.records;
    records.write(HANDSHAKE, &answer)?;
    records.write(CHANGE_CIPHER, &[1])?;
    records.writing = Some(Protection::new(our_key, &ivs[..4], false)?);
    records.write(HANDSHAKE, &own)?;

    handshake.is_between()?;
    if handshake.records.next()? != CHANGE_CIPHER {
        return Err(Fault::Own(UNEXPECTED_MESSAGE));
    }
    handshake.records.read_by(Protection::new(their_key, &ivs[4..], false)?);
    let last = handshake.expect(FINISHED)?;
    handshake.is_between()?;
    if same(&last, &finished("server finished", &transcript)) {
        Ok(())
    } else {
        Err(Fault::Own(DECRYPT_ERROR))
    }
}

/// The certificates of a message, of which there is at least one.
fn certificates(bytes: &[u8]) -> Outcome<Vec<&[u8]>> {
    let mut reader = Reader(bytes);
    let mut list = reader.vector(3)?;
    reader.end()?;
    let mut found = Vec::new();
    while !list.is_empty() {
        found.push(list.vector(3)?.0);
    }
    if found.is_empty() { Err(Fault::Own(DECODE_ERROR)) } else { Ok(found) }
}
