//! `servin stats` and `servin update`: what people's containers use, and other limits for them.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use servin_tests::{
    Terminal, alone, cgroup_mount, fixture, forget_home, has_controller, servin, servin_program, start,
    within,
};

/// A container that runs on; its id.
fn detached(name: &str, flags: &[&str], script: &str) -> String {
    let root = fixture("busybox");
    let mut arguments = vec!["run", "-d", "--read-only", "--name", name];
    arguments.extend(flags);
    arguments.extend(["--rootfs", root.to_str().expect("UTF-8"), "--", "/bin/sh", "-c", script]);
    servin(&arguments).succeeds().out.trim().to_string()
}

fn removed(names: &[&str]) {
    let mut arguments = vec!["rm", "--force"];
    arguments.extend(names);
    servin(&arguments).succeeds();
    forget_home();
}

fn objects(out: &str) -> Vec<Value> {
    out.lines().map(|line| line.parse().expect("JSON")).collect()
}

fn hundredths(value: &Value) -> u32 {
    let digits: String = value.as_str().expect("a text").chars().filter(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn stats_show_what_each_container_uses() {
    alone(|| {
        let busy = detached("busy", &[], "while :; do :; done");
        detached("idle", &["--network", "none"], "sleep 1000");
        let ended = servin(&["stats", "--no-stream"]).succeeds();
        let lines = ended.lines();
        assert_eq!(lines.len(), 3, "{}", ended.out);
        for heading in
            ["CONTAINER ID", "NAME", "CPU %", "MEM USAGE / LIMIT", "MEM %", "NET I/O", "BLOCK I/O", "PIDS"]
        {
            assert!(lines[0].contains(heading), "{}", lines[0]);
        }
        assert!(ended.out.contains(&busy[..12]) && ended.out.contains("idle"), "{}", ended.out);

        let shown = objects(&servin(&["stats", "--no-stream", "--format", "json"]).succeeds().out);
        let of = |name: &str| shown.iter().find(|one| one["Name"] == name).expect("a line").clone();
        assert!(hundredths(&of("busy")["CPUPerc"]) > 2000, "{shown:?}");
        assert!(hundredths(&of("idle")["CPUPerc"]) < 2000, "{shown:?}");
        // The init, and the shell or what it executes.
        assert_eq!(of("busy")["PIDs"], "2");
        assert_eq!(of("idle")["NetIO"], "0B / 0B");
        if has_controller("memory") {
            assert!(of("busy")["MemUsage"].as_str().is_some_and(|text| text.contains("iB / ")), "{shown:?}");
        }
        let one =
            servin(&["stats", "--no-stream", "--format", "{{.Name}}:{{.Container}}", "busy"]).succeeds();
        assert_eq!(one.out.trim(), format!("busy:{}", &busy[..12]));
        servin(&["stats", "--no-stream", "nobody"]).fails(&["there is no container nobody"]);
        servin(&["stop", "-t", "0", "idle"]).succeeds();
        let left = servin(&["stats", "--no-stream", "--format", "{{.Name}}"]).succeeds();
        assert_eq!(left.out, "busy\n");
        let all = servin(&["stats", "--no-stream", "--all", "--format", "{{.Name}} {{.CPUPerc}}"]).succeeds();
        assert!(all.out.contains("idle --"), "{}", all.out);
        removed(&["busy", "idle"]);
    });
}

#[test]
fn stats_go_on_until_they_are_interrupted() {
    alone(|| {
        detached("one", &[], "sleep 1000");
        let mut stats = Command::new(servin_program());
        stats.args(["stats", "--format", "{{.Name}}"]).stdin(Stdio::null());
        let mut stats = start(stats);
        stats.says("one\none\n");
        detached("two", &[], "sleep 1000");
        stats.says("two\n");
        servin(&["rm", "--force", "two"]).succeeds();
        stats.signal(2);
        assert_eq!(stats.finish().code, 128 + 2);
        removed(&["one"]);
    });
}

#[test]
fn on_a_terminal_the_table_stays_in_its_place() {
    alone(|| {
        detached("one", &[], "sleep 1000");
        let mut stats = Command::new(servin_program());
        stats.arg("stats");
        let mut terminal = Terminal::new(24, 100).start(stats);
        // Twice up again, over the heading and the line of the container.
        terminal.expect("CONTAINER ID").expect("one").expect("\x1b[K").expect("\x1b[2A");
        terminal.expect("CONTAINER ID").expect("\x1b[2A").type_in("\x03");
        // By the signal.
        assert_eq!(terminal.finish().code, -1);
        removed(&["one"]);
    });
}

#[test]
fn a_reading_takes_microseconds() {
    alone(|| {
        detached("one", &[], "sleep 1000");
        let reading = || {
            let shown = servin(&["stats", "--no-stream", "--trace"]).succeeds();
            let line = shown.err.lines().find(|line| line.contains("read what one uses")).expect("a line");
            line.split_whitespace().next().and_then(|word| word.parse().ok()).expect("a number")
        };
        // Other processes of a busy machine come between; what the reading itself takes shows at its best.
        let micros: u64 = (0..10).map(|_| reading()).min().expect("ten readings");
        println!("one reading: {micros} µs");
        assert!(Duration::from_micros(micros) <= within(Duration::from_micros(150)), "{micros} µs");
        removed(&["one"]);
    });
}

#[test]
fn update_changes_limits_now_and_for_the_next_start() {
    alone(|| {
        let id = detached("one", &[], "sleep 1000");
        servin(&["update", "--memory", "lots", "one"]).fails(&["--memory lots"]);
        servin(&["update", "--pids-limit", "5", "nobody"]).fails(&["nobody"]);
        servin(&["update"]).fails(&["name or ID"]);
        servin(&["update", "--restart", "sometimes", "one"]).fails(&["--restart sometimes"]);
        let file = |name: &str| cgroup_mount().expect("cgroup v2").join(format!("servin/{id}")).join(name);
        let read = |name: &str| fs::read_to_string(file(name)).expect("a limit").trim().to_string();
        if !has_controller("memory") {
            servin(&["update", "--memory", "64m", "one"]).fails(&["memory controller"]);
            removed(&["one"]);
            return;
        }
        servin(&["update", "--memory", "64m", "--pids-limit", "9", "--cpus", "0.5", "one"]).succeeds();
        assert_eq!([read("memory.max"), read("pids.max")], ["67108864", "9"]);
        assert_eq!(read("cpu.max"), "50000 100000");
        // What is refused changes nothing, neither now nor later.
        servin(&["update", "--cpuset-cpus", "77", "--pids-limit", "3", "one"]).fails(&["77"]);
        assert_eq!(read("pids.max"), "9");
        servin(&["stop", "-t", "0", "one"]).succeeds();
        servin(&["update", "--memory", "32m", "one"]).succeeds();
        servin(&["start", "one"]).succeeds();
        assert_eq!([read("memory.max"), read("pids.max")], ["33554432", "9"]);
        removed(&["one"]);
    });
}
