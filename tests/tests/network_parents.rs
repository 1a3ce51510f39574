//! Networks without a bridge: containers that are on the cable of one of the host's interfaces themselves.

use servin_tests::{Outside, People, alone, servin, skip, until};

const SUBNET: &str = "198.51.100.0/24";
const THEIRS: &str = "198.51.100.2";
const OURS: &str = "198.51.100.10";

/// A web server in a container of such a network, as the host at the cable's other end sees it.
fn reached_from_the_cable(driver: &str) {
    let outside = Outside::new();
    outside.ip(&["address", "add", &format!("{THEIRS}/24"), "dev", &outside.interface()]);
    let create = ["network", "create", "--driver", driver, "--opt", "parent=out0", "--subnet", SUBNET];
    servin(&[&create[..], &["--gateway", THEIRS, "cable"]].concat()).succeeds();
    let people = People::of("busybox");
    let root = people.root().display().to_string();
    let run = ["run", "--detach", "--name", "web", "--network", "cable", "--ip", OURS, "--rootfs", &root];
    let started = servin(&[&run[..], &["--", "nc", "-ll", "-p", "80", "-e", "echo", "here"]].concat());
    if started.err.contains("CONFIG_IPVLAN") {
        servin(&["network", "rm", "cable"]).succeeds();
        servin_tests::forget_home();
        skip!("this kernel has no interfaces of that kind");
    }
    started.succeeds();
    until(driver, || outside.ask(&["tcp", &format!("{OURS}:80")]) == "here");
    let route = servin(&["exec", "web", "ip", "route"]).succeeds().out;
    assert!(route.contains(&format!("default via {THEIRS} dev eth0")), "{driver}: {route}");
    servin(&["rm", "--force", "web"]).succeeds();
    servin(&["network", "rm", "cable"]).succeeds();
    servin_tests::forget_home();
}

#[test]
fn a_container_is_on_the_cable_by_macvlan() {
    alone(|| reached_from_the_cable("macvlan"));
}

#[test]
fn a_container_is_on_the_cable_by_ipvlan() {
    alone(|| reached_from_the_cable("ipvlan"));
}
