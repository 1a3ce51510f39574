//! What a container's processes are given: limits, groups, kernel parameters, the time zone. From flags of `run` to the
//! request.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::Access;

use super::arguments::{Given, Group, flag};
use super::{size, user};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::plan::defaults::{self, Request};
use crate::plan::process::RLIMITS;
use crate::spec;
use crate::sys::path::access;

/// The flags.
pub const PROCESS: Group = Group(
    "Kernel",
    &[
        flag("ulimit", None, Some("NAME=SOFT[:HARD]"), "a limit of each process; -1 is none"),
        flag("group-add", None, Some("GROUP"), "one more group, by name or number"),
        flag("umask", None, Some("MASK"), "mode bits that new files lack (default: 0022)"),
        flag("oom-score-adj", None, Some("N"), "-1000 to 1000: sooner killed for want of memory"),
        flag("sysctl", None, Some("KEY=VALUE"), "a kernel parameter of its namespaces"),
        flag("shm-size", None, Some("SIZE"), "size of /dev/shm (default: 64m)"),
        flag("domainname", None, Some("NAME"), "NIS domain name"),
        flag("time-zone", None, Some("AREA/CITY|local"), "the same as --tz"),
        flag("tz", None, Some("AREA/CITY|local"), "time zone, from the host's files"),
    ],
);

/// Where a host has its time zones.
const ZONES: &str = "/usr/share/zoneinfo";

/// Puts the flags into the request; groups are those of the files in `layers`.
pub fn apply(given: &Given, request: &mut Request, layers: &[String]) -> Result<()> {
    for text in given.values("ulimit") {
        let limit = ulimit(text).ok_or_else(|| {
            refused("ulimit", text, "it takes NAME=SOFT[:HARD], such as nofile=1024:2048; -1 is no limit")
        })?;
        request.rlimits.retain(|own| own.kind != limit.kind);
        request.rlimits.push(limit);
    }
    for text in given.values("group-add") {
        let gid = user::group(layers, "group-add", text)?;
        request.user.additional_gids.push(gid);
    }
    if let Some(text) = given.value("umask") {
        let mask = u32::from_str_radix(text, 8).ok().filter(|mask| *mask <= 0o777 && !text.starts_with('+'));
        request.user.umask =
            Some(mask.ok_or_else(|| refused("umask", text, "it is an octal number up to 777"))?);
    }
    if let Some(text) = given.value("oom-score-adj") {
        let score = text.parse().ok().filter(|score| (-1000..=1000).contains(score));
        request.oom_score_adj =
            Some(score.ok_or_else(|| refused("oom-score-adj", text, "it is from -1000 to 1000"))?);
    }
    request.sysctl = pairs(given, "sysctl")?;
    request.domainname = given.value("domainname").map(String::from);
    if let Some(text) = given.value("shm-size") {
        let bytes = size::parse("shm-size", text)?;
        if bytes <= 0 {
            return Err(refused("shm-size", text, "it is more than nothing"));
        }
        request.shm_size = Some(bytes.unsigned_abs());
    }
    request.mounts.extend(given.value("tz").or(given.value("time-zone")).map(time_zone).transpose()?);
    Ok(())
}

/// `NAME=SOFT[:HARD]`.
fn ulimit(text: &str) -> Option<spec::Rlimit> {
    let (name, values) = text.split_once('=')?;
    let kind = format!("RLIMIT_{}", name.to_ascii_uppercase());
    let known = RLIMITS.iter().any(|(own, _)| *own == kind);
    let value = |text: &str| match text {
        "-1" | "unlimited" => Some(u64::MAX),
        digits if !digits.starts_with('+') => digits.parse().ok(),
        _ => None,
    };
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let (soft, hard) = (value(soft)?, value(hard)?);
    (known && soft <= hard).then_some(spec::Rlimit { kind, hard, soft })
}

fn pairs(given: &Given, name: &str) -> Result<Vec<(String, String)>> {
    let pair = |text: &str| match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_string(), value.to_string())),
        _ => Err(refused(name, text, "it takes KEY=VALUE")),
    };
    given.values(name).map(pair).gather()
}

/// The host's description of a time zone, bound where the C libraries look for it.
fn time_zone(zone: &str) -> Result<spec::Mount> {
    let inside = zone.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
    let path = match zone {
        "local" => "/etc/localtime".into(),
        _ if inside => format!("{ZONES}/{zone}"),
        _ => return Err(refused("tz", zone, "it is the name of a time zone such as Europe/Rome, or local")),
    };
    if access(path.as_str(), Access::READ_OK).is_err() {
        return Err(refused("tz", zone, &format!("this host has no {path}")));
    }
    Ok(defaults::bind(&path, "/etc/localtime", &["ro", "rprivate"]))
}

fn refused(name: &str, value: &str, why: &str) -> Error {
    Error::new(format_args!("--{name} {value}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::arguments::Command;

    const COMMAND: Command =
        Command { name: "servin test", usage: "", about: "", groups: &[PROCESS], last_word: usize::MAX };

    fn request(arguments: &[&str]) -> Result<Request> {
        let mut request = Request::default();
        apply(&COMMAND.parse(arguments)?, &mut request, &["/".into()]).map(|()| request)
    }

    #[test]
    fn limits_have_dockers_form() {
        let limit = |text| ulimit(text).map(|limit| (limit.soft, limit.hard));
        assert_eq!(limit("nofile=1024:2048"), Some((1024, 2048)));
        assert_eq!(limit("NPROC=5"), Some((5, 5)));
        assert_eq!(limit("core=0:-1"), Some((0, u64::MAX)));
        assert_eq!(limit("memlock=unlimited"), Some((u64::MAX, u64::MAX)));
        for bad in [
            "",
            "nofile",
            "nofile=",
            "nofile=2:1",
            "nofile=-1:5",
            "nofile=x",
            "fast=1",
            "nofile=1:2:3",
            "core=+1",
        ] {
            assert_eq!(limit(bad), None, "{bad}");
        }
        let last = request(&["--ulimit", "core=1", "--ulimit", "core=2"]).expect("a request").rlimits;
        assert_eq!((last.len(), last[0].soft), (1, 2));
    }

    #[test]
    fn what_is_no_value_is_refused_by_its_flag() {
        for (flag, value) in [
            ("--umask", "8"),
            ("--umask", "1777"),
            ("--umask", "+7"),
            ("--oom-score-adj", "1001"),
            ("--sysctl", "net.ipv4.ip_forward"),
            ("--sysctl", "=1"),
            ("--shm-size", "0"),
            ("--shm-size", "much"),
            ("--tz", "../../etc/passwd"),
            ("--tz", "Nowhere/City"),
            ("--tz", ""),
            ("--group-add", "no-such-group"),
        ] {
            let error = request(&[flag, value]).expect_err("refused").to_string();
            assert!(error.starts_with(flag), "{error}");
        }
        let request =
            request(&["--umask", "077", "--oom-score-adj=-5", "--group-add", "5"]).expect("a request");
        assert_eq!((request.user.umask, request.oom_score_adj), (Some(0o077), Some(-5)));
        assert_eq!(request.user.additional_gids, [5]);
    }
}
