//! Orphans: processes whose parent has ended, and which the kernel gives to PID 1 or to the nearest subreaper.

use crate::child::Child;
use crate::errors::report;
use crate::message;
use crate::options::{OWN_FAILURE, Options};
use crate::signals::Signal;
use crate::sys::descriptor::File;
use crate::sys::process;
use crate::sys::signal::{Target, send};
use rustix::process::{Pid, getpid};

/// Sees to it that orphans come here, as far as the options ask for it. Err is the exit code, everything having been said.
pub fn adopt(options: &Options) -> Result<(), i32> {
    let asked = if options.subreaper { process::become_subreaper() } else { Ok(()) };
    let asked = asked.and_then(|()| options.parent_death.map_or(Ok(()), process::signal_on_parent_death));
    asked.map_err(|error| report("prctl: ", error)).or(Err(OWN_FAILURE))?;
    if options.verbosity >= 0 && !getpid().is_init() && !process::is_subreaper() {
        message::begin("warning: neither PID 1 nor a subreaper (-s): orphans will not be reaped here\n");
    }
    Ok(())
}

/// Signals all that descend from here. PID 1 reaches everybody in its namespace. A subreaper must leave others alone:
/// it reaches its children, the adopted ones too, with their process groups; what those leave behind
/// when they end comes here in turn.
pub fn signal_all(signal: Signal, program: &Child) {
    if getpid().is_init() {
        return send(Target::Everyone, signal);
    }
    let own_group = process::group_of(None);
    let mut last_group = own_group;
    let listed = for_each_child(|child| {
        let group = process::group_of(Some(child)).filter(|group| Some(*group) != own_group);
        // Neighbours in the list are often of one group, which gets the signal once.
        if group.is_none() || group != last_group {
            send(group.map_or(Target::Process(child), Target::Group), signal);
        }
        last_group = group;
    });
    // Without /proc there is still the program.
    if let (None, Some(program)) = (listed, program.pid) {
        send(Target::Group(program), signal);
    }
}

/// Reads the children's numbers (proc_tid_children(5)); None where there is no such file.
fn for_each_child(mut visit: impl FnMut(Pid)) -> Option<()> {
    let list = File::open(c"/proc/thread-self/children")?;
    let mut number = 0;
    let mut byte = [b' '];
    while list.read(&mut byte) == 1 {
        match byte[0].wrapping_sub(b'0') {
            digit @ 0..=9 => number = number * 10 + i32::from(digit),
            _ => Pid::from_raw(core::mem::take(&mut number)).into_iter().for_each(&mut visit),
        }
    }
    Some(())
}
