//! `build`: the release artifacts for this host.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::{Result, command, workspace};

/// The programs that users get; `servin` is a link to servin-run, which acts by the name it is called by.
pub const PRODUCTS: [&str; 2] = ["servin-init", "servin-run"];

pub fn command(arguments: &[String]) -> Result {
    if let Some(extra) = arguments.first() {
        return Err(format!("build takes no arguments, not {extra}"));
    }
    build()?;
    println!("built {}: servin-run, servin-init, servin", workspace::dist().display());
    Ok(())
}

/// What makes the products smaller: addresses that are known when they are linked, no tables of jumps, and the short form
/// of AES where the processor has no instructions for it. Not in the profile, which has no such words; nor in cargo's
/// configuration, since the other programs here want none of it.
const SMALL: [&str; 4] =
    ["-Crelocation-model=static", "-Cjump-tables=no", "--cfg", "aes_backend_soft=\"compact\""];

/// What cargo calls crates.io, below the folder of sources.
const CRATES: &str = "registry/src/index.crates.io-1949cf8c6b5b557f";

/// The flags of all crates of a product, as CARGO_ENCODED_RUSTFLAGS has them. In servin-run a function that needs much
/// of the stack stays one of its own, since near places on the stack have shorter names; on x86-64 they are named from
/// the frame, which is a byte less than from the top of the stack; and a panic says where it was by short names of
/// files, which do not tell where the product was built.
pub fn flags(product: &str, target: &str, more: &[String]) -> String {
    let mut flags = more.to_vec();
    flags.extend(SMALL.map(str::to_owned));
    if product == "servin-run" {
        let own = env::home_dir().unwrap_or_default().join(".cargo");
        let cargo = env::var_os("CARGO_HOME").map_or(own, PathBuf::from);
        // For this product alone: cargo does not tell builds apart by the flags of one that has such a flag.
        flags.push(format!("--remap-path-prefix={}=", cargo.join(CRATES).display()));
        flags.push("--remap-path-prefix=servin-run/src=".to_owned());
        flags.push("-Cllvm-args=-inline-max-stacksize=256".to_owned());
        if target.starts_with("x86_64") {
            flags.push("-Cforce-frame-pointers=yes".to_owned());
        }
    }
    flags.join("\u{1f}")
}

/// And at the end, when all of servin-run is one: what many functions have in common is moved into functions, and
/// functions that differ in constants alone become one that is given them.
pub fn link_flags(product: &str) -> &'static [&'static str] {
    match product {
        "servin-run" => &[
            "-Cllvm-args=-enable-machine-outliner=always",
            "-Cllvm-args=-enable-global-merge-func",
            "-Cllvm-args=-disable-cgdata-for-merging",
            // A parameter is one instruction, not two.
            "-Cllvm-args=-global-merging-param-overhead=1",
        ],
        _ => &[],
    }
}

/// Builds both products and puts them into target/dist.
pub fn build() -> Result {
    for product in PRODUCTS {
        build_one(product, &[], &workspace::dist())?;
    }
    let link = workspace::dist().join("servin");
    if fs::read_link(&link).is_ok_and(|to| to.as_os_str() == "servin-run") {
        return Ok(());
    }
    let _ = fs::remove_file(&link);
    symlink("servin-run", &link).map_err(|e| format!("link {}: {e}", link.display()))
}

/// Builds servin-run without the feature `tls` and puts it into a folder of target/dist.
pub fn build_without_tls(folder: &str) -> Result {
    build_one("servin-run", &["--no-default-features"], &workspace::dist().join(folder))
}

/// One cargo call each: in one build the features of both would be united. With a target, even if it is this host, the
/// flags are not those of build scripts and macros.
fn build_one(product: &str, arguments: &[&str], folder: &Path) -> Result {
    let host = host()?;
    let mut cargo = command::cargo();
    cargo.args(["rustc", "--quiet", "--release", "--package", product, "--bin", product, "--target", &host]);
    cargo.args(arguments).arg("--").args(link_flags(product));
    command::run(cargo.env("CARGO_ENCODED_RUSTFLAGS", flags(product, &host, &[])).env_remove("RUSTFLAGS"))?;
    let built = workspace::target().join(&host).join("release").join(product);
    workspace::install(&built, &folder.join(product))
}

/// The target that this host's compiler builds for.
fn host() -> Result<String> {
    let mut rustc = Command::new("rustc");
    rustc.arg("-vV").current_dir(workspace::root());
    let said = command::output(&mut rustc)?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| format!("rustc names no host: {said}"))
}
