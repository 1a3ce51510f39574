//! What is different for users without privileges: where their containers and files are, and which ids they map.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::process::{Pid, geteuid};

use super::Invocation;
use super::arguments::Given;
use crate::container::placement::is_host_root;
use crate::error::Result;
use crate::fs::read_text;
use crate::gather::Gather as _;
use crate::launch::user_namespace;
pub use crate::launch::user_namespace::{id_maps, user_name};
use crate::spec::IdMapping;

/// Where what runs is kept: /run/servin for root, else the user's own directory, as the XDG base directory
/// specification names it.
pub fn root(invocation: &Invocation) -> String {
    match invocation.variable("XDG_RUNTIME_DIR") {
        Some(own) if !geteuid().is_root() => format!("{own}/servin"),
        None if !geteuid().is_root() => format!("/tmp/servin-{}", geteuid()),
        _ => "/run/servin".into(),
    }
}

/// Where what stays is kept, in the same way.
pub fn home(invocation: &Invocation) -> String {
    match (invocation.variable("XDG_DATA_HOME"), invocation.variable("HOME")) {
        _ if geteuid().is_root() => "/var/lib/servin".into(),
        (Some(own), _) => format!("{own}/servin"),
        (None, Some(home)) => format!("{home}/.local/share/servin"),
        (None, None) => format!("/tmp/servin-{}/home", geteuid()),
    }
}

/// Does something with files of images: where a user has ids to map, as root of a user namespace that has those, so
/// that the files have their owners.
pub fn with_ids(
    invocation: &Invocation,
    given: &Given,
    work: &mut dyn FnMut(&Invocation) -> Result<i32>,
) -> Result<i32> {
    match id_maps() {
        Some(maps) if maps.iter().all(|map| map.len() > 1) => as_root(invocation, given, None, work),
        _ => work(invocation),
    }
}

/// Does something with the files of a container: a user does it as root of the user namespace of the container's
/// `process`, or where there is none of one with his ids, in which layers can be mounted too.
pub fn as_root(
    invocation: &Invocation,
    given: &Given,
    process: Option<Pid>,
    work: &mut dyn FnMut(&Invocation) -> Result<i32>,
) -> Result<i32> {
    if geteuid().is_root() {
        return work(invocation);
    }
    // Where root's are is not where the user's are.
    let places = [
        format!("SERVIN_HOME={}", invocation.home(given)?),
        format!("SERVIN_ROOT={}", invocation.root(given)?),
    ];
    let environment = places.iter().map(String::as_str).chain(invocation.environment.iter().copied());
    let inside = Invocation {
        arguments: invocation.arguments.clone(),
        environment: environment.gather(),
        raw: invocation.raw,
    };
    match process {
        Some(process) => user_namespace::inside(process, &mut || work(&inside)),
        None => user_namespace::as_owner(&mut || work(&inside)),
    }
}

/// Changes a map of [`id_maps`] so that the caller has the same id inside as outside; returns that id. What was mapped
/// below and at it moves down by one.
pub fn keep_id(map: &mut Vec<IdMapping>) -> u32 {
    let own = map.first().map_or(0, |own| own.host_id);
    let mut kept = Vec::new();
    for range in map.iter().skip(1) {
        let end = range.container_id.saturating_add(range.size);
        let below = own.saturating_add(1).clamp(range.container_id, end) - range.container_id;
        if below > 0 {
            kept.push(IdMapping {
                container_id: range.container_id - 1,
                host_id: range.host_id,
                size: below,
            });
        }
        if below < range.size {
            kept.push(IdMapping {
                container_id: range.container_id + below,
                host_id: range.host_id + below,
                size: range.size - below,
            });
        }
    }
    kept.push(IdMapping { container_id: own, host_id: own, size: 1 });
    *map = kept;
    own
}

/// The sockets at which systemd may be asked, those of its manager itself before those of a bus: the system's for
/// root, else the user's own.
pub fn systemd(invocation: &Invocation) -> Vec<String> {
    if is_host_root() {
        return ["/run/systemd/private", "/run/dbus/system_bus_socket"].map(String::from).into();
    }
    let own = match invocation.variable("XDG_RUNTIME_DIR") {
        Some(own) => String::from(own),
        None => format!("/run/user/{}", uid_outside()),
    };
    let mut sockets = Vec::from([format!("{own}/systemd/private")]);
    sockets.extend(invocation.variable("DBUS_SESSION_BUS_ADDRESS").and_then(socket_of));
    sockets.push(format!("{own}/bus"));
    sockets
}

/// Engines without privileges are root in a user namespace.
fn uid_outside() -> u32 {
    let uid = geteuid().as_raw();
    let map = read_text("/proc/self/uid_map").unwrap_or_default();
    let first = map.lines().next().unwrap_or_default();
    let mut fields = first.split_ascii_whitespace().map(|field| field.parse::<u32>().ok());
    match (fields.next().flatten(), fields.next().flatten()) {
        (Some(inside), Some(outside)) if inside == uid => outside,
        _ => uid,
    }
}

/// The first socket in an address of D-Bus (`unix:path=/run/user/1000/bus,guid=…`), one of the kernel's own name space
/// behind an `@`.
fn socket_of(address: &str) -> Option<String> {
    let keys = address.split(';').find_map(|one| one.strip_prefix("unix:"))?;
    keys.split(',').find_map(|pair| match pair.split_once('=')? {
        ("path", path) => Some(path.into()),
        ("abstract", name) => Some(format!("@{name}")),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_bus_has_a_socket() {
        assert_eq!(socket_of("unix:path=/run/user/1000/bus,guid=1").as_deref(), Some("/run/user/1000/bus"));
        assert_eq!(socket_of("tcp:host=x;unix:guid=1,abstract=/tmp/d").as_deref(), Some("@/tmp/d"));
        assert_eq!(["", "unix:", "tcp:host=x"].map(socket_of), [None, None, None]);
    }

    #[test]
    fn the_callers_own_id_can_be_kept() {
        let map = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        let mut maps = Vec::from([map(0, 1000, 1), map(1, 100_000, 65_536)]);
        assert_eq!(keep_id(&mut maps), 1000);
        assert_eq!(maps, [map(0, 100_000, 1000), map(1001, 101_000, 64_536), map(1000, 1000, 1)]);
        let mut single = Vec::from([map(0, 1000, 1)]);
        keep_id(&mut single);
        assert_eq!(single, [map(1000, 1000, 1)]);
    }
}
