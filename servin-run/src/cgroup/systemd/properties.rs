//! The limits as properties of a unit ([systemd.resource-control(5)][rules]): pure. They start as writes into files of
//! cgroup v2; what has no property is written alone, and so is what we cannot read: the kernel will refuse it.
//!
//! [rules]: https://www.freedesktop.org/software/systemd/man/latest/systemd.resource-control.html

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::super::limits::{Limits, Refusal, Write};
use super::wire::Value;

/// Files that hold one number or `max`, and the property that systemd writes there.
const NUMBERS: &[(&str, &str)] = &[
    ("memory.max", "MemoryMax"),
    ("memory.high", "MemoryHigh"),
    ("memory.low", "MemoryLow"),
    ("memory.min", "MemoryMin"),
    ("memory.swap.max", "MemorySwapMax"),
    ("pids.max", "TasksMax"),
    ("cpu.weight", "CPUWeight"),
    ("io.weight", "IOWeight"),
];

/// The keys of io.max.
const RATES: &[(&str, &str)] = &[
    ("rbps", "IOReadBandwidthMax"),
    ("wbps", "IOWriteBandwidthMax"),
    ("riops", "IOReadIOPSMax"),
    ("wiops", "IOWriteIOPSMax"),
];

/// Microseconds of a second; the period where none is said.
const SECOND: u64 = 1_000_000;
const PERIOD: u64 = 100_000;

/// All properties that there are for these limits. Of several writes into one file the last counts.
pub fn of_limits(limits: &Limits) -> Vec<(&'static str, Value)> {
    let mut found = Vec::new();
    for write in &limits.writes {
        of_write(write, &mut found);
    }
    found
}

