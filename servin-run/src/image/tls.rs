//! TLS 1.2 and 1.3 to a server, over any stream: a client's side of what registries need, and no more. There are no
//! sessions to be resumed, no certificates of ours, no renegotiation, no early data. Records are
//! encrypted by the crate aes-gcm; all else is here, each file after its own standard.

mod aead;
mod certificate;
mod chain;
mod curve;
mod der;
mod fault;
mod handshake;
mod hash;
mod key_exchange;
mod message;
mod modulus;
mod records;
mod roots;
mod rsa;
mod sha512;
mod signature;
mod trust;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use self::chain::Name;
use self::fault::{Fault, INTERNAL_ERROR, Outcome, UNEXPECTED_MESSAGE};
use self::handshake::{Handshake, Updates};
use self::records::{DATA, HANDSHAKE, Records};
use super::http::stream::Stream;
use crate::error::{Error, Result};

pub use self::trust::{Trust, configuration};

/// An encrypted connection.
pub struct Tls {
    records: Records,
    host: String,
    /// What has come of messages after the handshake.
    pending: Vec<u8>,
    /// How keys are changed, in TLS 1.3.
    updates: Option<Updates>,
}

impl Tls {
    /// Shakes hands with `host`, whose certificate is checked.
    pub fn connect(stream: Box<dyn Stream>, host: &str, trust: &Trust) -> Result<Tls> {
        let name =
            Name::read(host).ok_or_else(|| Error::new(format_args!("{host:?} cannot have a certificate")))?;
        let mut tls = Tls {
            records: Records::new(stream, host),
            host: host.into(),
            pending: Vec::new(),
            updates: None,
        };
        match Handshake::new(&mut tls.records, &name, trust).shake() {
            Ok(updates) => {
                tls.updates = updates;
                Ok(tls)
            }
            Err(fault) => Err(tls.ended(fault)),
        }
    }

    /// Tells the server what it has done, and us.
    fn ended(&mut self, fault: Fault) -> Error {
        if let Some(alert) = fault.alert() {
            self.records.say(alert);
        }
        fault.said(&self.host)
    }

    /// Receives data, and what comes in between.
    fn receive(&mut self) -> Outcome<()> {
        while self.records.content().is_empty() && !self.records.closed {
            match self.records.next()? {
                DATA => {}
                HANDSHAKE => {
                    self.pending.extend_from_slice(self.records.content());
                    self.records.take(self.records.content().len());
                    self.records.dull()?;
                    match &mut self.updates {
                        Some(updates) => updates.take(&mut self.records, &mut self.pending)?,
                        // The server of TLS 1.2 may wish for another handshake, and we may not.
                        None if self.pending == [0; 4] => self.pending.clear(),
                        None => return Err(Fault::Own(UNEXPECTED_MESSAGE)),
                    }
                }
                _ => return Err(Fault::Own(UNEXPECTED_MESSAGE)),
            }
        }
        Ok(())
    }

    fn send(&mut self, bytes: &[u8]) -> Outcome<()> {
        for part in bytes.chunks(aead::MAX_FRAGMENT) {
            if self.records.writing.as_ref().is_none_or(|protection| protection.is_worn()) {
                let updates = self.updates.as_mut().ok_or(Fault::Own(INTERNAL_ERROR))?;
                updates.change(&mut self.records)?;
            }
            self.records.write(DATA, part)?;
        }
        Ok(())
    }
}

impl Stream for Tls {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if let Err(fault) = self.receive() {
            return Err(self.ended(fault));
        }
        let content = self.records.content();
        let length = content.len().min(buffer.len());
        buffer[..length].copy_from_slice(&content[..length]);
        self.records.take(length);
        Ok(length)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.send(bytes).map_err(|fault| self.ended(fault))
    }

    fn is_quiet(&self) -> bool {
        self.records.is_quiet()
    }
}

#[cfg(test)]
mod tests;
