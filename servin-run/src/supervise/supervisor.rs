//! The supervisor: one process beside each running container of a person, whoever started that and whether they
//! stay. It makes the container and so is the parent of its first process; it keeps the log, serves those who attach
//! ([`super::serve`]), starts the container again where its restart policy says so, and writes its end down.
//!
//! It is a copy of the command that started the container. Once nobody is attached it executes this program anew:
//! what the command needed (its arguments, the configuration, the plan) is gone from memory then.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use linux_raw_sys::general::SIGCHLD;
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, chdir, getpid, set_child_subreaper, setsid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::termios::isatty;
use servin_init::sys::clock::{SECOND, now};

use core::cell::RefCell;

use super::health::{self, Health};
use super::input::Input;
use super::log::{Driver, Log};
use super::network;
use super::policy::{BackOff, Policy};
use super::proxy::{self, Proxy};
use super::serve::{Client, Event, Serve, unblock};
use super::wire::{self, Wire};
use crate::container::creation::{self, Created};
use crate::container::directory::Root;
use crate::container::people::{CONFIG, Entry, HealthResult, Phase, Places, SOCKET, Store};
use crate::container::placement::Manager;
use crate::container::record::Record as Running;
use crate::container::time;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::{stderr, stdin, stdout};
use crate::gather::Gather as _;
use crate::launch;
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::descriptors::{adopt, close_all_but};
use crate::sys::exec::{Vector, execve};
use crate::sys::path::openat;
use crate::sys::signal::{self, SignalFd, SignalSet};
use crate::{plan, spec};

/// The name by which a supervisor executes this program anew.
pub const AGAIN: &str = ".supervise";

/// What a supervisor makes containers with.
#[derive(Clone, Copy)]
pub struct Means {
    /// Hears of each step of the first launch.
    pub trace: Option<fn(u32, &str)>,
    /// Hears of warnings of the first launch.
    pub warn: fn(&str),
    /// The program of PID 1.
    pub init: &'static [u8],
    /// What the plan must know of this host.
    pub host: fn(bool) -> plan::Host,
    /// The name of the user who asks.
    pub owner: fn() -> String,
}

/// Starts a supervisor, which starts the container. What it says comes through the wire: whether the container runs,
/// then output and the end for whoever `wants` them.
pub fn begin(store: &Store, id: &str, means: Means, wants: u8) -> Result<Wire> {
    let (ours, theirs) = Wire::pair().step(|| "make a pair of sockets")?;
    match clone3(CloneFlags::empty(), None).step(|| "create the supervisor's process")? {
        Cloned::Parent(_) => Ok(ours),
        Cloned::Child { .. } => {
            drop(ours);
            // A lock or a pipe that the caller has left open in us ends with the command, and not with the container.
            let closed = close_all_but(&[stdin(), stdout(), stderr(), theirs.as_fd()]);
            let mut client = Client::new(theirs, wants);
            let code = match closed.step(|| "close the caller's descriptors") {
                Ok(()) => main(store.places.clone(), id, means, client),
                Err(error) => client.fail(&error),
            };
            servin_init::sys::process::exit(code)
        }
    }
}

fn main(places: Places, id: &str, means: Means, mut client: Client) -> i32 {
    // No signal of the caller's terminal reaches it.
    let _ = setsid();
    // What a health check leaves is waited for by us: as long as it is not, its PID namespace does not end, and not
    // every host's first process waits for orphans.
    let _ = set_child_subreaper(Some(getpid()));
    let mut supervisor = match prepare(places, id, means) {
        Ok(supervisor) => supervisor,
        Err(error) => return client.fail(&error),
    };
    let started = supervisor.entry.reload().and_then(|_lock| supervisor.launch(true));
    // Whatever the caller has there, a pipe that somebody reads to its end perhaps, is not held any longer. Without
    // /dev/null it has to be.
    let _ = give_up_callers_files();
    match started {
        Ok(pid) => {
            client.say(&supervisor.serve.folder, wire::STARTED, &pid.as_raw_nonzero().get().to_le_bytes());
            supervisor.serve.clients.push(client);
            supervisor.live()
        }
        Err(error) => {
            let failed = supervisor.never_started(&error);
            drop(supervisor);
            client.fail(&failed.err().unwrap_or(error))
        }
    }
}

