//! Pushing: an image of the store into a sink. The blobs first, several at a time, then the manifest that names them;
//! all that an index names, where all of it is here, and then the index.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::BorrowedFd;
use rustix::fs::{SeekFrom, seek};

use super::documents::{Descriptor, Manifest};
use super::http::is_transient;
use super::http::stream::pause;
use super::manifest::{self, Document};
use super::pull::Progress;
use super::registry::back_off;
use super::source::{Read, Sink};
use super::store::{Image, Store};
use super::stream::File;
use super::worker::{self, AT_A_TIME, Reported, Worker};
use crate::error::{Result, Step};
use crate::gather::Gather as _;

/// How often a blob is sent again after the connection has broken.
const RETRIES: u32 = 3;

/// What is pushed under one name.
struct Whole {
    /// What the name stands for.
    top: Descriptor,
    /// What an index names.
    parts: Vec<(Descriptor, Manifest)>,
}

/// Pushes an image under the name `what`; says the digest that the name has then.
pub fn push(
    store: &Store,
    image: &Image,
    sink: &mut dyn Sink,
    what: &str,
    progress: &mut dyn Progress,
) -> Result<String> {
    let indexed = image.source_digests.iter().find_map(|digest| index(store, digest));
    let whole = indexed.unwrap_or_else(|| Whole {
        top: image.descriptor.clone(),
        parts: Vec::from([(image.descriptor.clone(), image.manifest.clone())]),
    });
    // Each once, and the small ones last.
    let (mut blobs, mut layers): (Vec<Descriptor>, usize) = (Vec::new(), 0);
    for last in [false, true] {
        for (_, manifest) in &whole.parts {
            let all = if last { core::slice::from_ref(&manifest.config) } else { &manifest.layers[..] };
            for blob in all {
                if !blobs.iter().any(|known| known.digest == blob.digest) {
                    blobs.push(blob.clone());
                }
            }
        }
        if !last {
            layers = blobs.len();
        }
    }
    let mut present = Vec::new();
    for blob in &blobs {
        present.push(sink.has_blob(&blob.digest)?);
    }
    progress.begin(&blobs[..layers], &present[..layers]);
    send_all(store, sink, &blobs, &present, progress)?;
    let mut put = |descriptor: &Descriptor, name: &str| {
        sink.put_manifest(name, &store.document(&descriptor.digest)?, &descriptor.media_type)
    };
    for (descriptor, _) in whole.parts.iter().filter(|(part, _)| part.digest != whole.top.digest) {
        put(descriptor, &descriptor.digest)?;
    }
    put(&whole.top, what)?;
    Ok(whole.top.digest.clone())
}

/// An index and what it names; none where that is something else, or not all of it is here.
fn index(store: &Store, digest: &str) -> Option<Whole> {
    let content = store.document(digest).ok()?;
    let Ok(Document::Index(index)) = manifest::read(&content, "", digest) else { return None };
    let mut parts = Vec::new();
    for entry in index.manifests {
        let text = String::from_utf8(store.document(&entry.digest).ok()?).ok()?;
        let manifest: Manifest = crate::spec::parse(&text, &entry.digest).ok()?;
        if !manifest.layers.iter().chain([&manifest.config]).all(|blob| store.has_blob(&blob.digest)) {
            return None;
        }
        parts.push((entry, manifest));
    }
    let media_type = index.media_type.unwrap_or_else(|| manifest::OCI_INDEX.into());
    let top = Descriptor { media_type, digest: digest.into(), ..Descriptor::default() };
    Some(Whole { top, parts })
}

/// Sends what is not there yet.
fn send_all(
    store: &Store,
    sink: &mut dyn Sink,
    blobs: &[Descriptor],
    present: &[bool],
    progress: &mut dyn Progress,
) -> Result<()> {
    let (mut running, mut next): (Vec<(usize, Worker)>, usize) = (Vec::new(), 0);
    loop {
        while running.len() < AT_A_TIME && next < blobs.len() {
            let blob = &blobs[next];
            match present[next] {
                true => progress.done(next),
                false => {
                    let send = &mut |pipe: BorrowedFd<'_>| send(store, &mut *sink.again()?, blob, pipe);
                    running.push((next, Worker::start(send)?));
                }
            }
            next += 1;
        }
        if running.is_empty() {
            return Ok(());
        }
        let ready = worker::wait(&running.iter().map(|(_, worker)| worker).gather::<Vec<_>>())?;
        for ((index, worker), _) in running.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            if let Some(result) = worker.listen(&mut |bytes| progress.advance(*index, bytes))? {
                result.map_err(|error| error.within(format_args!("blob {}", blobs[*index].digest)))?;
                progress.done(*index);
            }
        }
        running.retain(|(_, worker)| !worker.ended);
    }
}

/// Sends a blob, from its beginning again where the connection breaks and the sink has forgotten what came before.
fn send(store: &Store, sink: &mut dyn Sink, blob: &Descriptor, pipe: BorrowedFd<'_>) -> Result<()> {
    let mut open = |from: u64| -> Result<Box<dyn Read + '_>> {
        let file = store.open_blob(&blob.digest)?;
        seek(&file, SeekFrom::Start(from)).step(|| "go to a place in a blob")?;
        Ok(Box::new(Reported::new(Box::new(File(file)), pipe, from)))
    };
    let mut failures = 0;
    loop {
        match sink.put_blob(&blob.digest, blob.size, &mut open) {
            Err(error) if is_transient(&error) && failures < RETRIES => {
                pause(back_off(failures));
                failures += 1;
            }
            result => return result,
        }
    }
}
