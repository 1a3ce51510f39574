//! Writing archives of images: as `docker save` does, which everybody reads, or an OCI layout.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::BorrowedFd;

use super::super::decompress::decompressed;
use super::super::digest::digits;
use super::super::documents::{Descriptor, Index};
use super::super::manifest::OCI_INDEX;
use super::super::reference::Reference;
use super::super::source::Read;
use super::super::store::{Image, NAME, REF_NAME, Store, chain_ids};
use super::super::stream::{Buffered, File, Stream};
use super::super::tar::{Entry, Kind, Time, padding, write};
use super::docker::Listed;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::gather::Gather as _;
use crate::spec;

/// An archive in the making.
struct Writer<'a> {
    to: BorrowedFd<'a>,
    /// Names that it has already.
    written: Vec<String>,
}

impl Writer<'_> {
    fn bytes(&self, bytes: &[u8]) -> Result<()> {
        write_all(self.to, bytes).step(|| "write the archive")
    }

    /// Begins a file; false where it is there already.
    fn begin(&mut self, name: &str, size: u64) -> Result<bool> {
        if self.written.iter().any(|known| known == name) {
            return Ok(false);
        }
        self.written.push(name.into());
        // Nothing of the time or the place: the same images make the same archive.
        let entry = Entry {
            path: name.into(),
            kind: Kind::File,
            link: Vec::new(),
            mode: 0o444,
            uid: 0,
            gid: 0,
            mtime: Time::default(),
            size,
            device: (0, 0),
            xattrs: Vec::new(),
            segments: None,
        };
        self.bytes(&write::header(&entry)).map(|()| true)
    }

    fn pad(&self, size: u64) -> Result<()> {
        self.bytes(&write::END[..padding(size) as usize])
    }

    fn document(&mut self, name: &str, content: &[u8]) -> Result<()> {
        if self.begin(name, content.len() as u64)? {
            self.bytes(content)?;
            self.pad(content.len() as u64)?;
        }
        Ok(())
    }

    /// A file whose content is streamed, and has to be as long as was said.
    fn content(&mut self, name: &str, size: u64, stream: &mut dyn Stream) -> Result<()> {
        if !self.begin(name, size)? {
            return Ok(());
        }
        let mut left = size;
        loop {
            let bytes = stream.fill()?;
            let length = bytes.len();
            if length == 0 && left == 0 {
                return self.pad(size);
            }
            if length == 0 || length as u64 > left {
                return Err(Error::new(format_args!(
                    "{name} is not as long as it was: the store is damaged"
                )));
            }
            self.bytes(bytes)?;
            left -= length as u64;
            stream.consume(length);
        }
    }
}

fn blob<'a>(store: &Store, digest: &str) -> Result<Box<dyn Stream + 'a>> {
    let reader: Box<dyn Read> = Box::new(File(store.open_blob(digest)?));
    Ok(Box::new(Buffered::new(reader)))
}

/// An image, and the names that it has in the archive.
pub type Saved<'a> = (&'a Image, Vec<Reference>);

/// Writes an archive as `docker save` does.
pub fn docker(store: &Store, images: &[Saved], to: BorrowedFd<'_>) -> Result<()> {
    let mut writer = Writer { to, written: Vec::new() };
    let mut listed = Vec::new();
    for (image, references) in images {
        let config = format!("{}.json", digits(&image.id));
        writer.document(&config, &store.document(&image.id)?)?;
        let diff_ids = &image.config.rootfs.diff_ids;
        let mut layers = Vec::new();
        for ((layer, diff_id), chain_id) in
            image.manifest.layers.iter().zip(diff_ids).zip(chain_ids(diff_ids))
        {
            let name = format!("{}.tar", digits(diff_id));
            let size = store.layer(&chain_id)?.archive_size;
            writer.content(&name, size, &mut *decompressed(blob(store, &layer.digest)?)?)?;
            layers.push(name);
        }
        let repo_tags =
            references.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).gather();
        listed.push(Listed { config, repo_tags, layers });
    }
    writer.document("manifest.json", spec::to_json(&listed).as_bytes())?;
    writer.bytes(&write::END)
}

/// Writes an OCI layout.
pub fn oci(store: &Store, images: &[Saved], to: BorrowedFd<'_>) -> Result<()> {
    let mut writer = Writer { to, written: Vec::new() };
    writer.document("oci-layout", b"{\"imageLayoutVersion\":\"1.0.0\"}")?;
    let mut index = Index { schema_version: 2, media_type: Some(OCI_INDEX.into()), ..Index::default() };
    for (image, references) in images {
        let path = |digest: &str| format!("blobs/sha256/{}", digits(digest));
        for digest in [&image.digest, &image.id] {
            writer.document(&path(digest), &store.document(digest)?)?;
        }
        for layer in &image.manifest.layers {
            writer.content(&path(&layer.digest), layer.size, &mut *blob(store, &layer.digest)?)?;
        }
        let bare = [None];
        let named: Vec<Option<&Reference>> = references.iter().map(Some).gather();
        for name in if named.is_empty() { &bare[..] } else { &named } {
            let mut annotations = Vec::new();
            if let Some(name) = name {
                annotations.push((NAME.to_string(), name.to_string()));
                annotations.extend(name.tag().map(|tag| (REF_NAME.to_string(), tag.to_string())));
            }
            index.manifests.push(Descriptor { annotations, ..image.descriptor.clone() });
        }
    }
    writer.document("index.json", spec::to_json(&index).as_bytes())?;
    writer.bytes(&write::END)
}
