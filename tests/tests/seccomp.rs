//! `linux.seccomp`: what the kernel does under our programs.

use std::os::unix::net::UnixListener;

use serde_json::{Value, json};
use servin_tests::{Bundle, alone, receive_descriptor, scratch};

/// Everything is allowed but these rules.
fn allowing(rules: Value) -> Bundle {
    let profile = json!({ "defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules });
    Bundle::of("busybox").writable().set("/linux/seccomp", profile)
}

fn shell(bundle: Bundle, script: &str) -> Bundle {
    bundle.args(&["/bin/sh", "-c", script])
}

/// Answers `number` to the calls that make directories.
fn no_directories(number: u32) -> Value {
    json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": number }])
}

#[test]
fn a_call_is_answered_with_the_error_that_was_asked_for() {
    alone(|| {
        let out = shell(allowing(no_directories(38)), "mkdir /tmp/a; echo ended $?").run().succeeds();
        assert!(out.err.contains("Function not implemented") && out.out.contains("ended 1"), "{out:?}");
        let rules = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO" }]);
        let out = shell(allowing(rules), "mkdir /tmp/a").run().ends_with(1);
        assert!(out.err.contains("Operation not permitted"), "{out:?}");
    });
}

#[test]
fn the_kernel_says_that_a_filter_is_there_and_without_one_that_none_is() {
    alone(|| {
        let modes = |bundle: Bundle| {
            let out =
                shell(bundle, "grep -E '^(NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status").run();
            out.succeeds().out.split_whitespace().map(String::from).collect::<Vec<_>>().join(" ")
        };
        let none = Bundle::of("busybox").set("/process/noNewPrivileges", false);
        assert_eq!(modes(none), "NoNewPrivs: 0 Seccomp: 0 Seccomp_filters: 0");
        for (new, shown) in [(false, "NoNewPrivs: 0"), (true, "NoNewPrivs: 1")] {
            let bundle = allowing(no_directories(1)).set("/process/noNewPrivileges", new);
            assert_eq!(modes(bundle), format!("{shown} Seccomp: 2 Seccomp_filters: 1"));
        }
    });
}

#[test]
fn a_user_without_capabilities_gets_the_filter_too() {
    alone(|| {
        for new in [false, true] {
            let bundle = allowing(no_directories(38)).set("/process/noNewPrivileges", new);
            let bundle = bundle.set("/process/user/uid", 1000).capabilities(&[]);
            let out = shell(bundle, "grep CapEff /proc/self/status; mkdir /tmp/a").run().ends_with(1);
            assert!(out.out.contains("0000000000000000"), "{out:?}");
            assert!(out.err.contains("Function not implemented"), "{out:?}");
        }
    });
}

#[test]
fn a_killing_rule_ends_the_process_by_its_signal() {
    alone(|| {
        let rules = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS" }]);
        // The shell's child dies of SIGSYS; busybox's mkdir is the shell's own process after an exec.
        shell(allowing(rules.clone()), "exec mkdir /tmp/a").run().ends_with(128 + 31);
        let trap = json!([{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_TRAP" }]);
        shell(allowing(trap), "exec mkdir /tmp/a").run().ends_with(128 + 31);
    });
}

#[test]
fn arguments_are_compared() {
    alone(|| {
        let compare = |op: &str| {
            let args = json!([{ "index": 1, "value": 12, "op": op }]);
            let rules =
                json!([{ "names": ["kill"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": args }]);
            let script = "trap : USR1 USR2; for s in USR1 USR2; do kill -$s $$ 2>/dev/null; echo $?; done";
            shell(allowing(rules), script)
                .run()
                .succeeds()
                .out
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        // USR1 is 10, USR2 is 12.
        assert_eq!(compare("SCMP_CMP_EQ"), "0 1");
        assert_eq!(compare("SCMP_CMP_NE"), "1 0");
        assert_eq!(compare("SCMP_CMP_LT"), "1 0");
        assert_eq!(compare("SCMP_CMP_LE"), "1 1");
        assert_eq!(compare("SCMP_CMP_GE"), "0 1");
        assert_eq!(compare("SCMP_CMP_GT"), "0 0");
    });
}

#[test]
fn with_no_new_privileges_the_filter_need_not_allow_what_servin_asks_for() {
    alone(|| {
        let own = [
            "sendmsg",
            "recvmsg",
            "accept4",
            "prctl",
            "capset",
            "getcwd",
            "umask",
            "setresuid",
            "seccomp",
            "close",
        ];
        let rules = json!([{ "names": own, "action": "SCMP_ACT_ERRNO" }]);
        let bundle = allowing(rules).set("/process/noNewPrivileges", true);
        let bundle = shell(bundle, "exit 7");
        bundle.run().ends_with(7);
        let pid = bundle.started();
        assert_eq!(servin_tests::reap_one(pid), 7);
        bundle.oci("delete", &[]).succeeds();
    });
}

#[test]
fn more_processes_of_the_container_are_under_its_filter() {
    alone(|| {
        let bundle = shell(allowing(no_directories(38)), "sleep 100");
        let pid = bundle.started();
        let out = bundle.exec(&[], &["mkdir", "/tmp/a"]).ends_with(1);
        assert!(out.err.contains("Function not implemented"), "{out:?}");
        bundle.ended(pid);
    });
}

#[test]
fn a_listener_is_handed_over_with_the_containers_state() {
    alone(|| {
        let path = scratch("listener");
        let listener = UnixListener::bind(&path).expect("listen");
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": path,
            "listenerMetadata": "opaque",
            "syscalls": [{ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" }],
        });
        let bundle = Bundle::of("busybox").writable().set("/linux/seccomp", profile);
        let bundle = shell(bundle, "mkdir /tmp/a; echo ended $?").set("/annotations", json!({ "a.b": "c" }));
        let container = bundle.start();
        let (socket, _) = listener.accept().expect("somebody connects");
        let (text, descriptor) = receive_descriptor(&socket);
        let state: Value = text.parse().expect("JSON");
        assert_eq!(state["fds"], json!(["seccompFd"]));
        assert_eq!(state["metadata"], "opaque");
        assert_eq!(state["state"]["id"], bundle.name());
        assert_eq!(state["state"]["status"], "creating");
        assert_eq!(state["state"]["annotations"], json!({ "a.b": "c" }));
        assert_eq!(state["pid"], state["state"]["pid"]);
        // With nobody left to answer, the kernel does: ENOSYS.
        drop(descriptor);
        let out = container.finish().succeeds();
        assert!(out.err.contains("Function not implemented") && out.out.contains("ended 1"), "{out:?}");
    });
}

#[test]
fn a_listener_that_nobody_hears_is_an_error() {
    alone(|| {
        let profile = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "listenerPath": "/nowhere/socket",
            "syscalls": [{ "names": ["mkdir"], "action": "SCMP_ACT_NOTIFY" }],
        });
        Bundle::new()
            .set("/linux/seccomp", profile)
            .run()
            .fails(&["linux.seccomp.listenerPath", "/nowhere/socket"]);
    });
}

#[test]
fn a_bad_profile_is_refused_by_field() {
    alone(|| {
        for (pointer, value, field) in [
            ("/linux/seccomp/defaultAction", json!("SCMP_ACT_MAYBE"), "linux.seccomp.defaultAction"),
            ("/linux/seccomp/architectures", json!(["SCMP_ARCH_Z80"]), "linux.seccomp.architectures[0]"),
            ("/linux/seccomp/flags", json!(["FAST"]), "linux.seccomp.flags[0]"),
            ("/linux/seccomp/defaultErrnoRet", json!(-1), "linux.seccomp.defaultErrnoRet"),
            (
                "/linux/seccomp/syscalls/0/args",
                json!([{ "index": 6, "value": 0, "op": "SCMP_CMP_EQ" }]),
                "syscalls[0].args",
            ),
            ("/linux/seccomp/syscalls/0/names", json!([]), "syscalls[0].names"),
        ] {
            allowing(no_directories(1)).set(pointer, value).run().fails(&[field]);
        }
    });
}
