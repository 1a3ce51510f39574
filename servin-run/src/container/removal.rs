//! `delete`: the end of a container's process, and then of all that is left of it.

use linux_raw_sys::general::SIGKILL;

use super::directory::{Directory, Root};
use super::record::{self, Container};
use crate::error::{Error, Result};
use crate::launch::hooks;
use crate::spec::{Hook, State, Status};
use crate::sys::signal::SignalSet;

/// How long the kernel may take to end a killed process: it can be deep in a file system.
const PATIENCE_MS: u32 = 10_000;

/// Removes a container. One that runs is ended first with `force`, and otherwise an error.
pub fn delete(root: Option<&Root>, id: &str, force: bool, warn: fn(&str)) -> Result<()> {
    let find = || root.map_or(Ok(None), |root| root.find(id));
    if force && let Some(directory) = find()? {
        // Before the lock: whoever holds it may be waiting for this very process.
        end(&Container::look(directory)?)?;
    }
    let directory = match find()? {
        Some(directory) => directory,
        None if force => return Ok(()),
        None => return Err(super::does_not_exist(id)),
    };
    let lock = match directory.lock() {
        // Another command was faster.
        Err(_) if force && find()?.is_none() => return Ok(()),
        lock => lock?,
    };
    let container = Container::look(directory)?;
    if !force && !matches!(container.status, Status::Stopped | Status::Created | Status::Creating) {
        let status = container.status.as_str();
        return Err(Error::new(format_args!("cannot delete container {id} that is not stopped: {status}")));
    }
    end(&container)?;
    let config = record::load_config(&container.directory).unwrap_or_default();
    let poststop = config.hooks.map(|hooks| hooks.poststop).unwrap_or_default();
    let state = State { status: Status::Stopped, ..container.record.state(id, config.annotations) };
    clean_up(&container.directory, &poststop, state, Some(warn));
    drop(lock);
    Ok(())
}

/// Kills the process, where there is one, and waits for its end.
fn end(container: &Container) -> Result<()> {
    let Some(process) = &container.process else { return Ok(()) };
    if process.signal(SIGKILL)?.is_some() && !process.ends_within(PATIENCE_MS) {
        return Err(Error::new(format_args!(
            "the process {} does not end, though it was killed",
            process.pid
        )));
    }
    Ok(())
}

/// Removes what a container has left when its process has ended, and then runs its `poststop` hooks, whose
/// failures are only warnings (runtime.md, "Lifecycle", step 13).
pub fn clean_up(directory: &Directory, poststop: &[Hook], state: State, warn: Option<fn(&str)>) {
    let warn = |error: Error| warn.iter().for_each(|warn| warn(&alloc::format!("{error}")));
    directory.remove().unwrap_or_else(warn);
    let state = State { status: Status::Stopped, pid: Some(0), ..state };
    hooks::run("poststop", poststop, &state, SignalSet::EMPTY).unwrap_or_else(warn);
}
