//! What takes the controllers of a unified hierarchy: limits by their effect, `update`, `events`. These tests run in
//! QEMU.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use servin_tests::{
    Bundle, alone, cgroup_mount, has_controller, oci, reap_one, scratch, servin_run, start, state, status,
    until,
};

fn shell(script: &str) -> Bundle {
    assert!(has_controller("memory"), "these tests need a unified hierarchy");
    Bundle::of("busybox").args(&["/bin/sh", "-c", script])
}

fn sleeper() -> Bundle {
    shell("sleep 1000")
}

fn file(bundle: &Bundle, name: &str) -> PathBuf {
    cgroup_mount().expect("cgroup v2").join("servin").join(bundle.name()).join(name)
}

fn read(bundle: &Bundle, name: &str) -> String {
    let path = file(bundle, name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_string()
}

fn number(bundle: &Bundle, name: &str, key: &str) -> u64 {
    let text = read(bundle, name);
    let line = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {key} in {text}")).parse().expect("a number")
}

#[test]
fn all_limits_are_where_the_kernel_reads_them() {
    alone(|| {
        let bundle = sleeper().set(
            "/linux/resources",
            json!({
                "memory": { "limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20 },
                "cpu": { "shares": 512, "quota": 50_000, "period": 200_000, "burst": 10_000, "cpus": "0", "mems": "0" },
                "pids": { "limit": 42 },
                "unified": { "memory.high": "50331648", "cgroup.max.depth": "3", "memory.oom.group": "1" },
            }),
        );
        let pid = bundle.started();
        for (name, expected) in [
            ("memory.max", "67108864"),
            ("memory.low", "33554432"),
            ("memory.high", "50331648"),
            ("memory.oom.group", "1"),
            ("cpu.weight", "59"),
            ("cpu.max", "50000 200000"),
            ("cpu.max.burst", "10000"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("pids.max", "42"),
            ("cgroup.max.depth", "3"),
        ] {
            assert_eq!(read(&bundle, name), expected, "{name}");
        }
        if file(&bundle, "memory.swap.max").exists() {
            assert_eq!(read(&bundle, "memory.swap.max"), (32 << 20).to_string());
        }
        bundle.ended(pid);
    });
}

#[test]
fn what_the_kernel_refuses_is_named_and_leaves_nothing() {
    alone(|| {
        for (resources, words) in [
            (json!({ "cpu": { "cpus": "77" } }), &["linux.resources.cpu.cpus", "77"][..]),
            (json!({ "cpu": { "period": 1 } }), &["linux.resources.cpu.period"]),
            (json!({ "unified": { "memory.nosuch": "1" } }), &["memory.nosuch", "lacks this file"]),
            (json!({ "unified": { "memory.max": "lots" } }), &["memory.max", "lots"]),
            (json!({ "unified": { "nosuch.max": "1" } }), &["nosuch"]),
            (json!({ "unified": { "../memory.max": "1" } }), &["unified"]),
            (json!({ "memory": { "limit": -5 } }), &["memory.limit"]),
            (json!({ "memory": { "limit": 100, "swap": 50 } }), &["memory.swap"]),
            (json!({ "memory": { "swappiness": 10 } }), &["memory.swappiness", "cgroup v1"]),
            (json!({ "network": { "classID": 7 } }), &["network", "cgroup v1"]),
            (
                json!({ "hugepageLimits": [{ "pageSize": "3XB", "limit": 1 }] }),
                &["hugepageLimits[0].pageSize"],
            ),
            (json!({ "blockIO": { "weight": 5 } }), &["blockIO.weight"]),
            (json!({ "devices": [{ "allow": true, "type": "x" }] }), &["devices[0]", "type"]),
        ] {
            let bundle = sleeper().set("/linux/resources", resources);
            bundle.oci("create", &[]).fails(words);
            oci(&["state", bundle.name()]).fails(&["does not exist"]);
        }
    });
}

#[test]
fn memory_beyond_the_limit_is_refused_and_seen() {
    alone(|| {
        let bundle = shell("tail /dev/zero; echo tail $?; sleep 1000")
            .set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
        let pid = bundle.started();
        until("nobody was killed", || number(&bundle, "memory.events", "oom_kill") == 1);
        let stats = bundle.oci("events", &["--stats"]).succeeds().json();
        assert_eq!((&stats["type"], &stats["id"]), (&json!("stats"), &json!(bundle.name())));
        assert_eq!(stats["data"]["memory"]["usage"]["limit"], 16 << 20);
        assert_eq!(stats["data"]["memory"]["event_count"]["oom_kill"], 1);
        assert!(stats["data"]["memory"]["usage"]["failcnt"].as_u64().is_some_and(|n| n > 0), "{stats}");
        assert_eq!(status(bundle.name()), "running", "the shell was killed too");
        bundle.ended(pid);
        // As PID 1, its death is the container's end.
        let ended = shell("exec tail /dev/zero")
            .set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }))
            .run();
        assert_eq!(ended.code, 137, "{ended:?}");
    });
}

