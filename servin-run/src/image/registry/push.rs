//! Writing to a registry: blobs first, then the manifests that name them. A blob is sent as one; in pieces where the
//! registry asks for that, where somebody on the way does not let so much through, and where the connection has
//! broken.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Registry;
use super::session::{Headers, back_off, is_passing, refusal};
use crate::error::{Error, Result};
use crate::image::http::stream::pause;
use crate::image::http::url::escape;
use crate::image::http::{Body, Response, Url, is_transient};
use crate::image::source::{Open, Read, Sink};

const OCTETS: (&str, &str) = ("Content-Type", "application/octet-stream");
/// What a piece has, and what it has at least when larger ones do not get through.
const PIECE: u64 = 16 << 20;
const LEAST: u64 = 256 << 10;

impl Registry {
    /// Names repositories of the same registry that may have what is to be pushed.
    pub fn mount_from(&mut self, others: Vec<String>) {
        others.iter().for_each(|other| self.session.also_read(other));
        self.others = others;
    }

    fn write(
        &mut self,
        method: &'static str,
        path: &str,
        headers: Headers,
        mut body: Body,
    ) -> Result<Response> {
        let url = self.session.address(path)?;
        let response = self.session.send(0, method, url, headers, &mut body)?;
        if is_success(&response) { Ok(response) } else { Err(refusal(response)) }
    }

    /// Begins an upload, unless the blob could be taken from another repository.
    fn begin(&mut self, digest: &str) -> Result<Option<Response>> {
        for other in self.others.clone() {
            let path = format!("blobs/uploads/?mount={}&from={}", escape(digest), escape(&other));
            // Where it may not be read, it is sent.
            match self.write("POST", &path, &[], Body::None) {
                Ok(response) if response.status == 201 => {
                    response.finish();
                    return Ok(None);
                }
                Ok(response) => response.finish(),
                Err(_) => {}
            }
        }
        self.write("POST", "blobs/uploads/", &[], Body::None).map(Some)
    }

    /// Sends a blob as one; false where it has to be sent in pieces.
    fn put_whole(&mut self, place: &Url, digest: &str, size: u64, open: Open) -> Result<bool> {
        let headers = [(OCTETS.0, OCTETS.1.into())];
        let url = finished(place, digest);
        let response = self.session.send(0, "PUT", url, &headers, &mut Body::Stream(size, &mut *open(0)?));
        match response {
            Ok(response) if is_success(&response) => {
                response.finish();
                Ok(true)
            }
            Ok(response) if matches!(response.status, 404 | 405 | 411 | 413 | 501) => Ok(false),
            Ok(response) => Err(refusal(response)),
            Err(error) if is_transient(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn put_pieces(
        &mut self,
        mut place: Url,
        digest: &str,
        size: u64,
        mut piece: u64,
        open: Open,
    ) -> Result<()> {
        let (mut at, mut failures, mut restarts) = (0, 0, 0);
        while at < size {
            let length = piece.min(size - at);
            let range = format!("{at}-{}", at + length - 1);
            let headers = [(OCTETS.0, OCTETS.1.into()), ("Content-Range", range)];
            let mut part = Part { reader: open(at)?, left: length };
            let body = &mut Body::Stream(length, &mut part);
            let error = match self.session.send(0, "PATCH", place.clone(), &headers, body) {
                Ok(response) if is_success(&response) => {
                    place = location(&response)?;
                    response.finish();
                    (at, failures) = (at + length, 0);
                    continue;
                }
                // A login may have become old meanwhile: the question below has a new one.
                Ok(response) if matches!(response.status, 401 | 413 | 416) || is_passing(response.status) => {
                    refusal(response)
                }
                Ok(response) => return Err(refusal(response)),
                Err(error) if is_transient(&error) => error,
                Err(error) => return Err(error),
            };
            if failures >= self.session.retries() {
                return Err(error);
            }
            pause(back_off(failures));
            failures += 1;
            piece = (piece / 4).max(LEAST);
            (place, at) = match self.progress(place) {
                Ok(progress) => progress,
                Err(error) if restarts >= self.session.retries() => return Err(error),
                // Debian's registry forgets what it has when a piece of it did not come whole.
                Err(_) => {
                    restarts += 1;
                    let begun = self.write("POST", "blobs/uploads/", &[], Body::None)?;
                    let place = location(&begun)?;
                    begun.finish();
                    (place, 0)
                }
            };
        }
        let response = self.session.send(0, "PUT", finished(&place, digest), &[], &mut Body::None)?;
        if !is_success(&response) {
            return Err(refusal(response));
        }
        response.finish();
        Ok(())
    }

    /// How much of an upload has come, and where it goes on.
    fn progress(&mut self, place: Url) -> Result<(Url, u64)> {
        let response = self.session.send(0, "GET", place.clone(), &[], &mut Body::None)?;
        if !is_success(&response) {
            return Err(refusal(response));
        }
        let range = response.headers.get("range").unwrap_or_default();
        let last = range.rsplit('-').next().and_then(|last| last.parse::<u64>().ok());
        // `0-0` is what Debian's registry says when there is nothing yet.
        let at = last.filter(|last| *last > 0).map_or(0, |last| last + 1);
        let next = location(&response).unwrap_or(place);
        response.finish();
        Ok((next, at))
    }
}

fn is_success(response: &Response) -> bool {
    (200..300).contains(&response.status)
}

/// Where an upload goes on.
fn location(response: &Response) -> Result<Url> {
    let location = response.headers.get("location");
    let location =
        location.ok_or_else(|| Error::new(format_args!("{} names no place for the blob", response.url)))?;
    response.url.join(location)
}

/// Where it ends.
fn finished(place: &Url, digest: &str) -> Url {
    let mut url = place.clone();
    let separator = if url.path.contains('?') { '&' } else { '?' };
    url.path.push_str(&format!("{separator}digest={}", escape(digest)));
    url
}

/// So much of what a reader has.
struct Part<'a> {
    reader: Box<dyn Read + 'a>,
    left: u64,
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let most = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let length = self.reader.read(&mut buffer[..most])?;
        self.left -= length as u64;
        Ok(length)
    }
}

impl Sink for Registry {
    fn has_blob(&mut self, digest: &str) -> Result<bool> {
        let url = self.session.address(&format!("blobs/{digest}"))?;
        let response = self.session.send(0, "HEAD", url, &[], &mut Body::None)?;
        match response.status {
            200..300 => Ok(true),
            404 => Ok(false),
            _ => Err(refusal(response)),
        }
    }

    fn put_blob(&mut self, digest: &str, size: u64, open: Open) -> Result<()> {
        let Some(mut begun) = self.begin(digest)? else { return Ok(()) };
        let wanted = begun.headers.get("oci-chunk-min-length").and_then(|least| least.parse::<u64>().ok());
        if wanted.is_none() {
            let place = location(&begun)?;
            begun.finish();
            if self.put_whole(&place, digest, size, open)? {
                return Ok(());
            }
            begun = self.write("POST", "blobs/uploads/", &[], Body::None)?;
        }
        let place = location(&begun)?;
        begun.finish();
        self.put_pieces(place, digest, size, wanted.unwrap_or(0).max(PIECE), open)
    }

    fn again(&self) -> Result<Box<dyn Sink>> {
        Ok(Box::new(Registry { session: self.session.again(), others: self.others.clone() }))
    }

    fn put_manifest(&mut self, what: &str, content: &[u8], media_type: &str) -> Result<()> {
        let headers = [("Content-Type", media_type.into())];
        self.write("PUT", &format!("manifests/{what}"), &headers, Body::Bytes(content))?.finish();
        Ok(())
    }
}
