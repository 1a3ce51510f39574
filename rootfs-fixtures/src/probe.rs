//! Builds the probe as a static program: the host's own triple with the C library linked in.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Context, Error, Result};

/// Builds the probe, and puts it at `target` if it changed. Cargo decides whether there is anything to do; the build
/// has a target folder of its own, so that it neither waits for the caller's cargo nor spoils its cache.
pub fn build(target: &Path) -> Result<()> {
    let workspace = workspace();
    let folder = workspace.join("target/probe");
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(&cargo)
        .current_dir(&workspace)
        .args(["rustc", "--quiet", "--release", "--package", "rootfs-fixtures", "--bin", "probe"])
        .arg("--target-dir")
        .arg(&folder)
        .args(["--", "-C", "target-feature=+crt-static"])
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .context("execute", Path::new(&cargo))?;
    if !built.success() {
        return Err(Error::new("the probe does not build"));
    }
    let program = folder.join("release/probe");
    let content = fs::read(&program).context("read", &program)?;
    if wants_interpreter(&content) {
        return Err(Error::new(format!("{} is not static", program.display())));
    }
    crate::roots::install(&content, 0o755, target)
}

/// The workspace that this package was built in.
pub fn workspace() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_path_buf()
}

/// Whether a 64-bit little-endian ELF program has a program header of type PT_INTERP: a dynamic program.
pub(crate) fn wants_interpreter(elf: &[u8]) -> bool {
    const PT_INTERP: u64 = 3;
    let field = |at: usize, size: usize| -> Option<u64> {
        let bytes = elf.get(at..at + size)?;
        Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    };
    let headers = || Some((field(32, 8)? as usize, field(54, 2)? as usize, field(56, 2)? as usize));
    headers().is_some_and(|(start, size, count)| {
        (0..count).any(|number| field(start + number * size, 4) == Some(PT_INTERP))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_program_is_dynamic() {
        let own = fs::read("/proc/self/exe").expect("read the running program");
        assert!(wants_interpreter(&own) || cfg!(target_feature = "crt-static"));
        assert!(!wants_interpreter(b"#!/bin/sh"));
    }
}
