//! `servin system`: what the whole of Servin takes, the removal of what nobody needs, and facts about the host.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::CWD;
use rustix::system::{sysinfo, uname};

use super::arguments::{Command, Given, Group, flag};
use super::format::{self, Column, units};
use super::version::version;
use super::{Invocation, image, network, output, places, rm, volume};
use crate::cgroup::Hierarchy;
use crate::container::people::{Phase, Store};
use crate::container::volume::Volumes;
use crate::error::{Result, Step};
use crate::fs::{read_lossy, read_text, tree};
use crate::gather::Gather as _;
use crate::image::copy::{DIRECTORY, open_at};
use crate::image::host;
use crate::spec::json::written;

/// The table's entry.
pub const DF: Command = Command {
    name: "servin system df",
    usage: "[FLAGS]",
    about: "Show what images, containers and volumes take.",
    groups: &[format::SINGLE],
    last_word: usize::MAX,
};

/// The table's entry.
pub const PRUNE: Command = Command {
    name: "servin system prune",
    usage: "[FLAGS]",
    about: "Remove what nobody needs, and what was left by crashes.",
    groups: &[Group(
        "Remove",
        &[
            flag("all", Some('a'), None, "images with names too, if no container was made of them"),
            flag("volumes", None, None, "nameless volumes too"),
            flag("force", Some('f'), None, "do not ask"),
            flag("filter", None, Some("KEY=VALUE"), "only those of a label"),
        ],
    )],
    last_word: usize::MAX,
};

/// The table's entry.
pub const INFO: Command = Command {
    name: "servin system info",
    usage: "[FLAGS]",
    about: "Print facts about Servin and this host.",
    groups: &[format::INSPECT],
    last_word: usize::MAX,
};

const COLUMNS: &[Column] = &[
    Column("TYPE", "Type"),
    Column("TOTAL", "TotalCount"),
    Column("ACTIVE", "Active"),
    Column("SIZE", "Size"),
    Column("RECLAIMABLE", "Reclaimable"),
];

/// A line of `df`.
#[derive(Default)]
struct Taken {
    total: usize,
    active: usize,
    bytes: u64,
    /// Of what is not active.
    reclaimable: u64,
}

impl Taken {
    fn add(&mut self, bytes: u64, active: bool) {
        self.total += 1;
        self.bytes += bytes;
        match active {
            true => self.active += 1,
            false => self.reclaimable += bytes,
        }
    }
}

/// `servin system df`.
pub fn df(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&DF)?;
    let store = places::store(invocation, given)?;
    let (mut images, mut containers, mut volumes) = (Taken::default(), Taken::default(), Taken::default());
    let kept = image::store(invocation, given)?;
    for image in kept.images()? {
        images.add(kept.size(&image), !kept.users(&image).is_empty());
    }
    let entries = store.all()?;
    for entry in &entries {
        containers.add(written(store, &entry.record.id)?, entry.record.state.phase.is_alive());
    }
    let all = Volumes::open(&invocation.home(given)?)?;
    for volume in all.all()? {
        let used = entries.iter().any(|entry| entry.record.has_volume(&volume.name));
        volumes.add(all.size(&volume.name)?, used);
    }
    let rows = [("Images", images), ("Containers", containers), ("Local Volumes", volumes)].map(row);
    format::list(given, COLUMNS, "Type", &rows)
}

fn row((kind, taken): (&str, Taken)) -> crate::spec::json::Value {
    format::row(&[
        ("Type", kind),
        ("TotalCount", &taken.total.to_string()),
        ("Active", &taken.active.to_string()),
        ("Size", &units::size(taken.bytes)),
        ("Reclaimable", &units::size(taken.reclaimable)),
    ])
}

/// The bytes that a container has written into its own layer; it may be gone meanwhile.
pub fn written(store: &Store, id: &str) -> Result<u64> {
    let (upper, _) = store.layer(id);
    match open_at(CWD, &upper, DIRECTORY) {
        Ok(directory) => tree::size(directory).step(|| format!("measure {upper}")),
        Err(_) => Ok(0),
    }
}

