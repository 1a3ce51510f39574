//! A container's cgroup, where no controller is needed: where it is, who is in it, pause, kill, removal.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use serde_json::json;
use servin_tests::{
    Bundle, People, alone, cgroup_mount, has_controller, is_emulated, kill, oci, reap_one, status, until,
};

fn shell(script: &str) -> Bundle {
    Bundle::of("busybox").args(&["/bin/sh", "-c", script])
}

fn sleeper() -> Bundle {
    shell("sleep 1000")
}

fn cgroup(path: &str) -> PathBuf {
    cgroup_mount().expect("cgroup v2 is mounted").join(path)
}

fn read(path: &str) -> String {
    let path = cgroup(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Where a process is, from the test's cgroup namespace.
fn place_of(pid: i32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    line.expect("the unified hierarchy").to_string()
}

#[test]
fn a_container_is_born_in_its_cgroup_and_takes_it_along() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.created();
        let path = format!("/servin/{}", bundle.name());
        assert_eq!(place_of(pid), path);
        assert_eq!(read(&format!("{path}/cgroup.procs")[1..]).trim(), pid.to_string());
        bundle.oci("start", &[]).succeeds();
        assert_eq!(place_of(pid), path);
        bundle.ended(pid);
        assert!(!cgroup("servin").exists(), "the common cgroup stays behind");
    });
}

#[test]
fn the_cgroup_is_the_one_that_the_config_names() {
    alone(|| {
        for (given, path) in
            [("/a/b", "/a/b"), ("a/b", "/a/b"), ("//x/../a/./b/", "/a/b"), ("", "/servin/test-3")]
        {
            let bundle = sleeper().set("/linux/cgroupsPath", given).id("test-3");
            let pid = bundle.started();
            assert_eq!(place_of(pid), path, "{given}");
            bundle.ended(pid);
            let _ = fs::remove_dir(cgroup("a"));
        }
        for (given, word) in [("/", "root"), ("../..", "root"), ("a.slice:b:c", "systemd")] {
            sleeper().set("/linux/cgroupsPath", given).run().fails(&["linux.cgroupsPath", word]);
        }
    });
}

#[test]
fn a_cgroup_that_is_in_use_is_refused_and_left_alone() {
    alone(|| {
        let one = sleeper().set("/linux/cgroupsPath", "/shared");
        let pid = one.started();
        let two = sleeper().set("/linux/cgroupsPath", "/shared");
        two.oci("create", &[]).fails(&["/shared is in use already", &pid.to_string()]);
        assert_eq!((status(one.name()), place_of(pid)), ("running".into(), "/shared".into()));
        oci(&["state", two.name()]).fails(&["does not exist"]);
        one.ended(pid);
        assert!(!cgroup("shared").exists());
    });
}

#[test]
fn the_container_sees_its_cgroup_as_the_root_and_cannot_write_there() {
    alone(|| {
        let bundle = shell(
            "cat /proc/self/cgroup; ls /sys/fs/cgroup/cgroup.procs && cat /sys/fs/cgroup/cgroup.procs; \
             mkdir /sys/fs/cgroup/x; echo $?",
        )
        .namespace("cgroup", None);
        let ended = bundle.run().succeeds();
        assert!(ended.out.contains("0::/\n"), "{}", ended.out);
        assert!(ended.out.contains("/sys/fs/cgroup/cgroup.procs\n1\n"), "{}", ended.out);
        assert!(ended.out.ends_with("1\n") && ended.err.contains("Read-only"), "{ended:?}");
    });
}

