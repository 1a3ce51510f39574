//! Removing what no image needs any more: blobs, and unpacked layers that no container is made of.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::AsFd;
use rustix::fs::{AtFlags, FlockOperation, OFlags, flock};
use rustix::io::Errno;

use super::super::copy::{open_at, remove_tree};
use super::super::digest::digits;
use super::super::manifest::{self, Document};
use super::index::annotation;
use super::layers::{LAYERS, chain_ids, names};
use super::{Held, SOURCE_DIGEST, Store};
use crate::error::{Result, Step};
use crate::sys::path::{statat, unlinkat};

/// What was removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Digests of blobs and layers.
    pub removed: Vec<String>,
    /// Bytes of blobs, and of the archives of layers.
    pub bytes: u64,
}

impl Store {
    /// Removes what no image of the index names. `kept` says the chain IDs of layers that containers are made of.
    /// None where images are being added at this moment, and `wait` does not ask to wait for it.
    pub(super) fn collect(
        &self,
        kept: &mut dyn FnMut() -> Vec<String>,
        wait: bool,
    ) -> Result<Option<Collected>> {
        let how = if wait { FlockOperation::LockExclusive } else { FlockOperation::NonBlockingLockExclusive };
        let _held = match self.try_lock(how)? {
            Some(held) => held,
            None => return Ok(None),
        };
        let (mut blobs, mut layers) = (Vec::new(), Vec::new());
        layers.extend(kept().iter().map(|id| digits(id).to_string()));
        for entry in &self.index()?.manifests {
            self.needed(&entry.digest, &mut blobs, &mut layers);
            // The index that it was chosen from, and what is here of that.
            if let Some(source) = annotation(entry, SOURCE_DIGEST) {
                self.needed(source, &mut blobs, &mut layers);
            }
        }
        self.sweep()?;
        let mut collected = Collected::default();
        self.remove_others(LAYERS, &layers, &mut collected)?;
        self.remove_others("blobs/sha256", &blobs, &mut collected)?;
        Ok(Some(collected))
    }

    fn try_lock(&self, how: FlockOperation) -> Result<Option<Held>> {
        let step = || format!("lock {}/.images", self.home);
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open_at(self.as_fd(), ".images", flags).step(step)?;
        match rustix::io::retry_on_intr(|| flock(&file, how)) {
            Err(Errno::WOULDBLOCK) => Ok(None),
            locked => locked.step(step).map(|()| Some(Held(file))),
        }
    }

    /// What hangs on the manifest or index `digest`. What cannot be read hangs on nothing.
    fn needed(&self, digest: &str, blobs: &mut Vec<String>, layers: &mut Vec<String>) {
        if blobs.iter().any(|known| known == digits(digest)) {
            return;
        }
        blobs.push(digits(digest).to_string());
        let Ok(content) = self.document(digest) else { return };
        match manifest::read(&content, "", digest) {
            Ok(Document::Index(index)) => {
                index.manifests.iter().for_each(|entry| self.needed(&entry.digest, blobs, layers));
            }
            Ok(Document::Manifest(manifest)) => {
                blobs.push(digits(&manifest.config.digest).to_string());
                blobs.extend(manifest.layers.iter().map(|layer| digits(&layer.digest).to_string()));
                if let Ok(config) = self.config(&manifest) {
                    let chain = chain_ids(&config.rootfs.diff_ids);
                    layers.extend(chain.iter().map(|id| digits(id).to_string()));
                }
            }
            Err(_) => {}
        }
    }

    fn remove_others(&self, path: &str, needed: &[String], collected: &mut Collected) -> Result<()> {
        let directory = self.open_directory(path)?;
        for name in names(&directory)? {
            let id = name.strip_suffix(".json").unwrap_or(&name);
            // A layer in the making belongs to its maker.
            if name.starts_with('.') || needed.iter().any(|known| known == id) {
                continue;
            }
            let step = || format!("remove {}/{path}/{name}", self.home);
            let digest = format!("sha256:{id}");
            if id != name {
                // Where its layer is, it goes with that; and it may have gone already.
                if !super::exists(directory.as_fd(), id) {
                    let _ = unlinkat(&directory, name.as_str(), AtFlags::empty());
                }
                continue;
            }
            if path == LAYERS {
                collected.bytes += self.layer(&digest).map_or(0, |layer| layer.archive_size);
                // Under another name first, so that half a layer is never taken for one.
                let gone = format!(".{id}");
                crate::sys::path::renameat(&directory, name.as_str(), &directory, gone.as_str())
                    .step(step)?;
                remove_tree(directory.as_fd(), &gone).step(step)?;
                let _ = unlinkat(&directory, format!("{id}.json").as_str(), AtFlags::empty());
            } else {
                let stat = statat(&directory, name.as_str(), AtFlags::SYMLINK_NOFOLLOW).step(step)?;
                collected.bytes += stat.st_size as u64;
                unlinkat(&directory, name.as_str(), AtFlags::empty()).step(step)?;
            }
            collected.removed.push(digest);
        }
        Ok(())
    }
}
