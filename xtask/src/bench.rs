//! `bench NAME`: Servin beside its peers, measured in one interleaved run, so that a neighbour's load falls on all of
//! them alike. Absolute figures move from machine to machine; the ratios are what is compared.

mod bundle;
mod image;
mod init;
mod lifecycle;
mod memory;
mod network;
mod people;
mod programs;
mod pull;
mod runner;
mod seccomp;
mod start;
mod statistics;
mod table;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::{Result, build};

/// Set in the copy of this program that runs prepared: in its own mount namespace, with its own scheduling.
const INSIDE: &str = "SERVIN_BENCH_INSIDE";

/// A benchmark's name, and what runs it.
type Benchmark = (&'static str, fn(&Options) -> Result);

const BENCHMARKS: &[Benchmark] = &[
    ("start", start::run),
    ("lifecycle", lifecycle::run),
    ("memory", memory::run),
    ("init", init::run),
    ("seccomp", seccomp::run),
    ("pull", pull::run_all),
    ("image", image::run),
    ("people", people::run),
    ("network", network::run),
];

/// What a benchmark was asked for.
pub struct Options {
    pub rounds: Option<usize>,
    pub markdown: bool,
    /// Names of contenders; all of them where it is empty.
    pub only: Vec<String>,
}

impl Options {
    fn wants(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == name)
    }
}

pub fn command(arguments: &[String]) -> Result {
    let names: Vec<&str> = BENCHMARKS.iter().map(|(name, _)| *name).collect();
    let Some((name, rest)) = arguments.split_first() else {
        return Err(format!("bench what? There are {}", names.join(", ")));
    };
    let found = BENCHMARKS.iter().find(|(known, _)| known == name);
    let (_, run) = found.ok_or_else(|| format!("bench knows {}, not {name}", names.join(", ")))?;
    let options = options(rest)?;
    if std::env::var_os(INSIDE).is_some() {
        return run(&options);
    }
    build::build()?;
    programs::install()?;
    Err(become_prepared(arguments))
}

fn options(arguments: &[String]) -> Result<Options> {
    let mut options = Options { rounds: None, markdown: false, only: Vec::new() };
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--markdown" => options.markdown = true,
            "--rounds" => {
                let rounds = value()?.parse().ok().filter(|rounds| *rounds > 0);
                options.rounds = Some(rounds.ok_or("--rounds needs a number above 0")?);
            }
            "--only" => options.only.extend(value()?.split(',').map(str::to_owned)),
            _ => return Err(format!("bench takes --rounds N, --markdown and --only NAME,…, not {argument}")),
        }
    }
    Ok(options)
}

/// Starts this program anew in a private mount namespace with a pure cgroup2 mount (crun refuses hybrid machines)
/// and, where that is permitted, scheduled before other programs. Returns only what went wrong.
fn become_prepared(arguments: &[String]) -> String {
    const PREPARE: &str = "if [ ! -e /sys/fs/cgroup/cgroup.controllers ]; then
        umount -l /sys/fs/cgroup && mount -t cgroup2 none /sys/fs/cgroup || exit
    fi
    mkdir -p \"$0\" && mount -t tmpfs none \"$0\" || exit
    exec \"$@\"";
    let own = match std::env::current_exe() {
        Ok(own) => own,
        Err(error) => return format!("bench: where is this program? {error}"),
    };
    let mut prepared = Command::new("unshare");
    prepared.args(["--mount", "--propagation", "private"]);
    let is_network = arguments.first().is_some_and(|name| name == "network");
    if is_network {
        prepared.arg("--net");
    }
    prepared.args(["sh", "-c", PREPARE]);
    // Where engines keep the state of containers, /run, is in memory.
    prepared.arg(programs::folder().join("state"));
    let mut probe = Command::new("chrt");
    probe.args(["--rr", "5", "true"]).stderr(Stdio::null());
    if is_network {
        // What moves packets is scheduled as everybody else's programs are.
    } else if probe.status().is_ok_and(|status| status.success()) {
        prepared.args(["chrt", "--rr", "5"]);
    } else {
        println!("xtask: SCHED_RR is not permitted here: neighbours will be felt");
    }
    let error = prepared.arg(own).arg("bench").args(arguments).env(INSIDE, "1").exec();
    format!("bench: unshare: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn options_are_read_strictly() {
        let read = options(&words("--rounds 7 --markdown --only floor,crun")).expect("read");
        assert_eq!((read.rounds, read.markdown), (Some(7), true));
        assert!(read.wants("crun") && !read.wants("runc"));
        for wrong in ["--rounds", "--rounds 0", "--rounds 7x", "--fast", "7"] {
            assert!(options(&words(wrong)).is_err(), "{wrong}");
        }
    }
}
