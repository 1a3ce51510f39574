//! Several layers at a time, each received by a process of its own.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;

use super::super::copy::{DIRECTORY, open_at};
use super::super::digest::digits;
use super::super::documents::Descriptor;
use super::super::source::{Read, Source};
use super::super::store::{Building, LAYERS, Layer, Store, TREE};
use super::super::stream::File;
use super::super::unpack::{self, Unpacked, Whiteouts};
use super::super::worker::{self, AT_A_TIME, Reported, Worker};
use super::layer::{Expected, receive};
use super::{Options, keep_blob};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::read_to_end;
use crate::gather::Gather as _;

/// What the coming of one layer needs.
struct Job<'a> {
    store: &'a Store,
    layer: &'a Descriptor,
    diff_id: &'a str,
    has_blob: bool,
    has_layer: bool,
    options: unpack::Options,
    limits: super::super::tar::Limits,
}

/// Where a layer is.
enum State {
    Waiting,
    Running(Worker, Building),
    /// It has come, and those below it have not all.
    Received(Option<Building>),
    Done,
}

impl State {
    fn worker(&self) -> Option<&Worker> {
        match self {
            State::Running(worker, _) => Some(worker),
            _ => None,
        }
    }
}

/// Brings all layers of an image into their places.
pub fn fetch_layers(
    store: &Store,
    source: &mut dyn Source,
    layers: &[Descriptor],
    diff_ids: &[String],
    chain: &[String],
    options: &mut Options,
) -> Result<()> {
    let mut states: Vec<State> = layers.iter().map(|_| State::Waiting).gather();
    let fetched = run(store, source, layers, diff_ids, chain, options, &mut states);
    if fetched.is_err() {
        for state in states {
            if let State::Received(Some(building)) = state {
                store.end_layer(building);
            }
        }
        // Locks of the killed children are gone by now.
        store.sweep()?;
    }
    fetched
}

fn run(
    store: &Store,
    source: &mut dyn Source,
    layers: &[Descriptor],
    diff_ids: &[String],
    chain: &[String],
    options: &mut Options,
    states: &mut [State],
) -> Result<()> {
    let (mut next, mut settled) = (0, 0);
    while settled < layers.len() {
        let running = states.iter().filter_map(State::worker).count();
        if next < layers.len() && running < AT_A_TIME {
            states[next] = start(store, source, &layers[next], &diff_ids[next], &chain[next], options)?;
            next += 1;
        } else if running > 0 {
            wait(states, layers, options)?;
        }
        // In their order, since a layer may need what is below it.
        while let Some(State::Received(building)) = states.get_mut(settled) {
            if let Some(building) = building.take() {
                let placed = place(store, &building, layers, diff_ids, chain, settled);
                store.end_layer(building);
                placed.map_err(|error| within(error, &layers[settled]))?;
            }
            states[settled] = State::Done;
            options.progress.done(settled);
            settled += 1;
        }
    }
    Ok(())
}

fn within(error: Error, layer: &Descriptor) -> Error {
    error.within(format_args!("layer {}", digits(&layer.digest).get(..12).unwrap_or_default()))
}

/// Starts a child for a layer that is not there yet.
fn start(
    store: &Store,
    source: &mut dyn Source,
    layer: &Descriptor,
    diff_id: &str,
    chain_id: &str,
    options: &Options,
) -> Result<State> {
    let here = |store: &Store| (store.has_blob(&layer.digest), store.has_layer(chain_id));
    if here(store) == (true, true) {
        return Ok(State::Received(None));
    }
    let building = store.begin_layer(chain_id)?;
    let (has_blob, has_layer) = here(store);
    if has_blob && has_layer {
        store.end_layer(building);
        return Ok(State::Received(None));
    }
    let job = Job {
        store,
        layer,
        diff_id,
        has_blob,
        has_layer,
        options: unpack::Options {
            whiteouts: store.whiteouts,
            unprivileged: store.unprivileged,
            one_owner: store.one_owner,
        },
        limits: options.limits,
    };
    let worker = Worker::start(&mut |pipe| work(&job, source, &building, pipe))?;
    Ok(State::Running(worker, building))
}

