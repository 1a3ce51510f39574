//! Pulling: from any source into the store. Every layer is read once: hashed as it comes, kept as a blob,
//! decompressed, hashed again and unpacked. Several layers are on their way at a time, each in a process of its own;
//! this one puts them in place in their order, the lowest first.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::digest;
use super::documents::{Descriptor, ImageConfig, Index, Manifest};
use super::manifest::{self, Document, LARGEST_DOCUMENT};
use super::reference::{Reference, check_digest};
use super::source::Source;
use super::store::{self, Building, Store, chain_ids};
use super::tar::Limits;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::spec;
use crate::sys::path::renameat;

mod layer;
mod workers;

pub use super::documents::Platform;
pub use layer::{Expected, Received, receive};

/// How an image is pulled.
pub struct Options<'a> {
    /// What it is to run on.
    pub platform: Platform,
    /// What one layer may be.
    pub limits: Limits,
    /// Also what an index has for other platforms, as it comes: to be pushed as a whole.
    pub all_platforms: bool,
    /// Who is told what happens.
    pub progress: &'a mut dyn Progress,
}

/// Who watches a pull.
pub trait Progress {
    /// These are the layers that make up the image; those of `present` are there already.
    fn begin(&mut self, layers: &[Descriptor], present: &[bool]);
    /// So much of the layer has arrived. Called often.
    fn advance(&mut self, layer: usize, bytes: u64);
    /// The layer is in its place.
    fn done(&mut self, layer: usize);
}

/// Nobody watches.
pub struct Unwatched;

impl Progress for Unwatched {
    fn begin(&mut self, _: &[Descriptor], _: &[bool]) {}
    fn advance(&mut self, _: usize, _: u64) {}
    fn done(&mut self, _: usize) {}
}

/// What a source has under a name, for one platform.
pub struct Found {
    /// The manifest's text.
    pub content: Vec<u8>,
    /// What points to it.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// The digest of what had the name: the index's, where there is one.
    pub source_digest: String,
    /// That index.
    pub index: Option<(Vec<u8>, Index)>,
}

/// Finds the image `what` of `source` for a platform.
pub fn find(source: &mut dyn Source, what: &str, platform: &Platform) -> Result<Found> {
    let mut wanted = what.to_string();
    let (mut source_digest, mut outermost) = (String::new(), None);
    // An index may hold indexes; nobody nests them deeper.
    for _ in 0..4 {
        let (content, media_type) = source.manifest(&wanted)?;
        let found = digest::of(&content);
        let name = if wanted.is_empty() { found.clone() } else { wanted.clone() };
        if wanted.starts_with("sha256:") && wanted != found {
            return Err(Error::new(format_args!(
                "the manifest {wanted} that was sent has the digest {found}"
            )));
        }
        if source_digest.is_empty() {
            source_digest.clone_from(&found);
        }
        match manifest::read(&content, &media_type, &format!("the manifest {name}"))? {
            Document::Index(index) => {
                wanted = manifest::choose(&index, platform, &name)?.digest.clone();
                outermost.get_or_insert((content, index));
            }
            Document::Manifest(manifest) => {
                let media_type = match &manifest.media_type {
                    Some(own) => own.clone(),
                    None if media_type.is_empty() => manifest::OCI_MANIFEST.into(),
                    None => media_type,
                };
                let size = content.len() as u64;
                let descriptor = Descriptor { media_type, digest: found, size, ..Descriptor::default() };
                let index = outermost;
                return Ok(Found { content, descriptor, manifest: *manifest, source_digest, index });
            }
        }
    }
    Err(Error::new(format_args!("the index {what} has indexes inside indexes")))
}

/// Pulls the image `what` of `source` and gives it a name, or none; says the digest of its manifest.
pub fn pull(
    store: &Store,
    source: &mut dyn Source,
    what: &str,
    name: Option<&Reference>,
    options: &mut Options,
) -> Result<String> {
    let found = find(source, what, &options.platform)?;
    let _held = store.share()?;
    store.sweep()?;
    fetch(store, source, &found, options)?;
    if let Some((content, index)) = &found.index {
        if options.all_platforms {
            index.manifests.iter().try_for_each(|entry| fetch_part(store, source, entry, options))?;
        }
        store.add_document(content, "")?;
    }
    store.add_document(&found.content, &found.descriptor.media_type)?;
    // All of it survives a power failure, or none of it is in the index.
    rustix::fs::syncfs(store.as_fd()).step(|| format!("write {} to the disk", store.home()))?;
    store.add(&found.descriptor, name, &found.source_digest)?;
    Ok(found.descriptor.digest.clone())
}

