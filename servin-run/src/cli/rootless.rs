//! What is different for users without privileges: where their containers and files are, and which ids they map.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::process::{getegid, geteuid};

use super::Invocation;
use super::arguments::Given;
use crate::container::placement::is_host_root;
use crate::error::Result;
use crate::fs::read_text;
use crate::launch::user_namespace::{self, helper};
use crate::plan::namespaces;
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

/// The name of the user who calls, or the number where the host has no name for it.
pub fn user_name() -> String {
    if geteuid().is_root() {
        return "root".into();
    }
    let uid = format!("{}", geteuid());
    let passwd = read_text("/etc/passwd").unwrap_or_default();
    let entry = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(uid.as_str())).then_some(name)
    });
    entry.map_or(uid.clone(), String::from)
}

/// The maps of user and group ids; none for root, who needs none. The caller is root inside; beside him are the ids
/// that /etc/subuid and /etc/subgid give him, where the helpers are installed that may map them.
pub fn id_maps() -> Option<[Vec<IdMapping>; 2]> {
    if geteuid().is_root() {
        return None;
    }
    let (name, number) = (user_name(), format!("{}", geteuid()));
    let own = |host_id: u32| Vec::from([IdMapping { container_id: 0, host_id, size: 1 }]);
    let mut maps = [own(geteuid().as_raw()), own(getegid().as_raw())];
    let given = ["/etc/subuid", "/etc/subgid"].map(|path| {
        let text = read_text(path).unwrap_or_default();
        subordinate(&text, &name, &number)
    });
    let [uids, gids] = &given;
    if !uids.is_empty() && !gids.is_empty() && helper("newuidmap").is_some() && helper("newgidmap").is_some()
    {
        for (map, given) in maps.iter_mut().zip(given) {
            map.extend(given);
        }
    }
    Some(maps)
}

/// Does something with files of images: where a user has ids to map, as root of a user namespace that has those, so
/// that the files have their owners.
pub fn with_ids(
    invocation: &Invocation,
    given: &Given,
    work: &mut dyn FnMut(&Invocation) -> Result<i32>,
) -> Result<i32> {
    let several = |maps: &[Vec<IdMapping>; 2]| maps.iter().all(|map| map.len() > 1);
    let Some([uids, gids]) = id_maps().filter(several) else { return work(invocation) };
    // Where root's are is not where the user's are.
    let places = [
        format!("SERVIN_HOME={}", invocation.home(given)?),
        format!("SERVIN_ROOT={}", invocation.root(given)?),
    ];
    let environment = places.iter().map(String::as_str).chain(invocation.environment.iter().copied());
    let inside = Invocation {
        arguments: invocation.arguments.clone(),
        environment: environment.collect(),
        raw: invocation.raw,
    };
    user_namespace::within(&namespaces::id_maps("/etc/subuid", &uids, &gids)?, &mut || work(&inside))
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

/// The ranges of one user in lines of `user:first:count` (subuid(5)), from 1 on inside.
fn subordinate(text: &str, name: &str, number: &str) -> Vec<IdMapping> {
    let mut maps = Vec::new();
    let mut container_id: u32 = 1;
    for line in text.lines() {
        let mut fields = line.trim().split(':');
        let owner = fields.next();
        let mut number_of = || fields.next().and_then(|field| field.parse::<u32>().ok());
        if owner != Some(name) && owner != Some(number) {
            continue;
        }
        let (Some(host_id), Some(size @ 1..)) = (number_of(), number_of()) else { continue };
        let Some(next) = container_id.checked_add(size) else { break };
        maps.push(IdMapping { container_id, host_id, size });
        container_id = next;
    }
    maps
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
    fn subordinate_ids_follow_each_other() {
        let text = "me:100000:65536\nyou:5:5\n1000:300000:10\nme:x:1\nme:1:0\n";
        let maps = subordinate(text, "me", "1000");
        let map = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        assert_eq!(maps, [map(1, 100_000, 65_536), map(65_537, 300_000, 10)]);
        assert!(subordinate("me:5:4294967295\n", "me", "7").is_empty());
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
