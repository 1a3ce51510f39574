//! `test`: unit tests, the integration tests on this host, and the same test programs inside QEMU.
//!
//! Every run of a test program is one that fails when it hangs, and ends with a plain line that sums all up.

mod libtest;
mod skips;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use self::libtest::Tally;
use crate::qemu::{self, Root, TestProgram};
use crate::{Result, build, command, debian, workspace};

/// For one test program, or one cargo call with what it compiles. A busy machine must be able to meet it.
const TIME_LIMIT: Duration = Duration::from_secs(15 * 60);

/// Test programs of this name or beginning bring an engine with them: `test engines`.
const ENGINES: &str = "engine";

/// Test programs of this name or beginning need the controllers of a unified cgroup hierarchy, as QEMU's machine has it.
const UNIFIED: &str = "unified";

/// Test programs of this name or beginning need systemd as PID 1: `test systemd`.
const SYSTEMD: &str = "systemd";

/// Test programs of this name or beginning start Debian's registry, which QEMU's machine has no place for.
const REGISTRIES: &str = "registry";

/// Test programs of this name or beginning make images by tools that QEMU's machine has no place for either.
const IMAGES: &str = "image";

/// Printed before each test program's own output.
pub const RUNNING: &str = "xtask: running ";

/// What the host's tests use, and `test` therefore installs.
const HOST_PACKAGES: &[&str] = &[
    "busybox-static",
    "debootstrap",
    "python3-minimal",
    "crun",
    "runc",
    "bubblewrap",
    "uidmap",
    "passt",
    "nftables",
    "zsh",
    "fish",
    "groff-base",
    "docker-registry",
    "skopeo",
    "umoci",
    "buildah",
    "golang-github-containers-common",
    "squashfs-tools",
    "erofs-utils",
    "zstd",
    "apache2-utils",
    "curl",
    "nginx-light",
    "slirp4netns",
    "openssl",
];

/// The engines and what they want beside them.
const ENGINE_PACKAGES: &[&str] = &[
    "podman",
    "conmon",
    "netavark",
    "catatonit",
    "golang-github-containers-common",
    "buildah",
    "containerd",
    "uidmap",
];

/// What each cargo call tests; within one, cargo unites the features. Of servin-tests only the library: its test
/// programs want the artifacts.
const UNIT: &[&[&str]] = &[
    &["--package=servin-init", "--package=servin-run"],
    &["--package=xtask"],
    &["--package=rootfs-fixtures"],
    &["--package=servin-tests", "--lib"],
];

pub fn command(arguments: &[String]) -> Result {
    let split = arguments.iter().position(|argument| argument == "--");
    let (names, filter) = match split {
        Some(at) => (&arguments[..at], &arguments[at + 1..]),
        None => (arguments, [].as_slice()),
    };
    let mut wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    if wanted.is_empty() {
        wanted = vec!["unit", "host", "engines", "qemu", "systemd"];
    }
    let known = ["unit", "host", "qemu", "systemd", "engines"];
    if let Some(unknown) =
        wanted.iter().find(|name| !known.contains(&name.split('/').next().unwrap_or_default()))
    {
        return Err(format!("test knows unit, host, qemu, systemd and engines, not {unknown}"));
    }
    let mut total = Tally::default();
    let mut errors = Vec::new();
    for name in wanted {
        println!("xtask: test {name}");
        let mut tally = Tally::default();
        let (name, program) = name.split_once('/').unwrap_or((name, ""));
        let outcome = match name {
            "unit" => unit(filter, &mut tally),
            "host" => host(program, filter, &mut tally),
            "qemu" => in_qemu(&Root::Busybox, program, filter, &mut tally),
            "systemd" => Root::systemd().and_then(|root| in_qemu(&root, program, filter, &mut tally)),
            _ => engines(program, filter, &mut tally),
        };
        // One environment's failure does not keep the others from running.
        if let Err(error) = outcome {
            errors.push(format!("{name}: {error}"));
        }
        tally.end_program();
        errors.extend(tally.forbidden_skips(name));
        total.add(tally);
    }
    report(&total, errors)
}

fn report(total: &Tally, errors: Vec<String>) -> Result {
    for (test, why) in &total.skipped {
        println!("skipped: {test}: {why}");
    }
    for error in &errors {
        println!("failed: {error}");
    }
    // A program that died or hung has failed without any test of it saying so.
    let failed = total.failed.max(usize::from(!errors.is_empty()));
    println!("{} passed, {failed} failed, {} skipped", total.passed(), total.skipped.len());
    match failed {
        0 => Ok(()),
        _ => Err("tests failed".to_owned()),
    }
}

