//! Names: the files hosts, hostname and resolv.conf of a container (hosts(5), resolv.conf(5)).
//!
//! There is no name server: the containers of a network are in each other's hosts files, which are written anew when
//! one comes or goes.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags, ftruncate};

use super::state::{Places, Record};
use super::wish::{self, ExtraHost, Wish};
use crate::error::{Result, Step};
use crate::fs::copy::write_all;
use crate::fs::read_lossy;
use crate::fs::whole::write_whole;
use crate::gather::Gather as _;
use crate::spec;
use crate::sys::path::openat;

/// What every hosts file begins with.
const LOCALHOST: &str = "127.0.0.1\tlocalhost\n\
    ::1\tlocalhost ip6-localhost ip6-loopback\n\
    fe00::\tip6-localnet\n\
    ff00::\tip6-mcastprefix\n\
    ff02::1\tip6-allnodes\n\
    ff02::2\tip6-allrouters\n";

/// The own address of a host that has no other, as Debian's installer writes it.
const ALONE: &str = "127.0.1.1";

/// Where systemd's resolver keeps the servers that it asks itself (systemd-resolved.service(8)).
const SYSTEMD: &str = "/run/systemd/resolve/resolv.conf";
/// Servers of the world, as in Docker, for a host that has none that a container could reach.
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];

/// The mounts that bring a container's files inside. Whoever shares another's namespace has the other's names too.
pub fn mounts(places: &Places, id: &str, wish: &Wish) -> Vec<spec::Mount> {
    let owner = match (wish.mode, &wish.container) {
        (wish::Mode::Container, Some(owner)) => owner,
        _ => id,
    };
    let mount = |name: &str| spec::Mount {
        destination: format!("/etc/{name}"),
        kind: Some("bind".into()),
        source: Some(places.file(owner, name)),
        options: ["bind", "rprivate"].map(String::from).into(),
        ..spec::Mount::default()
    };
    ["hosts", "hostname", "resolv.conf"].map(mount).into()
}

/// Writes a container's files into its bundle, before they are mounted.
pub fn files(places: &Places, id: &str, hostname: &str, wish: &Wish) -> Result<()> {
    let host = wish.mode == wish::Mode::Host;
    let hosts = match host {
        true => read_lossy("/etc/hosts").unwrap_or_else(|_| LOCALHOST.into()),
        false => LOCALHOST.into(),
    };
    let hosts = hosts + &extra_lines(&wish.extra_hosts, None);
    let own = if host { String::new() } else { format!("{ALONE}\t{hostname}\n") };
    let resolver = resolver(places, wish);
    for (name, text) in
        [("hosts", hosts + &own), ("hostname", format!("{hostname}\n")), ("resolv.conf", resolver)]
    {
        let path = places.file(id, name);
        write_whole(CWD, &path, &text, 0o644).step(|| format!("write {path}"))?;
    }
    Ok(())
}

/// The lines that `--add-host` asks for; those of the host itself where its address is known.
fn extra_lines(extra: &[ExtraHost], gateway: Option<IpAddr>) -> String {
    let line = |host: &ExtraHost| {
        let address = host.address.map(|address| address.0).or(gateway)?;
        Some(format!("{address}\t{}\n", host.name))
    };
    extra.iter().filter_map(line).collect()
}

/// The part of a container's hosts file that does not change while it runs, and its own names.
pub fn begin(record: &mut Record, hostname: &str, extra: &[ExtraHost]) {
    let mut addresses = record.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    let gateway = addresses.find_map(|assigned| assigned.gateway);
    record.hosts = Some(LOCALHOST.to_string() + &extra_lines(extra, gateway.map(|gateway| gateway.0)));
    record.hostnames = match record.name == hostname {
        true => hostname.into(),
        false => format!("{hostname} {}", record.name),
    };
}

/// The whole hosts file: its head, its own names in each network, and the others of its networks.
fn hosts(record: &Record, head: &str, all: &[Record]) -> String {
    let mut text = head.to_string();
    let own = record.endpoints.iter().flat_map(|endpoint| &endpoint.addresses);
    let mut own: Vec<String> = own.map(|assigned| assigned.address.to_string()).gather();
    if own.is_empty() {
        own.push(ALONE.into());
    }
    own.iter().for_each(|address| text.push_str(&format!("{address}\t{}\n", record.hostnames)));
    for other in all.iter().filter(|other| other.id != record.id) {
        for endpoint in other.endpoints.iter().filter(|endpoint| record.is_in(&endpoint.network)) {
            for assigned in &endpoint.addresses {
                text.push_str(&format!("{}\t{}", assigned.address, other.name));
                for alias in &endpoint.aliases {
                    text.push(' ');
                    text.push_str(alias);
                }
                text.push('\n');
            }
        }
    }
    text
}

/// Writes the hosts files of all containers that are in one of the networks. Who calls this holds the lock.
pub fn update(places: &Places, all: &[Record], networks: &[&str]) {
    for record in all.iter().filter(|record| networks.iter().any(|network| record.is_in(network))) {
        write(places, record, all);
    }
}

/// Writes a container's hosts file, if it has one of its own.
pub fn write(places: &Places, record: &Record, all: &[Record]) {
    let Some(head) = &record.hosts else { return };
    // A container that is just being removed has none any more.
    if let Err(error) = overwrite(&places.file(&record.id, "hosts"), &hosts(record, head, all))
        && error.errno() != Some(rustix::io::Errno::NOENT)
    {
        places.say(&format!("{error}"));
    }
}

