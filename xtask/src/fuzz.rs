//! `fuzz`: LLVM's fuzzer on everything that reads what strangers wrote (tests/fuzz), for a while each.
//!
//! The counters come from a pass of stable rustc's LLVM, so that neither a nightly compiler nor cargo-fuzz is needed.
//! What was found interesting stays in target/fuzz/corpus, and the next run goes on from there.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, command, workspace};

/// Edge counters inline, and the operands of comparisons, by which words such as names of fields are guessed.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing -Ccodegen-units=1";

/// How long each target is run unless it is said.
const SECONDS: u64 = 60;
/// One input may take as much memory (MiB), and as long (s): what strangers send must not exhaust a small host.
const MEMORY: u32 = 512;
const PATIENCE: u32 = 10;

pub fn command(arguments: &[String]) -> Result {
    let mut seconds = SECONDS;
    let mut wanted = Vec::new();
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        if argument == "--seconds" {
            let value = rest.next().and_then(|value| value.parse().ok());
            seconds = value.ok_or("--seconds needs a number")?;
        } else {
            wanted.push(argument.as_str());
        }
    }
    let all = targets()?;
    if let Some(unknown) = wanted.iter().find(|name| !all.iter().any(|target| target == *name)) {
        return Err(format!("there is no fuzz target {unknown}: there are {}", all.join(", ")));
    }
    let chosen: Vec<&String> =
        all.iter().filter(|name| wanted.is_empty() || wanted.contains(&name.as_str())).collect();
    println!("xtask: fuzz {} targets for {seconds} s each", chosen.len());
    let host = build()?;
    let mut failed = Vec::new();
    for pair in chosen.chunks(2) {
        let running: Vec<_> = pair.iter().map(|name| start(&host, name, seconds)).collect::<Result<_>>()?;
        for (name, child) in pair.iter().zip(running) {
            failed.extend(finish(name, child).err());
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

fn home() -> PathBuf {
    workspace::root().join("tests/fuzz")
}

/// The targets' names: their files'.
fn targets() -> Result<Vec<String>> {
    let folder = home().join("targets");
    let entries = std::fs::read_dir(&folder).map_err(|e| format!("read {}: {e}", folder.display()))?;
    let mut names: Vec<String> =
        entries.filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// Builds all targets; the host's triple keeps the flags from build scripts.
fn build() -> Result<PathBuf> {
    let version = command::output(Command::new("rustc").arg("-vV"))?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).ok_or("rustc names no host")?;
    let folder = workspace::target().join("fuzz");
    let mut cargo = command::cargo();
    cargo.current_dir(home()).env("RUSTFLAGS", RUSTFLAGS);
    cargo.args(["build", "--quiet", "--release", "--target", host, "--target-dir"]).arg(&folder);
    command::run(&mut cargo)?;
    Ok(folder.join(host).join("release"))
}

fn start(programs: &Path, name: &str, seconds: u64) -> Result<std::process::Child> {
    let place = |kind: &str| workspace::target().join("fuzz").join(kind).join(name);
    for kind in ["corpus", "artifacts"] {
        std::fs::create_dir_all(place(kind)).map_err(|e| format!("make {}: {e}", place(kind).display()))?;
    }
    let mut fuzzer = Command::new(programs.join(name));
    fuzzer.arg(place("corpus"));
    let seeds = home().join("seeds").join(name);
    if seeds.is_dir() {
        fuzzer.arg(seeds);
    }
    fuzzer.arg(format!("-artifact_prefix={}/", place("artifacts").display()));
    fuzzer.args([
        format!("-max_total_time={seconds}"),
        format!("-timeout={PATIENCE}"),
        format!("-rss_limit_mb={MEMORY}"),
        "-print_final_stats=1".to_owned(),
        "-verbosity=0".to_owned(),
    ]);
    fuzzer.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    fuzzer.spawn().map_err(|e| format!("{}: {e}", command::shown(&fuzzer)))
}

/// Says how many inputs were tried; a failure is shown whole, with the file of the input that made it.
fn finish(name: &str, child: std::process::Child) -> Result {
    // The fuzzer keeps its own time.
    let output = child.wait_with_output().map_err(|e| format!("wait for {name}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    let count = said.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    println!("fuzz: {name}: {} inputs", count.unwrap_or(" unknown").trim());
    match (output.status.success(), count) {
        (true, Some(_)) => Ok(()),
        (true, None) => Err(format!("{name} tried nothing: {said}")),
        _ => {
            eprintln!("{said}");
            Err(format!("fuzz target {name} failed ({})", output.status))
        }
    }
}
