//! Registries: the [distribution specification][spec] over HTTP, as a source and as a sink of images.
//!
//! A registry is asked at its mirrors first, then at its own place. What a server sends is bounded here in size and
//! in time; whether it is what was asked for is seen by whoever compares digests.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/main/spec.md

mod blob;
pub mod configuration;
mod push;
mod session;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use self::configuration::Configuration;
pub use self::session::{Session, back_off};
use super::auth::Credentials;
use super::environment::Environment;
use super::reference::Reference;
use super::source::{Read, Source};
use crate::error::Result;

/// What a manifest can be; the order says what we would rather have.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, \
    application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json";

/// The most bytes of a manifest that registries must take (the specification, "Pushing Manifests").
const MAX_MANIFEST: usize = 4 << 20;

/// One repository of a registry.
pub struct Registry {
    session: Session,
    /// Other repositories of the registry, in which blobs may be already.
    others: Vec<String>,
}

impl Registry {
    /// The repository that `reference` is in. Nothing is sent yet. `push` asks for the right to write.
    pub fn open(
        reference: &Reference,
        credentials: Option<Credentials>,
        environment: &Environment,
        push: bool,
    ) -> Result<Registry> {
        let configuration = Configuration::read(environment)?;
        let session = Session::new(
            reference.registry(),
            reference.repository(),
            &configuration,
            credentials,
            environment,
            push,
        )?;
        Ok(Registry { session, others: Vec::new() })
    }

    /// The digest that a tag has now, without the manifest; nothing where the registry does not say.
    pub fn digest(&mut self, tag: &str) -> Result<Option<String>> {
        let accept = [("Accept", MANIFESTS.into())];
        let response = self.session.get("HEAD", &alloc::format!("manifests/{tag}"), &accept)?;
        Ok(response.headers.get("docker-content-digest").map(Into::into))
    }

    /// The tags of the repository.
    pub fn tags(&mut self) -> Result<Vec<String>> {
        session::tags(&mut self.session)
    }
}

impl Source for Registry {
    fn manifest(&mut self, what: &str) -> Result<(Vec<u8>, String)> {
        let what = if what.is_empty() { "latest" } else { what };
        let accept = [("Accept", MANIFESTS.into())];
        let response = self.session.get("GET", &alloc::format!("manifests/{what}"), &accept)?;
        let kind = response.headers.get("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().into();
        Ok((response.bytes(MAX_MANIFEST)?, kind))
    }

    fn blob(&mut self, digest: &str, from: u64) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(blob::Blob::open(&mut self.session, digest, from)?))
    }

    fn again(&self) -> Result<Box<dyn Source>> {
        Ok(Box::new(Registry { session: self.session.again(), others: Vec::new() }))
    }
}