/// A supervisor of a container that nobody supervises yet.
fn prepare(places: Places, id: &str, means: Means) -> Result<Supervisor> {
    signal::set_mask(SignalSet::ALL).step(|| "block signals")?;
    let store = Store::open(places)?;
    let mut entry = store.find(id)?;
    let _lock = entry.reload()?;
    entry.record.is_whole()?;
    if entry.is_supervised()? {
        return Err(Error::new(format_args!("the container {} runs already", entry.record.name)));
    }
    let lock = entry.supervise()?;
    let path = entry.directory.socket(SOCKET);
    entry.directory.remove_file(SOCKET)?;
    let listener = Wire::listen(&path).step(|| format!("listen at {}", entry.directory.file(SOCKET)))?;
    let serve = serve(&entry, listener)?;
    Ok(Supervisor {
        store,
        entry,
        lock: Some(lock),
        means,
        serve,
        pid: None,
        proxy: None,
        since: 0,
        pause: BackOff::default(),
        small: false,
    })
}

fn serve(entry: &Entry, listener: OwnedFd) -> Result<Serve> {
    Ok(Serve {
        listener,
        signals: SignalFd::new(SignalSet(1 << (SIGCHLD - 1))).step(|| "watch signals")?,
        streams: [None, None],
        input: None,
        terminal: entry.record.terminal,
        held: None,
        input_once: entry.record.input_once,
        clients: Vec::new(),
        log: Log::open(&entry.directory, &entry.record.log),
        folder: fcntl_dupfd_cloexec(&entry.directory, 3).step(|| "copy a descriptor")?,
        stopped: false,
        health: None,
        stirred: true,
    })
}

/// Standard input, output and error become /dev/null, the working directory `/`.
fn give_up_callers_files() -> Result<()> {
    let null = null()?;
    dup2_stdin(&null).step(|| "replace standard input")?;
    dup2_stdout(&null).step(|| "replace standard output")?;
    dup2_stderr(&null).step(|| "replace standard error")?;
    chdir(c"/").step(|| "enter /")
}

