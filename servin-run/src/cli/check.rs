//! `servin check`: what this host offers to containers, and the kernel option that is missing where it does not.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fs::{Access, CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{FsOpenFlags, OpenTreeFlags, fsopen, open_tree};
use rustix::process::{WaitOptions, geteuid, waitpid};

use super::arguments::{Command, Given};
use super::{Invocation, output, rootless};
use crate::error::{Result, Step};
use crate::fs::{mountinfo, read_to_end};
use crate::gather::Gather as _;
use crate::launch::user_namespace::helper;
use crate::network::link;
use crate::network::netfilter;
use crate::network::netlink::Socket;
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::mount::{MountAttr, mount_setattr};
use crate::sys::path::{access, openat};

/// The command.
pub const CHECK: Command = Command {
    name: "servin check",
    usage: "",
    about: "Report what this host offers to containers.",
    groups: &[],
    last_word: usize::MAX,
};

/// Each kind of namespace by its file in /proc/self/ns, and the kernel option that provides it.
const NAMESPACES: &[(&str, &str)] = &[
    ("pid", "CONFIG_PID_NS"),
    ("mnt", "CONFIG_NAMESPACES"),
    ("net", "CONFIG_NET_NS"),
    ("ipc", "CONFIG_IPC_NS"),
    ("uts", "CONFIG_UTS_NS"),
    ("user", "CONFIG_USER_NS"),
    ("cgroup", "CONFIG_CGROUPS"),
    ("time", "CONFIG_TIME_NS"),
];

/// Runs the command. The exit code is 1 when containers cannot run here at all.
pub fn main(_: &Invocation, given: &Given) -> Result<i32> {
    given.none(&CHECK)?;
    let mut complete = true;
    for (name, option) in NAMESPACES {
        let there = exists(&format!("/proc/self/ns/{name}"));
        // The last two are only defaults: a container runs without them.
        complete &= there || matches!(*name, "cgroup" | "time" | "user");
        let name = if *name == "mnt" { "mount" } else { name };
        say(&format!("{name} namespace"), there, option)?;
    }
    say(
        "user namespaces for everybody",
        user_namespaces(),
        "user.max_user_namespaces is 0, or a policy forbids them",
    )?;
    output::result(cgroups()?)?;
    for kind in ["overlay", "tmpfs", "proc", "sysfs", "devpts", "mqueue", "squashfs", "erofs"] {
        say(&format!("{kind} file system"), file_system(kind), option_of(kind))?;
    }
    say("loop devices, for images of file systems", exists("/dev/loop-control"), "CONFIG_BLK_DEV_LOOP")?;
    say("pseudo-terminals", exists("/dev/ptmx"), "CONFIG_UNIX98_PTYS, or a devpts on /dev/pts")?;
    say("new mount API (fsopen, open_tree)", new_mounts(), "Linux 5.2, or a filter around us refuses it")?;
    say("mount_setattr (recursive options, idmap)", changes_mounts(), "Linux 5.12")?;
    say("openat2", opens_in_root(), "Linux 5.6; paths are walked one component at a time instead")?;
    say("nftables", netfilter::has_nftables(), "CONFIG_NF_TABLES")?;
    let kinds = interfaces();
    for (number, (kind, option)) in INTERFACES.iter().enumerate() {
        say(&format!("{kind} interfaces"), kinds & 1 << number != 0, option)?;
    }
    say("IPv6", exists("/proc/net/if_inet6"), "CONFIG_IPV6, or ipv6.disable=1 at the boot")?;
    say("seccomp", exists("/proc/sys/kernel/seccomp/actions_avail"), "CONFIG_SECCOMP_FILTER")?;
    for (name, package) in HELPERS {
        say(&format!("{name}, without privileges"), helper(name).is_some(), package)?;
    }
    let missing = "a line USER:100000:65536 in /etc/subuid and /etc/subgid";
    say("subordinate ids, without privileges", has_subordinate_ids(), missing)?;
    Ok(i32::from(!complete))
}

/// Kinds of interfaces that networks are made of, and the kernel options that provide them.
const INTERFACES: &[(&str, &str)] = &[
    ("veth", "CONFIG_VETH"),
    ("bridge", "CONFIG_BRIDGE"),
    ("macvlan", "CONFIG_MACVLAN"),
    ("ipvlan", "CONFIG_IPVLAN"),
];

/// Programs that do for a user what takes privileges, and what they come with.
const HELPERS: &[(&str, &str)] = &[
    ("newuidmap", "the package uidmap or shadow; his own id alone is mapped without"),
    ("newgidmap", "the package uidmap or shadow; his own id alone is mapped without"),
    ("pasta", "the package passt; --network none and host do without"),
];

