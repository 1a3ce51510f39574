use alloc::string::ToString;
use alloc::vec::Vec;

use super::*;
use crate::cgroup::Limits;
use crate::cli::arguments::Command;

const COMMAND: Command =
    Command { name: "servin test", usage: "", about: "", groups: &[LIMITS, PLACE], last_word: usize::MAX };

fn disk(path: &str) -> Result<(i64, i64)> {
    match path {
        "/dev/sda" => Ok((8, 0)),
        _ => Err(Error::new("there is no such disk")),
    }
}

fn resources(arguments: &str) -> Result<Resources> {
    let words: Vec<&str> = arguments.split_ascii_whitespace().collect();
    read(&COMMAND.parse(&words)?, &disk)
}

/// What the kernel gets of it.
fn writes(arguments: &str) -> Vec<String> {
    let limits = Limits::new(&resources(arguments).expect("resources")).expect("limits");
    limits.writes.iter().map(|write| format!("{}={}", write.file, write.value)).collect()
}

#[test]
fn no_flags_are_no_limits() {
    assert!(writes("").is_empty());
    assert!(writes("--memory 0 --cpus 0 --cpu-shares 0 --cpu-quota 0 --blkio-weight 0").is_empty());
    assert!(writes("--memory-swappiness -1 --oom-kill-disable=false --cpu-rt-runtime 0").is_empty());
}

#[test]
fn units_and_meanings_are_dockers() {
    for (arguments, expected) in [
        ("-m 512m", &["memory.max=536870912"][..]),
        ("--memory=1.5g --memory-swap 2g", &["memory.swap.max=536870912", "memory.max=1610612736"]),
        ("-m 1g --memory-swap -1", &["memory.swap.max=max", "memory.max=1073741824"]),
        ("--memory-reservation 100k", &["memory.low=102400"]),
        ("--cpus 1.5", &["cpu.max=150000 100000"]),
        ("--cpus .01", &["cpu.max=1000 100000"]),
        ("--cpus=2", &["cpu.max=200000 100000"]),
        ("-c 512", &["cpu.weight=59"]),
        ("--cpu-shares 1024", &["cpu.weight=100"]),
        ("--cpu-quota 20000 --cpu-period 50000", &["cpu.max=20000 50000"]),
        ("--cpu-quota -1", &["cpu.max=max"]),
        ("--cpuset-cpus 0-2,7 --cpuset-mems 0", &["cpuset.cpus=0-2,7", "cpuset.mems=0"]),
        ("--pids-limit 5", &["pids.max=5"]),
        ("--pids-limit 0", &["pids.max=max"]),
        ("--pids-limit=-1", &["pids.max=max"]),
        ("--blkio-weight 300", &["io.bfq.weight=300"]),
        ("--blkio-weight-device /dev/sda:10", &["io.bfq.weight=8:0 10"]),
        (
            "--device-read-bps /dev/sda:1mb --device-write-iops /dev/sda:9",
            &["io.max=8:0 rbps=1048576 wiops=9"],
        ),
        ("--device-write-bps /dev/sda:5 --device-read-iops /dev/sda:7", &["io.max=8:0 wbps=5 riops=7"]),
        ("--cgroup-conf memory.high=7 --cgroup-conf pids.max=max", &["memory.high=7", "pids.max=max"]),
    ] {
        assert_eq!(writes(arguments), expected, "{arguments}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_flag() {
    for (arguments, words) in [
        ("--memory lots", "--memory lots"),
        ("--memory -5", "--memory -5"),
        ("-m 10m --memory-swap 5m", "--memory-swap 5242880: it includes --memory"),
        ("-m 10m --memory-reservation 11m", "--memory-reservation 11534336"),
        ("--memory-swappiness 60", "--memory-swappiness: cgroup v2 has no"),
        ("--oom-kill-disable", "--oom-kill-disable: cgroup v2"),
        ("--cpu-rt-period 1000", "--cpu-rt-period: cgroup v2"),
        ("--cpu-rt-runtime 1000", "--cpu-rt-runtime: cgroup v2"),
        ("--cpus half", "--cpus half"),
        ("--cpus 0.001", "--cpus 0.001"),
        ("--cpus -1", "--cpus -1"),
        ("--cpus 1.", "--cpus 1."),
        ("--cpus 1.2.3", "--cpus 1.2.3"),
        ("--cpus 99999999999999999999", "--cpus 9999"),
        ("--cpus 1 --cpu-quota 5000", "--cpus 1: it is a quota"),
        ("--cpu-shares 1", "--cpu-shares 1: it is from 2 to 262144"),
        ("--cpu-shares -1", "--cpu-shares -1"),
        ("--cpu-quota 10", "--cpu-quota 10"),
        ("--cpu-quota +5000", "--cpu-quota +5000"),
        ("--cpu-period 1", "--cpu-period 1: it is from 1000"),
        ("--cpuset-cpus 3-1", "--cpuset-cpus 3-1"),
        ("--cpuset-cpus 1,", "--cpuset-cpus 1,"),
        ("--cpuset-mems x", "--cpuset-mems x"),
        ("--pids-limit many", "--pids-limit many"),
        ("--blkio-weight 5", "--blkio-weight 5: it is from 10 to 1000"),
        ("--blkio-weight-device /dev/sda:5000", "--blkio-weight-device /dev/sda:5000"),
        ("--blkio-weight-device sda:50", "--blkio-weight-device sda:50"),
        ("--device-read-bps /dev/sda", "--device-read-bps /dev/sda"),
        ("--device-read-bps /dev/sdz:1m", "--device-read-bps: there is no such disk"),
        ("--device-read-bps /dev/sda:fast", "--device-read-bps /dev/sda:fast: the rate is a size"),
        ("--device-read-iops /dev/sda:1k", "--device-read-iops /dev/sda:1k: not a number"),
        ("--cgroup-conf memory.high", "--cgroup-conf memory.high: it takes FILE=VALUE"),
    ] {
        let error = resources(arguments).expect_err(arguments).to_string();
        assert!(error.starts_with(words), "{arguments}: {error}");
    }
    assert!(block_device("/dev/null").expect_err("refused").to_string().contains("not a block device"));
}

#[test]
fn the_parents_path_is_one_from_the_root() {
    let path = |arguments: &[&str]| cgroups_path(&COMMAND.parse(arguments).expect("parsed"), "box");
    assert_eq!(path(&[]).expect("a path"), None);
    assert_eq!(path(&["--cgroup-parent", "/a/b/"]).expect("a path").as_deref(), Some("/a/b/box"));
    assert_eq!(path(&["--cgroup-parent", "a"]).expect("a path").as_deref(), Some("/a/box"));
    for bad in ["/", "", "../x", "a/./b"] {
        assert!(path(&["--cgroup-parent", bad]).is_err(), "{bad}");
    }
}
