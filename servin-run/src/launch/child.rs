//! The process in the new namespaces, from its birth to the exec: it executes the plan's steps in order.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Signal, chdir, set_dumpable_behavior, set_parent_process_death_signal, setsid, umask,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::system::{setdomainname, sethostname};
use rustix::thread::set_no_new_privs;

use linux_raw_sys::general::MS_SHARED;

use super::channel::{Channel, Message};
use super::clock::Clock;
use super::hide::{self, Masks};
use super::mount::Outcome;
use super::{Options, device, hooks, identity, label, mount, program, rootfs, sysctl, tools};
use crate::cgroup;
use crate::error::{Error, Result, Step as _};
use crate::fs::copy::write_all;
use crate::fs::resolve::{self, Create};
use crate::network;
use crate::plan::mounts::Source;
use crate::plan::namespaces::{self, TimeOffset};
use crate::plan::{Plan, Step};
use crate::spec::{NamespaceKind, State, Status};
use crate::sys::clone::{CloneFlags, Cloned, Register, clone3, clone3_registered, setns, unshare};
use crate::sys::keyring;
use crate::sys::path::openat;
use crate::sys::signal::{self, SignalSet};

/// What the parent opened before the clone, and the child takes over.
#[derive(Default)]
pub struct Prepared {
    /// Namespaces to join, in the order of the plan.
    pub namespaces: Vec<OwnedFd>,
    /// Trees of bind mounts, by the number of their step.
    pub trees: Vec<(usize, OwnedFd)>,
    /// User namespaces of id-mapped mounts, by the number of their step.
    pub id_maps: Vec<(usize, OwnedFd)>,
    /// servin-init, where it is PID 1.
    pub init: Option<OwnedFd>,
    /// A process (a pidfd) whose namespaces of these kinds are joined.
    pub enter: Option<(OwnedFd, CloneFlags)>,
}

/// The child's side of a launch.
pub struct Child<'p> {
    /// What is to be done.
    pub plan: &'p Plan,
    /// And how.
    pub options: &'p Options<'p>,
    /// What it is done with.
    pub prepared: Prepared,
    /// To the parent.
    pub channel: Channel,
    /// The signals that the program is to have blocked: the caller's own mask.
    pub mask: SignalSet,
    /// Where the parent learns the pid of the container's process, if this is the one before it.
    pub register: Option<Register>,
    /// The network namespace is being made by the parent.
    pub awaits_network: bool,
    /// The root file system's mount, once there is one.
    pub root: Option<OwnedFd>,
    /// The tree of [`Options::tools`].
    pub tools: Option<OwnedFd>,
}