/// Brings what an index names into the store, as it is: it may be for another platform, or no image at all.
fn fetch_part(
    store: &Store,
    source: &mut dyn Source,
    entry: &Descriptor,
    options: &mut Options,
) -> Result<()> {
    let name = format!("the manifest {}", entry.digest);
    let (content, _) = source.manifest(&entry.digest)?;
    if digest::of(&content) != entry.digest {
        return Err(Error::new(format_args!("{name} is damaged")));
    }
    let text = core::str::from_utf8(&content).map_err(|_| Error::new(format_args!("{name}: not UTF-8")))?;
    let Manifest { config, layers, .. } = spec::parse(text, &name)?;
    let blobs: Vec<Descriptor> = layers.into_iter().chain([config]).gather();
    let present: Vec<bool> = blobs.iter().map(|blob| store.has_blob(&blob.digest)).gather();
    options.progress.begin(&blobs, &present);
    for (index, blob) in blobs.iter().enumerate().filter(|(index, _)| !present[*index]) {
        check_digest(&blob.digest).map_err(|why| Error::new(format_args!("{name}: {why}")))?;
        let building = store.begin_layer(&blob.digest)?;
        let expected = Expected { blob: Some((&blob.digest, blob.size)), diff_id: None };
        let received = source
            .blob(&blob.digest, 0)
            .and_then(|reader| receive(reader, &building.directory, &expected, true, None))
            .and_then(|_| keep_blob(store, &building, &blob.digest));
        store.end_layer(building);
        received.map_err(|error| error.within(format_args!("blob {}", blob.digest)))?;
        options.progress.done(index);
    }
    store.add_document(&content, "").map(drop)
}

/// Gives a blob that was received the name of its digest.
pub fn keep_blob(store: &Store, building: &Building, digest: &str) -> Result<()> {
    let path = format!("blobs/sha256/{}", digest::digits(digest));
    renameat(&building.directory, layer::BLOB, store.as_fd(), path.as_str())
        .step(|| "rename a blob to its digest")
}

/// Brings configuration and layers into the store.
fn fetch(store: &Store, source: &mut dyn Source, found: &Found, options: &mut Options) -> Result<()> {
    let manifest = &found.manifest;
    let config = configuration(store, source, manifest)?;
    let own = Platform {
        architecture: config.architecture.clone(),
        os: config.os.clone(),
        os_version: None,
        variant: config.variant.clone(),
    };
    if !options.platform.runs(&own) {
        return Err(Error::new(format_args!("the image is for {own}, not for {}", options.platform))
            .hint(format!("--platform {own} takes it all the same")));
    }
    let diff_ids = &config.rootfs.diff_ids;
    if diff_ids.len() != manifest.layers.len() {
        return Err(Error::new(format_args!(
            "the image has {} layers, and its configuration knows of {}",
            manifest.layers.len(),
            diff_ids.len()
        )));
    }
    let chain = chain_ids(diff_ids);
    let present: Vec<bool> = (manifest.layers.iter().zip(&chain))
        .map(|(layer, id)| store.has_layer(id) && store.has_blob(&layer.digest))
        .gather();
    options.progress.begin(&manifest.layers, &present);
    workers::fetch_layers(store, source, &manifest.layers, diff_ids, &chain, options)
}

fn configuration(store: &Store, source: &mut dyn Source, manifest: &Manifest) -> Result<ImageConfig> {
    let descriptor = &manifest.config;
    let content = match store.document(&descriptor.digest) {
        Ok(content) => content,
        Err(_) => {
            let mut content = alloc::vec![0; (descriptor.size as usize).min(LARGEST_DOCUMENT) + 1];
            let mut reader = source.blob(&descriptor.digest, 0)?;
            let mut filled = 0;
            while filled < content.len() {
                match reader.read(&mut content[filled..])? {
                    0 => break,
                    length => filled += length,
                }
            }
            content.truncate(filled);
            content
        }
    };
    if digest::of(&content) != descriptor.digest || content.len() as u64 != descriptor.size {
        return Err(Error::new(format_args!("the configuration {} is damaged", descriptor.digest)));
    }
    let config = store::config(&content, &descriptor.digest)?;
    store.add_document(&content, &descriptor.media_type)?;
    Ok(config)
}
