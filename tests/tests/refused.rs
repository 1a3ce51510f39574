//! What a config may not say, or not yet: a code other than 0, a message that names the field, nothing created.

use serde_json::{Value, json};
use servin_tests::{Bundle, alone};

/// A field, a value that must be refused, and a word of the message.
type Bad = (&'static str, fn() -> Value, &'static str);

fn all_refused(table: &[Bad]) {
    for (pointer, value, word) in table {
        let bundle = Bundle::new().writable().probe(&["write", "/ran", ""]).set(pointer, value());
        let run = bundle.run();
        assert!(run.code != 0, "{pointer} = {}: accepted", value());
        assert!(run.err.contains(word), "{pointer} = {}: no {word:?} in: {}", value(), run.err);
        assert!(run.out.is_empty(), "{pointer} = {}: the program ran", value());
        assert!(!run.err.contains("panic"), "{pointer} = {}: {}", value(), run.err);
        assert!(!bundle.root().join("ran").exists(), "{pointer} = {}: the program ran", value());
    }
}

/// Fields that the specification has and this version does not carry out.
#[rustfmt::skip]
const LATER: &[Bad] = &[
    // There is no such hardware, or no SELinux, where the tests run.
    ("/linux/intelRdt",                      || json!({ "closID": "guaranteed" }),                                      "resctrl"),
    // There is no such interface, or there cannot be one.
    ("/linux/netDevices",                    || json!({ "nosuch0": { "name": "inside" } }),                             "netDevices"),
    ("/linux/netDevices",                    || json!({ "lo": { "name": "a/b" } }),                                     "netDevices"),
    ("/linux/mountLabel",                    || json!("system_u:object_r:svirt_sandbox_file_t:s0"),                     "mountLabel"),
];

#[test]
fn a_field_of_a_later_issue_is_refused_by_name() {
    alone(|| all_refused(LATER));
}

#[rustfmt::skip]
const TOP: &[Bad] = &[
    ("/ociVersion",        || json!(null),                   "ociVersion"),
    ("/ociVersion",        || json!(""),                     "ociVersion"),
    ("/ociVersion",        || json!(1),                      "ociVersion"),
    ("/ociVersion",        || json!("newest"),               "ociVersion"),
    ("/ociVersion",        || json!("2.0.0"),                "ociVersion"),
    ("/ociVersion",        || json!("1.0"),                  "ociVersion"),
    ("/root",              || json!(null),                   "root"),
    ("/root",              || json!("rootfs"),               "root"),
    ("/root/path",         || json!(null),                   "root.path"),
    ("/root/path",         || json!(""),                     "root.path"),
    ("/root/path",         || json!("root\0fs"),             "root.path"),
    ("/root/readonly",     || json!("yes"),                  "root.readonly"),
    ("/process",           || json!(null),                   "process"),
    ("/process",           || json!([]),                     "process"),
    ("/mounts",            || json!({}),                     "mounts"),
    ("/hostname",          || json!("a\0b"),                 "hostname"),
    ("/hostname",          || json!(7),                      "hostname"),
    ("/domainname",        || json!("d".repeat(65)),         "domainname"),
    ("/annotations",       || json!({ "key": 7 }),           "annotations"),
    ("/linux",             || json!("linux"),                "linux"),
];

#[test]
fn a_malformed_document_is_refused_by_field() {
    alone(|| all_refused(TOP));
}

