//! The limits that people give a container, as flags of `run`, `create` and `update`, with Docker's names, units
//! and meanings: from flags to `linux.resources`. What only cgroup v1 could do is refused, and why is said.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::str::FromStr;

use rustix::fs::{FileType, major, minor};

use super::arguments::{Flag, Given, Group, flag};
use super::{Invocation, rootless, size};
use crate::cgroup::systemd;
use crate::container::placement::{self, Manager};
use crate::error::{Error, Result, Step};
use crate::spec::{DeviceRule, Resources, ThrottleDevice, WeightDevice};
use crate::sys::path::stat;

/// What `update` can change too.
pub const LIMITS: Group = Group("Limits", FLAGS);

/// Where the limits apply.
pub const PLACE: Group = Group(
    "Cgroup",
    &[
        flag("cgroup-parent", None, Some("PATH"), "make its cgroup below this one (default: /servin)"),
        flag("cgroup-manager", None, Some("NAME"), "who makes it: cgroupfs, systemd or disabled"),
    ],
);

#[rustfmt::skip]
const FLAGS: &[Flag] = &[
    flag("memory", Some('m'), Some("SIZE"), "the limit of memory, such as 512m"),
    flag("memory-swap", None, Some("SIZE"), "of memory and swap (default: twice --memory; -1: no limit)"),
    flag("memory-reservation", None, Some("SIZE"), "memory that is not reclaimed early"),
    flag("memory-swappiness", None, Some("N"), "cgroup v1 only: refused"),
    flag("oom-kill-disable", None, None, "cgroup v1 only: refused"),
    flag("cpus", None, Some("N"), "so many processors' time, such as 1.5"),
    flag("cpu-shares", Some('c'), Some("N"), "weight against others, 2 to 262144 (default: 1024)"),
    flag("cpu-period", None, Some("µS"), "the period of --cpu-quota (default: 100000)"),
    flag("cpu-quota", None, Some("µS"), "processor time in each period; -1 is no limit"),
    flag("cpu-rt-period", None, Some("µS"), "cgroup v1 only: refused"),
    flag("cpu-rt-runtime", None, Some("µS"), "cgroup v1 only: refused"),
    flag("cpuset-cpus", None, Some("LIST"), "processors to use, such as 0-2,7"),
    flag("cpuset-mems", None, Some("LIST"), "memory nodes to use"),
    flag("pids-limit", None, Some("N"), "the limit of processes and threads; -1 is none"),
    flag("blkio-weight", None, Some("N"), "the share of disk time, 10 to 1000"),
    flag("blkio-weight-device", None, Some("DEVICE:N"), "the same on one disk"),
    flag("device-read-bps", None, Some("DEVICE:SIZE"), "bytes read in a second, at most"),
    flag("device-write-bps", None, Some("DEVICE:SIZE"), "bytes written in a second, at most"),
    flag("device-read-iops", None, Some("DEVICE:N"), "reads in a second, at most"),
    flag("device-write-iops", None, Some("DEVICE:N"), "writes in a second, at most"),
    flag("cgroup-conf", None, Some("FILE=VALUE"), "any file of cgroup v2, such as memory.high=1073741824"),
];

/// The period in which a quota of processors is counted, in microseconds.
const PERIOD: i64 = 100_000;

/// Flags that nothing can be made of, and why.
const REFUSED: &[(&str, &str)] = &[
    ("memory-swappiness", "cgroup v2 has no swappiness of its own (the host has: sysctl vm.swappiness)"),
    ("cpu-rt-period", "cgroup v2 does not divide real-time processor time"),
    ("cpu-rt-runtime", "cgroup v2 does not divide real-time processor time"),
];

/// Finds the major and minor number of a block device.
type Find<'f> = &'f dyn Fn(&str) -> Result<(i64, i64)>;

/// The limits of a container that is to be made, with the rule about devices that all others follow.
pub fn of_new(given: &Given) -> Result<Resources> {
    let mut resources = read(given, &block_device)?;
    if let Some(memory) = &mut resources.memory {
        if memory.swap.is_some() && memory.limit.is_none() {
            return Err(Error::new("--memory-swap: it counts memory too, so --memory is needed with it"));
        }
        // As in Docker. A kernel without swap has no file to write that into.
        if memory.swap.is_none() && stat("/proc/swaps").is_ok() {
            memory.swap = memory.limit.map(|limit| limit.saturating_mul(2));
        }
    }
    if placement::decides_about_devices() {
        resources.devices = vec![DeviceRule { allow: false, ..DeviceRule::default() }];
    }
    Ok(resources)
}

/// The limits that change; what is not given stays as it is.
pub fn changed(given: &Given) -> Result<Resources> {
    read(given, &block_device)
}

