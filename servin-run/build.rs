//! Links servin-run without libc, and builds the servin-init that it carries inside: for the same target, in the
//! release profile, whatever the profile of servin-run.

#[path = "../servin-init/build/link.rs"]
mod link;
#[path = "build/syscalls.rs"]
mod syscall_table;

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    for watched in ["src", "build", "build.rs", "Cargo.toml"] {
        println!("cargo:rerun-if-changed=../servin-init/{watched}");
    }
    link::without_libc();

    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let target = variable("TARGET");
    let table = PathBuf::from(variable("OUT_DIR")).join("syscalls.rs");
    fs::write(table, syscall_table::table(&variable("CARGO_CFG_TARGET_ARCH")))
        .expect("write the table of system calls");

    // A folder of its own: the outer cargo holds the lock of the usual one.
    let folder = PathBuf::from(variable("OUT_DIR")).join("init");
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--package", "servin-init", "--bin", "servin-init", "--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        // Set while clippy checks this crate; the inner build is an ordinary one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status()
        .expect("start cargo for servin-init");
    assert!(status.success(), "building servin-init failed");
    let program = folder.join(&target).join("release/servin-init");
    println!("cargo:rustc-env=SERVIN_INIT_PROGRAM={}", program.display());
}
