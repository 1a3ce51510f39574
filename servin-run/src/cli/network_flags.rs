//! The flags of `run` and `create` that are about networks, with Docker's and Podman's spellings.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::arguments::{Flag, Given, Group, flag};
use super::{output, rootless};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::launch::user_namespace::helper;
use crate::network::subnet::Address;
use crate::network::unprivileged::{self, PROGRAMS};
use crate::network::wish::{Membership, Mode, Wish, check_host_name, extra_host};
use crate::network::{definition, link, ports};
use crate::spec::json::Encode as _;

/// The flags.
pub const NETWORK: Group = Group("Network", FLAGS);

#[rustfmt::skip]
const FLAGS: &[Flag] = &[
    flag("network", None, Some("NETWORK"), "bridge (the default), host, none, container:NAME, or a network's name"),
    flag("net", None, Some("NETWORK"), "the same as --network"),
    flag("ip", None, Some("ADDRESS"), "its IPv4 address"),
    flag("ip6", None, Some("ADDRESS"), "its IPv6 address"),
    flag("mac-address", None, Some("ADDRESS"), "its hardware address"),
    flag("network-alias", None, Some("NAME"), "another name for the others of its networks"),
    flag("dns", None, Some("ADDRESS"), "name server, instead of the host's"),
    flag("dns-search", None, Some("DOMAIN"), "domain to search; . is none"),
    flag("dns-option", None, Some("OPTION"), "option of the resolver, such as ndots:2"),
    flag("add-host", None, Some("NAME:ADDRESS"), "a line of /etc/hosts; host-gateway is the host's address"),
    flag("publish", Some('p'), Some("[IP:]HOST:PORT[/PROTOCOL]"), "let a port of the host lead to one of its own"),
    flag("publish-all", Some('P'), None, "publish all exposed ports on free ones of the host"),
    flag("publish-mode", None, Some("MODE"), "who forwards ports: auto, nftables or proxy"),
    flag("expose", None, Some("PORT[/PROTOCOL]"), "a port for --publish-all, besides those of the image"),
];

/// What the flags ask for. `exposed` are the image's own ports.
pub fn wish(given: &Given, exposed: &[&str]) -> Result<Wish> {
    let asked: Vec<&str> = given.values("network").chain(given.values("net")).gather();
    let mut wish = Wish::default();
    match asked.as_slice() {
        [] => by_default(&mut wish),
        [one] => choose(&mut wish, one)?,
        several => several.iter().try_for_each(|one| {
            choose(&mut wish, one)?;
            match wish.mode {
                Mode::Networks => Ok(()),
                _ => Err(Error::new(format_args!("--network {one} goes with no other network"))),
            }
        })?,
    }
    if wish.mode == Mode::Networks && !wish.by_default && rootless::id_maps().is_some() {
        return Err(Error::new(format_args!(
            "--network {}: it takes the privileges of root on the host",
            asked.join(" ")
        ))
        .hint(
            "an unprivileged user has --network pasta (of the package passt), slirp4netns, host and none",
        ));
    }
    place(&mut wish, given)?;
    let texts = |name: &'static str| given.values(name).map(ToString::to_string);
    wish.dns = given.values("dns").map(|text| address("dns", text)).gather::<Result<_>>()?;
    wish.dns_search = texts("dns-search").gather();
    wish.dns_options = texts("dns-option").gather();
    for (name, values) in [("dns-search", &wish.dns_search), ("dns-option", &wish.dns_options)] {
        if let Some(bad) =
            values.iter().find(|text| text.is_empty() || text.contains([' ', '\t', '\n', '\r']))
        {
            return Err(Error::new(format_args!("--{name} \"{bad}\": it is one word")));
        }
    }
    wish.extra_hosts = given.values("add-host").map(extra_host).gather::<Result<_>>()?;
    publish(&mut wish, given, exposed)?;
    Ok(wish)
}

/// What a container gets whose user did not ask.
fn by_default(wish: &mut Wish) {
    wish.by_default = true;
    if rootless::id_maps().is_none() {
        wish.networks.push(member(definition::DEFAULT));
        return;
    }
    let installed = PROGRAMS.into_iter().find(|program| helper(program).is_some());
    wish.mode = if installed.is_some() { Mode::User } else { Mode::None };
    wish.program = installed.unwrap_or_default().into();
}

fn member(name: &str) -> Membership {
    Membership { network: name.into(), ..Membership::default() }
}

