//! What a supervisor does while its container runs: everything that is printed goes into the log and to the clients
//! that listen, what they type goes to the container, and its end is noticed. Nothing here waits for anybody: output
//! that a client does not take at once waits for it in a file without a name.

use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create};
use rustix::io::{self, Errno, ioctl_fionbio, pread, pwrite, read};
use rustix::process::{Pid, WaitOptions, wait};
use rustix::termios::{Winsize, tcsetwinsize};

use super::foreground::code;
use super::health::{Health, clock};
use super::input::Input;
use super::log::Log;
use super::terminal::other_side;
use super::wire::{self, LONGEST, Wire};
use crate::container::people::HealthResult;
use crate::error::{Error, Result, Step};
use crate::gather::Gather as _;
use crate::launch::channel::encode_failure;
use crate::sys::path::openat;
use crate::sys::program::poll_without_code;
use crate::sys::signal::{SignalFd, kill};

/// A client that is connected.
pub struct Client {
    wire: Wire,
    /// The bits of [`wire::ATTACH`].
    wants: u8,
    /// It has typed something that the container has not taken yet.
    owed: bool,
    backlog: Option<Backlog>,
}

/// What a client has still to take: messages with their lengths before them, in a file without a name.
struct Backlog {
    file: OwnedFd,
    from: u64,
    to: u64,
}

/// Bits of [`wire::ATTACH`]: output, errors, input.
pub const WANTS_OUTPUT: u8 = 1;
pub const WANTS_ERRORS: u8 = 2;
pub const GIVES_INPUT: u8 = 4;

/// The most bytes that a pipe holds for who is not root on the host (pipe(7), pipe-max-size).
const LARGEST_PIPE: usize = 1 << 20;

/// Why [`Serve::run`] returned.
pub enum Event {
    /// The container has ended, with this code.
    Ended(i32),
    /// A health check has ended.
    Checked(HealthResult),
    /// The time is over, or a person has stopped a container that waits for its restart.
    Over,
    /// No client is left, and there is nothing under way: a good moment to become small.
    Alone,
}

/// All that a supervisor looks after.
pub struct Serve {
    /// Where clients connect.
    pub listener: OwnedFd,
    /// SIGCHLD alone.
    pub signals: SignalFd,
    /// The container's output and errors, or its terminal and nothing.
    pub streams: [Option<OwnedFd>; 2],
    /// The way in.
    pub input: Option<Input>,
    /// It is a terminal.
    pub terminal: bool,
    /// The terminal's other side, once nobody else had it open.
    pub held: Option<OwnedFd>,
    /// The input ends with the client that gives it.
    pub input_once: bool,
    /// Who is connected.
    pub clients: Vec<Client>,
    /// What is printed.
    pub log: Log,
    /// The container's directory, where backlogs are.
    pub folder: OwnedFd,
    /// A person has stopped the container.
    pub stopped: bool,
    /// Whether it is well is found out by this.
    pub health: Option<Health>,
    /// Something has happened since the code was given up that does not happen every moment.
    pub stirred: bool,
}

impl Client {
    /// Somebody who has connected, and wants nothing but to hear of the end.
    pub fn new(wire: Wire, wants: u8) -> Client {
        Client { wire, wants, owed: false, backlog: None }
    }

    /// Whether it is attached, and does not only wait for the end.
    pub fn is_attached(&self) -> bool {
        self.wants != 0
    }

    /// Says something; what cannot be said now is kept. Whether the client is still there.
    pub fn say(&mut self, folder: &OwnedFd, letter: u8, bytes: &[u8]) -> bool {
        if self.backlog.is_none() {
            match self.wire.send(letter, bytes, true) {
                Ok(()) => return true,
                Err(Errno::AGAIN | Errno::NOBUFS) => {}
                Err(_) => return false,
            }
        }
        if self.backlog.is_none() {
            let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
            // Not every file system has files without a name.
            let file = openat(folder, c".", flags, Mode::RUSR | Mode::WUSR)
                .or_else(|_| memfd_create("backlog", MemfdFlags::CLOEXEC));
            self.backlog = file.ok().map(|file| Backlog { file, from: 0, to: 0 });
        }
        let kept = self.backlog.as_mut().is_some_and(|backlog| backlog.add(letter, bytes).is_ok());
        if !kept {
            // It is better to hear nothing more than to hear it with a hole.
            self.wire.end();
        }
        kept
    }

