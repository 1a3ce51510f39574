//! AppArmor and SELinux labels: given where the host can, and otherwise a clear error.

use std::fs;

use servin_tests::{Bundle, alone};

fn shell(script: &str) -> Bundle {
    Bundle::of("busybox").args(&["/bin/sh", "-c", script])
}

fn has_apparmor() -> bool {
    fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|text| text.starts_with('Y'))
}

#[test]
fn an_apparmor_profile_is_taken_where_there_are_any() {
    alone(|| {
        let with =
            |profile: &str| shell("cat /proc/self/attr/current").set("/process/apparmorProfile", profile);
        if has_apparmor() {
            assert_eq!(with("unconfined").run().succeeds().out.trim(), "unconfined");
            with("nosuch").run().fails(&["process.apparmorProfile", "nosuch", "the profile is not loaded"]);
        } else {
            with("unconfined").run().fails(&["process.apparmorProfile: this host has no AppArmor"]);
        }
        assert_eq!(shell("echo free").set("/process/apparmorProfile", "").run().succeeds().out, "free\n");
    });
}

#[test]
fn a_process_that_enters_takes_its_profile_too() {
    alone(|| {
        let bundle = shell("sleep 1000");
        let pid = bundle.started();
        let out = bundle.exec(&["--apparmor", "nosuch"], &["true"]);
        match has_apparmor() {
            true => out.fails(&["process.apparmorProfile", "the profile is not loaded"]),
            false => out.fails(&["process.apparmorProfile: this host has no AppArmor"]),
        };
        bundle.ended(pid);
    });
}

#[test]
fn an_selinux_label_without_selinux_is_an_error() {
    alone(|| {
        assert!(
            !fs::exists("/sys/fs/selinux/enforce").expect("looked for"),
            "this host has SELinux: a test is missing"
        );
        let label = "system_u:system_r:container_t:s0";
        shell("true")
            .set("/process/selinuxLabel", label)
            .run()
            .fails(&["process.selinuxLabel: this host has no SELinux"]);
    });
}
