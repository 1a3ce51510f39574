//! `mounts[]`: what each option word means, and the typed mount that comes of it.
//!
//! The words are those of the runtime specification (config.md, "Linux mount options"); any other word is data
//! for the file system.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use linux_raw_sys::general::{
    MOUNT_ATTR__ATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_NODEV, MOUNT_ATTR_NODIRATIME, MOUNT_ATTR_NOEXEC,
    MOUNT_ATTR_NOSUID, MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_RDONLY, MOUNT_ATTR_RELATIME,
    MOUNT_ATTR_STRICTATIME, MS_I_VERSION, MS_PRIVATE, MS_SHARED, MS_SLAVE, MS_UNBINDABLE,
};

use super::namespaces::{IdMaps, id_maps};
use crate::error::{Error, Result};
use crate::spec;

/// One mount of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Where, as seen from inside the container.
    pub destination: String,
    /// What.
    pub source: Source,
    /// Of a bind's source only this, without a way out of that.
    pub subpath: Option<String>,
    /// Attributes of the mount itself.
    pub attributes: Attributes,
    /// Attributes of the mount and of everything mounted below it (the `r…` words).
    pub recursive: Attributes,
    /// The mount's propagation, where a word asks for one.
    pub propagation: Option<Propagation>,
    /// The ids of the source's files as they are seen through this mount.
    pub id_mapping: Option<IdMapping>,
    /// Fill the new tmpfs with what it covers.
    pub copy_up: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A file system of its own.
    FileSystem {
        /// `tmpfs` and so on.
        kind: String,
        /// A device, a mere name, or with `looped` a file.
        name: String,
        /// The file is to be made a block device, which is read-only.
        looped: bool,
        /// Words for the file system: `size=64k`, `ro`.
        parameters: Vec<String>,
        /// Flags that only the old mount(2) can pass on (`MS_I_VERSION`).
        old_flags: u32,
    },
    /// Another place of the host's tree.
    Bind {
        /// That place.
        path: String,
        /// With what is mounted below it.
        recursive: bool,
    },
    /// What is there already, with other attributes.
    Remount {
        /// Words for the file system, unless only the mount changes (`bind`).
        parameters: Option<Vec<String>>,
    },
}

/// Bits of `MOUNT_ATTR_*` to set and to clear.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// To set.
    pub set: u64,
    /// To clear; what is to be set wins.
    pub clear: u64,
}

impl Attributes {
    /// Whether nothing is to change.
    pub fn is_empty(self) -> bool {
        self == Attributes::default()
    }

    fn apply(&mut self, change: Change) {
        let (set, clear) = match change {
            Set(bits) => (bits, 0),
            Clear(bits) => (0, bits),
            // Access times are a field of several bits, not a bit: all of them are replaced.
            Atime(value) => (value, MOUNT_ATTR__ATIME),
        };
        self.set = (self.set & !u64::from(clear)) | u64::from(set);
        self.clear = (self.clear & !u64::from(set)) | u64::from(clear);
    }
}

/// How mounts and unmounts spread between copies of the tree (mount_namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// `MS_SHARED`, `MS_SLAVE`, `MS_PRIVATE` or `MS_UNBINDABLE`.
    pub kind: u32,
    /// Also for everything below.
    pub recursive: bool,
}

/// An id-mapped mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMapping {
    /// The mapping; none means the container's own user namespace.
    pub maps: Option<IdMaps>,
    /// Also for everything below.
    pub recursive: bool,
}

#[derive(Clone, Copy)]
enum Change {
    Set(u32),
    Clear(u32),
    Atime(u32),
}

/// What an option word does.
#[derive(Clone, Copy)]
enum Effect {
    /// To the mount.
    Mount(Change),
    /// To the mount and all below.
    Tree(Change),
    /// To the mount, and the word goes to the file system too: `ro` and `rw` are a property of both.
    Both(Change),
    /// Only the file system's business, under this name.
    FileSystem,
    /// A flag that the new mount API has no name for.
    Old(u32),
    Propagation(u32, bool),
    Bind(bool),
    IdMap(bool),
    Loop,
    Remount,
    CopyUp,
    /// Accepted and without effect: the default, or a word about the kernel's log.
    Nothing,
}

