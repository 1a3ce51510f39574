//! Kernel settings: those of the container's own namespaces, and no others.

use std::fs;

use serde_json::json;
use servin_tests::{Bundle, alone};

fn setting(key: &str, value: &str) -> String {
    let file = format!("/proc/sys/{}", key.replace('.', "/"));
    let run =
        Bundle::new().set("/linux/sysctl", json!({ key: value })).probe(&["read", &file]).run().succeeds();
    run.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn settings_of_the_network_are_set() {
    alone(|| {
        assert_eq!(setting("net.ipv4.ip_forward", "1"), "1");
        assert_eq!(setting("net.ipv4.ping_group_range", "0 2000"), "0 2000");
        assert_eq!(setting("net.ipv4.ip_unprivileged_port_start", "80"), "80");
    });
}

#[test]
fn settings_of_inter_process_communication_are_set() {
    alone(|| {
        assert_eq!(setting("kernel.shmmni", "1234"), "1234");
        assert_eq!(setting("kernel.msgmax", "4321"), "4321");
        assert_eq!(setting("kernel.sem", "100 200 30 40"), "100 200 30 40");
        assert_eq!(setting("fs.mqueue.msg_max", "20"), "20");
    });
}

#[test]
fn the_domain_name_may_be_a_setting() {
    alone(|| assert_eq!(setting("kernel.domainname", "set.example"), "set.example"));
}

#[test]
fn several_settings_are_all_set() {
    alone(|| {
        let bundle =
            Bundle::new().set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "1", "kernel.shmmni": "99" }));
        let run = bundle
            .probe(&["both", "read", "/proc/sys/net/ipv4/ip_forward", ",", "read", "/proc/sys/kernel/shmmni"])
            .run();
        assert_eq!(run.lines(), ["1", "99"]);
    });
}

#[test]
fn the_hosts_settings_stay_as_they_are() {
    alone(|| {
        let host = || fs::read_to_string("/proc/sys/kernel/shmmni").expect("read a setting");
        let before = host();
        setting("kernel.shmmni", "77");
        assert_eq!(host(), before);
    });
}

#[test]
fn a_setting_of_the_whole_host_is_refused() {
    alone(|| {
        for key in [
            "kernel.core_pattern",
            "vm.swappiness",
            "kernel.panic",
            "fs.file-max",
            "kernel.modprobe",
            "abi.vsyscall32",
            "user.max_user_namespaces",
            "dev.cdrom.autoclose",
        ] {
            Bundle::new().set("/linux/sysctl", json!({ key: "1" })).run().fails(&["sysctl", key]);
        }
    });
}

#[test]
fn a_setting_of_a_namespace_that_is_the_hosts_is_refused() {
    alone(|| {
        let net = json!({ "net.ipv4.ip_forward": "1" });
        Bundle::new()
            .no_namespace("network")
            .set("/linux/sysctl", net.clone())
            .run()
            .fails(&["sysctl", "net.ipv4.ip_forward"]);
        Bundle::new()
            .namespace("network", Some("/proc/self/ns/net"))
            .set("/linux/sysctl", net)
            .run()
            .fails(&["sysctl", "net.ipv4.ip_forward"]);
        let ipc = json!({ "kernel.shmmni": "99" });
        Bundle::new().no_namespace("ipc").set("/linux/sysctl", ipc).run().fails(&["sysctl", "kernel.shmmni"]);
        let uts = json!({ "kernel.domainname": "x" });
        Bundle::new()
            .no_namespace("uts")
            .without("/hostname")
            .set("/linux/sysctl", uts)
            .run()
            .fails(&["sysctl", "kernel.domainname"]);
    });
}

#[test]
fn a_key_that_climbs_is_refused() {
    alone(|| {
        for key in [
            "net.ipv4/../../kernel/core_pattern",
            "net/../kernel/core_pattern",
            "net...kernel.core_pattern",
            "/proc/sys/net/ipv4/ip_forward",
            "net.",
            "net",
            "",
            "kernel.shmmni.x",
            "net.ipv4.ip_forward\u{0}",
        ] {
            Bundle::new().set("/linux/sysctl", json!({ key: "1" })).run().fails(&["sysctl"]);
        }
    });
}

#[test]
fn a_value_that_smuggles_a_second_line_is_refused() {
    alone(|| {
        // CVE-2022-0811
        for value in ["1\nkernel.core_pattern=|/bin/evil", "1\u{0}", "\n", "1\r"] {
            Bundle::new()
                .set("/linux/sysctl", json!({ "net.ipv4.ip_forward": value }))
                .run()
                .fails(&["sysctl"]);
        }
    });
}

#[test]
fn a_setting_that_the_kernel_refuses_is_named() {
    alone(|| {
        Bundle::new()
            .set("/linux/sysctl", json!({ "net.ipv4.no_such_setting": "1" }))
            .run()
            .fails(&["net.ipv4.no_such_setting"]);
        Bundle::new()
            .set("/linux/sysctl", json!({ "net.ipv4.ip_forward": "many" }))
            .run()
            .fails(&["net.ipv4.ip_forward"]);
    });
}
