//! Root file systems: where a container's files come from.
//!
//! So far there is one source, the host itself ([`host_root`]); references, the store and registries are to
//! come. Everything here writes below `HOME` alone and reads the host's files without changing them.

pub mod copy;
pub mod elf;
pub mod host;

pub use host::host_root;