    /// Says why its container could not be started, if the client is still there; the exit code of who says it.
    pub fn fail(&mut self, error: &Error) -> i32 {
        let _ = self.wire.send(wire::FAILED, &encode_failure(error), false);
        error.code().into()
    }

    /// Says what was kept, as far as it is heard. Whether the client is still there.
    fn catch_up(&mut self) -> bool {
        let Some(backlog) = &mut self.backlog else { return true };
        let mut bytes = Vec::new();
        while backlog.from < backlog.to {
            let Ok(length) = backlog.peek(&mut bytes) else { return false };
            match self.wire.send(bytes[0], &bytes[1..], true) {
                Ok(()) => backlog.from += length,
                Err(Errno::AGAIN | Errno::NOBUFS) => return true,
                Err(_) => return false,
            }
        }
        self.backlog = None;
        true
    }
}

impl Backlog {
    fn add(&mut self, letter: u8, bytes: &[u8]) -> io::Result<()> {
        let mut message = Vec::with_capacity(bytes.len() + 5);
        message.extend((bytes.len() as u32 + 1).to_le_bytes());
        message.push(letter);
        message.extend_from_slice(bytes);
        let mut written = 0;
        while written < message.len() {
            written += pwrite(&self.file, &message[written..], self.to + written as u64)?;
        }
        // What is not whole was not said: on a full disk another one may take its place.
        self.to += written as u64;
        Ok(())
    }

    /// Reads the next message; its length with what stands before it.
    fn peek(&self, bytes: &mut Vec<u8>) -> io::Result<u64> {
        let mut length = [0; 4];
        pread(&self.file, &mut length, self.from)?;
        let length = u32::from_le_bytes(length) as usize;
        bytes.resize(length.clamp(1, LONGEST + 1), 0);
        let mut filled = 0;
        while filled < bytes.len() {
            match pread(&self.file, &mut bytes[filled..], self.from + 4 + filled as u64)? {
                0 => return Err(Errno::IO),
                more => filled += more,
            }
        }
        Ok(length as u64 + 4)
    }
}

/// What a descriptor to be watched is.
#[derive(Clone, Copy)]
enum Watched {
    Signals,
    Listener,
    Stream(usize),
    Check,
    Input,
    Client(usize),
}

impl Serve {
    /// Serves until the container has ended, or for so many milliseconds.
    pub fn run(&mut self, pid: Option<Pid>, milliseconds: Option<u64>, may_rest: bool) -> Result<Event> {
        let until = milliseconds.map(|milliseconds| clock() + milliseconds);
        loop {
            // First, because the signal may have come before somebody listened.
            if let Some(pid) = pid
                && let Some(event) = self.reap(pid)?
            {
                return Ok(event);
            }
            if pid.is_none() && self.stopped {
                return Ok(Event::Over);
            }
            let busy = self.health.as_ref().is_some_and(Health::is_busy);
            let idle = !busy && self.clients.is_empty() && self.log.is_at_rest();
            if may_rest
                && idle
                && !self.stopped
                && self.input.as_ref().is_none_or(|input| !input.is_pending())
            {
                return Ok(Event::Alone);
            }
            let check = self.health.as_ref().filter(|_| pid.is_some()).map(Health::due);
            // Of what is left, whoever comes and goes meanwhile.
            let left = until.map(|until| until.saturating_sub(clock()));
            let for_long = idle && !may_rest && core::mem::take(&mut self.stirred);
            let ready = self.wait(check.or(left), for_long)?;
            if left.is_some() && (ready.is_empty() || left == Some(0)) {
                return Ok(Event::Over);
            }
            if check.is_some()
                && let Some(health) = &mut self.health
            {
                health.act();
            }
            // Clients last, and from the last to the first: those that are gone are taken out.
            for (what, flags) in ready.into_iter().rev() {
                self.handle(what, flags, pid)?;
            }
        }
    }