fn null() -> Result<OwnedFd> {
    openat(CWD, c"/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty()).step(|| "open /dev/null")
}

/// Seconds since the host was started.
fn clock() -> u64 {
    now() / SECOND
}

/// A supervisor at work.
struct Supervisor {
    store: Store,
    entry: Box<Entry>,
    /// Held until the end was written down.
    lock: Option<OwnedFd>,
    means: Means,
    serve: Serve,
    pid: Option<Pid>,
    /// What forwards its published ports, where the kernel does not.
    proxy: Option<Proxy>,
    /// When the container was started, by [`clock`].
    since: u64,
    pause: BackOff,
    /// The program was executed anew already.
    small: bool,
}

impl Supervisor {
    /// Makes the container and lets it run. Who calls this holds its lock. `first` is in the name of the caller, whose
    /// output it may still use.
    fn launch(&mut self, first: bool) -> Result<Pid> {
        let Entry { directory, record } = &*self.entry;
        let path = directory.file(CONFIG);
        let text = directory.read(CONFIG)?.ok_or_else(|| Error::new(format_args!("{path} is missing")))?;
        let mut config: spec::Config = spec::parse(&text, &path)?;
        let warn = |text: &str| {
            if first {
                (self.means.warn)(text)
            }
        };
        let places = self.store.places.network(Some(&warn));
        let text = network::prepare(&self.store, &places, record, &mut config)?.unwrap_or(text);
        let bundle = self.store.path(&record.id);
        let plan = plan::plan(&config, &bundle, (self.means.host)(false))?;
        let manager = match &record.cgroup_manager {
            None => Manager::default(),
            Some(name) => Manager::by_name(name, record.systemd_sockets.clone())?,
        };
        let attached = RefCell::new(None);
        let forwarder = RefCell::new(None);
        let born = |pid: Pid| {
            let hostname = config.hostname.as_deref().unwrap_or_default();
            let mut attached = attached.borrow_mut();
            *attached = network::attach(&places, record, hostname, pid)?;
            let published = attached.as_ref().map(|attached| &attached.published);
            *forwarder.borrow_mut() =
                published.map_or(Ok(None), |published| proxy::start(&published.forwards, None))?;
            Ok(())
        };
        let ready = |pid: Pid| network::connect_unprivileged(&places, record, pid);
        let request = creation::Request {
            id: &record.id,
            bundle: &bundle,
            text: &text,
            config: &config,
            plan: &plan,
            owner: (self.means.owner)(),
            pid_file: None,
            console_socket: None,
            born: Some(&born),
            ready: Some(&ready),
            wait: false,
            manager,
        };
        let null = null()?;
        let pipe = || pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe");
        let pipes = match record.terminal {
            true => None,
            false => Some((pipe()?, pipe()?)),
        };
        let input = if record.input && !record.terminal { Some(pipe()?) } else { None };
        // Without a log and without a way back there is nobody between the program and whoever reads it.
        let direct = first
            && record.remove
            && Driver::by_name(&record.log.driver) == Some(Driver::None)
            && ![stdout(), stderr()].iter().any(isatty);
        let stdio = pipes.as_ref().map(|(output, errors)| {
            let input = input.as_ref().map_or(null.as_fd(), |(read, _)| read.as_fd());
            let [output, errors] =
                if direct { [stdout(), stderr()] } else { [output.1.as_fd(), errors.1.as_fd()] };
            [input, output, errors]
        });
        let options = launch::Options {
            trace: self.means.trace.filter(|_| first),
            warn: first.then_some(self.means.warn),
            init: self.means.init,
            die_with_us: true,
            blocked: Some(SignalSet::EMPTY),
            stdio,
            ..launch::Options::default()
        };
        let created = creation::create(&self.store.runtime()?, &request, options);
        if created.is_err() && attached.borrow().is_some() {
            crate::network::detach(&places, &record.id)?;
        }
        let Created { running, lock, .. } = created?;
        drop(lock);
        self.pid = Some(running.pid);
        self.since = clock();
        match (running.terminal, pipes) {
            (Some(master), _) => {
                self.serve.input =
                    Some(Input::new(fcntl_dupfd_cloexec(&master, 3).step(|| "copy a descriptor")?));
                unblock(&master);
                self.serve.streams = [Some(master), None];
            }
            (None, Some((output, errors))) => {
                unblock(&output.0);
                unblock(&errors.0);
                self.serve.streams = [Some(output.0), Some(errors.0)];
                self.serve.input = input.map(|(_, write)| Input::new(write));
            }
            (None, None) => {}
        }
        self.entry.record.attached = attached.into_inner();
        self.proxy = forwarder.into_inner();
        self.serve.health = self.checks();
        let state = &mut self.entry.record.state;
        state.health = self.serve.health.as_ref().map(|_| health::starting());
        state.phase = Phase::Running;
        state.pid = Some(running.pid.as_raw_nonzero().get());
        state.started = Some(time::now());
        (state.error, state.exit_code, state.finished) = (None, None, None);
        (state.oom_killed, state.stopped) = (false, false);
        self.entry.save()?;
        Ok(running.pid)
    }

    /// The container could not be started, which is written down; or it is removed, if that is its end. It may have
    /// run for a moment, if that alone could not be written down.
    fn never_started(&mut self, error: &Error) -> Result<()> {
        let _lock = self.entry.reload()?;
        self.entry.directory.remove_file(SOCKET)?;
        let id = &self.entry.record.id;
        self.store.clean_runtime(id)?;
        crate::network::detach(&self.store.places.network(None), id)?;
        if self.entry.record.remove {
            return self.store.remove_locked(&self.entry);
        }
        let state = &mut self.entry.record.state;
        state.error = Some(format!("{error}"));
        state.exit_code = Some(error.code().into());
        self.entry.save()
    }

    /// Serves until the container has ended for good; the exit code is our own.
    fn live(&mut self) -> i32 {
        loop {
            match self.serve.run(self.pid, None, !self.small) {
                Ok(Event::Ended(code)) => match self.ended(code) {
                    Ok(true) => {}
                    // Whatever cannot be written or removed now, the next command finds and cleans.
                    _ => return 0,
                },
                Ok(Event::Checked(result)) => self.note(result),
                Ok(Event::Alone) => {
                    self.small = true;
                    self.execute_anew();
                }
                Ok(Event::Over) => {}
                Err(_) => return 1,
            }
        }
    }

    /// The health checks of a container that has just been started.
    fn checks(&self) -> Option<Health> {
        let check = self.entry.record.health.clone()?;
        Health::new(check, &self.store.places, &self.entry.record.id, self.since)
    }

    /// Notes how a check has ended. If that cannot be written now, the next one is.
    fn note(&mut self, result: HealthResult) {
        let Some(health) = &self.serve.health else { return };
        let _ = self.entry.change(|record| {
            record.state.health = Some(health.add(record.state.health.take(), result));
        });
    }

    /// The container has ended: whether it runs again.
    fn ended(&mut self, code: i32) -> Result<bool> {
        self.pid = None;
        self.proxy = None;
        self.serve.drain();
        self.serve.health = None;
        let mut code = code;
        loop {
            let again = self.write_down(code)?;
            if !again {
                return self.end(code).map(|()| false);
            }
            let pause = self.pause.next(clock().saturating_sub(self.since));
            self.serve.run(None, Some(pause), false)?;
            let lock = self.entry.reload()?;
            if self.serve.stopped {
                self.entry.record.state.phase = Phase::Exited;
                self.entry.record.state.stopped = true;
                let _ = self.entry.save();
                drop(lock);
                return self.end(code).map(|()| false);
            }
            self.entry.record.state.restarts += 1;
            match self.launch(false) {
                Ok(_) => {
                    // The plan, the configuration: memory of another moment.
                    self.small = false;
                    return Ok(true);
                }
                Err(error) => {
                    self.entry.record.state.error = Some(format!("{error}"));
                    // As in `write_down`.
                    let _ = self.entry.save();
                    code = error.code().into();
                }
            }
        }
    }

    /// Writes the end down and cleans; whether the container is to be started again.
    fn write_down(&mut self, code: i32) -> Result<bool> {
        let _lock = self.entry.reload()?;
        let record = &self.entry.record;
        let oom_killed = self.was_killed_for_memory().unwrap_or(false);
        let policy = Policy::parse(record.restart.as_deref().unwrap_or_default())?;
        let again = !self.serve.stopped && policy.restarts(code, record.state.restarts);
        self.store.clean_runtime(&record.id)?;
        if !again && record.remove {
            self.store.remove_locked(&self.entry)?;
            return Ok(false);
        }
        let state = &mut self.entry.record.state;
        state.phase = if again { Phase::Restarting } else { Phase::Exited };
        state.exit_code = Some(code);
        state.finished = Some(time::now());
        (state.pid, state.oom_killed, state.stopped) = (None, oom_killed, self.serve.stopped);
        self.entry.record.attached = None;
        // A full disk keeps nobody from hearing of the end, nor the container from its restart. Whoever reads that it
        // runs finds out that this is not so.
        let _ = self.entry.save();
        if again {
            self.serve.tell(wire::EXIT, &code.to_le_bytes(), false);
        }
        Ok(again)
    }

    fn was_killed_for_memory(&self) -> Result<bool> {
        let directory =
            Root::open(&self.store.places.root)?.map_or(Ok(None), |root| root.find(&self.entry.record.id))?;
        let record = directory.as_ref().map_or(Ok(None), Running::load)?;
        record.map_or(Ok(false), |record| record.was_killed_for_memory())
    }

    /// The end was written down: everybody may know.
    fn end(&mut self, code: i32) -> Result<()> {
        let removed = self.entry.directory.remove_file(SOCKET);
        self.lock = None;
        self.serve.tell(wire::EXIT, &code.to_le_bytes(), true);
        self.serve.see_off();
        // The kernel takes its time for interfaces. Whoever has started the container again meanwhile has done it, and
        // needs what it has now; whoever wants to has to wait for the lock.
        let id = self.entry.record.id.clone();
        let lock = self.entry.reload();
        if lock.is_err() || !self.entry.is_supervised().unwrap_or(true) {
            let _ = crate::network::detach(&self.store.places.network(None), &id);
        }
        removed
    }

    /// Executes this program anew, with what it has to look after as open descriptors. Returns only on failure, and
    /// then all goes on as before.
    fn execute_anew(&self) {
        let inherit = |descriptor: &dyn AsRawFd| format!("{}", descriptor.as_raw_fd());
        let optional = |descriptor: Option<&OwnedFd>| descriptor.map_or("-".to_string(), |one| inherit(one));
        let Supervisor { serve, store, .. } = self;
        let kept: Vec<&OwnedFd> = [
            self.lock.as_ref(),
            Some(&serve.listener),
            serve.streams[0].as_ref(),
            serve.streams[1].as_ref(),
            serve.input.as_ref().map(Input::descriptor),
        ]
        .into_iter()
        .flatten()
        .gather();
        let words = [
            "servin".to_string(),
            AGAIN.to_string(),
            store.places.home.clone(),
            store.places.root.clone(),
            self.entry.record.id.clone(),
            self.pid.map_or("-".to_string(), |pid| format!("{pid}")),
            self.proxy.as_ref().map_or("0".to_string(), |proxy| format!("{}", proxy.pid())),
            format!("{}", self.since),
            format!("{}", self.pause.milliseconds()),
            optional(self.lock.as_ref()),
            inherit(&serve.listener),
            optional(serve.streams[0].as_ref()),
            optional(serve.streams[1].as_ref()),
            optional(serve.input.as_ref().map(Input::descriptor)),
        ];
        let arguments: Option<Vec<_>> =
            words.into_iter().map(|word| alloc::ffi::CString::new(word).ok()).gather();
        if let Some(arguments) = arguments
            && kept.iter().all(|descriptor| fcntl_setfd(descriptor, FdFlags::empty()).is_ok())
        {
            let _ = execve(c"/proc/self/exe", &Vector::new(arguments), &Vector::new(Vec::new()));
            for descriptor in kept {
                let _ = fcntl_setfd(descriptor, FdFlags::CLOEXEC);
            }
        }
    }
}

/// Goes on in a program that was executed anew.
pub fn resume(words: &[&str], means: Means) -> Result<i32> {
    let wrong = || Error::new("this command is Servin's own");
    let [home, root, id, pid, proxy, since, pause, lock, listener, output, errors, input] = words else {
        return Err(wrong());
    };
    let number = |word: &str| word.parse::<u64>().map_err(|_| wrong());
    let descriptor = |word: &str| -> Result<Option<OwnedFd>> {
        if word == "-" {
            return Ok(None);
        }
        let adopted = adopt(number(word)? as i32).step(|| "go on")?;
        fcntl_setfd(&adopted, FdFlags::CLOEXEC).step(|| "go on")?;
        Ok(Some(adopted))
    };
    let store = Store::open(Places { home: String::from(*home), root: String::from(*root) })?;
    let entry = store.find(id)?;
    let mut serve = serve(&entry, descriptor(listener)?.ok_or_else(wrong)?)?;
    serve.streams = [descriptor(output)?, descriptor(errors)?];
    serve.input = descriptor(input)?.map(Input::new);
    let mut supervisor = Supervisor {
        store,
        entry,
        lock: descriptor(lock)?,
        means: Means { trace: None, ..means },
        serve,
        pid: Pid::from_raw(number(pid)? as i32),
        proxy: Pid::from_raw(number(proxy)? as i32).map(Proxy::of),
        since: number(since)?,
        pause: BackOff::of(number(pause)?),
        small: true,
    };
    supervisor.serve.health = supervisor.checks();
    Ok(supervisor.live())
}
