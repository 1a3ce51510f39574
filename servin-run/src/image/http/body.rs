//! A response's body, as it streams in; at its end the connection is there for the next request.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::io::Errno;

use super::client::Pool;
use super::head::{Framing, Head, Headers, MAX_HEAD, end};
use super::proxy::Proxy;
use super::stream::Stream;
use super::url::Url;
use crate::error::{Error, Result};
use crate::image::source::Read;

const BUFFER: usize = 32 << 10;
/// The longest line before a chunk: its length, and extensions that nobody has.
const MAX_CHUNK_LINE: usize = 256;

/// A connection and what was read from it too early.
pub struct Connection {
    /// The proxy at its other end, which has to be told where each request goes.
    pub(super) proxy: Option<Proxy>,
    stream: Box<dyn Stream>,
    buffer: Vec<u8>,
    read: usize,
}

impl Connection {
    /// Nothing was sent or read yet.
    pub fn new(stream: Box<dyn Stream>) -> Connection {
        Connection { proxy: None, stream, buffer: Vec::new(), read: 0 }
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write(bytes)
    }

    /// Whether another request can be sent.
    pub fn is_quiet(&self) -> bool {
        self.unread().is_empty() && self.stream.is_quiet()
    }

    /// The stream alone, after the answer of a proxy.
    pub fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    fn unread(&self) -> &[u8] {
        &self.buffer[self.read..]
    }

    /// Reads more; false at the end.
    fn fill(&mut self) -> Result<bool> {
        self.buffer.drain(..self.read);
        self.read = 0;
        let filled = self.buffer.len();
        self.buffer.resize(filled + BUFFER, 0);
        let length = self.stream.read(&mut self.buffer[filled..]).inspect_err(|_| self.read = 0);
        self.buffer.truncate(filled + *length.as_ref().unwrap_or(&0));
        length.map(|length| length > 0)
    }

    /// Reads the head of an answer.
    pub fn head(&mut self) -> Result<Head> {
        loop {
            if let Some(end) = end(self.unread()) {
                let head = Head::parse(&self.unread()[..end])?;
                self.read += end;
                return Ok(head);
            }
            if self.unread().len() > MAX_HEAD {
                return Err(Error::new("the head of an answer is too long"));
            }
            if !self.fill()? {
                return Err(Error::os("wait for an answer", Errno::CONNRESET));
            }
        }
    }

    /// Reads some bytes of a body.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.unread().is_empty() {
            // Large reads need not be copied twice.
            if buffer.len() >= BUFFER {
                return self.stream.read(buffer);
            }
            if !self.fill()? {
                return Ok(0);
            }
        }
        let length = buffer.len().min(self.unread().len());
        buffer[..length].copy_from_slice(&self.unread()[..length]);
        self.read += length;
        Ok(length)
    }

    /// Reads a line, without its end.
    fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.unread().iter().position(|byte| *byte == b'\n') {
                let line = &self.unread()[..end];
                let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
                self.read += end + 1;
                return Ok(line);
            }
            if self.unread().len() > MAX_CHUNK_LINE {
                return Err(Error::new("a chunk of an answer has no length"));
            }
            if !self.fill()? {
                return Err(Error::os("read the next chunk", Errno::CONNRESET));
            }
        }
    }
}

/// An answer.
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers.
    pub headers: Headers,
    /// Where it came from, after all redirects.
    pub url: Url,
    connection: Option<Connection>,
    /// Bytes left, of the body or of the chunk.
    left: u64,
    framing: Framing,
    first_chunk: bool,
    keep: bool,
    pool: Pool,
}

/// Reads the head of the answer that comes from a stream.
pub fn read_answer(stream: Box<dyn Stream>, method: &str, url: Url) -> Result<Response> {
    let mut connection = Connection::new(stream);
    let head = connection.head()?;
    Response::new(head, method, url, connection, Pool::default())
}

impl Response {
    pub(super) fn new(
        head: Head,
        method: &str,
        url: Url,
        connection: Connection,
        pool: Pool,
    ) -> Result<Response> {
        let framing = head.framing(method)?;
        let left = if let Framing::Length(length) = framing { length } else { 0 };
        let keep = head.keeps && framing != Framing::ToEnd && !head.headers.lists("connection", "close");
        let Head { status, headers, .. } = head;
        let mut response = Response {
            status,
            headers,
            url,
            connection: Some(connection),
            left,
            framing,
            first_chunk: true,
            keep,
            pool,
        };
        if framing == Framing::Length(0) {
            response.end();
        }
        Ok(response)
    }

    /// How long the body is, where it was said.
    pub fn length(&self) -> Option<u64> {
        self.headers.get("content-length")?.parse().ok()
    }

    /// The body ends here: the connection can be used again.
    fn end(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.keep
            && connection.unread().is_empty()
        {
            self.pool.borrow_mut().push((self.url.clone(), connection));
        }
    }

