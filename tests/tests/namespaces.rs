//! Namespaces: new, joined by path, or the caller's.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use servin_tests::{Bundle, Running, alone, children, kill, probe, start};

/// Names in config.json and in /proc/self/ns.
const KINDS: [(&str, &str); 6] = [
    ("pid", "pid"),
    ("network", "net"),
    ("ipc", "ipc"),
    ("uts", "uts"),
    ("mount", "mnt"),
    ("cgroup", "cgroup"),
];

/// The number of one of the test's own namespaces.
fn own(kind: &str) -> u64 {
    number(&format!("/proc/self/ns/{kind}"))
}

fn number(path: &str) -> u64 {
    let link = fs::read_link(path).expect("read a namespace's link").display().to_string();
    link.split(['[', ']']).nth(1).and_then(|number| number.parse().ok()).expect("a namespace's number")
}

/// Holds new namespaces of these kinds (as /proc names them) until killed.
fn holder(kinds: &str) -> Running {
    let mut command = Command::new(probe());
    command.args(["namespaces", kinds]);
    let mut holder = start(command);
    holder.says("ready");
    holder
}

fn end(running: Running) {
    running.signal(9);
    running.finish().ends_with(137);
}

#[test]
fn a_pid_namespace_makes_the_program_pid_1() {
    alone(|| {
        let seen = Bundle::new().report();
        assert_eq!((&seen["pid"], &seen["ppid"]), (&1.into(), &0.into()));
    });
}

#[test]
fn each_namespace_that_is_listed_is_new() {
    alone(|| {
        let seen = Bundle::new().namespace("cgroup", None).namespace("time", None).report();
        for (_, kind) in KINDS.iter().chain(&[("time", "time")]) {
            assert_ne!(seen.namespace(kind), own(kind), "{kind}");
        }
        assert_eq!(seen.namespace("user"), own("user"));
    });
}

#[test]
fn each_namespace_that_is_not_listed_is_the_callers() {
    alone(|| {
        for (name, kind) in KINDS.iter().filter(|(name, _)| *name != "mount") {
            let bundle = Bundle::new().no_namespace(name);
            let bundle = if *name == "uts" { bundle.without("/hostname") } else { bundle };
            assert_eq!(bundle.report().namespace(kind), own(kind), "{name}");
        }
    });
}

#[test]
fn a_namespace_with_a_path_is_joined() {
    alone(|| {
        let holder = holder("net,ipc,uts,cgroup");
        for (name, kind) in [("network", "net"), ("ipc", "ipc"), ("uts", "uts"), ("cgroup", "cgroup")] {
            let path = format!("/proc/{}/ns/{kind}", holder.pid());
            let seen = Bundle::new().without("/hostname").namespace(name, Some(&path)).report();
            assert_eq!(seen.namespace(kind), number(&path), "{name}");
        }
        end(holder);
    });
}

#[test]
fn several_namespaces_are_joined_at_once() {
    alone(|| {
        let holder = holder("net,ipc,uts");
        let path = |kind: &str| format!("/proc/{}/ns/{kind}", holder.pid());
        let seen = Bundle::new()
            .namespace("network", Some(&path("net")))
            .namespace("ipc", Some(&path("ipc")))
            .namespace("uts", Some(&path("uts")))
            .report();
        for kind in ["net", "ipc", "uts"] {
            assert_eq!(seen.namespace(kind), number(&path(kind)), "{kind}");
        }
        end(holder);
    });
}

#[test]
fn a_container_that_joins_a_pid_namespace_is_not_pid_1_and_sees_the_others() {
    alone(|| {
        let mut first = Bundle::new().probe(&["sleep"]).start();
        first.says("ready");
        let path = format!("/proc/{}/ns/pid", first.container());
        let second =
            Bundle::new().namespace("pid", Some(&path)).probe(&["both", "report", ",", "children"]).run();
        let lines = second.lines();
        let report: serde_json::Value = lines[0].parse().expect("a report");
        assert_eq!(report["namespaces"]["pid"], number(&path));
        assert!(report["pid"].as_i64() > Some(1), "{}", report["pid"]);
        assert!(lines[1].contains("\"1\""), "{}", lines[1]);
        kill(first.container(), 9).expect("kill the first container");
        first.finish().ends_with(137);
    });
}

