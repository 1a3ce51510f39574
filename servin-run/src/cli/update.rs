//! `servin update`: other limits for containers, at once where they run, and for every start to come.

use alloc::vec::Vec;

use super::arguments::{Command, Given, Group, flag};
use super::{Invocation, limits, output, places};
use crate::cgroup::Limits;
use crate::container::people::{CONFIG, Store};
use crate::container::placement;
use crate::container::record::Container;
use crate::error::{Error, Result};
use crate::spec::{self, Config, Memory, Resources, ThrottleDevice};
use crate::supervise::policy::Policy;

/// The table's entry.
pub const UPDATE: Command = Command {
    name: "servin update",
    usage: "[FLAGS] CONTAINER...",
    about: "Change the limits of containers; what is not given stays as it is.",
    groups: &[
        limits::LIMITS,
        Group("Life", &[flag("restart", None, Some("POLICY"), "no, on-failure[:N], always, unless-stopped")]),
    ],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn main(invocation: &Invocation, given: &Given) -> Result<i32> {
    let changes = limits::changed(given)?;
    let restart = given.value("restart");
    Policy::parse(restart.unwrap_or_default())?;
    let store = places::store(invocation, given)?;
    places::each(&UPDATE, &given.words, &mut |word| {
        update(store, word, &changes, restart)?;
        output::result(word)
    })
}

fn update(store: &Store, word: &str, changes: &Resources, restart: Option<&str>) -> Result<()> {
    let mut entry = store.find(word)?;
    let _lock = entry.reload()?;
    if restart.is_some() && entry.record.remove {
        return Err(Error::new("--restart: the container is removed when it ends (--rm)"));
    }
    let path = entry.directory.file(CONFIG);
    let text = entry.directory.read(CONFIG)?.ok_or_else(|| Error::new(format_args!("{path} is missing")))?;
    let mut config: Config = spec::parse(&text, &path)?;
    let resources = config.linux.get_or_insert_default().resources.get_or_insert_default();
    merge(resources, changes);
    // Whatever is wrong with all of them together is found out before anything has changed.
    Limits::new(resources)?;
    if entry.record.state.phase.is_alive()
        && let Some(directory) = store.runtime()?.find(&entry.record.id)?
    {
        placement::update(&Container::look(directory)?, changes.clone())?;
    }
    entry.directory.write(CONFIG, &spec::to_json(&config))?;
    if let Some(policy) = restart {
        entry.record.restart = Some(policy.into());
        entry.save()?;
    }
    Ok(())
}

fn set<T: Clone>(kept: &mut Option<T>, change: &Option<T>) {
    if change.is_some() {
        kept.clone_from(change);
    }
}

/// The kept limits with those that change.
fn merge(kept: &mut Resources, changes: &Resources) {
    if let Some(change) = &changes.memory {
        merge_memory(kept.memory.get_or_insert_default(), change);
    }
    if let Some(change) = &changes.cpu {
        let cpu = kept.cpu.get_or_insert_default();
        set(&mut cpu.shares, &change.shares);
        set(&mut cpu.quota, &change.quota);
        set(&mut cpu.period, &change.period);
        set(&mut cpu.cpus, &change.cpus);
        set(&mut cpu.mems, &change.mems);
    }
    if let Some(change) = &changes.pids {
        set(&mut kept.pids.get_or_insert_default().limit, &change.limit);
    }
    if let Some(change) = &changes.block_io {
        let io = kept.block_io.get_or_insert_default();
        set(&mut io.weight, &change.weight);
        for device in &change.weight_device {
            io.weight_device.retain(|known| (known.major, known.minor) != (device.major, device.minor));
            io.weight_device.push(device.clone());
        }
        merge_rates(&mut io.throttle_read_bps_device, &change.throttle_read_bps_device);
        merge_rates(&mut io.throttle_write_bps_device, &change.throttle_write_bps_device);
        merge_rates(&mut io.throttle_read_iops_device, &change.throttle_read_iops_device);
        merge_rates(&mut io.throttle_write_iops_device, &change.throttle_write_iops_device);
    }
    for (file, value) in &changes.unified {
        kept.unified.retain(|(known, _)| known != file);
        kept.unified.push((file.clone(), value.clone()));
    }
}

/// Another limit of memory alone leaves the swap that there may be beside it.
fn merge_memory(kept: &mut Memory, change: &Memory) {
    if let (Some(limit @ 1..), None, Some(old @ 1..), Some(both @ 1..)) =
        (change.limit, change.swap, kept.limit, kept.swap)
    {
        kept.swap = Some(limit.saturating_add((both - old).max(0)));
    }
    set(&mut kept.limit, &change.limit);
    set(&mut kept.swap, &change.swap);
    set(&mut kept.reservation, &change.reservation);
}

fn merge_rates(kept: &mut Vec<ThrottleDevice>, changes: &[ThrottleDevice]) {
    for change in changes {
        kept.retain(|known| (known.major, known.minor) != (change.major, change.minor));
        kept.push(change.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_given_stays() {
        let resources = |text: &str| -> Resources { spec::parse(text, "resources").expect("resources") };
        let mut kept = resources(
            r#"{"devices":[{"allow":false}],"memory":{"limit":100,"swap":150},"cpu":{"shares":5,"cpus":"0"},
            "blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":1},{"major":8,"minor":1,"rate":2}]},
            "unified":{"memory.high":"1"}}"#,
        );
        merge(
            &mut kept,
            &resources(
                r#"{"memory":{"limit":200},"cpu":{"quota":1000},"pids":{"limit":3},
                "blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":0,"rate":7}]},"unified":{"memory.high":"2"}}"#,
            ),
        );
        assert_eq!(
            kept,
            resources(
                r#"{"devices":[{"allow":false}],"memory":{"limit":200,"swap":250},
                "cpu":{"shares":5,"quota":1000,"cpus":"0"},"pids":{"limit":3},
                "blockIO":{"throttleReadBpsDevice":[{"major":8,"minor":1,"rate":2},{"major":8,"minor":0,"rate":7}]},
                "unified":{"memory.high":"2"}}"#
            )
        );
        merge(&mut kept, &resources(r#"{"memory":{"swap":-1}}"#));
        assert_eq!(kept.memory.expect("memory").swap, Some(-1));
    }
}
