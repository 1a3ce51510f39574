//! The handshake of a client (RFC 8446, RFC 5246): the hellos, after which the versions part.

mod tls12;
mod tls13;

use alloc::vec::Vec;

use super::chain::Name;
use super::fault::{
    DECODE_ERROR, Fault, HANDSHAKE_FAILURE, ILLEGAL_PARAMETER, Outcome, PROTOCOL_VERSION, UNEXPECTED_MESSAGE,
    UNSUPPORTED_EXTENSION,
};
use super::hash::{Hash, Hasher};
use super::key_exchange::{Exchange, GROUPS, X25519, random};
use super::message::{Reader, extension, message, number, numbers, vector};
use super::records::{CHANGE_CIPHER, HANDSHAKE, Records};
use super::signature::SCHEMES;
use super::trust::Trust;

pub use self::tls13::Updates;

// The kinds of messages.
const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_REQUEST: u8 = 13;
const CERTIFICATE_VERIFY: u8 = 15;
const FINISHED: u8 = 20;
const MESSAGE_HASH: u8 = 254;

// The kinds of extensions.
const SERVER_NAME: u16 = 0;
const SUPPORTED_GROUPS: u16 = 10;
const POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const EXTENDED_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const COOKIE: u16 = 44;
const KEY_SHARE: u16 = 51;
const RENEGOTIATION: u16 = 0xff01;

const TLS12: usize = 0x0303;
const TLS13: usize = 0x0304;

/// The longest message that is waited for: a chain of certificates.
const LONGEST: usize = 0xffff;

/// A cipher suite.
#[derive(Clone, Copy)]
struct Suite {
    code: u16,
    tls13: bool,
    /// How the server signs, which TLS 1.2 agrees on here.
    ecdsa: bool,
    /// How many bytes a key has.
    key: usize,
    hash: Hash,
}

macro_rules! suites {
    ($($code:literal $tls13:literal $ecdsa:literal $key:literal $hash:ident;)*) => {
        /// In the order of preference.
        const SUITES: &[Suite] = &[$(
            Suite { code: $code, tls13: $tls13, ecdsa: $ecdsa, key: $key, hash: Hash::$hash }
        ),*];
    };
}
suites! {
    0x1301 true  false 16 Sha256;
    0x1302 true  false 32 Sha384;
    0xc02b false true  16 Sha256;
    0xc02c false true  32 Sha384;
    0xc02f false false 16 Sha256;
    0xc030 false false 32 Sha384;
}
/// No suite, but that renegotiation would be secure (RFC 5746).
const SECURE_RENEGOTIATION: u16 = 0xff;

/// A handshake under way.
pub struct Handshake<'a> {
    pub records: &'a mut Records,
    pub name: &'a Name<'a>,
    pub trust: &'a Trust,
    /// What has come of messages that have not been taken.
    pub pending: Vec<u8>,
    /// Whether what boxes on the way want to see is passed over, as it may come at any time.
    lenient: bool,
}

/// What was said so far.
struct Transcript {
    hash: Hash,
    hasher: Hasher,
}

impl Transcript {
    fn new(hash: Hash) -> Transcript {
        Transcript { hash, hasher: hash.begin() }
    }

    fn add(&mut self, message: &[u8]) {
        self.hasher.update(message);
    }

    fn digest(&self) -> Vec<u8> {
        self.hasher.clone().finish().to_vec()
    }
}

/// A server's hello, or its wish for another one of ours.
struct ServerHello {
    random: [u8; 32],
    suite: Suite,
    retry: bool,
    session: Vec<u8>,
    /// What the extensions say.
    share: Option<(usize, Vec<u8>)>,
    cookie: Vec<u8>,
    extended_secret: bool,
}

/// The random number of a server that wants another hello: the hash of "HelloRetryRequest".
pub const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2,
    0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];
/// How the random number of a server ends that could have spoken TLS 1.3 (RFC 8446 section 4.1.3), but for the last byte.
const DOWNGRADE: &[u8] = b"DOWNGRD";