#[test]
fn pause_stops_all_processes_and_resume_lets_them_go_on() {
    alone(|| {
        let bundle =
            shell("(while :; do echo >> /tmp/child; done) & while :; do echo >> /tmp/first; done").writable();
        let pid = bundle.started();
        let size =
            |name: &str| fs::metadata(bundle.root().join("tmp").join(name)).map_or(0, |data| data.len());
        until("nobody writes", || size("child") > 0 && size("first") > 0);
        bundle.oci("pause", &[]).succeeds();
        assert_eq!(status(bundle.name()), "paused");
        let before = (size("child"), size("first"));
        sleep(Duration::from_millis(200));
        assert_eq!((size("child"), size("first")), before, "a frozen process went on");

        bundle.oci("pause", &[]).fails(&["cannot pause a container that is paused"]);
        bundle.exec(&[], &["/bin/true"]).fails(&["paused"]);
        bundle.oci("delete", &[]).fails(&["paused"]);
        bundle.oci("resume", &[]).succeeds();
        assert_eq!(status(bundle.name()), "running");
        until("nobody goes on", || size("child") > before.0 && size("first") > before.1);
        bundle.oci("resume", &[]).fails(&["cannot resume a container that is running"]);

        bundle.oci("pause", &[]).succeeds();
        bundle.oci("kill", &["--all"]).succeeds();
        assert_eq!(status(bundle.name()), "paused", "a signal has thawed it");
        bundle.oci("kill", &[]).succeeds();
        oci(&["kill", bundle.name(), "KILL"]).succeeds();
        assert_eq!(reap_one(pid), 128 + 9, "a frozen container is killed all the same");
        bundle.oci("pause", &[]).fails(&["container not running"]);
        bundle.oci("delete", &[]).succeeds();
    });
}

#[test]
fn exec_joins_the_cgroup_and_one_below_it_on_request() {
    alone(|| {
        let bundle = sleeper().capabilities(&["CAP_KILL"]);
        let pid = bundle.started();
        let own = format!("servin/{}", bundle.name());
        fs::create_dir_all(cgroup(&own).join("below/deep")).expect("make cgroups");
        for (flags, path) in [
            (&[][..], String::new()),
            (&["--cgroup", "/"], String::new()),
            (&["--cgroup", "below/deep"], "/below/deep".into()),
            (&["--cgroup=/below"], "/below".into()),
        ] {
            let out = bundle.exec(flags, &["/bin/cat", "/proc/self/cgroup"]).succeeds().out;
            // The container has no cgroup namespace: what it sees is what the test sees.
            assert!(out.contains(&format!("0::/{own}{path}\n")), "{flags:?}: {out}");
        }
        for path in ["../..", "below/../../..", "nowhere"] {
            bundle.exec(&["--cgroup", path], &["/bin/true"]).fails(&["--cgroup"]);
        }
        bundle.ended(pid);
    });
}

#[test]
fn what_shares_the_hosts_pids_is_found_by_the_cgroup_and_killed_with_it() {
    alone(|| {
        let bundle = shell("sleep 3000 & sleep 3001 & exec sleep 3002").no_namespace("pid");
        let pid = bundle.started();
        until("they do not start", || {
            let pids = bundle.oci("ps", &["--format", "json"]).succeeds().json();
            pids.as_array().is_some_and(|pids| pids.len() == 3)
        });
        let pids = bundle.oci("ps", &["--format", "json"]).succeeds().json();
        assert!(pids.as_array().expect("a list").contains(&json!(pid)));
        oci(&["kill", bundle.name(), "KILL"]).succeeds();
        assert_eq!(reap_one(pid), 128 + 9);
        assert_eq!(status(bundle.name()), "stopped");
        let left = read(&format!("servin/{}/cgroup.procs", bundle.name()));
        assert_eq!(left.lines().count(), 2, "{left}");
        bundle.oci("kill", &["--all"]).succeeds();
        for pid in left.lines() {
            assert_eq!(reap_one(pid.parse().expect("a pid")), 128 + 15);
        }
        bundle.oci("delete", &[]).succeeds();

        // `delete` alone ends what is left.
        let bundle = shell("sleep 3000 & exec sleep 3002").no_namespace("pid");
        let pid = bundle.started();
        until("they do not start", || {
            read(&format!("servin/{}/cgroup.procs", bundle.name())).lines().count() == 2
        });
        kill(pid, 9).expect("kill the first process");
        assert_eq!(reap_one(pid), 128 + 9);
        bundle.oci("delete", &[]).succeeds();
        assert!(!cgroup("servin").exists());
    });
}

#[test]
fn cgroups_that_the_container_has_made_are_removed_with_it() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let own = cgroup(&format!("servin/{}", bundle.name()));
        fs::create_dir_all(own.join("a/b/c")).expect("make cgroups");
        fs::create_dir_all(own.join("d")).expect("make cgroups");
        fs::write(own.join("a/b/c/cgroup.procs"), pid.to_string()).expect("move the process");
        let listed = bundle.oci("ps", &["--format", "json"]).succeeds().json();
        assert_eq!(listed, json!([pid]));
        bundle.ended(pid);
        assert!(!cgroup("servin").exists());
    });
}

