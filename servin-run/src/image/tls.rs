//! TLS 1.2 and 1.3 to a server, over any stream: rustls without std, its buffers in our hands.

mod aead;
mod hash;
mod key_exchange;
mod provider;
mod rsa;
mod roots;
mod signature;
mod trust;

use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use rustls::client::UnbufferedClientConnection;
use rustls::pki_types::ServerName;
use rustls::unbuffered::{ConnectionState, EncodeError, InsufficientSizeError, UnbufferedStatus};
use rustls::{CertificateError, ClientConfig};

use super::http::stream::Stream;
use crate::error::{Error, Result};

pub use self::trust::configuration;

/// What a server is trusted by.
pub type Trust = Arc<ClientConfig>;

/// A record with all that may be around it (RFC 8446 section 5.2), and as much of the next.
const INCOMING: usize = 2 * (5 + 16384 + 256);
/// How much is encrypted at once.
const OUTGOING: usize = 16384;
/// The handshake's messages are bounded by rustls; so many turns without reading anything are a bug.
const MAX_TURNS: usize = 64;

/// An encrypted connection.
pub struct Tls {
    stream: Box<dyn Stream>,
    connection: UnbufferedClientConnection,
    host: String,
    incoming: Vec<u8>,
    filled: usize,
    outgoing: Vec<u8>,
    plain: Vec<u8>,
    plain_read: usize,
    ended: bool,
}

/// Why the connection stopped turning.
enum Stop {
    /// There is plain text to be read.
    Data,
    /// The other side has to send something first.
    Blocked,
    /// Ready for our own plain text (or it has been taken).
    Ready,
    /// The other side has said that it is done.
    Closed,
}

impl Tls {
    /// Shakes hands with `host`, whose certificate is checked.
    pub fn connect(stream: Box<dyn Stream>, host: &str, trust: &Trust) -> Result<Tls> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned())
            .map_err(|_| Error::new(format_args!("{host:?} cannot have a certificate")))?;
        let connection =
            UnbufferedClientConnection::new(trust.clone(), name).map_err(|error| said(host, &error))?;
        let mut tls = Tls {
            stream,
            connection,
            host: host.to_owned(),
            incoming: alloc::vec![0; INCOMING],
            filled: 0,
            outgoing: Vec::new(),
            plain: Vec::new(),
            plain_read: 0,
            ended: false,
        };
        loop {
            match tls.turn(&[])? {
                Stop::Ready | Stop::Data => return Ok(tls),
                Stop::Blocked => tls.fill()?,
                Stop::Closed => return Err(tls.broken("ended the handshake")),
            }
        }
    }

    fn broken(&self, what: &str) -> Error {
        Error::new(format_args!("TLS with {}: the server {what}", self.host))
    }

    /// Reads more of what the other side sends; its end before the end of TLS is an attack or a broken connection.
    fn fill(&mut self) -> Result<()> {
        let space = &mut self.incoming[self.filled..];
        if space.is_empty() {
            return Err(self.broken("sends records that are too long"));
        }
        let length = self.stream.read(space)?;
        if length == 0 {
            let step = alloc::format!("TLS with {}: the connection was cut off", self.host);
            return Err(Error::os(step, rustix::io::Errno::CONNRESET));
        }
        self.filled += length;
        Ok(())
    }

    /// Lets the connection do what it has to do, and encrypts `text` when it can.
    fn turn(&mut self, text: &[u8]) -> Result<Stop> {
        for _ in 0..MAX_TURNS {
            let UnbufferedStatus { mut discard, state } =
                self.connection.process_tls_records(&mut self.incoming[..self.filled]);
            let mut failure = None;
            let mut stop = None;
            match state {
                Ok(ConnectionState::EncodeTlsData(mut encoder)) => {
                    let outgoing = &mut self.outgoing;
                    let result = grow(outgoing, &mut |space| match encoder.encode(space) {
                        Ok(length) => Ok(length),
                        Err(EncodeError::InsufficientSize(size)) => Err(Some(size)),
                        Err(EncodeError::AlreadyEncoded) => Err(None),
                    });
                    failure = result.err();
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    self.stream.write(&self.outgoing)?;
                    self.outgoing.clear();
                    transmit.done();
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => {
                                discard += record.discard;
                                self.plain.extend_from_slice(record.payload);
                            }
                            Err(error) => failure = Some(said(&self.host, &error)),
                        }
                    }
                    stop = Some(Stop::Data);
                }
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    if !text.is_empty() {
                        let result = grow(&mut self.outgoing, &mut |space| {
                            use rustls::unbuffered::EncryptError;
                            match traffic.encrypt(text, space) {
                                Ok(length) => Ok(length),
                                Err(EncryptError::InsufficientSize(size)) => Err(Some(size)),
                                Err(EncryptError::EncryptExhausted) => Err(None),
                            }
                        });
                        failure = result.err();
                    }
                    stop = Some(Stop::Ready);
                }
                Ok(ConnectionState::BlockedHandshake) => stop = Some(Stop::Blocked),
                Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => stop = Some(Stop::Closed),
                Ok(_) => failure = Some(Error::new("TLS: an unknown state")),
                Err(error) => {
                    failure = Some(said(&self.host, &error));
                    self.say_why();
                }
            }
            self.incoming.copy_within(discard..self.filled, 0);
            self.filled -= discard;
            if let Some(failure) = failure {
                return Err(failure);
            }
            if let Some(stop) = stop {
                return Ok(stop);
            }
        }
        Err(self.broken("keeps the handshake going in circles"))
    }

    /// Sends the alert that rustls has made of an error, as far as that is still possible.
    fn say_why(&mut self) {
        let UnbufferedStatus { state, .. } = self.connection.process_tls_records(&mut []);
        if let Ok(ConnectionState::EncodeTlsData(mut encoder)) = state {
            let mut alert = [0; 128];
            if let Ok(length) = encoder.encode(&mut alert) {
                let _ = self.stream.write(&alert[..length]);
            }
        }
    }
}

