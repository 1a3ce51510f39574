//! Debian's kernel for virtual machines, unpacked under target/ and never installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command, debian};

/// An unpacked kernel.
pub struct Kernel {
    pub image: PathBuf,
    /// lib/modules/RELEASE in the unpacked package.
    pub modules: PathBuf,
}

/// The metapackage that always depends on the current kernel.
const METAPACKAGE: &str = "linux-image-cloud-amd64";

/// Returns the kernel under `folder`, fetching it the first time.
pub fn fetch(folder: &Path) -> Result<Kernel> {
    let unpacked = folder.join("kernel");
    if let Some(kernel) = find(&unpacked) {
        return Ok(kernel);
    }
    let package = debian::real_package(METAPACKAGE)?;
    let file = debian::download(&package, folder)?;
    // Unpacked beside and renamed, so that an interrupted run leaves no half of a kernel.
    let partial = folder.join("kernel.partial");
    let _ = fs::remove_dir_all(&partial);
    let _ = fs::remove_dir_all(&unpacked);
    command::run(Command::new("dpkg-deb").arg("--extract").arg(&file).arg(&partial))?;
    fs::rename(&partial, &unpacked).map_err(|e| format!("rename to {}: {e}", unpacked.display()))?;
    let _ = fs::remove_file(&file);
    find(&unpacked).ok_or_else(|| format!("{package} holds no kernel"))
}

fn find(unpacked: &Path) -> Option<Kernel> {
    let boot = fs::read_dir(unpacked.join("boot")).ok()?;
    let image = boot
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-")))?;
    let release = image.file_name()?.to_str()?.strip_prefix("vmlinuz-")?;
    let modules = unpacked.join("lib/modules").join(release);
    modules.is_dir().then_some(Kernel { modules, image: image.clone() })
}