#[test]
fn run_removes_the_cgroup_when_the_container_ends() {
    alone(|| {
        shell("exit 7").run().ends_with(7);
        assert!(!cgroup("servin").exists());
        shell("true").set("/process/args", json!(["/nosuch"])).run().fails(&["/nosuch"]);
        assert!(!cgroup("servin").exists());
    });
}

#[test]
fn a_thousand_runs_leave_nothing() {
    alone(|| {
        let bundle = shell(":");
        // Emulated, a tenth of them takes as long.
        for _ in 0..if is_emulated() { 100 } else { 1000 } {
            bundle.run().succeeds();
        }
        let names = fs::read_dir(cgroup("")).expect("list").flatten().filter(|entry| entry.path().is_dir());
        assert_eq!(names.map(|entry| entry.file_name()).collect::<Vec<_>>(), ["test"]);
    });
}

#[test]
fn without_cgroups_everything_but_limits_works() {
    alone(|| {
        let bundle = sleeper();
        bundle.oci_with(&["--cgroup-manager", "disabled"], "create", &[]).succeeds();
        let pid = servin_tests::state(bundle.name())["pid"].as_i64().expect("a pid") as i32;
        assert_eq!(place_of(pid), place_of(1), "it is not where the test is");
        bundle.oci("start", &[]).succeeds();
        bundle.oci("pause", &[]).fails(&["has no cgroup"]);
        bundle.oci("update", &["--pids-limit", "10"]).fails(&["has no cgroup"]);
        bundle.oci("events", &["--stats"]).fails(&["has no cgroup"]);
        bundle.oci("kill", &["--all"]).succeeds();
        // PID 1 without a handler ignores TERM, and everybody else would have got it.
        assert_eq!(status(bundle.name()), "running");
        bundle.ended(pid);
        let limited = sleeper().set("/linux/resources/pids", json!({ "limit": 5 }));
        limited
            .oci_with(&["--cgroup-manager=disabled"], "create", &[])
            .fails(&["linux.resources.pids.limit", "disabled"]);
    });
}

#[test]
fn a_host_without_the_controller_says_where_it_is() {
    alone(|| {
        let missing = ["memory", "pids", "rdma", "io"].iter().find(|name| !has_controller(name));
        let Some(missing) = missing else {
            // A host with every controller: then the limit holds, which other tests show.
            assert!(has_controller("memory"));
            return;
        };
        let resources = match *missing {
            "memory" => json!({ "memory": { "limit": 10_000_000 } }),
            "pids" => json!({ "pids": { "limit": 10 } }),
            "io" => json!({ "blockIO": { "weight": 100 } }),
            _ => json!({ "rdma": { "mlx": { "hcaHandles": 3 } } }),
        };
        let bundle = sleeper().set("/linux/resources", resources);
        bundle.oci("create", &[]).fails(&["linux.resources", missing, "controller"]);
        assert!(!cgroup("servin").exists());
    });
}

#[test]
fn a_container_with_a_writable_mount_owns_its_cgroup() {
    alone(|| {
        let script = "mkdir /sys/fs/cgroup/own && echo 0 > /sys/fs/cgroup/own/cgroup.procs && cat /proc/self/cgroup; \
                      echo 1 > /sys/fs/cgroup/cgroup.max.descendants || echo kept; sleep 1000";
        let options = &["nosuid", "noexec", "nodev"];
        let bundle = shell(script).mapped(100_000, 65_536).options("/sys/fs/cgroup", options);
        let mut running = bundle.start();
        let out = running.says("kept");
        assert!(out.contains("0::/own\n"), "{out}");
        let owner = |name: &str| {
            fs::metadata(cgroup(&format!("servin/{}/{name}", bundle.name()))).expect("look").uid()
        };
        let owners = ["", "cgroup.procs", "cgroup.threads", "cgroup.max.depth", "cgroup.freeze"].map(owner);
        assert_eq!(owners, [100_000, 100_000, 100_000, 0, 0]);
        running.signal(9);
        running.finish();
        bundle.oci("delete", &["--force"]).succeeds();
        assert!(!cgroup("servin").exists());
        // A mount that is read-only needs no more than that.
        let ended = shell("mkdir /sys/fs/cgroup/own || echo no").mapped(100_000, 65_536).run();
        assert!(ended.out.contains("no\n"), "{ended:?}");
    });
}