use Change::{Atime, Clear, Set};
use Effect::{Both, FileSystem, Mount as One, Tree};

#[rustfmt::skip]
const OPTIONS: &[(&str, Effect)] = &[
    ("async",         FileSystem),
    ("atime",         One(Atime(MOUNT_ATTR_RELATIME))),
    ("bind",          Effect::Bind(false)),
    ("defaults",      Effect::Nothing),
    ("dev",           One(Clear(MOUNT_ATTR_NODEV))),
    ("diratime",      One(Clear(MOUNT_ATTR_NODIRATIME))),
    ("dirsync",       FileSystem),
    ("exec",          One(Clear(MOUNT_ATTR_NOEXEC))),
    ("idmap",         Effect::IdMap(false)),
    ("iversion",      Effect::Old(MS_I_VERSION)),
    ("lazytime",      FileSystem),
    // Not of the specification, but of mount(8): the source is a file.
    ("loop",          Effect::Loop),
    ("loud",          Effect::Nothing),
    ("mand",          FileSystem),
    ("noatime",       One(Atime(MOUNT_ATTR_NOATIME))),
    ("nodev",         One(Set(MOUNT_ATTR_NODEV))),
    ("nodiratime",    One(Set(MOUNT_ATTR_NODIRATIME))),
    ("noexec",        One(Set(MOUNT_ATTR_NOEXEC))),
    ("noiversion",    Effect::Nothing),
    ("nolazytime",    FileSystem),
    ("nomand",        FileSystem),
    // The kernel's own default is relatime, and only noatime or strictatime leaves it (mount(2)).
    ("norelatime",    One(Atime(MOUNT_ATTR_RELATIME))),
    ("nostrictatime", One(Atime(MOUNT_ATTR_RELATIME))),
    ("nosuid",        One(Set(MOUNT_ATTR_NOSUID))),
    ("nosymfollow",   One(Set(MOUNT_ATTR_NOSYMFOLLOW))),
    ("private",       Effect::Propagation(MS_PRIVATE, false)),
    ("ratime",        Tree(Atime(MOUNT_ATTR_RELATIME))),
    ("rbind",         Effect::Bind(true)),
    ("rdev",          Tree(Clear(MOUNT_ATTR_NODEV))),
    ("rdiratime",     Tree(Clear(MOUNT_ATTR_NODIRATIME))),
    ("relatime",      One(Atime(MOUNT_ATTR_RELATIME))),
    ("remount",       Effect::Remount),
    ("rexec",         Tree(Clear(MOUNT_ATTR_NOEXEC))),
    ("ridmap",        Effect::IdMap(true)),
    ("rnoatime",      Tree(Atime(MOUNT_ATTR_NOATIME))),
    ("rnodev",        Tree(Set(MOUNT_ATTR_NODEV))),
    ("rnodiratime",   Tree(Set(MOUNT_ATTR_NODIRATIME))),
    ("rnoexec",       Tree(Set(MOUNT_ATTR_NOEXEC))),
    ("rnorelatime",   Tree(Atime(MOUNT_ATTR_RELATIME))),
    ("rnostrictatime",Tree(Atime(MOUNT_ATTR_RELATIME))),
    ("rnosuid",       Tree(Set(MOUNT_ATTR_NOSUID))),
    ("rnosymfollow",  Tree(Set(MOUNT_ATTR_NOSYMFOLLOW))),
    ("ro",            Both(Set(MOUNT_ATTR_RDONLY))),
    ("rprivate",      Effect::Propagation(MS_PRIVATE, true)),
    ("rrelatime",     Tree(Atime(MOUNT_ATTR_RELATIME))),
    ("rro",           Tree(Set(MOUNT_ATTR_RDONLY))),
    ("rrw",           Tree(Clear(MOUNT_ATTR_RDONLY))),
    ("rshared",       Effect::Propagation(MS_SHARED, true)),
    ("rslave",        Effect::Propagation(MS_SLAVE, true)),
    ("rstrictatime",  Tree(Atime(MOUNT_ATTR_STRICTATIME))),
    ("rsuid",         Tree(Clear(MOUNT_ATTR_NOSUID))),
    ("rsymfollow",    Tree(Clear(MOUNT_ATTR_NOSYMFOLLOW))),
    ("runbindable",   Effect::Propagation(MS_UNBINDABLE, true)),
    ("rw",            Both(Clear(MOUNT_ATTR_RDONLY))),
    ("shared",        Effect::Propagation(MS_SHARED, false)),
    ("silent",        Effect::Nothing),
    ("slave",         Effect::Propagation(MS_SLAVE, false)),
    ("strictatime",   One(Atime(MOUNT_ATTR_STRICTATIME))),
    ("suid",          One(Clear(MOUNT_ATTR_NOSUID))),
    ("symfollow",     One(Clear(MOUNT_ATTR_NOSYMFOLLOW))),
    ("sync",          FileSystem),
    ("tmpcopyup",     Effect::CopyUp),
    ("unbindable",    Effect::Propagation(MS_UNBINDABLE, false)),
];

