//! `dist`: both products for the four musl targets, checked to be static, with their checksums.
//!
//! Where rustup has the target installed its core is used; elsewhere core and alloc are built from Debian's Rust
//! source, which wants Debian's compiler of the same release.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::build::PRODUCTS;
use crate::elf::{self, Elf};
use crate::{Result, build, command, debian, workspace};

/// A target of the distribution.
pub struct Target {
    pub name: &'static str,
    machine: u16,
    bits: u32,
    /// QEMU's name of the architecture.
    qemu: &'static str,
}

pub const TARGETS: [Target; 4] = [
    Target { name: "x86_64-unknown-linux-musl", machine: elf::EM_X86_64, bits: 64, qemu: "x86_64" },
    Target { name: "aarch64-unknown-linux-musl", machine: elf::EM_AARCH64, bits: 64, qemu: "aarch64" },
    Target { name: "riscv64gc-unknown-linux-musl", machine: elf::EM_RISCV, bits: 64, qemu: "riscv64" },
    Target { name: "armv7-unknown-linux-musleabihf", machine: elf::EM_ARM, bits: 32, qemu: "arm" },
];

/// With these flags one linker serves every target, and no C compiler for it is wanted. link.rs knows the
/// flavour by the second one.
const LINKER: [&str; 2] = ["-Clinker-flavor=ld.lld", "-Clink-self-contained=no"];

pub fn command(arguments: &[String]) -> Result {
    let mut check = false;
    let mut wanted: Vec<&Target> = Vec::new();
    for argument in arguments {
        match TARGETS.iter().find(|target| target.name == argument) {
            Some(target) => wanted.push(target),
            None if argument == "--check" => check = true,
            None => return Err(format!("dist takes names of targets and --check, not {argument}")),
        }
    }
    if wanted.is_empty() {
        wanted.extend(&TARGETS);
    }
    for target in &wanted {
        let begin = Instant::now();
        build_for(target)?;
        for product in PRODUCTS {
            println!("{}", inspect(target, &folder(target).join(product))?);
        }
        checksums(target)?;
        println!("{}: {} s", target.name, begin.elapsed().as_secs());
    }
    documents()?;
    if check {
        wanted.iter().try_for_each(|target| smoke(target))?;
    }
    Ok(())
}

/// The manual pages and the completions, which this host's own build prints: they are the same everywhere.
fn documents() -> Result {
    build::build()?;
    let servin = workspace::dist().join("servin");
    let manual = workspace::dist().join("man");
    fs::create_dir_all(&manual).map_err(|e| format!("make {}: {e}", manual.display()))?;
    command::run(Command::new(&servin).args(["man", "--output"]).arg(&manual))?;
    for shell in ["bash", "zsh", "fish"] {
        let script = command::output(Command::new(&servin).args(["completion", shell]))?;
        workspace::write(&workspace::dist().join("completions").join(format!("servin.{shell}")), script)?;
    }
    Ok(())
}

fn folder(target: &Target) -> PathBuf {
    workspace::dist().join(target.name)
}

fn build_for(target: &Target) -> Result {
    // A folder of its own: what the other compiler leaves must not make the host's builds start anew.
    let target_dir = workspace::target().join("musl");
    for product in PRODUCTS {
        let mut cargo = command::cargo();
        cargo.args(["rustc", "--release", "--package", product, "--bin", product, "--target", target.name]);
        cargo.arg("--target-dir").arg(&target_dir).arg("--").args(build::link_flags(product));
        // By the environment, because servin-run's build script runs a cargo of its own for servin-init.
        let linker = [&format!("-Clinker={}", linker()?.display()), LINKER[0], LINKER[1]];
        cargo.env("CARGO_ENCODED_RUSTFLAGS", build::flags(product, target.name, &linker.map(str::to_owned)));
        cargo.env_remove("RUSTFLAGS");
        if !sysroot()?.join("lib/rustlib").join(target.name).join("lib").is_dir() {
            if !is_new_enough() {
                let reason = format!("{} without rustup's target", target.name);
                debian::ensure_newest(&["rustc-web", "rust-web-src"], &reason)?;
            }
            cargo.env("RUSTC", "/usr/bin/rustc");
            cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_UNSTABLE_BUILD_STD", "core,alloc");
        }
        command::run(&mut cargo)?;
        let built = target_dir.join(target.name).join("release").join(product);
        workspace::install(&built, &folder(target).join(product))?;
    }
    Ok(())
}

/// Whether Debian's compiler is there and can build this workspace.
fn is_new_enough() -> bool {
    let said = command::output(Command::new("/usr/bin/rustc").arg("--version")).unwrap_or_default();
    let minor = |version: &str| version.strip_prefix("1.")?.split('.').next()?.parse::<u32>().ok();
    said.split(' ').nth(1).and_then(minor) >= minor(env!("CARGO_PKG_RUST_VERSION"))
}

fn sysroot() -> Result<PathBuf> {
    // From the repository, where rustup picks the toolchain that cargo uses.
    let mut rustc = Command::new("rustc");
    rustc.args(["--print", "sysroot"]).current_dir(workspace::root());
    Ok(PathBuf::from(command::output(&mut rustc)?.trim()))
}

/// rust-lld, which comes with rustup's toolchain.
fn linker() -> Result<PathBuf> {
    let rustlib = sysroot()?.join("lib/rustlib");
    let entries = fs::read_dir(&rustlib).map_err(|e| format!("read {}: {e}", rustlib.display()))?;
    let linkers = entries.flatten().map(|entry| entry.path().join("bin/rust-lld"));
    linkers.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        format!("no rust-lld under {}: dist needs a toolchain installed by rustup", rustlib.display())
    })
}

/// One line about the file; an error unless it is a static program for the target's machine.
fn inspect(target: &Target, path: &Path) -> Result<String> {
    let bytes = workspace::read(path)?;
    let within = |e| format!("{}: {e}", path.display());
    let elf = Elf::parse(&bytes).map_err(within)?;
    let (machine, bits) = (elf.machine().map_err(within)?, elf.bits());
    if (machine, bits) != (target.machine, target.bits) {
        return Err(within(format!("is for {} of {bits} bits", elf::machine_name(machine))));
    }
    elf.check_static().map_err(within)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Ok(format!(
        "{}/{name}: {bits}-bit {}, static, {} bytes",
        target.name,
        elf::machine_name(machine),
        bytes.len()
    ))
}

fn checksums(target: &Target) -> Result {
    let folder = folder(target);
    let sums = command::output(Command::new("sha256sum").args(PRODUCTS).current_dir(&folder))?;
    workspace::write(&folder.join("SHA256SUMS"), sums)
}

/// Starts both programs under QEMU's user emulation: the entry point, the arguments and the exit code are right.
fn smoke(target: &Target) -> Result {
    debian::ensure(&["qemu-user-static"], "dist --check")?;
    for (product, argument) in [("servin-init", "--version"), ("servin-run", "--version")] {
        let mut qemu = Command::new(format!("qemu-{}-static", target.qemu));
        qemu.arg(folder(target).join(product)).arg(argument);
        let status = command::watch(&mut qemu, Duration::from_secs(60), |_| ())?;
        command::judged(&qemu, status)?;
        println!("{}/{product} {argument}: ran under emulation", target.name);
    }
    Ok(())
}
