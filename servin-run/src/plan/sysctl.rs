//! Kernel parameters: only those that belong to a namespace of the container (CVE-2022-0811).

use alloc::string::String;
use alloc::vec::Vec;

use super::namespaces::Namespaces;
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec::NamespaceKind;

/// Which parameters each namespace has for itself: whole names, and prefixes that end in a dot.
const NAMESPACED: &[(NamespaceKind, &[&str])] = &[
    (
        NamespaceKind::Ipc,
        &[
            "fs.mqueue.",
            "kernel.msgmax",
            "kernel.msgmnb",
            "kernel.msgmni",
            "kernel.sem",
            "kernel.shm_rmid_forced",
            "kernel.shmall",
            "kernel.shmmax",
            "kernel.shmmni",
        ],
    ),
    (NamespaceKind::Network, &["net."]),
    (NamespaceKind::Uts, &["kernel.domainname"]),
];

/// One parameter: its path below /proc/sys, and the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sysctl {
    /// As it was given: `net.ipv4.ip_forward`.
    pub key: String,
    /// `net/ipv4/ip_forward`
    pub path: String,
    /// The namespace that it belongs to.
    pub namespace: NamespaceKind,
    /// What is written.
    pub value: String,
}

/// Checks `linux.sysctl` against the namespaces that the container does not share with the host.
pub fn plan(sysctl: &[(String, String)], namespaces: &Namespaces) -> Result<Vec<Sysctl>> {
    sysctl.iter().map(|(key, value)| one(key, value, namespaces)).gather()
}

fn one(key: &str, value: &str, namespaces: &Namespaces) -> Result<Sysctl> {
    let refuse = |why: &str| Err(Error::new(format_args!("linux.sysctl.{key}: {why}")));
    let (dotted, path) = both_spellings(key);
    let component_is_bad = |c: &str| c.is_empty() || c == "." || c == "..";
    if path.split('/').any(component_is_bad)
        || key.bytes().any(|b| b.is_ascii_control() || b == b' ' || b == b'=')
    {
        return refuse("not the name of a kernel parameter");
    }
    if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
        return refuse("the value holds a line break or another control character");
    }
    let matches = |name: &&str| dotted == **name || (name.ends_with('.') && dotted.starts_with(*name));
    let Some((kind, _)) = NAMESPACED.iter().find(|(_, names)| names.iter().any(&matches)) else {
        return refuse("belongs to the whole host, not to a namespace");
    };
    if !namespaces.separate(*kind) {
        return refuse(match kind {
            NamespaceKind::Ipc => "needs an ipc namespace of the container's own in linux.namespaces",
            NamespaceKind::Network => "needs a network namespace of the container's own in linux.namespaces",
            _ => "needs a uts namespace of the container's own in linux.namespaces",
        });
    }
    Ok(Sysctl { key: key.into(), path, namespace: *kind, value: value.into() })
}

/// The dotted name and the path. As in sysctl(8), the first separator decides which of `.` and `/` separates,
/// and the other is then part of a name: `net/ipv4/conf/eth0.1/forwarding` is `net.ipv4.conf.eth0/1.forwarding`.
fn both_spellings(key: &str) -> (String, String) {
    let swapped = key
        .chars()
        .map(|c| match c {
            '.' => '/',
            '/' => '.',
            other => other,
        })
        .collect();
    match key.find(['.', '/']) {
        Some(at) if key.as_bytes()[at] == b'/' => (swapped, key.into()),
        _ => (key.into(), swapped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(key: &str, value: &str, kinds: &[NamespaceKind]) -> Result<Sysctl> {
        one(key, value, &Namespaces { new: kinds.to_vec(), ..Namespaces::default() })
    }

    #[test]
    fn a_parameter_of_an_own_namespace_is_written_below_proc_sys() {
        let kinds = [NamespaceKind::Network, NamespaceKind::Ipc];
        let path = |key| with(key, "1", &kinds).expect("allowed").path;
        assert_eq!(path("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(path("net/ipv4/conf/eth0.1/forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(path("net.ipv4.conf.eth0/1.forwarding"), "net/ipv4/conf/eth0.1/forwarding");
        assert_eq!(path("fs.mqueue.msg_max"), "fs/mqueue/msg_max");
    }

    #[test]
    fn what_reaches_the_host_is_refused() {
        let all = [NamespaceKind::Network, NamespaceKind::Ipc, NamespaceKind::Uts];
        for key in [
            "kernel.core_pattern",
            "vm.swappiness",
            "net",
            "net/../kernel/core_pattern",
            "net..ipv4",
            "kernel.shmmax+1",
            "kernel.shmmax=1\nkernel.core_pattern",
            "",
        ] {
            assert!(with(key, "1", &all).is_err(), "{key}");
        }
        assert!(with("net.ipv4.ip_forward", "1\n2", &all).is_err(), "a value with a line break");
        assert!(with("net.ipv4.ip_forward", "1", &[]).is_err(), "the host's own network");
    }
}
