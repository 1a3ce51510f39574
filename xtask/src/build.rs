//! `build`: the release artifacts for this host.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

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
const SMALL: &str = r#"-Crelocation-model=static -Cjump-tables=no --cfg aes_backend_soft="compact""#;

/// The flags of all crates of a product. In servin-run a function that needs much of the stack stays one of its own,
/// since near places on the stack have shorter names; and on x86-64 they are named from the frame, which is a byte
/// less than from the top of the stack.
pub fn flags(product: &str, target: &str) -> String {
    let more = match (product, target.split('-').next()) {
        ("servin-run", Some("x86_64")) => " -Cllvm-args=-inline-max-stacksize=256 -Cforce-frame-pointers=yes",
        ("servin-run", _) => " -Cllvm-args=-inline-max-stacksize=256",
        _ => "",
    };
    format!("{SMALL}{more}")
}

/// And at the end, when all of servin-run is one: what many functions have in common is moved into functions, and
/// functions that differ in constants alone become one that is given them.
pub fn link_flags(product: &str) -> &'static [&'static str] {
    match product {
        "servin-run" => &[
            "-Cllvm-args=-enable-machine-outliner=always",
            "-Cllvm-args=-enable-global-merge-func",
            "-Cllvm-args=-disable-cgdata-for-merging",
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
    command::run(cargo.env("RUSTFLAGS", flags(product, &host)).env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
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