/// The words that name a mount option, for `features`.
pub fn option_words() -> impl Iterator<Item = &'static str> {
    OPTIONS.iter().map(|(word, _)| *word)
}

/// The propagation that a word such as `rslave` names (`linux.rootfsPropagation`).
pub fn propagation(word: &str) -> Option<Propagation> {
    OPTIONS.iter().find(|(w, _)| *w == word).and_then(|(_, effect)| match *effect {
        Effect::Propagation(kind, recursive) => Some(Propagation { kind, recursive }),
        _ => None,
    })
}

/// Files below /proc that may be covered one by one (by lxcfs and the like). Any other mount there could make
/// the container believe, or let Servin write, something else than what the kernel says (CVE-2019-16884).
const COVERABLE_IN_PROC: &[&str] = &[
    "/proc/cpuinfo",
    "/proc/diskstats",
    "/proc/loadavg",
    "/proc/meminfo",
    "/proc/net/dev",
    "/proc/slabinfo",
    "/proc/stat",
    "/proc/swaps",
    "/proc/sys/kernel/ns_last_pid",
    "/proc/uptime",
];

/// Reads one entry of `mounts`; `at` is its field, such as `mounts[3]`.
pub fn plan(at: &str, mount: &spec::Mount) -> Result<Mount> {
    let refuse = |field: &str, why: &str| Err(Error::new(format_args!("{at}.{field}: {why}")));
    let destination = clean(&mount.destination);
    let source = mount.source.as_deref().unwrap_or_default();
    let mut planned = Mount {
        destination,
        source: Source::Remount { parameters: None },
        subpath: mount.subpath.clone(),
        attributes: Attributes::default(),
        recursive: Attributes::default(),
        propagation: None,
        id_mapping: None,
        copy_up: false,
    };
    let (mut bind, mut remount, mut parameters, mut old_flags) = (None, false, Vec::new(), 0);
    let mut looped = false;
    for word in &mount.options {
        let effect = OPTIONS.iter().find(|(w, _)| w == word).map(|(_, effect)| *effect);
        match effect {
            None => parameters.push(word.clone()),
            Some(FileSystem) => parameters.push(word.clone()),
            Some(One(change)) => planned.attributes.apply(change),
            Some(Tree(change)) => planned.recursive.apply(change),
            Some(Both(change)) => {
                planned.attributes.apply(change);
                parameters.push(word.clone());
            }
            Some(Effect::Old(flag)) => old_flags |= flag,
            Some(Effect::Propagation(kind, recursive)) => {
                planned.propagation = Some(Propagation { kind, recursive });
            }
            Some(Effect::Bind(recursive)) => bind = Some(recursive),
            Some(Effect::IdMap(recursive)) => planned.id_mapping = Some(IdMapping { maps: None, recursive }),
            Some(Effect::Loop) => looped = true,
            Some(Effect::Remount) => remount = true,
            Some(Effect::CopyUp) => planned.copy_up = true,
            Some(Effect::Nothing) => {}
        }
    }
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        let recursive = planned.id_mapping.as_ref().is_some_and(|m| m.recursive);
        let maps = Some(id_maps(at, &mount.uid_mappings, &mount.gid_mappings)?);
        planned.id_mapping = Some(IdMapping { maps, recursive });
    }

    let kind = mount.kind.as_deref().unwrap_or_default();
    // Engines write type "bind" with the option, or either of them alone.
    let bind = bind.or((kind == "bind").then_some(false)).or((kind == "rbind").then_some(true));
    planned.source = match bind {
        _ if remount => Source::Remount { parameters: bind.is_none().then_some(parameters) },
        Some(_) if source.is_empty() => return refuse("source", "a bind mount needs one"),
        Some(recursive) => Source::Bind { path: source.to_owned(), recursive },
        None if matches!(kind, "" | "none") => {
            return refuse("type", "a mount that is no bind mount needs one");
        }
        // On a unified hierarchy, and for the container that is the only one, cgroup means version 2.
        None if kind == "cgroup" => {
            let (kind, name) = ("cgroup2".into(), "cgroup2".into());
            Source::FileSystem { kind, name, looped, parameters, old_flags }
        }
        None => {
            let name = if source.is_empty() { kind } else { source };
            let (kind, name) = (kind.to_owned(), name.to_owned());
            Source::FileSystem { kind, name, looped, parameters, old_flags }
        }
    };
    validate(at, &planned)?;
    Ok(planned)
}

