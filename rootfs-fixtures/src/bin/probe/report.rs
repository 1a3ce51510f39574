//! `probe report`: one JSON document of everything that a container decides for its process. What cannot be
//! known (no /proc, say) is null.

mod descriptors;
mod files;
mod identity;
mod limits;
mod mounts;
mod network;
mod signals;
mod terminal;

use std::fs;

use serde_json::{Value, json};

use crate::{say, sys};

pub use files::stat;

/// Prints the report.
pub fn report(_: &[String]) -> i32 {
    let mut seen = Value::Object(Default::default());
    // The descriptors first, before anything here opens one.
    seen["descriptors"] = descriptors::open();
    place(&mut seen);
    identity::add(&mut seen);
    limits::add(&mut seen);
    signals::add(&mut seen);
    seen["mounts"] = mounts::table();
    seen["dev"] = files::devices();
    seen["terminal"] = terminal::seen();
    seen["interfaces"] = network::interfaces();
    say(seen);
    0
}

fn place(seen: &mut Value) {
    let [pid, parent, group, session] = sys::pids();
    seen["pid"] = pid.into();
    seen["ppid"] = parent.into();
    seen["pgid"] = group.into();
    seen["sid"] = session.into();
    seen["cwd"] = std::env::current_dir().map_or(Value::Null, |path| path.to_string_lossy().into());
    seen["exe"] = link("/proc/self/exe");
    seen["root"] = link("/proc/self/root");
    seen["argv"] = words(std::env::args_os());
    seen["env"] = words(std::env::vars_os().map(|(mut name, value)| {
        name.push("=");
        name.push(value);
        name
    }));
    let [host, domain] = sys::names();
    seen["hostname"] = host.into();
    seen["domainname"] = domain.into();
    seen["namespaces"] = namespaces();
    seen["clocks"] = json!({ "monotonic": sys::clock(libc::CLOCK_MONOTONIC), "boottime": sys::clock(libc::CLOCK_BOOTTIME) });
    seen["cgroup"] = text("/proc/self/cgroup");
}

fn words(words: impl Iterator<Item = std::ffi::OsString>) -> Value {
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().into()
}

fn text(path: &str) -> Value {
    fs::read_to_string(path).map_or(Value::Null, |text| text.trim_end().into())
}

fn link(path: &str) -> Value {
    fs::read_link(path).map_or(Value::Null, |target| target.to_string_lossy().into())
}

/// The namespaces' numbers, by the names of /proc/self/ns.
fn namespaces() -> Value {
    let mut found = Value::Object(Default::default());
    for entry in fs::read_dir("/proc/self/ns").into_iter().flatten().flatten() {
        let target = fs::read_link(entry.path()).unwrap_or_default().to_string_lossy().into_owned();
        let number = target.split(['[', ']']).nth(1).and_then(|number| number.parse::<u64>().ok());
        found[entry.file_name().to_string_lossy().as_ref()] = number.into();
    }
    found
}
