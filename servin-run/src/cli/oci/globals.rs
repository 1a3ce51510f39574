//! The flags before the command, and the log that engines read.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::AsFd;
use rustix::fs::{CWD, Mode, OFlags};

use crate::cli::arguments::{Command, Group, flag};
use crate::cli::{Invocation, rootless};
use crate::container::placement::Manager;
use crate::container::time;
use crate::error::{Error, Result};
use crate::fs::copy::write_all;
use crate::spec::{self, json};
use crate::sys::path::openat;

pub const FLAGS: Command = Command {
    name: "servin-run",
    usage: "[FLAGS] COMMAND [FLAGS] [ID]",
    about: "An OCI runtime.",
    groups: &[Group(
        "Flags",
        &[
            flag("root", None, Some("DIR"), "where containers are kept (SERVIN_ROOT; /run/servin)"),
            flag("log", None, Some("FILE"), "append errors to this file too"),
            flag("log-format", None, Some("text|json"), "how they are written there"),
            flag("debug", None, None, "accepted; there is nothing more to say"),
            flag("cgroup-manager", None, Some("NAME"), "cgroupfs, systemd or disabled"),
            flag("systemd-cgroup", None, None, "the same as --cgroup-manager systemd"),
            flag("rootless", None, Some("true|false|auto"), "accepted; what the user may is found out"),
            flag("version", Some('v'), None, "print the version"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: 1,
};

/// Their values.
pub struct Globals<'a> {
    /// The directory of all containers.
    pub root: String,
    /// Who makes cgroups.
    pub manager: Manager,
    /// Asked for the version alone.
    pub version: bool,
    log: Option<&'a str>,
    json: bool,
}

json::written! {
    /// A line of the log.
    pub struct Line<'a> {
        /// How bad it is: `error`.
        "level" => level: &'a str,
        /// What happened.
        "msg" => message: &'a str,
        /// When, as RFC 3339.
        "time" => time: &'a str,
    }
}

impl<'a> Globals<'a> {
    /// Reads them, and returns what follows: the command and its arguments.
    pub fn read(invocation: &Invocation<'a>, arguments: &[&'a str]) -> Result<(Globals<'a>, Vec<&'a str>)> {
        let mut given = FLAGS.parse(arguments)?;
        let json = match given.value("log-format") {
            None | Some("text") => false,
            Some("json") => true,
            Some(word) => return Err(Error::new(format_args!("--log-format {word}: neither text nor json"))),
        };
        let manager = if given.switch("systemd-cgroup", false) {
            Some("systemd")
        } else {
            given.value("cgroup-manager")
        };
        let manager = match manager {
            None => Manager::default(),
            Some(name) => Manager::by_name(name, rootless::systemd(invocation))?,
        };
        if let Some(word) = given.value("rootless").filter(|word| !matches!(*word, "true" | "false" | "auto"))
        {
            return Err(Error::new(format_args!("--rootless {word}: neither true nor false nor auto")));
        }
        let help = given.switch("help", false);
        let version = given.switch("version", false);
        if help || version {
            given.words.clear();
        }
        let root = match given.value("root").or_else(|| invocation.variable("SERVIN_ROOT")) {
            Some(root) if root.starts_with('/') => root.to_string(),
            Some(root) => super::absolute_or_new(root)?,
            None => rootless::root(invocation),
        };
        let globals = Globals { root, manager, version: version && !help, log: given.value("log"), json };
        Ok((globals, given.words))
    }

    /// Appends an error to the log. One that cannot be written is said on standard error all the same.
    pub fn log_error(&self, error: &Error) {
        let Some(path) = self.log else { return };
        let (message, time) = (error.to_string(), time::now());
        let line = match self.json {
            true => spec::to_json(&Line { level: "error", message: &message, time: &time }),
            false => format!("time=\"{time}\" level=error msg={}", spec::to_json(&message)),
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::CLOEXEC;
        if let Ok(file) = openat(CWD, path, flags, Mode::from_raw_mode(0o644)) {
            let _ = write_all(file.as_fd(), format!("{line}\n").as_bytes());
        }
    }
}

/// What `--version` prints; engines read the first line and what is built in.
pub fn version() -> String {
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "servin-run version {version}\ncommit: {version}\nspec: {}\n+SYSTEMD +SELINUX +APPARMOR +CAP +SECCOMP +EBPF +JSON",
        spec::VERSION
    )
}
