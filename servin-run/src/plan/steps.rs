//! The steps of a container's set-up, as data. Their words are what `--plan` and `--trace` print, and what an
//! error begins with.

use alloc::boxed::Box;
use alloc::string::String;
use core::fmt;

use linux_raw_sys::general::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_STRICTATIME, MS_PRIVATE,
    MS_SHARED, MS_SLAVE,
};

use super::devices::Device;
use super::mounts::{Attributes, Mount, Propagation, Source};
use super::sysctl::Sysctl;

/// One operation inside the new namespaces.
#[derive(Debug, Clone)]
pub enum Step {
    /// Bring the loopback interface up.
    Loopback,
    /// Set the host name.
    Hostname(String),
    /// Set the NIS domain name.
    Domainname(String),
    /// Set the propagation of the whole copied tree.
    Propagation(Propagation),
    /// Make the root file system a mount of its own.
    Root {
        /// The directory, absolute on the host.
        path: String,
    },
    /// Mount something below the root.
    Mount(Box<Mount>),
    /// Make a device node.
    MakeDevice(Device),
    /// Bind the host's node of the same path.
    BindDevice(Device),
    /// Make a symbolic link.
    Link {
        /// Where.
        path: String,
        /// What it says.
        target: String,
    },
    /// Open the container's terminal, and show it as /dev/console.
    Console,
    /// Open a terminal for a process that comes later.
    Terminal,
    /// Give the process a root of tools, with the container's files beside them.
    Tools,
    /// Write a kernel parameter.
    Sysctl(Sysctl),
    /// Run the hooks of the runtime's namespaces: `prestart`, then `createRuntime`.
    RuntimeHooks,
    /// Run the hooks `createContainer`.
    ContainerHooks,
    /// Make the root file system `/` by pivot_root(2), or as in [`Step::MoveRoot`] where that cannot be.
    SwitchRoot,
    /// Make the root file system `/` by moving its mount there.
    MoveRoot,
    /// Set the propagation of `/`.
    RootPropagation(Propagation),
    /// Make a path read-only.
    ReadOnly(String),
    /// Hide a path.
    Mask(String),
    /// Make `/` read-only.
    ReadOnlyRoot,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Terminal => f.write_str("open a terminal"),
            Step::Tools => f.write_str("put the tools beside the container's files"),
            Step::RuntimeHooks => f.write_str("run the hooks prestart and createRuntime"),
            Step::ContainerHooks => f.write_str("run the hooks createContainer"),
            Step::Loopback => f.write_str("bring the loopback interface up"),
            Step::Hostname(name) => write!(f, "set the host name {name}"),
            Step::Domainname(name) => write!(f, "set the domain name {name}"),
            Step::Propagation(propagation) => write!(f, "make the tree {propagation}"),
            Step::Root { path } => write!(f, "mount the root {path}"),
            Step::Mount(mount) => mount.fmt(f),
            Step::MakeDevice(device) => write!(f, "make the device {device}"),
            Step::BindDevice(device) => write!(f, "bind the device {}", device.path),
            Step::Link { path, target } => write!(f, "link {path} to {target}"),
            Step::Console => f.write_str("open the terminal"),
            Step::Sysctl(sysctl) => write!(f, "set the sysctl {} to {}", sysctl.key, sysctl.value),
            Step::SwitchRoot => f.write_str("switch to the new root (pivot_root)"),
            Step::MoveRoot => f.write_str("move the new root to /"),
            Step::RootPropagation(propagation) => write!(f, "make / {propagation}"),
            Step::ReadOnly(path) => write!(f, "make {path} read-only"),
            Step::Mask(path) => write!(f, "mask {path}"),
            Step::ReadOnlyRoot => f.write_str("make / read-only"),
        }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::FileSystem { kind, .. } => write!(f, "mount {kind} on {}", self.destination)?,
            Source::Bind { path, .. } => write!(f, "bind {path} on {}", self.destination)?,
            Source::Remount { .. } => write!(f, "remount {}", self.destination)?,
        }
        let mut words = Words { f, separator: " (" };
        match &self.source {
            Source::Bind { recursive: true, .. } => words.one("rbind")?,
            Source::FileSystem { parameters, .. } | Source::Remount { parameters: Some(parameters) } => {
                // `ro` and `rw` are said with the attributes below.
                parameters.iter().filter(|p| *p != "ro" && *p != "rw").try_for_each(|p| words.one(p))?;
            }
            _ => {}
        }
        words.attributes("", self.attributes)?;
        words.attributes("r", self.recursive)?;
        if self.id_mapping.is_some() {
            words.one("idmap")?;
        }
        if self.copy_up {
            words.one("tmpcopyup")?;
        }
        if let Some(propagation) = self.propagation {
            words.one(propagation)?;
        }
        words.end()
    }
}

/// Writes words in brackets, or nothing where there are none.
struct Words<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    separator: &'static str,
}

impl Words<'_, '_> {
    fn one(&mut self, word: impl fmt::Display) -> fmt::Result {
        write!(self.f, "{}{word}", self.separator)?;
        self.separator = ",";
        Ok(())
    }

    fn attributes(&mut self, prefix: &str, attributes: Attributes) -> fmt::Result {
        for (bit, set, cleared) in ATTRIBUTES {
            if attributes.set & u64::from(*bit) != 0 {
                self.one(format_args!("{prefix}{set}"))?;
            } else if attributes.clear & u64::from(*bit) != 0 && !cleared.is_empty() {
                self.one(format_args!("{prefix}{cleared}"))?;
            }
        }
        let atime = u64::from(MOUNT_ATTR__ATIME);
        if attributes.clear & atime != 0 && attributes.set & atime == 0 {
            self.one(format_args!("{prefix}relatime"))?;
        }
        Ok(())
    }

    fn end(self) -> fmt::Result {
        self.f.write_str(if self.separator == "," { ")" } else { "" })
    }
}

/// Each attribute, the word that sets it and the one that clears it.
const ATTRIBUTES: &[(u32, &str, &str)] = &[
    (MOUNT_ATTR_RDONLY, "ro", "rw"),
    (MOUNT_ATTR_NOSUID, "nosuid", "suid"),
    (MOUNT_ATTR_NODEV, "nodev", "dev"),
    (MOUNT_ATTR_NOEXEC, "noexec", "exec"),
    (MOUNT_ATTR_NODIRATIME, "nodiratime", "diratime"),
    (MOUNT_ATTR_NOSYMFOLLOW, "nosymfollow", "symfollow"),
    (MOUNT_ATTR_NOATIME, "noatime", ""),
    (MOUNT_ATTR_STRICTATIME, "strictatime", ""),
];

impl fmt::Display for Propagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            MS_SHARED => "shared",
            MS_SLAVE => "slave",
            MS_PRIVATE => "private",
            _ => "unbindable",
        };
        write!(f, "{}{kind}", if self.recursive { "r" } else { "" })
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (major, minor) = (rustix::fs::major(self.number), rustix::fs::minor(self.number));
        write!(f, "{} ({major}:{minor}, mode {:o})", self.path, self.mode)
    }
}
