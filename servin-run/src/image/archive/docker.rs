//! Archives of `docker save`: `manifest.json` lists images by the files of their configurations and layers. A
//! manifest is made up for each, whose layers are as they lie there: most often not compressed.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::decompress::{Compression, compression};
use super::super::digest::{self, Hasher};
use super::super::documents::Manifest;
use super::super::manifest::{OCI_CONFIG, OCI_LAYER, OCI_MANIFEST};
use super::super::reference::Reference;
use super::super::source::{Read, Source};
use super::super::store;
use super::super::stream::BUFFER;
use super::{Offered, Shared, descriptor};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec;
use crate::spec::json::object;

object! {
    /// One image of the archive.
    pub struct Listed {
        /// The configuration's file.
        "Config" => config: String,
        /// Its names.
        "RepoTags" => repo_tags: Vec<String>,
        /// The layers' files, the lowest first.
        "Layers" => layers: Vec<String>,
    }
}

struct Docker {
    files: Shared,
    /// Manifests made up: digest and text.
    manifests: Vec<(String, Vec<u8>)>,
    /// Digests and the files that have them.
    blobs: Vec<(String, String)>,
}

/// The images of an archive.
pub fn open(files: Shared) -> Result<(Box<dyn Source>, Vec<Offered>)> {
    let text = String::from_utf8(files.document("manifest.json")?)
        .map_err(|_| Error::new("manifest.json: not UTF-8"))?;
    let listed: Vec<Listed> = spec::parse(&text, "manifest.json")?;
    let mut docker = Docker { files, manifests: Vec::new(), blobs: Vec::new() };
    let mut offered = Vec::new();
    for image in &listed {
        let what = docker.add(image)?;
        let references = image.repo_tags.iter().map(|name| Reference::parse(name)).gather::<Result<_>>()?;
        offered.push(Offered { what, references });
    }
    Ok((Box::new(docker), offered))
}

impl Docker {
    /// Makes a manifest for an image of the list; says its digest.
    fn add(&mut self, image: &Listed) -> Result<String> {
        let config = self.files.document(&image.config)?;
        let config_digest = digest::of(&config);
        let diff_ids = store::config(&config, &config_digest)?.rootfs.diff_ids;
        if diff_ids.len() != image.layers.len() {
            return Err(Error::new(format_args!(
                "manifest.json names {} layers, and the configuration {} has {}",
                image.layers.len(),
                image.config,
                diff_ids.len()
            )));
        }
        let mut layers = Vec::new();
        for (file, diff_id) in image.layers.iter().zip(&diff_ids) {
            let (digest, size, compression) = self.layer(file, diff_id)?;
            let end = match compression {
                Compression::None => "",
                Compression::Gzip => "+gzip",
                Compression::Zstd => "+zstd",
            };
            layers.push(descriptor(&format!("{OCI_LAYER}{end}"), digest.clone(), size));
            self.blobs.push((digest, file.clone()));
        }
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(OCI_MANIFEST.into()),
            config: descriptor(OCI_CONFIG, config_digest.clone(), config.len() as u64),
            layers,
            ..Manifest::default()
        };
        self.blobs.push((config_digest, image.config.clone()));
        let text = spec::to_json(&manifest).into_bytes();
        let digest = digest::of(&text);
        self.manifests.push((digest.clone(), text));
        Ok(digest)
    }

    /// Digest and length of a layer's file. One that is not compressed has the digest that the configuration says,
    /// which is compared when it is unpacked; another one's nobody has written down.
    fn layer(&self, file: &str, diff_id: &str) -> Result<(String, u64, Compression)> {
        let (mut reader, size) = self.files.open(file)?;
        let mut buffer = alloc::vec![0; BUFFER];
        let mut length = reader.read(&mut buffer)?;
        let compression = compression(&buffer[..length])?;
        if compression == Compression::None {
            return Ok((diff_id.into(), size, compression));
        }
        let mut hasher = Hasher::default();
        while length > 0 {
            hasher.update(&buffer[..length]);
            length = reader.read(&mut buffer)?;
        }
        Ok((hasher.finish(), size, compression))
    }
}

impl Source for Docker {
    fn manifest(&mut self, what: &str) -> Result<(Vec<u8>, String)> {
        let found = self.manifests.iter().find(|(digest, _)| digest == what);
        let (_, text) =
            found.ok_or_else(|| Error::new(format_args!("the archive has no manifest {what}")))?;
        Ok((text.clone(), OCI_MANIFEST.to_string()))
    }

    fn blob(&mut self, digest: &str, from: u64) -> Result<Box<dyn Read + '_>> {
        let found = self.blobs.iter().find(|(known, _)| known == digest);
        let (_, file) = found.ok_or_else(|| Error::new(format_args!("the archive has no blob {digest}")))?;
        let (mut reader, _) = self.files.open(file)?;
        super::layout::skip(&mut *reader, from)?;
        Ok(reader)
    }

    fn again(&self) -> Result<Box<dyn Source>> {
        let (manifests, blobs) = (self.manifests.clone(), self.blobs.clone());
        Ok(Box::new(Docker { files: self.files.clone(), manifests, blobs }))
    }
}
