//! Which ids the caller may map: root all of them, a user his own and those that subuid(5) and subgid(5) give him.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::process::{getegid, geteuid};

use super::{helper, within};
use crate::error::Result;
use crate::fs::read_lossy;
use crate::plan::namespaces;
use crate::spec::IdMapping;

/// The name of the user who calls, or the number where the host has no name for it.
pub fn user_name() -> String {
    if geteuid().is_root() {
        return "root".into();
    }
    let uid = format!("{}", geteuid());
    let passwd = read_lossy("/etc/passwd").unwrap_or_default();
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
        let text = read_lossy(path).unwrap_or_default();
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

/// Does something with files of the caller's containers: as root of a user namespace with all ids that he may map, where
/// he is not root anyway.
pub fn as_owner(work: &mut dyn FnMut() -> Result<i32>) -> Result<i32> {
    match id_maps() {
        None => work(),
        Some([uids, gids]) => within(&namespaces::id_maps("/etc/subuid", &uids, &gids)?, work),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subordinate_ids_follow_each_other() {
        let text = "me:100000:65536\nyou:5:5\n1000:300000:10\nme:x:1\nme:1:0\n";
        let maps = subordinate(text, "me", "1000");
        let map = |container_id, host_id, size| IdMapping { container_id, host_id, size };
        assert_eq!(maps, [map(1, 100_000, 65_536), map(65_537, 300_000, 10)]);
        assert!(subordinate("me:5:4294967295\n", "me", "7").is_empty());
    }
}
