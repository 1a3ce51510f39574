//! `index.json`: which images there are, and their names.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fs::FlockOperation;

use super::super::documents::{Descriptor, Index};
use super::super::manifest::OCI_MANIFEST;
use super::super::reference::Reference;
use super::{NAME, REF_NAME, SOURCE_DIGEST, Store, empty_index, open_if_there};
use crate::error::{Error, Result, Step};
use crate::fs::read_to_end;
use crate::spec;

const INDEX: &str = "index.json";

/// The value of an annotation.
pub fn annotation<'d>(entry: &'d Descriptor, key: &str) -> Option<&'d str> {
    entry.annotations.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
}

/// The name of an entry: the full one, or what another tool has written if it is one.
pub fn reference(entry: &Descriptor) -> Option<Reference> {
    let full = annotation(entry, NAME);
    let other = annotation(entry, REF_NAME).filter(|name| name.contains(['/', ':']));
    Reference::parse(full.or(other)?).ok()
}

impl Store {
    /// The index as it is.
    pub(super) fn index(&self) -> Result<Index> {
        let step = || alloc::format!("read {}/{INDEX}", self.home);
        let Some(file) = open_if_there(self.as_fd(), INDEX).step(step)? else { return Ok(empty_index()) };
        let text = String::from_utf8(read_to_end(&file).step(step)?)
            .map_err(|_| Error::new(format_args!("{}/{INDEX}: not UTF-8", self.home)))?;
        spec::parse(&text, INDEX)
    }

    /// Changes the index, alone.
    pub(super) fn change(&self, change: &mut dyn FnMut(&mut Index) -> Result<()>) -> Result<()> {
        let _held = self.lock(".index", FlockOperation::LockExclusive)?;
        let mut index = self.index()?;
        let before = index.clone();
        change(&mut index)?;
        if index == before { Ok(()) } else { self.replace(INDEX, spec::to_json(&index).as_bytes()) }
    }

    /// Adds an image under a name, which another image loses; without one the image is at least there.
    pub fn add(&self, manifest: &Descriptor, name: Option<&Reference>, source: &str) -> Result<()> {
        self.change(&mut |index| {
            if let Some(name) = name {
                take_name(index, name);
            }
            let known = |entry: &Descriptor| entry.digest == manifest.digest;
            if name.is_none() && index.manifests.iter().any(known) {
                return Ok(());
            }
            // A name takes the place of being there without one.
            index.manifests.retain(|entry| !known(entry) || reference(entry).is_some());
            index.manifests.insert(0, described(manifest, name, source));
            Ok(())
        })
    }

    /// Takes a name away; its image stays, perhaps without any.
    pub fn untag(&self, name: &Reference) -> Result<()> {
        self.change(&mut |index| {
            take_name(index, name);
            Ok(())
        })
    }

    /// Takes an image out, with all its names. Its blobs stay until they are collected.
    pub fn forget(&self, manifest: &str) -> Result<()> {
        self.change(&mut |index| {
            index.manifests.retain(|entry| entry.digest != manifest);
            Ok(())
        })
    }
}

/// Who had the name keeps its place in the index without it, if it has no other.
fn take_name(index: &mut Index, name: &Reference) {
    let Some(at) = index.manifests.iter().position(|entry| reference(entry).as_ref() == Some(name)) else {
        return;
    };
    let former = index.manifests.remove(at);
    if !index.manifests.iter().any(|entry| entry.digest == former.digest) {
        let bare = Descriptor { annotations: Vec::new(), ..former };
        index.manifests.push(bare);
    }
}

fn described(manifest: &Descriptor, name: Option<&Reference>, source: &str) -> Descriptor {
    let mut annotations = Vec::new();
    let mut note = |key: &str, value: String| annotations.push((key.to_string(), value));
    if let Some(name) = name {
        note(NAME, name.to_string());
        if let Some(tag) = name.tag() {
            note(REF_NAME, tag.into());
        }
        if !source.is_empty() {
            note(SOURCE_DIGEST, source.into());
        }
    }
    let media_type = match manifest.media_type.as_str() {
        "" => OCI_MANIFEST.into(),
        kind => kind.into(),
    };
    Descriptor { media_type, annotations, ..manifest.clone() }
}
