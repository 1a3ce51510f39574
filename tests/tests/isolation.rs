//! How far a person's container is kept apart, by the flags of `servin run`: what its program sees.

use std::fs;

use servin_tests::{People, Report, alone, forget_home, servin};

fn report(flags: &[&str]) -> Report {
    People::new().flags(&["--rm"]).flags(flags).report()
}

/// Whether a namespace is the host's.
fn shared(seen: &Report, kind: &str) -> bool {
    let own = fs::read_link(format!("/proc/self/ns/{kind}")).expect("read a namespace's link");
    own.to_str() == Some(&format!("{kind}:[{}]", seen.namespace(kind)))
}

#[test]
fn namespaces_are_the_hosts_where_that_was_asked_for() {
    alone(|| {
        for (flag, kind) in [("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")] {
            let seen = report(&[flag, "host"]);
            for other in ["pid", "ipc", "uts", "cgroup", "mnt"] {
                assert_eq!(shared(&seen, other), other == kind, "{flag} {other}");
            }
        }
        let seen = report(&["--ipc", "none"]);
        assert!(
            seen["mounts"].as_array().is_some_and(|mounts| mounts.iter().all(|m| m["target"] != "/dev/shm"))
        );
        forget_home();
    });
}

#[test]
fn a_privileged_container_has_all_that_the_host_has() {
    alone(|| {
        let seen = report(&["--privileged"]);
        let all = servin_tests::own_capabilities();
        assert_eq!(seen["capabilities"]["effective"].as_array().map(Vec::len), Some(all.len()));
        assert!(!seen.mounted_with("/sys", "ro") && seen["seccomp"]["mode"] != 2, "{}", seen["seccomp"]);
        let run =
            People::new().flags(&["--rm", "--privileged"]).run(&["/bin/probe", "try-create", "/dev/kmsg"]);
        if fs::exists("/dev/kmsg").unwrap_or(false) {
            assert_eq!(run.out, "EEXIST\n");
        }
        forget_home();
    });
}

#[test]
fn limits_groups_and_masks_reach_the_program() {
    alone(|| {
        let seen = report(&[
            "--ulimit",
            "core=0:0",
            "--group-add",
            "4321",
            "--umask",
            "077",
            "--oom-score-adj",
            "500",
            "--sysctl",
            "kernel.msgmax=4321",
            "--shm-size",
            "1m",
            "--domainname",
            "example",
        ]);
        assert!(
            seen["groups"].as_array().is_some_and(|groups| groups.contains(&4321.into())),
            "{}",
            seen["groups"]
        );
        assert!(seen.mounted_with("/dev/shm", "size=1024k"));
        let read = |flags: &[&str], path: &str| {
            People::new().flags(&["--rm"]).flags(flags).run(&["/bin/probe", "read", path]).succeeds().out
        };
        assert_eq!(read(&["--oom-score-adj", "500"], "/proc/self/oom_score_adj"), "500\n");
        assert_eq!(read(&["--sysctl", "kernel.msgmax=4321"], "/proc/sys/kernel/msgmax"), "4321\n");
        assert_eq!(read(&["--domainname", "example"], "/proc/sys/kernel/domainname"), "example\n");
        let limits = read(&["--ulimit", "core=0:0"], "/proc/self/limits");
        let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a line");
        assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
        let status = read(&["--umask", "077"], "/proc/self/status");
        assert!(status.contains("Umask:\t0077"), "{status}");
        if fs::exists("/etc/localtime").unwrap_or(false) {
            let own = fs::read("/etc/localtime").expect("read");
            let seen = People::new().flags(&["--rm", "--tz", "local"]).run(&[
                "/bin/probe",
                "read",
                "/etc/localtime",
            ]);
            assert_eq!(seen.succeeds().out, String::from_utf8_lossy(&own));
        }
        forget_home();
    });
}

