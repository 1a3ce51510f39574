//! Who has which port of the host: a file a container below ROOT/.networks/ports, changed under one lock. The files
//! are gone with the next boot, as the rules in the kernel are.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::num::NonZeroU32;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, Mode, OFlags, flock};
use rustix::io::{self, Errno};
use rustix::net::sockopt::{set_ipv6_v6only, set_socket_reuseaddr};
use rustix::net::{
    self as socket, AddressFamily, SocketAddrAny, SocketFlags, SocketType, bind, getsockname, socket_with,
};

use super::shown::Host;
use super::{Protocol, Publish, check_distinct, key};
use crate::error::{Error, Result, Step};
use crate::fs::read_to_end;
use crate::fs::whole::write_whole;
use crate::gather::Gather as _;
use crate::network::subnet::Address;
use crate::spec::json::object;
use crate::spec::{parse, to_json};
use crate::sys::path::{mkdirat, openat, unlinkat};

/// How often another free port is tried where the first one is free for one family alone.
const TRIES: u32 = 64;

object! {
    /// The ports of a container.
    pub struct Reservation {
        /// The container's name, for who finds a port taken.
        "name" => name: String,
        /// The ports of the host are known.
        "ports" => ports: Vec<Publish>,
        /// The container's addresses to which the kernel redirects; none where a process forwards.
        "to" => to: Vec<Address>,
    }
}

/// All reservations, while nobody else may change them.
pub struct Reservations {
    directory: OwnedFd,
    /// By the ids of the containers.
    all: Vec<(String, Reservation)>,
}

impl Reservations {
    /// Waits for the lock, and reads what is there.
    pub fn lock(root: &str) -> Result<Reservations> {
        let path = format!("{root}/.networks/ports");
        for (end, _) in path.match_indices('/').filter(|(end, _)| *end > 0) {
            make(&path[..end])?;
        }
        make(&path)?;
        let directory = open(&path)?.ok_or_else(|| Error::os(format_args!("open {path}"), Errno::NOENT))?;
        // Given back when the descriptor is closed, by the kernel if need be.
        io::retry_on_intr(|| flock(&directory, FlockOperation::LockExclusive))
            .step(|| format!("lock {path}"))?;
        let all = read_all(&directory, &path)?;
        Ok(Reservations { directory, all })
    }

    /// Gives the container its ports, which were chosen.
    pub fn keep(&self, id: &str, reservation: &Reservation) -> Result<()> {
        write_whole(self.directory.as_fd(), id, &to_json(reservation), 0o600)
            .step(|| format!("keep the ports of container {id}"))
    }

    /// Gives the ports of a container back.
    pub fn remove(&self, id: &str) -> Result<()> {
        match unlinkat(&self.directory, id, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => other.step(|| format!("give the ports of container {id} back")),
        }
    }

    /// The containers that have ports.
    pub fn all(&self) -> &[(String, Reservation)] {
        &self.all
    }

    /// What the container gets: ports that were left open are chosen, all are proved to be free.
    pub fn choose(&self, id: &str, wanted: &[Publish]) -> Result<Vec<Publish>> {
        check_distinct(wanted)?;
        // Those that are named first, so that none of them is chosen for another.
        let mut chosen: Vec<Publish> = Vec::new();
        for publish in wanted.iter().filter(|publish| !is_open(publish)) {
            if let Some(error) = self.taken(id, publish, &[])? {
                return Err(error);
            }
            chosen.push(publish.clone());
        }
        let mut named = chosen.len();
        for publish in wanted.iter().filter(|publish| is_open(publish)) {
            let found = self.find(id, publish, &chosen)?;
            chosen.push(found);
        }
        // In the order in which they were asked for.
        let mut first = 0;
        Ok(wanted
            .iter()
            .filter_map(|publish| {
                let next = if is_open(publish) { &mut named } else { &mut first };
                *next += 1;
                chosen.get(*next - 1).cloned()
            })
            .gather())
    }

    /// Finds a port of the host that is free for `open`.
    fn find(&self, id: &str, open: &Publish, chosen: &[Publish]) -> Result<Publish> {
        let mut candidate = Publish { host_port_end: None, ..open.clone() };
        if let Some(last) = open.host_port_end {
            for port in open.host_port..=last {
                candidate.host_port = port;
                if self.taken(id, &candidate, chosen)?.is_none() {
                    return Ok(candidate);
                }
            }
            let range = format!("{}-{last}", Host(open));
            return Err(Error::new(format_args!("no port of {range} is free for {}", inside(open))));
        }
        for _ in 0..TRIES {
            candidate.host_port = free_port(open)?;
            if self.taken(id, &candidate, chosen)?.is_none() {
                return Ok(candidate);
            }
        }
        Err(Error::new(format_args!("no free port of the host was found for {}", inside(open))))
    }

