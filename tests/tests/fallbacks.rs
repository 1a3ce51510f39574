//! Every second way: the kernel refuses the better call, and the container must be the same.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use servin_tests::{Bundle, People, Report, Terminal, alone, kill, refusing, tmpfs, unmount};

/// Calls that older kernels lack, as they went missing together.
#[rustfmt::skip]
const REFUSED: &[&[&str]] = &[
    &["openat2"],
    &["mount_setattr"],
    &["open_tree"],
    &["open_tree_attr"],
    &["fsopen"],
    &["fsopen,fsconfig,fsmount,fspick"],
    &["open_tree,move_mount,fsopen,fsconfig,fsmount,fspick"],
    &["open_tree,move_mount,fsopen,fsconfig,fsmount,fspick,mount_setattr,openat2"],
    &["statmount"],
    &["clone3"],
    &["pidfd_open,pidfd_send_signal,pidfd_getfd"],
    &["close_range"],
    &["faccessat2"],
    &["waitid"],
    &["pivot_root", "--errno", "EINVAL"],
    &["clone3,close_range,pidfd_open,pidfd_send_signal,pidfd_getfd,openat2,open_tree,open_tree_attr,move_mount,fsopen,fsconfig,fsmount,fspick,mount_setattr,faccessat2,statmount"],
];

/// Something of everything that a second way exists for.
fn rich() -> Bundle {
    Bundle::new()
        .namespace("cgroup", None)
        .bind("/tmp/servin-tests/source", "/mnt/bind", &["ro", "nosuid"])
        .mount("/mnt/tmpfs", "tmpfs", "tmpfs", &["noexec", "noatime", "size=64k", "mode=1777"])
        .mount("/mnt/strict", "tmpfs", "tmpfs", &["strictatime", "nodev", "ro"])
        .mount("/data", "tmpfs", "tmpfs", &["tmpcopyup"])
        .push(
            "/linux/devices",
            json!({ "path": "/dev/own", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640 }),
        )
        .set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1" }))
        .set("/process/cwd", "/mnt/tmpfs")
        .set("/process/user", json!({ "uid": 1000, "gid": 1000, "additionalGids": [7], "umask": 0o027 }))
        .set("/linux/maskedPaths", json!(["/proc/kcore", "/sys/firmware", "/etc"]))
}

/// What must not depend on the kernel's age.
fn essence(seen: &Report) -> Value {
    let mut seen: Value = (**seen).clone();
    for field in ["namespaces", "clocks", "cgroup", "seccomp", "no_new_privs"] {
        seen[field] = Value::Null;
    }
    for descriptor in seen["descriptors"].as_array_mut().into_iter().flatten() {
        descriptor["target"] = Value::Null;
    }
    let mounts = seen["mounts"].as_array_mut().expect("the report has mounts");
    for mount in mounts {
        for field in ["id", "parent", "device", "root", "source"] {
            mount[field] = Value::Null;
        }
        for list in ["options", "super"] {
            let words = mount[list].as_array_mut().expect("a list");
            words.sort_by_key(Value::to_string);
        }
    }
    seen
}

fn differing(one: &Value, other: &Value) -> String {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => one
            .iter()
            .filter(|(name, value)| other.get(*name) != Some(value))
            .map(|(name, value)| {
                format!("{name}: {value}\n  not {}\n", other.get(name).unwrap_or(&Value::Null))
            })
            .collect(),
        _ => format!("{one} {other}"),
    }
}

fn with_source(test: impl FnOnce()) {
    fs::create_dir_all("/tmp/servin-tests/source/sub").expect("make a directory");
    tmpfs("/tmp/servin-tests/source/sub").expect("mount a tmpfs");
    test();
    unmount("/tmp/servin-tests/source/sub").expect("unmount");
}

#[test]
fn the_container_is_the_same_whatever_the_kernel_lacks() {
    alone(|| {
        with_source(|| {
            let wanted = essence(&rich().report());
            for calls in REFUSED {
                let run = rich().refusing(calls).run();
                assert_eq!(run.code, 0, "without {calls:?}: {}", run.err);
                let found = essence(&run.report());
                assert!(found == wanted, "without {calls:?}:\n{}", differing(&found, &wanted));
            }
        });
    });
}

#[test]
fn a_user_namespace_is_the_same_whatever_the_kernel_lacks() {
    alone(|| {
        let bundle = || Bundle::new().mapped(100_000, 65_536).set("/process/user/additionalGids", json!([7]));
        let wanted = essence(&bundle().report());
        for calls in REFUSED {
            let run = bundle().refusing(calls).run();
            assert_eq!(run.code, 0, "without {calls:?}: {}", run.err);
            let found = essence(&run.report());
            assert!(found == wanted, "without {calls:?}:\n{}", differing(&found, &wanted));
        }
    });
}

#[test]
fn recursive_options_hold_or_are_refused_where_the_kernel_lacks_mount_setattr() {
    alone(|| {
        with_source(|| {
            let bundle = || Bundle::new().bind("/tmp/servin-tests/source", "/mnt", &["rro", "rnosuid"]);
            for calls in ["mount_setattr", "mount_setattr,open_tree,move_mount,fsopen"] {
                let run = bundle().refusing(&[calls]).run();
                if run.code != 0 {
                    run.fails(&["rro", "5.12"]);
                    continue;
                }
                let seen = run.report();
                for target in ["/mnt", "/mnt/sub"] {
                    assert!(
                        seen.mounted_with(target, "ro") && seen.mounted_with(target, "nosuid"),
                        "{}",
                        seen.mount(target)
                    );
                }
            }
        });
    });
}

