//! What people ask for takes effect: the limits of `servin run` on a unified hierarchy. These tests run in QEMU.

use std::fs;
use std::path::PathBuf;

use servin_tests::{People, Running, alone, cgroup_mount, fixture, forget_home, has_controller, servin};

const SLEEP: &[&str] = &["/bin/sh", "-c", "echo up; sleep 1000"];

fn people(flags: &[&str]) -> People {
    assert!(has_controller("memory"), "these tests need a unified hierarchy");
    People::of("busybox").flags(flags)
}

/// The directory of the only container's cgroup.
fn cgroup() -> PathBuf {
    let all = cgroup_mount().expect("cgroup v2").join("servin");
    let mut found = fs::read_dir(all).expect("list").flatten().filter(|entry| entry.path().is_dir());
    found.next().expect("a container's cgroup").path()
}

fn read(name: &str) -> String {
    let path = cgroup().join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.trim_end().to_string()
}

fn ended(running: Running) {
    running.signal(15);
    running.finish().ends_with(128 + 15);
}

#[test]
fn every_flag_is_where_the_kernel_reads_it() {
    alone(|| {
        let flags = "-m 64m --memory-reservation 32m --cpus 1.5 -c 512 --cpuset-cpus 0 --cpuset-mems 0 \
                     --pids-limit 99 --cgroup-conf memory.high=50331648";
        let mut running = people(&flags.split_whitespace().collect::<Vec<_>>()).start(SLEEP);
        running.says("up");
        for (name, expected) in [
            ("memory.max", "67108864"),
            // As much again, as in Docker.
            ("memory.swap.max", "67108864"),
            ("memory.low", "33554432"),
            ("memory.high", "50331648"),
            ("cpu.max", "150000 100000"),
            ("cpu.weight", "59"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("pids.max", "99"),
        ] {
            assert_eq!(read(name), expected, "{name}");
        }
        ended(running);
    });
}

#[test]
fn swap_is_limited_together_with_memory() {
    alone(|| {
        for (both, expected) in [("96m", (32 << 20).to_string()), ("64m", "0".into()), ("-1", "max".into())] {
            let mut running = people(&["--memory=64m", "--memory-swap", both]).start(SLEEP);
            running.says("up");
            assert_eq!(read("memory.swap.max"), expected, "{both}");
            ended(running);
        }
    });
}

#[test]
fn more_memory_than_allowed_ends_the_program() {
    alone(|| {
        people(&["--memory=16m", "--memory-swap=16m", "--init=false"])
            .run(&["/usr/bin/tail", "/dev/zero"])
            .ends_with(137);
    });
}

#[test]
fn inspect_says_that_memory_ran_out() {
    alone(|| {
        assert!(has_controller("memory"), "these tests need a unified hierarchy");
        let root = fixture("busybox");
        let root = root.to_str().expect("UTF-8");
        let limits = ["--memory=16m", "--memory-swap=16m"];
        for (name, program, killed) in
            [("hungry", "tail /dev/zero; exit 3", "true 3"), ("modest", "exit 3", "false 3")]
        {
            let mut run = vec!["run", "--name", name, "--rootfs", root];
            run.extend(limits);
            run.extend(["--", "/bin/sh", "-c", program]);
            servin(&run).ends_with(3);
            let shown =
                servin(&["inspect", "-f", "{{.State.OOMKilled}} {{.State.ExitCode}}", name]).succeeds();
            assert_eq!(shown.out.trim(), killed);
        }
        servin(&["rm", "hungry", "modest"]).succeeds();
        forget_home();
    });
}