/// The child's part: the blob and the tree, complete in the directory of the layer in the making.
fn work(job: &Job, source: &mut dyn Source, building: &Building, pipe: BorrowedFd<'_>) -> Result<()> {
    let mut own;
    let reader: Box<dyn Read + '_> = if job.has_blob {
        Box::new(File(job.store.open_blob(&job.layer.digest)?))
    } else {
        own = source.again()?;
        own.blob(&job.layer.digest, 0)?
    };
    let reader = Box::new(Reported::new(reader, pipe, 0));
    let expected = Expected { blob: Some((&job.layer.digest, job.layer.size)), diff_id: Some(job.diff_id) };
    let unpack = (!job.has_layer).then_some((&job.options, job.limits));
    let received = receive(reader, &building.directory, &expected, !job.has_blob, unpack)?;
    if !job.has_blob {
        keep_blob(job.store, building, &job.layer.digest)?;
    }
    let notes = Notes { archive_size: received.archive_size, unpacked: received.unpacked };
    notes.write(&building.directory)
}

/// Waits until some child says something or ends.
fn wait(states: &mut [State], layers: &[Descriptor], options: &mut Options) -> Result<()> {
    let running: Vec<&Worker> = states.iter().filter_map(State::worker).gather();
    let mut ready = worker::wait(&running)?.into_iter();
    for (index, state) in states.iter_mut().enumerate() {
        let State::Running(worker, _) = state else { continue };
        if ready.next() != Some(true) {
            continue;
        }
        let ended = worker.listen(&mut |bytes| options.progress.advance(index, bytes))?;
        let Some(result) = ended else { continue };
        if let State::Running(_, building) = core::mem::replace(state, State::Waiting) {
            *state = State::Received(Some(building));
        }
        result.map_err(|error| within(error, &layers[index]))?;
    }
    Ok(())
}

/// Completes a layer that has come with what is below it, and gives it its name.
fn place(
    store: &Store,
    building: &Building,
    layers: &[Descriptor],
    diff_ids: &[String],
    chain: &[String],
    index: usize,
) -> Result<()> {
    if store.has_layer(&chain[index]) {
        return Ok(());
    }
    let notes = Notes::read(&building.directory)?;
    let tree = open_at(building.directory.as_fd(), TREE, DIRECTORY).step(|| "open a layer")?;
    if !notes.unpacked.implicit.is_empty() || !notes.unpacked.links.is_empty() {
        let below: Vec<OwnedFd> = chain[..index]
            .iter()
            .rev()
            .map(|id| store.open_directory(&format!("{LAYERS}/{}", digits(id))))
            .gather::<Result<_>>()?;
        unpack::complete(&tree, &notes.unpacked, &below, store.whiteouts)?;
    }
    let layer = Layer {
        diff_id: diff_ids[index].clone(),
        archive_size: notes.archive_size.max(layers[index].size),
        parent: index.checked_sub(1).map(|below| chain[below].clone()),
        plain_whiteouts: (store.whiteouts == Whiteouts::Files).then_some(true),
    };
    store.finish_layer(building, &chain[index], &layer)
}

/// What a child leaves for its parent beside the tree: a number, and names in three lists, each ended by a zero.
struct Notes {
    archive_size: u64,
    unpacked: Unpacked,
}

const NOTES: &str = "notes";

impl Notes {
    fn write(&self, directory: &OwnedFd) -> Result<()> {
        let mut text = format!("{}\0", self.archive_size).into_bytes();
        let mut add = |letter: u8, name: &[u8]| {
            text.push(letter);
            text.extend(name);
            text.push(0);
        };
        self.unpacked.implicit.iter().for_each(|path| add(b'd', path));
        for (path, target) in &self.unpacked.links {
            add(b'l', path);
            add(b't', target);
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open_at(directory.as_fd(), NOTES, flags).step(|| "make a layer's notes")?;
        write_all(file.as_fd(), &text).step(|| "write a layer's notes")
    }

    fn read(directory: &OwnedFd) -> Result<Notes> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let file = open_at(directory.as_fd(), NOTES, flags).step(|| "open a layer's notes")?;
        let text = read_to_end(&file).step(|| "read a layer's notes")?;
        let mut fields = text.split(|byte| *byte == 0);
        let size = fields.next().and_then(|text| core::str::from_utf8(text).ok()?.parse().ok());
        let mut notes = Notes { archive_size: size.unwrap_or(0), unpacked: Unpacked::default() };
        let mut name = Vec::new();
        for field in fields {
            match field.split_first() {
                Some((b'd', path)) => notes.unpacked.implicit.push(path.to_vec()),
                Some((b'l', path)) => name = path.to_vec(),
                Some((_, target)) => notes.unpacked.links.push((core::mem::take(&mut name), target.to_vec())),
                None => {}
            }
        }
        Ok(notes)
    }
}
