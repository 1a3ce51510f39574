//! `lint`: rustfmt, clippy with warnings denied, and the house rules, which are pure functions over the text of
//! the sources. Every rule says all that it found before the command fails.

mod dependencies;
mod imports;
mod length;
mod orphans;
mod tokens;
mod unsafe_code;
mod weight;

use std::fs;
use std::path::Path;

use crate::{Result, command, workspace};

/// Crates that may be checked in one cargo call: within one, cargo unites the features.
const CLIPPY: &[&[&str]] =
    &[&["servin-init", "servin-run"], &["xtask"], &["rootfs-fixtures"], &["servin-tests"]];

/// The workspace's members by their folders.
const CRATES: [&str; 5] = ["servin-init", "servin-run", "xtask", "rootfs-fixtures", "tests"];

/// A file of the repository.
pub struct Source {
    /// From the repository's root.
    pub path: String,
    pub text: String,
}

pub fn command(_: &[String]) -> Result {
    let mut findings = Vec::new();
    let sources = sources()?;
    findings.extend(length::check(&sources));
    findings.extend(unsafe_code::check(&sources));
    findings.extend(dependencies::check(&sources));
    findings.extend(imports::check(&sources));
    findings.extend(orphans::check(&sources));
    findings.extend(weight::check(&sources));
    for finding in &findings {
        eprintln!("lint: {finding}");
    }
    let mut failed: Vec<String> = match findings.len() {
        0 => Vec::new(),
        count => vec![format!("{count} findings of the house rules")],
    };
    failed.extend(command::run(command::cargo().args(["fmt", "--all", "--check"])).err());
    for packages in CLIPPY {
        let mut clippy = command::cargo();
        clippy.args(["clippy", "--quiet", "--all-targets"]);
        packages.iter().for_each(|package| {
            clippy.args(["--package", package]);
        });
        failed.extend(command::run(clippy.args(["--", "-D", "warnings"])).err());
    }
    if failed.is_empty() {
        println!("lint: {} files, nothing to complain about", sources.len());
        Ok(())
    } else {
        Err(failed.join("; "))
    }
}

/// The manifests and everything that people write code in.
fn sources() -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let root = workspace::root();
    push(&root, Path::new("Cargo.toml"), &mut sources)?;
    push(&root, Path::new(".ci/run"), &mut sources)?;
    CRATES.iter().try_for_each(|name| collect(&root, Path::new(name), &mut sources))?;
    Ok(sources)
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) -> Result {
    let entries = fs::read_dir(root.join(folder)).map_err(|e| format!("read {}: {e}", folder.display()))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for path in names.iter().map(|name| folder.join(name)) {
        let is_source = path.extension().is_some_and(|extension| {
            ["rs", "s", "c", "h", "sh", "toml"].iter().any(|kind| extension == *kind)
        });
        if root.join(&path).is_dir() {
            collect(root, &path, sources)?;
        } else if is_source {
            push(root, &path, sources)?;
        }
    }
    Ok(())
}

fn push(root: &Path, path: &Path, sources: &mut Vec<Source>) -> Result {
    let text = workspace::read_text(&root.join(path))?;
    sources.push(Source { path: path.to_string_lossy().into_owned(), text });
    Ok(())
}

/// A source for the rules' own tests.
#[cfg(test)]
pub fn sample(path: &str, text: &str) -> Source {
    Source { path: path.to_owned(), text: text.to_owned() }
}
