//! Reads the values of `--publish` and `--expose`. Nothing is guessed: what is not a whole number from 1 to 65535
//! or a whole address is refused, with the words that say why.

use crate::gather::Gather as _;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use super::{Exposed, Protocol, Publish};

type Read<T> = Result<T, String>;

/// First and last port.
type Range = (u16, u16);

pub fn publish(text: &str) -> Read<Vec<Publish>> {
    let (ports, protocol) = protocol(text)?;
    let (rest, inside) = ports.rsplit_once(':').map_or((None, ports), |(rest, inside)| (Some(rest), inside));
    let inside = range(inside)?;
    let (address, outside) = match rest {
        None => (None, ""),
        Some(rest) => host(rest)?,
    };
    let outside = match outside {
        "" | "0" if address.is_some() || rest != Some("") => None,
        "" => return Err("the host's port is missing".into()),
        outside => Some(range(outside)?),
    };
    let count = inside.1 - inside.0;
    if let Some((first, last)) = outside
        && last - first != count
        && (count != 0 || last < first)
    {
        return Err(format!("{} ports of the host for {} of the container", last - first + 1, count + 1));
    }
    let host_ip = address.map_or(String::new(), |address| address.to_string());
    let one = |offset: u16| Publish {
        host_ip: host_ip.clone(),
        host_port: outside.map_or(0, |(first, _)| first + offset),
        host_port_end: outside.and_then(|(first, last)| (last - first != count).then_some(last)),
        container_port: inside.0 + offset,
        protocol,
    };
    Ok((0..=count).map(one).gather())
}

pub fn expose(text: &str) -> Read<Vec<Exposed>> {
    let (ports, protocol) = protocol(text)?;
    let (first, last) = range(ports)?;
    Ok((first..=last).map(|port| Exposed { port, protocol }).gather())
}

/// What stands before the protocol, and the protocol.
fn protocol(text: &str) -> Read<(&str, Protocol)> {
    let Some((ports, name)) = text.rsplit_once('/') else {
        return Ok((text, Protocol::Tcp));
    };
    let known = Protocol::ALL.iter().find(|protocol| protocol.as_str().eq_ignore_ascii_case(name));
    known
        .map(|protocol| (ports, *protocol))
        .ok_or_else(|| format!("there is no protocol \"{name}\": tcp, udp, sctp are known"))
}

/// The host's side: `HOST`, `IP:HOST`, `IP:` (a free port).
fn host(text: &str) -> Read<(Option<IpAddr>, &str)> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once("]:").ok_or("an address in brackets is [ADDRESS]:")?;
            let address = address.parse().map(IpAddr::V6);
            return Ok((Some(address.map_err(|_| "not an IPv6 address in the brackets")?), port));
        }
        None => match text.rsplit_once(':') {
            None => return Ok((None, text)),
            Some(both) => both,
        },
    };
    if address.contains(':') {
        return Err("an IPv6 address stands in brackets".into());
    }
    let address = address.parse().map(IpAddr::V4);
    Ok((Some(address.map_err(|_| "not an IPv4 address before the host's port")?), port))
}

fn range(text: &str) -> Read<Range> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    match first <= last {
        true => Ok((first, last)),
        false => Err(format!("the range {text} ends before it begins")),
    }
}