/// Adds one value of `--network`.
fn choose(wish: &mut Wish, text: &str) -> Result<()> {
    let refuse = |why: &str| Err(Error::new(format_args!("--network {text}: {why}")));
    // Docker: name=NETWORK,alias=…; Podman: NETWORK:alias=…,ip=….
    let colon = text.split_once(':').filter(|(name, _)| !name.contains('='));
    let (name, settings) = match colon {
        Some(("container", owner)) if !owner.is_empty() => {
            wish.mode = Mode::Container;
            wish.container = Some(owner.into());
            return Ok(());
        }
        Some((name, settings)) => (name, settings),
        None if text.contains('=') => ("", text),
        None => (text, ""),
    };
    let mut membership = member(if name == "default" { definition::DEFAULT } else { name });
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        let Some((key, value)) = setting.split_once('=') else {
            return refuse(&format!("{setting} is no KEY=VALUE"));
        };
        match key {
            "name" if name.is_empty() => membership.network = value.into(),
            "ip" | "ip6" => membership.addresses.push(address("network", value)?),
            "mac" | "mac-address" => membership.mac = Some(mac("network", value)?),
            "alias" => membership.aliases.push(alias(value)?),
            _ => return refuse(&format!("there is no {key}, there are ip, ip6, mac and alias")),
        }
    }
    let plain = settings.is_empty();
    wish.mode = match membership.network.as_str() {
        "" => return refuse("the network's name is missing"),
        "host" if plain => Mode::Host,
        "none" if plain => Mode::None,
        program @ ("pasta" | "slirp4netns") if plain => {
            if rootless::id_maps().is_none() {
                return refuse("it is for unprivileged users: root has --network bridge");
            }
            if helper(program).is_none() {
                return refuse("the program is not installed (packages passt and slirp4netns)");
            }
            wish.program = program.into();
            Mode::User
        }
        "host" | "none" | "pasta" | "container" | "slirp4netns" => {
            return refuse(
                "there are host, none, pasta, slirp4netns, container:NAME, and the names of networks",
            );
        }
        _ => Mode::Networks,
    };
    if wish.mode == Mode::Networks {
        if wish.networks.iter().any(|other| other.network == membership.network) {
            return refuse("it is there twice");
        }
        wish.networks.push(membership);
    }
    Ok(())
}

/// `--ip` and the like: they are about the first network.
fn place(wish: &mut Wish, given: &Given) -> Result<()> {
    let flags = ["ip", "ip6", "mac-address", "network-alias"];
    let used = flags.into_iter().find(|name| given.value(name).is_some());
    let Some(used) = used else { return Ok(()) };
    if wish.mode != Mode::Networks {
        return Err(Error::new(format_args!(
            "--{used}: the container is in no network where it could have that"
        )));
    }
    let aliases = given.values("network-alias").map(alias).gather::<Result<Vec<String>>>()?;
    for membership in &mut wish.networks {
        membership.aliases.extend(aliases.iter().cloned());
    }
    let Some(first) = wish.networks.first_mut() else { return Ok(()) };
    for name in ["ip", "ip6"] {
        let Some(text) = given.value(name) else { continue };
        let wanted = address(name, text)?;
        if wanted.0.is_ipv4() != (name == "ip") {
            return Err(Error::new(format_args!("--{name} {text}: that is an address of the other family")));
        }
        first.addresses.retain(|other| other.0.is_ipv4() != wanted.0.is_ipv4());
        first.addresses.push(wanted);
    }
    if let Some(text) = given.value("mac-address") {
        first.mac = Some(mac("mac-address", text)?);
    }
    Ok(())
}

/// The place that `network connect` asks for.
pub fn membership(given: &Given, network: &str) -> Result<Membership> {
    let mut membership = member(network);
    for name in ["ip", "ip6"] {
        membership.addresses.extend(given.value(name).map(|text| address(name, text)).transpose()?);
    }
    membership.mac = given.value("mac-address").map(|text| mac("mac-address", text)).transpose()?;
    membership.aliases = given.values("alias").map(alias).gather::<Result<_>>()?;
    Ok(membership)
}

