//! `bench seccomp`: what the container tools' default profile costs each system call, in Servin's program and in those
//! of its peers: instructions run, and the time of a getppid(2) inside.

use std::path::Path;
use std::process::{Command, Stdio};

use super::statistics::{median, ratio};
use super::table::Table;
use super::{Options, bundle, lifecycle, programs};
use crate::{Result, command, workspace};

const ROUNDS: usize = 20;
const STAYING: &str = "bench-filtered";

/// One runtime's figures.
struct Measured {
    name: &'static str,
    /// Instructions by call.
    steps: Vec<(String, u64)>,
    /// The whole program.
    length: u64,
    /// Picoseconds of one call, by round.
    times: Vec<u64>,
}

pub fn run(options: &Options) -> Result {
    let root = bundle::root()?;
    workspace::install(&programs::program("filter"), &root.join("filter"))?;
    let bundle = bundle::make("bundle-filtered", &root, &[bundle::PAYLOAD, "stay"])?;
    let path = bundle.join("config.json");
    let config = workspace::read_text(&path)?;
    let profile = profile(include_str!("../../../servin-run/build/default-seccomp.json"))?;
    let filtered =
        config.replacen("\"namespaces\":", &format!("\"seccomp\": {profile},\n\"namespaces\":"), 1);
    workspace::write(&path, filtered)?;
    let runtimes: Vec<_> =
        lifecycle::runtimes()?.into_iter().filter(|(name, _)| options.wants(name)).collect();
    let folder = bundle.display().to_string();
    let outcome = runtimes
        .iter()
        .try_for_each(|(_, line)| call(line, &["run", "--detach", "--bundle", &folder, STAYING]).map(drop))
        .and_then(|()| measure(&runtimes, options.rounds.unwrap_or(ROUNDS)));
    for (_, line) in &runtimes {
        let _ = call(line, &["delete", "--force", STAYING]);
    }
    print(&outcome?, options.markdown);
    if options.wants("servin-run") {
        let plain = bundle::make("bundle-unfiltered", &root, &[bundle::PAYLOAD])?;
        let rounds = options.rounds.unwrap_or(ROUNDS) * 5;
        let [with, without] = [&bundle, &plain].map(|bundle| planning(bundle, rounds));
        println!(
            "\ncompiling the profile: {} µs (servin-run; a plan with it takes {} µs, without {} µs; {rounds} rounds)",
            with.clone()?.saturating_sub(without.clone()?),
            with?,
            without?
        );
    }
    Ok(())
}

/// The microseconds that Servin's plan for the configuration of a bundle takes.
fn planning(bundle: &Path, rounds: usize) -> Result<u64> {
    let program = workspace::dist().join("servin-run");
    let mut times = Vec::new();
    for _ in 0..rounds {
        let mut command = Command::new(&program);
        command.args(["run", "--trace", "--plan", "--bundle"]).arg(bundle).arg(STAYING);
        let output = command.output().map_err(|e| format!("{}: {e}", program.display()))?;
        let trace = String::from_utf8_lossy(&output.stderr);
        let line = trace.lines().find(|line| line.ends_with("make the plan"));
        let time = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        times.push(time.ok_or_else(|| format!("no time for the plan: {trace}"))?);
    }
    Ok(median(times))
}

fn call(line: &str, arguments: &[&str]) -> Result<String> {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).args(arguments).stdin(Stdio::null());
    if arguments.first() == Some(&"run") {
        // A container that stays would keep a pipe open.
        return command::run(&mut command).map(|()| String::new());
    }
    command::output(&mut command)
}