/// `linux.cgroupsPath` for the container `id`; none where the default will do.
pub fn cgroups_path(given: &Given, id: &str) -> Result<Option<String>> {
    let Some(parent) = given.value("cgroup-parent") else { return Ok(None) };
    if given.value("cgroup-manager") == Some("systemd") {
        // The driver says what is wrong with a slice.
        return Ok(Some(format!("{parent}:servin:{id}")));
    }
    let parts = || parent.split('/').filter(|part| !part.is_empty());
    if parts().next().is_none() || parts().any(|part| matches!(part, "." | "..")) {
        return Err(Error::new(format_args!("--cgroup-parent {parent}: not the path of a cgroup")));
    }
    Ok(Some(format!("/{}/{id}", parent.trim_matches('/'))))
}

/// Who makes the cgroup. A user without privileges may seldom do so himself, and his systemd, where it answers, can.
pub fn manager(invocation: &Invocation, given: &Given) -> Result<Manager> {
    match given.value("cgroup-manager") {
        None if placement::is_host_root() => Ok(Manager::default()),
        None => {
            let sockets = rootless::systemd(invocation);
            let answers = systemd::Manager::connect(&sockets).is_ok();
            Ok(if answers { Manager::Systemd(sockets) } else { Manager::default() })
        }
        Some(name) => Manager::by_name(name, rootless::systemd(invocation)),
    }
}

fn read(given: &Given, find: Find) -> Result<Resources> {
    for (name, why) in REFUSED {
        // Docker's "not set".
        if given.value(name).is_some_and(|value| !matches!(value, "-1" | "0")) {
            return Err(Error::new(format_args!("--{name}: {why}")));
        }
    }
    if given.switch("oom-kill-disable", false) {
        return Err(Error::new(
            "--oom-kill-disable: cgroup v2 cannot let processes wait for memory; --oom-score-adj -1000 spares them longest",
        ));
    }
    let mut resources = Resources::default();
    memory(given, &mut resources)?;
    cpu(given, &mut resources)?;
    if let Some(limit) = number::<i64>(given, "pids-limit")? {
        resources.pids.get_or_insert_default().limit = Some(if limit <= 0 { -1 } else { limit });
    }
    block_io(given, &mut resources, find)?;
    for text in given.values("cgroup-conf") {
        let Some((file, value)) = text.split_once('=').filter(|(file, _)| !file.is_empty()) else {
            return Err(refused("cgroup-conf", text, "it takes FILE=VALUE"));
        };
        resources.unified.push((file.into(), value.into()));
    }
    Ok(resources)
}

fn memory(given: &Given, resources: &mut Resources) -> Result<()> {
    let limit = bytes(given, "memory")?;
    let both = bytes(given, "memory-swap")?;
    let reservation = bytes(given, "memory-reservation")?;
    if let (Some(both), Some(limit)) = (both, limit)
        && (0..limit).contains(&both)
    {
        return Err(refused("memory-swap", both, "it includes --memory, and is less than that"));
    }
    if let (Some(reservation), Some(limit @ 0..)) = (reservation, limit)
        && reservation > limit
    {
        return Err(refused("memory-reservation", reservation, "it is more than --memory"));
    }
    if limit.is_some() || both.is_some() || reservation.is_some() {
        let memory = resources.memory.get_or_insert_default();
        (memory.limit, memory.swap, memory.reservation) = (limit, both, reservation);
    }
    Ok(())
}

fn cpu(given: &Given, resources: &mut Resources) -> Result<()> {
    let cpu = resources.cpu.get_or_insert_default();
    cpu.shares = within(given, "cpu-shares", 2, 262_144)?;
    cpu.period = within(given, "cpu-period", 1000, 1_000_000)?;
    cpu.quota = number::<i64>(given, "cpu-quota")?.filter(|&quota| quota != 0);
    if let Some(quota @ 1..=999) = cpu.quota {
        return Err(refused("cpu-quota", quota, "the kernel takes 1000 µs and more"));
    }
    if let Some(text) = given.value("cpus") {
        if cpu.quota.is_some() || cpu.period.is_some() {
            return Err(refused("cpus", text, "it is a quota itself: not with --cpu-quota or --cpu-period"));
        }
        let hundredths = processors(text)
            .ok_or_else(|| refused("cpus", text, "not a number of processors such as 0.5 or 2"))?;
        if hundredths > 0 {
            (cpu.quota, cpu.period) = (Some(hundredths), Some(PERIOD.unsigned_abs()));
        }
    }
    for (name, list) in [("cpuset-cpus", &mut cpu.cpus), ("cpuset-mems", &mut cpu.mems)] {
        if let Some(text) = given.value(name).filter(|text| !text.is_empty()) {
            if !is_list(text) {
                return Err(refused(name, text, "not a list such as 0-2,7"));
            }
            *list = Some(text.to_string());
        }
    }
    Ok(())
}