/// The variables by which the tests find what they test.
pub fn environment(name: &str, dist: &Path, fixtures: &Path) -> Vec<(&'static str, String)> {
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    vec![
        ("SERVIN_RUN", text(dist.join("servin-run"))),
        ("SERVIN", text(dist.join("servin"))),
        ("SERVIN_INIT", text(dist.join("servin-init"))),
        ("SERVIN_PROBE", text(fixtures.join("probe"))),
        ("SERVIN_FIXTURES", text(fixtures.to_owned())),
        ("SERVIN_ENVIRONMENT", name.to_owned()),
    ]
}

/// The libraries' own tests.
fn unit(filter: &[String], tally: &mut Tally) -> Result {
    for what in UNIT {
        let mut cargo = command::cargo();
        cargo.args(["test", "--quiet"]).args(*what);
        // --quiet prints dots for tests; the lines of failures and the results stay.
        cargo.args(["--", "--show-output"]).args(filter);
        let status = command::watch(&mut cargo, TIME_LIMIT, |line| {
            tally.line(line);
            // One cargo call runs several programs, and no unit test quotes the harness.
            tally.end_program();
        })?;
        command::judged(&cargo, status)?;
    }
    Ok(())
}

/// The integration tests on this machine, as root.
fn host(program: &str, filter: &[String], tally: &mut Tally) -> Result {
    debian::ensure(HOST_PACKAGES, "the tests")?;
    let elsewhere = [ENGINES, UNIFIED, SYSTEMD];
    let programs = prepare(program, |name| !elsewhere.iter().any(|begin| name.starts_with(begin)))?;
    run_here("host", &programs, filter, tally)
}

/// Other people's engines with Servin as their runtime.
fn engines(program: &str, filter: &[String], tally: &mut Tally) -> Result {
    debian::ensure(HOST_PACKAGES, "the tests")?;
    debian::ensure(ENGINE_PACKAGES, "the engines' tests")?;
    let programs = prepare(program, |name| name.starts_with(ENGINES))?;
    run_here("engines", &programs, filter, tally)
}

/// The integration tests in a machine of their own; under systemd those that are about it.
fn in_qemu(root: &Root, program: &str, filter: &[String], tally: &mut Tally) -> Result {
    debian::ensure(HOST_PACKAGES, "the tests")?;
    let about_systemd = matches!(root, Root::Systemd(_));
    let programs = prepare(program, |name| {
        name.starts_with(SYSTEMD) == about_systemd
            && !name.starts_with(ENGINES)
            && !name.starts_with(REGISTRIES)
            && !name.starts_with(IMAGES)
    })?;
    let arguments = [&["--show-output".to_owned()], filter].concat();
    let failed = qemu::run(root, &programs, &arguments, |line| tally.line(line))?;
    if failed.is_empty() { Ok(()) } else { Err(format!("failed test programs: {}", failed.join(", "))) }
}

/// Builds the artifacts, the fixtures and the test programs; returns those whose name is wanted, or only `program`.
fn prepare(program: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<TestProgram>> {
    build::build()?;
    let fixtures = workspace::target().join("fixtures");
    let mut make = command::cargo();
    make.args(["run", "--quiet", "--package", "rootfs-fixtures", "--", "make"])
        .arg(&fixtures)
        .arg("--debian");
    let status = command::watch(&mut make, TIME_LIMIT, |_| ())?;
    command::judged(&make, status)?;
    let json = command::output(command::cargo().args([
        "test",
        "--quiet",
        "--package",
        "servin-tests",
        "--no-run",
        "--message-format=json",
    ]))?;
    let mut programs = libtest::programs(&json);
    programs.retain(|found| wanted(&found.name) && (program.is_empty() || found.name == program));
    if programs.is_empty() { Err("there are no such test programs yet".to_owned()) } else { Ok(programs) }
}

fn run_here(name: &str, programs: &[TestProgram], filter: &[String], tally: &mut Tally) -> Result {
    let variables = environment(name, &workspace::dist(), &workspace::target().join("fixtures"));
    let mut failed = Vec::new();
    for program in programs {
        println!("{RUNNING}{}", program.name);
        tally.end_program();
        let mut test = Command::new(&program.path);
        // Where cargo would run it.
        test.current_dir(workspace::root().join("tests")).envs(variables.iter().cloned());
        test.arg("--show-output").args(filter);
        match command::watch(&mut test, TIME_LIMIT, |line| tally.line(line)) {
            Ok(status) if status.success() => (),
            Ok(status) => failed.push(format!("{} ({status})", program.name)),
            Err(error) => failed.push(error),
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(format!("failed test programs: {}", failed.join(", "))) }
}
