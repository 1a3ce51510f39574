//! How published ports are shown: the PORTS column of `servin ps`, `servin port`, and `Ports` of `servin inspect`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::{Exposed, Protocol, Publish, bracketed, key};
use crate::gather::Gather as _;
use crate::spec::json::written;

written! {
    /// Where a container's port is published, as Docker's `inspect` says it.
    pub struct Bindings {
        /// The host's address.
        "HostIp" => host_ip: String,
        /// The host's port.
        "HostPort" => host_port: String,
    }
}

/// The host's side of a published port: `0.0.0.0:8080`.
pub(super) struct Host<'a>(pub &'a Publish);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", address(self.0), self.0.host_port)
    }
}

/// Every address is said as IPv4's: it is what everybody has.
fn address(publish: &Publish) -> String {
    publish.address().map_or_else(|| String::from("0.0.0.0"), bracketed)
}

/// The column: `0.0.0.0:8080->80/tcp, 443/tcp`; neighbours are put together as `0.0.0.0:8000-8002->80-82/tcp`.
pub fn column(published: &[Publish], exposed: &[Exposed]) -> String {
    let mut parts = Vec::new();
    let mut rest = published;
    while let Some(first) = rest.first() {
        let follows = |(offset, next): &(usize, &Publish)| {
            let offset = *offset as u32;
            next.host_ip == first.host_ip
                && next.protocol == first.protocol
                && u32::from(next.host_port) == u32::from(first.host_port) + offset
                && u32::from(next.container_port) == u32::from(first.container_port) + offset
        };
        let count = rest.iter().enumerate().take_while(follows).count().max(1);
        let last =
            |port: u16| if count > 1 { format!("-{}", usize::from(port) + count - 1) } else { String::new() };
        parts.push(format!(
            "{}{}->{}{}/{}",
            Host(first),
            last(first.host_port),
            first.container_port,
            last(first.container_port),
            first.protocol.as_str()
        ));
        rest = &rest[count..];
    }
    parts.extend(unpublished(published, exposed).map(|exposed| key(exposed.port, exposed.protocol)));
    parts.join(", ")
}

fn unpublished<'a>(published: &'a [Publish], exposed: &'a [Exposed]) -> impl Iterator<Item = &'a Exposed> {
    exposed.iter().filter(|exposed| leading_to(published, exposed.port, exposed.protocol).next().is_none())
}

fn leading_to(published: &[Publish], port: u16, protocol: Protocol) -> impl Iterator<Item = &Publish> {
    published.iter().filter(move |publish| publish.container_port == port && publish.protocol == protocol)
}

/// The lines of `servin port`: `80/tcp -> 0.0.0.0:8080`; of one port of the container the host's side alone.
pub fn listing(published: &[Publish], private: Option<&Exposed>) -> Vec<String> {
    match private {
        Some(private) => {
            leading_to(published, private.port, private.protocol).map(|one| Host(one).to_string()).gather()
        }
        None => published
            .iter()
            .map(|one| format!("{} -> {}", key(one.container_port, one.protocol), Host(one)))
            .gather(),
    }
}

/// `Ports` of `inspect`: for each port of the container where it is published.
pub fn bindings(published: &[Publish], exposed: &[Exposed]) -> Vec<(String, Vec<Bindings>)> {
    let mut all: Vec<(String, Vec<Bindings>)> = Vec::new();
    for publish in published {
        let key = key(publish.container_port, publish.protocol);
        let host_ip =
            publish.address().map_or_else(|| String::from("0.0.0.0"), |address| address.to_string());
        let binding = Bindings { host_ip, host_port: publish.host_port.to_string() };
        match all.iter_mut().find(|(other, _)| *other == key) {
            Some((_, bindings)) => bindings.push(binding),
            None => all.push((key, Vec::from([binding]))),
        }
    }
    all.extend(unpublished(published, exposed).map(|one| (key(one.port, one.protocol), Vec::new())));
    all
}

#[cfg(test)]
mod tests {
    use super::super::{check_distinct, exposed, parse, private};
    use super::*;
    use crate::spec::to_json;

    fn published(texts: &[&str]) -> Vec<Publish> {
        texts.iter().flat_map(|text| parse(text).expect("read")).collect()
    }

    #[test]
    fn the_column_puts_neighbours_together() {
        let ports = published(&["8080:80", "127.0.0.1:8000-8002:90-92/udp", "[::1]:1:1", "2:3"]);
        let exposed = [exposed("80").expect("read"), exposed("443").expect("read")].concat();
        assert_eq!(
            column(&ports, &exposed),
            "0.0.0.0:8080->80/tcp, 127.0.0.1:8000-8002->90-92/udp, [::1]:1->1/tcp, 0.0.0.0:2->3/tcp, 443/tcp"
        );
        assert_eq!(column(&[], &[]), "");
        assert_eq!(column(&published(&["1-65535:1-65535"]), &[]), "0.0.0.0:1-65535->1-65535/tcp");
    }

    #[test]
    fn port_lists_all_or_says_where_one_leads() {
        let ports = published(&["8080:80", "127.0.0.1:8081:80", "53:53/udp"]);
        assert_eq!(
            listing(&ports, None),
            ["80/tcp -> 0.0.0.0:8080", "80/tcp -> 127.0.0.1:8081", "53/udp -> 0.0.0.0:53"]
        );
        let one = private("80").expect("read");
        assert_eq!(listing(&ports, Some(&one)), ["0.0.0.0:8080", "127.0.0.1:8081"]);
        assert!(listing(&ports, Some(&private("53").expect("read"))).is_empty());
    }

    #[test]
    fn inspect_says_it_as_docker_does() {
        let ports = published(&["8080:80", "[::1]:8081:80"]);
        let exposed = exposed("53/udp").expect("read");
        assert_eq!(
            to_json(&bindings(&ports, &exposed)),
            r#"{"80/tcp":[{"HostIp":"0.0.0.0","HostPort":"8080"},{"HostIp":"::1","HostPort":"8081"}],"53/udp":[]}"#
        );
    }

    #[test]
    fn the_same_port_twice_is_refused() {
        for twice in [
            ["8080:80", "8080:81"],
            ["8080:80", "127.0.0.1:8080:80"],
            ["0.0.0.0:8080:80", "127.0.0.1:8080:80"],
            ["[::]:1-9:1-9", "[::1]:5:5"],
        ] {
            assert!(check_distinct(&published(&twice)).is_err(), "{twice:?}");
        }
        for distinct in [
            ["8080:80", "8080:80/udp"],
            ["127.0.0.2:8080:80", "127.0.0.1:8080:80"],
            ["0.0.0.0:8080:80", "[::1]:8080:80"],
            ["80", "80"],
        ] {
            assert!(check_distinct(&published(&distinct)).is_ok(), "{distinct:?}");
        }
        let error = check_distinct(&published(&["127.0.0.1:1:1", "1:1"])).expect_err("refused");
        assert!(error.to_string().contains(":1 is published twice"), "{error}");
    }
}
