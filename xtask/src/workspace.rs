//! Where things are in the repository and under target/.

use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;

/// The repository's root.
pub fn root() -> PathBuf {
    // Cargo sets it for `cargo run`; the path of compilation serves a program that was started by hand.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or(env!("CARGO_MANIFEST_DIR").into());
    Path::new(&xtask).parent().expect("xtask is a folder of the workspace").to_owned()
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// The artifacts that users get.
pub fn dist() -> PathBuf {
    target().join("dist")
}

/// Copies a program so that a running copy of the old one does not stand in the way (ETXTBSY).
pub fn install(from: &Path, to: &Path) -> Result {
    let folder = to.parent().ok_or("install: no folder")?;
    fs::create_dir_all(folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    let temporary = to.with_extension("new");
    fs::copy(from, &temporary)
        .map_err(|e| format!("copy {} to {}: {e}", from.display(), folder.display()))?;
    fs::rename(&temporary, to).map_err(|e| format!("rename to {}: {e}", to.display()))
}

/// Reads a whole file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| format!("read {}: {e}", path.display()))
}

/// Reads a text file.
pub fn read_text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|e| format!("read {}: {e}", path.display()))
}

/// Writes a whole file, making its folder first.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    }
    fs::write(path, content).map_err(|e| format!("write {}: {e}", path.display()))
}
