//! `-u`: names are looked up in the container's own passwd and group, read inside its root.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::image::rootfs::read_file;
use crate::spec;

/// Who the container runs as.
pub struct Resolved {
    /// The ids.
    pub user: spec::User,
    /// The home directory, `/` for a user without one.
    pub home: String,
}

/// Reads `USER[:GROUP]`, both a name or a number, with the files below `layers`: the highest of an image, or the root
/// file system alone.
pub fn resolve(layers: &[String], wanted: &str) -> Result<Resolved> {
    let (user, group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    if user.is_empty() || group == Some("") {
        return Err(Error::new(format_args!("--user \"{wanted}\": it takes USER or USER:GROUP")));
    }
    let passwd = read_file(layers, "/etc/passwd")?;
    let groups = read_file(layers, "/etc/group")?;
    let number = number(user).map_err(|error| error.within(format_args!("--user {wanted}")))?;
    let entry = passwd.lines().find(|line| match number {
        Some(uid) => id(line, 2) == Some(uid),
        None => field(line, 0) == user,
    });
    let uid = number.or_else(|| id(entry?, 2));
    let uid =
        uid.ok_or_else(|| Error::new(format_args!("--user {wanted}: the container has no user {user}")))?;
    let gid = match (group, entry) {
        (Some(group), _) => {
            group_id(group, &groups).map_err(|error| error.within(format_args!("--user {wanted}")))?
        }
        (None, None) => 0,
        (None, Some(line)) => id(line, 3).ok_or_else(|| {
            Error::new(format_args!("--user {wanted}: the container's passwd gives it no group"))
        })?,
    };
    // With a group by name or number, Docker gives no other groups.
    let name = entry.map(|line| field(line, 0)).filter(|_| group.is_none());
    let member =
        |line: &&str| field(line, 3).split(',').any(|member| Some(member) == name && !member.is_empty());
    let additional_gids: Vec<u32> =
        groups.lines().filter(member).filter_map(|line| id(line, 2)).filter(|g| *g != gid).gather();
    let home = entry.map(|line| field(line, 5)).filter(|home| home.starts_with('/')).unwrap_or("/");
    Ok(Resolved { user: spec::User { uid, gid, umask: None, additional_gids }, home: home.into() })
}

/// Reads a group by name or number, with the file of the layers; `flag` is what it was given for.
pub fn group(layers: &[String], flag: &str, wanted: &str) -> Result<u32> {
    let groups = read_file(layers, "/etc/group")?;
    group_id(wanted, &groups).map_err(|error| error.within(format_args!("--{flag} {wanted}")))
}

fn group_id(group: &str, groups: &str) -> Result<u32> {
    if let Some(gid) = number(group)? {
        return Ok(gid);
    }
    let entry = groups.lines().find(|line| field(line, 0) == group);
    entry
        .and_then(|line| id(line, 2))
        .ok_or_else(|| Error::new(format_args!("the container has no group {group}")))
}

/// A number that is no id must not be taken for a name, nor wrap around to root (CVE-2024-40635).
fn number(text: &str) -> Result<Option<u32>> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    match text.parse::<u32>() {
        Ok(id) if id < u32::MAX => Ok(Some(id)),
        _ => Err(Error::new("ids go from 0 to 4294967294")),
    }
}

/// An id in a field of the container's file, read as strictly: a bad one is none.
fn id(line: &str, index: usize) -> Option<u32> {
    number(field(line, index)).ok().flatten()
}

fn field(line: &str, index: usize) -> &str {
    line.split(':').nth(index).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root file system that is removed with the value.
    struct Root(std::path::PathBuf);

    impl Root {
        fn new(name: &str) -> Root {
            let path = std::env::temp_dir().join(format!("servin-user-{}-{name}", std::process::id()));
            std::fs::create_dir_all(path.join("etc")).expect("mkdir");
            std::fs::write(path.join("etc/passwd"), "root:x:0:0::/root:/bin/sh\nwww:x:33:34::/srv:/bin/sh\n")
                .expect("write");
            std::fs::write(path.join("etc/group"), "root:x:0:\nwww:x:34:\nlog:x:4:www,x\ntape:x:26:x\n")
                .expect("write");
            Root(path)
        }

        fn resolve(&self, wanted: &str) -> Result<(u32, u32, Vec<u32>, String)> {
            let r = resolve(&[self.0.to_str().expect("UTF-8").into()], wanted)?;
            Ok((r.user.uid, r.user.gid, r.user.additional_gids, r.home))
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            std::fs::remove_dir_all(&self.0).expect("remove");
        }
    }

    #[test]
    fn names_and_numbers_are_looked_up_in_the_container() {
        let root = Root::new("names");
        let expected = [
            ("0", (0, 0, vec![], "/root")),
            ("www", (33, 34, vec![4], "/srv")),
            ("33", (33, 34, vec![4], "/srv")),
            ("www:tape", (33, 26, vec![], "/srv")),
            ("1000:1001", (1000, 1001, vec![], "/")),
            ("1000", (1000, 0, vec![], "/")),
        ];
        for (wanted, (uid, gid, groups, home)) in expected {
            assert_eq!(root.resolve(wanted).expect(wanted), (uid, gid, groups, home.into()), "{wanted}");
        }
    }

    #[test]
    fn what_is_no_user_is_refused_and_never_root() {
        let root = Root::new("refused");
        for wanted in [
            "nobody-here",
            "4294967295",
            "4294967296",
            "99999999999",
            "-1",
            "",
            "33:nogroup",
            "0:",
            ":0",
            "+0",
            "0x0",
            " 0",
        ] {
            assert!(root.resolve(wanted).is_err(), "{wanted:?}");
        }
    }
}
