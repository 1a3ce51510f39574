//! Why a connection fails, and what is said of it: to the server by an alert, to people by an error.

use super::chain::Refusal;
use crate::error::Error;

pub type Outcome<T> = Result<T, Fault>;

/// Why a connection fails.
#[derive(Debug)]
pub enum Fault {
    /// The stream below.
    Stream(Error),
    /// The server has broken a rule; it gets this alert.
    Own(u8),
    /// The server's alert.
    Theirs(u8),
    /// Its certificate.
    Certificate(Refusal),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Stream(error)
    }
}

// Alerts (RFC 8446 section 6).
pub const UNEXPECTED_MESSAGE: u8 = 10;
pub const BAD_RECORD_MAC: u8 = 20;
pub const RECORD_OVERFLOW: u8 = 22;
pub const HANDSHAKE_FAILURE: u8 = 40;
pub const BAD_CERTIFICATE: u8 = 42;
pub const ILLEGAL_PARAMETER: u8 = 47;
pub const DECODE_ERROR: u8 = 50;
pub const DECRYPT_ERROR: u8 = 51;
pub const PROTOCOL_VERSION: u8 = 70;
pub const INTERNAL_ERROR: u8 = 80;
pub const UNSUPPORTED_EXTENSION: u8 = 110;

impl Fault {
    /// The alert that the server gets, if any.
    pub fn alert(&self) -> Option<u8> {
        match self {
            Fault::Own(alert) => Some(*alert),
            Fault::Certificate(_) => Some(BAD_CERTIFICATE),
            Fault::Stream(_) | Fault::Theirs(_) => None,
        }
    }

    /// What went wrong, in the words of somebody who has to mend it.
    pub fn said(self, host: &str) -> Error {
        let text = |what: &str| Error::new(format_args!("TLS with {host}: {what}"));
        match self {
            Fault::Stream(error) => error,
            Fault::Theirs(code) => {
                text(&alloc::format!("the server refused the connection with the alert {code}"))
            }
            Fault::Own(DECODE_ERROR) => text("the server does not speak TLS"),
            Fault::Own(PROTOCOL_VERSION | HANDSHAKE_FAILURE) => {
                text("the server and Servin have no version or cipher in common")
            }
            Fault::Own(BAD_RECORD_MAC) => text("a record was damaged on its way"),
            Fault::Own(BAD_CERTIFICATE) => text("the server's certificate is not acceptable"),
            Fault::Own(INTERNAL_ERROR) => text("there are no random numbers, or the connection is worn out"),
            Fault::Own(_) => text("the server broke the rules of the protocol"),
            Fault::Certificate(reason) => match reason {
                Refusal::Expired => {
                    text("the server's certificate has expired").hint("is the clock of this host right?")
                }
                Refusal::NotYet => {
                    text("the server's certificate is not valid yet").hint("is the clock of this host right?")
                }
                Refusal::AnotherName => text("the server's certificate is for another name"),
                Refusal::Stranger => {
                    text("the server's certificate is signed by an authority that is not trusted here")
                        .hint(alloc::format!("put its certificate into /etc/servin/certs.d/{host}/ca.crt"))
                }
                Refusal::Signature => text("the server's certificate has a wrong signature"),
                Refusal::Unacceptable => text("the server's certificate is not acceptable"),
            },
        }
    }
}
