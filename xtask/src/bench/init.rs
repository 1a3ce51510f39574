//! `bench init`: servin-init beside other programs that are PID 1 of a container.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::statistics::{median, ratio};
use super::table::Table;
use super::{Options, programs};
use crate::{Result, command, elf, workspace};

const ROUNDS: usize = 10;
const ZOMBIES: &str = "10000";

/// What zombies.c tells of one run.
struct Sample {
    resident_kb: u64,
    dirty_kb: u64,
    reap_ns: u64,
}

pub fn run(options: &Options) -> Result {
    let servin = workspace::dist().join("servin-init");
    let mut inits: Vec<(&str, PathBuf)> = vec![
        ("servin-init", servin),
        ("tini-static", "/usr/bin/tini-static".into()),
        ("tini", "/usr/bin/tini".into()),
        ("dumb-init", "/usr/bin/dumb-init".into()),
        ("catatonit", "/usr/bin/catatonit".into()),
    ];
    inits.retain(|(name, _)| options.wants(name));
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let mut samples: Vec<Vec<Sample>> = inits.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for turn in 0..inits.len() {
            let index = (round + turn) % inits.len();
            let (name, init) = &inits[index];
            samples[index].push(measure(init).map_err(|e| format!("{name}: {e}"))?);
        }
    }
    let mut table = Table::new(&["", "size B", "links", "resident kB", "dirty kB", "reap ms", "ratio"]);
    let of = |samples: &[Sample], field: fn(&Sample) -> u64| median(samples.iter().map(field));
    let reference = samples.first().map_or(0, |first| of(first, |sample| sample.reap_ns));
    for ((name, init), samples) in inits.iter().zip(&samples) {
        let reap = of(samples, |sample| sample.reap_ns);
        table.row(vec![
            name.to_string(),
            size(init)?,
            if elf::libraries(std::slice::from_ref(init))?.is_empty() { "static" } else { "libc" }.to_owned(),
            of(samples, |sample| sample.resident_kb).to_string(),
            of(samples, |sample| sample.dirty_kb).to_string(),
            format!("{:.1}", reap as f64 / 1e6),
            format!("{:.2}", ratio(reap, reference)),
        ]);
    }
    println!(
        "an idle PID 1, and the processor time it takes to reap {ZOMBIES} zombies at once; median of {rounds}\n"
    );
    print!("{}", table.text(options.markdown));
    Ok(())
}

fn size(program: &Path) -> Result<String> {
    let metadata = std::fs::metadata(program).map_err(|e| format!("{}: {e}", program.display()))?;
    Ok(metadata.len().to_string())
}

/// Runs zombies.c under the init in a PID namespace of their own.
fn measure(init: &Path) -> Result<Sample> {
    let mut unshare = Command::new("timeout");
    unshare.args(["--signal=KILL", "60", "unshare", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare.arg(init).arg("--").arg(programs::program("zombies")).arg(ZOMBIES);
    let text = command::output(&mut unshare)?;
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [resident_kb, dirty_kb, reap_ns] = numbers[..] else {
        return Err(format!("{}: printed {text:?}", command::shown(&unshare)));
    };
    Ok(Sample { resident_kb, dirty_kb, reap_ns })
}
