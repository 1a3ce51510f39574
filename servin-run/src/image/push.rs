//! Pushing: an image of the store into a sink. The blobs first, then the manifest that names them.

use alloc::boxed::Box;

use super::documents::Descriptor;
use super::http::is_transient;
use super::http::stream::pause;
use super::pull::Progress;
use super::registry::back_off;
use super::source::{Read, Sink};
use super::store::{Image, Store};
use super::stream::File;
use crate::error::Result;

/// How often a blob is sent again after the connection has broken.
const RETRIES: u32 = 3;

/// Pushes an image under the name `what`.
pub fn push(
    store: &Store,
    image: &Image,
    sink: &mut dyn Sink,
    what: &str,
    progress: &mut dyn Progress,
) -> Result<()> {
    let layers = &image.manifest.layers;
    let mut present = alloc::vec![false; layers.len()];
    for (layer, present) in layers.iter().zip(&mut present) {
        *present = sink.has_blob(&layer.digest)?;
    }
    progress.begin(layers, &present);
    for (index, layer) in layers.iter().enumerate() {
        // A layer may be there twice.
        if !present[index] && !sink.has_blob(&layer.digest)? {
            send(store, sink, layer, &mut |bytes| progress.advance(index, bytes))?;
        }
        progress.done(index);
    }
    let config = &image.manifest.config;
    if !sink.has_blob(&config.digest)? {
        send(store, sink, config, &mut |_| ())?;
    }
    let manifest = store.document(&image.digest)?;
    sink.put_manifest(what, &manifest, &image.descriptor.media_type)
}

/// Sends a blob, from its beginning again where the connection breaks.
fn send(store: &Store, sink: &mut dyn Sink, blob: &Descriptor, told: &mut dyn FnMut(u64)) -> Result<()> {
    let mut failures = 0;
    loop {
        let content = Box::new(File(store.open_blob(&blob.digest)?));
        let mut counted = Counted { content, read: 0, told };
        match sink.put_blob(&blob.digest, blob.size, &mut counted) {
            Err(error) if is_transient(&error) && failures < RETRIES => {
                pause(back_off(failures));
                failures += 1;
            }
            result => return result.map_err(|error| error.within(format_args!("blob {}", blob.digest))),
        }
    }
}

/// Tells somebody how much was read.
struct Counted<'a> {
    content: Box<dyn Read>,
    read: u64,
    told: &'a mut dyn FnMut(u64),
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.content.read(buffer)?;
        self.read += length as u64;
        (self.told)(self.read);
        Ok(length)
    }
}
