//! Documents of the specification's form, and what is to be written for them.

use super::*;
use crate::spec::json::parse;

fn limits(json: &str) -> Result<Limits> {
    Limits::new(&parse::<spec::Resources>(json, "test").expect("a document"))
}

/// `file=value`, a mark of what a refusal means, and the controllers.
fn written(json: &str) -> (Vec<String>, Vec<&'static str>) {
    let limits = limits(json).expect("converted");
    let show = |write: &Write| {
        let Write { file, value, refusal, .. } = write;
        match refusal {
            Refusal::Fails => format!("{file}={value}"),
            Refusal::Missing => format!("{file}={value} if there"),
            Refusal::Retried => format!("{file}={value} if possible"),
            Refusal::Instead(other, instead) => format!("{file}={value} or {other}={instead}"),
        }
    };
    (limits.writes.iter().map(show).collect(), limits.controllers)
}

#[test]
fn memory_is_converted_from_its_old_words() {
    for (json, expected) in [
        (r#"{}"#, &[][..]),
        (r#"{"limit":0,"swap":0,"reservation":0}"#, &[]),
        (r#"{"limit":536870912}"#, &["memory.max=536870912"]),
        (r#"{"limit":100,"swap":100}"#, &["memory.swap.max=0 if there", "memory.max=100"]),
        (r#"{"limit":100,"swap":300}"#, &["memory.swap.max=200", "memory.max=100"]),
        (r#"{"limit":100,"swap":-1}"#, &["memory.swap.max=max if there", "memory.max=100"]),
        (r#"{"limit":-1}"#, &["memory.swap.max=max if there", "memory.max=max"]),
        (r#"{"limit":-1,"swap":7}"#, &["memory.swap.max=7", "memory.max=max"]),
        (r#"{"swap":-1}"#, &["memory.swap.max=max if there"]),
        (r#"{"reservation":5,"useHierarchy":true,"disableOOMKiller":false}"#, &["memory.low=5"]),
        (r#"{"reservation":-1}"#, &["memory.low=max"]),
    ] {
        let (writes, controllers) = written(&format!("{{\"memory\":{json}}}"));
        assert_eq!(writes, expected, "{json}");
        assert_eq!(controllers.is_empty(), expected.is_empty(), "{json}");
    }
    let checked = limits(r#"{"memory":{"limit":9,"swap":10,"checkBeforeUpdate":true}}"#).expect("converted");
    assert_eq!(checked.check_memory, Some((Some(9), Some(10))));
}

#[test]
fn processor_time_is_converted_from_its_old_words() {
    for (json, expected) in [
        (r#"{"shares":1024}"#, &["cpu.weight=100 if there"][..]),
        (r#"{"shares":0,"quota":0,"period":0}"#, &[]),
        (r#"{"shares":2,"idle":1}"#, &["cpu.weight=1", "cpu.idle=1"]),
        (r#"{"shares":2,"idle":0}"#, &["cpu.idle=0", "cpu.weight=1"]),
        (r#"{"quota":50000,"period":100000}"#, &["cpu.max=50000 100000"]),
        (r#"{"quota":50000}"#, &["cpu.max=50000"]),
        (r#"{"quota":-1}"#, &["cpu.max=max"]),
        (r#"{"period":20000}"#, &["cpu.max=max 20000"]),
        (r#"{"quota":9000,"burst":7}"#, &["cpu.max.burst=7 if possible", "cpu.max=9000", "cpu.max.burst=7"]),
        (r#"{"burst":7}"#, &["cpu.max.burst=7"]),
        (r#"{"cpus":"0-1,3","mems":"0","realtimeRuntime":0}"#, &["cpuset.cpus=0-1,3", "cpuset.mems=0"]),
    ] {
        assert_eq!(written(&format!("{{\"cpu\":{json}}}")).0, expected, "{json}");
    }
    assert_eq!(written(r#"{"cpu":{"shares":5,"quota":1,"cpus":"0"}}"#).1, ["cpu", "cpuset"]);
}

#[test]
fn tasks_have_a_limit_of_which_zero_is_one() {
    for (limit, expected) in [("-1", "pids.max=max"), ("0", "pids.max=0"), ("32771", "pids.max=32771")] {
        assert_eq!(
            written(&format!("{{\"pids\":{{\"limit\":{limit}}}}}")),
            (vec![expected.into()], vec!["pids"])
        );
    }
    assert!(written(r#"{"pids":{}}"#).0.is_empty());
}

#[test]
fn block_devices_are_merged_and_their_weights_stretched() {
    let json = r#"{"blockIO":{"weight":10,
        "weightDevice":[{"major":8,"minor":0,"weight":500},{"major":8,"minor":16,"weight":1000}],
        "throttleReadBpsDevice":[{"major":8,"minor":0,"rate":600}],
        "throttleWriteIOPSDevice":[{"major":8,"minor":16,"rate":300},{"major":8,"minor":0,"rate":0}]}}"#;
    let expected = [
        "io.bfq.weight=10 or io.weight=1",
        "io.bfq.weight=8:0 500 or io.weight=8:0 4950",
        "io.bfq.weight=8:16 1000 or io.weight=8:16 10000",
        "io.max=8:0 rbps=600 wiops=max",
        "io.max=8:16 wiops=300",
    ];
    assert_eq!(written(json), (expected.map(String::from).to_vec(), vec!["io"]));
}

#[test]
fn the_others_and_last_the_unified_keys() {
    let json = r#"{"unified":{"memory.high":"100","cgroup.max.depth":"3","io.max":"8:0 rbps=1\n8:16 rbps=2"},
        "hugepageLimits":[{"pageSize":"2MB","limit":209715200}],
        "rdma":{"mlx5_1":{"hcaHandles":3,"hcaObjects":10000},"rxe3":{"hcaObjects":1},"none":{}},
        "network":{},"pids":{"limit":5}}"#;
    let (writes, controllers) = written(json);
    let expected = [
        "pids.max=5",
        "hugetlb.2MB.max=209715200",
        "hugetlb.2MB.rsvd.max=209715200 if there",
        "rdma.max=mlx5_1 hca_handle=3 hca_object=10000",
        "rdma.max=rxe3 hca_object=1",
    ];
    assert_eq!(&writes[..5], expected);
    for last in ["memory.high=100", "cgroup.max.depth=3", "io.max=8:0 rbps=1", "io.max=8:16 rbps=2"] {
        assert!(writes[5..].iter().any(|write| write == last), "{last}");
    }
    for name in ["pids", "hugetlb", "rdma", "memory", "io"] {
        assert!(controllers.contains(&name), "{name}");
    }
    assert!(limits("{}").expect("converted").required().is_none());
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for (json, field) in [
        (r#"{"memory":{"limit":-2}}"#, "memory.limit: "),
        (r#"{"memory":{"swap":5}}"#, "memory.swap: "),
        (r#"{"memory":{"limit":6,"swap":5}}"#, "memory.swap: "),
        (r#"{"memory":{"kernel":5}}"#, "memory.kernel: "),
        (r#"{"memory":{"kernelTCP":5}}"#, "memory.kernelTCP: "),
        (r#"{"memory":{"swappiness":0}}"#, "memory.swappiness: "),
        (r#"{"memory":{"disableOOMKiller":true}}"#, "memory.disableOOMKiller: "),
        (r#"{"memory":{"useHierarchy":false}}"#, "memory.useHierarchy: "),
        (r#"{"cpu":{"realtimeRuntime":5}}"#, "cpu.realtimeRuntime: "),
        (r#"{"cpu":{"realtimePeriod":5}}"#, "cpu.realtimePeriod: "),
        (r#"{"cpu":{"idle":2}}"#, "cpu.idle: "),
        (r#"{"blockIO":{"weight":9}}"#, "blockIO.weight: "),
        (r#"{"blockIO":{"leafWeight":10}}"#, "blockIO.leafWeight: "),
        (r#"{"blockIO":{"weightDevice":[{"major":-1,"minor":0}]}}"#, "blockIO.weightDevice[0]: -1:0"),
        (r#"{"hugepageLimits":[{"pageSize":"2M","limit":1}]}"#, "hugepageLimits[0].pageSize: "),
        (r#"{"hugepageLimits":[{"pageSize":"../2MB","limit":1}]}"#, "hugepageLimits[0].pageSize: "),
        (r#"{"rdma":{"a b":{}}}"#, "rdma: "),
        (r#"{"network":{"classID":1}}"#, "network: "),
        (r#"{"unified":{"../memory.max":"1"}}"#, r#"unified["../memory.max"]: "#),
        (r#"{"unified":{"memory.max/":"1"}}"#, r#"unified["memory.max/"]: "#),
        (r#"{"unified":{"memory":"1"}}"#, r#"unified["memory"]: "#),
        (r#"{"unified":{"..":"1"}}"#, r#"unified[".."]: "#),
        (r#"{"unified":{"nosuch.max":"1"}}"#, r#"unified["nosuch.max"]: "#),
    ] {
        let error = limits(json).expect_err("refused").to_string();
        assert!(error.starts_with(&format!("linux.resources: {field}")), "{error}");
    }
}
