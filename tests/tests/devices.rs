//! Devices and links in /dev.

use std::fs;

use serde_json::json;
use servin_tests::{Bundle, alone};

#[test]
fn the_default_devices_are_there() {
    alone(|| {
        let seen = Bundle::new().report();
        for (name, major, minor) in [
            ("null", 1, 3),
            ("zero", 1, 5),
            ("full", 1, 7),
            ("random", 1, 8),
            ("urandom", 1, 9),
            ("tty", 5, 0),
        ] {
            let device = &seen["dev"][name];
            assert_eq!(device["type"], "character", "{name}");
            assert_eq!((&device["major"], &device["minor"]), (&major.into(), &minor.into()), "{name}");
            assert_eq!((&device["mode"], &device["uid"]), (&0o666.into(), &0.into()), "{name}");
        }
    });
}

#[test]
fn the_default_links_are_there() {
    alone(|| {
        let seen = Bundle::new().report();
        for (name, target) in [
            ("fd", "/proc/self/fd"),
            ("stdin", "/proc/self/fd/0"),
            ("stdout", "/proc/self/fd/1"),
            ("stderr", "/proc/self/fd/2"),
            ("ptmx", "pts/ptmx"),
        ] {
            let found = seen["dev"][name]["target"].as_str().unwrap_or_default();
            assert_eq!(found.trim_start_matches("/dev/"), target, "{name}");
        }
        if fs::exists("/proc/kcore").unwrap_or(false) {
            assert_eq!(seen["dev"]["core"]["target"], "/proc/kcore");
        }
    });
}

#[test]
fn nothing_else_is_in_dev() {
    alone(|| {
        let seen = Bundle::new().report();
        let mut names: Vec<&String> = seen["dev"].as_object().expect("a directory").keys().collect();
        names.retain(|name| *name != "core");
        let known = [
            "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout",
            "tty", "urandom", "zero",
        ];
        assert_eq!(names, known);
    });
}

#[test]
fn the_default_devices_work() {
    alone(|| {
        let run = Bundle::new()
            .probe(&[
                "both",
                "try-write",
                "/dev/null",
                "/dev/zero",
                "/dev/full",
                ",",
                "try-read",
                "/dev/urandom",
                "/dev/zero",
                "/dev/null",
            ])
            .run();
        assert_eq!(run.lines(), ["ok"; 6]);
    });
}

#[test]
fn every_kind_of_device_is_made_as_the_config_says() {
    alone(|| {
        let seen = Bundle::new()
            .set("/linux/devices", json!([
                { "path": "/dev/own", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8 },
                { "path": "/dev/unbuffered", "type": "u", "major": 1, "minor": 5 },
                { "path": "/dev/disk", "type": "b", "major": 7, "minor": 200, "fileMode": 0o600 },
                { "path": "/dev/pipe", "type": "p", "fileMode": 0o622 },
            ]))
            .report();
        let dev = &seen["dev"];
        let expected = json!([
            ["character", 1, 3, 0o640, 7, 8],
            ["character", 1, 5, 0o666, 0, 0],
            ["block", 7, 200, 0o600, 0, 0],
            ["fifo", null, null, 0o622, 0, 0],
        ]);
        let found: Vec<_> = ["own", "unbuffered", "disk", "pipe"]
            .map(|name| {
                json!([
                    dev[name]["type"],
                    dev[name]["major"],
                    dev[name]["minor"],
                    dev[name]["mode"],
                    dev[name]["uid"],
                    dev[name]["gid"]
                ])
            })
            .into();
        assert_eq!(json!(found), expected);
    });
}

#[test]
fn directories_are_made_for_a_device() {
    alone(|| {
        let tun =
            json!({ "path": "/dev/net/tun", "type": "c", "major": 10, "minor": 200, "fileMode": 0o666 });
        let stat = Bundle::new()
            .push("/linux/devices", tun)
            .probe(&["stat", "/dev/net/tun", "/dev/net"])
            .run()
            .succeeds()
            .json();
        assert_eq!(
            (&stat["/dev/net/tun"]["major"], &stat["/dev/net/tun"]["minor"]),
            (&10.into(), &200.into())
        );
        assert_eq!(stat["/dev/net"]["mode"], 0o755);
    });
}

#[test]
fn a_device_may_be_outside_of_dev() {
    alone(|| {
        let device = json!({ "path": "/srv/null", "type": "c", "major": 1, "minor": 3 });
        let stat = Bundle::new()
            .writable()
            .push("/linux/devices", device)
            .probe(&["stat", "/srv/null"])
            .run()
            .succeeds()
            .json();
        assert_eq!(stat["/srv/null"]["type"], "character");
    });
}

#[test]
fn a_default_device_that_the_config_lists_is_made_as_the_config_says() {
    alone(|| {
        let device = json!({ "path": "/dev/null", "type": "c", "major": 1, "minor": 3, "fileMode": 0o600 });
        assert_eq!(Bundle::new().push("/linux/devices", device).report()["dev"]["null"]["mode"], 0o600);
    });
}

#[test]
fn the_type_bits_that_engines_leave_in_a_mode_are_ignored() {
    alone(|| {
        // Docker writes 8630: S_IFCHR and 0666.
        let device = json!({ "path": "/dev/own", "type": "c", "major": 1, "minor": 3, "fileMode": 8630 });
        assert_eq!(Bundle::new().push("/linux/devices", device).report()["dev"]["own"]["mode"], 0o666);
    });
}

#[test]
fn without_a_mount_on_dev_the_devices_are_in_the_root() {
    alone(|| {
        let bundle = Bundle::new()
            .unmounted("/dev")
            .unmounted("/dev/pts")
            .unmounted("/dev/shm")
            .unmounted("/dev/mqueue");
        let seen = bundle.writable().report();
        assert_eq!((&seen["dev"]["null"]["major"], &seen["dev"]["null"]["minor"]), (&1.into(), &3.into()));
    });
}

#[test]
fn a_root_that_has_its_own_devices_already_works_twice() {
    alone(|| {
        let bundle = Bundle::new()
            .unmounted("/dev")
            .unmounted("/dev/pts")
            .unmounted("/dev/shm")
            .unmounted("/dev/mqueue")
            .writable();
        bundle.run().succeeds();
        bundle.run().succeeds();
    });
}

#[test]
fn a_container_without_mknod_makes_no_device() {
    alone(|| {
        assert_eq!(
            Bundle::new().writable().probe(&["try-mknod", "/dev/mem", "/tmp/mem"]).run().lines(),
            ["EPERM", "EPERM"]
        )
    });
}

#[test]
fn a_container_without_a_terminal_has_no_console() {
    alone(|| assert!(Bundle::new().report()["dev"]["console"].is_null()));
}
