//! What `servin run` asks for, as configurations.

use super::*;
use crate::plan::{Host, plan};

fn request() -> Request {
    Request {
        rootfs: "/r".into(),
        args: vec!["sh".into()],
        cwd: "/".into(),
        hostname: "h".into(),
        resources: spec::Resources {
            devices: vec![spec::DeviceRule::default()],
            ..spec::Resources::default()
        },
        ..Request::default()
    }
}

#[test]
fn device_nodes_are_made_only_under_rules_about_devices() {
    let makes_nodes = |request: Request| {
        let process = config(request).expect("a configuration").process.expect("a process");
        process.capabilities.expect("capabilities").bounding.iter().any(|name| name == "CAP_MKNOD")
    };
    let without = || Request { resources: spec::Resources::default(), ..request() };
    assert!(makes_nodes(request()));
    assert!(!makes_nodes(without()));
    assert!(makes_nodes(Request { cap_add: vec!["mknod".into()], ..without() }));
    assert!(makes_nodes(Request { id_maps: Some(Default::default()), ..without() }));
}

#[test]
fn the_defaults_can_be_planned() {
    let planned = plan(&config(request()).expect("a configuration"), "/", Host::default()).expect("planned");
    assert_eq!(planned.process.capabilities.bounding.numbers().count(), 14);
    assert_eq!(planned.process.capabilities.inheritable.0, 0);
    assert!(!planned.init);
}

#[test]
fn a_layer_is_the_first_mount() {
    let layer = Layer { upper: "/u".into(), work: "/w".into(), ..Layer::default() };
    let config =
        config(Request { layer: Some(layer), rootfs: "/a:b".into(), ..request() }).expect("a configuration");
    assert_eq!(config.mounts[0].destination, "/");
    assert_eq!(config.mounts[0].options[0], "lowerdir=/a\\:b");
}

#[test]
fn capabilities_are_added_and_dropped_as_in_docker() {
    let set = |add: &[&str], drop: &[&str]| {
        let strings = |names: &[&str]| names.iter().map(|n| (*n).into()).collect::<Vec<_>>();
        privileges::capabilities(&strings(add), &strings(drop)).map(|set| set.names().collect::<Vec<_>>())
    };
    assert_eq!(set(&["net_bind_service"], &["ALL"]).expect("a set"), ["NET_BIND_SERVICE"]);
    assert_eq!(set(&["ALL"], &["CAP_SYS_ADMIN"]).expect("a set").len(), 40);
    assert!(!set(&[], &["CHOWN"]).expect("a set").contains(&"CHOWN"));
    assert!(set(&["SYS_FOO"], &[]).is_err());
}
