//! `bench memory`: the peak of a run, and what stays resident beside a running container. The payload weighs a
//! page or two, so that it does not hide the runtime.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use super::runner::{self, Contender, chosen, measure};
use super::table::Table;
use super::{Options, bundle, start};
use crate::{Result, command};

const ROUNDS: usize = 20;
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// A runtime comes to rest after its container runs.
const SETTLE: Duration = Duration::from_millis(300);

pub fn run(options: &Options) -> Result {
    let root = bundle::root()?;
    let ending = bundle::make("bundle", &root, &[bundle::PAYLOAD])?;
    let staying = bundle::make("bundle-staying", &root, &[bundle::PAYLOAD, "stay"])?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let peaks = measure(&chosen(start::contenders(&root, &ending, &[])?, options)?, rounds)?;
    let residents = chosen(start::contenders(&root, &staying, &["stay"])?, options)?;
    let mut table = Table::new(&["", "peak kB", "processes", "resident kB", "proportional kB", "private kB"]);
    for (peak, contender) in peaks.iter().zip(&residents) {
        let beside = beside_a_container(contender)?;
        table.row(vec![
            peak.name.to_owned(),
            peak.median(|sample| sample.peak_kb).to_string(),
            beside.processes.to_string(),
            beside.resident.to_string(),
            beside.proportional.to_string(),
            beside.private.to_string(),
        ]);
    }
    println!("peak: the largest process of a run, median of {rounds}");
    println!("the others: what stays beside a running container, without the container's own process\n");
    print!("{}", table.text(options.markdown));
    Ok(())
}

/// Sums over the runtime's processes, in kB.
#[derive(Default, Debug, PartialEq)]
pub struct Resident {
    pub processes: u32,
    pub resident: u64,
    pub proportional: u64,
    pub private: u64,
}

impl Resident {
    /// Adds a process by its smaps_rollup.
    pub fn add(&mut self, smaps_rollup: &str) {
        let field = |name: &str| -> u64 {
            let lines = smaps_rollup.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            lines.filter_map(|value| value.split_whitespace().next()?.parse::<u64>().ok()).sum()
        };
        self.processes += 1;
        self.resident += field("Rss");
        self.proportional += field("Pss");
        self.private += field("Private_Clean") + field("Private_Dirty");
    }
}

fn beside_a_container(contender: &Contender) -> Result<Resident> {
    // The run's number only has to be another than those of the rounds.
    let line = contender.line(usize::MAX);
    let mut child = runner::spawn(Command::new(&line[0]).args(&line[1..]))?;
    let found = look(child.id());
    if let Ok((_, payload)) = &found {
        // By the payload's end, as containers end, so that the runtime clears its things away.
        let _ = Command::new("kill").args(["-KILL", &payload.to_string()]).status();
        let _ = command::wait_until(&mut child, Instant::now() + TIME_LIMIT);
    } else {
        command::kill_group(&mut child);
    }
    found.map(|(resident, _)| resident).map_err(|e| format!("{}: {e}{}", contender.name, runner::complaint()))
}

/// Waits for the payload below `top`; returns what the others weigh and the payload's process id.
fn look(top: u32) -> Result<(Resident, u32)> {
    let deadline = Instant::now() + TIME_LIMIT;
    while !tree(top).iter().any(|pid| is_payload(*pid)) {
        if Instant::now() > deadline {
            return Err(format!("no container after {} s", TIME_LIMIT.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(SETTLE);
    let processes = tree(top);
    let payload = *processes.iter().find(|pid| is_payload(**pid)).ok_or("the container ended by itself")?;
    let mut resident = Resident::default();
    for pid in processes.iter().filter(|pid| **pid != payload) {
        // An empty answer is a process that has ended meanwhile.
        match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
            Ok(text) if !text.is_empty() => resident.add(&text),
            _ => (),
        }
    }
    Ok((resident, payload))
}

/// Whether a process is the containers' own program.
pub fn is_payload(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == &bundle::PAYLOAD[1..])
}

/// A process and all its descendants.
fn tree(top: u32) -> Vec<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some(parent) = parent(&stat) {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = vec![top];
    let mut next = 0;
    while let Some(pid) = found.get(next) {
        found.extend(children.remove(pid).unwrap_or_default());
        next += 1;
    }
    found
}

/// The parent in /proc/PID/stat; the name before it may hold anything, parentheses too.
fn parent(stat: &str) -> Option<u32> {
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables_are_read() {
        let mut resident = Resident::default();
        let text = "00400000-7ffc r--p 0 00:00 0 [rollup]\nRss:  100 kB\nPss:   60 kB\nPss_Dirty: 5 kB\n\
                    Private_Clean: 8 kB\nPrivate_Dirty: 4 kB\n";
        resident.add(text);
        resident.add("Rss: 1 kB\n");
        let expected = Resident { processes: 2, resident: 101, proportional: 60, private: 12 };
        assert_eq!(resident, expected);
        assert_eq!(parent("12 (a) b) S 7 1 1"), Some(7));
    }

    #[test]
    fn a_child_is_in_its_parents_tree() {
        let mut sleep = Command::new("sleep").arg("60").spawn().expect("started");
        let found = tree(std::process::id()).contains(&sleep.id());
        let _ = sleep.kill();
        let _ = sleep.wait();
        assert!(found);
    }
}
