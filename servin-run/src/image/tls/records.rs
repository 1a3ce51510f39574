//! Records (RFC 8446 section 5): what both sides send one another is cut into them, and encrypted as soon as there are
//! keys.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use rustix::io::Errno;

use super::aead::{HEADER, MAX_FRAGMENT, Protection, TAG};
use super::fault::{DECODE_ERROR, Fault, Outcome, RECORD_OVERFLOW, UNEXPECTED_MESSAGE};
use crate::error::Error;
use crate::image::http::stream::Stream;

/// The kinds of records.
pub const CHANGE_CIPHER: u8 = 20;
const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const DATA: u8 = 23;

/// The longest record, encrypted with all that may be around it.
const LONGEST: usize = MAX_FRAGMENT + 256;
/// So many records without anything in them, one after the other, are not sent for any good.
const MAX_DULL: u32 = 32;
const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;

/// The records of a connection, both ways.
pub struct Records {
    stream: Box<dyn Stream>,
    host: String,
    /// What has been received: first the record at hand, then what follows it.
    incoming: Vec<u8>,
    filled: usize,
    /// Where the record at hand ends.
    end: usize,
    /// What of the record at hand has not been taken yet.
    content: Range<usize>,
    reading: Option<Protection>,
    pub writing: Option<Protection>,
    outgoing: Vec<u8>,
    /// Whether nothing has been sent yet.
    first: bool,
    dull: u32,
    pub closed: bool,
}

impl Records {
    pub fn new(stream: Box<dyn Stream>, host: &str) -> Records {
        Records {
            stream,
            host: host.into(),
            incoming: alloc::vec![0; 2 * (HEADER + LONGEST)],
            filled: 0,
            end: 0,
            content: 0..0,
            reading: None,
            writing: None,
            outgoing: Vec::new(),
            first: true,
            dull: 0,
            closed: false,
        }
    }

    /// From the next record on, the other side's keys are these.
    pub fn read_by(&mut self, protection: Protection) {
        self.reading = Some(protection);
    }

    /// What has not been taken of the record at hand.
    pub fn content(&self) -> &[u8] {
        &self.incoming[self.content.clone()]
    }

    /// Takes so much of it.
    pub fn take(&mut self, length: usize) {
        self.content.start += length;
    }

    /// Counts a record that brings nothing on.
    pub fn dull(&mut self) -> Outcome<()> {
        self.dull += 1;
        if self.dull > MAX_DULL { Err(Fault::Own(UNEXPECTED_MESSAGE)) } else { Ok(()) }
    }

    /// Receives the next record: its kind, which is that of data without any where the other side is done.
    pub fn next(&mut self) -> Outcome<u8> {
        loop {
            let length = self.whole()?;
            let record = &mut self.incoming[self.end..self.end + length];
            let (mut kind, mut range) = (record[0], HEADER..length);
            match &mut self.reading {
                // For the sake of boxes on the way, this kind is sent in plain also where all else is encrypted.
                Some(protection) if !(protection.tls13 && kind == CHANGE_CIPHER) => {
                    if protection.tls13 && kind != DATA {
                        return Err(Fault::Own(UNEXPECTED_MESSAGE));
                    }
                    (kind, range) = protection.open(record)?;
                }
                _ if range.len() > MAX_FRAGMENT => return Err(Fault::Own(RECORD_OVERFLOW)),
                _ => {}
            }
            self.content = self.end + range.start..self.end + range.end;
            self.end += length;
            match kind {
                ALERT => {
                    if self.alert()? {
                        return Ok(DATA);
                    }
                }
                DATA if self.content.is_empty() && self.reading.is_some() => self.dull()?,
                DATA if self.reading.is_some() => {
                    self.dull = 0;
                    return Ok(kind);
                }
                HANDSHAKE if !self.content.is_empty() => return Ok(kind),
                CHANGE_CIPHER if self.content() == [1] => return Ok(kind),
                _ => return Err(Fault::Own(UNEXPECTED_MESSAGE)),
            }
        }
    }

    /// Waits for the whole of the next record; returns its length.
    fn whole(&mut self) -> Outcome<usize> {
        loop {
            let bytes = &self.incoming[self.end..self.filled];
            if let Some(&[kind, major, _, high, low]) = bytes.first_chunk::<HEADER>() {
                let length = usize::from(high) << 8 | usize::from(low);
                if !(CHANGE_CIPHER..=DATA).contains(&kind) || major != 3 {
                    return Err(Fault::Own(DECODE_ERROR));
                }
                if length > LONGEST {
                    return Err(Fault::Own(RECORD_OVERFLOW));
                }
                if bytes.len() >= HEADER + length {
                    return Ok(HEADER + length);
                }
            }
            self.incoming.copy_within(self.end..self.filled, 0);
            self.filled -= self.end;
            (self.end, self.content) = (0, 0..0);
            let length = self.stream.read(&mut self.incoming[self.filled..])?;
            if length == 0 {
                // The end before the end of TLS is an attack or a broken connection.
                let step = alloc::format!("TLS with {}: the connection was cut off", self.host);
                return Err(Error::os(step, Errno::CONNRESET).into());
            }
            self.filled += length;
        }
    }

    /// Takes an alert; whether it says that the other side is done.
    fn alert(&mut self) -> Outcome<bool> {
        let &[level, code] = self.content() else { return Err(Fault::Own(DECODE_ERROR)) };
        self.content = 0..0;
        if code == CLOSE_NOTIFY {
            self.closed = true;
            return Ok(true);
        }
        // Before TLS 1.3 a warning is no more than that.
        let tls13 = self.reading.as_ref().is_some_and(|protection| protection.tls13);
        if level == 1 && (!tls13 || code == USER_CANCELED) {
            self.dull()?;
            return Ok(false);
        }
        Err(Fault::Theirs(code))
    }

    /// Sends something, cut into records.
    pub fn write(&mut self, kind: u8, bytes: &[u8]) -> Outcome<()> {
        for text in bytes.chunks(MAX_FRAGMENT) {
            self.outgoing.clear();
            match &mut self.writing {
                Some(protection) => protection.seal(kind, text, &mut self.outgoing)?,
                None => {
                    let [high, low] = (text.len() as u16).to_be_bytes();
                    // Old servers want the first one to be of an old version.
                    let minor = if core::mem::take(&mut self.first) { 1 } else { 3 };
                    self.outgoing.extend_from_slice(&[kind, 3, minor, high, low]);
                    self.outgoing.extend_from_slice(text);
                }
            }
            self.stream.write(&self.outgoing)?;
        }
        Ok(())
    }

    /// Says why the connection ends, as far as that is still possible.
    pub fn say(&mut self, alert: u8) {
        let _ = self.write(ALERT, &[2, alert]);
    }

    /// Whether nothing has come that has not been taken.
    pub fn is_quiet(&self) -> bool {
        !self.closed && self.content.is_empty() && self.end == self.filled && self.stream.is_quiet()
    }
}

const _: () = assert!(LONGEST >= MAX_FRAGMENT + 1 + TAG);
