//! The systemd driver, against a real systemd as PID 1: what systemd says of a container's scope, and what the kernel
//! does. These tests run in a machine of their own.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use servin_tests::{
    Bundle, Finished, People, beside_the_host, oci, reap_one, servin_program, servin_run, start, state,
    status,
};

const DRIVER: &[&str] = &["--systemd-cgroup"];

/// The user whom the machine has.
const USER: u32 = 1000;

fn shell(script: &str) -> Bundle {
    Bundle::of("busybox").args(&["/bin/sh", "-c", script])
}

fn sleeper(id: &str) -> Bundle {
    shell("sleep 1000").id(id)
}

fn created(bundle: &Bundle) -> i32 {
    bundle.oci_with(DRIVER, "create", &[]).succeeds();
    state(bundle.name())["pid"].as_i64().expect("a pid") as i32
}

/// Where a process is.
fn place_of(pid: i32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a process");
    text.trim().strip_prefix("0::").expect("the unified hierarchy").to_string()
}

fn file(pid: i32, name: &str) -> PathBuf {
    PathBuf::from(format!("/sys/fs/cgroup{}/{name}", place_of(pid)))
}

fn read(pid: i32, name: &str) -> String {
    let path = file(pid, name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_string()
}

/// What systemd says of a unit.
#[track_caller]
fn property(unit: &str, name: &str) -> String {
    let mut systemctl = Command::new("systemctl");
    systemctl.args(["show", "--value", "--property", name, unit]);
    start(systemctl).finish().succeeds().out.trim().to_string()
}

fn is_gone(unit: &str) -> bool {
    property(unit, "LoadState") == "not-found" && property(unit, "ActiveState") == "inactive"
}

fn limits() -> Value {
    json!({
        "memory": { "limit": 64 << 20, "swap": 96 << 20, "reservation": 32 << 20 },
        "cpu": { "shares": 512, "quota": 50_001, "period": 200_000, "burst": 10_000, "cpus": "0", "mems": "0" },
        "pids": { "limit": 42 },
        "unified": { "memory.high": "50331648", "memory.oom.group": "1" },
    })
}

#[test]
fn a_container_is_a_scope_with_its_limits_in_systemds_words() {
    beside_the_host(|| {
        let bundle = sleeper("one").set("/linux/resources", limits());
        let pid = created(&bundle);
        assert_eq!(place_of(pid), "/system.slice/servin-one.scope");
        let unit = "servin-one.scope";
        for (name, expected) in [
            ("ActiveState", "active"),
            ("Slice", "system.slice"),
            ("Delegate", "yes"),
            ("MemoryMax", "67108864"),
            ("MemorySwapMax", "33554432"),
            ("MemoryLow", "33554432"),
            ("MemoryHigh", "50331648"),
            ("CPUWeight", "59"),
            // Of each second, rounded up to a hundredth.
            ("CPUQuotaPerSecUSec", "260ms"),
            ("CPUQuotaPeriodUSec", "200ms"),
            ("AllowedCPUs", "0"),
            ("AllowedMemoryNodes", "0"),
            ("TasksMax", "42"),
        ] {
            assert_eq!(property(unit, name), expected, "{name}");
        }
        // Whatever systemd does with its own, the kernel has what was asked for, and what systemd has no words for.
        let files = [
            ("memory.max", "67108864"),
            ("memory.swap.max", "33554432"),
            ("memory.low", "33554432"),
            ("memory.high", "50331648"),
            ("memory.oom.group", "1"),
            ("cpu.weight", "59"),
            ("cpu.max", "50001 200000"),
            ("cpu.max.burst", "10000"),
            ("cpuset.cpus", "0"),
            ("pids.max", "42"),
        ];
        for (name, expected) in files {
            assert_eq!(read(pid, name), expected, "{name}");
        }
        bundle.oci("start", &[]).succeeds();
        assert_eq!(place_of(pid), "/system.slice/servin-one.scope");
        // systemd sets its tree up anew: the limits that it knows stay. Of the others it knows neither the exact quota
        // nor, in this version, that all processes are to be killed together.
        start(command("systemctl", &["daemon-reload"])).finish().succeeds();
        for (name, expected) in files {
            if !matches!(name, "cpu.max" | "memory.oom.group") {
                assert_eq!(read(pid, name), expected, "{name} after a reload");
            }
        }
        bundle.ended(pid);
        assert!(is_gone(unit));
        assert!(!fs::exists("/sys/fs/cgroup/system.slice/servin-one.scope").expect("look"));
    });
}

fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

#[test]
fn engines_choose_slice_and_name() {
    beside_the_host(|| {
        for (path, place) in [
            ("machine.slice:libpod:abc", "/machine.slice/libpod-abc.scope"),
            ("a-b.slice:cri:x", "/a.slice/a-b.slice/cri-x.scope"),
            (":runc:", "/system.slice/runc-two.scope"),
            ("-.slice:top:x", "/top-x.scope"),
        ] {
            let bundle = sleeper("two").set("/linux/cgroupsPath", path);
            let pid = created(&bundle);
            assert_eq!(place_of(pid), place, "{path}");
            bundle.ended(pid);
            assert!(!fs::exists(format!("/sys/fs/cgroup{place}")).expect("look"), "{place}");
        }
        for path in ["/a/b", "a.slice:b", "a:b:c", "a/b.slice:c:d", "a.slice:b:c/d"] {
            let bundle = sleeper("two").set("/linux/cgroupsPath", path);
            bundle.oci_with(DRIVER, "create", &[]).fails(&["linux.cgroupsPath", path, "systemd"]);
            oci(&["state", "two"]).fails(&["does not exist"]);
        }
    });
}

#[test]
fn the_cgroup_namespace_begins_at_the_scope() {
    beside_the_host(|| {
        let bundle = shell("cat /proc/self/cgroup").id("ns").namespace("cgroup", None);
        let ended = bundle.oci_with(DRIVER, "run", &[]).succeeds();
        assert!(ended.out.contains("0::/\n"), "{}", ended.out);
        assert!(is_gone("servin-ns.scope"));
    });
}

#[test]
fn one_process_is_enough() {
    beside_the_host(|| {
        let bundle = shell("true").id("single").set("/linux/resources/pids", json!({ "limit": 1 }));
        bundle.oci_with(DRIVER, "run", &[]).succeeds();
    });
}

#[test]
fn a_failure_leaves_no_scope() {
    beside_the_host(|| {
        let missing = sleeper("failing").set("/process/args", json!(["/nosuch"]));
        missing.oci_with(DRIVER, "run", &[]).fails(&["/nosuch"]);
        let refused = sleeper("failing").set("/linux/resources/cpu", json!({ "cpus": "77" }));
        refused.oci_with(DRIVER, "create", &[]).fails(&["linux.resources.cpu.cpus", "77"]);
        assert!(is_gone("servin-failing.scope"));
        assert!(!fs::exists("/sys/fs/cgroup/system.slice/servin-failing.scope").expect("look"));
    });
}

#[test]
fn a_scope_that_is_in_use_is_refused_and_left_alone() {
    beside_the_host(|| {
        let one = sleeper("first").set("/linux/cgroupsPath", "machine.slice:a:shared");
        let pid = created(&one);
        let two = sleeper("second").set("/linux/cgroupsPath", "machine.slice:a:shared");
        two.oci_with(DRIVER, "create", &[]).fails(&["a-shared.scope", "in use"]);
        oci(&["state", "second"]).fails(&["does not exist"]);
        assert_eq!(
            (status("first"), place_of(pid)),
            ("created".into(), "/machine.slice/a-shared.scope".into())
        );
        one.ended(pid);
    });
}

#[test]
fn limits_change_in_the_kernel_and_in_systemd() {
    beside_the_host(|| {
        let bundle = sleeper("changing").set("/linux/resources", limits());
        let pid = created(&bundle);
        bundle.oci("start", &[]).succeeds();
        bundle.oci("update", &["--memory", "128m", "--pids-limit", "7", "--cpu-quota", "100000"]).succeeds();
        for (name, property_name, in_kernel, in_systemd) in [
            ("memory.max", "MemoryMax", "134217728", "134217728"),
            ("pids.max", "TasksMax", "7", "7"),
            ("cpu.max", "CPUQuotaPerSecUSec", "100000 200000", "500ms"),
        ] {
            assert_eq!(read(pid, name), in_kernel);
            assert_eq!(property("servin-changing.scope", property_name), in_systemd);
        }
        bundle.oci("update", &["--cpuset-cpus", "77", "--pids-limit", "8"]).fails(&["cpu.cpus", "77"]);
        assert_eq!((read(pid, "pids.max"), read(pid, "cpuset.cpus")), ("7".into(), "0".into()));
        assert_eq!(property("servin-changing.scope", "TasksMax"), "7");
        bundle.oci("update", &["--pids-limit", "-1"]).succeeds();
        assert_eq!(property("servin-changing.scope", "TasksMax"), "infinity");
        bundle.ended(pid);
    });
}

#[test]
fn everything_else_works_in_a_scope_too() {
    beside_the_host(|| {
        let bundle = sleeper("all");
        let pid = created(&bundle);
        bundle.oci("start", &[]).succeeds();
        bundle.oci("pause", &[]).succeeds();
        assert_eq!((status("all"), read(pid, "cgroup.freeze")), ("paused".into(), "1".into()));
        bundle.oci("resume", &[]).succeeds();
        let inside = bundle.exec(&[], &["/bin/cat", "/proc/self/cgroup"]).succeeds().out;
        assert!(inside.contains("servin-all.scope"), "{inside}");
        let stats = bundle.oci("events", &["--stats"]).succeeds().json();
        assert!(stats["data"]["memory"]["usage"]["usage"].as_u64() > Some(0), "{stats}");
        // What the container makes goes with it.
        fs::create_dir_all(file(pid, "a/b")).expect("make cgroups");
        oci(&["kill", "--all", "all", "KILL"]).succeeds();
        assert_eq!(reap_one(pid), 128 + 9);
        bundle.oci("delete", &[]).succeeds();
        assert!(is_gone("servin-all.scope"));
        assert!(!fs::exists("/sys/fs/cgroup/system.slice/servin-all.scope").expect("look"));
    });
}

#[test]
fn an_end_for_want_of_memory_leaves_no_failed_unit() {
    beside_the_host(|| {
        let bundle = shell("exec tail /dev/zero")
            .id("hungry")
            .set("/linux/resources/memory", json!({ "limit": 16 << 20, "swap": 16 << 20 }));
        let pid = created(&bundle);
        bundle.oci("start", &[]).succeeds();
        assert_eq!(reap_one(pid), 137);
        bundle.oci("delete", &[]).succeeds();
        assert!(is_gone("servin-hungry.scope"));
        // The name is free again.
        shell("true").id("hungry").oci_with(DRIVER, "run", &[]).succeeds();
    });
}

/// Puts files of the machine out of the way for a while.
struct Hidden(Vec<&'static str>);

impl Hidden {
    fn these(paths: &[&'static str]) -> Hidden {
        for path in paths {
            fs::rename(path, format!("{path}.hidden")).expect("hide");
        }
        Hidden(paths.to_vec())
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = fs::rename(format!("{path}.hidden"), path);
        }
    }
}

#[test]
fn the_system_bus_will_do() {
    beside_the_host(|| {
        let hidden = Hidden::these(&["/run/systemd/private"]);
        let bundle = sleeper("bus").set("/linux/resources/pids", json!({ "limit": 9 }));
        let pid = created(&bundle);
        assert_eq!(
            (place_of(pid), read(pid, "pids.max")),
            ("/system.slice/servin-bus.scope".into(), "9".into())
        );
        bundle.oci("update", &["--pids-limit", "11"]).succeeds();
        bundle.ended(pid);
        drop(hidden);
        assert!(is_gone("servin-bus.scope"));
    });
}

#[test]
fn without_systemd_it_is_said_what_does_without() {
    beside_the_host(|| {
        let _hidden = Hidden::these(&["/run/systemd/private", "/run/dbus/system_bus_socket"]);
        let bundle = sleeper("nobody");
        bundle.oci_with(DRIVER, "create", &[]).fails(&["systemd", "--cgroup-manager cgroupfs"]);
        oci(&["state", "nobody"]).fails(&["does not exist"]);
    });
}

#[test]
fn people_may_have_it_too() {
    beside_the_host(|| {
        let flags = ["--cgroup-manager", "systemd", "--memory", "64m", "--pids-limit", "20"];
        let people = People::of("busybox").flags(&flags);
        let mut running = people.start(&["/bin/sh", "-c", "echo up; sleep 1000"]);
        running.says("up");
        let place = place_of(running.container());
        assert!(place.starts_with("/system.slice/servin-") && place.ends_with(".scope"), "{place}");
        assert_eq!(read(running.container(), "pids.max"), "20");
        running.signal(15);
        running.finish().ends_with(128 + 15);
        assert!(!fs::exists(format!("/sys/fs/cgroup{place}")).expect("look"));
    });
}

/// `servin-run` as the machine's user, whose manager runs.
fn as_user(environment: (&str, &str), arguments: &[&str]) -> Finished {
    let mut all = vec!["--root", "/home/app/state"];
    all.extend(arguments);
    program_as_user(servin_run(), environment, &all)
}

fn program_as_user(program: PathBuf, environment: (&str, &str), arguments: &[&str]) -> Finished {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).current_dir("/");
    command.env_clear().env("PATH", "/usr/bin").env("HOME", "/home/app").env(environment.0, environment.1);
    command.uid(USER).gid(USER);
    start(command).finish()
}

#[test]
fn users_have_scopes_of_their_own_manager() {
    beside_the_host(|| {
        start(command("systemctl", &["start", &format!("user@{USER}.service")])).finish().succeeds();
        let runtime = ("XDG_RUNTIME_DIR", "/run/user/1000");
        let bus = ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user/1000/bus");
        let private = "/run/user/1000/systemd/private";
        for (hidden, environment) in
            [(&[][..], runtime), (&[private], runtime), (&[private], bus), (&[], ("TERM", "dumb"))]
        {
            let _hidden = Hidden::these(hidden);
            let bundle = of_user();
            let directory = bundle.directory().to_str().expect("a path of ours");
            as_user(environment, &["--systemd-cgroup", "create", "--bundle", directory, "mine"]).succeeds();
            let shown = as_user(environment, &["state", "mine"]).succeeds().json();
            let pid = shown["pid"].as_i64().expect("a pid") as i32;
            let place = place_of(pid);
            assert!(place.ends_with("/user@1000.service/user.slice/servin-mine.scope"), "{place}");
            assert_eq!(read(pid, "pids.max"), "30");
            as_user(environment, &["update", "--pids-limit", "31", "mine"]).succeeds();
            assert_eq!(read(pid, "pids.max"), "31");
            as_user(environment, &["delete", "--force", "mine"]).succeeds();
            reap_one(pid);
            assert!(!fs::exists(format!("/sys/fs/cgroup{place}")).expect("look"));
        }
    });
}

/// A bundle of the user's, as `spec --rootless` writes it, with a limit.
fn of_user() -> Bundle {
    let bundle = Bundle::of("busybox");
    let directory = bundle.directory().to_str().expect("a path of ours").to_string();
    start(command("chown", &["-R", "1000:1000", &directory])).finish().succeeds();
    as_user(("TERM", "dumb"), &["spec", "--rootless", "--bundle", &directory]).succeeds();
    let text = fs::read_to_string(bundle.directory().join("config.json")).expect("a config");
    let mut config: Value = text.parse().expect("JSON");
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["/bin/sleep", "1000"]);
    config["linux"]["resources"] = json!({ "pids": { "limit": 30 } });
    bundle.write(&config.to_string());
    bundle
}

