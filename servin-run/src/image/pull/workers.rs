//! Several layers at a time, each received by a child process that tells this one by a pipe how far it is, and in
//! the end what came of it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::OFlags;
use rustix::io::{self, Errno};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid};

use super::super::copy::{DIRECTORY, open_at};
use super::super::digest::digits;
use super::super::documents::Descriptor;
use super::super::source::{Read, Source};
use super::super::store::{Building, LAYERS, Layer, Store, TREE};
use super::super::stream::File;
use super::super::unpack::{self, Unpacked, Whiteouts};
use super::Options;
use super::layer::{BLOB, Expected, receive};
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::read_to_end;
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::path::renameat;

/// Layers on their way at a time: enough to keep processors and the line busy.
const AT_A_TIME: usize = 4;
/// How often a child says how far it is.
const REPORT_EVERY: u64 = 256 << 10;

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

/// A child at work.
struct Worker {
    pid: Pid,
    pipe: OwnedFd,
    said: String,
}

/// Where a layer is.
enum State {
    Waiting,
    Running(Worker, Building),
    /// It has come, and those below it have not all.
    Received(Option<Building>),
    Done,
}

/// Children still running when this ends are killed: an error has made them useless.
struct Layers(Vec<State>);

impl Drop for Layers {
    fn drop(&mut self) {
        for state in &self.0 {
            if let State::Running(worker, _) = state {
                let _ = kill_process(worker.pid, Signal::KILL);
                let _ = io::retry_on_intr(|| waitpid(Some(worker.pid), WaitOptions::empty()));
            }
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
    let mut states = Layers(layers.iter().map(|_| State::Waiting).collect());
    let fetched = run(store, source, layers, diff_ids, chain, options, &mut states);
    if fetched.is_err() {
        for state in core::mem::take(&mut states.0) {
            let building = match state {
                State::Running(worker, building) => {
                    drop(Layers(Vec::from([State::Running(worker, building)])));
                    continue;
                }
                State::Received(building) => building,
                State::Waiting | State::Done => None,
            };
            if let Some(building) = building {
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
    states: &mut Layers,
) -> Result<()> {
    let (mut next, mut settled) = (0, 0);
    while settled < layers.len() {
        let running = states.0.iter().filter(|state| matches!(state, State::Running(..))).count();
        if next < layers.len() && running < AT_A_TIME {
            states.0[next] = start(store, source, &layers[next], &diff_ids[next], &chain[next], options)?;
            next += 1;
        } else if running > 0 {
            wait(states, layers, options)?;
        }
        // In their order, since a layer may need what is below it.
        while let Some(State::Received(building)) = states.0.get_mut(settled) {
            if let Some(building) = building.take() {
                let placed = place(store, &building, layers, diff_ids, chain, settled);
                store.end_layer(building);
                placed.map_err(|error| within(error, &layers[settled]))?;
            }
            states.0[settled] = State::Done;
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
    let (pipe, to_parent) = pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe")?;
    match clone3(CloneFlags::empty(), None).step(|| "start a process for a layer")? {
        Cloned::Parent(pid) => Ok(State::Running(Worker { pid, pipe, said: String::new() }, building)),
        Cloned::Child { .. } => {
            // If this fails the worst is a layer that nobody waits for.
            let _ = set_parent_process_death_signal(Some(Signal::KILL));
            let done = work(&job, source, &building, to_parent.as_fd());
            if let Err(error) = &done {
                let (step, errno, hint) = error.parts();
                let errno = errno.map_or(0, Errno::raw_os_error);
                let _ = write_all(to_parent.as_fd(), format!("e{errno}\t{step}\t{hint}\n").as_bytes());
            }
            servin_init::sys::process::exit(done.is_err().into())
        }
    }
}

/// What comes from the source, and the parent is told how much.
struct Reported<'a> {
    reader: Box<dyn Read + 'a>,
    pipe: BorrowedFd<'a>,
    seen: u64,
    said: u64,
}

impl Read for Reported<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let length = self.reader.read(buffer)?;
        self.seen += length as u64;
        if self.seen - self.said >= REPORT_EVERY {
            self.said = self.seen;
            // Without a parent there is nobody to tell.
            let _ = write_all(self.pipe, format!("p{}\n", self.seen).as_bytes());
        }
        Ok(length)
    }
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
    let reader = Box::new(Reported { reader, pipe, seen: 0, said: 0 });
    let expected = Expected { blob: Some((&job.layer.digest, job.layer.size)), diff_id: Some(job.diff_id) };
    let unpack = (!job.has_layer).then_some((&job.options, job.limits));
    let received = receive(reader, &building.directory, &expected, !job.has_blob, unpack)?;
    if !job.has_blob {
        let path = format!("blobs/sha256/{}", digits(&job.layer.digest));
        renameat(&building.directory, BLOB, job.store.as_fd(), path.as_str())
            .step(|| "rename a blob to its digest")?;
    }
    let notes = Notes { archive_size: received.archive_size, unpacked: received.unpacked };
    notes.write(&building.directory)
}

/// Waits until some child says something or ends.
fn wait(states: &mut Layers, layers: &[Descriptor], options: &mut Options) -> Result<()> {
    let running: Vec<usize> = (0..states.0.len())
        .filter(|index| matches!(states.0.get(*index), Some(State::Running(..))))
        .collect();
    let mut polled: Vec<PollFd> = running
        .iter()
        .filter_map(|index| match &states.0[*index] {
            State::Running(worker, _) => Some(PollFd::from_borrowed_fd(worker.pipe.as_fd(), PollFlags::IN)),
            _ => None,
        })
        .collect();
    io::retry_on_intr(|| poll(&mut polled, None)).step(|| "wait for the layers")?;
    let ready: Vec<usize> = running
        .into_iter()
        .zip(&polled)
        .filter(|(_, polled)| !polled.revents().is_empty())
        .map(|(index, _)| index)
        .collect();
    for index in ready {
        let State::Running(worker, _) = &mut states.0[index] else { continue };
        let mut buffer = [0; 4096];
        match io::retry_on_intr(|| io::read(&worker.pipe, &mut buffer))
            .step(|| "read from a layer's process")?
        {
            0 => {
                let ended = io::retry_on_intr(|| waitpid(Some(worker.pid), WaitOptions::empty()))
                    .step(|| "wait for a layer's process")?;
                let said = core::mem::take(&mut worker.said);
                let state = core::mem::replace(&mut states.0[index], State::Waiting);
                if let State::Running(_, building) = state {
                    states.0[index] = State::Received(Some(building));
                }
                if ended.and_then(|(_, status)| status.exit_status()) != Some(0) {
                    return Err(within(failure(&said), &layers[index]));
                }
            }
            length => {
                worker.said.push_str(&String::from_utf8_lossy(&buffer[..length]));
                while let Some(end) = worker.said.find('\n').filter(|_| worker.said.starts_with('p')) {
                    let line: String = worker.said.drain(..=end).collect();
                    if let Ok(bytes) = line[1..end].parse() {
                        options.progress.advance(index, bytes);
                    }
                }
            }
        }
    }
    Ok(())
}

/// The child's error.
fn failure(said: &str) -> Error {
    let mut fields = said.strip_prefix('e').unwrap_or_default().trim_end_matches('\n').splitn(3, '\t');
    let errno: i32 = fields.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let (step, hint) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
    let error = match (step, errno) {
        ("", _) => Error::new("its process was killed"),
        (step, 0) => Error::new(step),
        (step, errno) => Error::os(step, Errno::from_raw_os_error(errno)),
    };
    if hint.is_empty() { error } else { error.hint(hint.to_string()) }
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
            .collect::<Result<_>>()?;
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
