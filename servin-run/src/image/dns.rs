//! Names to addresses without a libc: /etc/hosts, then the servers of /etc/resolv.conf over UDP, or over TCP where an
//! answer does not fit (RFC 1035, RFC 7766; resolv.conf(5)).

mod configuration;
pub mod message;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use rustix::net::{SendFlags, send};
use rustix::rand::{GetRandomFlags, getrandom};
use servin_init::sys::clock::now;

use self::configuration::Configuration;
use self::message::{Answer, Kind, MAX_NAME};
use super::http::stream::{MILLISECOND, Stream, Tcp, datagrams, receive};
use crate::error::{Error, Result};
use crate::fs::read_lossy;
use crate::gather::Gather as _;

const PORT: u16 = 53;

/// The addresses of a host: at least one.
pub fn resolve(name: &str) -> Result<Vec<IpAddr>> {
    let literal = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    if let Ok(address) = literal.parse() {
        return Ok(alloc::vec![address]);
    }
    let bare = name.strip_suffix('.').unwrap_or(name);
    if !is_name(bare) {
        return Err(Error::new(format_args!("{name:?} is not the name of a host")));
    }
    let hosts = configuration::hosts(&read_lossy("/etc/hosts").unwrap_or_default(), bare);
    if !hosts.is_empty() {
        return Ok(hosts);
    }
    // RFC 6761 section 6.3: no server is asked for it.
    if bare.eq_ignore_ascii_case("localhost") {
        return Ok(alloc::vec![IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])]);
    }
    let configuration = Configuration::parse(&read_lossy("/etc/resolv.conf").unwrap_or_default());
    look_up(name, &configuration)
}

/// Labels of letters, digits, hyphens and underscores.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    name.len() <= MAX_NAME && name.split('.').all(label)
}

fn look_up(name: &str, configuration: &Configuration) -> Result<Vec<IpAddr>> {
    let mut failure = Error::new(format_args!("look up {name}: there is no such host"));
    for candidate in configuration.candidates(name).iter().filter(|name| is_name(name)) {
        match ask_servers(candidate, configuration) {
            Ok(addresses) if addresses.is_empty() => {}
            Ok(addresses) => return Ok(addresses),
            Err(error) => failure = error.within(format_args!("look up {name}")),
        }
    }
    Err(failure)
}

/// Asks one server after the other; nothing where there is no such name.
fn ask_servers(name: &str, configuration: &Configuration) -> Result<Vec<IpAddr>> {
    let mut failure = Error::new("no server answered");
    for _ in 0..configuration.attempts {
        for server in &configuration.servers {
            match ask(name, SocketAddr::new(*server, PORT), configuration.timeout) {
                Ok(addresses) => return Ok(addresses),
                Err(error) => failure = error,
            }
        }
    }
    let servers: Vec<String> = configuration.servers.iter().map(|server| format!("{server}")).gather();
    Err(failure.hint(format!("the servers of /etc/resolv.conf are {}", servers.join(", "))))
}

/// Asks for both families at once.
fn ask(name: &str, server: SocketAddr, timeout: u64) -> Result<Vec<IpAddr>> {
    let mut ids = [0; 4];
    getrandom(&mut ids[..], GetRandomFlags::empty())
        .map_err(|errno| Error::os("get random numbers", errno))?;
    let ids = [u16::from_ne_bytes([ids[0], ids[1]]), u16::from_ne_bytes([ids[2], ids[3]])];
    // Answers are told apart by their numbers.
    let ids = [ids[0], if ids[1] == ids[0] { !ids[0] } else { ids[1] }];
    let socket = datagrams(server)?;
    let questions = [Kind::A, Kind::Aaaa].map(|kind| message::question(ids[kind as usize], name, kind));
    for question in &questions {
        send(&socket, question, SendFlags::NOSIGNAL)
            .map_err(|errno| Error::os(format_args!("ask {server}"), errno))?;
    }
    let until = now() + timeout * 1000 * MILLISECOND;
    let mut answers: [Option<Answer>; 2] = [None, None];
    let mut buffer = [0; 4096];
    while answers.iter().any(Option::is_none) {
        let Some(length) = receive(&socket, &mut buffer, until) else { break };
        for kind in [Kind::A, Kind::Aaaa] {
            // What does not answer the question is ignored: anybody could have sent it.
            if let Some(answer) = message::answer(&buffer[..length], ids[kind as usize], name, kind) {
                answers[kind as usize].get_or_insert(answer);
            }
        }
    }
    let mut addresses = Vec::new();
    let mut failure = None;
    for (kind, answer) in [Kind::A, Kind::Aaaa].into_iter().zip(answers) {
        let answer = match answer {
            Some(Answer::Truncated) => by_tcp(server, ids[kind as usize], name, kind, timeout),
            Some(answer) => Ok(answer),
            None => Err(Error::new(format_args!("{server} did not answer"))),
        };
        match answer {
            Ok(Answer::Addresses(found)) => addresses.extend(found),
            Ok(Answer::Refused(code)) => {
                failure = Some(Error::new(format_args!("{server} answered with the error {code}")));
            }
            Ok(Answer::Truncated) => {
                failure = Some(Error::new(format_args!("{server} cuts its answers off")))
            }
            Err(error) => failure = Some(error),
        }
    }
    // One family is enough: there are servers that never answer for the other.
    match failure {
        Some(failure) if addresses.is_empty() => Err(failure),
        _ => Ok(addresses),
    }
}

fn by_tcp(server: SocketAddr, id: u16, name: &str, kind: Kind, timeout: u64) -> Result<Answer> {
    let patience = timeout * 1000 * MILLISECOND;
    let mut stream = Tcp::connect(&format!("{}", server.ip()), &[server.ip()], server.port(), patience)?;
    let question = message::question(id, name, kind);
    let mut framed = Vec::from((question.len() as u16).to_be_bytes());
    framed.extend(question);
    stream.write(&framed)?;
    let mut length = [0; 2];
    read_exactly(&mut stream, &mut length)?;
    let mut bytes = alloc::vec![0; usize::from(u16::from_be_bytes(length))];
    read_exactly(&mut stream, &mut bytes)?;
    message::answer(&bytes, id, name, kind)
        .ok_or_else(|| Error::new(format_args!("{server} answered another question")))
}

fn read_exactly(stream: &mut dyn Stream, mut buffer: &mut [u8]) -> Result<()> {
    while !buffer.is_empty() {
        let length = stream.read(buffer)?;
        if length == 0 {
            return Err(Error::new("the server ended the connection within its answer"));
        }
        buffer = &mut buffer[length..];
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_can_be_asked_for_are() {
        for name in ["a", "registry-1.docker.io", "my_host", &"a".repeat(63)] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "a..b", ".a", "a b", "ä.de", &"a".repeat(64), &"a.".repeat(130)] {
            assert!(!is_name(name), "{name}");
        }
    }

    #[test]
    fn addresses_are_their_own_names() {
        assert_eq!(resolve("127.0.0.9").expect("v4"), ["127.0.0.9".parse::<IpAddr>().expect("v4")]);
        assert_eq!(resolve("[::1]").expect("v6"), ["::1".parse::<IpAddr>().expect("v6")]);
        assert!(resolve("localhost").expect("local").iter().all(IpAddr::is_loopback));
    }
}
