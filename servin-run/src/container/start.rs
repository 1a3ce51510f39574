//! `start`: the process that `create` has prepared executes its program.

use super::directory::Directory;
use super::record::{self, Container, START};
use super::removal;
use crate::error::{Error, Result, Step};
use crate::launch::channel::{Channel, Message};
use crate::launch::hooks;
use crate::spec::{Hook, State, Status};
use crate::sys::signal::SignalSet;

/// Starts a created container. After a failure of its hooks or of its program nothing of it is left, as the
/// specification has it of hooks (runtime.md, "Lifecycle", steps 7, 9 and 12); `warn` hears of `poststop` hooks that
/// fail then.
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
    let mut config = record::load_config(&container.directory)?;
    let process =
        Channel::connect(&container.directory.socket(START)).step(|| "reach the container's process")?;
    // From here on the container counts as started. If we are killed, its process sees the end of the channel.
    container.directory.remove_file(START)?;
    let state = container.record.state(id, core::mem::take(&mut config.annotations));
    let hooks = config.hooks.take().unwrap_or_default();
    go(&process)
        .and_then(|()| after(&hooks.poststart, &state, container.record.pid, mask))
        .map_err(|error| removal::after_failure(error, &container, &hooks.poststop, state, warn))
}

fn go(process: &Channel) -> Result<()> {
    process.send(&Message::Go).step(|| "tell the container's process to start")?;
    match process.receive().step(|| "hear from the container's process")? {
        None => Ok(()),
        Some(Message::Failed(error)) => Err(error),
        Some(_) => Err(Error::new("the container's process said something unexpected")),
    }
}

/// Runs the hooks `poststart`. When one fails, the container is to be stopped and destroyed (runtime.md, "Lifecycle",
/// step 9).
pub fn after(poststart: &[Hook], state: &State, pid: Option<i32>, mask: SignalSet) -> Result<()> {
    hooks::run("poststart", poststart, &State { status: Status::Running, pid, ..state.clone() }, mask)
}
