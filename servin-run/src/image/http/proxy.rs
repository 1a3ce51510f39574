//! Which requests go through a proxy: HTTP_PROXY, HTTPS_PROXY and NO_PROXY, in small letters too, as Go's programs
//! read them.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::url::{Url, split_port};
use crate::error::{Error, Result};
use crate::image::base64;
use crate::image::environment::Environment;

/// A proxy, and what it is told to let us through.
#[derive(Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Where it is.
    pub url: Url,
    /// The value of `Proxy-Authorization`.
    pub authorization: Option<String>,
}

/// The proxy for an address, if there is one for it.
pub fn of(url: &Url, environment: &Environment) -> Result<Option<Proxy>> {
    let names = if url.secure { ["HTTPS_PROXY", "https_proxy"] } else { ["HTTP_PROXY", "http_proxy"] };
    let named = |names: [&'static str; 2]| {
        names.into_iter().find_map(|name| environment.variable(name).map(|value| (name, value)))
    };
    let Some((name, value)) = named(names) else { return Ok(None) };
    let (_, exceptions) = named(["NO_PROXY", "no_proxy"]).unwrap_or_default();
    if is_exception(url, exceptions) {
        return Ok(None);
    }
    let (scheme, rest) = value.split_once("://").unwrap_or(("http", value));
    let (password, rest) = match rest.rsplit_once('@') {
        Some((password, rest)) => (Some(password), rest),
        None => (None, rest),
    };
    let url = Url::parse(&alloc::format!("{scheme}://{rest}")).map_err(|error| error.within(name))?;
    let authorization =
        password.map(|password| alloc::format!("Basic {}", base64::encode(unescape(password).as_bytes())));
    if authorization.as_ref().is_some_and(|value| value.len() > 4096) {
        return Err(Error::new(format_args!("{name}: the password is too long")));
    }
    Ok(Some(Proxy { url, authorization }))
}

/// Whether an address is reached without a proxy. This host always is.
fn is_exception(url: &Url, exceptions: &str) -> bool {
    let host = url.host.trim_start_matches('[').trim_end_matches([']', '.']);
    let address = host.parse::<IpAddr>().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    exceptions.split([',', ' ']).filter(|word| !word.is_empty()).any(|word| {
        let word = word.to_ascii_lowercase();
        if word == "*" {
            return true;
        }
        if let (Some(address), Some((network, bits))) = (address, word.split_once('/')) {
            return network
                .parse()
                .ok()
                .zip(bits.parse().ok())
                .is_some_and(|(network, bits)| within(address, network, bits));
        }
        let (name, port) = match word.parse::<IpAddr>() {
            Ok(_) => (&*word, None),
            Err(_) => split_port(&word).unwrap_or((&word, None)),
        };
        if port.is_some_and(|port| port != url.port) {
            return false;
        }
        if let Some(address) = address {
            return name.trim_start_matches('[').trim_end_matches(']').parse() == Ok(address);
        }
        // `example.com` is itself and what is below it, `.example.com` and `*.example.com` what is below it.
        let domain = name.strip_prefix('*').unwrap_or(name);
        match domain.strip_prefix('.') {
            Some(_) => host.ends_with(domain),
            None => host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

/// Whether an address begins with the same bits as a network.
fn within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, length) = match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (u128::from(a.to_bits()) << 96, u128::from(b.to_bits()) << 96, 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => (a.to_bits(), b.to_bits(), 128),
        _ => return false,
    };
    bits <= length && (bits == 0 || (address ^ network) >> (128 - bits) == 0)
}

/// Undoes the escapes of a password in an address.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let escaped =
            after.get(..2).filter(|_| *first == b'%').and_then(|two| core::str::from_utf8(two).ok());
        match escaped.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxied(url: &str, lines: &[&str]) -> Option<Proxy> {
        let lines = lines.iter().map(|line| line.to_string()).collect();
        of(&Url::parse(url).expect(url), &Environment { lines, ..Environment::default() }).expect("valid")
    }

    #[test]
    fn each_scheme_has_its_proxy() {
        let lines = ["http_proxy=one:3128", "HTTPS_PROXY=http://me:p%40ss@two:8080/"];
        let one = proxied("http://h/", &lines).expect("a proxy");
        assert_eq!((one.url.authority(), one.authorization), ("one:3128".to_owned(), None));
        let two = proxied("https://h/", &lines).expect("a proxy");
        assert_eq!(two.url.authority(), "two:8080");
        assert_eq!(two.authorization.as_deref(), Some("Basic bWU6cEBzcw=="));
        assert_eq!(proxied("https://h/", &["HTTP_PROXY=one"]), None);
    }

    #[test]
    fn exceptions_are_names_domains_addresses_and_networks() {
        let free = |host: &str, exceptions: &str| {
            let no = format!("NO_PROXY={exceptions}");
            proxied(&format!("http://{host}/"), &["HTTP_PROXY=p", &no]).is_none()
        };
        assert!(free("localhost", "") && free("127.0.0.5:5000", "") && free("[::1]", ""));
        assert!(free("a.example", "example") && free("example", "x, Example") && free("h", "*"));
        assert!(
            free("a.example", ".example") && !free("example", ".example") && !free("anexample", "example")
        );
        assert!(free("h:81", "h:81") && !free("h:82", "h:81"));
        assert!(
            free("10.1.2.3", "10.0.0.0/8") && !free("11.1.2.3", "10.0.0.0/8") && free("10.1.2.3", "10.1.2.3")
        );
        assert!(
            free("[fd00::1]", "fd00::/8") && free("[fd00::1]", "fd00::1") && !free("10.1.2.3", "0.0.0.0/99")
        );
    }
}
