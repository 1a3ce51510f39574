//! `bench people`: what a person waits for, and what ten detached containers weigh, beside Podman with crun.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::memory::{self, Resident};
use super::runner::{Contender, chosen, measure};
use super::start::table as table_of;
use super::statistics::ratio;
use super::table::Table;
use super::{Options, bundle, programs};
use crate::{Result, command, debian, workspace};

const ROUNDS: usize = 20;
/// How many containers stay while `ps` lists them and their memory is looked at.
const STAYING: usize = 10;
/// And how many more there are at last: of Servin's alone, since Podman takes minutes to make them.
const MANY: usize = 990;
const IMAGE: &str = "bench";
/// A program comes to rest after its container runs.
const SETTLE: Duration = Duration::from_millis(500);

pub fn run(options: &Options) -> Result {
    debian::ensure(&["podman", "crun", "conmon", "golang-github-containers-common"], "bench people")?;
    let tools = tools()?;
    let archive = archive()?;
    for (_, line) in &tools {
        call(line, &["import", &archive.display().to_string(), IMAGE])?;
    }
    let measured = with_containers(&tools, options);
    for (_, line) in &tools {
        let _ = call(line, &["rm", "--force", "--all"]);
        let _ = call(line, &["rmi", "--force", IMAGE]);
    }
    measured
}

fn with_containers(tools: &[(&'static str, Vec<String>)], options: &Options) -> Result {
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let mut weights = Vec::new();
    for (name, line) in tools {
        let before = processes();
        for number in 0..STAYING {
            let name = format!("bench-staying{number}");
            call(
                line,
                &["run", "--detach", "--network", "none", "--name", &name, IMAGE, bundle::PAYLOAD, "stay"],
            )?;
        }
        std::thread::sleep(SETTLE);
        weights.push((*name, weigh(&before)));
    }
    let staying = "bench-staying0";
    let lines: [(&str, &[&str]); 3] = [
        ("run --rm IMAGE true", &["run", "--rm", "--network", "none", IMAGE, bundle::PAYLOAD]),
        ("ps, with ten containers", &["ps"]),
        ("exec in a running container", &["exec", staying, bundle::PAYLOAD]),
    ];
    for (what, arguments) in lines {
        let contender =
            |(name, line): &(&'static str, Vec<String>)| Contender::new(name, &whole(line, arguments));
        let measured = measure(&chosen(tools.iter().map(contender).collect(), options)?, rounds)?;
        println!("{what}; {rounds} interleaved rounds\n");
        println!("{}", table_of(&measured).text(options.markdown));
    }
    println!("what {STAYING} detached containers keep resident, their own processes aside\n");
    let mut table = Table::new(&["", "processes", "resident kB", "proportional kB", "private kB", "ratio"]);
    let first = weights.first().map_or(0, |(_, weight)| weight.proportional);
    for (name, weight) in &weights {
        table.row(vec![
            (*name).to_owned(),
            weight.processes.to_string(),
            weight.resident.to_string(),
            weight.proportional.to_string(),
            weight.private.to_string(),
            format!("{:.2}", ratio(weight.proportional, first)),
        ]);
    }
    println!("{}", table.text(options.markdown));
    for (_, line) in tools.iter().filter(|(name, _)| *name == "servin") {
        for _ in 0..MANY {
            call(line, &["create", "--network", "none", IMAGE, bundle::PAYLOAD])?;
        }
        let contender = Contender::new("servin", &whole(line, &["ps", "--all"]));
        let measured = measure(&chosen(vec![contender], options)?, rounds)?;
        println!("ps --all, with a thousand containers; {rounds} rounds\n");
        print!("{}", table_of(&measured).text(options.markdown));
    }
    Ok(())
}

/// Both tools, with places of their own for what they keep.
fn tools() -> Result<Vec<(&'static str, Vec<String>)>> {
    let folder = programs::folder();
    let place = |name: &str| folder.join(name).display().to_string();
    let words = |line: &[&str]| line.iter().map(|word| word.to_string()).collect();
    let servin = workspace::dist().join("servin").display().to_string();
    let podman = command::find("podman")?.display().to_string();
    #[rustfmt::skip]
    let all = vec![
        ("servin", words(&[&servin, "--home", &place("people/servin"), "--root", &place("state/people")])),
        ("podman", words(&[
            &podman, "--root", &place("people/podman"), "--runroot", &place("state/podman"), "--storage-driver", "overlay",
            "--runtime", "crun", "--cgroup-manager", "cgroupfs", "--events-backend", "file",
        ])),
    ];
    Ok(all)
}

/// The bundle's root as an archive.
fn archive() -> Result<PathBuf> {
    let archive = programs::folder().join("root.tar");
    let mut tar = Command::new("tar");
    command::run(tar.arg("-cf").arg(&archive).arg("-C").arg(bundle::root()?).arg("."))?;
    Ok(archive)
}

/// A whole command line. Podman raises limits unless it is given some, and crun that of locked memory for its cgroup, which
/// not every root may; without cgroups Podman has less to do.
fn whole<'w>(line: &'w [String], arguments: &[&'w str]) -> Vec<&'w str> {
    let mut words: Vec<&str> = line.iter().map(String::as_str).collect();
    let (name, rest) = arguments.split_at(1);
    words.extend(name);
    if line[0].ends_with("/podman") && name == ["run"] {
        words.extend(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1024:1024", "--cgroups=disabled"]);
    }
    words.extend(rest);
    words
}

fn call(line: &[String], arguments: &[&str]) -> Result {
    let words = whole(line, arguments);
    let mut command = Command::new(words[0]);
    command::run(command.args(&words[1..]).stdin(Stdio::null()).stdout(Stdio::null()))
}

fn processes() -> BTreeSet<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// What has come since `before` and is above a container's own process, so that neighbours are not counted.
fn weigh(before: &BTreeSet<u32>) -> Resident {
    let mut resident = Resident::default();
    let mut seen = before.clone();
    for payload in processes().difference(before).filter(|pid| memory::is_payload(**pid)) {
        let mut above = parent(*payload);
        while let Some(pid) = above.filter(|pid| seen.insert(*pid)) {
            if let Ok(text) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
                resident.add(&text);
            }
            above = parent(pid);
        }
    }
    resident
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