    /// Why a port of the host cannot be had, if it cannot.
    fn taken(&self, id: &str, publish: &Publish, chosen: &[Publish]) -> Result<Option<Error>> {
        let what = || format!("publish {}/{}", Host(publish), publish.protocol.as_str());
        let others = self.all.iter().filter(|(other, _)| other != id);
        for (other, reservation) in others {
            if reservation.ports.iter().any(|port| port.clashes(publish)) {
                let short = other.get(..12).unwrap_or(other);
                let text = format!("{}: container {} ({short}) has published it", what(), reservation.name);
                return Ok(Some(Error::new(text)));
            }
        }
        if chosen.iter().any(|port| port.clashes(publish)) {
            return Ok(Some(Error::new(format_args!("{}: it is published twice", what()))));
        }
        for address in addresses(publish) {
            match try_to_bind(SocketAddr::new(address, publish.host_port), publish.protocol) {
                Ok(_) => {}
                Err(errno) if is_missing(errno, publish) => {}
                Err(errno) => {
                    let error = Error::os(what(), errno);
                    return Ok(Some(match errno {
                        Errno::ADDRINUSE => error.hint("a program of this host listens there"),
                        Errno::ADDRNOTAVAIL => error.hint("no interface of this host has the address"),
                        Errno::ACCESS => {
                            error.hint("ports below net.ipv4.ip_unprivileged_port_start need root")
                        }
                        _ => error,
                    }));
                }
            }
        }
        Ok(None)
    }
}

/// Whether the port of the host is still to be chosen.
fn is_open(publish: &Publish) -> bool {
    publish.host_port == 0 || publish.host_port_end.is_some()
}

fn inside(publish: &Publish) -> String {
    key(publish.container_port, publish.protocol)
}

fn addresses(publish: &Publish) -> impl Iterator<Item = IpAddr> {
    let all = [publish.ipv4().map(IpAddr::V4), publish.ipv6().map(IpAddr::V6)];
    all.into_iter().flatten()
}

/// Whether it is only that this kernel has no IPv6 or SCTP: nobody else can have the port then.
fn is_missing(errno: Errno, publish: &Publish) -> bool {
    match errno {
        Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL => publish.address().is_none(),
        Errno::PROTONOSUPPORT | Errno::SOCKTNOSUPPORT => publish.protocol == Protocol::Sctp,
        _ => false,
    }
}

fn free_port(publish: &Publish) -> Result<u16> {
    let unspecified = if publish.ipv4().is_some() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let address = publish.address().unwrap_or(unspecified);
    // Of the ports for SCTP nobody but us keeps account.
    let protocol = if publish.protocol == Protocol::Sctp { Protocol::Tcp } else { publish.protocol };
    try_to_bind(SocketAddr::new(address, 0), protocol)
        .and_then(|socket| getsockname(&socket))
        .and_then(SocketAddr::try_from)
        .map(|bound| bound.port())
        .step(|| format!("find a free port of {address} for {}", inside(publish)))
}

/// A socket that has the address, which nobody else can have as long as it lives.
pub fn try_to_bind(address: SocketAddr, protocol: Protocol) -> io::Result<OwnedFd> {
    /// `IPPROTO_SCTP` of linux/in.h.
    const SCTP: NonZeroU32 = NonZeroU32::new(132).expect("not 0");
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let (kind, number) = match protocol {
        Protocol::Tcp => (SocketType::STREAM, None),
        Protocol::Udp => (SocketType::DGRAM, None),
        Protocol::Sctp => (SocketType::STREAM, Some(socket::Protocol::from_raw(SCTP))),
    };
    let socket = socket_with(family, kind, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK, number)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, true)?;
    }
    if protocol == Protocol::Tcp {
        // Connections that wait for their end are nobody's who listens.
        set_socket_reuseaddr(&socket, true)?;
    }
    bind(&socket, &SocketAddrAny::from(address))?;
    Ok(socket)
}

fn make(path: &str) -> Result<()> {
    match mkdirat(CWD, path, Mode::RWXU) {
        Err(Errno::EXIST) => Ok(()),
        other => other.step(|| format!("make the directory {path}")),
    }
}

fn open(path: &str) -> Result<Option<OwnedFd>> {
    match openat(CWD, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => Ok(None),
        other => other.step(|| format!("open {path}")).map(Some),
    }
}

fn read_all(directory: &OwnedFd, path: &str) -> Result<Vec<(String, Reservation)>> {
    let step = || format!("list {path}");
    let mut all = Vec::new();
    for entry in Dir::read_from(directory).step(step)? {
        let entry = entry.step(step)?;
        let Ok(id) = entry.file_name().to_str() else { continue };
        // `.`, `..`, and what was being written when somebody was killed.
        if !id.starts_with('.')
            && let Some(reservation) = read_one(directory, id)?
        {
            all.push((id.to_string(), reservation));
        }
    }
    Ok(all)
}