/// `1.5` processors as microseconds of each [`PERIOD`]; the kernel takes a hundredth and more.
fn processors(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let whole = if whole.is_empty() { "0" } else { whole };
    if !digits(whole) || !digits(part) || part.len() > 9 {
        return None;
    }
    let part = part.parse::<i64>().ok()? * PERIOD / 10i64.pow(part.len() as u32);
    let quota = whole.parse::<i64>().ok()?.checked_mul(PERIOD)?.checked_add(part)?;
    let is_zero = !text.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    (is_zero || quota >= PERIOD / 100).then_some(quota)
}

/// The kernel's lists of numbers: `0-2,7`.
fn is_list(text: &str) -> bool {
    let number =
        |text: &str| text.parse::<u16>().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.split(',').all(|part| match part.split_once('-') {
        Some((first, last)) => number(first).is_some_and(|first| number(last) >= Some(first)),
        None => number(part).is_some(),
    })
}

fn block_io(given: &Given, resources: &mut Resources, find: Find) -> Result<()> {
    let block_io = resources.block_io.get_or_insert_default();
    block_io.weight = within(given, "blkio-weight", 10, 1000)?;
    for text in given.values("blkio-weight-device") {
        let (path, value) = of_device("blkio-weight-device", text)?;
        let weight = value.parse().ok().filter(|weight| (10..=1000).contains(weight));
        let weight =
            weight.ok_or_else(|| refused("blkio-weight-device", text, "the weight is from 10 to 1000"))?;
        let (major, minor) = find(path).map_err(|error| error.within("--blkio-weight-device"))?;
        block_io.weight_device.push(WeightDevice {
            major,
            minor,
            weight: Some(weight),
            ..WeightDevice::default()
        });
    }
    for (name, is_size, devices) in [
        ("device-read-bps", true, &mut block_io.throttle_read_bps_device),
        ("device-write-bps", true, &mut block_io.throttle_write_bps_device),
        ("device-read-iops", false, &mut block_io.throttle_read_iops_device),
        ("device-write-iops", false, &mut block_io.throttle_write_iops_device),
    ] {
        for text in given.values(name) {
            let (path, value) = of_device(name, text)?;
            let rate = if is_size { size::parse(name, value).ok() } else { strict::<i64>(value) };
            let rate = rate.and_then(|rate| u64::try_from(rate).ok()).ok_or_else(|| {
                refused(name, text, if is_size { "the rate is a size such as 1mb" } else { "not a number" })
            })?;
            let (major, minor) = find(path).map_err(|error| error.within(format_args!("--{name}")))?;
            devices.push(ThrottleDevice { major, minor, rate });
        }
    }
    Ok(())
}

/// `DEVICE:VALUE`.
fn of_device<'t>(name: &str, text: &'t str) -> Result<(&'t str, &'t str)> {
    match text.rsplit_once(':') {
        Some((path, value)) if path.starts_with('/') => Ok((path, value)),
        _ => Err(refused(name, text, "it takes DEVICE:VALUE, such as /dev/sda:1mb")),
    }
}

fn block_device(path: &str) -> Result<(i64, i64)> {
    let found = stat(path).step(|| format!("look at {path}"))?;
    match FileType::from_raw_mode(found.st_mode) {
        FileType::BlockDevice => Ok((major(found.st_rdev).into(), minor(found.st_rdev).into())),
        _ => Err(Error::new(format_args!("{path} is not a block device"))),
    }
}

/// A flag's size; -1 is no limit, zero as if it were not given.
fn bytes(given: &Given, name: &str) -> Result<Option<i64>> {
    match given.value(name) {
        None => Ok(None),
        Some("-1") => Ok(Some(-1)),
        Some(text) => size::parse(name, text).map(|bytes| Some(bytes).filter(|&bytes| bytes != 0)),
    }
}

/// A flag's number, zero as if it were not given.
fn within<T: FromStr + TryFrom<u64>>(given: &Given, name: &str, low: u64, high: u64) -> Result<Option<T>> {
    let Some(number) = number::<u64>(given, name)?.filter(|&number| number != 0) else { return Ok(None) };
    let converted = T::try_from(number).ok().filter(|_| (low..=high).contains(&number));
    converted.map(Some).ok_or_else(|| refused(name, number, &format!("it is from {low} to {high}")))
}

fn number<T: FromStr>(given: &Given, name: &str) -> Result<Option<T>> {
    let parse = |text: &str| strict(text).ok_or_else(|| refused(name, text, "not a number that it can be"));
    given.value(name).map(parse).transpose()
}

/// `+1` is no number here.
fn strict<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| !text.starts_with('+'))
}

fn refused(name: &str, value: impl core::fmt::Display, why: &str) -> Error {
    Error::new(format_args!("--{name} {value}: {why}"))
}

#[cfg(test)]
mod tests;
