//! Executes a plan: the process outside and the one in the new namespaces. It decides nothing; each step is one
//! operation with an error of its own that says the step, the object and the kernel's answer.

pub mod channel;
mod child;
pub mod clock;
mod device;
pub mod file_system;
mod hide;
pub mod hooks;
mod identity;
mod inside;
mod label;
pub mod mount;
mod old_mount;
pub mod overlay;
pub mod program;
mod rootfs;
pub mod sealed;
mod sysctl;
pub mod tools;
pub mod user_namespace;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::fd::{AsFd as _, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, Mode, OFlags, fstat};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use linux_raw_sys::general::MS_SLAVE;

use crate::error::{Error, Result, Step as _};
use crate::gather::Gather as _;
use crate::network;
use crate::plan::mounts::{IdMapping, Propagation, Source};
use crate::plan::{Plan, Step};
use crate::seccomp::Listener as Listening;
use crate::spec::{self, ContainerProcessState, Hooks, NamespaceKind, State};
use crate::sys::clone::{CloneFlags, Cloned, Register, clone3, setns, unshare};
use crate::sys::path::{openat, stat};
use crate::sys::signal::{self, SignalSet};
use channel::{Channel, Listener, Message};
use child::{Child, Prepared};
use clock::Clock;

/// How a plan is launched.
#[derive(Default)]
pub struct Options<'o> {
    /// Called with each executed step and its microseconds.
    pub trace: Option<fn(u32, &str)>,
    /// The container ends when this process does, however that ends.
    pub die_with_us: bool,
    /// Called with each warning.
    pub warn: Option<fn(&str)>,
    /// The program to execute as PID 1 where the plan asks for an init.
    pub init: &'static [u8],
    /// What hooks read, as far as it is known before the launch.
    pub state: State,
    /// Where the process waits before the exec, until somebody connects and says so.
    pub listener: Option<Listener>,
    /// The name of a new session keyring; without one the caller's is shared (session-keyring(7)).
    pub keyring: Option<String>,
    /// All signals are blocked already, and these were before.
    pub blocked: Option<SignalSet>,
    /// The cgroup in which the container's process is born (its directory).
    pub cgroup: Option<BorrowedFd<'o>>,
    /// Instead of that, whoever watches moves the process into its cgroup.
    pub place: bool,
    /// The program's process is no child of ours, but of the first one of its PID namespace: nobody else has to wait
    /// for it. What is our child then ends at once.
    pub orphan: bool,
    /// Standard input, output and error of the new process, instead of ours.
    pub stdio: Option<[BorrowedFd<'o>; 3]>,
    /// A new network namespace is made by us while the container's process makes its mounts: nobody needs it at the
    /// birth of that.
    pub network_aside: bool,
    /// Called in the container's process when everything is set up, before it gives its rights up; then nobody has
    /// to wait for [`Watch::ready`], which is not called.
    pub set_up: Option<&'o dyn Fn() -> Result<()>>,
    /// A process all of whose namespaces of these kinds are joined first (a pidfd).
    pub enter: Option<(BorrowedFd<'o>, CloneFlags)>,
    /// A tree of the host's that [`crate::plan::Step::Tools`] puts beside the container's files.
    pub tools: Option<&'o Source>,
}

/// Whoever launches, at the points where a launch can still be called off by an error.
pub trait Watch {
    /// The container's process was born; nothing in it has happened yet that would outlive it.
    fn born(&mut self, _pid: Pid) -> Result<()> {
        Ok(())
    }

    /// The process waits to be moved into its cgroup.
    fn place(&mut self, _pid: Pid) -> Result<()> {
        Ok(())
    }

    /// Everything is done but the exec; `terminal` is the master side of the container's.
    fn ready(&mut self, _pid: Pid, _terminal: Option<&OwnedFd>) -> Result<()> {
        Ok(())
    }
}

/// Nobody who would be told.
impl Watch for () {}

/// A container whose program has been executed.
pub struct Running {
    /// Its PID 1, a child of this process.
    pub pid: Pid,
    /// The master side of its terminal.
    pub terminal: Option<OwnedFd>,
    /// The signals that this process had blocked before; by now it has blocked all.
    pub mask: SignalSet,
}

impl Running {
    /// Ends it, and waits until it has.
    pub fn end(&self) {
        end(self.pid);
    }
}

fn end(child: Pid) {
    let _ = kill_process(child, Signal::KILL);
    let _ = waitpid(Some(child), WaitOptions::empty());
}

/// Launches the plan and returns when its program has been executed, or could not be. Then nothing is left:
/// the mounts go with the namespace, and the process has been waited for.
pub fn launch(plan: &Plan, options: &Options, watch: &mut dyn Watch) -> Result<Running> {
    let prepared = prepare(plan, options)?;
    let register = match options.enter.is_some() || needs_intermediate(plan) {
        true => Some(Register::new().step(|| "map memory for a pid")?),
        false => None,
    };
    let (inside, outside) = Channel::pair()?;
    // Signals for the container wait until somebody forwards them; the child restores the caller's mask.
    let mask = match options.blocked {
        Some(mask) => mask,
        None => signal::set_mask(SignalSet::ALL).step(|| "block signals")?,
    };
    let unblock = || {
        if options.blocked.is_none() {
            let _ = signal::set_mask(mask);
        }
    };
    let clock = Clock::start(options.trace.is_some());
    let mut flags = plan.namespaces.clone_flags();
    // One of another user namespace could only be made in that.
    let aside = match options.network_aside && flags.contains(CloneFlags::NEWNET) {
        true => returnable(),
        false => None,
    };
    if aside.is_some() {
        flags.remove(CloneFlags::NEWNET);
    }
    let cloned = match register.is_some() {
        true => clone3(CloneFlags::empty(), None),
        false => clone3(flags, options.cgroup),
    };
    let pid = match cloned.map_err(|errno| clone_error(plan, errno)) {
        Ok(Cloned::Child { misplaced }) => {
            drop(outside);
            let child = Child {
                plan,
                options,
                prepared,
                channel: inside,
                mask,
                register,
                awaits_network: aside.is_some(),
                root: None,
                tools: None,
            };
            match child.register.is_some() {
                true => child.run_as_intermediate(),
                false => child.run(flags.contains(CloneFlags::NEWUSER), misplaced),
            }
        }
        Ok(Cloned::Parent(pid)) => pid,
        Err(error) => {
            unblock();
            return Err(error);
        }
    };
    drop((inside, prepared));
    if let (Some(trace), Some(micros)) = (options.trace, clock.micros()) {
        trace(micros, "clone the container's process");
    }
    let mut conversation =
        Conversation { plan, options, mask, process: pid, register, terminal: None, aside };
    match conversation.hold(&outside, watch) {
        Ok(()) => Ok(Running { pid: conversation.process, terminal: conversation.terminal, mask }),
        Err(error) => {
            // The child may still live, and must not; nor may one that it has made in the meantime.
            end(conversation.process);
            conversation.register.as_ref().and_then(Register::pid).into_iter().for_each(end);
            unblock();
            Err(error)
        }
    }
}

/// The kernel lets a process enter a PID namespace, or a user namespace with all rights in it, only from outside
/// the new process: one process in between does that.
fn needs_intermediate(plan: &Plan) -> bool {
    let namespaces = &plan.namespaces;
    let joins = |kind| namespaces.joined.iter().any(|(joined, _)| *joined == kind);
    joins(NamespaceKind::User)
        || joins(NamespaceKind::Pid)
        // Joining takes privileges that a new user namespace would take away.
        || (!namespaces.joined.is_empty() && namespaces.is_new(NamespaceKind::User))
        || !namespaces.time_offsets.is_empty()
}

fn network_namespace() -> rustix::io::Result<OwnedFd> {
    openat(CWD, c"/proc/self/ns/net", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
}

/// Our own network namespace, if we could come back to it: root of another user namespace than its own could not.
fn returnable() -> Option<OwnedFd> {
    network_namespace().ok().filter(|own| setns(own, CloneFlags::NEWNET).is_ok())
}

/// Whether the container's process is a child of this one from the start, and needs no answer before it is set up.
pub fn asks_nothing(plan: &Plan) -> bool {
    let hooked = |step: &Step| matches!(step, Step::RuntimeHooks | Step::ContainerHooks);
    let listens = plan.seccomp.as_ref().is_some_and(|filter| filter.listener.is_some());
    let asks = plan.namespaces.is_new(NamespaceKind::User) || listens || plan.steps.iter().any(hooked);
    !needs_intermediate(plan) && !asks
}

fn clone_error(plan: &Plan, errno: rustix::io::Errno) -> Error {
    use rustix::io::Errno;
    let kinds: Vec<&str> = plan.namespaces.new.iter().map(|kind| kind.as_str()).gather();
    let error = Error::os(format_args!("create a process in new namespaces ({})", kinds.join(", ")), errno);
    match errno {
        Errno::PERM => error.hint("this takes root, or a user namespace among them that the host allows"),
        Errno::INVAL | Errno::NOSYS => error.hint("the kernel lacks one of them: `servin check` says which"),
        Errno::NOSPC | Errno::USERS => {
            error.hint("a limit in /proc/sys/user, or the depth of nesting, is reached")
        }
        _ => error,
    }
}

/// Opens what only the caller's own namespaces can reach.
fn prepare(plan: &Plan, options: &Options) -> Result<Prepared> {
    let mut prepared = Prepared::default();
    label::check_host(plan)?;
    if let Some((process, kinds)) = options.enter {
        let process = rustix::io::fcntl_dupfd_cloexec(process, 3).step(|| "copy a descriptor");
        prepared.enter = Some((process?, kinds));
    }
    let by_path = if options.enter.is_some() { &[] } else { plan.namespaces.joined.as_slice() };
    for (kind, path) in by_path {
        let namespace = openat(CWD, path.as_str(), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .step(|| format!("open the {} namespace {path}", kind.as_str()))?;
        if is_our_own(*kind, &namespace)? {
            refuse_settings_of(plan, *kind)?;
        }
        prepared.namespaces.push(namespace);
    }
    if plan.init {
        prepared.init = Some(sealed::copy("servin-init", options.init)?);
    }
    let user = plan.namespaces.separate(NamespaceKind::User);
    for (number, step) in plan.steps.iter().enumerate() {
        let prepare = || -> Result<(Option<OwnedFd>, Option<OwnedFd>)> {
            match step {
                Step::Mount(mount) => {
                    let ids = mount.id_mapping.as_ref().map(|m| id_map(plan, &prepared, m)).transpose()?;
                    match &mount.source {
                        Source::Bind { path, recursive }
                            if user || ids.is_some() || mount.subpath.is_some() =>
                        {
                            let tree = match &mount.subpath {
                                Some(subpath) => {
                                    slave(inside::clone_inside(path, subpath, *recursive), path)?
                                }
                                None => open_outside(path, *recursive)?,
                            };
                            if let (Some(tree), Some(ids), Some(mapping)) = (&tree, &ids, &mount.id_mapping) {
                                mount::map_ids(tree, mapping.recursive, Some(rustix::fd::AsFd::as_fd(ids)))?;
                            }
                            Ok((tree, ids))
                        }
                        // Loop devices are not for the root of another user namespace.
                        Source::FileSystem { kind, name, looped: true, parameters, .. } => {
                            let tree = file_system::mount(kind, name, parameters, mount.attributes)?;
                            Ok((Some(tree), ids))
                        }
                        _ => Ok((None, ids)),
                    }
                }
                Step::Root { path } if user => Ok((open_outside(path, true)?, None)),
                _ => Ok((None, None)),
            }
        };
        let (tree, ids) = prepare().map_err(|error| error.within(step))?;
        prepared.trees.extend(tree.map(|tree| (number, tree)));
        prepared.id_maps.extend(ids.map(|ids| (number, ids)));
    }
    Ok(prepared)
}

/// Whether a namespace to join is the one that we are in.
fn is_our_own(kind: NamespaceKind, namespace: &OwnedFd) -> Result<bool> {
    let name = match kind {
        NamespaceKind::Network => "net",
        NamespaceKind::Mount => "mnt",
        kind => kind.as_str(),
    };
    let step = || format!("look at the {name} namespace");
    let own = stat(format!("/proc/self/ns/{name}")).step(step)?;
    let other = fstat(namespace).step(step)?;
    Ok((own.st_dev, own.st_ino) == (other.st_dev, other.st_ino))
}

/// A kernel parameter of such a namespace would be changed for the host.
fn refuse_settings_of(plan: &Plan, kind: NamespaceKind) -> Result<()> {
    let of_kind = |step: &&Step| matches!(step, Step::Sysctl(sysctl) if sysctl.namespace == kind);
    match plan.steps.iter().find(of_kind) {
        Some(step) => {
            Err(Error::new(format_args!("{step}: the {} namespace to join is the host's own", kind.as_str())))
        }
        None => Ok(()),
    }
}

/// A place that the root of the container's user namespace may not be able to reach: its tree is taken here,
/// and cut off from what the host mounts in it later only in one direction. `None` where the kernel cannot.
fn open_outside(path: &str, recursive: bool) -> Result<Option<OwnedFd>> {
    match slave(mount::clone_path(path, recursive), path) {
        Err(error) if error.errno() == Some(rustix::io::Errno::NOSYS) => Ok(None),
        other => other,
    }
}

fn slave(tree: Result<OwnedFd>, path: &str) -> Result<Option<OwnedFd>> {
    let tree = tree?;
    let slave = Propagation { kind: MS_SLAVE, recursive: true };
    mount::set_propagation(&tree, slave).step(|| format!("make {path} a slave"))?;
    Ok(Some(tree))
}

/// The user namespace of an id-mapped mount: one of its own, or the container's.
fn id_map(plan: &Plan, prepared: &Prepared, mapping: &IdMapping) -> Result<OwnedFd> {
    let joined = plan.namespaces.joined.iter().position(|(kind, _)| *kind == NamespaceKind::User);
    let joined = joined.and_then(|index| prepared.namespaces.get(index));
    match (mapping.maps.as_ref().or(plan.namespaces.maps.as_ref()), joined) {
        (Some(maps), _) => user_namespace::make(maps),
        (None, Some(namespace)) => rustix::io::fcntl_dupfd_cloexec(namespace, 3).step(|| "copy a descriptor"),
        (None, None) => Err(Error::new("the container has no user namespace whose ids the mount could take")),
    }
}

/// The parent's side of a launch, until the program is executed.
struct Conversation<'l> {
    plan: &'l Plan,
    options: &'l Options<'l>,
    /// The caller's blocked signals.
    mask: SignalSet,
    /// The newest child: the container's process, or the one before it.
    process: Pid,
    /// The container's process has still to be born, and its pid will be here.
    register: Option<Register>,
    terminal: Option<OwnedFd>,
    /// It has still to be given its network namespace; this one is our own.
    aside: Option<OwnedFd>,
}

impl Conversation<'_> {
    /// Answers until the other side is gone, which at the exec means success.
    fn hold(&mut self, outside: &Channel, watch: &mut dyn Watch) -> Result<()> {
        let go = || {
            let said = outside.send(&Message::Go).step(|| "answer the container's process");
            said.map_err(|error| error.hint("it was killed"))
        };
        if let Some(own) = self.aside.take() {
            self.make_network(&own, outside)?;
        }
        if self.register.is_none() {
            watch.born(self.process)?;
        }
        if self.options.set_up.is_some() {
            // In advance, so that nobody has to wait for an answer. A process that has failed says why.
            let _ = go();
        }
        while let Some(message) = outside.receive().step(|| "hear from the container's process")? {
            match message {
                Message::Trace(micros, step) => self.trace(micros, &step),
                Message::Warning(text) => self.options.warn.iter().for_each(|warn| warn(&text)),
                Message::Failed(error) => return Err(error),
                Message::NeedsMaps => {
                    self.write_maps()?;
                    go()?;
                }
                Message::Born => {
                    self.change_process()?;
                    watch.born(self.process)?;
                }
                Message::Place => {
                    watch.place(self.process)?;
                    go()?;
                }
                Message::Hooks => {
                    self.run_hooks()?;
                    go()?;
                }
                Message::Notify(listener) => self.hand_listener_over(&listener)?,
                Message::Ready => {
                    watch.ready(self.process, self.terminal.as_ref())?;
                    go()?;
                }
                Message::Terminal(master) => self.terminal = Some(master),
                Message::Go | Message::Network(_) => {
                    return Err(Error::new("the container's process said something unexpected"));
                }
            }
        }
        match self.register {
            Some(_) => Err(Error::new("the process that joins the namespaces was killed")),
            None => Ok(()),
        }
    }

    fn trace(&self, micros: u32, step: &str) {
        if let Some(trace) = self.options.trace {
            trace(micros, step);
        }
    }

    /// Makes a new network namespace and hands it over; we are back in our own afterwards.
    fn make_network(&self, own: &OwnedFd, outside: &Channel) -> Result<()> {
        let clock = Clock::start(self.options.trace.is_some());
        unshare(CloneFlags::NEWNET).map_err(|errno| clone_error(self.plan, errno))?;
        // If nobody is there to take it, why that is will be heard.
        let made = network_namespace().map(|made| outside.send(&Message::Network(made)));
        // Before its program is executed: that waits for our answer.
        let up = network::loopback::bring_up();
        setns(own, CloneFlags::NEWNET).step(|| "go back to our network namespace")?;
        clock.micros().iter().for_each(|micros| self.trace(*micros, "make the network namespace meanwhile"));
        made.step(|| "open the network namespace").and(up)
    }

    fn run_hooks(&self) -> Result<()> {
        let mut state = self.options.state.clone();
        state.pid = Some(self.process.as_raw_nonzero().get());
        let Hooks { prestart, create_runtime, .. } = &self.plan.hooks;
        hooks::run("prestart", prestart, &state, self.mask)?;
        hooks::run("createRuntime", create_runtime, &state, self.mask)
    }

    /// Who answers the filtered calls learns which container they are of (config-linux.md, "The Container Process
    /// State").
    fn hand_listener_over(&self, descriptor: &OwnedFd) -> Result<()> {
        let listener = self.plan.seccomp.as_ref().and_then(|filter| filter.listener.as_ref());
        let Some(Listening { path, metadata }) = listener else {
            return Err(Error::new("there is nobody to answer system calls"));
        };
        let pid = self.process.as_raw_nonzero().get();
        let text = spec::to_json(&ContainerProcessState {
            oci_version: spec::VERSION.into(),
            fds: ["seccompFd".into()].into(),
            pid,
            metadata: metadata.clone(),
            state: State { pid: Some(pid), ..self.options.state.clone() },
        });
        channel::hand_over(path, &text, descriptor.as_fd())
            .step(|| format!("hand the listener to {path} (linux.seccomp.listenerPath)"))
    }

    fn write_maps(&self) -> Result<()> {
        let Some(maps) = &self.plan.namespaces.maps else {
            return Err(Error::new("there are no maps to write"));
        };
        user_namespace::write_maps(self.process, maps)?;
        // Lowering the score takes privileges outside the new user namespace.
        match self.plan.process.oom_score_adj {
            Some(score) => identity::set_oom_score(self.process.as_raw_nonzero(), score),
            None => Ok(()),
        }
    }

    /// The intermediate process has done its part, and its sister is the container's process.
    fn change_process(&mut self) -> Result<()> {
        let Some(register) = self.register.take() else { return Ok(()) };
        let born =
            register.pid().ok_or_else(|| Error::new("the process that joins the namespaces was killed"))?;
        end(self.process);
        self.process = born;
        Ok(())
    }
}
