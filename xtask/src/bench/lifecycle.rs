//! `bench lifecycle`: what engines do with a runtime: create, start and delete a container, and run one more process
//! in one that is there.

use std::path::Path;
use std::process::Command;

use super::runner::{Contender, ID, Measured, chosen, measure};
use super::start::table;
use super::{Options, bundle, programs};
use crate::{Result, command, workspace};

const ROUNDS: usize = 50;

/// The container that `exec` enters.
const STAYING: &str = "bench-staying";

pub fn run(options: &Options) -> Result {
    let root = bundle::root()?;
    let ending = bundle::make("bundle", &root, &[bundle::PAYLOAD])?;
    let staying = bundle::make("bundle-staying", &root, &[bundle::PAYLOAD, "stay"])?;
    let rounds = options.rounds.unwrap_or(ROUNDS);
    let runtimes = runtimes()?;
    let mut lives = Vec::new();
    let mut entries = Vec::new();
    for (name, call) in &runtimes {
        // One shell for the three of them, the same for everybody.
        let life = format!(
            "{call} create --bundle {} {ID} && {call} start {ID} && {call} delete --force {ID}",
            ending.display()
        );
        lives.push(Contender::new(name, &["/bin/sh", "-c", &life]));
        let mut line: Vec<&str> = call.split(' ').collect();
        line.extend(["exec", STAYING, bundle::PAYLOAD]);
        entries.push(Contender::new(name, &line));
    }
    let lives = measure(&chosen(lives, options)?, rounds)?;
    println!("create, start and delete (and a shell that calls them); {rounds} interleaved rounds\n");
    print!("{}", table(&lives).text(options.markdown));
    let entered = with_containers(&runtimes, &staying, || measure(&chosen(entries, options)?, rounds))?;
    println!("\nexec of a payload of one page in a container that is there\n");
    print!("{}", table(&entered).text(options.markdown));
    Ok(())
}

/// The names of the runtimes, and how they are called: program and global flags.
pub fn runtimes() -> Result<Vec<(&'static str, String)>> {
    let state = |name: &str| programs::folder().join("state").join(name).display().to_string();
    let call =
        |name: &'static str, program: &Path| (name, format!("{} --root {}", program.display(), state(name)));
    let mut all = vec![call("servin-run", &workspace::dist().join("servin-run"))];
    for name in ["crun", "runc"] {
        all.push(call(name, &command::find(name)?));
    }
    Ok(all)
}

/// Measures while every runtime has a container that stays.
fn with_containers(
    runtimes: &[(&'static str, String)],
    bundle: &Path,
    measure: impl FnOnce() -> Result<Vec<Measured>>,
) -> Result<Vec<Measured>> {
    let call = |line: &str, arguments: &[&str]| {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().unwrap_or_default());
        command::run(command.args(words).args(arguments).stdin(std::process::Stdio::null()))
    };
    let folder = bundle.display().to_string();
    let started = runtimes
        .iter()
        .try_for_each(|(_, line)| call(line, &["run", "--detach", "--bundle", &folder, STAYING]));
    let measured = started.and_then(|()| measure());
    for (_, line) in runtimes {
        let _ = call(line, &["delete", "--force", STAYING]);
    }
    measured
}
