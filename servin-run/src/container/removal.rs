//! `delete`: the end of a container's process, and then of all that is left of it.

use linux_raw_sys::general::SIGKILL;

use super::directory::{Directory, Root};
use super::record::{self, Container, Record};
use super::{placement, resctrl};
use crate::cgroup;
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
    let mut config = record::load_config(&container.directory).unwrap_or_default();
    let poststop = config.hooks.as_ref().map_or(&[][..], |hooks| &hooks.poststop);
    let mut state = container.record.state(id, core::mem::take(&mut config.annotations));
    state.status = Status::Stopped;
    let removed = clean_up(&container.directory, &container.record, poststop, state, Some(warn));
    drop(lock);
    removed
}

/// Ends and removes a container whose start has failed, and adds to the error what of it cannot be removed.
pub fn after_failure(
    error: Error,
    container: &Container,
    poststop: &[Hook],
    state: State,
    warn: fn(&str),
) -> Error {
    let (directory, record) = (&container.directory, &container.record);
    let removed = end(container).and_then(|()| clean_up(directory, record, poststop, state, Some(warn)));
    and_then(error, removed)
}

/// An error, and what came of the removal that it made necessary.
pub fn and_then(error: Error, removed: Result<()>) -> Error {
    match removed {
        Ok(()) => error,
        Err(left) => Error::new(format_args!("{error}; and then: {left}")).exit_code(error.code()),
    }
}

/// Kills the processes, where there are any, and waits for the end of the first.
pub fn end(container: &Container) -> Result<()> {
    if let Some(cgroup) = &container.cgroup {
        cgroup.kill()?;
    }
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
/// failures are only warnings (runtime.md, "Lifecycle", step 13). When something cannot be removed, its record stays,
/// so that `delete` can try again.
pub fn clean_up(
    directory: &Directory,
    record: &Record,
    poststop: &[Hook],
    state: State,
    warn: Option<fn(&str)>,
) -> Result<()> {
    // Mostly nothing is in it any more, and nobody has to be killed.
    let simple = record.cgroup.as_deref().filter(|_| record.cgroup_made && record.scope.is_none());
    let own = match simple.is_some_and(cgroup::remove_if_empty) {
        true => None,
        false => record.cgroup()?,
    };
    if let Some(cgroup) = &own {
        cgroup.kill()?;
    }
    let stopped = placement::stop(record);
    match (own, &record.cgroup) {
        (Some(cgroup), _) => cgroup.remove()?,
        // systemd removes what it has made; if it cannot be asked, that is told with what stays behind.
        (None, Some(_)) if record.scope.is_some() => stopped?,
        // It may be one that another container has, and is then not removed by this.
        (None, Some(path)) => {
            cgroup::remove_if_empty(path);
        }
        (None, None) => {}
    }
    resctrl::remove(&record.resctrl);
    record::remove(directory)?;
    let state = State { status: Status::Stopped, pid: Some(0), ..state };
    hooks::run("poststop", poststop, &state, SignalSet::EMPTY).unwrap_or_else(|error| {
        if let Some(warn) = warn {
            warn(&alloc::format!("{error}"));
        }
    });
    Ok(())
}