fn validate(at: &str, mount: &Mount) -> Result<()> {
    let refuse = |field: &str, why: &str| Err(Error::new(format_args!("{at}.{field}: {why}")));
    let is_kind = |wanted: &str| matches!(&mount.source, Source::FileSystem { kind, .. } if kind == wanted);
    let is_bind = matches!(mount.source, Source::Bind { .. });
    if mount.subpath.is_some() && !is_bind {
        return refuse("servinSubpath", "it is for a bind mount");
    }
    if mount.copy_up && !is_kind("tmpfs") {
        return refuse("options", "tmpcopyup is for a tmpfs");
    }
    if mount.id_mapping.is_some() && matches!(mount.source, Source::Remount { .. }) {
        return refuse("options", "a remount cannot change the id mapping");
    }
    let destination = mount.destination.as_str();
    match destination {
        "/proc" if is_kind("proc") || is_bind || matches!(mount.source, Source::Remount { .. }) => Ok(()),
        "/proc" => refuse("destination", "only a proc file system may be mounted on /proc"),
        _ if destination.starts_with("/proc/") && !COVERABLE_IN_PROC.contains(&destination) => {
            refuse("destination", "nothing but the files that lxcfs provides may be mounted inside /proc")
        }
        _ => Ok(()),
    }
}

