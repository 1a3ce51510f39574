//! Where in the hierarchy a container's cgroup is: `linux.cgroupsPath` ([config-linux.md][rules], "Cgroups Path").
//!
//! [rules]: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#cgroups-path

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Result};

/// The cgroup of all containers that are not told another; gone with the last of them.
pub const COMMON: &str = "/servin";

/// The path from the hierarchy's root: that of the configuration, or `/servin/ID`. A relative one starts at the
/// parent of `own`, the cgroup of this process, as runc has it: `own` itself has processes, so that no controller
/// could be enabled below it.
pub fn resolve(configured: Option<&str>, id: &str, own: &str) -> Result<String> {
    let mut parts = Vec::new();
    let path = configured.unwrap_or_default();
    if path.is_empty() {
        push(&mut parts, COMMON);
        push(&mut parts, id);
    } else if is_systemd(path) {
        return Err(refused(path, "is in the form slice:prefix:name, which is for the systemd driver"));
    } else {
        let mut inside = Vec::new();
        push(&mut inside, path);
        if !path.starts_with('/') {
            push(&mut parts, own);
            parts.pop();
        }
        if inside.is_empty() {
            return Err(refused(path, "is the root, which belongs to no container"));
        }
        parts.append(&mut inside);
    }
    let mut resolved = String::new();
    for part in parts {
        resolved.push('/');
        resolved.push_str(part);
    }
    Ok(resolved)
}

fn refused(path: &str, why: &str) -> Error {
    Error::new(format_args!("linux.cgroupsPath: \"{path}\" {why}"))
}

/// `slice:prefix:name`, as engines write it for the systemd driver.
fn is_systemd(path: &str) -> bool {
    !path.contains('/') && path.matches(':').count() == 2
}

/// Appends the components of `path`. `..` goes back within `parts`, never beyond.
fn push<'a>(parts: &mut Vec<&'a str>, path: &'a str) {
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_where_they_belong() {
        for (configured, own, expected) in [
            (None, "/", "/servin/box"),
            (Some(""), "/user.slice", "/servin/box"),
            (Some("/a/b"), "/user.slice/me", "/a/b"),
            (Some("//a/./b//"), "/", "/a/b"),
            (Some("a/b"), "/user.slice/me", "/user.slice/a/b"),
            (Some("a"), "/", "/a"),
            (Some("/../../a"), "/", "/a"),
            (Some("../../../a"), "/user.slice/me", "/user.slice/a"),
            (Some("a:b/c:d"), "/", "/a:b/c:d"),
        ] {
            assert_eq!(resolve(configured, "box", own).expect("a path"), expected);
        }
    }

    #[test]
    fn the_root_and_systemds_form_are_refused_by_name() {
        for path in ["/", "/..", "../..", "system.slice:cri:1"] {
            let error = resolve(Some(path), "box", "/a/b").expect_err("refused").to_string();
            assert!(error.starts_with("linux.cgroupsPath: "), "{error}");
        }
    }
}
