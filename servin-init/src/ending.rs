//! `--grace`: how everything ends. TERM to all that remain, a while to comply, then KILL.

use crate::child::Child;
use crate::options::Options;
use crate::orphans::signal_all;
use crate::signals::{CONT, KILL, Signal, TERM};
use crate::sys::clock::{Nanoseconds, SECOND, now};

/// How far the end has come, and how long this stage may last.
#[derive(Default)]
pub struct Ending {
    stage: Stage,
    deadline: Nanoseconds,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Stage {
    #[default]
    NotBegun,
    Asked,
    Killed,
    /// Some cannot be killed: stuck in the kernel, or not a subreaper's to signal.
    GivenUp,
}

impl Ending {
    /// How long to wait for the next signal: for ever, until the end has begun.
    pub fn time_left(&self) -> Option<Nanoseconds> {
        (self.stage != Stage::NotBegun).then(|| self.deadline.saturating_sub(now()))
    }

    /// Goes one stage further: for TERM, to be sent as `signal`, or because the time is up.
    pub fn advance(&mut self, signal: Signal, options: &Options, child: &Child) {
        self.stage = match self.stage {
            Stage::NotBegun => {
                signal_all(signal, child);
                // What is stopped could not comply.
                signal_all(CONT, child);
                self.deadline = now() + options.grace.unwrap_or(0);
                Stage::Asked
            }
            Stage::Asked => {
                signal_all(KILL, child);
                self.deadline = now() + SECOND;
                Stage::Killed
            }
            Stage::Killed | Stage::GivenUp => Stage::GivenUp,
        }
    }

    /// After reaping: the program's end begins the end of all, and whoever was orphaned by a kill is killed too.
    pub fn follow(&mut self, options: &Options, child: &Child) {
        if self.stage == Stage::Killed {
            signal_all(KILL, child);
        } else if self.stage == Stage::NotBegun && child.pid.is_none() && options.grace.is_some() {
            self.advance(TERM, options, child);
        }
    }

    /// Whether servin-init may end. Processes that were put into the namespace from outside are not its children; the
    /// kernel kills them with it (pid_namespaces(7)).
    pub fn is_over(&self, options: &Options, child: &Child) -> bool {
        let waited = options.grace.is_none() || child.none_left;
        child.pid.is_none() && waited || self.stage == Stage::GivenUp
    }
}
