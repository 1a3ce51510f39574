//! Ports that a process forwards: where the kernel has no nftables, where it is asked for, and where packets cannot
//! be redirected (::1, and IPv6 to a container that has none). This is what is to be forwarded; `supervise::proxy`
//! does it.

use alloc::string::{String, ToString};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::ports::{Protocol, Publish};
use crate::error::{Error, Result};
use crate::spec::json::object;

object! {
    /// A port that a process forwards.
    pub struct Forward {
        /// What is spoken.
        "protocol" => protocol: Protocol,
        /// Where to listen: `0.0.0.0:8080`, `[::1]:8080`.
        "listen" => listen: String,
        /// Where to connect to.
        "to" => to: String,
    }
}

impl Forward {
    /// Where to listen, and where to connect to.
    pub fn ends(&self) -> Result<(SocketAddr, SocketAddr)> {
        let end = |text: &str| {
            text.parse().map_err(|_| Error::new(format_args!("\"{text}\" is no address and port to forward")))
        };
        Ok((end(&self.listen)?, end(&self.to)?))
    }
}

/// What the kernel redirects, and what a process has to forward, of one published port.
pub(super) struct Split {
    /// From, and to, for nftables.
    pub redirected: [Option<(IpAddr, IpAddr)>; 2],
    /// For a process.
    pub forwarded: [Option<Forward>; 2],
}

/// Divides the work. A container has at least one of the two addresses.
pub(super) fn split(
    publish: &Publish,
    address4: Option<Ipv4Addr>,
    address6: Option<Ipv6Addr>,
    only_proxy: bool,
) -> Split {
    let (from4, from6) = (publish.ipv4().map(IpAddr::V4), publish.ipv6().map(IpAddr::V6));
    let (to4, to6) = (address4.map(IpAddr::V4), address6.map(IpAddr::V6));
    let mut split = Split { redirected: [None, None], forwarded: [None, None] };
    for (index, (from, own, other)) in [(from4, to4, to6), (from6, to6, to4)].into_iter().enumerate() {
        let Some(from) = from else { continue };
        let forward = |to: Option<IpAddr>| {
            to.map(|to| Forward {
                protocol: publish.protocol,
                listen: SocketAddr::new(from, publish.host_port).to_string(),
                to: SocketAddr::new(to, publish.container_port).to_string(),
            })
        };
        if only_proxy {
            split.forwarded[index] = forward(own.or(other));
        } else if let Some(to) = own
            && from != IpAddr::V6(Ipv6Addr::LOCALHOST)
        {
            split.redirected[index] = Some((from, to));
            // Every address of IPv6, asked for by name: ::1 too, which packets cannot be redirected from.
            if publish.address() == Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED)) {
                let from = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), publish.host_port);
                split.forwarded[index] = forward(own).map(|one| Forward { listen: from.to_string(), ..one });
            }
        } else if publish.address().is_some() {
            split.forwarded[index] = forward(own.or(other));
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::super::ports::parse;
    use super::*;

    fn divided(text: &str, has6: bool, only_proxy: bool) -> String {
        let publish = parse(text).expect("read").remove(0);
        let address6 = has6.then(|| "fd00::2".parse().expect("an address"));
        let split = split(&publish, Some(Ipv4Addr::new(10, 0, 0, 2)), address6, only_proxy);
        let redirected = split.redirected.iter().flatten().map(|(from, to)| alloc::format!("{from}->{to}"));
        let forwarded =
            split.forwarded.iter().flatten().map(|one| alloc::format!("{}=>{}", one.listen, one.to));
        redirected.chain(forwarded).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_kernel_redirects_what_it_can() {
        assert_eq!(divided("1:2", false, false), "0.0.0.0->10.0.0.2");
        assert_eq!(divided("1:2", true, false), "0.0.0.0->10.0.0.2 ::->fd00::2");
        assert_eq!(divided("127.0.0.1:1:2", true, false), "127.0.0.1->10.0.0.2");
        assert_eq!(divided("[::1]:1:2", true, false), "[::1]:1=>[fd00::2]:2");
        assert_eq!(divided("[::1]:1:2", false, false), "[::1]:1=>10.0.0.2:2");
        assert_eq!(divided("[::]:1:2", true, false), "::->fd00::2 [::1]:1=>[fd00::2]:2");
        assert_eq!(divided("[::]:1:2", false, false), "[::]:1=>10.0.0.2:2");
    }

    #[test]
    fn without_nftables_a_process_forwards_all() {
        assert_eq!(divided("1:2", false, true), "0.0.0.0:1=>10.0.0.2:2 [::]:1=>10.0.0.2:2");
        assert_eq!(divided("1:2", true, true), "0.0.0.0:1=>10.0.0.2:2 [::]:1=>[fd00::2]:2");
        assert_eq!(divided("127.0.0.1:1:2", false, true), "127.0.0.1:1=>10.0.0.2:2");
    }
}
