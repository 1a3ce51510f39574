//! Root file systems that attack the runtime: each did work on some runtime once.
//!
//! Where an attack needs a place on the host it is [`VICTIM`], which the tests make, and look at afterwards.

use std::fs;
use std::path::Path;

use crate::roots::{fifo, install, link};
use crate::{Context, Result};

/// The directory of the host that the attacks want to read, write or mount over.
pub const VICTIM: &str = "/tmp/servin-tests/victim";

/// One hostile root: the minimal one, armed.
pub struct Case {
    /// The directory's name.
    pub name: &'static str,
    /// Where it was seen.
    pub seen_as: &'static str,
    /// What the attack hopes for.
    pub attack: &'static str,
    /// Turns a minimal root into this one; may be repeated.
    pub arm: fn(&Path) -> Result<()>,
}

/// All of them.
pub const CASES: &[Case] = &[
    Case {
        name: "proc-link",
        seen_as: "CVE-2019-19921",
        attack: "/proc is a link to the host's directory, so that proc is mounted there",
        arm: |root| link(VICTIM, &root.join("proc")),
    },
    Case {
        name: "proc-link-inside",
        seen_as: "CVE-2023-27561",
        attack: "/proc is a link to a directory of the image, which then passes for proc",
        arm: |root| {
            directory(&root.join("own-proc/self"))?;
            link("own-proc", &root.join("proc"))
        },
    },
    Case {
        name: "sys-link",
        seen_as: "CVE-2019-19921",
        attack: "/sys is a link to the host's directory",
        arm: |root| link(VICTIM, &root.join("sys")),
    },
    Case {
        name: "proc-own",
        seen_as: "CVE-2019-16884, CVE-2025-52881",
        attack: "/proc holds files of the image where labels and sysctls are written, links to the host among them",
        arm: |root| {
            install(b"", 0o666, &root.join("proc/self/attr/exec"))?;
            install(b"", 0o666, &root.join("proc/self/attr/current"))?;
            install(b"", 0o666, &root.join("proc/self/oom_score_adj"))?;
            link(&format!("{VICTIM}/marker"), &root.join("proc/sys/kernel/shmmax"))?;
            link(&format!("{VICTIM}/marker"), &root.join("proc/sys/net/ipv4/ip_forward"))
        },
    },
    Case {
        name: "target-absolute",
        seen_as: "CVE-2018-15664",
        attack: "a mount's target is an absolute link, which leads to the host's directory outside the root",
        arm: |root| link(VICTIM, &root.join("data")),
    },
    Case {
        name: "target-relative",
        seen_as: "CVE-2018-15664",
        attack: "a mount's target climbs out of the root with ..",
        arm: |root| link(&format!("{}{VICTIM}", "../".repeat(16)), &root.join("data")),
    },
    Case {
        name: "target-dangling",
        seen_as: "CVE-2024-45310",
        attack: "a mount's target is a link to what does not exist, so that it is made, on the host",
        arm: |root| link(&format!("{VICTIM}/new/deep"), &root.join("data")),
    },
    Case {
        name: "target-loop",
        seen_as: "CVE-2018-15664",
        attack: "a mount's target is a link that leads to itself",
        arm: |root| {
            link("/data-again", &root.join("data"))?;
            link("/data", &root.join("data-again"))
        },
    },
    Case {
        name: "target-proc",
        seen_as: "CVE-2023-28642",
        attack: "a mount's target is a link into /proc, so that the mount covers what the runtime writes to",
        arm: |root| link("/proc/self", &root.join("data")),
    },
    Case {
        name: "target-parent",
        seen_as: "CVE-2024-45310",
        attack: "the directory in which a mount's target is to be made is a link to the host's",
        arm: |root| link(VICTIM, &root.join("data/parent")),
    },
    Case {
        name: "dev-link",
        seen_as: "CVE-2026-41579",
        attack: "/dev is a link to the host's directory, so that nodes are made and removed there",
        arm: |root| link(VICTIM, &root.join("dev")),
    },
    Case {
        name: "dev-null-file",
        seen_as: "CVE-2025-31133",
        attack: "/dev/null is a file of the image, which then masks nothing",
        arm: |root| install(b"not the null device\n", 0o666, &root.join("dev/null")),
    },
    Case {
        name: "dev-null-link",
        seen_as: "CVE-2025-31133",
        attack: "/dev/null is a link, so that what it points to is mounted over the masked path, writable",
        arm: |root| link("/proc/sys/kernel/core_pattern", &root.join("dev/null")),
    },
    Case {
        name: "dev-links-taken",
        seen_as: "CVE-2026-47766",
        attack: "the links of /dev are there already and point to the host",
        arm: |root| {
            ["fd", "stdin", "stdout", "stderr", "ptmx"]
                .iter()
                .try_for_each(|name| link(&format!("{VICTIM}/marker"), &root.join("dev").join(name)))
        },
    },
    Case {
        name: "dev-pts-link",
        seen_as: "CVE-2025-52565",
        attack: "/dev/pts is a link to the host's directory",
        arm: |root| link(VICTIM, &root.join("dev/pts")),
    },
    Case {
        name: "dev-console-link",
        seen_as: "CVE-2025-52565",
        attack: "/dev/console is a link to a file of the host, which the terminal is then bound over",
        arm: |root| link(&format!("{VICTIM}/marker"), &root.join("dev/console")),
    },
    Case {
        name: "dev-shm-link",
        seen_as: "CVE-2021-30465",
        attack: "/dev/shm is a link to the host's directory",
        arm: |root| link(VICTIM, &root.join("dev/shm")),
    },
    Case {
        name: "cwd-descriptor",
        seen_as: "CVE-2024-21626",
        attack: "the working directory is a link to a descriptor that the runtime left open",
        arm: |root| {
            (3..32).try_for_each(|fd| link(&format!("/proc/self/fd/{fd}"), &root.join(format!("cwd-{fd}"))))
        },
    },
    Case {
        name: "cwd-link",
        seen_as: "CVE-2024-21626",
        attack: "the working directory is a link to the host's directory",
        arm: |root| {
            link(VICTIM, &root.join("app"))?;
            link(&format!("{VICTIM}/new"), &root.join("app-new"))
        },
    },
    Case {
        name: "own-binary",
        seen_as: "CVE-2019-5736",
        attack: "a program whose interpreter is /proc/self/exe: the runtime itself, to be overwritten from inside",
        arm: |root| {
            install(b"#!/proc/self/exe\n", 0o755, &root.join("bin/script"))?;
            link("/proc/self/exe", &root.join("bin/linked"))
        },
    },
    Case {
        name: "passwd-numbers",
        seen_as: "CVE-2024-40635, CVE-2026-30892",
        attack: "the numbers of /etc/passwd and /etc/group overflow to 0",
        arm: |root| {
            let passwd = "big:x:4294967296:4294967296::/root:/bin/sh\nminus:x:-1:-1::/:/bin/sh\n\
                          hex:x:0x0:0x0::/:/bin/sh\nplus:x:+0:+0::/:/bin/sh\nempty:x:::::\nshort:x\n\
                          1000:x:0:0:a name that is a number:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n";
            install(passwd.as_bytes(), 0o644, &root.join("etc/passwd"))?;
            install(b"big:x:4294967296:app\nminus:x:-1:app\napp:x:1000:\n", 0o644, &root.join("etc/group"))
        },
    },
    Case {
        name: "passwd-long",
        seen_as: "CVE-2024-40635",
        attack: "/etc/passwd is one line of megabytes, and bytes that are no text",
        arm: |root| {
            let mut passwd = vec![b'a'; 8 << 20];
            passwd.extend(b"\n\xff\xfe:x:0:0::/:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh");
            install(&passwd, 0o644, &root.join("etc/passwd"))
        },
    },
    Case {
        name: "passwd-fifo",
        seen_as: "CVE-2018-15664",
        attack: "/etc/passwd is a pipe that nobody writes to, so that its reader waits for ever",
        arm: |root| ["etc/passwd", "etc/group"].iter().try_for_each(|name| fifo(&root.join(name))),
    },
    Case {
        name: "passwd-link",
        seen_as: "CVE-2018-15664",
        attack: "/etc/passwd is a link to the host's, whose accounts are then believed",
        arm: |root| {
            link(&format!("{VICTIM}/passwd"), &root.join("etc/passwd"))?;
            link(&format!("{VICTIM}/passwd"), &root.join("etc/group"))
        },
    },
    Case {
        name: "race",
        seen_as: "CVE-2021-30465, CVE-2019-18837, CVE-2024-45310",
        attack: "a directory on the way to a mount's target is exchanged with a link to the host while it is walked",
        arm: |root| {
            directory(&root.join("data/target"))?;
            link(VICTIM, &root.join("data-link"))
        },
    },
];

fn directory(place: &Path) -> Result<()> {
    fs::create_dir_all(place).context("create", place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_cases_share_a_name() {
        for (at, case) in CASES.iter().enumerate() {
            assert!(CASES[..at].iter().all(|other| other.name != case.name), "{}", case.name);
        }
    }
}
