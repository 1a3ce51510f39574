//! Namespaces: which are new, which are joined, and how the ids of the container map to the host's.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::order;
use crate::spec::{self, NamespaceKind};
use crate::sys::clone::CloneFlags;

/// What the process leaves behind of the host's namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Made for this container.
    pub new: Vec<NamespaceKind>,
    /// Joined by path, in the order in which it must be done.
    pub joined: Vec<(NamespaceKind, String)>,
    /// `linux.uidMappings` and `linux.gidMappings` of a new user namespace.
    pub maps: Option<IdMaps>,
    /// Offsets of a new time namespace.
    pub time_offsets: Vec<TimeOffset>,
}

/// How ids inside map to ids outside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
}

/// `size` ids from `inside` on are those from `outside` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id in the namespace.
    pub inside: u32,
    /// The first id in the parent namespace.
    pub outside: u32,
    /// How many.
    pub size: u32,
}

/// A clock's difference to the host's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeOffset {
    /// `monotonic` or `boottime`.
    pub clock: String,
    /// Whole seconds.
    pub seconds: i64,
    /// Nanoseconds on top.
    pub nanoseconds: u32,
}

/// The kernel takes at most as many ranges for one map (user_namespaces(7)).
const MOST_RANGES: usize = 340;

impl Namespaces {
    /// Whether the container has a namespace of this kind apart from the host's.
    pub fn separate(&self, kind: NamespaceKind) -> bool {
        self.is_new(kind) || self.joined.iter().any(|(joined, _)| *joined == kind)
    }

    /// Whether a namespace of this kind is made.
    pub fn is_new(&self, kind: NamespaceKind) -> bool {
        self.new.contains(&kind)
    }

    /// The flags that make the new namespaces at the birth of the container's process. Not the cgroup namespace: a
    /// clone would root it in the cgroup of the caller, not in that of the child (kernel/cgroup/namespace.c).
    pub fn clone_flags(&self) -> CloneFlags {
        let at_birth = self.new.iter().filter(|kind| **kind != NamespaceKind::Cgroup);
        at_birth.map(|kind| flag(*kind)).collect()
    }
}

/// The flag of clone(2) and setns(2) for a kind of namespace.
pub fn flag(kind: NamespaceKind) -> CloneFlags {
    match kind {
        NamespaceKind::Pid => CloneFlags::NEWPID,
        NamespaceKind::Network => CloneFlags::NEWNET,
        NamespaceKind::Mount => CloneFlags::NEWNS,
        NamespaceKind::Ipc => CloneFlags::NEWIPC,
        NamespaceKind::Uts => CloneFlags::NEWUTS,
        NamespaceKind::User => CloneFlags::NEWUSER,
        NamespaceKind::Cgroup => CloneFlags::NEWCGROUP,
        NamespaceKind::Time => CloneFlags::NEWTIME,
    }
}

/// Reads `linux.namespaces`, the id mappings and the time offsets.
pub fn plan(linux: &spec::Linux) -> Result<Namespaces> {
    let mut planned = Namespaces::default();
    for (index, namespace) in linux.namespaces.iter().enumerate() {
        let kind = namespace.kind;
        if planned.separate(kind) {
            let field = format_args!("linux.namespaces[{index}].type");
            return Err(Error::new(format_args!("{field}: {} is listed twice", kind.as_str())));
        }
        match namespace.path.as_deref() {
            None | Some("") => planned.new.push(kind),
            Some(path) if path.starts_with('/') => planned.joined.push((kind, path.into())),
            Some(path) => {
                let field = format_args!("linux.namespaces[{index}].path");
                return Err(Error::new(format_args!("{field}: \"{path}\" is not an absolute path")));
            }
        }
    }
    if !planned.separate(NamespaceKind::Mount) {
        return Err(Error::new(
            "linux.namespaces: a mount namespace is missing: without one the container's root \
                               could only be a chroot, which does not contain anything",
        ));
    }
    // The user namespace comes first, for its privileges over the others; the mount namespace last, because the
    // other paths are the caller's.
    let rank = |kind| match kind {
        NamespaceKind::User => 0,
        NamespaceKind::Mount => 2,
        _ => 1,
    };
    order::sort_by_key(&mut planned.joined, |(kind, _)| rank(*kind));
    planned.maps = maps(linux, &planned)?;
    planned.time_offsets = time_offsets(linux, &planned)?;
    Ok(planned)
}