/// The same path, absolute and without empty and `.` components, and with `..` taken back, as the kernel would
/// inside the root (a relative destination counts from the root, as runc still accepts it).
pub fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for component in path.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(kept.pop()),
            name => kept.push(name),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(kind: &str, destination: &str, options: &[&str]) -> Result<Mount> {
        plan(
            "mounts[0]",
            &spec::Mount {
                destination: destination.into(),
                kind: Some(kind.into()),
                source: Some("/src".into()),
                options: options.iter().map(|o| (*o).into()).collect(),
                ..spec::Mount::default()
            },
        )
    }

    #[test]
    fn the_table_is_sorted_and_says_each_word_once() {
        let words: Vec<_> = option_words().collect();
        let mut sorted = words.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(words, sorted);
    }

    #[test]
    fn every_word_of_the_specification_is_known() {
        // runtime-spec config.md, the tables of "Linux mount options".
        let must = "async sync atime noatime bind rbind defaults dev nodev diratime nodiratime dirsync exec noexec \
                    iversion noiversion lazytime nolazytime mand nomand relatime norelatime strictatime \
                    nostrictatime suid nosuid private rprivate shared rshared slave rslave unbindable runbindable \
                    remount ro rw silent loud";
        let should = "nosymfollow symfollow ratime rnoatime rdev rnodev rdiratime rnodiratime rexec rnoexec rrelatime \
                      rnorelatime rstrictatime rnostrictatime rsuid rnosuid rro rrw rsymfollow rnosymfollow idmap \
                      ridmap tmpcopyup";
        for word in must.split_whitespace().chain(should.split_whitespace()) {
            assert!(option_words().any(|known| known == word), "{word}");
        }
    }

    #[test]
    fn the_last_word_of_a_pair_wins() {
        let m = mount("bind", "/dst", &["rbind", "ro", "noexec", "rw", "exec", "nosuid"]).expect("planned");
        assert_eq!(m.source, Source::Bind { path: "/src".into(), recursive: true });
        assert_eq!(m.attributes.set, u64::from(MOUNT_ATTR_NOSUID));
        assert_eq!(m.attributes.clear, u64::from(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC));
    }

    #[test]
    fn access_times_are_one_field() {
        let m = mount("tmpfs", "/t", &["noatime", "strictatime"]).expect("planned");
        assert_eq!(m.attributes.set, u64::from(MOUNT_ATTR_STRICTATIME));
        assert_eq!(m.attributes.clear, u64::from(MOUNT_ATTR__ATIME));
        let m = mount("tmpfs", "/t", &["noatime", "atime"]).expect("planned");
        assert_eq!(m.attributes.set, 0);
    }

    #[test]
    fn other_words_go_to_the_file_system_and_ro_to_both() {
        let m = mount("tmpfs", "/t", &["nosuid", "size=64k", "ro", "mode=755"]).expect("planned");
        let Source::FileSystem { parameters, .. } = &m.source else { panic!("a file system") };
        assert_eq!(parameters, &["size=64k", "ro", "mode=755"]);
        assert_eq!(m.attributes.set, u64::from(MOUNT_ATTR_NOSUID | MOUNT_ATTR_RDONLY));
    }

    #[test]
    fn nothing_but_the_known_few_is_mounted_in_proc() {
        assert!(mount("proc", "/proc", &[]).is_ok());
        assert!(mount("bind", "/proc", &["rbind"]).is_ok());
        assert!(mount("bind", "/proc/uptime", &["bind"]).is_ok());
        for (kind, destination) in [
            ("tmpfs", "/proc"),
            ("bind", "/proc/self/attr"),
            ("bind", "/./proc//sys"),
            ("tmpfs", "/x/../proc/acpi"),
            ("bind", "proc/self"),
        ] {
            assert!(
                mount(kind, destination, &["bind"][..usize::from(kind == "bind")]).is_err(),
                "{destination}"
            );
        }
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        let refused = |kind, options| mount(kind, "/d", options).expect_err("refused").to_string();
        assert!(refused("", &[]).starts_with("mounts[0].type: "));
        assert!(refused("bind", &["tmpcopyup"]).starts_with("mounts[0].options: "));
        assert!(refused("bind", &["remount", "idmap"]).starts_with("mounts[0].options: "));
    }

    #[test]
    fn destinations_are_cleaned_as_the_kernel_would_walk_them() {
        assert_eq!(clean("/a/./b//c"), "/a/b/c");
        assert_eq!(clean("../../a/.."), "/");
        assert_eq!(clean("rel"), "/rel");
    }
}
