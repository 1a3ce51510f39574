//! Somebody else's host: a network namespace behind a veth pair, with addresses of its own (those for documentation,
//! RFC 5737 and RFC 3849).

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use crate::{Finished, Running, places, run, start};

/// The test's own address there.
pub const OUR_ADDRESS: &str = "192.0.2.1";
/// The other's address.
pub const OUTSIDE: &str = "192.0.2.2";
/// The test's own of IPv6.
pub const OUR_ADDRESS6: &str = "2001:db8::1";
/// The other's of IPv6.
pub const OUTSIDE6: &str = "2001:db8::2";

/// The test's own end of the cable.
const CABLE: &str = "out0";

/// The other host. It is gone, with the cable, when this goes.
pub struct Outside {
    holder: Option<Running>,
    pid: i32,
    interface: String,
}

impl Outside {
    /// Makes it, and a cable to it.
    #[track_caller]
    pub fn new() -> Outside {
        let mut holder = Command::new(places::probe());
        holder.args(["namespaces", "net"]);
        let mut holder = start(run::quiet(holder));
        holder.says("ready");
        let mut outside = Outside { pid: holder.pid(), holder: Some(holder), interface: String::new() };
        // Duplicates of addresses are not looked for, which would take a second.
        let unasked = "net.ipv6.conf.default.accept_dad=0";
        let _ = fs::write("/proc/sys/net/ipv6/conf/default/accept_dad", "0");
        outside.run("busybox", &["sysctl", "-w", unasked]).succeeds();
        let before = interfaces();
        ip(&["link", "add", CABLE, "type", "veth"]);
        // The kernel names the other end.
        let other = interfaces().difference(&before).find(|name| *name != CABLE).cloned().expect("a cable");
        ip(&["link", "set", &other, "netns", &outside.pid.to_string()]);
        addresses(&|arguments| ip(arguments), CABLE, OUR_ADDRESS, OUR_ADDRESS6);
        addresses(&|arguments| outside.ip(arguments), &other, OUTSIDE, OUTSIDE6);
        outside.ip(&["link", "set", "lo", "up"]);
        outside.interface = other;
        outside
    }

    /// The name of its end of the cable.
    pub fn interface(&self) -> String {
        self.interface.clone()
    }

    /// `ip ARGUMENTS` there.
    #[track_caller]
    pub fn ip(&self, arguments: &[&str]) {
        self.run("busybox", &[&["ip"], arguments].concat()).succeeds();
    }

    /// A program there.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Finished {
        start(self.command(program, arguments)).finish()
    }

    /// The command that runs a program there.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        in_network_of(self.pid, program, arguments)
    }

    /// What is answered there to `probe ask`.
    #[track_caller]
    pub fn ask(&self, arguments: &[&str]) -> String {
        said(self.run(&probe(), &[&["ask"], arguments].concat()))
    }
}

impl Default for Outside {
    fn default() -> Outside {
        Outside::new()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        if let Some(holder) = self.holder.take() {
            holder.signal(libc::SIGKILL);
            holder.finish();
        }
        // It goes with the namespace, but not at once.
        let _ = Command::new("busybox").args(["ip", "link", "del", CABLE]).output();
    }
}

fn interfaces() -> BTreeSet<String> {
    let lines = fs::read_to_string("/proc/net/dev").unwrap_or_default();
    lines.lines().filter_map(|line| Some(line.split_once(':')?.0.trim().to_string())).collect()
}

#[track_caller]
fn ip(arguments: &[&str]) {
    let mut command = Command::new("busybox");
    command.arg("ip").args(arguments);
    start(run::quiet(command)).finish().succeeds();
}

/// Gives one end of the cable its addresses.
fn addresses(ip: &dyn Fn(&[&str]), name: &str, address: &str, address6: &str) {
    ip(&["link", "set", name, "up"]);
    ip(&["addr", "add", &format!("{address}/24"), "dev", name]);
    ip(&["addr", "add", &format!("{address6}/64"), "dev", name]);
}

/// A program in the network namespace of a process.
pub fn in_network_of(pid: i32, program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("busybox");
    command.args(["nsenter", "-t", &pid.to_string(), "-n", program]).args(arguments);
    run::quiet(command)
}

fn probe() -> String {
    places::probe().display().to_string()
}

#[track_caller]
fn said(finished: Finished) -> String {
    finished.succeeds().out.trim_end().to_string()
}

/// What is answered to the test itself by `probe ask`.
#[track_caller]
pub fn ask(arguments: &[&str]) -> String {
    let mut command = Command::new(places::probe());
    command.arg("ask").args(arguments);
    said(start(run::quiet(command)).finish())
}

/// The same from the network namespace of a process.
#[track_caller]
pub fn ask_from(pid: i32, arguments: &[&str]) -> String {
    said(start(in_network_of(pid, &probe(), &[&["ask"], arguments].concat())).finish())
}