fn maps(linux: &spec::Linux, planned: &Namespaces) -> Result<Option<IdMaps>> {
    let given = !linux.uid_mappings.is_empty() || !linux.gid_mappings.is_empty();
    if !planned.is_new(NamespaceKind::User) {
        // One that is joined is mapped already, and engines say once more how (Podman's --userns container:NAME).
        return match given && !planned.separate(NamespaceKind::User) {
            true => Err(Error::new(
                "linux.uidMappings and linux.gidMappings: there is no user namespace in linux.namespaces to map",
            )),
            false => Ok(None),
        };
    }
    id_maps("linux", &linux.uid_mappings, &linux.gid_mappings).map(Some)
}

/// Checks a pair of mappings, both of which must be there; `at` is the field that holds them.
pub fn id_maps(at: &str, uids: &[spec::IdMapping], gids: &[spec::IdMapping]) -> Result<IdMaps> {
    Ok(IdMaps { uids: ranges(at, "uidMappings", uids)?, gids: ranges(at, "gidMappings", gids)? })
}

fn ranges(at: &str, field: &str, mappings: &[spec::IdMapping]) -> Result<Vec<IdRange>> {
    let refuse = |why: &str| Err(Error::new(format_args!("{at}.{field}: {why}")));
    if mappings.is_empty() {
        return refuse("is missing: without it no id of the container exists on the host");
    }
    if mappings.len() > MOST_RANGES {
        return refuse("more than 340 ranges, the kernel's limit");
    }
    let mut ranges: Vec<IdRange> = Vec::new();
    for (index, mapping) in mappings.iter().enumerate() {
        let range = IdRange { inside: mapping.container_id, outside: mapping.host_id, size: mapping.size };
        let ends = [range.inside, range.outside].map(|first| u64::from(first) + u64::from(range.size));
        // 4294967295 is "no id" to the kernel (setresuid(2)).
        if range.size == 0 || ends.iter().any(|end| *end > u64::from(u32::MAX)) {
            return Err(Error::new(format_args!("{at}.{field}[{index}]: not a range of ids")));
        }
        let overlap = |a: u32, b: u32, other: u32| {
            u64::from(a) < u64::from(b) + u64::from(other)
                && u64::from(b) < u64::from(a) + u64::from(range.size)
        };
        if ranges
            .iter()
            .any(|r| overlap(range.inside, r.inside, r.size) || overlap(range.outside, r.outside, r.size))
        {
            return Err(Error::new(format_args!("{at}.{field}[{index}]: overlaps an earlier range")));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

fn time_offsets(linux: &spec::Linux, planned: &Namespaces) -> Result<Vec<TimeOffset>> {
    let mut offsets = Vec::new();
    for (clock, offset) in &linux.time_offsets {
        let field = format_args!("linux.timeOffsets.{clock}");
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return Err(Error::new(format_args!("{field}: there is no such clock: monotonic or boottime")));
        }
        if !planned.is_new(NamespaceKind::Time) {
            return Err(Error::new(format_args!("{field}: needs a new time namespace in linux.namespaces")));
        }
        let (seconds, nanoseconds) = (offset.secs.unwrap_or(0), offset.nanosecs.unwrap_or(0));
        if nanoseconds >= 1_000_000_000 {
            return Err(Error::new(format_args!("{field}.nanosecs: {nanoseconds} is a second or more")));
        }
        offsets.push(TimeOffset { clock: clock.clone(), seconds, nanoseconds });
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapping(container_id: u32, host_id: u32, size: u32) -> spec::IdMapping {
        spec::IdMapping { container_id, host_id, size }
    }

    #[test]
    fn ranges_that_the_kernel_would_refuse_are_refused_by_place() {
        let text = |mappings: &[spec::IdMapping]| {
            ranges("linux", "uidMappings", mappings).expect_err("refused").to_string()
        };
        assert!(text(&[]).contains("linux.uidMappings: is missing"));
        assert!(text(&[mapping(0, 0, 0)]).contains("linux.uidMappings[0]: not a range"));
        assert!(text(&[mapping(0, u32::MAX, 1)]).contains("not a range"));
        assert!(text(&[mapping(0, 1000, 10), mapping(9, 5000, 1)]).contains("[1]: overlaps"));
        assert!(text(&[mapping(0, 1000, 10), mapping(10, 1009, 1)]).contains("[1]: overlaps"));
        assert_eq!(
            ranges("linux", "uidMappings", &[mapping(0, 1000, 10), mapping(10, 1010, 1)])
                .map(|r| r.len())
                .ok(),
            Some(2)
        );
    }

    #[test]
    fn every_kind_has_its_own_flag() {
        use NamespaceKind::*;
        let all = Namespaces {
            new: [Pid, Network, Mount, Ipc, Uts, User, Cgroup, Time].to_vec(),
            ..Namespaces::default()
        };
        assert_eq!(all.new.iter().map(|kind| flag(*kind)).collect::<CloneFlags>().bits().count_ones(), 8);
        assert!(!all.clone_flags().contains(CloneFlags::NEWCGROUP));
    }
}
