//! Interfaces of the host that become a container's (linux.netDevices).

use std::process::Command;

use serde_json::json;
use servin_tests::{Bundle, alone, fixture};

/// busybox's `ip` in the test's own network namespace; what it says.
fn ip(arguments: &[&str]) -> String {
    let output = Command::new(fixture("busybox").join("bin/busybox"))
        .arg("ip")
        .args(arguments)
        .output()
        .expect("start busybox");
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn container(script: &str) -> Bundle {
    Bundle::of("busybox").args(&["/bin/sh", "-c", script])
}

#[test]
fn an_interface_moves_with_its_addresses_and_another_name() {
    alone(|| {
        ip(&["link", "add", "spare0", "type", "veth"]);
        ip(&["addr", "add", "192.0.2.7/24", "dev", "spare0"]);
        ip(&["addr", "add", "2001:db8::7/64", "dev", "spare0"]);
        ip(&["link", "set", "spare0", "up"]);
        let run = container("ip addr show inside; echo --; ip addr show spare0 2>&1; true")
            .set("/linux/netDevices", json!({ "spare0": { "name": "inside" } }))
            .run()
            .succeeds();
        assert!(run.out.contains("192.0.2.7/24") && run.out.contains("2001:db8::7/64"), "{}", run.out);
        assert!(run.out.contains("UP"), "{}", run.out);
        assert!(!run.out.split("--").nth(1).expect("the second").contains("192.0.2.7"), "{}", run.out);
        // It was a virtual one, and ends with the namespace.
        assert!(!ip(&["link"]).contains("spare0"));
    });
}

#[test]
fn an_interface_without_a_namespace_to_go_to_is_refused() {
    alone(|| {
        let run =
            container("true").no_namespace("network").set("/linux/netDevices", json!({ "lo": {} })).run();
        run.fails(&["linux.netDevices", "no network namespace"]);
    });
}