fn publish(wish: &mut Wish, given: &Given, exposed: &[&str]) -> Result<()> {
    for text in given.values("publish") {
        wish.publish.extend(ports::parse(text)?);
    }
    let texts = exposed.iter().copied().chain(given.values("expose"));
    let mut all = Vec::new();
    for text in texts {
        all.extend(ports::exposed(text)?);
    }
    if given.switch("publish-all", false) {
        ports::publish_all(&all, &mut wish.publish);
    }
    ports::check_distinct(&wish.publish)?;
    if let Some(word) = given.value("publish-mode") {
        let mode = ports::Mode::WORDS.iter().position(|known| *known == word);
        let mode = mode.and_then(|at| ports::Mode::ALL.get(at));
        wish.publish_mode = *mode.ok_or_else(|| {
            Error::new(format_args!("--publish-mode {word}: there are {}", ports::Mode::WORDS.join(", ")))
        })?;
    }
    if wish.publish.absent() {
        return Ok(());
    }
    match wish.mode {
        Mode::Networks => Ok(()),
        Mode::User => unprivileged::check(&wish.program, &wish.publish),
        Mode::Host => {
            output::warning("--publish means nothing with --network host: all ports are the host's");
            wish.publish.clear();
            Ok(())
        }
        Mode::Container => {
            Err(Error::new("--publish: the ports are those of the container whose network is shared")
                .hint("publish them there"))
        }
        Mode::None if wish.by_default => Err(Error::new("--publish: an unprivileged user has no network")
            .hint("pasta (of the package passt) or slirp4netns makes one, if it is installed")),
        Mode::None => Err(Error::new("--publish: a container without a network has no ports to publish")),
    }
}

fn address(flag: &str, text: &str) -> Result<Address> {
    text.parse().map(Address).map_err(|_| Error::new(format_args!("--{flag} {text}: that is no address")))
}

fn mac(flag: &str, text: &str) -> Result<String> {
    let mac = link::parse_mac(text).map_err(|error| error.within(format_args!("--{flag}")))?;
    Ok(link::mac_text(&mac))
}

fn alias(text: &str) -> Result<String> {
    check_host_name(text).map_err(|error| error.within("--network-alias"))?;
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Command;

    const COMMAND: Command =
        Command { name: "servin test", usage: "", about: "", groups: &[NETWORK], last_word: usize::MAX };

    fn read(arguments: &[&str]) -> Result<Wish> {
        wish(&COMMAND.parse(arguments).expect("parsed"), &["80/tcp"])
    }

    #[test]
    fn networks_are_named_in_dockers_and_podmans_way() {
        let mut wish = Wish::default();
        choose(&mut wish, "web:alias=a,ip=10.0.0.5,alias=b").expect("read");
        choose(&mut wish, "name=db,mac-address=02:00:00:00:00:01").expect("read");
        assert_eq!(wish.networks[0].network, "web");
        assert_eq!(wish.networks[0].aliases, ["a", "b"]);
        assert_eq!(wish.networks[0].addresses[0].to_string(), "10.0.0.5");
        assert_eq!(wish.networks[1].network, "db");
        assert_eq!(wish.networks[1].mac.as_deref(), Some("02:00:00:00:00:01"));
        for bad in ["", "web:ip=x", "web:colour=red", "host:ip=10.0.0.1", "container", "web:x", "db:name=x"] {
            assert!(choose(&mut wish.clone(), bad).is_err(), "{bad}");
        }
        assert!(choose(&mut wish, "web").is_err(), "twice");
    }

    #[test]
    fn a_namespace_that_is_not_ones_own_goes_with_nothing_else() {
        assert_eq!(read(&["--network", "host"]).expect("read").mode, Mode::Host);
        let shared = read(&["--network", "container:web"]).expect("read");
        assert_eq!((shared.mode, shared.container.as_deref()), (Mode::Container, Some("web")));
        for bad in [
            &["--network", "host", "--network", "none"][..],
            &["--network", "none", "--ip", "10.0.0.1"],
            &["--network", "none", "-p", "80:80"],
            &["--network", "container:web", "-p", "80:80"],
            &["--network", "none", "--dns", "x"],
            &["--network", "none", "--dns-search", "a b"],
            &["--network", "none", "--add-host", "a"],
            &["--network", "none", "--publish-mode", "magic"],
        ] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn exposed_ports_are_published_if_all_are_to_be() {
        // Whether tests run as root or not, this one has a network.
        let mut wish = Wish::default();
        let given = COMMAND.parse(&["-P", "--expose", "53/udp", "-p", "8080:80"]).expect("parsed");
        publish(&mut wish, &given, &["80/tcp", "443"]).expect("read");
        let ports: Vec<u16> = wish.publish.iter().map(|publish| publish.container_port).collect();
        assert_eq!(ports, [80, 443, 53]);
    }
}