/// Which of [`INTERFACES`] the kernel makes, a bit each: tried out in a network namespace that goes with its process.
fn interfaces() -> i32 {
    let user = if geteuid().is_root() { CloneFlags::empty() } else { CloneFlags::NEWUSER };
    match clone3(user | CloneFlags::NEWNET, None) {
        Ok(Cloned::Child { .. }) => {
            let kinds = Socket::open().map_or(0, |socket| {
                let has = |(number, (kind, _)): (usize, &(&str, &str))| {
                    i32::from(link::has_kind(&socket, kind)) << number
                };
                INTERFACES.iter().enumerate().map(has).sum()
            });
            servin_init::sys::process::exit(kinds)
        }
        Ok(Cloned::Parent(pid)) => {
            let ended = retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
            ended.ok().flatten().and_then(|(_, status)| status.exit_status()).unwrap_or(0)
        }
        Err(_) => 0,
    }
}

/// Whether the caller may map ids beside his own; root may map all.
fn has_subordinate_ids() -> bool {
    rootless::id_maps().is_none_or(|maps| maps.iter().all(|map| map.len() > 1))
}

fn say(what: &str, there: bool, missing: &str) -> Result<()> {
    match there {
        true => output::result(format_args!("{what:<42} yes")),
        false => output::result(format_args!("{what:<42} no: {missing}")),
    }
}

fn exists(path: &str) -> bool {
    access(path, Access::EXISTS).is_ok()
}

fn option_of(kind: &str) -> &'static str {
    match kind {
        "overlay" => "CONFIG_OVERLAY_FS",
        "tmpfs" => "CONFIG_TMPFS",
        "proc" => "CONFIG_PROC_FS",
        "sysfs" => "CONFIG_SYSFS",
        "devpts" => "CONFIG_UNIX98_PTYS",
        "squashfs" => "CONFIG_SQUASHFS; `servin import` reads such images with it",
        "erofs" => "CONFIG_EROFS_FS; `servin import` reads such images with it",
        _ => "CONFIG_POSIX_MQUEUE",
    }
}

/// Whether the kernel has a file system; asking loads its module where there is one.
fn file_system(kind: &str) -> bool {
    match fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC) {
        Ok(_) => true,
        Err(Errno::NODEV) => false,
        // Not ours to ask, or no such call: the list has what is built in or loaded.
        Err(_) => {
            text("/proc/filesystems").is_ok_and(|list| list.split_whitespace().any(|word| word == kind))
        }
    }
}

fn new_mounts() -> bool {
    let flags = OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, c"/", flags).is_ok()
        && !matches!(fsopen(c"tmpfs", FsOpenFlags::FSOPEN_CLOEXEC), Err(Errno::NOSYS))
}

fn changes_mounts() -> bool {
    let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
    // Nothing to change: without the call the answer is ENOSYS.
    root.is_ok_and(|root| mount_setattr(root, false, &MountAttr::default()) != Err(Errno::NOSYS))
}

fn opens_in_root() -> bool {
    openat2(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT).is_ok()
}

fn user_namespaces() -> bool {
    let most = text("/proc/sys/user/max_user_namespaces").unwrap_or_default();
    let debian = text("/proc/sys/kernel/unprivileged_userns_clone").unwrap_or_default();
    let ubuntu = text("/proc/sys/kernel/apparmor_restrict_unprivileged_userns").unwrap_or_default();
    !most.is_empty() && most.trim() != "0" && debian.trim() != "0" && ubuntu.trim() != "1"
}

/// Where version 2 is mounted, and which controllers are bound to it.
fn cgroups() -> Result<String> {
    let mounts = mountinfo::read()?;
    let old = mounts.iter().filter(|mount| mount.kind == "cgroup").count();
    let Some(unified) = mounts.iter().find(|mount| mount.kind == "cgroup2") else {
        return Ok(String::from("cgroup v2                                  no: it is not mounted"));
    };
    let controllers = text(&format!("{}/cgroup.controllers", unified.target)).unwrap_or_default();
    let controllers: Vec<&str> = controllers.split_whitespace().gather();
    let mut line = format!("cgroup v2                                  yes, on {}", unified.target);
    line.push_str(if controllers.is_empty() { ", without controllers" } else { ", with " });
    line.push_str(&controllers.join(" "));
    if old > 0 {
        line.push_str(&format!("; {old} version 1 hierarchies hold the others"));
    }
    Ok(line)
}

fn text(path: &str) -> Result<String> {
    let step = || format!("read {path}");
    let file = openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).step(step)?;
    Ok(String::from_utf8_lossy(&read_to_end(&file).step(step)?).into_owned())
}
