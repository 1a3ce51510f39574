//! OCI layouts ([image-layout.md][layout]), in a directory or an archive.
//!
//! [layout]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::super::digest::digits;
use super::super::documents::Index;
use super::super::reference::{Reference, check_digest};
use super::super::source::{Read, Source};
use super::super::store::{NAME, REF_NAME};
use super::{Offered, Shared};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec;

struct Layout(Shared);

/// The images of a layout.
pub fn open(files: Shared) -> Result<(Box<dyn Source>, Vec<Offered>)> {
    let text =
        String::from_utf8(files.document("index.json")?).map_err(|_| Error::new("index.json: not UTF-8"))?;
    let index: Index = spec::parse(&text, "index.json")?;
    let mut offered: Vec<Offered> = Vec::new();
    for entry in &index.manifests {
        check(&entry.digest)?;
        let value =
            |key: &str| entry.annotations.iter().find(|(known, _)| known == key).map(|(_, value)| value);
        let full = value(NAME).and_then(|name| Reference::parse(name).ok());
        // A tag alone says nothing of the repository.
        let other = value(REF_NAME).filter(|name| name.contains(['/', ':']));
        let reference = full.or_else(|| Reference::parse(other?).ok());
        match offered.iter_mut().find(|image| image.what == entry.digest) {
            Some(image) => image.references.extend(reference),
            None => offered
                .push(Offered { what: entry.digest.clone(), references: reference.into_iter().gather() }),
        }
    }
    Ok((Box::new(Layout(files)), offered))
}

fn check(digest: &str) -> Result<()> {
    check_digest(digest).map_err(|why| Error::new(format_args!("index.json: the digest \"{digest}\": {why}")))
}

fn path(digest: &str) -> Result<String> {
    check(digest)?;
    Ok(format!("blobs/sha256/{}", digits(digest)))
}

impl Source for Layout {
    fn manifest(&mut self, what: &str) -> Result<(Vec<u8>, String)> {
        let content = self.0.document(&path(what)?)?;
        // What the index says of it is not needed: the document says it itself, or it is an OCI manifest.
        Ok((content, "".to_string()))
    }

    fn blob(&mut self, digest: &str, from: u64) -> Result<Box<dyn Read + '_>> {
        let (mut reader, _) = self.0.open(&path(digest)?)?;
        skip(&mut *reader, from)?;
        Ok(reader)
    }

    fn again(&self) -> Result<Box<dyn Source>> {
        Ok(Box::new(Layout(self.0.clone())))
    }
}

/// Passes over the first bytes.
pub fn skip(reader: &mut dyn Read, mut length: u64) -> Result<()> {
    let mut buffer = [0; 4096];
    while length > 0 {
        let some = usize::try_from(length).unwrap_or(usize::MAX).min(buffer.len());
        match reader.read(&mut buffer[..some])? {
            0 => return Ok(()),
            read => length -= read as u64,
        }
    }
    Ok(())
}
