//! Links servin-init without libc.

#[path = "build/link.rs"]
mod link;

fn main() {
    println!("cargo:rerun-if-changed=build");
    link::without_libc(link::Program::Small);
}
