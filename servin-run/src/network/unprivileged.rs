//! The programs that connect what an unprivileged user has started, pasta(1) and slirp4netns(1): how they are called,
//! and how they end.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::Ipv4Addr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::ports::{Protocol, Publish};
use super::state::Places;
use super::wish::Wish;
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::sys::signal::kill;

/// Their names, the better one first: pasta has both families, and its container the host's own addresses.
pub const PROGRAMS: [&str; 2] = ["pasta", "slirp4netns"];

/// The file that has its pid, in the bundle.
pub const PID: &str = "connected.pid";

/// How pasta is called for the namespaces of a process.
pub fn pasta(places: &Places, id: &str, wish: &Wish, pid: i32) -> Result<Vec<String>> {
    // Containers do not reach what listens on the host's loopback interface alone, which the gateway would lead to.
    let mut all: Vec<String> =
        ["pasta", "--config-net", "--no-map-gw", "--quiet", "--pid"].map(String::from).into();
    all.push(places.file(id, PID));
    for (flag, protocol) in [("-t", Protocol::Tcp), ("-u", Protocol::Udp)] {
        let before = all.len();
        for publish in wish.publish.iter().filter(|publish| publish.protocol == protocol) {
            let host = publish.address().map_or(String::new(), |address| format!("{address}/"));
            all.extend([flag.into(), format!("{host}{}:{}", publish.host_port, publish.container_port)]);
        }
        if all.len() == before {
            all.extend([flag.into(), "none".into()]);
        }
    }
    all.extend(["-T", "none", "-U", "none"].map(String::from));
    all.push(format!("{pid}"));
    Ok(all)
}

/// How slirp4netns is called for the namespaces of a process: `ready` is where it says that it works, `socket` where
/// it hears of ports.
pub fn slirp(pid: i32, ready: i32, socket: Option<&str>) -> Vec<String> {
    // As above. The price: no answer of a published UDP port finds its way to who asks from 127.0.0.1.
    let mut all: Vec<String> =
        ["slirp4netns", "--configure", "--mtu=65520", "--disable-host-loopback"].map(String::from).into();
    all.push(format!("--ready-fd={ready}"));
    all.extend(socket.map(|path| format!("--api-socket={path}")));
    all.extend([format!("{pid}"), "eth0".into()]);
    all
}

/// What slirp4netns is told to forward a port (slirp4netns(1), `add_hostfwd`).
pub fn slirp_port(publish: &Publish) -> String {
    format!(
        "{{\"execute\":\"add_hostfwd\",\"arguments\":{{\"proto\":\"{}\",\"host_addr\":\"{}\",\"host_port\":{},\
         \"guest_port\":{}}}}}",
        publish.protocol.as_str(),
        publish.ipv4().unwrap_or(Ipv4Addr::UNSPECIFIED),
        publish.host_port,
        publish.container_port
    )
}

/// Refuses ports that such a program cannot forward.
pub fn check(program: &str, publish: &[Publish]) -> Result<()> {
    for one in publish {
        let refuse = |why: &str| Err(Error::new(format_args!("--publish: {program} {why}")));
        if one.host_port == 0 || one.host_port_end.is_some() {
            return refuse("needs to know the host's port")
                .map_err(|e| e.hint("-p HOST:CONTAINER names both"));
        }
        if one.protocol == Protocol::Sctp {
            return refuse("does not forward SCTP");
        }
        if program == PROGRAMS[1] && one.ipv4().is_none() {
            return refuse("forwards ports of IPv4 alone");
        }
    }
    Ok(())
}

/// Ends the one of a container, which holds the namespace otherwise.
pub fn end(places: &Places, id: &str) {
    let path = places.file(id, PID);
    let Ok(text) = read_text(&path) else { return };
    let Ok(pid) = text.trim().parse::<i32>() else { return };
    // Another process may have its pid by now.
    let is_it = read_text(&format!("/proc/{pid}/comm")).is_ok_and(|name| {
        PROGRAMS.iter().any(|program| name.starts_with(program.get(..3).unwrap_or_default()))
    });
    if let Some(pid) = Pid::from_raw(pid).filter(|_| is_it) {
        let descriptor = pidfd_open(pid, PidfdFlags::empty());
        let _ = kill(pid, linux_raw_sys::general::SIGTERM);
        // The next one cannot have its ports before it has ended.
        if let Ok(descriptor) = descriptor {
            let limit = Timespec { tv_sec: 2, tv_nsec: 0 };
            let _ = retry_on_intr(|| poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&limit)));
        }
    }
    let _ = rustix::fs::unlink(path);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::ports::parse;

    fn wanted(text: &str) -> Vec<Publish> {
        parse(text).expect("read")
    }

    #[test]
    fn slirp4netns_hears_of_a_port_in_its_own_words() {
        let text = slirp_port(&wanted("127.0.0.1:8080:80/udp")[0]);
        let expected = "{\"execute\":\"add_hostfwd\",\"arguments\":{\"proto\":\"udp\",\"host_addr\":\"127.0.0.1\",\
                        \"host_port\":8080,\"guest_port\":80}}";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_they_cannot_forward_is_refused_by_name() {
        let error = |program, text| check(program, &wanted(text)).map_err(|error| format!("{error}"));
        for program in PROGRAMS {
            assert_eq!(error(program, "8080:80"), Ok(()));
            assert!(error(program, "80").is_err_and(|text| text.contains(program)));
            assert!(error(program, "8080-8090:80").is_err_and(|text| text.contains("the host's port")));
            assert!(error(program, "8080:80/sctp").is_err_and(|text| text.contains("SCTP")));
        }
        assert_eq!(error("pasta", "[::1]:8080:80"), Ok(()));
        assert!(error("slirp4netns", "[::1]:8080:80").is_err_and(|text| text.contains("IPv4 alone")));
    }
}