#[test]
fn the_state_tells_of_an_end_for_want_of_memory() {
    alone(|| {
        let limit = json!({ "limit": 16 << 20, "swap": 16 << 20 });
        let killed = shell("exec tail /dev/zero").set("/linux/resources/memory", limit.clone());
        let pid = killed.started();
        assert_eq!(reap_one(pid), 137);
        assert_eq!(state(killed.name())["oomKilled"], true);
        killed.oci("delete", &[]).succeeds();
        // In a cgroup of the container's own, whose limit is its own too; the container goes on.
        let bundle = sleeper();
        let pid = bundle.started();
        assert!(state(bundle.name())["oomKilled"].is_null());
        let below = file(&bundle, "below");
        fs::create_dir(&below).expect("make a cgroup");
        // Born there, a process would keep the controller from being enabled: so the first one moves too.
        fs::create_dir(below.with_file_name("init")).expect("make a cgroup");
        fs::write(below.with_file_name("init").join("cgroup.procs"), pid.to_string()).expect("move");
        fs::write(below.with_file_name("cgroup.subtree_control"), "+memory").expect("enable");
        for name in ["memory.max", "memory.swap.max"] {
            fs::write(below.join(name), (16 << 20).to_string()).expect("limit");
        }
        bundle.exec(&["--cgroup", "below"], &["/bin/sh", "-c", "exec tail /dev/zero"]).ends_with(137);
        servin_tests::kill(pid, 9).expect("kill");
        assert_eq!(reap_one(pid), 137);
        assert_eq!(state(bundle.name())["oomKilled"], true);
        bundle.oci("delete", &[]).succeeds();
    });
}

#[test]
fn a_spinning_process_gets_its_quota() {
    alone(|| {
        let bundle = shell("while :; do :; done")
            .set("/linux/resources/cpu", json!({ "quota": 20_000, "period": 100_000 }));
        let pid = bundle.started();
        until("it does not spin", || number(&bundle, "cpu.stat", "nr_throttled") > 2);
        let used = || number(&bundle, "cpu.stat", "usage_usec");
        let (begin, before) = (Instant::now(), used());
        sleep(Duration::from_secs(6));
        let (wall, cpu) = (begin.elapsed().as_micros() as u64, used() - before);
        let percent = cpu * 100 / wall;
        assert!((18..=22).contains(&percent), "{percent} % of a processor instead of 20");
        // Twice as much from now on.
        bundle.oci("update", &["--cpu-quota", "40000"]).succeeds();
        assert_eq!(read(&bundle, "cpu.max"), "40000 100000");
        let (begin, before) = (Instant::now(), used());
        sleep(Duration::from_secs(6));
        let percent = (used() - before) * 100 / begin.elapsed().as_micros() as u64;
        assert!((36..=44).contains(&percent), "{percent} % of a processor instead of 40");
        bundle.ended(pid);
    });
}

#[test]
fn a_fork_bomb_stops_at_its_limit() {
    alone(|| {
        let bundle =
            shell("b() { b | b & }; b; sleep 1000").set("/linux/resources/pids", json!({ "limit": 30 }));
        let pid = bundle.started();
        until("it does not grow", || number(&bundle, "pids.events", "max") > 10);
        assert!(read(&bundle, "pids.current").parse::<u64>().expect("a number") <= 30);
        // The host still is.
        assert!(Command::new("/proc/self/exe").arg("--list").output().is_ok());
        bundle.oci("kill", &["--all"]).succeeds();
        bundle.ended(pid);
    });
}

