//! `update`: other limits for a container that is there.

use alloc::string::{String, ToString};

use rustix::fd::AsFd;

use super::{Session, id};
use crate::cli::arguments::{Command, Given, Group, flag};
use crate::cli::{output, size};
use crate::container::placement;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::stdin;
use crate::fs::{read_text, read_to_end};
use crate::spec::{self, Resources, Status};

const UPDATE: Command = Command {
    name: "servin-run update",
    usage: "[FLAGS] ID",
    about: "Change the limits of a container; what is not given stays as it is.",
    groups: &[Group(
        "Flags",
        &[
            flag("resources", Some('r'), Some("FILE|-"), "all of them, as JSON (linux.resources)"),
            flag("memory", None, Some("SIZE"), "the limit of memory; -1 is none"),
            flag("memory-reservation", None, Some("SIZE"), "memory that is not reclaimed early"),
            flag("memory-swap", None, Some("SIZE"), "the limit of memory and swap; -1 is none"),
            flag("cpu-share", None, Some("N"), "weight against others, 2 to 262144"),
            flag("cpu-quota", None, Some("µS"), "processor time in each period; -1 is no limit"),
            flag("cpu-period", None, Some("µS"), "the length of the quota's period"),
            flag("cpu-burst", None, Some("µS"), "unused quota that may be spent later"),
            flag("cpu-idle", None, Some("0|1"), "run only when nobody else wants to"),
            flag("cpu-rt-period", None, Some("µS"), "cgroup v1 only"),
            flag("cpu-rt-runtime", None, Some("µS"), "cgroup v1 only"),
            flag("cpuset-cpus", None, Some("LIST"), "processors to use"),
            flag("cpuset-mems", None, Some("LIST"), "memory nodes to use"),
            flag("pids-limit", None, Some("N"), "the limit of tasks; -1 is none"),
            flag("blkio-weight", None, Some("N"), "the share of disk time, 10 to 1000"),
            flag("kernel-memory", None, Some("SIZE"), "obsolete, without effect"),
            flag("kernel-memory-tcp", None, Some("SIZE"), "obsolete, without effect"),
            flag("l3-cache-schema", None, Some("SCHEMA"), "not supported"),
            flag("mem-bw-schema", None, Some("SCHEMA"), "not supported"),
            flag("help", Some('h'), None, "print this"),
        ],
    )],
    last_word: usize::MAX,
};

/// Runs the command.
pub fn update(session: &Session, arguments: &[&str]) -> Result<i32> {
    let Some(given) = session.parse(&UPDATE, arguments)? else { return Ok(0) };
    let id = id(&UPDATE, &given)?;
    let resources = match given.value("resources") {
        Some(file) => spec::parse(&document(file)?, if file == "-" { "standard input" } else { file })?,
        None => from_flags(&given)?,
    };
    let directory = session.directory(id)?;
    let _lock = directory.lock()?;
    let container = session.container(id)?;
    if matches!(container.status, Status::Stopped | Status::Creating) {
        return Err(Error::new("container not running"));
    }
    placement::update(&container, resources).map(|()| 0)
}

fn document(file: &str) -> Result<String> {
    if file != "-" {
        return read_text(file);
    }
    let bytes = read_to_end(stdin().as_fd()).step(|| "read standard input")?;
    String::from_utf8(bytes).map_err(|_| Error::new("standard input: not UTF-8"))
}

fn from_flags(given: &Given) -> Result<Resources> {
    for name in ["l3-cache-schema", "mem-bw-schema"] {
        if given.value(name).is_some_and(|value| !value.is_empty()) {
            return Err(Error::new(format_args!("--{name}: Intel RDT is not supported")));
        }
    }
    for name in ["kernel-memory", "kernel-memory-tcp"] {
        if given.value(name).is_some() {
            output::warning(&alloc::format!("--{name} has no effect: the kernel no longer limits this"));
        }
    }
    let mut resources = Resources::default();
    let memory = resources.memory.get_or_insert_default();
    memory.limit = bytes(given, "memory")?;
    memory.swap = bytes(given, "memory-swap")?;
    memory.reservation = bytes(given, "memory-reservation")?;
    let cpu = resources.cpu.get_or_insert_default();
    cpu.shares = number(given, "cpu-share")?;
    cpu.quota = number(given, "cpu-quota")?;
    cpu.period = number(given, "cpu-period")?;
    cpu.burst = number(given, "cpu-burst")?;
    cpu.idle = number(given, "cpu-idle")?;
    cpu.realtime_period = number(given, "cpu-rt-period")?;
    cpu.realtime_runtime = number(given, "cpu-rt-runtime")?;
    cpu.cpus = given.value("cpuset-cpus").map(ToString::to_string);
    cpu.mems = given.value("cpuset-mems").map(ToString::to_string);
    resources.pids.get_or_insert_default().limit = number(given, "pids-limit")?;
    resources.block_io.get_or_insert_default().weight = number(given, "blkio-weight")?;
    Ok(resources)
}

/// A flag's size; -1 is no limit.
fn bytes(given: &Given, name: &str) -> Result<Option<i64>> {
    match given.value(name) {
        None => Ok(None),
        Some("-1") => Ok(Some(-1)),
        Some(text) => size::parse(name, text).map(Some),
    }
}

fn number<T: core::str::FromStr>(given: &Given, name: &str) -> Result<Option<T>> {
    let parse = |text: &str| {
        text.parse().map_err(|_| Error::new(format_args!("--{name} {text}: not a number that it can be")))
    };
    given.value(name).filter(|text| !text.is_empty()).map(parse).transpose()
}