impl Child<'_> {
    /// Does everything and becomes the program. Whatever goes wrong is said through the channel.
    pub fn run(mut self, needs_maps: bool, misplaced: bool) -> ! {
        let error = match self
            .take_stdio()
            .and_then(|()| self.set_up(needs_maps, misplaced))
            .and_then(|()| self.wait_for_start())
        {
            Ok(()) => match self.prepared.init.take() {
                Some(init) => program::execute_init(&init, &self.plan.process),
                None => program::execute(&self.plan.process),
            },
            Err(error) => error,
        };
        let code = error.code();
        // If the parent is gone there is nobody to tell.
        let _ = self.channel.send(&Message::Failed(error));
        servin_init::sys::process::exit(code.into())
    }

    /// The process between the caller and the container, where the kernel lets only a new child into a PID or
    /// user namespace, or into a time namespace with offsets (setns(2), time_namespaces(7)). It ends when the
    /// container's process is born as its sister, which speaks for itself: this one may be killed at any moment.
    pub fn run_as_intermediate(mut self) -> ! {
        match self.intermediate() {
            Ok(Cloned::Child { misplaced }) => {
                // If nobody hears it, that is noticed at the next word.
                let _ = self.channel.send(&Message::Born);
                self.run(false, misplaced)
            }
            Ok(Cloned::Parent(_)) => servin_init::sys::process::exit(0),
            Err(error) => {
                let _ = self.channel.send(&Message::Failed(error));
                servin_init::sys::process::exit(1)
            }
        }
    }

    fn intermediate(&mut self) -> Result<Cloned> {
        let namespaces = &self.plan.namespaces;
        // Opened while /proc is the caller's own.
        let offsets = match namespaces.time_offsets.as_slice() {
            [] => None,
            _ => Some(
                openat(CWD, c"/proc/self/timens_offsets", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())
                    .step(|| "open /proc/self/timens_offsets (linux.timeOffsets)")?,
            ),
        };
        self.join_namespaces()?;
        let mut flags = namespaces.clone_flags();
        if namespaces.is_new(NamespaceKind::User) {
            flags.remove(CloneFlags::NEWUSER);
            unshare(CloneFlags::NEWUSER).step(|| "make a user namespace")?;
            self.ask(&Message::NeedsMaps)?;
        }
        if let Some(offsets) = offsets {
            flags.remove(CloneFlags::NEWTIME);
            unshare(CloneFlags::NEWTIME).step(|| "make a time namespace")?;
            set_time_offsets(&offsets, &namespaces.time_offsets)?;
        }
        clone3_registered(flags | CloneFlags::PARENT, self.options.cgroup, self.register.as_ref())
            .step(|| "create the container's process")
    }

    /// Says that everything is done but the exec, and waits until that may be: as soon as the parent has noted
    /// it down, or with a listener until somebody connects there.
    fn wait_for_start(&mut self) -> Result<()> {
        if self.options.listener.is_some() && self.prepared.init.is_none() {
            // Whoever creates a container learns of a missing program at once (as with runc).
            program::find(&self.plan.process)?;
        }
        if self.options.set_up.is_none() {
            self.ask(&Message::Ready)?;
        }
        self.leave()?;
        if let Some(listener) = &self.options.listener {
            // For the parent that is the end of its work.
            self.channel.end();
            self.channel = listener.accept().step(|| "wait for start")?;
            if !matches!(self.channel.receive(), Ok(Some(Message::Go))) {
                return Err(Error::new("whoever started the container was killed"));
            }
        }
        let hooks = &self.plan.hooks.start_container;
        hooks::run("startContainer", hooks, &self.state(Status::Created), self.mask)?;
        // Only now: until here the calls are Servin's own.
        signal::reset_dispositions();
        signal::set_mask(self.mask).step(|| "restore the signal mask")?;
        match &self.plan.seccomp {
            Some(filter) if !self.filters_early() => identity::set_filter(filter, true).map(drop),
            _ => Ok(()),
        }
    }

    /// What a hook in the container's namespaces reads: the pid is as it sees it (runtime.md, "State").
    fn state(&self, status: Status) -> State {
        let mut state = self.options.state.clone();
        state.pid = Some(rustix::process::getpid().as_raw_nonzero().get());
        state.status = status;
        state
    }

    /// Says something that is answered when we may go on.
    fn ask(&self, message: &Message) -> Result<()> {
        self.channel.send(message).step(|| "speak to servin")?;
        self.hear_go()
    }

    fn hear_go(&self) -> Result<()> {
        let step = || "wait for servin";
        match self.channel.receive().step(step)? {
            Some(Message::Go) => Ok(()),
            _ => Err(Error::os(step(), Errno::CANCELED)),
        }
    }

    /// Goes on in a child of this process, which ends.
    fn leave(&self) -> Result<()> {
        if !self.options.orphan {
            return Ok(());
        }
        match clone3(CloneFlags::empty(), None).step(|| "create the program's process")? {
            Cloned::Parent(_) => servin_init::sys::process::exit(0),
            Cloned::Child { .. } => setsid().map(drop).step(|| "begin a session"),
        }
    }

    fn take_stdio(&self) -> Result<()> {
        let Some([input, output, error]) = self.options.stdio else { return Ok(()) };
        dup2_stdin(input).step(|| "make it standard input")?;
        dup2_stdout(output).step(|| "make it standard output")?;
        dup2_stderr(error).step(|| "make it standard error")
    }

    fn set_up(&mut self, needs_maps: bool, misplaced: bool) -> Result<()> {
        let plan = self.plan;
        if misplaced && let Some(cgroup) = self.options.cgroup {
            // "0" is whoever writes.
            cgroup::file::write(cgroup, "cgroup.procs", "0").step(|| "enter the cgroup")?;
        }
        if self.options.place {
            self.ask(&Message::Place)?;
        }
        if needs_maps {
            self.ask(&Message::NeedsMaps)?;
        }
        self.join_namespaces()?;
        if plan.namespaces.is_new(NamespaceKind::Cgroup) {
            unshare(CloneFlags::NEWCGROUP).step(|| "make a cgroup namespace")?;
        }
        if plan.namespaces.separate(NamespaceKind::User) {
            identity::become_root()?;
        }
        if let Some(name) = &self.options.keyring {
            // A kernel without keys has no keyring to share.
            match keyring::join_session(name) {
                Err(Errno::NOSYS) | Ok(()) => {}
                Err(errno) => {
                    let error = Error::os(format_args!("make the session keyring {name}"), errno);
                    return Err(error.hint("--no-new-keyring does without"));
                }
            }
        }
        // A session of its own: no signal of the caller's terminal reaches the container past Servin. It can
        // only fail for a process that leads one already.
        let _ = setsid();
        // Modes are as the plan says, not as the caller's mask leaves them.
        umask(Mode::empty());
        if !plan.namespaces.separate(NamespaceKind::User)
            && let Some(score) = plan.process.oom_score_adj
        {
            identity::set_oom_score("self", score)?;
        }
        let mut masks = Masks::default();
        for (number, step) in plan.steps.iter().enumerate() {
            if self.awaits_network && needs_network(step) {
                self.join_network()?;
            }
            let clock = Clock::start(self.options.trace.is_some());
            self.execute(number, step, &mut masks).map_err(|error| error.within(step))?;
            self.say(clock, step)?;
        }
        drop(masks);
        if self.awaits_network {
            self.join_network()?;
        }
        if let Some(set_up) = self.options.set_up {
            self.hear_go()?;
            set_up()?;
        }
        let clock = Clock::start(self.options.trace.is_some());
        self.become_user()?;
        self.say(clock, "become the process's user")
    }

    fn say(&self, clock: Clock, step: impl ToString) -> Result<()> {
        match clock.micros() {
            Some(micros) => self.channel.send(&Message::Trace(micros, step.to_string())).step(|| "trace"),
            None => Ok(()),
        }
    }

    fn join_namespaces(&mut self) -> Result<()> {
        let enter = self.prepared.enter.take();
        if self.prepared.namespaces.is_empty() && enter.is_none() {
            return Ok(());
        }
        // From here on processes of another container may see this one (CVE-2016-9962).
        set_dumpable_behavior(DumpableBehavior::NotDumpable).step(|| "become non-dumpable")?;
        if let Some((process, kinds)) = enter {
            let join = |kinds: CloneFlags| match kinds.is_empty() {
                true => Ok(()),
                false => setns(&process, kinds).map_err(|errno| {
                    let error = Error::os("join the container's namespaces", errno);
                    if errno == Errno::SRCH { Error::new("container not running") } else { error }
                }),
            };
            match self.options.tools {
                None => join(kinds)?,
                Some(_) => {
                    join(kinds.difference(CloneFlags::NEWNS))?;
                    self.open_tools()?;
                    join(CloneFlags::NEWNS)?;
                }
            }
        }
        for ((kind, path), namespace) in
            self.plan.namespaces.joined.iter().zip(core::mem::take(&mut self.prepared.namespaces))
        {
            // That of mounts is the last one.
            if *kind == NamespaceKind::Mount {
                self.open_tools()?;
            }
            setns(&namespace, namespaces::flag(*kind)).map_err(|errno| {
                let error = Error::os(format_args!("join the {} namespace {path}", kind.as_str()), errno);
                if errno == Errno::INVAL {
                    error.hint("is the path that of such a namespace?")
                } else {
                    error
                }
            })?;
        }
        Ok(())
    }

    fn open_tools(&mut self) -> Result<()> {
        let open = |source| tools::open(source).map_err(|error| error.within("take the tools (--with)"));
        self.tools = self.options.tools.map(open).transpose()?;
        Ok(())
    }

    /// Enters the namespace that the parent has made meanwhile.
    fn join_network(&mut self) -> Result<()> {
        self.awaits_network = false;
        let clock = Clock::start(self.options.trace.is_some());
        let step = || "join the network namespace";
        match self.channel.receive().step(step)? {
            Some(Message::Network(namespace)) => setns(&namespace, CloneFlags::NEWNET).step(step)?,
            _ => return Err(Error::os(step(), Errno::CANCELED)),
        }
        self.say(clock, step())
    }

    fn root(&self) -> Result<BorrowedFd<'_>> {
        self.root_mount().map(AsFd::as_fd)
    }

    fn shares_the_tree(&self) -> bool {
        let shared = |step: &Step| matches!(step, Step::Propagation(p) if p.kind == MS_SHARED);
        self.plan.steps.iter().any(shared)
    }

    fn execute(&mut self, number: usize, step: &Step, masks: &mut Masks) -> Result<()> {
        match step {
            // Whoever makes the namespace aside does this too.
            Step::Loopback if self.awaits_network => Ok(()),
            Step::Loopback => network::loopback::bring_up(),
            Step::Hostname(name) => sethostname(name.as_bytes()).step(|| "sethostname"),
            Step::Domainname(name) => setdomainname(name.as_bytes()).step(|| "setdomainname"),
            Step::Propagation(propagation) => rootfs::set_tree_propagation(*propagation),
            Step::Root { path } => {
                let tree = taken(&mut self.prepared.trees, number);
                self.root = Some(rootfs::mount_root(path, tree, self.shares_the_tree())?);
                Ok(())
            }
            Step::Mount(mount) => self.mount(number, mount),
            Step::MakeDevice(device) => match device::make(self.root()?, device) {
                // Root of another user namespace than the initial one, in which Servin itself runs.
                Err(error) if error.errno() == Some(Errno::PERM) => {
                    device::bind(self.root()?, device).map_err(|_| error)
                }
                made => made,
            },
            Step::BindDevice(device) => device::bind(self.root()?, device),
            Step::Link { path, target } => device::link(self.root()?, path, target),
            Step::Console => self.open_terminal(true),
            Step::Terminal => {
                let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
                self.root = Some(root.step(|| "open /")?);
                self.open_terminal(false)
            }
            Step::Tools => match self.tools.take() {
                Some(tree) => tools::enter(&tree),
                None => Err(Error::new("there are none")),
            },
            Step::Sysctl(sysctl) => sysctl::write(sysctl),
            Step::RuntimeHooks => self.ask(&Message::Hooks),
            Step::ContainerHooks => {
                let hooks = &self.plan.hooks.create_container;
                hooks::run("createContainer", hooks, &self.state(Status::Creating), self.mask)
            }
            Step::SwitchRoot => rootfs::switch(self.root_mount()?, self.shares_the_tree()),
            Step::MoveRoot => rootfs::move_to_root(self.root_mount()?),
            Step::RootPropagation(propagation) => rootfs::set_root_propagation(*propagation),
            Step::ReadOnly(path) => hide::make_read_only(path),
            Step::Mask(path) => masks.mask(path),
            Step::ReadOnlyRoot => {
                // Where nothing can be made any more when the process's user is taken.
                self.make_working_directory()?;
                rootfs::make_read_only()
            }
        }
    }

    fn root_mount(&self) -> Result<&OwnedFd> {
        self.root.as_ref().ok_or_else(|| Error::new("there is no root yet"))
    }

    fn mount(&mut self, number: usize, planned: &crate::plan::mounts::Mount) -> Result<()> {
        let tree = taken(&mut self.prepared.trees, number);
        let ids = taken(&mut self.prepared.id_maps, number);
        match mount::mount(self.root()?, planned, tree, ids.as_ref().map(AsFd::as_fd))? {
            Outcome::Without(warning) => self.channel.send(&Message::Warning(warning)).step(|| "warn"),
            Outcome::Mounted(mounted) => {
                if planned.destination == "/" {
                    self.root = Some(mounted);
                }
                Ok(())
            }
        }
    }

    /// The terminal becomes standard input, output and error, and controls our session; its master side goes
    /// to the parent.
    fn open_terminal(&mut self, console: bool) -> Result<()> {
        let process = &self.plan.process;
        // Whoever sits at a terminal sees the container's as large as that.
        let size = device::size_of_ours().or(process.terminal.filter(|size| *size != (0, 0)));
        let terminal = device::open_terminal(self.root()?, size, process.user.uid, console)?;
        rustix::process::ioctl_tiocsctty(&terminal.slave).step(|| "make it the controlling terminal")?;
        dup2_stdin(&terminal.slave).step(|| "make it standard input")?;
        dup2_stdout(&terminal.slave).step(|| "make it standard output")?;
        dup2_stderr(&terminal.slave).step(|| "make it standard error")?;
        self.channel.send(&Message::Terminal(terminal.master)).step(|| "hand it to the caller")
    }

    /// Makes the directory that the process begins in, if it is to be made.
    fn make_working_directory(&self) -> Result<()> {
        let process = &self.plan.process;
        if !process.create_cwd {
            return Ok(());
        }
        let root = openat(CWD, c"/", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).step(|| "open /")?;
        resolve::open_or_create(&root, &process.cwd, Create::Directory)
            .step(|| format!("make the working directory {}", process.cwd))
            .map(drop)
    }

    fn become_user(&mut self) -> Result<()> {
        let process = &self.plan.process;
        self.root = None;
        self.make_working_directory()?;
        label::set(process)?;
        identity::set_schedule(&process.schedule)?;
        identity::set_limits(process)?;
        // As root where that can enter it, because an image's working directory may be closed to its user; else
        // as the user, to whom a network file system may open what it denies to root.
        let early = enter(&process.cwd);
        let (capabilities, lacking) = identity::grantable(process)?;
        identity::take_ids(&process.user, &capabilities)?;
        if let Some(warning) = lacking {
            self.channel.send(&Message::Warning(warning)).step(|| "warn")?;
        }
        if self.options.die_with_us {
            // Only now: a change of ids would take it back (prctl(2), PR_SET_PDEATHSIG).
            set_parent_process_death_signal(Some(Signal::KILL)).step(|| "ask to end with servin")?;
        }
        if early.is_err() {
            enter(&process.cwd)?;
        }
        prove_inside(&process.cwd)?;
        umask(Mode::from_raw_mode(process.user.umask));
        if process.no_new_privileges {
            set_no_new_privs(true).step(|| "set no_new_privs (process.noNewPrivileges)")?;
        }
        if self.filters_early()
            && let Some(filter) = &self.plan.seccomp
            && let Some(listener) = identity::set_filter(filter, process.no_new_privileges)?
        {
            self.channel.send(&Message::Notify(listener)).step(|| "hand the listener over")?;
        }
        identity::take_capabilities(&capabilities)
    }

    /// A filter comes last, so that it need not allow what Servin itself still asks of the kernel; but without
    /// no_new_privs it takes a capability that is given up, and a listener has to be handed over by the parent.
    fn filters_early(&self) -> bool {
        let listens = self.plan.seccomp.as_ref().is_some_and(|filter| filter.listener.is_some());
        !self.plan.process.no_new_privileges || listens
    }
}

