//! The program that connects what an unprivileged user has started (pasta(1)): how it is called, and how it ends.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ports::Protocol;
use super::state::Places;
use super::wish::Wish;
use crate::error::{Error, Result};
use crate::fs::read_text;
use crate::sys::signal::kill;

/// The file that has its pid, in the bundle.
const PID: &str = "pasta.pid";

/// How it is called for the namespaces of a process.
pub fn arguments(places: &Places, id: &str, wish: &Wish, pid: i32) -> Result<Vec<String>> {
    let mut all: Vec<String> = ["pasta", "--config-net", "--quiet", "--pid"].map(String::from).into();
    all.push(places.file(id, PID));
    for (flag, protocol) in [("-t", Protocol::Tcp), ("-u", Protocol::Udp)] {
        let before = all.len();
        for publish in wish.publish.iter().filter(|publish| publish.protocol == protocol) {
            if publish.host_port == 0 {
                return Err(Error::new("--publish: pasta needs to know the host's port")
                    .hint("-p HOST:CONTAINER names both"));
            }
            let host = publish.address().map_or(String::new(), |address| format!("{address}/"));
            all.extend([flag.into(), format!("{host}{}:{}", publish.host_port, publish.container_port)]);
        }
        if all.len() == before {
            all.extend([flag.into(), "none".into()]);
        }
    }
    all.extend(["-T", "none", "-U", "none"].map(String::from));
    all.push(format!("{pid}"));
    Ok(all)
}

/// Ends the one of a container, which holds the namespace otherwise.
pub fn end(places: &Places, id: &str) {
    let path = places.file(id, PID);
    let Ok(text) = read_text(&path) else { return };
    let Ok(pid) = text.trim().parse::<i32>() else { return };
    // Another process may have its pid by now.
    let is_it = read_text(&format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("pas"));
    if let Some(pid) = rustix::process::Pid::from_raw(pid).filter(|_| is_it) {
        let _ = kill(pid, linux_raw_sys::general::SIGTERM);
    }
    let _ = rustix::fs::unlink(path);
}
