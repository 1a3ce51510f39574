//! What is mounted for a new container: volumes are made, and later filled with what its image has there.

use alloc::string::String;
use alloc::vec::Vec;

use crate::cli::arguments::Given;
use crate::cli::mount_flags;
use crate::container::people::{Record, Store};
use crate::container::volume::{self, Mounted};
use crate::error::Result;
use crate::gather::Gather as _;
use crate::image::documents::Empty;
use crate::plan::defaults::Request;

/// Prepares the mounts that flags and the image's `volumes` ask for, and puts them into the request and the record.
pub fn prepare(
    given: &Given,
    store: &Store,
    volumes: Vec<(String, Empty)>,
    request: &mut Request,
    record: &mut Record,
) -> Result<Option<Mounted>> {
    let volumes: Vec<String> = volumes.into_iter().map(|(path, _)| path).gather();
    let wanted = mount_flags::read(given, &volumes, &|name| Ok(store.find(name)?.record.mounts.clone()))?;
    if wanted.is_empty() {
        return Ok(None);
    }
    let mut mounted = volume::prepare(&store.places.home, wanted)?;
    request.mounts.append(&mut mounted.mounts);
    record.mounts = core::mem::take(&mut mounted.points);
    Ok(Some(mounted))
}
