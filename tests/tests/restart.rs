//! Containers that are started again: by their policy, by a person, with the host.

use std::fs;
use std::time::Duration;

use servin_tests::{
    People, alone, bind, cgroup_mount, field, kill, pid, reap_one, scratch, servin, skip, supervisor,
    unmount, until,
};

/// What the kernel is known by until the host goes down.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

#[test]
fn a_container_that_fails_is_started_again_as_often_as_asked_for() {
    alone(|| {
        let people = People::of("busybox").flags(&["--restart", "on-failure:2"]);
        let root = people.root();
        people.detached("web", &["sh", "-c", "echo run >> /runs; exit 5"]);
        until("the last end", || field("web", ".State.Status") == "exited");
        assert_eq!(fs::read_to_string(root.join("runs")).expect("read").lines().count(), 3);
        assert_eq!(
            (field("web", ".RestartCount"), field("web", ".State.ExitCode")),
            ("2".into(), "5".into())
        );
        assert_eq!(servin(&["logs", "web"]).succeeds().out, "");
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn success_is_no_failure() {
    alone(|| {
        People::of("busybox").flags(&["--restart", "on-failure"]).detached("web", &["true"]);
        servin(&["wait", "web"]).succeeds();
        until("the end", || field("web", ".State.Status") == "exited");
        assert_eq!(field("web", ".RestartCount"), "0");
        servin(&["rm", "web"]).succeeds();
    });
}

#[test]
fn what_is_always_restarted_ends_when_a_person_stops_it() {
    alone(|| {
        for policy in ["always", "unless-stopped"] {
            People::of("busybox")
                .flags(&["--restart", policy])
                .detached("web", &["sh", "-c", "echo again; sleep 0.05"]);
            until("two restarts", || {
                field("web", ".RestartCount").parse::<u32>().is_ok_and(|count| count >= 2)
            });
            assert!(servin(&["logs", "web"]).succeeds().lines().len() >= 2);
            servin(&["stop", "web"]).succeeds();
            assert_eq!(field("web", ".State.Status"), "exited");
            servin(&["rm", "web"]).succeeds();
        }
    });
}

#[test]
fn a_person_restarts_a_container() {
    alone(|| {
        People::of("busybox").detached("web", &["sleep", "1000"]);
        let before = field("web", ".State.Pid");
        servin(&["restart", "-t", "1", "web"]).succeeds();
        assert_ne!(field("web", ".State.Pid"), before);
        servin(&["rm", "-f", "web"]).succeeds();
    });
}

#[test]
fn after_a_reboot_those_come_back_that_want_to() {
    alone(|| {
        let make = |name: &str, policy: &str| {
            People::of("busybox").flags(&["--restart", policy]).detached(name, &["sleep", "1000"]);
        };
        make("always", "always");
        make("stopped", "unless-stopped");
        make("unless", "unless-stopped");
        make("no", "no");
        servin(&["stop", "always", "stopped"]).succeeds();
        // What a power failure leaves: no process, and the records as they were.
        for name in ["unless", "no"] {
            let (first, supervisor) = (pid(name), supervisor(name));
            kill(supervisor, 9).expect("kill the supervisor");
            reap_one(supervisor);
            reap_one(first);
        }
        // By which processes that were there before are known for others.
        let boot_id = scratch("boot_id");
        fs::write(&boot_id, "00000000-0000-4000-8000-000000000000\n").expect("write a file");
        bind(boot_id.to_str().expect("UTF-8"), BOOT_ID).expect("mount over the boot id");
        assert_eq!(servin(&["ps", "-q"]).succeeds().out, "");
        assert_eq!(servin(&["ps", "-a"]).succeeds().out.matches("Exited (137)").count(), 2);
        let started = servin(&["start", "--all", "--restart-policy"]).succeeds().out;
        let mut started: Vec<&str> = started.lines().collect();
        started.sort_unstable();
        assert_eq!(started, ["always", "unless"]);
        servin(&["rm", "-fa"]).succeeds();
        unmount(BOOT_ID).expect("unmount");
    });
}

#[test]
fn a_policy_that_makes_no_sense_is_refused() {
    alone(|| {
        let run = |flags: &[&str]| People::of("busybox").kept().flags(flags).run(&["true"]).ends_with(125);
        run(&["--restart", "sometimes"]).fails(&["--restart sometimes"]);
        run(&["--restart", "always", "--rm"]).fails(&["--rm", "--restart"]);
        run(&["--log-driver", "syslog"]).fails(&["--log-driver syslog"]);
        run(&["--stop-signal", "NOPE"]).fails(&["--stop-signal NOPE"]);
        run(&["--detach-keys", "ctrl-"]).fails(&["--detach-keys"]);
        run(&["--label", "=x"]).fails(&["--label =x"]);
    });
}

#[test]
fn a_paused_container_does_nothing_until_it_is_unpaused() {
    alone(|| {
        if cgroup_mount().is_none() {
            skip!("there is no cgroup v2 here");
        }
        People::of("busybox").detached("web", &["sh", "-c", "while :; do echo tick; sleep 0.01; done"]);
        until("ticks", || !servin(&["logs", "web"]).succeeds().out.is_empty());
        servin(&["pause", "web"]).succeeds();
        assert!(servin(&["ps"]).succeeds().out.contains("(Paused)"));
        let ticks = || servin(&["logs", "web"]).succeeds().out.len();
        let before = ticks();
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(ticks(), before);
        servin(&["exec", "web", "true"]).ends_with(125).fails(&["is paused"]);
        servin(&["pause", "web"]).ends_with(1).fails(&["paused already"]);
        servin(&["unpause", "web"]).succeeds();
        until("more ticks", || ticks() > before);
        servin(&["pause", "web"]).succeeds();
        servin(&["stop", "-t", "1", "web"]).succeeds();
        servin(&["rm", "web"]).succeeds();
    });
}
