//! Whose namespaces a container has: its own, the host's, another container's.

use alloc::string::String;
use alloc::vec::Vec;

use crate::gather::Gather as _;
use crate::spec::{Namespace, NamespaceKind};

/// Whose a namespace is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Space {
    /// The container's own.
    #[default]
    New,
    /// The host's.
    Host,
    /// The one of this file: another container's.
    Of(String),
    /// The container's own, and nothing of it is to be seen (`--ipc none`).
    Nobody,
}

/// Whose each of them is. That of mounts is always its own.
#[derive(Debug, Clone, Default)]
pub struct Spaces {
    /// Process ids.
    pub pid: Space,
    /// Network devices and addresses.
    pub network: Space,
    /// Shared memory and message queues.
    pub ipc: Space,
    /// Host name.
    pub uts: Space,
    /// The view of the cgroups.
    pub cgroup: Space,
}

impl Spaces {
    /// `linux.namespaces`; rootless containers have a user namespace too.
    pub fn namespaces(self, rootless: bool) -> Vec<Namespace> {
        let user = if rootless { Space::New } else { Space::Host };
        let kinds = [
            (NamespaceKind::Pid, self.pid),
            (NamespaceKind::Mount, Space::New),
            (NamespaceKind::Network, self.network),
            (NamespaceKind::Ipc, self.ipc),
            (NamespaceKind::Uts, self.uts),
            (NamespaceKind::Cgroup, self.cgroup),
            (NamespaceKind::User, user),
        ];
        let namespace = |(kind, space)| match space {
            Space::Host => None,
            Space::Of(path) => Some(Namespace { kind, path: Some(path) }),
            Space::New | Space::Nobody => Some(Namespace { kind, path: None }),
        };
        kinds.into_iter().filter_map(namespace).gather()
    }
}