#[test]
fn an_idmapped_mount_is_refused_in_words_where_the_kernel_lacks_mount_setattr() {
    alone(|| {
        with_source(|| {
            let map = json!([{ "containerID": 0, "hostID": 1000, "size": 1 }]);
            let mount = json!({ "destination": "/mnt", "type": "bind", "source": "/tmp/servin-tests/source",
                "options": ["bind", "idmap"], "uidMappings": map, "gidMappings": map });
            Bundle::new()
                .push("/mounts", mount)
                .refusing(&["mount_setattr,open_tree_attr"])
                .run()
                .fails(&["/mnt", "id"]);
        });
    });
}

#[test]
fn a_hostile_target_stays_inside_where_the_kernel_lacks_openat2() {
    alone(|| {
        for case in ["target-absolute", "target-relative", "target-dangling", "target-loop", "target-parent"]
        {
            for calls in ["openat2", "openat2,open_tree,move_mount,fsopen,mount_setattr"] {
                let target = if case == "target-parent" { "/data/parent/new" } else { "/data" };
                let bundle =
                    Bundle::of(&format!("hostile/{case}")).writable().mount(target, "tmpfs", "tmpfs", &[]);
                let run = bundle.refusing(&[calls]).run();
                if run.code == 0 {
                    assert!(run.report().mount_targets().len() > 8, "{case}: the mount is nowhere inside");
                }
            }
        }
    });
}

#[test]
fn descriptors_are_closed_where_the_kernel_lacks_close_range() {
    alone(|| {
        let careless: Vec<fs::File> =
            (0..50).map(|_| fs::File::open("/").expect("open the host's root")).collect();
        careless.iter().for_each(servin_tests::set_descriptor_inherited);
        assert_eq!(Bundle::new().refusing(&["close_range"]).report().descriptors(), [0, 1, 2]);
    });
}

#[test]
fn signals_arrive_where_the_kernel_lacks_pidfds() {
    alone(|| {
        for calls in ["pidfd_open,pidfd_send_signal", "clone3,pidfd_open,pidfd_send_signal", "clone3"] {
            let mut running = Bundle::new().refusing(&[calls]).probe(&["trap", "2"]).start();
            running.says("ready");
            for signal in [10, 15] {
                running.signal(signal);
                running.says(&format!("\n{signal}\n"));
            }
            running.finish().succeeds();
        }
    });
}

#[test]
fn exit_codes_are_the_same_where_the_kernel_lacks_pidfds_and_clone3() {
    alone(|| {
        let old = || Bundle::new().refusing(&["clone3,pidfd_open,pidfd_send_signal,waitid"]);
        old().probe(&["exit", "7"]).run().ends_with(7);
        old().args(&["/bin/nothing"]).run().ends_with(127);
        let mut running = old().probe(&["sleep"]).start();
        running.says("ready");
        kill(running.container(), 9).expect("kill the container");
        running.finish().ends_with(137);
    });
}

#[test]
fn a_terminal_works_where_the_kernel_lacks_the_new_mount_calls() {
    alone(|| {
        for calls in [
            &["open_tree,move_mount,fsopen,mount_setattr,openat2"][..],
            &["clone3,pidfd_open"],
            &["pivot_root", "--errno", "EINVAL"],
        ] {
            let bundle = Bundle::new().set("/process/terminal", true).refusing(calls);
            let run = Terminal::new(24, 80).start(bundle.command()).finish();
            let seen = run.report();
            assert_eq!(seen["terminal"]["controlling"], true, "without {calls:?}");
            assert_eq!(seen["dev"]["console"]["type"], "character", "without {calls:?}");
        }
    });
}

#[test]
fn people_get_their_container_without_memfds_or_are_told() {
    alone(|| {
        let command = People::new().command(&["/bin/probe", "report"]);
        let run = servin_tests::start(refusing(&["memfd_create"], &command)).finish();
        match run.code {
            0 => assert_eq!(run.report()["pid"], 2),
            _ => drop(run.fails(&["in memory", "ENOSYS"])),
        }
    });
}

#[test]
fn the_probe_does_refuse() {
    alone(|| {
        // A filter that refuses nothing would make all of this file green.
        let run = |calls: &str| {
            let mut command = std::process::Command::new(servin_tests::probe());
            command.args(["refuse", calls, "--"]).arg(servin_tests::probe()).args(["namespaces", "none"]);
            servin_tests::start(command)
        };
        let mut allowed = run("openat2");
        allowed.says("ready");
        allowed.signal(9);
        allowed.finish().ends_with(137);
        let mut command = std::process::Command::new(servin_tests::probe());
        command.args(["refuse", "mknodat", "--errno", "EPERM", "--"]).arg(servin_tests::probe());
        command.args(["try-mknod", "/tmp/servin-tests/node"]);
        assert_eq!(servin_tests::start(command).finish().ends_with(1).out, "EPERM\n");
        assert!(!Path::new("/tmp/servin-tests/node").exists());
    });
}
