//! Runs contenders in turns and takes their measure with the program measure.c.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::statistics::median;
use super::{Options, programs};
use crate::{Result, command, workspace};

/// Some runtimes hang now and then; that is a finding, and must not end the benchmark's machine.
const TIME_LIMIT: Duration = Duration::from_secs(20);

/// Between two runs: tearing namespaces down goes on after the program has ended.
const PAUSE: Duration = Duration::from_millis(15);

const WARM_UP_ROUNDS: usize = 3;

/// Stands in a command line for a name that no other run uses.
pub const ID: &str = "{id}";

/// One of those compared.
pub struct Contender {
    pub name: &'static str,
    /// The command line, with [`ID`] where each run needs a name of its own.
    pub line: Vec<String>,
}

impl Contender {
    pub fn new(name: &'static str, line: &[&str]) -> Self {
        Contender { name, line: line.iter().map(|word| word.to_string()).collect() }
    }

    /// The command line of one run.
    pub fn line(&self, run: usize) -> Vec<String> {
        let id = format!("bench-{}-{run}", std::process::id());
        self.line.iter().map(|word| word.replace(ID, &id)).collect()
    }
}

/// What one run took.
#[derive(Clone, Copy)]
pub struct Sample {
    pub wall_ns: u64,
    pub cpu_us: u64,
    /// Of the largest process.
    pub peak_kb: u64,
}

/// All runs of one contender.
pub struct Measured {
    pub name: &'static str,
    pub samples: Vec<Sample>,
}

impl Measured {
    pub fn median(&self, of: impl Fn(&Sample) -> u64) -> u64 {
        median(self.samples.iter().map(of))
    }

    pub fn least(&self, of: impl Fn(&Sample) -> u64) -> u64 {
        self.samples.iter().map(of).min().unwrap_or(0)
    }
}

/// The contenders that were asked for; an error for a name that is none of them.
pub fn chosen(all: Vec<Contender>, options: &Options) -> Result<Vec<Contender>> {
    let names: Vec<&str> = all.iter().map(|contender| contender.name).collect();
    if let Some(unknown) = options.only.iter().find(|name| !names.contains(&name.as_str())) {
        return Err(format!("{unknown} is none of {}", names.join(", ")));
    }
    Ok(all.into_iter().filter(|contender| options.wants(contender.name)).collect())
}

/// Runs every contender once a round, the first of a round being another one each time.
pub fn measure(contenders: &[Contender], rounds: usize) -> Result<Vec<Measured>> {
    let mut measured: Vec<Measured> =
        contenders.iter().map(|c| Measured { name: c.name, samples: Vec::with_capacity(rounds) }).collect();
    for round in 0..WARM_UP_ROUNDS + rounds {
        for turn in 0..contenders.len() {
            let index = (round + turn) % contenders.len();
            let sample = run(&contenders[index], round)?;
            if round >= WARM_UP_ROUNDS {
                measured[index].samples.push(sample);
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(measured)
}

/// Runs one contender once.
pub fn run(contender: &Contender, round: usize) -> Result<Sample> {
    let report = programs::folder().join("report");
    let line = contender.line(round);
    let mut measure = Command::new(programs::program("measure"));
    measure.arg(&report).args(&line);
    let mut child = spawn(&mut measure)?;
    let within = |what: String| format!("{} ({}): {what}{}", contender.name, line.join(" "), complaint());
    let status = command::wait_until(&mut child, Instant::now() + TIME_LIMIT)
        .ok_or_else(|| within(format!("no end after {} s", TIME_LIMIT.as_secs())))?;
    if !status.success() {
        return Err(within(format!("measure: {status}")));
    }
    let bytes = workspace::read(&report)?;
    let (sample, status) = sample(&bytes).ok_or("measure left no report")?;
    if status != 0 {
        return Err(within(format!("wait status {status:#x}")));
    }
    Ok(sample)
}

/// The numbers of measure.c: wall, user, system, peak, status.
fn sample(report: &[u8]) -> Option<(Sample, u64)> {
    let (numbers, rest) = report.as_chunks::<8>();
    let [wall_ns, user, system, peak_kb, status] = numbers else { return None };
    let number = |bytes: &[u8; 8]| u64::from_ne_bytes(*bytes);
    let cpu_us = number(user) + number(system);
    let sample = Sample { wall_ns: number(wall_ns), cpu_us, peak_kb: number(peak_kb) };
    rest.is_empty().then_some((sample, number(status)))
}

/// What the last program wrote to standard error.
fn errors() -> PathBuf {
    programs::folder().join("stderr")
}

/// Starts a program in a process group of its own, quietly, its complaints kept for [`complaint`].
pub fn spawn(program: &mut Command) -> Result<Child> {
    let stderr = fs::File::create(errors()).map_err(|e| format!("create {}: {e}", errors().display()))?;
    program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).process_group(0);
    program.spawn().map_err(|e| format!("{}: {e}", command::shown(program)))
}

/// The complaints of the last program, to be put behind a message.
pub fn complaint() -> String {
    let text = fs::read_to_string(errors()).unwrap_or_default();
    if text.trim().is_empty() { String::new() } else { format!(": {}", text.trim()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_has_five_numbers() {
        let report: Vec<u8> = [5_u64, 3, 4, 9, 256].iter().flat_map(|n| n.to_ne_bytes()).collect();
        let (read, status) = sample(&report).expect("read");
        assert_eq!((read.wall_ns, read.cpu_us, read.peak_kb, status), (5, 7, 9, 256));
        assert!(sample(&report[8..]).is_none() && sample(&report[..39]).is_none());
    }

    #[test]
    fn each_run_has_a_name_of_its_own() {
        let contender = Contender::new("crun", &["crun", "run", ID]);
        assert_ne!(contender.line(1), contender.line(2));
        assert_eq!(contender.line(1)[..2], ["crun", "run"]);
    }
}
