//! Addresses of the web (RFC 3986), as far as registries use them.

use alloc::string::String;
use core::fmt;

use crate::error::{Error, Result};

/// Where a request goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// `https`.
    pub secure: bool,
    /// In small letters; an address of IPv6 in its brackets.
    pub host: String,
    /// The port, the scheme's own where none was said.
    pub port: u16,
    /// From the first `/`, the query included.
    pub path: String,
}

/// The longest address that is taken from a server.
const MAX_LENGTH: usize = 8192;

impl Url {
    /// Reads an absolute address of http or https.
    pub fn parse(text: &str) -> Result<Url> {
        let wrong = |what: &str| Error::new(format_args!("the address {text:?} {what}"));
        if text.len() > MAX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::new("an address is too long, or has characters that none may have"));
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("has no scheme"))?;
        let secure = match scheme {
            _ if scheme.eq_ignore_ascii_case("https") => true,
            _ if scheme.eq_ignore_ascii_case("http") => false,
            _ => return Err(wrong("is neither of http nor of https")),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.contains('@') {
            return Err(wrong("has a password"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong("has a port that is none"))?;
        if host.is_empty() || host.contains(['\\', '"', '<', '>']) {
            return Err(wrong("has no host"));
        }
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let slash = if path.starts_with('/') { "" } else { "/" };
        Ok(Url { secure, host: host.to_ascii_lowercase(), port, path: alloc::format!("{slash}{path}") })
    }

    /// What a server's `Location` means, seen from here; never a place without encryption, seen from one with it.
    pub fn join(&self, location: &str) -> Result<Url> {
        let next = self.joined(location)?;
        match self.secure && !next.secure {
            true => Err(Error::new(format_args!("{next} is not encrypted"))),
            false => Ok(next),
        }
    }

    fn joined(&self, location: &str) -> Result<Url> {
        let scheme = if self.secure { "https" } else { "http" };
        if location.split(['/', '?', '#']).next().is_some_and(|first| first.contains(':')) {
            return Url::parse(location);
        }
        if location.starts_with("//") {
            return Url::parse(&alloc::format!("{scheme}:{location}"));
        }
        let folder = match location.as_bytes().first() {
            Some(b'/') => "",
            Some(b'?') => self.path.split('?').next().unwrap_or_default(),
            _ => self
                .path
                .split('?')
                .next()
                .and_then(|path| path.rsplit_once('/'))
                .map_or("", |(folder, _)| folder),
        };
        let slash = if location.starts_with(['/', '?']) { "" } else { "/" };
        Url::parse(&alloc::format!("{scheme}://{}{folder}{slash}{location}", self.authority()))
    }

    /// `HOST`, or `HOST:PORT` where the port is not the scheme's own.
    pub fn authority(&self) -> String {
        let usual = if self.secure { 443 } else { 80 };
        if self.port == usual { self.host.clone() } else { alloc::format!("{}:{}", self.host, self.port) }
    }

    /// Whether both lead to the same server.
    pub fn same_server(&self, other: &Url) -> bool {
        (self.secure, self.port) == (other.secure, other.port) && self.host == other.host
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        // A query may have been signed by somebody: it is not for everybody's eyes.
        let path = self.path.split('?').next().unwrap_or_default();
        write!(f, "{scheme}://{}{path}", self.authority())
    }
}

/// `HOST:PORT` and `[ADDRESS]:PORT`, the port not being needed; nothing where the port is not a number.
pub fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => {
            let number = port.parse().ok().filter(|number| *number != 0 && !port.starts_with('+'));
            if host.contains(':') && !host.starts_with('[') {
                return None;
            }
            Some((host, Some(number?)))
        }
        _ => Some((authority, None)),
    }
}

/// `text` as a value of a query: everything but letters, digits and a few marks is escaped.
pub fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(byte.into());
        } else {
            escaped.push_str(&alloc::format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn addresses_are_read() {
        let full = url("HTTPS://Registry.Example:5000/v2/?a=b#c");
        assert_eq!(
            (full.secure, &*full.host, full.port, &*full.path),
            (true, "registry.example", 5000, "/v2/?a=b")
        );
        assert_eq!(full.authority(), "registry.example:5000");
        assert_eq!(url("http://h?q").path, "/?q");
        assert_eq!(url("http://[::1]:80/").authority(), "[::1]");
        assert_eq!((url("https://[::1]").port, url("http://h").port), (443, 80));
        assert_eq!(full.to_string(), "https://registry.example:5000/v2/");
    }

    #[test]
    fn what_could_mislead_is_refused() {
        for text in [
            "h",
            "ftp://h/",
            "http://",
            "http://u:p@h/",
            "http://h:x/",
            "http://h:0/",
            "http://h:99999/",
            "http://h/a b",
            "http://h/\r\nX: y",
            "http://::1/",
            "http://h:+1/",
        ] {
            assert!(Url::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn locations_are_seen_from_where_they_were_said() {
        let from = url("https://h:1/v2/a/blobs/uploads/?x=1");
        let to = |location: &str| from.join(location).expect(location);
        assert_eq!(to("https://o/p"), url("https://o/p"));
        // The bytes of a private image would be there for everybody on the way.
        assert!(from.join("http://h:1/p").is_err_and(|error| error.to_string().contains("not encrypted")));
        assert_eq!(url("http://h/").join("http://o/p").expect("as before"), url("http://o/p"));
        assert_eq!(to("//o/p"), url("https://o/p"));
        assert_eq!(to("/p?q"), url("https://h:1/p?q"));
        assert_eq!(to("id"), url("https://h:1/v2/a/blobs/uploads/id"));
        assert_eq!(to("?y=2"), url("https://h:1/v2/a/blobs/uploads/?y=2"));
        assert!(from.join("file:///etc/passwd").is_err());
    }
}