#[test]
fn where_the_kernel_cannot_kill_a_cgroup_its_processes_are_killed_one_by_one() {
    alone(|| {
        // The kernel refuses cgroup.kill of a threaded cgroup, as if it were older than that file.
        fs::create_dir_all(cgroup("old/box")).expect("make cgroups");
        fs::write(cgroup("old/box/cgroup.type"), "threaded").expect("make it threaded");
        assert!(fs::write(cgroup("old/box/cgroup.kill"), "1").is_err(), "it can be killed as a whole");
        let bundle = shell("sleep 3000 & sleep 3001 & exec sleep 3002")
            .no_namespace("pid")
            .set("/linux/cgroupsPath", "/old/box");
        let pid = bundle.started();
        let threads = || -> Vec<i32> {
            read("old/box/cgroup.threads").lines().map(|pid| pid.parse().expect("a pid")).collect()
        };
        until("they do not start", || threads().len() == 3);
        let left = threads();
        bundle.oci("delete", &["--force"]).succeeds();
        for each in left {
            assert_eq!(reap_one(each), 128 + 9);
        }
        assert!(fs::metadata(format!("/proc/{pid}")).is_err());
        assert!(!cgroup("old/box").exists());
        fs::remove_dir(cgroup("old")).expect("empty");
    });
}

#[test]
fn where_the_kernel_cannot_let_it_be_born_there_the_process_moves_itself() {
    alone(|| {
        let bundle = shell("cat /proc/self/cgroup; sleep 1000").refusing(&["clone3"]);
        let mut running = bundle.start();
        running.says(&format!("0::/servin/{}\n", bundle.name()));
        running.signal(15);
        bundle.oci("delete", &["--force"]);
        running.finish();
        let inside = shell("cat /proc/self/cgroup").refusing(&["clone3"]).namespace("cgroup", None);
        assert!(inside.run().succeeds().out.contains("0::/\n"));
    });
}

#[test]
fn without_limits_there_is_nothing_to_complain_about() {
    alone(|| {
        let ended = People::of("busybox").flags(&["--network", "none"]).run(&["/bin/true"]).succeeds();
        assert!(ended.err.lines().count() <= 1, "{}", ended.err);
        let ended = shell("true").run().succeeds();
        assert!(ended.err.lines().count() <= 1, "{}", ended.err);
    });
}