#[rustfmt::skip]
const PROCESS: &[Bad] = &[
    ("/process/args",                  || json!(null),                                      "process.args"),
    ("/process/args",                  || json!([]),                                        "process.args"),
    ("/process/args",                  || json!("sh"),                                      "process.args"),
    ("/process/args",                  || json!([""]),                                      "process.args"),
    ("/process/args",                  || json!(["/bin/probe", 7]),                         "process.args"),
    ("/process/args",                  || json!(["/bin/probe", "a\0b"]),                    "process.args"),
    ("/process/env",                   || json!(["A=\0"]),                                  "process.env"),
    ("/process/env",                   || json!({ "A": "B" }),                              "process.env"),
    ("/process/cwd",                   || json!(null),                                      "process.cwd"),
    ("/process/cwd",                   || json!(""),                                        "process.cwd"),
    ("/process/cwd",                   || json!("tmp"),                                     "process.cwd"),
    ("/process/cwd",                   || json!("/t\0mp"),                                  "process.cwd"),
    ("/process/terminal",              || json!("true"),                                    "process.terminal"),
    ("/process/consoleSize",           || json!({ "height": -1, "width": 1 }),              "process.consoleSize"),
    ("/process/consoleSize",           || json!({ "height": 70_000, "width": 1 }),          "process.consoleSize"),
    ("/process/user/uid",              || json!(-1),                                        "process.user.uid"),
    ("/process/user/uid",              || json!(4_294_967_295_u64),                         "process.user.uid"),
    ("/process/user/uid",              || json!(4_294_967_296_u64),                         "process.user.uid"),
    ("/process/user/uid",              || json!(1.5),                                       "process.user.uid"),
    ("/process/user/uid",              || json!("0"),                                       "process.user.uid"),
    ("/process/user/uid",              || json!("1000:1000"),                               "process.user.uid"),
    ("/process/user/gid",              || json!(4_294_967_296_u64),                         "process.user.gid"),
    ("/process/user/gid",              || json!(true),                                      "process.user.gid"),
    ("/process/user/umask",            || json!(-1),                                        "process.user.umask"),
    ("/process/user/umask",            || json!(0o10_000),                                  "process.user.umask"),
    ("/process/user/additionalGids",   || json!([4_294_967_296_u64]),                       "process.user.additionalGids"),
    ("/process/user/additionalGids",   || json!([-1]),                                      "process.user.additionalGids"),
    ("/process/user/additionalGids",   || json!(5),                                         "process.user.additionalGids"),
    ("/process/capabilities",          || json!(["CAP_CHOWN"]),                             "process.capabilities"),
    ("/process/capabilities/effective", || json!([1]),                                      "process.capabilities"),
    ("/process/rlimits",               || json!([{ "type": "RLIMIT_FUN", "soft": 1, "hard": 1 }]),    "RLIMIT_FUN"),
    ("/process/rlimits",               || json!([{ "type": "NOFILE", "soft": 1, "hard": 1 }]),        "process.rlimits"),
    ("/process/rlimits",               || json!([{ "type": "RLIMIT_NOFILE", "soft": 2, "hard": 1 }]), "process.rlimits"),
    ("/process/rlimits",               || json!([{ "type": "RLIMIT_NOFILE", "soft": -1, "hard": 1 }]), "process.rlimits"),
    ("/process/rlimits",               || json!([{ "type": "RLIMIT_NOFILE", "soft": 1 }]),            "process.rlimits"),
    ("/process/rlimits",               || json!([{ "type": "RLIMIT_CORE", "soft": 1, "hard": 1 }, { "type": "RLIMIT_CORE", "soft": 1, "hard": 1 }]), "RLIMIT_CORE"),
    ("/process/noNewPrivileges",       || json!("false"),                                   "process.noNewPrivileges"),
    ("/process/oomScoreAdj",           || json!(1001),                                      "process.oomScoreAdj"),
    ("/process/oomScoreAdj",           || json!(-1001),                                     "process.oomScoreAdj"),
    ("/process/oomScoreAdj",           || json!(0.5),                                       "process.oomScoreAdj"),
    ("/process/scheduler",             || json!({ "policy": "SCHED_FAST" }),                "process.scheduler"),
    ("/process/scheduler",             || json!({ "nice": 1 }),                             "process.scheduler"),
    ("/process/scheduler",             || json!({ "policy": "SCHED_OTHER", "nice": 20 }),   "process.scheduler"),
    ("/process/scheduler",             || json!({ "policy": "SCHED_OTHER", "nice": -21 }),  "process.scheduler"),
    ("/process/scheduler",             || json!({ "policy": "SCHED_FIFO", "priority": 100 }), "process.scheduler"),
    ("/process/scheduler",             || json!({ "policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_WRONG"] }), "process.scheduler"),
    ("/process/ioPriority",            || json!({ "class": "IOPRIO_CLASS_NOW", "priority": 0 }), "process.ioPriority"),
    ("/process/ioPriority",            || json!({ "class": "IOPRIO_CLASS_BE", "priority": 8 }),  "process.ioPriority"),
    ("/process/ioPriority",            || json!({ "class": "IOPRIO_CLASS_BE", "priority": -1 }), "process.ioPriority"),
    ("/process/execCPUAffinity",       || json!({ "initial": "first" }),                    "process.execCPUAffinity"),
    ("/process/execCPUAffinity",       || json!({ "final": "3-1" }),                        "process.execCPUAffinity"),
];

