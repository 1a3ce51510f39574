//! A blob that streams in; where the connection breaks, the rest is fetched by another one.

use alloc::format;
use alloc::string::String;

use super::session::{Session, back_off};
use crate::error::{Error, Result};
use crate::image::http::stream::pause;
use crate::image::http::{Response, is_transient};
use crate::image::source::Read;

/// A blob from some byte on.
pub struct Blob<'a> {
    session: &'a mut Session,
    digest: String,
    at: u64,
    response: Option<Response>,
    /// Since the last byte that came.
    failures: u32,
}

impl Blob<'_> {
    /// Asks for the blob.
    pub fn open<'a>(session: &'a mut Session, digest: &str, from: u64) -> Result<Blob<'a>> {
        let mut blob = Blob { session, digest: digest.into(), at: from, response: None, failures: 0 };
        blob.response = Some(blob.ask()?);
        Ok(blob)
    }

    fn ask(&mut self) -> Result<Response> {
        let path = format!("blobs/{}", self.digest);
        if self.at == 0 {
            return self.session.get("GET", &path, &[]);
        }
        let range = [("Range", format!("bytes={}-", self.at))];
        let mut response = self.session.get("GET", &path, &range)?;
        if response.status == 206 {
            let said = response.headers.get("content-range").and_then(first_byte);
            return match said == Some(self.at) {
                true => Ok(response),
                false => {
                    Err(Error::new(format_args!("{} sends another part than was asked for", response.url)))
                }
            };
        }
        // It does not know ranges: what was there already is thrown away.
        let mut left = self.at;
        let mut buffer = alloc::vec![0; 64 << 10];
        while left > 0 {
            let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let length = response.read(&mut buffer[..most])?;
            if length == 0 {
                return Err(Error::new(format_args!("{} has become shorter", response.url)));
            }
            left -= length as u64;
        }
        Ok(response)
    }
}

impl Read for Blob<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            let read = match &mut self.response {
                Some(response) => response.read(buffer),
                None => match self.ask() {
                    Ok(response) => {
                        self.response = Some(response);
                        continue;
                    }
                    Err(error) => Err(error),
                },
            };
            match read {
                Ok(length) => {
                    self.failures = 0;
                    self.at += length as u64;
                    return Ok(length);
                }
                Err(error) if is_transient(&error) && self.failures < self.session.retries() => {
                    self.response = None;
                    pause(back_off(self.failures));
                    self.failures += 1;
                }
                Err(error) => return Err(error.within(format_args!("blob {}", self.digest))),
            }
        }
    }
}

/// The first byte of `bytes 5-9/10`.
fn first_byte(range: &str) -> Option<u64> {
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}
