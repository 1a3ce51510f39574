//! A registry's manifests and indexes, the first byte choosing the media type that it claims.
#![no_main]

use libfuzzer_sys::fuzz_target;
use servin_run::image::documents::Platform;
use servin_run::image::manifest::{self, Document};

const CLAIMS: &[&str] = &[
    "",
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "text/html",
];

fuzz_target!(|bytes: &[u8]| {
    let Some((claim, content)) = bytes.split_first() else { return };
    let claim = CLAIMS[usize::from(*claim) % CLAIMS.len()];
    if let Ok(Document::Index(index)) = manifest::read(content, claim, "fuzz") {
        let _ = manifest::choose(&index, &Platform::host(), "fuzz");
    }
});