fn measure(runtimes: &[(&'static str, String)], rounds: usize) -> Result<Vec<Measured>> {
    let mut all = Vec::new();
    for (name, line) in runtimes {
        let state = call(line, &["state", STAYING])?;
        let pid: String = state
            .split("\"pid\":")
            .nth(1)
            .map(|rest| rest.trim_start().chars().take_while(char::is_ascii_digit).collect())
            .ok_or("the state has no pid")?;
        let text = command::output(Command::new(programs::program("filter")).arg(pid))?;
        let mut measured = Measured { name, steps: Vec::new(), length: 0, times: Vec::new() };
        for line in text.lines() {
            let mut words = line.split(' ');
            let name = words.next().unwrap_or_default().to_owned();
            let mut number = || words.next().and_then(|word| word.parse().ok()).ok_or("an odd line");
            measured.steps.push((name, number()?));
            measured.length = number()?;
        }
        all.push(measured);
    }
    for _ in 0..rounds {
        for (measured, (_, line)) in all.iter_mut().zip(runtimes) {
            let text = call(line, &["exec", STAYING, "/filter", "loop", "300000"])?;
            measured.times.push(text.trim().parse().map_err(|e| format!("{text}: {e}"))?);
        }
    }
    Ok(all)
}

fn print(all: &[Measured], markdown: bool) {
    let names: Vec<&str> = all.iter().map(|measured| measured.name).collect();
    let mut table = Table::new(&[&["instructions run for"][..], &names].concat());
    let calls = all.first().map_or(Vec::new(), |first| first.steps.iter().map(|(name, _)| name).collect());
    for (index, name) in calls.iter().enumerate() {
        let cell =
            |measured: &Measured| measured.steps.get(index).map_or(String::new(), |(_, n)| n.to_string());
        table.row([vec![name.to_string()], all.iter().map(cell).collect()].concat());
    }
    let lengths = all.iter().map(|measured| measured.length.to_string()).collect();
    table.row([vec!["(the whole program)".to_owned()], lengths].concat());
    let own = all.first().map_or(0, |first| median(first.times.iter().copied()));
    let time = |measured: &Measured| {
        let time = median(measured.times.iter().copied());
        format!("{:.1} ns ({:.2}×)", time as f64 / 1000.0, ratio(time, own))
    };
    table.row([vec!["getppid inside".to_owned()], all.iter().map(time).collect()].concat());
    print!("{}", table.text(markdown));
}

/// The profile in the form of the specification, for a process with runc's default capabilities. The file has a rule
/// a line, and is edited as the text it is.
fn profile(text: &str) -> Result<String> {
    let mut rules = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| line.starts_with("{\"names\"")) {
        let part = |key: &str| {
            line.split(&format!("\"{key}\": ")).nth(1).map(|rest| rest.split('}').next().unwrap_or(rest))
        };
        let held = |part: &str| part.contains("CAP_AUDIT_WRITE");
        let here = |part: &str| part.contains("\"amd64\"");
        let included = part("includes").is_none_or(|part| held(part) || here(part));
        if !included || part("excludes").is_some_and(held) {
            continue;
        }
        let mut rule = line.trim_end_matches(',').to_owned();
        for key in ["includes", "excludes"] {
            if let Some(start) = rule.find(&format!(", \"{key}\": ")) {
                let end = start + rule[start..].find('}').ok_or("a rule without an end")? + 1;
                rule.replace_range(start..end, "");
            }
        }
        rules.push(rule);
    }
    Ok(format!(
        "{{ \"defaultAction\": \"SCMP_ACT_ERRNO\", \"defaultErrnoRet\": 38, \"architectures\": [\"SCMP_ARCH_X86_64\", \
         \"SCMP_ARCH_X86\", \"SCMP_ARCH_X32\"], \"syscalls\": [{}] }}",
        rules.join(",\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_for_other_capabilities_and_machines_are_left_out() {
        let text = "\
            {\"names\": [\"a\"], \"action\": \"X\"},\n\
            {\"names\": [\"b\"], \"action\": \"X\", \"includes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}},\n\
            {\"names\": [\"c\"], \"action\": \"X\", \"excludes\": {\"caps\": [\"CAP_SYS_ADMIN\"]}, \"errnoRet\": 1},\n\
            {\"names\": [\"d\"], \"action\": \"X\", \"includes\": {\"arches\": [\"amd64\", \"x32\"]}}\n";
        let profile = profile(text).expect("edited");
        let rules = "[{\"names\": [\"a\"], \"action\": \"X\"},\n{\"names\": [\"c\"], \"action\": \"X\", \"errnoRet\": 1},\n\
                     {\"names\": [\"d\"], \"action\": \"X\"}]";
        assert!(profile.contains(rules), "{profile}");
    }
}
