//! Blobs on their way side by side: child processes, each of which says by a pipe how far it is and, in the end, what
//! came of it.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid};

use super::source::Read;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::gather::Gather as _;
use crate::sys::clone::{CloneFlags, Cloned, clone3};

/// How many at a time: enough to keep processors and the line busy.
pub const AT_A_TIME: usize = 4;
/// How often a child says how far it is.
const REPORT_EVERY: u64 = 256 << 10;

/// A child at work. One that is still running when this ends is killed: an error has made it useless.
pub struct Worker {
    pid: Pid,
    pipe: OwnedFd,
    said: String,
    /// It has said all that it had to say.
    pub ended: bool,
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.ended {
            let _ = kill_process(self.pid, Signal::KILL);
            let _ = io::retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()));
        }
    }
}

/// Bytes that pass, and whoever waits is told how many.
pub struct Reported<'a> {
    reader: Box<dyn Read + 'a>,
    pipe: BorrowedFd<'a>,
    seen: u64,
    said: u64,
}

impl<'a> Reported<'a> {
    /// What `reader` reads, counted from `seen` on.
    pub fn new(reader: Box<dyn Read + 'a>, pipe: BorrowedFd<'a>, seen: u64) -> Reported<'a> {
        Reported { reader, pipe, seen, said: seen }
    }
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

impl Worker {
    /// Starts a child, which is given the pipe to tell by.
    pub fn start(work: &mut dyn FnMut(BorrowedFd<'_>) -> Result<()>) -> Result<Worker> {
        let (pipe, to_parent) = pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe")?;
        match clone3(CloneFlags::empty(), None).step(|| "start a process for a blob")? {
            Cloned::Parent(pid) => Ok(Worker { pid, pipe, said: String::new(), ended: false }),
            Cloned::Child { .. } => {
                // If this fails the worst is a blob that nobody waits for.
                let _ = set_parent_process_death_signal(Some(Signal::KILL));
                let done = work(to_parent.as_fd());
                if let Err(error) = &done {
                    tell(to_parent.as_fd(), error);
                }
                servin_init::sys::process::exit(done.is_err().into())
            }
        }
    }

    /// Reads what it says, and passes on how far it is; what came of it when it has ended.
    pub fn listen(&mut self, told: &mut dyn FnMut(u64)) -> Result<Option<Result<()>>> {
        let mut buffer = [0; 4096];
        let length =
            io::retry_on_intr(|| io::read(&self.pipe, &mut buffer)).step(|| "read from a blob's process")?;
        if length == 0 {
            let ended = io::retry_on_intr(|| waitpid(Some(self.pid), WaitOptions::empty()))
                .step(|| "wait for a blob's process")?;
            self.ended = true;
            return Ok(Some(match ended.and_then(|(_, status)| status.exit_status()) {
                Some(0) => Ok(()),
                _ => Err(failure(&self.said)),
            }));
        }
        self.said.push_str(&String::from_utf8_lossy(&buffer[..length]));
        while let Some(end) = self.said.find('\n').filter(|_| self.said.starts_with('p')) {
            let line: String = self.said.drain(..=end).collect();
            if let Ok(bytes) = line[1..end].parse() {
                told(bytes);
            }
        }
        Ok(None)
    }
}

/// Waits until some of these say something or end; says which.
pub fn wait(workers: &[&Worker]) -> Result<Vec<bool>> {
    let mut polled: Vec<PollFd> =
        workers.iter().map(|worker| PollFd::from_borrowed_fd(worker.pipe.as_fd(), PollFlags::IN)).gather();
    io::retry_on_intr(|| poll(&mut polled, None)).step(|| "wait for the blobs")?;
    Ok(polled.iter().map(|polled| !polled.revents().is_empty()).gather())
}

/// Tells a parent why its child has failed.
pub fn tell(pipe: BorrowedFd<'_>, error: &Error) {
    let (step, errno, hint) = error.parts();
    let errno = errno.map_or(0, Errno::raw_os_error);
    let _ = write_all(pipe, format!("e{errno}\t{step}\t{hint}\n").as_bytes());
}

/// The error that a child has told.
pub fn failure(said: &str) -> Error {
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