/// Writes a file that is mounted in a container: it must stay the same one, so it cannot be renamed into place.
fn overwrite(path: &str, text: &str) -> Result<()> {
    let step = || format!("write {path}");
    let flags = OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = openat(CWD, path, flags, Mode::empty()).step(step)?;
    write_all(file.as_fd(), text.as_bytes()).step(step)?;
    ftruncate(&file, text.len() as u64).step(step)
}

/// What matters of a resolv.conf.
#[derive(Default)]
struct Resolver {
    servers: Vec<String>,
    search: Vec<String>,
    options: Vec<String>,
}

fn parse(text: &str) -> Resolver {
    let mut resolver = Resolver::default();
    for line in text.lines() {
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let keyword = words.next().unwrap_or_default();
        let rest = || words.map(String::from);
        match keyword {
            "nameserver" => resolver.servers.extend(rest().take(1)),
            // The last line of these counts.
            "search" | "domain" => resolver.search = rest().gather(),
            "options" => resolver.options.extend(rest()),
            _ => {}
        }
    }
    resolver
}

/// Whether a server is one that only the host itself reaches.
fn is_loopback(server: &str) -> bool {
    let bare = server.split('%').next().unwrap_or_default();
    bare.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

fn resolver(places: &Places, wish: &Wish) -> String {
    let mut resolver = parse(&read_lossy("/etc/resolv.conf").unwrap_or_default());
    let own_namespace = matches!(wish.mode, wish::Mode::Networks | wish::Mode::User);
    let local = |resolver: &Resolver| resolver.servers.iter().all(|server| is_loopback(server));
    if own_namespace && wish.dns.is_empty() {
        if local(&resolver)
            && let Ok(text) = read_lossy(SYSTEMD)
        {
            let real = parse(&text);
            if !local(&real) {
                resolver = real;
            }
        }
        if local(&resolver) {
            places.say(&format!(
                "the host's resolv.conf has no name server that a container reaches: it gets {} (--dns names others)",
                PUBLIC.join(" and ")
            ));
            resolver.servers = PUBLIC.map(String::from).into();
        }
        resolver.servers.retain(|server| !is_loopback(server));
    }
    chosen(resolver, wish)
}

/// What was asked for instead of the host's.
fn chosen(mut resolver: Resolver, wish: &Wish) -> String {
    if !wish.dns.is_empty() {
        resolver.servers = wish.dns.iter().map(ToString::to_string).gather();
    }
    if !wish.dns_search.is_empty() {
        resolver.search = wish.dns_search.iter().filter(|domain| *domain != ".").cloned().gather();
    }
    if !wish.dns_options.is_empty() {
        resolver.options.clone_from(&wish.dns_options);
    }
    let mut text: String = resolver.servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    for (keyword, words) in [("search", &resolver.search), ("options", &resolver.options)] {
        if !words.is_empty() {
            text.push_str(&format!("{keyword} {}\n", words.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::state::{Assigned, Endpoint};
    use super::super::subnet::{Address, Subnet};
    use super::*;

    fn record(id: &str, network: &str, address: &str, aliases: &[&str]) -> Record {
        let subnet = Subnet::parse("10.0.0.0/24").expect("a subnet");
        let gateway = subnet.nth(1).map(Address);
        let address = Address(address.parse().expect("an address"));
        let endpoint = Endpoint {
            network: network.into(),
            addresses: [Assigned { address, subnet, gateway }].into(),
            aliases: aliases.iter().map(ToString::to_string).collect(),
            ..Endpoint::default()
        };
        Record {
            id: id.into(),
            name: format!("name-{id}"),
            endpoints: [endpoint].into(),
            ..Record::default()
        }
    }

    #[test]
    fn the_others_of_a_network_are_in_the_hosts_file() {
        let mut own = record("a", "web", "10.0.0.2", &[]);
        let extra = [
            wish::extra_host("up:host-gateway").expect("one"),
            wish::extra_host("there:9.9.9.9").expect("one"),
        ];
        begin(&mut own, "box", &extra);
        let all = [
            own.clone(),
            record("b", "web", "10.0.0.3", &["db", "sql"]),
            record("c", "else", "10.0.0.4", &[]),
        ];
        let text = hosts(&own, own.hosts.as_deref().expect("a head"), &all);
        let lines: Vec<&str> = text.lines().skip(6).collect();
        assert_eq!(
            lines,
            ["10.0.0.1\tup", "9.9.9.9\tthere", "10.0.0.2\tbox name-a", "10.0.0.3\tname-b db sql"]
        );
    }

    #[test]
    fn a_resolver_takes_the_last_search_and_all_options() {
        let text = "# a\nnameserver 127.0.0.53\n;\nnameserver\t1.1.1.1 x\nsearch a b\ndomain c\noptions x\noptions y z\n";
        let resolver = parse(text);
        assert_eq!(resolver.servers, ["127.0.0.53", "1.1.1.1"]);
        assert_eq!(resolver.search, ["c"]);
        assert_eq!(resolver.options, ["x", "y", "z"]);
        assert!(is_loopback("127.0.0.53") && is_loopback("::1") && !is_loopback("fe80::1%eth0"));
    }

    #[test]
    fn what_was_asked_for_replaces_the_hosts() {
        let wish = Wish {
            dns: [Address("9.9.9.9".parse().expect("an address"))].into(),
            dns_search: [".".into()].into(),
            dns_options: ["ndots:2".into()].into(),
            ..Wish::default()
        };
        let host = parse("nameserver 1.1.1.1\nsearch a\noptions x\n");
        assert_eq!(chosen(host, &wish), "nameserver 9.9.9.9\noptions ndots:2\n");
    }
}