    /// Waits until something happens; `for_long`, it may be.
    fn wait(&self, milliseconds: Option<u64>, for_long: bool) -> Result<Vec<(Watched, PollFlags)>> {
        let mut watched = Vec::new();
        let mut polled = Vec::new();
        let mut watch = |what: Watched, descriptor, flags: PollFlags| {
            watched.push(what);
            polled.push(PollFd::from_borrowed_fd(descriptor, flags));
        };
        watch(Watched::Signals, self.signals.as_fd(), PollFlags::IN);
        watch(Watched::Listener, self.listener.as_fd(), PollFlags::IN);
        for (number, stream) in self.streams.iter().enumerate() {
            if let Some(stream) = stream {
                watch(Watched::Stream(number), stream.as_fd(), PollFlags::IN);
            }
        }
        if let Some(output) = self.health.as_ref().and_then(Health::output) {
            watch(Watched::Check, output.as_fd(), PollFlags::IN);
        }
        if let Some(input) = &self.input
            && input.is_pending()
        {
            watch(Watched::Input, input.descriptor().as_fd(), PollFlags::OUT);
        }
        for (number, client) in self.clients.iter().enumerate() {
            let out = if client.backlog.is_some() { PollFlags::OUT } else { PollFlags::empty() };
            watch(Watched::Client(number), client.wire.as_fd(), PollFlags::IN | out);
        }
        let time = milliseconds.map(|milliseconds| Timespec {
            tv_sec: (milliseconds / 1000) as _,
            tv_nsec: (milliseconds % 1000 * 1_000_000) as _,
        });
        let polled_now = match time {
            None if for_long => poll_without_code(&mut polled),
            time => io::retry_on_intr(|| poll(&mut polled, time.as_ref())),
        };
        match polled_now {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno).step(|| "wait for the container"),
        }
        let happened = watched.iter().zip(&polled).filter(|(_, polled)| !polled.revents().is_empty());
        Ok(happened.map(|(what, polled)| (*what, polled.revents())).gather())
    }

    fn handle(&mut self, what: Watched, flags: PollFlags, pid: Option<Pid>) -> Result<()> {
        self.stirred |= !matches!(what, Watched::Stream(_) | Watched::Input);
        match what {
            // Who has ended is found out at the beginning of the next round.
            Watched::Signals => self.signals.read().map(drop).step(|| "read a signal")?,
            Watched::Listener => {
                if let Ok(wire) = Wire::accept(&self.listener) {
                    self.clients.push(Client::new(wire, 0));
                }
            }
            Watched::Stream(number) => drop(self.read_stream(number)),
            Watched::Check => self.health.iter_mut().for_each(Health::listen),
            Watched::Input => self.give_input(),
            Watched::Client(number) => {
                let there = !flags.intersects(PollFlags::OUT) || self.clients[number].catch_up();
                let gone = flags.intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::IN)
                    && !self.hear(number, pid);
                if !there || gone {
                    self.forget(number);
                }
            }
        }
        Ok(())
    }

    /// The end of a client: with it ends the input that it alone gives.
    fn forget(&mut self, number: usize) {
        let client = self.clients.swap_remove(number);
        if client.wants & GIVES_INPUT != 0 && self.input_once && !self.terminal {
            self.end_input();
        }
    }

    fn end_input(&mut self) {
        if let Some(input) = &mut self.input {
            input.end();
        }
        self.give_input();
    }

    fn give_input(&mut self) {
        let Some(input) = &mut self.input else { return };
        let over = input.give();
        if over && !self.terminal {
            self.input = None;
        }
        if self.input.as_ref().is_none_or(|input| !input.is_pending()) {
            for client in self.clients.iter_mut().filter(|client| client.owed) {
                client.owed = false;
                // One that is gone is noticed when it is polled.
                client.say(&self.folder, wire::MORE, &[]);
            }
        }
    }

    /// Hears what a client says; whether it is still there.
    fn hear(&mut self, number: usize, pid: Option<Pid>) -> bool {
        let mut bytes = Vec::new();
        loop {
            let letter = match self.clients[number].wire.receive(&mut bytes, true) {
                Ok(Some(letter)) => letter,
                Err(Errno::AGAIN) => return true,
                _ => return false,
            };
            match letter {
                wire::ATTACH => self.clients[number].wants = bytes.first().copied().unwrap_or(0),
                wire::INPUT => {
                    self.clients[number].owed = true;
                    if let Some(input) = &mut self.input {
                        input.add(&bytes);
                    }
                    self.give_input();
                }
                wire::INPUT_END if self.input_once && !self.terminal => self.end_input(),
                wire::SIZE => self.resize(&bytes),
                wire::SIGNAL | wire::STOP => {
                    self.stopped |= letter == wire::STOP;
                    if let (Some(pid), Some(signal @ 1..)) = (pid, wire::number(&bytes)) {
                        // Our child, and not yet waited for: the pid is nobody else's.
                        let _ = kill(pid, signal as u32);
                    }
                }
                _ => {}
            }
        }
    }

    /// As good as it goes: the next size comes with the next change.
    fn resize(&self, bytes: &[u8]) {
        if let (Some([a, b, c, d]), Some(master), true) =
            (bytes.first_chunk(), &self.streams[0], self.terminal)
        {
            let (ws_row, ws_col) = (u16::from_le_bytes([*a, *b]), u16::from_le_bytes([*c, *d]));
            let _ = tcsetwinsize(master, Winsize { ws_row, ws_col, ws_xpixel: 0, ws_ypixel: 0 });
        }
    }

    /// Reads what a stream has; how much that was.
    fn read_stream(&mut self, number: usize) -> usize {
        let Some(stream) = &self.streams[number] else { return 0 };
        let mut buffer = [0; LONGEST];
        match read(stream, &mut buffer) {
            Ok(length @ 1..) => {
                self.print(number, &buffer[..length]);
                length
            }
            Err(Errno::AGAIN | Errno::INTR) => 0,
            // Closed by all who could write.
            _ => {
                self.held = if self.terminal { other_side(stream) } else { None };
                if self.held.is_none() {
                    self.streams[number] = None;
                }
                0
            }
        }
    }

    fn print(&mut self, number: usize, bytes: &[u8]) {
        self.log.write(number, bytes);
        let (wants, letter) = match number {
            0 => (WANTS_OUTPUT, wire::OUTPUT),
            _ => (WANTS_ERRORS, wire::ERRORS),
        };
        for client in self.clients.iter_mut().filter(|client| client.wants & wants != 0) {
            client.say(&self.folder, letter, bytes);
        }
    }

    /// Takes what the container has still printed, after its end: as much as a pipe can hold. In the host's PID
    /// namespace others may go on printing.
    pub fn drain(&mut self) {
        for number in 0..self.streams.len() {
            let mut left = LARGEST_PIPE;
            while left > 0
                && let length @ 1.. = self.read_stream(number)
            {
                left = left.saturating_sub(length);
            }
            self.streams[number] = None;
        }
        self.held = None;
        self.log.end();
        self.input = None;
    }

    /// Says something to all clients, or only to those that wait for the end.
    pub fn tell(&mut self, letter: u8, bytes: &[u8], attached_too: bool) {
        for client in self.clients.iter_mut().filter(|client| attached_too || !client.is_attached()) {
            client.say(&self.folder, letter, bytes);
        }
    }

    /// After the end: stays until the clients have taken all that is theirs, or are gone.
    pub fn see_off(&mut self) {
        // Nobody new.
        self.clients
            .retain_mut(|client| client.backlog.is_some() && client.catch_up() && client.backlog.is_some());
        while !self.clients.is_empty() {
            let mut polled: Vec<PollFd<'_>> =
                self.clients.iter().map(|client| PollFd::new(&client.wire, PollFlags::OUT)).gather();
            if io::retry_on_intr(|| poll(&mut polled, None)).is_err() {
                return;
            }
            self.clients.retain_mut(|client| client.catch_up() && client.backlog.is_some());
        }
    }

    /// The exit code of the container's first process, once it has ended. Others that were its own until then are
    /// waited for too.
    fn reap(&mut self, pid: Pid) -> Result<Option<Event>> {
        loop {
            match io::retry_on_intr(|| wait(WaitOptions::NOHANG)) {
                Ok(Some((ended, status))) => {
                    let code = code(status).unwrap_or(0);
                    if ended == pid {
                        return Ok(Some(Event::Ended(code)));
                    }
                    let health = self.health.as_mut();
                    if let Some(result) = health.and_then(|health| health.ended(ended, code)) {
                        return Ok(Some(Event::Checked(result)));
                    }
                }
                Ok(None) | Err(Errno::CHILD) => return Ok(None),
                Err(errno) => return Err(errno).step(|| "wait for the container's process"),
            }
        }
    }
}

