//! Root file systems: where a container's files come from.
//!
//! So far there is one source, the host itself ([`host_root`]), and of images their names, documents and where they
//! come from; the store and registries are to come. Everything here writes below `HOME` alone and reads the host's
//! files without changing them.

pub mod auth;
pub mod base64;
pub mod copy;
pub mod decompress;
pub mod digest;
pub mod dns;
pub mod documents;
pub mod elf;
pub mod environment;
pub mod host;
pub mod http;
pub mod manifest;
#[cfg(test)]
pub(crate) mod mutate;
pub mod reference;
pub mod registry;
pub mod source;
pub mod stream;
pub mod tar;
#[cfg(feature = "tls")]
pub mod tls;
pub mod unpack;

pub use host::host_root;