/// Kills the first child of a command: as soon as it has a sister, or so long after its birth. Whatever becomes of the
/// container then, the command ends.
fn kill_the_first_child(running: Running, after: Option<Duration>) {
    let mut born = None;
    let end = Instant::now() + Duration::from_secs(5);
    while Instant::now() < end {
        match (children(running.pid()).as_slice(), born) {
            ([], None) => {}
            ([], Some(_)) => break,
            ([first, sisters @ ..], _) => {
                let born = *born.get_or_insert_with(Instant::now);
                if after.map_or(!sisters.is_empty(), |after| born.elapsed() >= after) {
                    // It may have ended by itself in this very moment.
                    let _ = kill(*first, 9);
                    break;
                }
            }
        }
    }
    let finished = running.finish();
    let is_expected = [0, 137].contains(&finished.code) || finished.err.contains("was killed");
    assert!(is_expected, "{finished:?}");
}

#[test]
fn a_command_ends_whenever_the_process_that_joins_its_namespaces_is_killed() {
    alone(|| {
        let holder = holder("uts");
        let path = format!("/proc/{}/ns/uts", holder.pid());
        let joins = || Bundle::new().without("/hostname").namespace("uts", Some(&path));
        let containers = [
            joins().namespace("time", None).set("/linux/timeOffsets/boottime/secs", 5_000_000),
            joins().mapped(100_000, 65_536),
        ];
        for container in containers.map(|container| container.probe(&["report"])) {
            for round in 0..40 {
                let after = (round % 2 == 0).then(|| Duration::from_micros(round * 30));
                kill_the_first_child(container.start(), after);
            }
        }
        end(holder);
    });
}

#[test]
fn a_time_namespace_is_joined() {
    alone(|| {
        let mut first = Bundle::new()
            .namespace("time", None)
            .set("/linux/timeOffsets/boottime/secs", 5_000_000)
            .probe(&["sleep"])
            .start();
        first.says("ready");
        let path = format!("/proc/{}/ns/time", first.container());
        let seen = Bundle::new().namespace("time", Some(&path)).report();
        assert_eq!(seen.namespace("time"), number(&path));
        assert!(seen["clocks"]["boottime"].as_i64() > Some(5_000_000));
        kill(first.container(), 9).expect("kill the first container");
        first.finish().ends_with(137);
    });
}

#[test]
fn a_mount_namespace_is_joined() {
    alone(|| {
        let holder = holder("mnt");
        let path = format!("/proc/{}/ns/mnt", holder.pid());
        let run = Bundle::new().namespace("mount", Some(&path)).run();
        if run.code == 0 {
            assert_eq!(run.report().namespace("mnt"), number(&path));
        } else {
            run.fails(&["namespace", "mount"]);
        }
        end(holder);
    });
}

#[test]
fn a_path_to_another_kind_of_namespace_is_refused() {
    alone(|| {
        for (name, kind) in [("network", "uts"), ("pid", "net"), ("ipc", "mnt"), ("user", "ipc")] {
            let path = format!("/proc/self/ns/{kind}");
            Bundle::new().namespace(name, Some(&path)).run().fails(&["namespace"]);
        }
    });
}

#[test]
fn a_path_to_what_is_no_namespace_is_refused() {
    alone(|| {
        for path in ["/dev/null", "/proc/self/status", "/nowhere/ns/net", "/proc/self/ns"] {
            Bundle::new().namespace("network", Some(path)).run().fails(&[path]);
        }
    });
}

#[test]
fn a_new_network_namespace_has_a_loopback_that_is_up() {
    alone(|| {
        let seen = Bundle::new().report();
        let lo = &seen["interfaces"]["lo"];
        assert_eq!((&lo["up"], &lo["running"]), (&true.into(), &true.into()));
        assert!(lo["addresses"].to_string().contains("127.0.0.1"), "{lo}");
    });
}

#[test]
fn the_loopback_of_a_joined_network_namespace_is_left_alone() {
    alone(|| {
        let holder = holder("net");
        let path = format!("/proc/{}/ns/net", holder.pid());
        let seen = Bundle::new().namespace("network", Some(&path)).report();
        assert_eq!(seen["interfaces"]["lo"]["up"], false);
        end(holder);
    });
}

#[test]
fn host_and_domain_name_are_set_inside_only() {
    alone(|| {
        let seen = Bundle::new().set("/hostname", "inside").set("/domainname", "example.test").report();
        assert_eq!((&seen["hostname"], &seen["domainname"]), (&"inside".into(), &"example.test".into()));
        let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("read the host's name");
        assert_ne!(host.trim(), "inside");
    });
}

#[test]
fn a_hostname_of_64_bytes_is_the_longest() {
    alone(|| {
        let longest = "h".repeat(64);
        assert_eq!(Bundle::new().set("/hostname", longest.as_str()).report()["hostname"], longest.as_str());
        Bundle::new().set("/hostname", "h".repeat(65)).run().fails(&["hostname"]);
    });
}