    /// Begins the next chunk where one has ended; false at the end of the body.
    fn next_chunk(&mut self) -> Result<bool> {
        let Some(connection) = &mut self.connection else { return Ok(false) };
        if self.left > 0 {
            return Ok(true);
        }
        if !core::mem::replace(&mut self.first_chunk, false) && !connection.line()?.is_empty() {
            return Err(Error::new("a chunk of an answer is longer than it said"));
        }
        let line = connection.line()?;
        let digits = line.split(';').next().unwrap_or_default().trim_end();
        let length = u64::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
        self.left = length.ok_or_else(|| Error::new("a chunk of an answer has no length"))?;
        if self.left > 0 {
            return Ok(true);
        }
        // What may follow the last chunk says nothing to us.
        for _ in 0..MAX_CHUNK_LINE {
            if connection.line()?.is_empty() {
                self.end();
                return Ok(false);
            }
        }
        Err(Error::new("an answer has no end"))
    }

    /// Reads some bytes of the body; 0 at its end. An end that comes too early is an error.
    pub fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.framing == Framing::Chunked && !self.next_chunk()? {
            return Ok(0);
        }
        let Some(connection) = &mut self.connection else { return Ok(0) };
        let most = match self.framing {
            Framing::ToEnd => buffer.len(),
            _ => buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX)),
        };
        let length = connection.read(&mut buffer[..most])?;
        match self.framing {
            Framing::ToEnd if length == 0 && most > 0 => self.connection = None,
            Framing::ToEnd => {}
            _ if length == 0 && most > 0 => {
                self.connection = None;
                return Err(Error::os(format_args!("read {}", self.url), Errno::CONNRESET)
                    .hint("the server sent less than it had said"));
            }
            _ => {
                self.left -= length as u64;
                if self.left == 0 && self.framing != Framing::Chunked {
                    self.end();
                }
            }
        }
        Ok(length)
    }

    /// The whole body, which may have that many bytes at most.
    pub fn bytes(mut self, most: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        loop {
            let filled = bytes.len();
            bytes.resize(filled + 4096, 0);
            let length = self.read(&mut bytes[filled..])?;
            bytes.truncate(filled + length);
            if length == 0 {
                return Ok(bytes);
            }
            if bytes.len() > most {
                return Err(Error::new(format_args!("{} sends more than {most} bytes", self.url)));
            }
        }
    }

    /// Reads a short rest, so that the connection can be used again; a long one is not worth it.
    pub fn finish(self) {
        let _ = self.bytes(BUFFER);
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        Response::read(self, buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server's words, given out in pieces of a few bytes.
    struct Words(Vec<u8>, usize);

    impl Stream for Words {
        fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
            let length = self.1.min(self.0.len()).min(buffer.len());
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0.drain(..length);
            Ok(length)
        }

        fn write(&mut self, _: &[u8]) -> Result<()> {
            Ok(())
        }

        fn is_quiet(&self) -> bool {
            self.0.is_empty()
        }
    }

    fn body(words: &[u8], piece: usize) -> (Result<Vec<u8>>, usize) {
        let pool = Pool::default();
        let mut connection = Connection::new(Box::new(Words(words.into(), piece)));
        let url = Url::parse("http://h/").expect("a URL");
        let bytes = connection.head().and_then(|head| {
            Response::new(head, "GET", url, connection, pool.clone())
                .and_then(|response| response.bytes(1000))
        });
        let kept = pool.borrow().len();
        (bytes, kept)
    }

    #[test]
    fn bodies_of_every_framing_are_read_in_any_pieces() {
        for piece in [1, 2, 7, 1000] {
            let (bytes, kept) = body(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", piece);
            assert_eq!((&*bytes.expect("whole"), kept), (&b"hello"[..], 1));
            let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nA: b\r\n\r\n";
            let (bytes, kept) = body(chunks, piece);
            assert_eq!((&*bytes.expect("whole"), kept), (&b"hello"[..], 1), "pieces of {piece}");
            let (bytes, kept) = body(b"HTTP/1.1 200 OK\r\n\r\nhello", piece);
            assert_eq!((&*bytes.expect("whole"), kept), (&b"hello"[..], 0));
            let (_, kept) = body(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", piece);
            assert_eq!(kept, 0);
        }
    }

    #[test]
    fn bodies_that_end_early_or_never_are_errors() {
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        for words in [
            "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
            format!("HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n{}", "x".repeat(1001)),
            format!("{chunked}5\r\nhel"),
            format!("{chunked}3\r\nhello\r\n0\r\n\r\n"),
            format!("{chunked}x\r\n"),
            format!("{chunked}-1\r\n"),
            format!("{chunked}fffffffffffffffff\r\n"),
            format!("{chunked}{}", "1".repeat(1000)),
            format!("{chunked}0\r\n{}", "A: b\r\n".repeat(1000)),
            format!("HTTP/1.1 200 OK\r\n{}", "A: b\r\n".repeat(20_000)),
            "HTTP/1.1 200 OK\r\n".to_owned(),
            String::new(),
        ] {
            let (bytes, kept) = body(words.as_bytes(), 4000);
            assert!(bytes.is_err() && (kept == 0 || words.contains("1001")), "{words:.80}");
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic_or_hang() {
        let chunks =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n";
        let length = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        crate::image::mutate::bytes(&[chunks, length], 4_000, |bytes| drop(body(bytes, 11)));
    }
}