fn of_write(write: &Write, found: &mut Vec<(&'static str, Value)>) {
    match write.file.as_str() {
        "cpu.max" => quota(&write.value, found),
        "cpuset.cpus" => set(found, "AllowedCPUs", bits(&write.value).map(Value::Bytes)),
        "cpuset.mems" => set(found, "AllowedMemoryNodes", bits(&write.value).map(Value::Bytes)),
        "io.max" => rates(&write.value, found),
        // systemd stretches the weight for the scheduler that has a range of its own.
        "io.bfq.weight" => {
            if let Refusal::Instead(file, value) = &write.refusal {
                number(file, value, found);
            }
        }
        file => number(file, &write.value, found),
    }
}

fn set(found: &mut Vec<(&'static str, Value)>, name: &'static str, value: Option<Value>) {
    let Some(value) = value else { return };
    match (found.iter_mut().find(|(known, _)| *known == name), value) {
        // One device more.
        (Some((_, Value::Rates(known))), Value::Rates(more)) => known.extend(more),
        (Some((_, known)), value) => *known = value,
        (None, value) => found.push((name, value)),
    }
}

fn number(file: &str, value: &str, found: &mut Vec<(&'static str, Value)>) {
    if let Some((_, name)) = NUMBERS.iter().find(|(known, _)| *known == file) {
        set(found, name, limit(value).map(Value::Number));
    }
}

/// No limit is the largest number.
fn limit(value: &str) -> Option<u64> {
    match value.trim() {
        "max" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// `QUOTA PERIOD`. systemd takes the time of each second, in whole hundredths of it: rounded up, so that the cgroups
/// below may have what was asked for.
fn quota(value: &str, found: &mut Vec<(&'static str, Value)>) {
    let (quota, period) = value.trim().split_once(' ').unwrap_or((value.trim(), ""));
    let period = period.trim().parse().ok().filter(|&period| period > 0);
    let Some(quota) = limit(quota) else { return };
    let each_second = match quota {
        u64::MAX => u64::MAX,
        quota => {
            let exact = u128::from(quota) * u128::from(SECOND) / u128::from(period.unwrap_or(PERIOD));
            u64::try_from(exact.next_multiple_of(u128::from(SECOND / 100))).unwrap_or(u64::MAX)
        }
    };
    set(found, "CPUQuotaPerSecUSec", Some(Value::Number(each_second)));
    set(found, "CPUQuotaPeriodUSec", period.map(Value::Number));
}

/// `0-2,7` as bits, the lowest of the first byte first.
fn bits(list: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for part in list.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
        for number in first..=last {
            let at = usize::from(number / 8);
            bytes.resize(bytes.len().max(at + 1), 0);
            bytes[at] |= 1 << (number % 8);
        }
    }
    Some(bytes)
}

/// `8:0 rbps=1 wiops=2`.
fn rates(value: &str, found: &mut Vec<(&'static str, Value)>) {
    let mut words = value.split_ascii_whitespace();
    let path: String = format!("/dev/block/{}", words.next().unwrap_or_default());
    for word in words {
        let Some((key, value)) = word.split_once('=') else { continue };
        let property = RATES.iter().find(|(known, _)| *known == key);
        if let (Some((_, name)), Some(rate)) = (property, limit(value)) {
            set(found, name, Some(Value::Rates(vec![(path.clone(), rate)])));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec;

    fn of(resources: &str) -> Vec<(&'static str, Value)> {
        let resources: spec::Resources = spec::parse(resources, "resources").expect("resources");
        of_limits(&Limits::new(&resources).expect("limits"))
    }

    #[test]
    fn limits_have_the_properties_that_systemd_writes() {
        use Value::Number;
        assert_eq!(of("{}"), []);
        assert_eq!(
            of(r#"{"memory":{"limit":1000,"swap":1500,"reservation":10},"pids":{"limit":-1}}"#),
            [
                ("TasksMax", Number(u64::MAX)),
                ("MemorySwapMax", Number(500)),
                ("MemoryMax", Number(1000)),
                ("MemoryLow", Number(10))
            ]
        );
        assert_eq!(
            of(r#"{"cpu":{"shares":512,"quota":20001,"period":50000,"cpus":"0-2,9","mems":"0"}}"#),
            [
                ("CPUWeight", Number(59)),
                ("CPUQuotaPerSecUSec", Number(410_000)),
                ("CPUQuotaPeriodUSec", Number(50_000)),
                ("AllowedCPUs", Value::Bytes(vec![7, 2])),
                ("AllowedMemoryNodes", Value::Bytes(vec![1])),
            ]
        );
        assert_eq!(of(r#"{"cpu":{"quota":-1}}"#), [("CPUQuotaPerSecUSec", Number(u64::MAX))]);
        assert_eq!(of(r#"{"cpu":{"quota":100000}}"#), [("CPUQuotaPerSecUSec", Number(1_000_000))]);
        assert_eq!(of(r#"{"blockIO":{"weight":10}}"#), [("IOWeight", Number(1))]);
        assert_eq!(
            of(
                r#"{"blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":5},{"major":8,"minor":16,"rate":6}],
                "throttleWriteIOPSDevice":[{"major":8,"minor":0,"rate":7}]}}"#
            ),
            [
                (
                    "IOReadBandwidthMax",
                    Value::Rates(vec![("/dev/block/8:0".into(), 5), ("/dev/block/8:16".into(), 6)])
                ),
                ("IOWriteIOPSMax", Value::Rates(vec![("/dev/block/8:0".into(), 7)])),
            ]
        );
    }

    #[test]
    fn the_kernels_own_names_count_last_and_nonsense_is_left_to_the_kernel() {
        assert_eq!(
            of(
                r#"{"memory":{"limit":1},"unified":{"memory.max":"max","memory.high":"7","memory.oom.group":"1"}}"#
            ),
            [("MemoryMax", Value::Number(u64::MAX)), ("MemoryHigh", Value::Number(7))]
        );
        for odd in [
            r#"{"unified":{"memory.max":"lots"}}"#,
            r#"{"unified":{"cpu.max":"x 1"}}"#,
            r#"{"unified":{"cpuset.cpus":"1-"}}"#,
            r#"{"unified":{"io.max":"8:0 x=1"}}"#,
            r#"{"unified":{"io.max":"8:0 rbps=x y"}}"#,
        ] {
            assert_eq!(of(odd), [], "{odd}");
        }
    }
}
