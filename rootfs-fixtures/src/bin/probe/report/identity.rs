//! Users, groups, capabilities and what else the kernel allows this process.

use serde_json::{Value, json};

use crate::names::CAPABILITIES;
use crate::sys;

const PR_CAP_AMBIENT_IS_SET: libc::c_ulong = 1;

/// Adds the identity's fields.
pub fn add(seen: &mut Value) {
    seen["uid"] = ids(sys::uids());
    seen["gid"] = ids(sys::gids());
    seen["groups"] = sys::groups().into();
    seen["umask"] = sys::umask().into();
    seen["capabilities"] = capabilities();
    let ask = |option| sys::prctl(option, 0, 0).map_or(Value::Null, Value::from);
    seen["securebits"] = ask(libc::PR_GET_SECUREBITS);
    seen["no_new_privs"] = ask(libc::PR_GET_NO_NEW_PRIVS);
    seen["dumpable"] = ask(libc::PR_GET_DUMPABLE);
    seen["seccomp"] = super::text("/proc/self/status")
        .as_str()
        .and_then(|status| status.lines().find_map(|line| line.strip_prefix("Seccomp:")))
        .and_then(|mode| mode.trim().parse::<u8>().ok())
        .into();
    seen["label"] = super::text("/proc/self/attr/current");
    seen["uid_map"] = super::text("/proc/self/uid_map");
    seen["gid_map"] = super::text("/proc/self/gid_map");
    seen["setgroups"] = super::text("/proc/self/setgroups");
}

fn ids([real, effective, saved, files]: [u32; 4]) -> Value {
    json!({ "real": real, "effective": effective, "saved": saved, "fs": files })
}

fn capabilities() -> Value {
    let [effective, permitted, inheritable] = sys::capabilities().unwrap_or_default();
    let asked = |option, first| {
        let has = |number: usize| match option {
            libc::PR_CAPBSET_READ => sys::prctl(option, number as _, 0),
            _ => sys::prctl(option, first, number as _),
        };
        (0..CAPABILITIES.len())
            .filter(|number| has(*number).is_ok_and(|set| set == 1))
            .map(|n| 1u64 << n)
            .sum()
    };
    json!({
        "bounding": names(asked(libc::PR_CAPBSET_READ, 0)),
        "effective": names(effective),
        "inheritable": names(inheritable),
        "permitted": names(permitted),
        "ambient": names(asked(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET)),
    })
}

fn names(bits: u64) -> Vec<&'static str> {
    CAPABILITIES.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, name)| *name).collect()
}
