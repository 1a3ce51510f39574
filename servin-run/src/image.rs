//! Root file systems: where a container's files come from.
//!
//! Images come from a source (a registry, an archive), are pulled into the store, and are unpacked there layer by
//! layer. The host itself is a source too ([`host_root`]). Everything here writes below `HOME` alone and reads the
//! host's files without changing them.

pub mod archive;
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
pub mod import;
pub mod manifest;
#[cfg(test)]
pub(crate) mod mutate;
pub mod pull;
pub mod push;
pub mod reference;
pub mod registry;
pub mod rootfs;
pub mod source;
pub mod store;
pub mod stream;
pub mod tar;
#[cfg(feature = "tls")]
pub mod tls;
pub mod unpack;
pub mod worker;

pub use host::host_root;