#[test]
fn a_malformed_process_is_refused_by_field() {
    alone(|| all_refused(PROCESS));
}

#[rustfmt::skip]
const LINUX: &[Bad] = &[
    ("/linux/namespaces",         || json!([{ "type": "pid" }, { "type": "mount" }, { "type": "pid" }]),              "pid"),
    ("/linux/namespaces",         || json!([{ "type": "mount" }, { "type": "net" }]),                                  "linux.namespaces"),
    ("/linux/namespaces",         || json!([{ "type": "" }]),                                                          "linux.namespaces"),
    ("/linux/namespaces",         || json!([{ "path": "/proc/self/ns/net" }]),                                         "linux.namespaces"),
    ("/linux/namespaces",         || json!([{ "type": "mount" }, { "type": "uts", "path": "proc/self/ns/uts" }]),      "linux.namespaces"),
    ("/linux/namespaces",         || json!([{ "type": "mount" }, { "type": "pid" }]),                                  "hostname"),
    ("/linux/uidMappings",        || json!([{ "containerID": 0, "hostID": 100_000, "size": 1 }]),                      "linux.uidMappings"),
    ("/linux/gidMappings",        || json!([{ "containerID": 0, "hostID": 100_000, "size": 1 }]),                      "linux.gidMappings"),
    ("/linux/timeOffsets",        || json!({ "boottime": { "secs": 1 } }),                                             "linux.timeOffsets"),
    ("/linux/devices",            || json!([{ "path": "/dev/x", "type": "x", "major": 1, "minor": 1 }]),               "linux.devices"),
    ("/linux/devices",            || json!([{ "path": "dev/x", "type": "c", "major": 1, "minor": 3 }]),                "linux.devices"),
    ("/linux/devices",            || json!([{ "path": "/dev/x", "type": "c" }]),                                       "linux.devices"),
    ("/linux/devices",            || json!([{ "path": "/dev/x", "type": "c", "major": -2, "minor": 3 }]),              "linux.devices"),
    ("/linux/devices",            || json!([{ "type": "p" }]),                                                         "linux.devices"),
    ("/linux/devices",            || json!([{ "path": "/dev/x", "type": "p", "uid": 4_294_967_296_u64 }]),             "linux.devices"),
    ("/linux/rootfsPropagation",  || json!("open"),                                                                    "linux.rootfsPropagation"),
    ("/linux/maskedPaths",        || json!(["proc/kcore"]),                                                            "linux.maskedPaths"),
    ("/linux/maskedPaths",        || json!("/proc/kcore"),                                                             "linux.maskedPaths"),
    ("/linux/readonlyPaths",      || json!(["proc/sys"]),                                                              "linux.readonlyPaths"),
    ("/linux/sysctl",             || json!({ "net.ipv4.ip_forward": 1 }),                                              "linux.sysctl"),
    ("/linux/personality",        || json!({ "domain": "WINDOWS" }),                                                   "linux.personality"),
    ("/linux/personality",        || json!({ "domain": "LINUX", "flags": ["ADDR_NO_RANDOMIZE"] }),                     "linux.personality"),
    ("/linux/memoryPolicy",       || json!({ "mode": "MPOL_ANY", "nodes": "0" }),                                      "linux.memoryPolicy"),
    ("/linux/memoryPolicy",       || json!({ "mode": "MPOL_BIND", "nodes": "zero" }),                                  "linux.memoryPolicy"),
    ("/linux/memoryPolicy",       || json!({ "mode": "MPOL_BIND", "nodes": "3-1" }),                                   "linux.memoryPolicy"),
    ("/linux/memoryPolicy",       || json!({ "mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_WRONG"] }),          "linux.memoryPolicy"),
];