/// File systems of which another network namespace has no other view.
const WITHOUT_NETWORK: &[&str] = &["proc", "tmpfs", "devpts", "mqueue", "cgroup2"];

/// Whether a step is another one in another network namespace.
fn needs_network(step: &Step) -> bool {
    match step {
        Step::Sysctl(_) => true,
        Step::Mount(mount) => match &mount.source {
            Source::FileSystem { kind, .. } => !WITHOUT_NETWORK.contains(&kind.as_str()),
            _ => false,
        },
        _ => false,
    }
}

/// What was prepared for the step of that number.
fn taken(prepared: &mut Vec<(usize, OwnedFd)>, number: usize) -> Option<OwnedFd> {
    let index = prepared.iter().position(|(step, _)| *step == number)?;
    Some(prepared.swap_remove(index).1)
}

fn set_time_offsets(file: &OwnedFd, offsets: &[TimeOffset]) -> Result<()> {
    let line = |o: &TimeOffset| format!("{} {} {}\n", o.clock, o.seconds, o.nanoseconds);
    let lines: String = offsets.iter().map(line).collect();
    write_all(file.as_fd(), lines.as_bytes()).map_err(|errno| {
        let error = Error::os("write the clocks' offsets (linux.timeOffsets)", errno);
        if errno == Errno::RANGE { error.hint("a clock would be negative, or overflow") } else { error }
    })
}

fn enter(cwd: &str) -> Result<()> {
    chdir(cwd).step(|| format!("enter the working directory {cwd} (process.cwd)"))
}

/// A directory outside the root, reached through a leaked descriptor, has no path here: the kernel says
/// "(unreachable)" or ENOENT (CVE-2024-21626).
fn prove_inside(cwd: &str) -> Result<()> {
    let found = rustix::process::getcwd(Vec::new());
    match found {
        Ok(path) if path.to_bytes().starts_with(b"/") => Ok(()),
        _ => Err(Error::new(format_args!("process.cwd: {cwd} is outside the container's root file system"))),
    }
}
