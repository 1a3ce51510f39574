//! Unpacked layers, by chain ID: the digest that stands for a layer on top of those below it ([config.md][chain]).
//!
//! [chain]: https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md#layer-chainid

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, FlockOperation, flock, fstat};
use rustix::io::{self, Errno};

use super::super::copy::{DIRECTORY, make_directory, open_at, remove_tree};
use super::super::digest::{digits, of};
use super::super::unpack::Whiteouts;
use super::{Image, Store, exists, open_if_there};
use crate::error::{Error, Result, Step};
use crate::fs::read_to_end;
use crate::spec;
use crate::spec::json::object;
use crate::sys::path::{renameat, statat};

object! {
    /// What is known of an unpacked layer.
    pub struct Layer {
        /// The digest of its archive.
        "diffId" => diff_id: String,
        /// The archive's length.
        "archiveSize" => archive_size: u64,
        /// The layer below.
        "parent" => parent: Option<String>,
        /// Removed files are kept as in archives, so that no overlay can be made of it.
        "plainWhiteouts" => plain_whiteouts: Option<bool>,
    }
}

/// Where layers are, below HOME.
pub const LAYERS: &str = "layers/sha256";
/// What a layer in the making is called in its directory.
pub const TREE: &str = "tree";

/// The chain IDs of an image's layers.
pub fn chain_ids(diff_ids: &[String]) -> Vec<String> {
    let mut chain: Vec<String> = Vec::new();
    for diff_id in diff_ids {
        let id = match chain.last() {
            None => diff_id.clone(),
            Some(below) => of(format!("{below} {diff_id}").as_bytes()),
        };
        chain.push(id);
    }
    chain
}

/// A layer in the making: its directory, locked.
pub struct Building {
    /// The directory.
    pub directory: OwnedFd,
    name: String,
}

impl Store {
    /// The directory of an unpacked layer.
    pub fn layer_path(&self, chain_id: &str) -> String {
        format!("{}/{LAYERS}/{}", self.home, digits(chain_id))
    }

    /// Whether the layer is unpacked.
    pub fn has_layer(&self, chain_id: &str) -> bool {
        exists(self.as_fd(), &format!("{LAYERS}/{}", digits(chain_id)))
    }

    /// What is known of an unpacked layer.
    pub fn layer(&self, chain_id: &str) -> Result<Layer> {
        let path = format!("{LAYERS}/{}.json", digits(chain_id));
        let step = || format!("read {}/{path}", self.home);
        let file =
            open_if_there(self.as_fd(), &path).step(step)?.ok_or_else(|| Error::os(step(), Errno::NOENT))?;
        let text = read_to_end(&file).step(step)?;
        spec::parse(&String::from_utf8_lossy(&text), &path)
    }

    /// Begins a layer, or waits for somebody else who makes it, with the lock on it. What a killed maker has left in
    /// it is removed.
    pub fn begin_layer(&self, name: &str) -> Result<Building> {
        let name = format!(".{}", digits(name));
        let path = format!("{LAYERS}/{name}");
        let step = || format!("make {}/{path}", self.home);
        loop {
            make_directory(self.as_fd(), &path, 0o700).step(step)?;
            let directory = match open_at(self.as_fd(), &path, DIRECTORY) {
                Err(Errno::NOENT) => continue,
                opened => opened.step(step)?,
            };
            io::retry_on_intr(|| flock(&directory, FlockOperation::LockExclusive)).step(step)?;
            // It may have become a layer, or been removed, while we were waiting.
            let (own, there) = (fstat(&directory), statat(self.as_fd(), path.as_str(), AtFlags::empty()));
            if let (Ok(own), Ok(there)) = (own, there)
                && own.st_ino == there.st_ino
            {
                for left in [TREE, "blob", "notes"] {
                    remove(&directory, left).step(|| format!("remove {}/{path}/{left}", self.home))?;
                }
                return Ok(Building { directory, name });
            }
        }
    }

    /// Makes the tree of `building` the layer `chain_id`.
    pub fn finish_layer(&self, building: &Building, chain_id: &str, layer: &Layer) -> Result<()> {
        let path = format!("{LAYERS}/{}", digits(chain_id));
        self.replace(&format!("{path}.json"), spec::to_json(layer).as_bytes())?;
        match renameat(&building.directory, TREE, self.as_fd(), path.as_str()) {
            // Somebody was quicker.
            Err(Errno::EXIST | Errno::NOTEMPTY) => Ok(()),
            renamed => renamed.step(|| format!("rename a layer to {}/{path}", self.home)),
        }
    }

    /// Ends the making of a layer, whether it was finished or not.
    pub fn end_layer(&self, building: Building) {
        let layers = self.open_directory(LAYERS);
        // What stays behind the next one removes.
        let _ = layers.map(|layers| remove_tree(layers.as_fd(), &building.name));
    }

    /// Removes layers in the making that nobody makes any more.
    pub fn sweep(&self) -> Result<()> {
        let layers = self.open_directory(LAYERS)?;
        for name in names(&layers)? {
            if !name.starts_with('.') {
                continue;
            }
            let Ok(directory) = open_at(layers.as_fd(), &name, DIRECTORY) else { continue };
            if flock(&directory, FlockOperation::NonBlockingLockExclusive).is_ok() {
                let _ = remove_tree(layers.as_fd(), &name);
            }
        }
        Ok(())
    }

    /// The length of all archives of an image, and so about what it takes on disk.
    pub fn size(&self, image: &Image) -> u64 {
        let chain = chain_ids(&image.config.rootfs.diff_ids);
        chain.iter().filter_map(|id| self.layer(id).ok()).map(|layer| layer.archive_size).sum()
    }

    /// How removed files are kept in the layers of an image: all of one kind, or the plain one among them.
    pub fn whiteouts_of(&self, chain: &[String]) -> Result<Whiteouts> {
        let plain = chain.iter().try_fold(false, |plain, id| {
            Ok::<bool, Error>(plain || self.layer(id)?.plain_whiteouts == Some(true))
        })?;
        Ok(if plain { Whiteouts::Files } else { self.whiteouts })
    }
}

fn remove(directory: &OwnedFd, name: &str) -> io::Result<()> {
    match super::super::copy::remove_any(directory.as_fd(), name.as_bytes()) {
        Err(Errno::NOENT) => Ok(()),
        removed => removed,
    }
}

/// The names in a directory, as far as they are ours.
pub fn names(directory: &OwnedFd) -> Result<Vec<String>> {
    let step = || "list a directory of the store";
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).step(step)? {
        let entry = entry.step(step)?;
        match entry.file_name().to_str() {
            Ok("." | "..") | Err(_) => {}
            Ok(name) => names.push(name.to_string()),
        }
    }
    Ok(names)
}
