//! User namespaces, id mappings and time offsets.

use std::fs;

use serde_json::json;
use servin_tests::{Bundle, alone, kill};

#[test]
fn a_user_namespace_has_the_mappings_of_the_config() {
    alone(|| {
        let seen = Bundle::new().mapped(100_000, 65_536).report();
        let map = seen["uid_map"].as_str().expect("a map").split_whitespace().collect::<Vec<_>>();
        assert_eq!(map, ["0", "100000", "65536"]);
        assert_eq!(seen["uid_map"], seen["gid_map"]);
        assert_eq!((&seen["uid"]["real"], &seen["gid"]["real"]), (&0.into(), &0.into()));
    });
}

#[test]
fn several_mappings_are_written_in_their_order() {
    alone(|| {
        let map = json!([
            { "containerID": 0, "hostID": 100_000, "size": 1000 },
            { "containerID": 1000, "hostID": 5000, "size": 1 },
            { "containerID": 1001, "hostID": 101_001, "size": 500 },
        ]);
        let bundle = Bundle::new().mapped(100_000, 1000);
        let seen = bundle.set("/linux/uidMappings", map.clone()).set("/linux/gidMappings", map).report();
        let lines = seen["uid_map"].as_str().expect("a map").lines().count();
        assert_eq!(lines, 3, "{}", seen["uid_map"]);
    });
}

#[test]
fn the_host_sees_the_mapped_ids() {
    alone(|| {
        let mut running =
            Bundle::new().mapped(100_000, 65_536).set("/process/user/uid", 7).probe(&["sleep"]).start();
        running.says("ready");
        let status =
            fs::read_to_string(format!("/proc/{}/status", running.container())).expect("read its status");
        let uid = status.lines().find(|line| line.starts_with("Uid:")).expect("a line Uid");
        assert_eq!(
            uid.split_whitespace().collect::<Vec<_>>(),
            ["Uid:", "100007", "100007", "100007", "100007"]
        );
        kill(running.container(), 9).expect("kill the container");
        running.finish().ends_with(137);
    });
}

#[test]
fn the_other_namespaces_belong_to_the_user_namespace() {
    alone(|| {
        // Only their owner may set a name and bring an interface up.
        let seen = Bundle::new().mapped(100_000, 65_536).set("/hostname", "owned").report();
        assert_eq!(seen["hostname"], "owned");
        assert_eq!(seen["interfaces"]["lo"]["up"], true);
    });
}

#[test]
fn devices_in_a_user_namespace_are_the_hosts_bound() {
    alone(|| {
        let run = Bundle::new()
            .mapped(100_000, 65_536)
            .probe(&["both", "report", ",", "try-write", "/dev/null"])
            .run();
        let lines = run.lines();
        let seen: serde_json::Value = lines[0].parse().expect("a report");
        for (name, minor) in [("null", 3), ("zero", 5), ("full", 7), ("random", 8), ("urandom", 9)] {
            assert_eq!(
                (&seen["dev"][name]["major"], &seen["dev"][name]["minor"]),
                (&1.into(), &minor.into()),
                "{name}"
            );
        }
        assert_eq!(lines[1], "ok");
    });
}

#[test]
fn additional_groups_work_in_a_user_namespace() {
    alone(|| {
        let seen = Bundle::new()
            .mapped(100_000, 65_536)
            .set("/process/user/additionalGids", json!([5, 20]))
            .report();
        assert_eq!(seen["groups"], json!([5, 20]));
    });
}

#[test]
fn a_user_without_a_mapping_is_refused() {
    alone(|| {
        Bundle::new().mapped(100_000, 10).set("/process/user/uid", 10).run().fails(&["uid"]);
        Bundle::new().mapped(100_000, 10).set("/process/user/gid", 10).run().fails(&["gid"]);
    });
}

#[test]
fn a_user_namespace_is_joined_by_path() {
    alone(|| {
        let mut first = Bundle::new().mapped(100_000, 65_536).probe(&["sleep"]).start();
        first.says("ready");
        let path = format!("/proc/{}/ns/user", first.container());
        let second = Bundle::new().mapped(100_000, 65_536).namespace("user", Some(&path));
        let seen = second.without("/linux/uidMappings").without("/linux/gidMappings").report();
        let link = fs::read_link(&path).expect("read a namespace's link").display().to_string();
        assert_eq!(link, format!("user:[{}]", seen.namespace("user")));
        assert_eq!(seen["uid"]["real"], 0);
        kill(first.container(), 9).expect("kill the first container");
        first.finish().ends_with(137);
    });
}

#[test]
fn root_of_a_user_namespace_has_the_capabilities_of_the_config_alone() {
    alone(|| {
        let seen = Bundle::new().mapped(100_000, 65_536).capabilities(&["CAP_CHOWN"]).report();
        assert_eq!(seen["capabilities"]["effective"], json!(["CAP_CHOWN"]));
        assert_eq!(seen["capabilities"]["bounding"], json!(["CAP_CHOWN"]));
    });
}

#[test]
fn time_offsets_move_the_clocks() {
    alone(|| {
        let plain = Bundle::new().report();
        let moved = Bundle::new()
            .namespace("time", None)
            .set(
                "/linux/timeOffsets",
                json!({
                    "monotonic": { "secs": 1_000_000, "nanosecs": 0 },
                    "boottime": { "secs": 2_000_000, "nanosecs": 500_000_000 },
                }),
            )
            .report();
        let ahead = |clock: &str| {
            moved["clocks"][clock].as_i64().unwrap_or(0) - plain["clocks"][clock].as_i64().unwrap_or(0)
        };
        assert!((1_000_000..1_000_600).contains(&ahead("monotonic")), "{}", ahead("monotonic"));
        assert!((2_000_000..2_000_600).contains(&ahead("boottime")), "{}", ahead("boottime"));
    });
}

#[test]
fn time_offsets_may_be_negative() {
    alone(|| {
        let seen = Bundle::new()
            .namespace("time", None)
            .set("/linux/timeOffsets/boottime", json!({ "secs": -1 }))
            .report();
        assert!(seen["clocks"]["boottime"].as_i64().is_some());
    });
}