#[test]
fn a_person_without_privileges_has_limits_where_his_systemd_answers() {
    beside_the_host(|| {
        start(command("systemctl", &["start", &format!("user@{USER}.service")])).finish().succeeds();
        let call = |arguments: &[&str]| {
            program_as_user(servin_program(), ("XDG_RUNTIME_DIR", "/run/user/1000"), arguments)
        };
        let bundle = of_user();
        let root = bundle.root();
        let root = root.to_str().expect("a path of ours");
        let limits = ["--memory", "64m", "--pids-limit", "20"];
        let mut run = vec!["run", "-d", "--name", "own", "--rootfs", root];
        run.extend(limits);
        run.extend(["--", "/bin/sleep", "1000"]);
        call(&run).succeeds();
        let pid: i32 =
            call(&["inspect", "-f", "{{.State.Pid}}", "own"]).succeeds().out.trim().parse().expect("a pid");
        assert!(place_of(pid).contains("/user@1000.service/user.slice/servin-"), "{}", place_of(pid));
        assert_eq!([read(pid, "memory.max"), read(pid, "pids.max")], ["67108864", "20"]);
        call(&["update", "--pids-limit", "21", "own"]).succeeds();
        assert_eq!(read(pid, "pids.max"), "21");
        let stats = call(&["stats", "--no-stream", "--format", "{{.MemUsage}}"]).succeeds();
        assert!(stats.out.contains("/ 64MiB"), "{}", stats.out);
        call(&["rm", "--force", "own"]).succeeds();
        call(&["run", "--rm", "--rootfs", root, "--", "/bin/true"]).succeeds();
    });
}