/// `servin system prune`.
pub fn prune(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&PRUNE)?;
    let images = if given.switch("all", false) { "unused images" } else { "nameless images" };
    let volumes = if given.switch("volumes", false) { ", nameless volumes" } else { "" };
    let warning = format!("This removes stopped containers, unused networks{volumes} and {images}.");
    if !output::confirm(given, &warning)? {
        return Ok(1);
    }
    let filters = format::Filters::read(given, &["label", "label!"])?;
    let store = places::store(invocation, given)?;
    rm::unused(store, &filters)?
        .iter()
        .try_for_each(|id| output::result(format_args!("Deleted container: {id}")))?;
    let left = store.all()?;
    network::remove_unused(invocation, given)?;
    if given.switch("volumes", false) {
        let home = invocation.home(given)?;
        let (names, _) = volume::unused(&Volumes::open(&home)?, store, false, &filters)?;
        names.iter().try_for_each(|name| output::result(format_args!("Deleted volume: {name}")))?;
    }
    let configurations: Vec<String> =
        left.iter().filter_map(|entry| entry.directory.read("config.json").ok().flatten()).gather();
    host::prune(&store.places.home, &|name| configurations.iter().any(|text| text.contains(name)))?;
    image::remove::remove_unused(invocation, given)
}

written! {
    /// What `info` prints, in Docker's words.
    pub struct Info {
        "ServerVersion" => version: &'static str,
        "OCIVersion" => specification: &'static str,
        "Containers" => containers: u64,
        "ContainersRunning" => running: u64,
        "ContainersPaused" => paused: u64,
        "ContainersStopped" => stopped: u64,
        "Images" => images: u64,
        "Driver" => driver: &'static str,
        "CgroupDriver" => cgroup_driver: &'static str,
        "CgroupVersion" => cgroup: Option<&'static str>,
        "CgroupControllers" => controllers: Option<String>,
        "KernelVersion" => kernel: String,
        "OSType" => os_type: &'static str,
        "DefaultRuntime" => runtime: &'static str,
        "OperatingSystem" => system: String,
        "Architecture" => architecture: String,
        "NCPU" => processors: u64,
        "MemTotal" => memory: u64,
        "Name" => name: String,
        "DockerRootDir" => home: String,
        "ExecRoot" => root: String,
        "Rootless" => rootless: bool,
    }
}

/// `servin system info`.
pub fn info(invocation: &Invocation, given: &Given) -> Result<i32> {
    given.none(&INFO)?;
    let entries = places::store(invocation, given)?.all()?;
    let count = |phase: &[Phase]| {
        entries.iter().filter(|entry| phase.contains(&entry.record.state.phase)).count() as u64
    };
    let hierarchy = Hierarchy::find()?;
    let version = version();
    let info = Info {
        version: version.version,
        specification: version.specification,
        containers: entries.len() as u64,
        running: count(&[Phase::Running, Phase::Restarting]),
        paused: count(&[Phase::Paused]),
        stopped: count(&[Phase::Created, Phase::Exited]),
        images: image::store(invocation, given)?.images()?.len() as u64,
        driver: "overlay2",
        cgroup_driver: "cgroupfs",
        os_type: version.system,
        runtime: "servin",
        cgroup: hierarchy.as_ref().map(|_| "2"),
        controllers: hierarchy.map(|hierarchy| hierarchy.controllers),
        kernel: version.kernel,
        system: operating_system(),
        architecture: uname().machine().to_string_lossy().into_owned(),
        processors: processors(),
        memory: memory(),
        name: uname().nodename().to_string_lossy().into_owned(),
        home: invocation.home(given)?,
        root: invocation.root(given)?,
        rootless: !rustix::process::geteuid().is_root(),
    };
    format::inspect(given, &[&info])
}

/// What the distribution calls itself (os-release(5)).
fn operating_system() -> String {
    let text = read_lossy("/etc/os-release").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".into(), |name| name.trim_matches(['"', '\'']).into())
}

fn processors() -> u64 {
    let text = read_text("/proc/stat").unwrap_or_default();
    text.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count() as u64
}

fn memory() -> u64 {
    let info = sysinfo();
    info.totalram as u64 * u64::from(info.mem_unit)
}
