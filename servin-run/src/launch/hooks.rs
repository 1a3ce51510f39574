//! Hooks: programs of somebody else's that run at points of a container's life and read its state on their
//! standard input ([config.md, POSIX-platform
//! Hooks](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#posix-platform-hooks)).

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{SeekFrom, seek};
use rustix::io::{self, Errno};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, pidfd_open, waitpid};
use rustix::stdio::dup2_stdin;
use rustix::thread::nanosleep;

use super::channel::{Channel, Message};
use super::sealed;
use crate::error::{Error, Result, Step};
use crate::fs::descriptors::close_on_exec_from;
use crate::gather::Gather as _;
use crate::spec::{self, State};
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::exec::{Vector, execve};
use crate::sys::signal::{self, SignalSet};

/// Runs the hooks of one kind in their order; the first that fails ends it. Errors begin with `hooks.KIND[N]`.
/// The hooks run with `mask` as their blocked signals.
pub fn run(kind: &str, hooks: &[spec::Hook], state: &State, mask: SignalSet) -> Result<()> {
    if hooks.is_empty() {
        return Ok(());
    }
    let state = spec::to_json(state);
    for (index, hook) in hooks.iter().enumerate() {
        run_program(hook, &state, mask)
            .map_err(|error| error.within(format_args!("hooks.{kind}[{index}]: {}", hook.path)))?;
    }
    Ok(())
}

/// Runs one program that finds `state` on its standard input, and waits for its success.
pub fn run_program(hook: &spec::Hook, state: &str, mask: SignalSet) -> Result<()> {
    // A file instead of a pipe: a hook that does not read cannot block or kill us.
    let input = sealed::copy("state", state.as_bytes())?;
    seek(&input, SeekFrom::Start(0)).step(|| "rewind the state")?;
    let (inside, outside) = Channel::pair()?;
    match clone3(CloneFlags::empty(), None).step(|| "create a process")? {
        Cloned::Child { .. } => {
            drop(outside);
            let error = become_hook(hook, &input, mask);
            let _ = inside.send(&Message::Failed(error));
            servin_init::sys::process::exit(1)
        }
        Cloned::Parent(pid) => {
            drop(inside);
            let said = outside.receive();
            let ended = wait(pid, hook.timeout);
            match (said, ended?) {
                (Ok(Some(Message::Failed(error))), _) => Err(error),
                (_, status) => match (status.exit_status(), status.terminating_signal()) {
                    (Some(0), _) => Ok(()),
                    (Some(code), _) => Err(Error::new(format_args!("exit status {code}"))),
                    (_, signal) => Err(Error::new(format_args!("killed by signal {}", signal.unwrap_or(0)))),
                },
            }
        }
    }
}

fn become_hook(hook: &spec::Hook, input: &rustix::fd::OwnedFd, mask: SignalSet) -> Error {
    let strings = |strings: &[String]| -> Vec<CString> {
        strings.iter().filter_map(|string| CString::new(string.as_str()).ok()).gather()
    };
    let mut arguments = strings(&hook.args);
    let path = CString::new(hook.path.as_str()).unwrap_or_default();
    if arguments.is_empty() {
        arguments.push(path.clone());
    }
    let prepare = || {
        dup2_stdin(input).step(|| "give it the state")?;
        close_on_exec_from(3)?;
        signal::reset_dispositions();
        signal::set_mask(mask).step(|| "restore the signal mask")
    };
    match prepare() {
        Ok(_) => Error::os("exec", execve(&path, &Vector::new(arguments), &Vector::new(strings(&hook.env)))),
        Err(error) => error,
    }
}

/// Waits for the process, at most as many seconds as `timeout` says.
fn wait(pid: Pid, timeout: Option<i32>) -> Result<WaitStatus> {
    if let Some(seconds) = timeout
        && !ends_within(pid, seconds)
    {
        let _ = kill_process(pid, Signal::KILL);
        let _ = io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
        return Err(Error::new(format_args!("still running after its timeout of {seconds} s, and killed")));
    }
    let waited = io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
    match waited.step(|| "wait for it")? {
        Some((_, status)) => Ok(status),
        None => Err(Error::os("wait for it", Errno::CHILD)),
    }
}

/// Whether the child ends within as many seconds; it is left to be waited for.
fn ends_within(pid: Pid, seconds: i32) -> bool {
    let limit = Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    if let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) {
        let mut ready = [PollFd::new(&descriptor, PollFlags::IN)];
        return matches!(io::retry_on_intr(|| poll(&mut ready, Some(&limit))), Ok(1..));
    }
    // Before Linux 5.3 there are no such descriptors.
    const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
    for _ in 0..seconds.saturating_mul(100) {
        let ended = rustix::process::waitid(
            rustix::process::WaitId::Pid(pid),
            rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT,
        );
        if !matches!(ended, Ok(None)) {
            return true;
        }
        let _ = nanosleep(&PAUSE);
    }
    false
}
