//! Where images come from and go to: a registry, an archive, a directory, the store itself.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Result;

/// Bytes that arrive one after the other.
pub trait Read {
    /// Fills the beginning of `buffer` and says how much of it; nothing at the end.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize>;
}

/// Where an image is read from. Nothing that it says is believed: whoever reads compares digests and sizes.
pub trait Source {
    /// The manifest or index `what` (a tag or a digest; empty for the only one) and its media type, as the source
    /// gives it; empty where it gives none.
    fn manifest(&mut self, what: &str) -> Result<(Vec<u8>, String)>;

    /// The blob `digest` from its byte `from` on. An error for a source that cannot begin there; then it is read
    /// from the beginning.
    fn blob(&mut self, digest: &str, from: u64) -> Result<Box<dyn Read + '_>>;

    /// The same source for another process, with descriptors and connections of its own. Called in that process.
    fn again(&self) -> Result<Box<dyn Source>>;
}

/// Opens something from a byte on.
pub type Open<'a, 'b> = &'a mut dyn FnMut(u64) -> Result<Box<dyn Read + 'b>>;

/// Where an image is written to.
pub trait Sink {
    /// Whether the blob is there already.
    fn has_blob(&mut self, digest: &str) -> Result<bool>;

    /// Writes the blob `digest` of `size` bytes, which `open` reads from some byte on.
    fn put_blob(&mut self, digest: &str, size: u64, open: Open) -> Result<()>;

    /// The same sink for another process, with connections of its own. Called in that process.
    fn again(&self) -> Result<Box<dyn Sink>>;

    /// Writes the manifest or index under the name `what` (a tag or a digest). All that it names is there already.
    fn put_manifest(&mut self, what: &str, content: &[u8], media_type: &str) -> Result<()>;
}
