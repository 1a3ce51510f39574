//! The five capability sets.

use std::fs;

use serde_json::{Value, json};
use servin_tests::{Bundle, Given, alone, start};

const SETS: [&str; 5] = ["bounding", "effective", "inheritable", "permitted", "ambient"];

fn capabilities(bundle: Bundle) -> Value {
    bundle.report()["capabilities"].clone()
}

fn user(bundle: Bundle) -> Bundle {
    bundle.set("/process/user", json!({ "uid": 1000, "gid": 1000 }))
}

#[test]
fn roots_capabilities_are_the_configs() {
    alone(|| {
        let seen = capabilities(Bundle::new().capabilities(&["CAP_CHOWN", "CAP_KILL", "CAP_BPF"]));
        for set in ["bounding", "effective", "permitted"] {
            assert_eq!(seen[set], json!(["CAP_CHOWN", "CAP_KILL", "CAP_BPF"]), "{set}");
        }
        assert_eq!((&seen["inheritable"], &seen["ambient"]), (&json!([]), &json!([])));
    });
}

#[test]
fn root_gets_no_more_than_the_bounding_set() {
    alone(|| {
        let seen = capabilities(
            Bundle::new().capabilities(&["CAP_CHOWN"]).set("/process/capabilities/bounding", json!([])),
        );
        SETS.iter().for_each(|set| assert_eq!(seen[set], json!([]), "{set}"));
    });
}

#[test]
fn without_capabilities_in_the_config_there_are_none() {
    alone(|| {
        let seen = capabilities(Bundle::new().without("/process/capabilities"));
        SETS.iter().for_each(|set| assert_eq!(seen[set], json!([]), "{set}"));
    });
}

#[test]
fn another_user_has_none_after_exec_unless_they_are_ambient() {
    alone(|| {
        let seen = capabilities(user(Bundle::new().capabilities(&["CAP_CHOWN"])));
        assert_eq!((&seen["effective"], &seen["permitted"]), (&json!([]), &json!([])));
        assert_eq!(seen["bounding"], json!(["CAP_CHOWN"]));
    });
}

#[test]
fn ambient_capabilities_survive_exec_for_another_user() {
    alone(|| {
        let ambient = user(Bundle::new().capabilities(&["CAP_NET_BIND_SERVICE", "CAP_CHOWN"]))
            .set("/process/capabilities/inheritable", json!(["CAP_NET_BIND_SERVICE"]))
            .set("/process/capabilities/ambient", json!(["CAP_NET_BIND_SERVICE"]));
        let seen = capabilities(ambient);
        for set in ["effective", "permitted", "inheritable", "ambient"] {
            assert_eq!(seen[set], json!(["CAP_NET_BIND_SERVICE"]), "{set}");
        }
    });
}

#[test]
fn ambient_without_inheritable_cannot_be_granted_and_does_not_stop_the_container() {
    alone(|| {
        // `runc spec` writes such a config, and engines do.
        let bundle = Bundle::new().set("/process/capabilities/ambient", json!(["CAP_KILL"]));
        let run = bundle.run().succeeds();
        assert!(run.err.contains("process.capabilities: cannot be given: CAP_KILL"), "{}", run.err);
        let seen = &run.json()["capabilities"];
        assert_eq!((&seen["ambient"], &seen["inheritable"]), (&json!([]), &json!([])));
    });
}

#[test]
fn the_inheritable_set_is_empty_unless_the_config_fills_it() {
    alone(|| {
        // CVE-2022-29162
        assert_eq!(capabilities(Bundle::new().capabilities(&["CAP_CHOWN"]))["inheritable"], json!([]));
        let filled = Bundle::new()
            .capabilities(&["CAP_CHOWN"])
            .set("/process/capabilities/inheritable", json!(["CAP_CHOWN"]));
        assert_eq!(capabilities(filled)["inheritable"], json!(["CAP_CHOWN"]));
    });
}

#[test]
fn every_capability_of_the_kernel_has_its_name() {
    alone(|| {
        let status = fs::read_to_string("/proc/self/status").expect("read the test's own status");
        let own = status.lines().find_map(|line| line.strip_prefix("CapBnd:\t")).expect("a bounding set");
        let own = u64::from_str_radix(own, 16).expect("a number");
        let all = all_names();
        let wanted: Vec<_> =
            all.iter().enumerate().filter(|(bit, _)| own >> bit & 1 == 1).map(|(_, name)| *name).collect();
        assert_eq!(capabilities(Bundle::new().capabilities(&wanted))["effective"], json!(wanted));
    });
}

#[test]
fn a_capability_that_the_caller_lacks_is_a_warning() {
    alone(|| {
        const CAP_SYS_TIME: u32 = 25;
        let mut command = Bundle::new().capabilities(&["CAP_CHOWN", "CAP_SYS_TIME"]).command();
        Given { lacking: Some(CAP_SYS_TIME), ..Given::default() }.to(&mut command);
        let run = start(command).finish().succeeds();
        assert!(run.err.contains("CAP_SYS_TIME"), "{}", run.err);
        assert_eq!(run.json()["capabilities"]["effective"], json!(["CAP_CHOWN"]));
    });
}

#[test]
fn a_capability_that_nobody_knows_is_a_warning() {
    alone(|| {
        // An engine may know a newer kernel than Servin does (config.md, "capabilities").
        let run = Bundle::new().capabilities(&["CAP_CHOWN", "CAP_FROM_2040"]).run().succeeds();
        let words = "process.capabilities: cannot be given: CAP_FROM_2040\n";
        assert!(run.err.ends_with(words), "{}", run.err);
        assert_eq!(run.json()["capabilities"]["effective"], json!(["CAP_CHOWN"]));
    });
}

/// In the kernel's order, up to the last that every supported kernel (5.10 and later) has.
fn all_names() -> Vec<&'static str> {
    "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID CAP_SETPCAP \
     CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER \
     CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE \
     CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP \
     CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF \
     CAP_CHECKPOINT_RESTORE"
        .split(' ')
        .collect()
}
