//! Debian's packages: installs what is missing, says so first, and asks the network only then.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Result, command};

/// Installs those of the packages that are missing; `reason` is told to the user.
pub fn ensure(packages: &[&str], reason: &str) -> Result {
    let missing: Vec<&str> = packages.iter().copied().filter(|package| !installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    if command::find("apt-get").is_err() {
        return Err(format!("{reason} needs {}: install them (this is no Debian)", missing.join(", ")));
    }
    println!("xtask: {reason} needs Debian packages; installing {}", missing.join(" "));
    with_fresh_lists(&missing, || {
        let mut install = apt_get();
        install.args(["install", "--yes", "--no-install-recommends"]).args(&missing);
        command::run(&mut install)
    })
}

/// Installs the newest there are of the packages; `reason` is told to the user.
pub fn ensure_newest(packages: &[&str], reason: &str) -> Result {
    println!("xtask: {reason} needs the newest of these Debian packages; installing {}", packages.join(" "));
    update()?;
    let mut install = apt_get();
    install.args(["install", "--yes", "--no-install-recommends"]).args(packages);
    command::run(&mut install)
}

/// Fetches a package's file without installing it, into `folder`; returns the path of the .deb.
pub fn download(package: &str, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    println!("xtask: fetching the Debian package {package} (it is not installed)");
    with_fresh_lists(&[package], || {
        let mut download = apt_get();
        // apt warns when its unprivileged user cannot write here; as root it may fetch as root.
        download.args(["-o", "APT::Sandbox::User=root", "download", package]).current_dir(folder);
        command::run(&mut download)
    })?;
    let entries = fs::read_dir(folder).map_err(|e| format!("read {}: {e}", folder.display()))?;
    let prefix = format!("{package}_");
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix)))
        .ok_or_else(|| format!("apt-get download {package} left no file in {}", folder.display()))
}

/// The first package that `package` depends on, which for a metapackage is the real one.
pub fn real_package(metapackage: &str) -> Result<String> {
    let depends = || {
        let text = command::output(Command::new("apt-cache").args(["depends", "--important", metapackage]))?;
        first_dependency(&text).ok_or_else(|| format!("{metapackage} depends on nothing"))
    };
    match depends() {
        Ok(package) => Ok(package),
        // An empty package list knows no metapackage either.
        Err(_) => update().and_then(|()| depends()),
    }
}

fn first_dependency(text: &str) -> Option<String> {
    text.lines().find_map(|line| line.trim().strip_prefix("Depends: ")).map(str::to_owned)
}

fn installed(package: &str) -> bool {
    let status = Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output();
    status.is_ok_and(|output| output.stdout == b"installed")
}

/// Runs `fetch`, with the package lists updated first where one of the packages is unknown, or afterwards for a
/// second try where the list turned out to be too old.
fn with_fresh_lists(packages: &[&str], mut fetch: impl FnMut() -> Result) -> Result {
    let mut updated = false;
    if !packages.iter().all(|package| has_candidate(package)) {
        update()?;
        updated = true;
    }
    match fetch() {
        Err(_) if !updated => update().and_then(|()| fetch()),
        outcome => outcome,
    }
}

fn has_candidate(package: &str) -> bool {
    let policy = command::output(Command::new("apt-cache").args(["policy", package]));
    policy.is_ok_and(|text| text.lines().any(|l| l.contains("Candidate:") && !l.contains("(none)")))
}

fn update() -> Result {
    println!("xtask: updating the package lists");
    command::run(apt_get().args(["update", "--quiet"]))
}

fn apt_get() -> Command {
    let mut apt_get = Command::new("apt-get");
    apt_get.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    // Another apt may be at work for a moment.
    apt_get.args(["-o", "DPkg::Lock::Timeout=300", "--quiet"]);
    apt_get
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_metapackages_dependency_is_found() {
        let text = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-1-cloud-amd64\n";
        assert_eq!(super::first_dependency(text).as_deref(), Some("linux-image-6.1.0-1-cloud-amd64"));
        assert_eq!(super::first_dependency("nothing\n"), None);
    }
}
