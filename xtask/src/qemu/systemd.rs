//! A Debian whose PID 1 is systemd, for the tests of its driver: made by debootstrap once, unpacked into the machine's
//! memory, where the test programs run as a service.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::newc::Archive;
use crate::{Result, command, debian};

/// systemd, and the unit that is its goal instead of a login.
pub const KERNEL_ARGUMENTS: &str = "rdinit=/usr/lib/systemd/systemd systemd.unit=servin-tests.service systemd.show_status=0 systemd.log_level=warning";

/// What the driver speaks to, and what makes sessions of users.
const PACKAGES: &str = "systemd,systemd-sysv,dbus,dbus-user-session,libpam-systemd,uidmap";

/// Of the packages, what the tests do without.
const UNNEEDED: &[&str] = &[
    "boot",
    "usr/share/doc",
    "usr/share/i18n",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/perl",
    "usr/share/perl5",
    "usr/lib/x86_64-linux-gnu/perl-base",
    "var/cache/apt",
    "var/cache/debconf",
    "var/lib/apt",
    "var/lib/dpkg",
];

const SERVICE: &str = "\
[Unit]
Description=The tests of Servin
Wants=dbus.socket systemd-logind.service
After=basic.target dbus.socket
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/servin/busybox sh /servin/rc
StandardInput=null
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
";

/// The first lines; the loading of modules and the test programs follow.
pub const RC_HEAD: &str = r#"#!/bin/sh
# Made by xtask: runs every test program under systemd, reports, powers off.
export PATH=/servin/dist:/usr/sbin:/usr/bin HOME=/root TMPDIR=/tmp TERM=dumb RUST_BACKTRACE=1
export SERVIN_ROOT=/run/servin-tests SERVIN_HOME=/var/lib/servin-tests
mkdir -m 755 /tmp/servin-tests
"#;

/// Returns the root below `folder`, making it the first time.
pub fn make(folder: &Path) -> Result<PathBuf> {
    let root = folder.join("systemd");
    if root.is_dir() {
        return Ok(root);
    }
    debian::ensure(&["debootstrap"], "a test under systemd")?;
    println!("xtask: making a Debian with systemd; this takes a minute");
    fs::create_dir_all(folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let suite = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).unwrap_or("stable");
    // Made beside and renamed, so that an interrupted run leaves no half of it.
    let partial = folder.join("systemd.partial");
    let _ = fs::remove_dir_all(&partial);
    let include = format!("--include={PACKAGES}");
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.args(["--variant=minbase", &include, suite]).arg(&partial);
    command::output(&mut debootstrap)?;
    for path in UNNEEDED {
        let _ = fs::remove_dir_all(partial.join(path));
    }
    configure(&partial).map_err(|e| format!("configure {}: {e}", partial.display()))?;
    fs::rename(&partial, &root).map_err(|e| format!("rename to {}: {e}", root.display()))?;
    Ok(root)
}

fn configure(root: &Path) -> io::Result<()> {
    fs::write(root.join("etc/systemd/system/servin-tests.service"), SERVICE)?;
    fs::write(root.join("etc/hostname"), "servin-test\n")?;
    // Empty: made at the boot.
    fs::write(root.join("etc/machine-id"), "")?;
    // A person, for what needs no root.
    append(&root.join("etc/passwd"), "app:x:1000:1000::/home/app:/bin/sh\n")?;
    append(&root.join("etc/group"), "app:x:1000:\n")?;
    append(&root.join("etc/shadow"), "app:*:19000::::::\n")?;
    for ids in ["subuid", "subgid"] {
        append(&root.join("etc").join(ids), "app:100000:65536\n")?;
    }
    fs::create_dir_all(root.join("home/app"))?;
    std::os::unix::fs::chown(root.join("home/app"), Some(1000), Some(1000))
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let text = fs::read_to_string(path).unwrap_or_default();
    if text.contains(line) { Ok(()) } else { fs::write(path, text + line) }
}

/// Puts it into the machine.
pub fn write<W: io::Write>(archive: &mut Archive<W>, root: &Path) -> io::Result<()> {
    let mut names: Vec<_> = fs::read_dir(root)?.map(|e| Ok(e?.file_name())).collect::<io::Result<_>>()?;
    names.sort();
    names.iter().try_for_each(|name| archive.tree(&Path::new("/").join(name), &root.join(name)))
}