impl ServerHello {
    fn read(bytes: &[u8]) -> Outcome<ServerHello> {
        let mut reader = Reader(bytes);
        if reader.number(2)? != TLS12 {
            return Err(Fault::Own(PROTOCOL_VERSION));
        }
        let mut random = [0; 32];
        random.copy_from_slice(reader.bytes(32)?);
        let retry = random == RETRY;
        let session = Vec::from(reader.vector(1)?.0);
        let code = reader.number(2)?;
        if reader.number(1)? != 0 {
            return Err(Fault::Own(ILLEGAL_PARAMETER));
        }
        let (mut tls13, mut share, mut cookie, mut extended_secret) = (false, None, Vec::new(), false);
        let mut seen = Vec::new();
        if !reader.is_empty() {
            let mut extensions = reader.vector(2)?;
            while !extensions.is_empty() {
                let (kind, mut content) = (extensions.number(2)? as u16, extensions.vector(2)?);
                if seen.contains(&kind) {
                    return Err(Fault::Own(ILLEGAL_PARAMETER));
                }
                seen.push(kind);
                match kind {
                    SUPPORTED_VERSIONS => {
                        tls13 = content.number(2)? == TLS13;
                        if !tls13 {
                            return Err(Fault::Own(ILLEGAL_PARAMETER));
                        }
                    }
                    KEY_SHARE => {
                        let group = content.number(2)?;
                        let public = if retry { &[] } else { content.vector(2)?.0 };
                        share = Some((group, public.into()));
                    }
                    COOKIE if retry => cookie = content.vector(2)?.0.into(),
                    EXTENDED_SECRET => extended_secret = true,
                    // Nothing was agreed on before; and what the server takes of points does not matter to us.
                    RENEGOTIATION if content.vector(1)?.is_empty() => {}
                    POINT_FORMATS => content = Reader(&[]),
                    SERVER_NAME => {}
                    RENEGOTIATION => return Err(Fault::Own(HANDSHAKE_FAILURE)),
                    _ => return Err(Fault::Own(UNSUPPORTED_EXTENSION)),
                }
                content.end()?;
            }
        }
        reader.end()?;
        // Each version has extensions of its own.
        let others: &[u16] = if tls13 {
            &[SERVER_NAME, POINT_FORMATS, EXTENDED_SECRET, RENEGOTIATION]
        } else {
            &[KEY_SHARE, COOKIE]
        };
        if seen.iter().any(|kind| others.contains(kind)) {
            return Err(Fault::Own(UNSUPPORTED_EXTENSION));
        }
        let suite = SUITES.iter().find(|suite| usize::from(suite.code) == code && suite.tls13 == tls13);
        let suite = *suite.ok_or(Fault::Own(ILLEGAL_PARAMETER))?;
        if !tls13 && (retry || random[24..31] == *DOWNGRADE && random[31] < 2) {
            return Err(Fault::Own(ILLEGAL_PARAMETER));
        }
        Ok(ServerHello { random, suite, retry, session, share, cookie, extended_secret })
    }
}

