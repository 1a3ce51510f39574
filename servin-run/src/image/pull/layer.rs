//! One layer on its way, in one pass.

use alloc::boxed::Box;
use alloc::string::String;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;

use super::super::copy::{DIRECTORY, make_directory, open_at};
use super::super::decompress::{decompressed, decompressed_for_digest};
use super::super::digest::Hasher;
use super::super::source::Read;
use super::super::store::TREE;
use super::super::stream::{Buffered, Hashing, Stream, Tee, drain};
use super::super::tar::{Archive, Limits};
use super::super::unpack::{self, Unpacked};
use crate::error::{Error, Result, Step};

/// What a layer has to be; of what nobody has announced, all is none.
#[derive(Default)]
pub struct Expected<'a> {
    /// Digest and length as it comes.
    pub blob: Option<(&'a str, u64)>,
    /// The digest of the archive in it.
    pub diff_id: Option<&'a str>,
}

/// What a layer was.
#[derive(Debug)]
pub struct Received {
    /// The digest as it came.
    pub digest: String,
    /// And the length.
    pub size: u64,
    /// The digest of the archive in it.
    pub diff_id: String,
    /// And its length.
    pub archive_size: u64,
    /// What of it is not known yet.
    pub unpacked: Unpacked,
}

/// The blob's name in the directory of the layer in the making.
pub const BLOB: &str = "blob";

/// Reads a layer: into the file `blob` of `building` if it `keep`s it, and unpacked into its `tree` where `unpack`
/// says how.
pub fn receive(
    reader: Box<dyn Read + '_>,
    building: &OwnedFd,
    expected: &Expected,
    keep: bool,
    unpack: Option<(&unpack::Options, Limits)>,
) -> Result<Received> {
    let (mut blob_hasher, mut diff_hasher) = (Hasher::default(), Hasher::default());
    let create = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let copy = match keep {
        true => Some(open_at(building.as_fd(), BLOB, create).step(|| "make a blob")?),
        false => None,
    };
    let unpacked = {
        let tee = Tee {
            reader,
            hasher: &mut blob_hasher,
            copy: copy.as_ref().map(AsFd::as_fd),
            limit: expected.blob.map_or(u64::MAX, |(_, size)| size),
        };
        let mut raw: Box<dyn Stream + '_> = Box::new(Buffered::new(Box::new(tee)));
        match unpack {
            None => {
                drain(&mut *raw)?;
                Unpacked::default()
            }
            Some((options, limits)) => {
                let tree = tree(building.as_fd())?;
                let content = match expected.diff_id {
                    Some(_) => decompressed_for_digest(raw)?,
                    None => decompressed(raw)?,
                };
                let hashing = Hashing::new(content, &mut diff_hasher);
                let mut archive = Archive::new(Box::new(hashing), limits);
                unpack::unpack(&mut archive, &tree, options)?
            }
        }
    };
    let (size, archive_size) = (blob_hasher.length, diff_hasher.length);
    let (digest, diff_id) = (blob_hasher.finish(), diff_hasher.finish());
    if let Some((wanted, length)) = expected.blob {
        if size < length {
            return Err(Error::new(format_args!("it is cut off after {size} of {length} bytes")));
        }
        if digest != wanted {
            return Err(Error::new(format_args!("it is damaged: its digest is {digest}")));
        }
    }
    if let Some(wanted) = expected.diff_id.filter(|_| unpack.is_some())
        && diff_id != wanted
    {
        return Err(Error::new(format_args!(
            "the archive in it has the digest {diff_id}; the image's configuration says {wanted}"
        )));
    }
    Ok(Received { digest, size, diff_id, archive_size, unpacked })
}

fn tree(building: BorrowedFd<'_>) -> Result<OwnedFd> {
    make_directory(building, TREE, 0o755).step(|| "make a layer")?;
    open_at(building, TREE, DIRECTORY).step(|| "open a layer")
}
