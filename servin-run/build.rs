//! Links servin-run without libc, and builds the servin-init that it carries inside: for the same target, in the
//! release profile, whatever the profile of servin-run.

#[path = "../servin-init/build/link.rs"]
mod link;
// The compiler of filters is pure: here it compiles the default one.
#[path = "src/seccomp/abi.rs"]
#[allow(dead_code)]
mod abi;
#[path = "build/default_filter.rs"]
mod default_filter;
#[path = "src/seccomp/program.rs"]
#[allow(dead_code)]
mod program;
#[cfg(feature = "tls")]
#[path = "build/roots.rs"]
mod roots;
#[path = "build/syscalls.rs"]
mod syscall_table;

extern crate alloc;

/// What the compiler of filters takes from the rest of the program.
mod spec {
    #[derive(Debug, Clone, Copy)]
    #[allow(dead_code)]
    pub enum Operator {
        NotEqual,
        Less,
        LessOrEqual,
        Equal,
        GreaterOrEqual,
        Greater,
        MaskedEqual,
    }
}

mod sys {
    pub mod seccomp {
        #[derive(Debug, Clone, Copy)]
        pub struct Instruction {
            pub code: u16,
            pub jt: u8,
            pub jf: u8,
            pub k: u32,
        }
    }
}

use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

/// What `cargo xtask build` makes servin-init with.
const FOR_INIT: [&str; 2] = ["-Crelocation-model=static", "-Cjump-tables=no"];
/// What it makes servin-run with, and not servin-init.
const FOR_THE_RUNTIME_ALONE: [&str; 2] =
    ["-Cforce-frame-pointers=yes", "-Cllvm-args=-inline-max-stacksize=256"];

/// On aarch64 the crate `cpufeatures` names `libc` for one function, which main.rs has; what that crate asks the
/// linker for is there, and empty.
fn replace_libraries_of_c() {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR")).join("empty");
    fs::create_dir_all(&folder).expect("make a folder");
    for name in ["c", "m", "rt", "pthread", "util", "dl", "gcc", "gcc_eh"] {
        fs::write(folder.join(format!("lib{name}.a")), "!<arch>\n").expect("write an empty library");
    }
    if env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|machine| machine == "aarch64") {
        println!("cargo:rustc-link-search=native={}", folder.display());
    }
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=src/seccomp");
    println!("cargo:rerun-if-changed=src/order.rs");
    for watched in ["src", "build", "build.rs", "Cargo.toml"] {
        println!("cargo:rerun-if-changed=../servin-init/{watched}");
    }
    link::without_libc(link::Program::Whole);
    replace_libraries_of_c();

    let variable = |name: &str| env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"));
    let target = variable("TARGET");
    let machine = variable("CARGO_CFG_TARGET_ARCH");
    let numbers = syscall_table::columns(&machine);
    let made = |name: &str| PathBuf::from(variable("OUT_DIR")).join(name);
    fs::write(made("syscalls.rs"), syscall_table::table(&numbers)).expect("write the table of system calls");
    fs::write(made("default_filter.rs"), default_filter::source(&machine, &numbers))
        .expect("write the default filter");
    #[cfg(feature = "tls")]
    fs::write(made("roots"), roots::pack()).expect("write the roots");

    // A folder of its own: the outer cargo holds the lock of the usual one.
    let folder = PathBuf::from(variable("OUT_DIR")).join("init");
    // Whatever flags servin-run is built with, PID 1 is as small as `cargo xtask build` makes it. The counters of a
    // fuzzer's build need a runtime, which it has not.
    let outer = match env::var_os("CARGO_CFG_FUZZING") {
        Some(_) => String::new(),
        None => env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default(),
    };
    // What makes servin-run smaller is too much for PID 1.
    let outer = outer.split('\u{1f}').filter(|flag| !FOR_THE_RUNTIME_ALONE.contains(flag)).chain(FOR_INIT);
    let flags = outer.collect::<Vec<_>>().join("\u{1f}");
    let status = Command::new(variable("CARGO"))
        .args(["build", "--release", "--package", "servin-init", "--bin", "servin-init", "--target", &target])
        .arg("--target-dir")
        .arg(&folder)
        .env_remove("RUSTFLAGS")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.trim_start_matches('\u{1f}'))
        // Set while clippy checks this crate; the inner build is an ordinary one.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTC_WRAPPER")
        .status()
        .expect("start cargo for servin-init");
    assert!(status.success(), "building servin-init failed");
    let program = folder.join(&target).join("release/servin-init");
    println!("cargo:rustc-env=SERVIN_INIT_PROGRAM={}", program.display());
}