impl<'a> Handshake<'a> {
    pub fn new(records: &'a mut Records, name: &'a Name<'a>, trust: &'a Trust) -> Handshake<'a> {
        Handshake { records, name, trust, pending: Vec::new(), lenient: false }
    }

    /// Shakes hands; what comes of it in TLS 1.3 is how keys are changed later.
    pub fn shake(mut self) -> Outcome<Option<Updates>> {
        let (ours, session) = (random::<32>()?, random::<32>()?);
        let mut exchange = Exchange::new(X25519)?;
        let mut hello = self.hello(&ours, &session, &exchange, &[]);
        self.records.write(HANDSHAKE, &hello)?;
        let mut answer = self.expect(SERVER_HELLO)?;
        let mut server = ServerHello::read(&answer[4..])?;
        let suite = server.suite;
        let mut transcript = Transcript::new(suite.hash);
        if server.retry {
            // It wants a share of another group, or its cookie back; what was said so far becomes its hash.
            if let Some((group, _)) = server.share {
                let group =
                    GROUPS.iter().find(|known| usize::from(**known) == group && **known != exchange.group);
                exchange = Exchange::new(*group.ok_or(Fault::Own(ILLEGAL_PARAMETER))?)?;
            } else if server.cookie.is_empty() {
                return Err(Fault::Own(ILLEGAL_PARAMETER));
            }
            transcript.add(&message(MESSAGE_HASH, &[&suite.hash.of(&[&hello])]));
            transcript.add(&answer);
            let cookie = match &*server.cookie {
                [] => Vec::new(),
                cookie => extension(COOKIE, &[&vector(2, &[cookie])]),
            };
            self.lenient = true;
            self.records.write(CHANGE_CIPHER, &[1])?;
            hello = self.hello(&ours, &session, &exchange, &cookie);
            self.records.write(HANDSHAKE, &hello)?;
            answer = self.expect(SERVER_HELLO)?;
            server = ServerHello::read(&answer[4..])?;
            if server.retry {
                return Err(Fault::Own(UNEXPECTED_MESSAGE));
            }
            if server.suite.code != suite.code {
                return Err(Fault::Own(ILLEGAL_PARAMETER));
            }
        }
        transcript.add(&hello);
        transcript.add(&answer);
        if !suite.tls13 {
            tls12::shake(&mut self, &ours, server, transcript)?;
            return Ok(None);
        }
        if server.session != session {
            return Err(Fault::Own(ILLEGAL_PARAMETER));
        }
        tls13::shake(&mut self, server, &exchange, transcript).map(Some)
    }

    fn hello(&self, random: &[u8], session: &[u8], exchange: &Exchange, cookie: &[u8]) -> Vec<u8> {
        let name = match self.name {
            Name::Domain(name) => {
                extension(SERVER_NAME, &[&vector(2, &[&[0], &vector(2, &[name.as_bytes()])])])
            }
            Name::Address(_) => Vec::new(),
        };
        let mut suites: Vec<u16> = SUITES.iter().map(|suite| suite.code).collect();
        suites.push(SECURE_RENEGOTIATION);
        let schemes: Vec<u16> = SCHEMES.iter().map(|scheme| scheme.code).collect();
        let share = [&exchange.group.to_be_bytes()[..], &vector(2, &[&exchange.public])].concat();
        let extensions = vector(
            2,
            &[
                &name,
                &extension(SUPPORTED_GROUPS, &[&vector(2, &[&numbers(GROUPS)])]),
                &extension(POINT_FORMATS, &[&[1, 0]]),
                &extension(SIGNATURE_ALGORITHMS, &[&vector(2, &[&numbers(&schemes)])]),
                &extension(EXTENDED_SECRET, &[]),
                &extension(SUPPORTED_VERSIONS, &[&[4, 3, 4, 3, 3]]),
                cookie,
                &extension(KEY_SHARE, &[&vector(2, &[&share])]),
            ],
        );
        let (session, suites) = (vector(1, &[session]), vector(2, &[&numbers(&suites)]));
        message(CLIENT_HELLO, &[&[3, 3], random, &session, &suites, &[1, 0], &extensions])
    }

    /// Receives the next message, with its kind and length.
    fn message(&mut self) -> Outcome<Vec<u8>> {
        loop {
            if let Some(message) = split(&mut self.pending)? {
                return Ok(message);
            }
            match self.records.next()? {
                HANDSHAKE => self.pending.extend_from_slice(self.records.content()),
                CHANGE_CIPHER if self.lenient => self.records.dull()?,
                _ if self.records.closed => return Err(Fault::Own(HANDSHAKE_FAILURE)),
                _ => return Err(Fault::Own(UNEXPECTED_MESSAGE)),
            }
            self.records.take(self.records.content().len());
        }
    }

    /// Receives a message, which has to be of this kind.
    fn expect(&mut self, kind: u8) -> Outcome<Vec<u8>> {
        let message = self.message()?;
        if message[0] == kind { Ok(message) } else { Err(Fault::Own(UNEXPECTED_MESSAGE)) }
    }

    /// Where the keys change, there may be no part of another message.
    fn is_between(&self) -> Outcome<()> {
        if self.pending.is_empty() { Ok(()) } else { Err(Fault::Own(UNEXPECTED_MESSAGE)) }
    }
}

/// Takes a message off what has come, as soon as it is there as a whole.
pub fn split(pending: &mut Vec<u8>) -> Outcome<Option<Vec<u8>>> {
    let Some(&[_, ref length @ ..]) = pending.first_chunk::<4>() else { return Ok(None) };
    let length = number(length);
    if length > LONGEST {
        return Err(Fault::Own(DECODE_ERROR));
    }
    if pending.len() < 4 + length {
        return Ok(None);
    }
    let rest = pending.split_off(4 + length);
    Ok(Some(core::mem::replace(pending, rest)))
}

/// Whether two digests are the same, in a time that does not say where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}