#[test]
fn a_malformed_linux_section_is_refused_by_field() {
    alone(|| all_refused(LINUX));
}

#[rustfmt::skip]
const MAPPED: &[Bad] = &[
    ("/linux/uidMappings", || json!([]),                                                                               "linux.uidMappings"),
    ("/linux/uidMappings", || json!([{ "containerID": 0, "hostID": 100_000, "size": 0 }]),                             "linux.uidMappings"),
    ("/linux/uidMappings", || json!([{ "containerID": 0, "hostID": -1, "size": 1 }]),                                  "linux.uidMappings"),
    ("/linux/uidMappings", || json!([{ "containerID": 0, "hostID": 4_294_967_295_u64, "size": 2 }]),                   "linux.uidMappings"),
    ("/linux/gidMappings", || json!([{ "containerID": 0, "hostID": 0, "size": 5 }, { "containerID": 3, "hostID": 9, "size": 5 }]), "linux.gidMappings"),
];

#[test]
fn malformed_mappings_are_refused_by_field() {
    alone(|| {
        for (pointer, value, word) in MAPPED {
            let run = Bundle::new().mapped(100_000, 10).set(pointer, value()).run();
            assert!(
                run.code != 0 && run.err.contains(word),
                "{pointer} = {}: {} {}",
                value(),
                run.code,
                run.err
            );
        }
    });
}

#[test]
fn malformed_time_offsets_are_refused_by_field() {
    alone(|| {
        for offsets in [
            json!({ "realtime": { "secs": 1 } }),
            json!({ "boottime": { "secs": 1, "nanosecs": 1_000_000_000 } }),
            json!({ "boottime": { "secs": "1" } }),
            json!({ "boottime": { "secs": 0, "nanosecs": -1 } }),
            json!([]),
        ] {
            Bundle::new()
                .namespace("time", None)
                .set("/linux/timeOffsets", offsets)
                .run()
                .fails(&["linux.timeOffsets"]);
        }
    });
}

#[test]
fn a_malformed_mount_is_refused_by_field() {
    alone(|| {
        for (mount, word) in [
            (json!({ "type": "tmpfs", "source": "tmpfs" }), "destination"),
            (json!({ "destination": "", "type": "tmpfs" }), "destination"),
            (json!({ "destination": "/a\0b", "type": "tmpfs" }), "destination"),
            (json!({ "destination": 7, "type": "tmpfs" }), "destination"),
            (json!({ "destination": "/mnt", "type": 7 }), "type"),
            (json!({ "destination": "/mnt" }), "type"),
            (json!({ "destination": "/mnt", "type": "bind", "options": ["rbind"] }), "source"),
            (json!({ "destination": "/mnt", "type": "bind", "source": "", "options": ["rbind"] }), "source"),
            (json!({ "destination": "/mnt", "type": "tmpfs", "options": "ro" }), "options"),
            (json!({ "destination": "/mnt", "type": "tmpfs", "options": [7] }), "options"),
            (json!({ "destination": "/mnt", "type": "tmpfs", "options": ["size=1\0"] }), "options"),
            (
                json!({ "destination": "/mnt", "type": "tmpfs", "uidMappings": [{ "containerID": 0, "hostID": 0, "size": 1 }] }),
                "Mappings",
            ),
        ] {
            let run = Bundle::new().push("/mounts", mount.clone()).run();
            assert!(run.code != 0, "{mount}: accepted");
            assert!(
                run.err.contains("mounts") && run.err.contains(word),
                "{mount}: no {word:?} in: {}",
                run.err
            );
        }
    });
}