#[test]
fn a_device_of_the_host_is_there_under_its_own_name_or_another() {
    alone(|| {
        let write = |flags: &[&str], path: &str| {
            People::new().flags(&["--rm"]).flags(flags).run(&["/bin/probe", "try-create", path]).out
        };
        assert_eq!(write(&[], "/dev/nothing"), "ok\n");
        assert_eq!(write(&["--device", "/dev/null:/dev/nothing"], "/dev/nothing"), "EEXIST\n");
        for bad in ["/dev/no-such-device", "null", "/etc/hostname", "/dev/null:/x:q"] {
            People::new()
                .flags(&["--rm", "--device", bad])
                .run(&["/bin/probe"])
                .ends_with(125)
                .fails(&["--device"]);
        }
        forget_home();
    });
}

#[test]
fn what_is_masked_is_not_to_be_read_and_what_is_unmasked_is() {
    alone(|| {
        let read = |flags: &[&str], path: &str| {
            People::new().flags(&["--rm"]).flags(flags).run(&["/bin/probe", "read", path])
        };
        assert_eq!(read(&["--security-opt", "mask=/proc/version"], "/proc/version").out, "");
        let mounted = |flags: &[&str]| {
            let seen = report(flags);
            seen["mounts"].as_array().is_some_and(|mounts| mounts.iter().any(|m| m["target"] == "/proc/sys"))
        };
        assert!(mounted(&[]));
        assert!(!mounted(&["--security-opt", "systempaths=unconfined"]));
        assert!(!mounted(&["--security-opt", "unmask=/proc/sys"]));
        forget_home();
    });
}

#[test]
fn the_shared_memory_of_another_container_is_seen_with_its_namespace() {
    alone(|| {
        let busybox = People::of("busybox");
        busybox
            .clone()
            .flags(&["--ipc", "shareable", "--shm-size", "2m"])
            .detached("donor", &["/bin/sleep", "1000"]);
        servin(&["exec", "donor", "sh", "-c", "echo of the donor > /dev/shm/segment"]).succeeds();
        let joins = busybox.flags(&["--ipc", "container:donor", "--name", "joins"]).kept();
        let seen = joins.run(&[
            "/bin/sh",
            "-c",
            "cat /dev/shm/segment; echo back > /dev/shm/answer; df -k /dev/shm | tail -1",
        ]);
        let lines = seen.succeeds().out;
        assert!(lines.starts_with("of the donor\n") && lines.contains(" 2048 "), "{lines}");
        assert_eq!(servin(&["exec", "donor", "cat", "/dev/shm/answer"]).succeeds().out, "back\n");
        // It is found again as it runs now.
        servin(&["restart", "--time", "0", "donor"]).succeeds();
        servin(&["exec", "donor", "sh", "-c", "echo anew > /dev/shm/segment"]).succeeds();
        assert!(servin(&["start", "--attach", "joins"]).succeeds().out.starts_with("anew\n"));
        servin(&["stop", "--time", "0", "donor"]).succeeds();
        servin(&["start", "joins"]).fails(&["--ipc container", "donor", "does not run"]);
        servin(&["rm", "joins", "donor"]).succeeds();
        forget_home();
    });
}

#[test]
fn a_namespace_of_another_container_is_that_which_it_has_now() {
    alone(|| {
        let people = People::of("busybox").kept().flags(&["--network", "none"]);
        people.clone().detached("owner", &["sleep", "1000"]);
        let guest = people.flags(&["--pid", "container:owner", "--ipc", "container:owner", "--init=false"]);
        guest.detached("guest", &["sleep", "1000"]);
        servin(&["stop", "-t", "0", "guest", "owner"]).succeeds();
        servin(&["start", "guest"]).fails(&["owner does not run", "servin start owner"]);
        // As another process.
        servin(&["start", "owner", "guest"]).succeeds();
        let namespaces = |name: &str| {
            let pid = servin(&["inspect", "-f", "{{.State.Pid}}", name]).succeeds().out;
            ["pid", "ipc", "mnt"].map(|kind| {
                let path = format!("/proc/{}/ns/{kind}", pid.trim());
                fs::read_link(path).expect("a namespace")
            })
        };
        let (owner, guest) = (namespaces("owner"), namespaces("guest"));
        assert!(owner[..2] == guest[..2] && owner[2] != guest[2], "{owner:?} {guest:?}");
        servin(&["rm", "-f", "guest", "owner"]).succeeds();
    });
}
