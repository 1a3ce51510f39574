//! Images made here: of an archive of a root file system, of a tree of files, of the changes in a container. Each
//! adds one layer, on top of another image's or of none.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, SeekFrom, seek};

use super::archive::spool;
use super::copy::{DIRECTORY, open_at};
use super::decompress::{Compression, compression};
use super::digest::digits;
use super::documents::{Descriptor, History, ImageConfig, Manifest, Platform, RootFs, RunConfig};
use super::manifest::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use super::pull::{Expected, Received, keep_blob, receive};
use super::reference::Reference;
use super::source::Read;
use super::store::{Building, Image, LAYERS, Layer, Store, TREE, chain_ids};
use super::stream::File;
use super::tar::{Limits, pack};
use super::unpack::{self, Whiteouts};
use crate::error::{Result, Step};
use crate::gather::Gather as _;
use crate::spec;

/// What a new image is to be.
#[derive(Default)]
pub struct New<'a> {
    /// What the layer is put on.
    pub base: Option<&'a Image>,
    /// The configuration; only its layers and its history are added here.
    pub config: ImageConfig,
    /// How the layer came to be.
    pub history: History,
    /// The image's name.
    pub name: Option<Reference>,
    /// What the archive may be.
    pub limits: Limits,
}

/// The configuration of an image without a base: what it runs on is this host.
pub fn configuration(created: &str, platform: Platform) -> ImageConfig {
    ImageConfig {
        created: Some(created.into()),
        architecture: platform.architecture,
        variant: platform.variant,
        os: platform.os,
        config: Some(RunConfig::default()),
        rootfs: RootFs { kind: "layers".into(), diff_ids: Vec::new() },
        ..ImageConfig::default()
    }
}

/// Makes an image whose newest layer is the archive that `reader` reads, compressed or not; says its ID.
pub fn import(store: &Store, reader: Box<dyn Read + '_>, new: New) -> Result<String> {
    let _held = store.share()?;
    store.sweep()?;
    let building = store.begin_layer(&format!("import-{}", rustix::process::getpid()))?;
    let options = unpack::Options {
        whiteouts: store.whiteouts,
        unprivileged: store.unprivileged,
        one_owner: store.one_owner,
    };
    let made = receive(reader, &building.directory, &Expected::default(), true, Some((&options, new.limits)))
        .and_then(|received| place(store, &building, received, &new));
    store.end_layer(building);
    let (manifest, id) = made?;
    rustix::fs::syncfs(store.as_fd()).step(|| format!("write {} to the disk", store.home()))?;
    store.add(&manifest, new.name.as_ref(), "")?;
    Ok(id)
}

fn place(store: &Store, building: &Building, received: Received, new: &New) -> Result<(Descriptor, String)> {
    let mut config = new.config.clone();
    config.rootfs.kind = "layers".into();
    config.rootfs.diff_ids.push(received.diff_id.clone());
    config.history.push(new.history.clone());
    let chain = chain_ids(&config.rootfs.diff_ids);
    let (own, below) = chain.split_last().map_or(("", &[][..]), |(own, below)| (own.as_str(), below));
    if !store.has_layer(own) {
        let lower: Vec<OwnedFd> = below
            .iter()
            .rev()
            .map(|id| store.open_directory(&format!("{}/{}", LAYERS, digits(id))))
            .gather::<Result<_>>()?;
        let tree = open_at(building.directory.as_fd(), TREE, DIRECTORY).step(|| "open a layer")?;
        unpack::complete(&tree, &received.unpacked, &lower, store.whiteouts)?;
        let layer = Layer {
            diff_id: received.diff_id.clone(),
            archive_size: received.archive_size,
            parent: below.last().cloned(),
            plain_whiteouts: (store.whiteouts == Whiteouts::Files).then_some(true),
        };
        store.finish_layer(building, own, &layer)?;
    }
    let media_type = [OCI_LAYER, compression_of(&building.directory)?].concat();
    keep_blob(store, building, &received.digest)?;
    let mut layers = new.base.map_or_else(Vec::new, |base| base.manifest.layers.clone());
    layers.push(Descriptor {
        media_type,
        digest: received.digest,
        size: received.size,
        ..Descriptor::default()
    });
    let config = store.add_document(spec::to_json(&config).as_bytes(), OCI_CONFIG)?;
    let id = config.digest.clone();
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(OCI_MANIFEST.into()),
        config,
        layers,
        ..Manifest::default()
    };
    let manifest = store.add_document(spec::to_json(&manifest).as_bytes(), OCI_MANIFEST)?;
    Ok((manifest, id))
}

/// What the media type of the blob says of its compression.
fn compression_of(building: &OwnedFd) -> Result<&'static str> {
    let mut bytes = [0; 8];
    let blob = open_at(building.as_fd(), "blob", OFlags::RDONLY | OFlags::CLOEXEC).step(|| "open a blob")?;
    rustix::io::read(&blob, &mut bytes).step(|| "read a blob")?;
    Ok(match compression(&bytes)? {
        Compression::None => "",
        Compression::Gzip => "+gzip",
        Compression::Zstd => "+zstd",
    })
}

/// Makes an image whose newest layer is the tree `root`; says its ID.
pub fn import_tree(store: &Store, root: &OwnedFd, whiteouts: Whiteouts, new: New) -> Result<String> {
    let file = spool(store)?;
    pack::pack(root, file.as_fd(), whiteouts)?;
    seek(&file, SeekFrom::Start(0)).step(|| "go to the beginning of a file")?;
    import(store, Box::new(File(file)), new)
}

/// Where an image made here comes from, in its history.
pub fn history(created: &str, created_by: &str, comment: &str) -> History {
    let text = |text: &str| (!text.is_empty()).then(|| text.to_string());
    History {
        created: text(created),
        created_by: text(created_by),
        comment: text(comment),
        ..History::default()
    }
}
