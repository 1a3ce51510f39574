//! Linker arguments for a static program without libc. Included by the build scripts of both products.

use std::{env, fs, path::PathBuf};

/// Drops what only unwinders and debuggers read; `INSERT` keeps the linker's own script otherwise.
const SCRIPT: &str = "SECTIONS\n{\n  /DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.comment) *(.note.gnu.property) *(.gcc_except_table) *(.ARM.exidx*) *(.ARM.extab*) }\n}\nINSERT BEFORE .text;\n";

/// Prints the arguments that link this crate's binaries, and only them, without libc and start files.
pub fn without_libc() {
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let script = out.join("link.ld");
    fs::write(&script, SCRIPT).expect("write the linker script");

    // A compiler driver wants `-Wl,` before what is meant for the linker; a bare linker must not see it.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let bare_linker = flags.contains("linker-flavor=ld");
    let arg = |a: &str| println!("cargo:rustc-link-arg-bins={a}");
    let linker_arg = |a: &str| arg(&if bare_linker { a.to_owned() } else { format!("-Wl,{a}") });

    // The musl targets link position-independent programs unless told otherwise, with a dynamic table that
    // somebody would have to relocate by.
    let static_program: &[&str] =
        if bare_linker { &["--no-pie"] } else { &["-nostartfiles", "-nostdlib", "-static", "-no-pie"] };
    static_program.iter().copied().for_each(arg);
    for a in ["--build-id=none", "--no-eh-frame-hdr"] {
        linker_arg(a);
    }
    for a in ["-z,norelro", "-z,noseparate-code"] {
        a.split(',').for_each(linker_arg);
    }
    // Constants and code in one segment: a program header and its padding less.
    linker_arg("--no-rosegment");
    linker_arg(&format!("-T{}", script.display()));
}
