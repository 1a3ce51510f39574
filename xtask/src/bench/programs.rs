//! The peers, and the small C programs that measure and are measured.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Result, command, debian, workspace};

const PEERS: &[&str] = &["crun", "runc", "bubblewrap", "tini", "dumb-init", "catatonit"];

/// Without libc, so that they weigh nothing themselves.
const BARE: [&str; 2] = ["payload", "measure"];
const STATIC: [&str; 4] = ["floor", "zombies", "filter", "echo"];

/// Where everything of the benchmarks lies.
pub fn folder() -> PathBuf {
    workspace::target().join("bench")
}

/// One of the C programs.
pub fn program(name: &str) -> PathBuf {
    folder().join(name)
}

/// Installs the peers from Debian and compiles the C programs.
pub fn install() -> Result {
    debian::ensure(PEERS, "bench")?;
    debian::ensure(&["gcc", "libc6-dev"], "bench")?;
    let folder = folder();
    std::fs::create_dir_all(&folder).map_err(|e| format!("create {}: {e}", folder.display()))?;
    let sources = workspace::root().join("xtask/src/bench");
    for name in BARE {
        #[rustfmt::skip]
        let flags = [
            "-Os", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-asynchronous-unwind-tables",
            "-Wl,--build-id=none,-z,norelro,-z,noseparate-code",
        ];
        compile(&sources, name, &flags)?;
    }
    STATIC.iter().try_for_each(|name| compile(&sources, name, &["-O2"]))
}

fn compile(sources: &Path, name: &str, flags: &[&str]) -> Result {
    let mut gcc = Command::new("gcc");
    gcc.args(["-static", "-s", "-Wall", "-Wextra", "-Werror"]).args(flags);
    command::run(gcc.arg("-o").arg(program(name)).arg(sources.join(name).with_extension("c")))
}