fn port(text: &str) -> Read<u16> {
    // `parse` would take a sign too.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = if digits { text.parse().ok() } else { None };
    number.filter(|port| *port != 0).ok_or_else(|| format!("\"{text}\" is not a port from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::super::{exposed, parse, private, publish_all};
    use super::*;

    fn one(ip: &str, host: u16, inside: u16, protocol: Protocol) -> Publish {
        Publish {
            host_ip: ip.into(),
            host_port: host,
            container_port: inside,
            protocol,
            ..Publish::default()
        }
    }

    #[test]
    fn every_form_of_one_port_is_read() {
        for (text, expected) in [
            ("80", one("", 0, 80, Protocol::Tcp)),
            ("80/udp", one("", 0, 80, Protocol::Udp)),
            ("8080:80", one("", 8080, 80, Protocol::Tcp)),
            ("0:80", one("", 0, 80, Protocol::Tcp)),
            ("8080:80/sctp", one("", 8080, 80, Protocol::Sctp)),
            ("8080:80/UDP", one("", 8080, 80, Protocol::Udp)),
            ("127.0.0.1:8080:80", one("127.0.0.1", 8080, 80, Protocol::Tcp)),
            ("127.0.0.1::80", one("127.0.0.1", 0, 80, Protocol::Tcp)),
            ("[::1]:8080:80/udp", one("::1", 8080, 80, Protocol::Udp)),
            ("[::]::80", one("::", 0, 80, Protocol::Tcp)),
            ("[2001:DB8:0::7]:65535:1", one("2001:db8::7", 65535, 1, Protocol::Tcp)),
        ] {
            assert_eq!(parse(text).expect(text), [expected], "{text}");
        }
    }

    #[test]
    fn ranges_give_one_after_the_other() {
        let both = parse("127.0.0.1:8000-8002:80-82/udp").expect("read");
        let expected = [0, 1, 2].map(|at| one("127.0.0.1", 8000 + at, 80 + at, Protocol::Udp));
        assert_eq!(both, expected);
        assert_eq!(parse("80-81").expect("read"), [80, 81].map(|port| one("", 0, port, Protocol::Tcp)));
        assert_eq!(parse("1-65535:1-65535").expect("read").len(), 65535);
        let any = parse("8000-8010:80").expect("read");
        let expected = Publish { host_port_end: Some(8010), ..one("", 8000, 80, Protocol::Tcp) };
        assert_eq!(any, [expected]);
        assert_eq!(exposed("80-82/udp").expect("read").len(), 3);
    }

    #[test]
    fn what_is_not_whole_is_refused_and_named() {
        for (text, words) in [
            ("", "\"\" is not a port"),
            (":80", "the host's port is missing"),
            ("8080:", "\"\" is not a port"),
            ("+80", "\"+80\" is not a port"),
            ("-80", "\"\" is not a port"),
            ("80 ", "\"80 \" is not a port"),
            ("0", "\"0\" is not a port"),
            ("65536", "\"65536\" is not a port"),
            ("8080:0", "\"0\" is not a port"),
            ("0-5:0-5", "\"0\" is not a port"),
            ("80/", "no protocol \"\""),
            ("80/icmp", "no protocol \"icmp\""),
            ("82-80:82-80", "ends before it begins"),
            ("8000-8001:80-82", "2 ports of the host for 3 of the container"),
            ("8000:80-82", "1 ports of the host for 3 of the container"),
            ("8000-8005:80-82", "6 ports of the host for 3 of the container"),
            ("localhost:80:80", "not an IPv4 address"),
            ("127.0.0.256:80:80", "not an IPv4 address"),
            ("::1:80:80", "stands in brackets"),
            ("[::1:80:80", "an address in brackets"),
            ("[::1]80:80", "an address in brackets"),
            ("[127.0.0.1]:80:80", "not an IPv6 address"),
            ("80:80:80", "not an IPv4 address"),
            ("80:80:80:80", "stands in brackets"),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(&format!("--publish {text}: ")), "{error}");
            assert!(error.contains(words), "{error}");
        }
        for text in ["", "80/", "80-", "-", "a", "80:80"] {
            assert!(exposed(text).is_err(), "{text}");
        }
        assert!(private("80-81").is_err());
        assert_eq!(private("53/udp").expect("read"), Exposed { port: 53, protocol: Protocol::Udp });
    }

    #[test]
    fn publish_all_leaves_out_what_is_published() {
        let mut published = parse("8080:80").expect("read");
        let exposed = [exposed("80").expect("read"), exposed("80/udp").expect("read")].concat();
        publish_all(&exposed, &mut published);
        assert_eq!(published[1..], [one("", 0, 80, Protocol::Udp)]);
    }
}