/// Makes reading from a stream of the container never wait.
pub fn unblock(stream: &OwnedFd) {
    let _ = ioctl_fionbio(stream, true);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::container::directory::Root;
    use crate::container::people::LogSettings;
    use crate::sys::signal::SignalSet;
    use rustix::fs::{CWD, SealFlags, fcntl_add_seals, ftruncate};

    #[test]
    fn what_a_client_does_not_take_at_once_waits_for_it_on_any_file_system() {
        let (ours, theirs) = Wire::pair().expect("a pair");
        let mut client = Client::new(ours, WANTS_OUTPUT);
        // It has no files without a name.
        let folder = openat(CWD, c"/proc", OFlags::RDONLY, Mode::empty()).expect("a folder");
        let mut said = 0;
        while client.backlog.is_none() {
            assert!(client.say(&folder, wire::OUTPUT, &[b'x'; LONGEST]), "kept");
            said += 1;
        }
        let mut bytes = Vec::new();
        for _ in 0..said {
            assert_eq!(theirs.receive(&mut bytes, true), Ok(Some(wire::OUTPUT)));
            assert_eq!(bytes.len(), LONGEST);
            assert!(client.catch_up());
        }
        assert_eq!(theirs.receive(&mut bytes, true), Err(Errno::AGAIN));
    }

    #[test]
    fn a_pause_does_not_last_longer_because_somebody_comes_and_goes() {
        let path = std::env::temp_dir().join(format!("servin-serve-{}", std::process::id()));
        let root = Root::make(path.to_str().expect("UTF-8"), "").expect("a root");
        let (directory, _lock) = root.create("box").expect("a directory");
        let socket = directory.socket("attach");
        let settings = LogSettings { driver: "none".into(), ..LogSettings::default() };
        let mut serve = Serve {
            listener: Wire::listen(&socket).expect("a listener"),
            signals: SignalFd::new(SignalSet::EMPTY).expect("a descriptor"),
            streams: [None, None],
            input: None,
            terminal: false,
            held: None,
            input_once: false,
            clients: Vec::new(),
            log: Log::open(&directory, &settings),
            folder: io::fcntl_dupfd_cloexec(&directory, 3).expect("a copy"),
            stopped: false,
            health: None,
            stirred: false,
        };
        let begin = std::time::Instant::now();
        let over = core::sync::atomic::AtomicBool::new(false);
        let order = core::sync::atomic::Ordering::Relaxed;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(order) && begin.elapsed().as_secs() < 5 {
                    drop(Wire::connect(&socket));
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
            });
            assert!(matches!(serve.run(None, Some(100), false), Ok(Event::Over)));
            over.store(true, order);
        });
        assert!(begin.elapsed().as_secs() < 5, "{:?}", begin.elapsed());
        std::fs::remove_dir_all(&path).expect("removed");
    }

    #[test]
    fn a_full_disk_leaves_no_half_message_in_a_backlog() {
        let file = memfd_create("full", MemfdFlags::ALLOW_SEALING).expect("a file");
        ftruncate(&file, 4096).expect("a size");
        fcntl_add_seals(&file, SealFlags::GROW).expect("no more room than that");
        let mut backlog = Backlog { file, from: 0, to: 0 };
        backlog.add(wire::OUTPUT, b"whole").expect("room");
        assert!(backlog.add(wire::OUTPUT, &[b'x'; 8000]).is_err());
        backlog.add(wire::EXIT, b"last").expect("room");
        let mut bytes = Vec::new();
        backlog.from += backlog.peek(&mut bytes).expect("a message");
        assert_eq!(bytes, b"1whole");
        backlog.from += backlog.peek(&mut bytes).expect("a message");
        assert_eq!((bytes.as_slice(), backlog.from), (&b"Xlast"[..], backlog.to));
    }
}
