//! Manifests and indexes: what kind of document a text is, and which image of an index this host can run.
//!
//! A document that reads as two kinds (CVE-2021-41190), or is another kind than it was announced as, is refused.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::documents::{Descriptor, Index, Manifest, Platform, Shape};
use super::reference::check_digest;
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec;

/// An OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// An OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// An OCI layer; `+gzip` and `+zstd` follow where it is compressed.
pub const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker's index.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";
/// Docker's layers: not compressed, and compressed.
pub const DOCKER_LAYERS: [&str; 3] = [
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
];

/// What a manifest may weigh; registries do not take larger ones either.
pub const LARGEST_DOCUMENT: usize = 4 << 20;
/// More layers than overlayfs stacks, and than Docker allows.
const MOST_LAYERS: usize = 128;

/// What a text is.
#[derive(Debug)]
pub enum Document {
    /// One image.
    Manifest(Box<Manifest>),
    /// Images of several platforms.
    Index(Index),
}

/// Reads a manifest or an index that was announced as `media_type`; `name` is what errors call it.
pub fn read(content: &[u8], media_type: &str, name: &str) -> Result<Document> {
    let text = core::str::from_utf8(content).map_err(|_| Error::new(format_args!("{name}: not UTF-8")))?;
    if content.len() > LARGEST_DOCUMENT {
        return Err(Error::new(format_args!("{name}: longer than 4 MiB")));
    }
    let shape: Shape = spec::parse(text, name)?;
    let refuse = |why: &str| Err(Error::new(format_args!("{name}: {why}")));
    // Parameters, as in `; charset=utf-8`, say nothing of the kind.
    let announced = media_type.split(';').next().unwrap_or_default().trim();
    let own = shape.media_type.as_deref().unwrap_or_default();
    if !own.is_empty() && is_document(announced) && announced != own {
        return refuse(&format!("it was announced as {announced} and says that it is {own}"));
    }
    let (image, list) = (shape.layers.is_some() || shape.config.is_some(), shape.manifests.is_some());
    if image && list {
        return refuse("it reads as a manifest and as an index: refused as ambiguous");
    }
    if shape.schema_version == Some(1) {
        return refuse("it is of Docker's schema 1, which nobody writes any more: push the image again");
    }
    if shape.schema_version != Some(2) {
        return refuse("schemaVersion is not 2");
    }
    let kind = match (own, announced) {
        ("", announced) if is_document(announced) => announced,
        ("", _) if list => OCI_INDEX,
        ("", _) => OCI_MANIFEST,
        (own, _) => own,
    };
    match kind {
        OCI_INDEX | DOCKER_LIST if image => refuse("it says that it is an index and has layers"),
        OCI_MANIFEST | DOCKER_MANIFEST if list => refuse("it says that it is a manifest and has manifests"),
        OCI_INDEX | DOCKER_LIST => {
            let index: Index = spec::parse(text, name)?;
            index.manifests.iter().try_for_each(|entry| check(entry, name))?;
            Ok(Document::Index(index))
        }
        OCI_MANIFEST | DOCKER_MANIFEST => {
            let manifest: Manifest = spec::parse(text, name)?;
            check_manifest(&manifest, name)?;
            Ok(Document::Manifest(Box::new(manifest)))
        }
        other => refuse(&format!("{other} is neither a manifest nor an index")),
    }
}

fn is_document(media_type: &str) -> bool {
    matches!(media_type, OCI_MANIFEST | OCI_INDEX | DOCKER_MANIFEST | DOCKER_LIST)
}

fn check(descriptor: &Descriptor, name: &str) -> Result<()> {
    check_digest(&descriptor.digest)
        .map_err(|why| Error::new(format_args!("{name}: the digest \"{}\": {why}", descriptor.digest)))
}

