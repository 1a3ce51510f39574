//! `start`: the process that `create` has prepared executes its program.

use super::directory::Directory;
use super::record::{self, Container, START};
use crate::error::{Error, Result, Step};
use crate::launch::channel::{Channel, Message};
use crate::launch::hooks;
use crate::spec::{Hook, State, Status};
use crate::sys::signal::SignalSet;

/// Starts a created container; `warn` hears of `poststart` hooks that fail.
pub fn start(directory: Directory, warn: fn(&str), mask: SignalSet) -> Result<()> {
    let _lock = directory.lock()?;
    let container = Container::look(directory)?;
    let id = container.directory.id();
    if container.status != Status::Created {
        let status = container.status.as_str();
        return Err(Error::new(format_args!(
            "cannot start a container that has {}",
            match status {
                "stopped" => "stopped",
                _ => "been started already",
            }
        )));
    }
    let directory = &container.directory;
    let process = Channel::connect(&directory.socket(START)).step(|| "reach the container's process")?;
    // From here on the container counts as started. If we are killed, its process sees the end of the channel.
    directory.remove_file(START)?;
    process.send(&Message::Go).step(|| "tell the container's process to start")?;
    match process.receive().step(|| "hear from the container's process")? {
        None => {}
        Some(Message::Failed(error)) => return Err(error),
        Some(_) => return Err(Error::new("the container's process said something unexpected")),
    }
    let config = record::load_config(directory)?;
    let poststart = config.hooks.map(|hooks| hooks.poststart).unwrap_or_default();
    run_hooks(&poststart, container.record.state(id, config.annotations), container.record.pid, warn, mask);
    Ok(())
}

/// Runs the hooks `poststart`. A failure is only a warning, and the life goes on (runtime.md, "Lifecycle", step 9).
pub fn run_hooks(hooks: &[Hook], state: State, pid: Option<i32>, warn: fn(&str), mask: SignalSet) {
    let state = State { status: Status::Running, pid, ..state };
    hooks::run("poststart", hooks, &state, mask).unwrap_or_else(|error| warn(&alloc::format!("{error}")));
}
