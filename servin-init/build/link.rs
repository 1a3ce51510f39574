//! Linker arguments for a static program without libc. Included by the build scripts of both products.

use std::{env, fs, path::PathBuf};

/// What only unwinders and debuggers read.
const DISCARD: &str = "/DISCARD/ : { *(.eh_frame) *(.eh_frame_hdr) *(.comment) *(.note.gnu.property) \
    *(.gcc_except_table .gcc_except_table.*) *(.ARM.exidx*) *(.ARM.extab*) }";

/// Everything in one segment, for a program without variables.
const ONE_SEGMENT: &str = "
PHDRS { all PT_LOAD FILEHDR PHDRS FLAGS(5); stack PT_GNU_STACK FLAGS(6); }
SECTIONS
{
  . = 0x200000 + SIZEOF_HEADERS;
  .text : { *(.rodata .rodata.*) *(.data.rel.ro .data.rel.ro.*) *(.got) *(.text .text.*) } :all
  .data : { *(.data .data.*) *(.sdata .sdata.*) }
  .bss : { *(.bss .bss.*) *(.sbss .sbss.*) *(COMMON) }
  ASSERT(SIZEOF(.data) + SIZEOF(.bss) == 0, \"a variable, which would have to be written to\")
";

/// The programs that are linked here.
#[allow(dead_code)]
pub enum Program {
    /// With variables.
    Whole,
    /// Without any, and so small that a segment more or less counts.
    Small,
}

/// Prints the arguments that link this crate's binaries, and only them, without libc and start files.
pub fn without_libc(program: Program) {
    println!("cargo:rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let script = out.join("link.ld");
    let release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let text = match program {
        Program::Small if release => format!("{ONE_SEGMENT}  {DISCARD}\n}}\n"),
        // `INSERT` keeps the linker's own script otherwise.
        _ => format!("SECTIONS\n{{\n  {DISCARD}\n}}\nINSERT BEFORE .text;\n"),
    };
    fs::write(&script, text).expect("write the linker script");

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
    if release {
        // Functions that came out alike become one; debuggers, which would be confused, have nothing to read here.
        linker_arg("--icf=all");
        "-z,nosectionheader".split(',').for_each(linker_arg);
    }
    // Constants and code in one segment: a program header and its padding less.
    linker_arg("--no-rosegment");
    linker_arg(&format!("-T{}", script.display()));
}