fn check_manifest(manifest: &Manifest, name: &str) -> Result<()> {
    check(&manifest.config, name)?;
    let refuse = |why: &str| Err(Error::new(format_args!("{name}: {why}")));
    match manifest.config.media_type.as_str() {
        OCI_CONFIG | DOCKER_CONFIG => {}
        other => {
            return refuse(&format!("its configuration is {other}: this is no image of a root file system"));
        }
    }
    if manifest.config.size > LARGEST_DOCUMENT as u64 {
        return refuse("its configuration is longer than 4 MiB");
    }
    if manifest.layers.len() > MOST_LAYERS {
        return refuse(&format!("it has more than {MOST_LAYERS} layers"));
    }
    for layer in &manifest.layers {
        check(layer, name)?;
        let kind = layer.media_type.as_str();
        if kind.contains("foreign") || kind.contains("nondistributable") || !layer.urls.is_empty() {
            return refuse(
                "it has a layer that is only to be had elsewhere (a foreign layer): not supported",
            );
        }
        let known = DOCKER_LAYERS.contains(&kind)
            || kind.strip_prefix(OCI_LAYER).is_some_and(|end| matches!(end, "" | "+gzip" | "+zstd"));
        if !known {
            return refuse(&format!("it has a layer of a kind that is not known: {kind}"));
        }
    }
    Ok(())
}

impl Platform {
    /// What this program itself runs on.
    pub fn host() -> Platform {
        let (architecture, variant) = if cfg!(target_arch = "x86_64") {
            ("amd64", None)
        } else if cfg!(target_arch = "aarch64") {
            ("arm64", Some("v8"))
        } else if cfg!(target_arch = "arm") {
            ("arm", Some("v7"))
        } else {
            ("riscv64", None)
        };
        Platform {
            architecture: architecture.into(),
            os: "linux".into(),
            os_version: None,
            variant: variant.map(String::from),
        }
    }

    /// Reads `[linux/]ARCHITECTURE[/VARIANT]`.
    pub fn parse(text: &str) -> Result<Platform> {
        let refuse = |why: &str| Error::new(format_args!("--platform {text}: {why}"));
        let rest = text.strip_prefix("linux/").unwrap_or(text);
        let (architecture, variant) = match rest.split_once('/') {
            Some((architecture, variant)) => (architecture, Some(variant)),
            None => (rest, None),
        };
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        if !is_word(architecture) || !variant.is_none_or(is_word) {
            return Err(refuse("it takes [linux/]ARCHITECTURE[/VARIANT], as in linux/arm64 or arm/v7"));
        }
        if matches!(architecture, "windows" | "darwin" | "freebsd") {
            return Err(refuse("only images for linux can run"));
        }
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64", variant) => ("amd64", variant),
            ("aarch64", variant) => ("arm64", variant),
            ("armhf", None) => ("arm", Some("v7")),
            ("armel", None) => ("arm", Some("v6")),
            ("i386", variant) => ("386", variant),
            other => other,
        };
        Ok(Platform {
            architecture: architecture.into(),
            os: "linux".into(),
            os_version: None,
            variant: variant.map(String::from),
        })
    }

    /// The variant as a number, with the ones that Go's tools take for granted.
    fn level(&self) -> u32 {
        let digits = self.variant.as_deref().unwrap_or_default().trim_start_matches('v');
        digits.parse().unwrap_or(match self.architecture.as_str() {
            "arm" => 7,
            "arm64" => 8,
            _ => 1,
        })
    }

    /// Whether what was made for `other` runs here.
    pub fn runs(&self, other: &Platform) -> bool {
        other.os == self.os && other.architecture == self.architecture && other.level() <= self.level()
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

/// The image of `index` that runs on `platform`: of several the one of the highest variant, and of these the first.
pub fn choose<'i>(index: &'i Index, platform: &Platform, name: &str) -> Result<&'i Descriptor> {
    let mut best: Option<(&Descriptor, u32)> = None;
    for entry in &index.manifests {
        let level = match &entry.platform {
            Some(found) if platform.runs(found) => found.level(),
            Some(_) => continue,
            // An index of one image has no need to say what it is for.
            None => 0,
        };
        if best.is_none_or(|(_, highest)| level > highest) {
            best = Some((entry, level));
        }
    }
    best.map(|(entry, _)| entry).ok_or_else(|| {
        let offered: Vec<String> = index
            .manifests
            .iter()
            .filter_map(|entry| entry.platform.as_ref())
            .filter(|offered| offered.os != "unknown")
            .map(ToString::to_string)
            .gather();
        Error::new(format_args!("{name}: there is no image for {platform}"))
            .hint(format!("there are {}; --platform takes another one", offered.join(", ")))
    })
}

#[cfg(test)]
mod tests;
