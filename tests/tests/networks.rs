//! `servin network …`: networks are made, shown and removed.

use std::process::Command;

use serde_json::Value;
use servin_tests::{OUTSIDE, Outside, People, alone, forget_home, servin, until};

fn create(arguments: &[&str]) -> String {
    let command = [&["network", "create"], arguments].concat();
    servin(&command).succeeds().out.trim().to_string()
}

fn inspect(name: &str) -> Value {
    let out = servin(&["network", "inspect", name]).succeeds().out;
    serde_json::from_str::<Value>(&out).expect("JSON")[0].clone()
}

/// What stays on purpose is taken away, so that the rest can be compared.
fn tidy() {
    forget_home();
    let _ = std::fs::remove_dir_all(std::env::var("SERVIN_ROOT").expect("set by the harness"));
}

#[test]
fn a_network_is_made_listed_inspected_and_removed() {
    alone(|| {
        let id =
            create(&["--subnet", "10.20.0.0/24", "--ip-range", "10.20.0.128/25", "--label", "a=b", "web"]);
        assert_eq!(id.len(), 64);
        let listed = servin(&["network", "ls", "--format", "{{.Name}} {{.Driver}}"]).succeeds();
        assert_eq!(listed.lines(), ["bridge bridge", "web bridge"]);
        let document = inspect("web");
        assert_eq!(document["Id"], id);
        assert_eq!(document["IPAM"]["Config"][0]["Subnet"], "10.20.0.0/24");
        assert_eq!(document["IPAM"]["Config"][0]["Gateway"], "10.20.0.1");
        assert_eq!(document["IPAM"]["Config"][0]["IPRange"], "10.20.0.128/25");
        assert_eq!(document["Labels"]["a"], "b");
        assert_eq!(inspect(&id[..12])["Name"], "web");
        assert_eq!(servin(&["network", "rm", "web"]).succeeds().out.trim(), "web");
        servin(&["network", "inspect", "web"]).fails(&["there is no network web"]);
        tidy();
    });
}

#[test]
fn two_networks_never_share_addresses() {
    alone(|| {
        for name in ["a", "b", "c"] {
            create(&["--ipv6", name]);
        }
        let subnet = |name: &str, block: usize| inspect(name)["IPAM"]["Config"][block]["Subnet"].to_string();
        for block in [0, 1] {
            assert_ne!(subnet("a", block), subnet("b", block));
            assert_ne!(subnet("b", block), subnet("c", block));
        }
        create(&["--subnet", "10.20.0.0/16", "d"]);
        servin(&["network", "create", "--subnet", "10.20.3.0/24", "e"]).fails(&["overlaps", "10.20.0.0/16"]);
        servin(&["network", "create", "a"]).fails(&["there is a network a already"]);
        tidy();
    });
}

#[test]
fn what_the_host_reaches_is_refused_and_avoided() {
    alone(|| {
        // The cable's own network, and the block that the default network would have.
        let outside = Outside::new();
        let ip = |arguments: &[&str]| {
            let status = Command::new("busybox").arg("ip").args(arguments).status();
            assert!(status.is_ok_and(|status| status.success()), "{arguments:?}");
        };
        ip(&["route", "add", "10.121.7.0/24", "via", OUTSIDE]);
        servin(&["network", "create", "--subnet", "192.0.2.128/25", "a"]).fails(&[
            "192.0.2.128/25",
            "overlaps the host's route to 192.0.2.0/24",
            "--subnet",
        ]);
        let route = People::of("busybox").run(&["ip", "route"]).succeeds().out;
        assert!(route.contains("10.122.0.0/24 dev eth0"), "{route}");
        // Its supervisor takes the bridge away when nobody waits for it any more.
        let bridge = || std::fs::read_to_string("/proc/net/dev").is_ok_and(|text| text.contains("servin0"));
        until("the bridge is gone", || !bridge());
        // A route that comes later: the network moves as long as nobody is in it and nobody has chosen its block.
        ip(&["route", "add", "10.122.0.0/24", "via", OUTSIDE]);
        let route = People::of("busybox").run(&["ip", "route"]).succeeds().out;
        assert!(!route.contains("10.122.0.0/24"), "{route}");
        create(&["--subnet", "10.20.0.0/24", "chosen"]);
        ip(&["route", "add", "10.20.0.0/25", "via", OUTSIDE]);
        let run = People::of("busybox").flags(&["--network", "chosen"]).run(&["true"]);
        run.fails(&["chosen", "overlaps the host's route to 10.20.0.0/25"]);
        tidy();
        drop(outside);
    });
}

#[test]
fn what_cannot_be_a_network_is_refused_by_flag() {
    alone(|| {
        for (arguments, word) in [
            (&["--subnet", "10.0.0.5/24", "x"][..], "--subnet"),
            (&["--subnet", "10.0.0.0/24", "--gateway", "10.0.1.1", "x"], "--gateway"),
            (&["--subnet", "10.0.0.0/24", "--gateway", "10.0.0.255", "x"], "gateway"),
            (&["--subnet", "10.0.0.0/24", "--ip-range", "10.0.1.0/25", "x"], "--ip-range"),
            (&["--subnet", "10.0.0.0/32", "x"], "no room"),
            (&["--subnet", "10.0.0.0/24", "--subnet", "10.1.0.0/24", "x"], "--subnet"),
            (&["--driver", "overlay", "x"], "--driver"),
            (&["--driver", "macvlan", "--subnet", "10.0.0.0/24", "x"], "parent"),
            (&["--driver", "macvlan", "-o", "parent=nosuch0", "--subnet", "10.0.0.0/24", "x"], "nosuch0"),
            (&["-o", "mtu=1", "x"], "--opt mtu=1"),
            (&["-o", "colour=red", "x"], "--opt colour=red"),
            (&["--label", "=b", "x"], "--label"),
            (&["host"], "host"),
            (&["a/b"], "a/b"),
            (&[], "name"),
        ] {
            servin(&[&["network", "create"], arguments].concat()).fails(&[word]);
        }
        servin(&["network", "rm", "bridge"]).fails(&["default"]);
        tidy();
    });
}

#[test]
fn unused_networks_are_pruned_but_those_with_other_labels() {
    alone(|| {
        create(&["--label", "keep", "a"]);
        create(&["b"]);
        let out = servin(&["network", "prune", "-f", "--filter", "label!=keep"]).succeeds().out;
        assert_eq!(out, "Deleted Networks:\nb\n");
        assert_eq!(servin(&["network", "ls", "--format", "{{.Name}}"]).succeeds().lines(), ["a", "bridge"]);
        tidy();
    });
}