fn read_one(directory: &OwnedFd, id: &str) -> Result<Option<Reservation>> {
    let step = || format!("read the ports of container {id}");
    let file = match openat(directory, id, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(None),
        file => file.step(step)?,
    };
    let bytes = read_to_end(&file).step(step)?;
    parse(&String::from_utf8_lossy(&bytes), id).map(Some)
}

/// The ports that a container has now; none where it has none.
pub fn of(root: &str, id: &str) -> Result<Vec<Publish>> {
    let Some(directory) = open(&format!("{root}/.networks/ports"))? else { return Ok(Vec::new()) };
    Ok(read_one(&directory, id)?.map_or(Vec::new(), |reservation| reservation.ports))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::network::ports;

    /// A directory of the test's own.
    struct Place(String);

    impl Place {
        fn new(name: &str) -> Place {
            let path = std::env::temp_dir().join(format!("servin-ports-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("make a directory");
            Place(path.to_str().expect("UTF-8").into())
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn wanted(texts: &[&str]) -> Vec<Publish> {
        texts.iter().flat_map(|text| ports::parse(text).expect("read")).collect()
    }

    #[test]
    fn who_has_a_port_is_named() {
        let place = Place::new("named");
        let all = Reservations::lock(&place.0).expect("locked");
        let own = all.choose("aaaaaaaaaaaabbbb", &wanted(&["127.0.0.1::80"])).expect("free");
        let kept = Reservation { name: "web".into(), ports: own.clone(), ..Reservation::default() };
        all.keep("aaaaaaaaaaaabbbb", &kept).expect("kept");
        let port = own[0].host_port;
        assert!(port != 0);
        drop(all);
        assert_eq!(of(&place.0, "aaaaaaaaaaaabbbb").expect("read"), own);
        let all = Reservations::lock(&place.0).expect("locked");
        let text = format!("{port}:81");
        let error = all.choose("c", &wanted(&[&text])).expect_err("taken").to_string();
        let expected = format!("publish 0.0.0.0:{port}/tcp: container web (aaaaaaaaaaaa) has published it");
        assert_eq!(error, expected);
        // The other protocol, and the same container anew.
        all.choose("c", &wanted(&[&format!("127.0.0.1:{port}:81/udp")])).expect("free");
        all.choose("aaaaaaaaaaaabbbb", &own).expect("its own");
        all.remove("aaaaaaaaaaaabbbb").expect("removed");
        all.remove("aaaaaaaaaaaabbbb").expect("removed");
        drop(all);
        Reservations::lock(&place.0).expect("locked").choose("c", &own).expect("free again");
    }

    #[test]
    fn what_a_program_listens_on_is_not_free() {
        let place = Place::new("program");
        let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
        let port = listener.local_addr().expect("an address").port();
        let all = Reservations::lock(&place.0).expect("locked");
        for text in [format!("127.0.0.1:{port}:80"), format!("{port}:80")] {
            let error = all.choose("c", &wanted(&[&text])).expect_err("taken").to_string();
            assert!(error.contains(&format!(":{port}/tcp: address already in use")), "{error}");
            assert!(error.ends_with("a program of this host listens there"), "{error}");
        }
        let error = all.choose("c", &wanted(&["192.0.2.77:80:80"])).expect_err("not ours").to_string();
        assert!(error.ends_with("no interface of this host has the address"), "{error}");
        // Of a range the next one is taken.
        let range = format!("127.0.0.1:{port}-{}:80", port + 20);
        let chosen = all.choose("c", &wanted(&[&range, "127.0.0.1::81", "127.0.0.1::82"])).expect("free");
        assert!(chosen[0].host_port > port && chosen[0].host_port <= port + 20);
        assert_eq!(chosen.iter().map(|one| one.container_port).collect::<Vec<_>>(), [80, 81, 82]);
        assert_ne!(chosen[1].host_port, chosen[2].host_port);
    }

    #[test]
    fn named_ports_come_before_chosen_ones_and_keep_their_order() {
        let place = Place::new("order");
        let all = Reservations::lock(&place.0).expect("locked");
        let free = all.choose("c", &wanted(&["127.0.0.1::1"])).expect("free")[0].host_port;
        let texts = [format!("127.0.0.1:{free}-{}:80", free + 20), format!("127.0.0.1:{free}:81")];
        let chosen = all.choose("c", &wanted(&[&texts[0], &texts[1]])).expect("free");
        assert_eq!((chosen[0].container_port, chosen[1].container_port), (80, 81));
        assert_eq!(chosen[1].host_port, free);
        assert!(chosen[0].host_port > free);
    }
}