#[test]
fn devices_are_decided_by_the_rules() {
    alone(|| {
        let script = "for n in '1 3' '1 5' '1 11' '5 0' '10 229'; do mknod /tmp/d c $n && \
                      (head -c 0 < /tmp/d && echo \"$n may\" || echo \"$n may not\") 2> /tmp/err; cat /tmp/err; \
                      rm /tmp/d; done; mknod /tmp/b b 7 0 && cat /tmp/b; echo $?";
        let all = ["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"];
        let rules = json!([
            { "allow": false, "access": "rwm" },
            { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" },
        ]);
        let bundle = shell(script).writable().capabilities(&all).set("/linux/resources/devices", rules);
        let out = bundle.run();
        assert!(out.out.contains("1 3 may\n") && out.out.contains("1 5 may\n"), "{out:?}");
        assert!(out.out.contains("1 11 may\n"), "{out:?}");
        assert!(out.out.contains("10 229 may not\n"), "{out:?}");
        assert!(out.err.contains("not permitted"), "{out:?}");
        // The later rule wins, and by access.
        let rules = json!([
            { "allow": true, "type": "c", "major": 1, "minor": 11, "access": "rwm" },
            { "allow": false, "type": "c", "major": 1, "minor": 11, "access": "r" },
        ]);
        let bundle = shell(script).writable().capabilities(&all).set("/linux/resources/devices", rules);
        assert!(bundle.run().out.contains("1 11 may not\n"));
    });
}

#[test]
fn people_use_no_devices_but_the_usual_ones() {
    alone(|| {
        let script = "mknod /tmp/null c 1 3 && echo > /tmp/null && echo may; \
                      mknod /tmp/disk b 7 0 && cat /tmp/disk; echo $?";
        let ended = People::of("busybox").run(&["/bin/sh", "-c", script]);
        assert_eq!(ended.out, "may\n1\n", "{ended:?}");
        assert!(ended.err.contains("not permitted"), "{ended:?}");
    });
}

#[test]
fn people_hear_what_is_wrong_with_a_limit_before_anything_is_made() {
    alone(|| {
        let people = People::of("busybox");
        for (flag, words) in [
            ("--memory=lots", &["--memory lots", "512m"][..]),
            ("--oom-kill-disable", &["--oom-kill-disable", "cgroup v2"]),
            ("--memory-swappiness=60", &["--memory-swappiness", "cgroup v2"]),
            ("--cpus=none", &["--cpus none"]),
            ("--device-read-bps=/dev/null:1m", &["--device-read-bps", "/dev/null is not a block device"]),
            ("--cgroup-parent=../..", &["--cgroup-parent ../.."]),
            ("--cgroup-manager=nobody", &["--cgroup-manager nobody"]),
        ] {
            people.clone().flags(&[flag]).run(&["/bin/true"]).fails(words);
        }
        if !has_controller("memory") {
            people.flags(&["--memory=64m"]).run(&["/bin/true"]).fails(&["memory controller"]);
        }
        assert!(!cgroup("servin").exists());
    });
}

#[test]
fn people_choose_the_cgroup_above() {
    alone(|| {
        let people = People::of("busybox").flags(&["--cgroup-parent", "/above/it"]);
        let mut running = people.start(&["/bin/sh", "-c", "echo up; sleep 1000"]);
        running.says("up");
        assert!(place_of(running.container()).starts_with("/above/it/"));
        running.signal(15);
        running.finish().ends_with(128 + 15);
        assert_eq!(
            fs::read_dir(cgroup("above/it")).expect("list").flatten().filter(|e| e.path().is_dir()).count(),
            0
        );
        fs::remove_dir(cgroup("above/it")).and_then(|()| fs::remove_dir(cgroup("above"))).expect("empty");
    });
}

#[test]
fn the_kernel_takes_hundreds_of_rules_about_devices() {
    alone(|| {
        let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
        for minor in 0..600 {
            let kind = if minor % 2 == 0 { "c" } else { "b" };
            let access = ["r", "rw", "rwm", "m"][minor % 4];
            rules.push(json!({ "allow": minor % 3 == 0, "type": kind, "major": 300 + minor % 7, "minor": minor, "access": access }));
        }
        // Among the first, and not touched by the others.
        rules.insert(3, json!({ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" }));
        let bundle = shell("mknod /tmp/d c 1 11; head -c 0 < /tmp/d && echo may; mknod /tmp/b b 7 0; cat /tmp/b || echo may not")
            .writable()
            .capabilities(&["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"])
            .set("/linux/resources/devices", rules);
        assert_eq!(bundle.run().out, "may\nmay not\n");
    });
}

#[test]
fn rules_about_devices_change_while_it_runs() {
    alone(|| {
        let bundle = shell("mknod /tmp/d c 1 11; sleep 1000")
            .writable()
            .capabilities(&["CAP_MKNOD", "CAP_SYSLOG", "CAP_DAC_OVERRIDE"])
            .set("/linux/resources/devices", json!([{ "allow": false, "access": "rwm" }]));
        let pid = bundle.started();
        until("there is no node", || bundle.root().join("tmp/d").exists());
        let open = || bundle.exec(&[], &["/bin/sh", "-c", "head -c 0 < /tmp/d"]).code;
        assert_ne!(open(), 0);
        let update = |rules: serde_json::Value| {
            let file = servin_tests::scratch("resources.json");
            fs::write(&file, json!({ "devices": rules }).to_string()).expect("write");
            bundle.oci("update", &["--resources", file.to_str().expect("UTF-8")]).succeeds();
        };
        update(json!([{ "allow": true, "type": "c", "major": 1, "minor": 11, "access": "r" }]));
        assert_eq!(open(), 0);
        update(json!([{ "allow": false }]));
        assert_ne!(open(), 0);
        bundle.ended(pid);
    });
}

/// The processor time that a process has used, in ticks of 10 ms.
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

#[test]
fn events_sleep_until_something_happens() {
    alone(|| {
        let bundle = sleeper();
        let pid = bundle.started();
        let mut command = std::process::Command::new(servin_tests::servin_run());
        command.args(["events", "--interval=1h", bundle.name()]);
        let mut events = servin_tests::start(command);
        events.says("\"type\":\"stats\"");
        sleep(Duration::from_secs(1));
        assert!(ticks(events.pid()) < 20, "{} ticks in a second", ticks(events.pid()));
        bundle.ended(pid);
        events.finish().succeeds();
    });
}