#[test]
fn every_limit_is_updated_and_a_refused_one_changes_nothing() {
    alone(|| {
        let bundle = sleeper().set("/linux/resources/cpu", json!({ "quota": 20_000, "period": 100_000 }));
        let pid = bundle.started();
        let update = |flags: &[&str]| bundle.oci("update", flags);
        update(&["--memory", "64m", "--memory-reservation=32m", "--pids-limit", "7"]).succeeds();
        update(&["--cpu-share", "512", "--cpu-period", "50000", "--cpuset-cpus", "0", "--cpuset-mems", "0"])
            .succeeds();
        for (name, expected) in [
            ("memory.max", "67108864"),
            ("memory.low", "33554432"),
            ("pids.max", "7"),
            ("cpu.weight", "59"),
            ("cpu.max", "20000 50000"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
        ] {
            assert_eq!(read(&bundle, name), expected, "{name}");
        }
        update(&["--memory", "-1", "--pids-limit", "-1", "--cpu-quota=-1"]).succeeds();
        for (name, expected) in [("memory.max", "max"), ("pids.max", "max"), ("cpu.max", "max 50000")] {
            assert_eq!(read(&bundle, name), expected, "{name}");
        }
        update(&["--cpu-idle", "1"]).succeeds();
        assert_eq!(read(&bundle, "cpu.idle"), "1");
        update(&["--cpu-idle", "0"]).succeeds();

        let document = |text: &str| {
            let path = scratch("resources.json");
            fs::write(&path, text).expect("write");
            update(&["--resources", path.to_str().expect("UTF-8")])
        };
        document(r#"{"memory":{"limit":33554432},"cpu":{"shares":1024,"period":100000},"unified":{"pids.max":"9"}}"#).succeeds();
        let now = ["memory.max", "cpu.weight", "cpu.max", "pids.max", "cpuset.cpus"];
        let values = || now.map(|name| read(&bundle, name));
        let before = values();
        assert_eq!(before, ["33554432", "100", "max 100000", "9", "0"]);
        // In this order of writing, the last is refused.
        document(r#"{"pids":{"limit":3},"memory":{"limit":16777216},"cpu":{"shares":2,"cpus":"99"}}"#)
            .fails(&["linux.resources.cpu.cpus", "99"]);
        assert_eq!(values(), before, "a part of it was done");
        document(r#"{"memory":{"limit":4096,"checkBeforeUpdate":true}}"#).fails(&["memory.limit", "4096"]);
        document("{").fails(&["resources.json", "JSON"]);
        update(&["--memory", "much"]).fails(&["--memory much"]);
        update(&["--l3-cache-schema", "L3:0=f"]).fails(&["l3-cache-schema"]);
        assert_eq!(values(), before);

        let mut piped = Command::new(servin_run());
        let path = scratch("resources.json");
        fs::write(&path, r#"{"pids":{"limit":11}}"#).expect("write");
        piped.args(["update", "--resources=-", bundle.name()]).stdin(fs::File::open(path).expect("open"));
        start(piped).finish().succeeds();
        assert_eq!(read(&bundle, "pids.max"), "11");
        bundle.ended(pid);
        update(&["--memory", "64m"]).fails(&["does not exist"]);
    });
}

#[test]
fn events_streams_the_numbers_and_the_oom() {
    alone(|| {
        let bundle = shell("while ! [ -e /tmp/go ]; do sleep 0.05; done; tail /dev/zero; sleep 1")
            .writable()
            .set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
        let pid = bundle.started();
        let mut command = Command::new(servin_run());
        command.args(["events", "--interval=100ms", bundle.name()]);
        let watcher = start(command);
        sleep(Duration::from_millis(500));
        fs::write(bundle.root().join("tmp/go"), "").expect("write");
        assert_eq!(reap_one(pid), 0);
        // It ends with the container.
        let out = watcher.finish().succeeds().out;
        let events: Vec<Value> = out.lines().map(|line| line.parse().expect("JSON")).collect();
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
        assert!(of("stats") >= 3 && of("oom") == 1, "{out}");
        let data = &events[0]["data"];
        assert!(data["cpu"]["usage"]["total"].as_u64().is_some_and(|used| used > 0), "{data}");
        assert!(data["memory"]["usage"]["usage"].as_u64().is_some_and(|used| used > 4096), "{data}");
        assert!(
            data["memory"]["raw"]["anon"].is_u64() && data["pids"]["current"].as_u64() >= Some(1),
            "{data}"
        );
        bundle.oci("events", &["--stats"]).fails(&["container not running"]);
        bundle.oci("events", &["--interval", "soon"]).fails(&["--interval soon"]);
        bundle.oci("delete", &[]).succeeds();
    });
}

#[test]
fn throttled_writes_take_their_time() {
    alone(|| {
        let image = scratch("disk");
        fs::File::create(&image).and_then(|file| file.set_len(32 << 20)).expect("make an image");
        let shown = Command::new("losetup").arg("-f").output().expect("losetup");
        let device = String::from_utf8(shown.stdout).expect("UTF-8").trim().to_string();
        assert!(Command::new("losetup").arg(&device).arg(&image).status().expect("losetup").success());
        let minor: i64 = device.trim_start_matches("/dev/loop").parse().expect("a number");
        let write = |rate: Option<u64>| {
            let mut bundle = shell("dd if=/dev/zero of=/tmp/disk bs=256k count=16 oflag=direct conv=notrunc")
                .writable()
                .set("/linux/devices", json!([{ "path": "/tmp/disk", "type": "b", "major": 7, "minor": minor, "fileMode": 0o666 }]))
                .set("/linux/resources/devices", json!([{ "allow": true, "type": "b", "major": 7, "minor": minor, "access": "rw" }]));
            if let Some(rate) = rate {
                let limit = json!([{ "major": 7, "minor": minor, "rate": rate }]);
                bundle = bundle.set("/linux/resources/blockIO", json!({ "throttleWriteBpsDevice": limit }));
            }
            let begin = Instant::now();
            bundle.run().succeeds();
            begin.elapsed()
        };
        let free = write(None);
        // 4 MiB at 1 MiB a second.
        let throttled = write(Some(1 << 20));
        assert!(throttled > Duration::from_secs(3) && throttled > free, "{throttled:?}, {free:?}");
        assert!(Command::new("losetup").args(["-d", &device]).status().expect("losetup").success());
    });
}

#[test]
fn half_a_mebibyte_is_enough() {
    alone(|| {
        let bundle = shell("echo small").set("/linux/resources/memory", json!({ "limit": 512 << 10 }));
        let ended = bundle.run();
        assert_eq!((ended.code, ended.out.as_str()), (0, "small\n"), "{}", ended.err);
    });
}

#[test]
fn limits_need_no_controllers_enabled_beforehand() {
    alone(|| {
        let bundle = sleeper()
            .set("/linux/cgroupsPath", "/new/pod/one")
            .set("/linux/resources/pids", json!({ "limit": 9 }));
        let pid = bundle.started();
        let mount = cgroup_mount().expect("cgroup v2");
        assert_eq!(fs::read_to_string(mount.join("new/pod/one/pids.max")).expect("a limit"), "9\n");
        bundle.ended(pid);
        assert!(mount.join("new/pod").exists(), "what others may use is not the container's");
        fs::remove_dir(mount.join("new/pod"))
            .and_then(|()| fs::remove_dir(mount.join("new")))
            .expect("empty");
    });
}

#[test]
fn an_inner_cgroup_with_processes_is_explained() {
    alone(|| {
        // The test's own leaf holds the test: below it no controller can be enabled.
        let bundle = sleeper()
            .set("/linux/cgroupsPath", "/test/below")
            .set("/linux/resources/pids", json!({ "limit": 9 }));
        bundle.oci("create", &[]).fails(&["pids controller", "/test", "processes of its own"]);
        assert!(!cgroup_mount().expect("cgroup v2").join("test/below").exists());
    });
}

#[test]
fn servin_steps_aside_where_it_is_alone_in_the_way() {
    alone(|| {
        let bundle = shell("cat /proc/self/cgroup")
            .set("/linux/cgroupsPath", "/service/box")
            .set("/linux/resources/pids", json!({ "limit": 9 }));
        let mount = cgroup_mount().expect("cgroup v2");
        fs::create_dir(mount.join("service")).expect("make a cgroup");
        bundle.write(&bundle.config_text());
        // As a service manager would start it: alone in a cgroup of its own.
        let mut alone_there = Command::new("/bin/sh");
        alone_there.args(["-c", "echo $$ > $0/service/cgroup.procs && exec \"$@\""]).arg(&mount);
        alone_there.arg(servin_run()).args(["run", "--bundle"]).arg(bundle.directory()).arg(bundle.name());
        let ended = start(alone_there).finish().succeeds();
        assert!(ended.out.contains("0::/service/box\n"), "{}", ended.out);
        let enabled = fs::read_to_string(mount.join("service/cgroup.subtree_control")).expect("read");
        assert!(enabled.contains("pids"), "{enabled}");
        assert!(!mount.join("service/box").exists());
        fs::remove_dir(mount.join("service/servin-self")).expect("Servin was there, and is gone");
        fs::remove_dir(mount.join("service")).expect("empty");
    });
}

#[test]
fn events_tell_of_waiting() {
    alone(|| {
        let bundle = shell("while :; do :; done");
        let pid = bundle.started();
        let stats = bundle.oci("events", &["--stats"]).succeeds().json();
        for part in ["cpu", "memory", "blkio"] {
            for kind in ["some", "full"] {
                let psi = &stats["data"][part]["psi"][kind];
                assert!(psi["avg10"].is_number() && psi["total"].is_u64(), "{part} {kind}: {stats}");
            }
        }
        bundle.ended(pid);
    });
}

#[test]
fn a_hundred_runs_leave_nothing_in_the_tree() {
    alone(|| {
        let bundle = shell(":")
            .set("/linux/resources", json!({ "memory": { "limit": 32 << 20 }, "pids": { "limit": 10 } }));
        for _ in 0..100 {
            bundle.run().succeeds();
        }
        let mount = cgroup_mount().expect("cgroup v2");
        let left: Vec<_> = fs::read_dir(&mount)
            .expect("list")
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
            .map(|entry| entry.file_name())
            .collect();
        assert_eq!(left, ["test"]);
    });
}
