//! /etc/hosts and /etc/resolv.conf (hosts(5), resolv.conf(5)).

use crate::gather::Gather as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// Who is asked, and how. The limits are those of resolv.conf(5).
#[derive(Debug, PartialEq, Eq)]
pub struct Configuration {
    pub servers: Vec<IpAddr>,
    search: Vec<String>,
    ndots: usize,
    /// In seconds.
    pub timeout: u64,
    pub attempts: u32,
}

const MAX_SERVERS: usize = 3;
const MAX_SEARCH: usize = 32;

impl Configuration {
    pub fn parse(text: &str) -> Configuration {
        let mut configuration =
            Configuration { servers: Vec::new(), search: Vec::new(), ndots: 1, timeout: 5, attempts: 2 };
        for line in text.lines() {
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    // Addresses with a zone (fe80::1%eth0) are for links that registries are not on.
                    let server = words.next().and_then(|word| word.parse::<IpAddr>().ok());
                    configuration.servers.extend(server);
                }
                // The last one of both counts.
                Some("search" | "domain") => {
                    let domains = words.take(MAX_SEARCH);
                    configuration.search = domains.map(|word| word.trim_end_matches('.').into()).gather();
                }
                Some("options") => words.for_each(|option| configuration.option(option)),
                _ => {}
            }
        }
        configuration.servers.truncate(MAX_SERVERS);
        if configuration.servers.is_empty() {
            configuration.servers.push(IpAddr::from([127, 0, 0, 1]));
        }
        configuration
    }

    fn option(&mut self, option: &str) {
        let Some((name, Ok(value))) =
            option.split_once(':').map(|(name, value)| (name, value.parse::<u32>()))
        else {
            return;
        };
        match name {
            "ndots" => self.ndots = value.min(15) as usize,
            "timeout" => self.timeout = value.clamp(1, 30).into(),
            "attempts" => self.attempts = value.clamp(1, 5),
            _ => {}
        }
    }

    /// The names that `name` may stand for, in the order in which they are asked for.
    pub fn candidates(&self, name: &str) -> Vec<String> {
        if let Some(whole) = name.strip_suffix('.') {
            return alloc::vec![String::from(whole)];
        }
        let mut names: Vec<String> = self.search.iter().map(|domain| format!("{name}.{domain}")).gather();
        let dots = name.bytes().filter(|byte| *byte == b'.').count();
        let at = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(at, name.into());
        names
    }
}

/// The addresses that the hosts file has for a name.
pub fn hosts(text: &str, name: &str) -> Vec<IpAddr> {
    let mut found = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_ascii_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        if words.any(|word| word.eq_ignore_ascii_case(name)) && !found.contains(&address) {
            found.push(address);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resolv_conf_is_read_as_its_manual_says() {
        let text = "# by hand\ndomain old.example\nsearch a.example b.example.\nnameserver 10.0.0.1\nnameserver ::1\nnameserver x\noptions ndots:2 timeout:99 attempts:0 rotate\n";
        let configuration = Configuration::parse(text);
        assert_eq!(configuration.servers, ["10.0.0.1", "::1"].map(|a| a.parse::<IpAddr>().expect("valid")));
        assert_eq!((configuration.timeout, configuration.attempts), (30, 1));
        assert_eq!(configuration.candidates("x.y"), ["x.y.a.example", "x.y.b.example", "x.y"]);
        assert_eq!(configuration.candidates("x.y.z"), ["x.y.z", "x.y.z.a.example", "x.y.z.b.example"]);
        assert_eq!(configuration.candidates("x."), ["x"]);
        assert_eq!(Configuration::parse("").servers, [IpAddr::from([127, 0, 0, 1])]);
    }

    #[test]
    fn the_hosts_file_knows_aliases_in_any_case() {
        let text =
            "127.0.0.1 localhost # here\n10.1.1.1\tRegistry.example reg # reg2\n::5 reg\nnonsense reg\n";
        assert_eq!(hosts(text, "REG"), ["10.1.1.1", "::5"].map(|a| a.parse::<IpAddr>().expect("valid")));
        assert_eq!(hosts(text, "registry.example").len(), 1);
        assert!(hosts(text, "reg2").is_empty());
    }
}
