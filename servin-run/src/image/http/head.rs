//! The head of a response: its status and its headers.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};

/// The most bytes that a head may have.
pub const MAX_HEAD: usize = 64 << 10;
const MAX_HEADERS: usize = 256;

/// Names and values, in the order in which they came.
#[derive(Debug, Default)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0
            .iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a header that lists words has this one.
    pub fn lists(&self, name: &str, word: &str) -> bool {
        self.all(name).flat_map(|value| value.split(',')).any(|found| found.trim().eq_ignore_ascii_case(word))
    }
}

/// A status and the headers.
#[derive(Debug)]
pub struct Head {
    /// `200`.
    pub status: u16,
    /// HTTP/1.1, in which connections are kept unless somebody says otherwise.
    pub keeps: bool,
    /// The headers.
    pub headers: Headers,
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// In chunks, each with its length before it (RFC 9112 section 7.1).
    Chunked,
    /// The connection's end is its end.
    ToEnd,
}

impl Head {
    /// Reads a head that ends with an empty line.
    pub fn parse(bytes: &[u8]) -> Result<Head> {
        let wrong = |what: &str| Error::new(format_args!("not an answer of HTTP/1.1: {what}"));
        // Values may have bytes of any coding (RFC 9110 section 5.5, obs-text); none of those is for us.
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
        let first = lines.next().unwrap_or_default();
        let (version, rest) = first.split_once(' ').ok_or_else(|| wrong("it has no status"))?;
        let keeps = match version {
            "HTTP/1.1" => true,
            "HTTP/1.0" => false,
            _ => return Err(wrong("it begins in another way")),
        };
        let digits = rest.split(' ').next().unwrap_or_default();
        let status = digits.parse().ok().filter(|status| (100..600).contains(status) && digits.len() == 3);
        let status = status.ok_or_else(|| wrong("its status is no number"))?;
        let mut headers = Headers::default();
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header has no name"))?;
            // A space before the colon, or a line that continues another, has smuggled requests before.
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong("a header's name has a space"));
            }
            if value.contains(['\r', '\0']) || headers.0.len() == MAX_HEADERS {
                return Err(wrong("it has too many headers, or broken ones"));
            }
            headers.0.push((name.into(), value.trim().into()));
        }
        Ok(Head { status, keeps, headers })
    }

    /// How the body is framed, which follows a request of that method (RFC 9112 section 6.3).
    pub fn framing(&self, method: &str) -> Result<Framing> {
        if method == "HEAD" || matches!(self.status, 100..200 | 204 | 304) {
            return Ok(Framing::Length(0));
        }
        let mut lengths = self.headers.all("content-length");
        let length = lengths.next();
        let chunked = self.headers.get("transfer-encoding").is_some();
        let wrong = |what: &str| Err(Error::new(format_args!("not an answer of HTTP/1.1: {what}")));
        if chunked {
            if !self.headers.lists("transfer-encoding", "chunked")
                || self.headers.all("transfer-encoding").count() > 1
            {
                return wrong("its body has an unknown coding");
            }
            // Whoever says both wants two readers to read different things.
            return if length.is_some() { wrong("it has two lengths") } else { Ok(Framing::Chunked) };
        }
        let Some(length) = length else { return Ok(Framing::ToEnd) };
        if lengths.any(|other| other != length) {
            return wrong("it has two lengths");
        }
        match length.parse() {
            Ok(number) if length.bytes().all(|byte| byte.is_ascii_digit()) => Ok(Framing::Length(number)),
            _ => wrong("its length is no number"),
        }
    }
}

/// Where the head in `bytes` ends, behind its empty line.
pub fn end(bytes: &[u8]) -> Option<usize> {
    let mut line = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' {
            if at == line || at == line + 1 && bytes[line] == b'\r' {
                return Some(at + 1);
            }
            line = at + 1;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(headers: &str) -> Result<Framing> {
        Head::parse(format!("HTTP/1.1 200 OK\r\n{headers}\r\n").as_bytes())?.framing("GET")
    }

    #[test]
    fn heads_are_read() {
        let bytes = b"HTTP/1.1 206 Partial Content\r\nA:  b c \r\na: d\nConnection: x, Close\r\n\r\nbody";
        assert_eq!(end(bytes), Some(bytes.len() - 4));
        let head = Head::parse(&bytes[..bytes.len() - 4]).expect("parsed");
        assert_eq!((head.status, head.keeps), (206, true));
        assert_eq!(head.headers.all("A").collect::<Vec<_>>(), ["b c", "d"]);
        assert!(head.headers.lists("connection", "close") && !head.headers.lists("connection", "clos"));
        let foreign = Head::parse(b"HTTP/1.1 200 OK\r\nServer: Z\xfcrich\r\nA: b\r\n\r\n").expect("Latin-1");
        assert_eq!(foreign.headers.get("a"), Some("b"));
        assert_eq!(
            Head::parse(b"HTTP/1.0 404\n\n").map(|head| (head.status, head.keeps)).expect("short"),
            (404, false)
        );
    }

    #[test]
    fn lengths_are_unambiguous() {
        assert_eq!(framing("Content-Length: 5\r\n").expect("length"), Framing::Length(5));
        assert_eq!(framing("Content-Length: 5\r\ncontent-length: 5\r\n").expect("same"), Framing::Length(5));
        assert_eq!(framing("Transfer-Encoding: Chunked\r\n").expect("chunked"), Framing::Chunked);
        assert_eq!(framing("").expect("to the end"), Framing::ToEnd);
        for headers in [
            "Content-Length: 5\r\nContent-Length: 6\r\n",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: -5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 99999999999999999999\r\n",
            "Transfer-Encoding: gzip\r\n",
            "A : b\r\n",
            " folded: x\r\n",
            "nothing\r\n",
        ] {
            assert!(framing(headers).is_err(), "{headers}");
        }
    }

    #[test]
    fn no_bytes_at_all_make_it_panic() {
        let sample =
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n0123456789";
        crate::image::mutate::bytes(&[sample], 30_000, |bytes| {
            if let Some(end) = end(bytes) {
                let _ = Head::parse(&bytes[..end]).map(|head| head.framing("GET"));
            }
        });
    }
}