#[test]
fn what_is_no_json_is_refused_in_words() {
    alone(|| {
        let bundle = Bundle::new();
        let deep = "[".repeat(200_000);
        let long = format!("{{\"ociVersion\": \"{}\"}}", "1".repeat(4 << 20));
        for text in [
            "",
            "{",
            "[]",
            "null",
            "7",
            "\"config\"",
            "{\"ociVersion\"}",
            "{\"a\":1}}",
            "\u{feff}{}",
            "{'a': 1}",
            &deep,
            &long,
        ] {
            let mut command = bundle.command();
            bundle.write(text);
            command.env_remove("NOTHING");
            servin_tests::start(command).finish().fails(&["config.json"]);
        }
    });
}

#[test]
fn a_deeply_nested_property_crashes_nothing() {
    alone(|| {
        let bundle = Bundle::new();
        let command = bundle.command();
        let config =
            std::fs::read_to_string(bundle.directory().join("config.json")).expect("read config.json");
        let nested = format!("{{\"deep\":{}{},{}", "[".repeat(100_000), "]".repeat(100_000), &config[1..]);
        bundle.write(&nested);
        let run = servin_tests::start(command).finish();
        assert!(run.code < 128, "killed by a signal: {}", run.code);
    });
}

#[test]
fn bytes_that_are_no_text_are_refused_in_words() {
    alone(|| {
        let bundle = Bundle::new();
        let command = bundle.command();
        std::fs::write(bundle.directory().join("config.json"), b"{\"ociVersion\": \"\xff\xfe\"}")
            .expect("write config.json");
        servin_tests::start(command).finish().fails(&["config.json"]);
    });
}

#[test]
fn a_bundle_without_a_config_is_refused_in_words() {
    alone(|| {
        let bundle = Bundle::new();
        let command = bundle.command();
        std::fs::remove_file(bundle.directory().join("config.json")).expect("remove config.json");
        servin_tests::start(command).finish().fails(&["config.json", "no such file or directory"]);
    });
}

#[test]
fn an_id_that_is_no_name_is_refused() {
    alone(|| {
        for id in
            ["", ".", "..", "../outside", "a/b", "/absolute", "with space", "new\nline", "ünïcödé", "-x"]
        {
            let run = Bundle::new().id(id).run();
            assert!(run.code != 0 && run.out.is_empty(), "{id:?} was accepted: {} {}", run.code, run.err);
        }
        Bundle::new().id(&"i".repeat(1025)).run().fails(&[]);
        for id in ["a", "A-1_b.c+d", "0"] {
            Bundle::new().id(id).run().succeeds();
        }
    });
}

#[test]
fn an_unknown_flag_is_refused_by_name() {
    alone(|| {
        Bundle::new().flags(&["--nonsense"]).run().fails(&["--nonsense"]);
        Bundle::new().flags(&["--pid-file"]).run().fails(&[]);
    });
}

#[test]
fn a_command_without_an_id_is_refused() {
    alone(|| {
        let bundle = Bundle::new();
        bundle.command();
        let mut command = std::process::Command::new(servin_tests::servin_run());
        command.args(["run", "--bundle"]).arg(bundle.directory());
        servin_tests::start(command).finish().fails(&["the container's"]);
    });
}

#[test]
fn nothing_is_created_in_the_root_when_the_config_is_refused() {
    alone(|| {
        let bundle = Bundle::new()
            .writable()
            .mount("/made/for/a/mount", "tmpfs", "tmpfs", &[])
            .set("/process/cwd", "relative");
        bundle.run().fails(&["process.cwd"]);
        assert!(!bundle.root().join("made").exists());
    });
}

#[test]
fn flags_of_other_programs_are_refused_with_what_to_do_instead() {
    alone(|| {
        for (flag, says) in [
            ("--gpus", "--device"),
            ("--runtime", "servin oci"),
            ("--init-path", "servin-init"),
            ("--isolation", "Windows"),
            ("--link", "servin network create"),
            ("--pod", "container:NAME"),
            ("--secret", "/run/secrets"),
            ("--storage-opt", "quota"),
        ] {
            let named = format!("{flag} is not supported");
            servin_tests::servin(&["run", flag, "x", "image"]).ends_with(125).fails(&[&named, says]);
        }
    });
}