/// How much was written, or how much space is wanted where it is known.
type Written = core::result::Result<usize, Option<InsufficientSizeError>>;

/// Appends what `write` makes to `out`, giving it the space that it asks for.
fn grow(out: &mut Vec<u8>, write: &mut dyn FnMut(&mut [u8]) -> Written) -> Result<()> {
    let begin = out.len();
    let mut length = 1024;
    for _ in 0..2 {
        out.resize(begin + length, 0);
        match write(&mut out[begin..]) {
            Ok(written) => {
                out.truncate(begin + written);
                return Ok(());
            }
            Err(Some(size)) => length = size.required_size,
            Err(None) => break,
        }
    }
    Err(Error::new("TLS: a record cannot be made"))
}

impl Stream for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.plain_read == self.plain.len() {
            if self.ended {
                return Ok(0);
            }
            self.plain.clear();
            self.plain_read = 0;
            match self.turn(&[])? {
                Stop::Data => {}
                Stop::Closed => self.ended = true,
                Stop::Ready | Stop::Blocked => self.fill()?,
            }
        }
        let rest = &self.plain[self.plain_read..];
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.plain_read += length;
        Ok(length)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        for text in bytes.chunks(OUTGOING) {
            loop {
                match self.turn(text)? {
                    Stop::Ready => break,
                    // What came in meanwhile is kept for the reader.
                    Stop::Data => {}
                    Stop::Blocked => self.fill()?,
                    Stop::Closed => return Err(self.broken("ended the connection")),
                }
            }
            self.stream.write(&self.outgoing)?;
            self.outgoing.clear();
        }
        Ok(())
    }

    fn is_quiet(&self) -> bool {
        !self.ended && self.plain_read == self.plain.len() && self.filled == 0 && self.stream.is_quiet()
    }
}

/// What went wrong, in the words of somebody who has to mend it.
fn said(host: &str, error: &rustls::Error) -> Error {
    let text = |what: &str| Error::new(format_args!("TLS with {host}: {what}"));
    match error {
        rustls::Error::InvalidCertificate(reason) => match reason {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                text("the server's certificate has expired").hint("is the clock of this host right?")
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                text("the server's certificate is not valid yet").hint("is the clock of this host right?")
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                text("the server's certificate is for another name")
            }
            CertificateError::UnknownIssuer => {
                text("the server's certificate is signed by an authority that is not trusted here")
                    .hint(alloc::format!("put its certificate into /etc/servin/certs.d/{host}/ca.crt"))
            }
            CertificateError::BadSignature => text("the server's certificate has a wrong signature"),
            CertificateError::Revoked => text("the server's certificate has been revoked"),
            _ => text("the server's certificate is not acceptable"),
        },
        rustls::Error::AlertReceived(alert) => {
            let code: u8 = (*alert).into();
            text(&alloc::format!("the server refused the connection with the alert {code}"))
        }
        rustls::Error::InvalidMessage(_) => text("the server does not speak TLS"),
        rustls::Error::PeerIncompatible(_) => {
            text("the server and Servin have no version or cipher in common")
        }
        rustls::Error::DecryptError => text("a record was damaged on its way"),
        rustls::Error::FailedToGetCurrentTime => text("the clock cannot be read"),
        _ => text("the server broke the rules of the protocol"),
    }
}
