//! The controlling terminal, which the program's process group holds in the foreground so that Ctrl-C and Ctrl-Z
//! go there and it may read (credentials(7), tcsetpgrp(3)).
//!
//! Servin-init stays in the session's other group, as a shell would: so the program's group is not an orphaned
//! one, which could not be stopped. All calls come with SIGTTOU blocked, and so work from the background too.

use crate::sys::descriptor::{INPUT, standard};
use crate::sys::process::group_of;
use crate::sys::terminal::{acquire, foreground, set_foreground};
use rustix::fd::BorrowedFd;
use rustix::process::{Pid, setsid};
use rustix::termios::isatty;

/// The terminal of this session, if it has one and we know where: else this is no terminal, or not ours, and says so
/// whenever it is asked.
pub struct Terminal {
    device: BorrowedFd<'static>,
    /// Servin-init's own group. None is one outside the PID namespace, which can be recognised but not be put
    /// into the foreground.
    home: Option<Pid>,
}

impl Terminal {
    /// Looks for the controlling terminal. Standard input becomes that, if it is a terminal and nobody's: /init of
    /// an initramfs gets the console as a mere descriptor, and a container may get its terminal so. (A process that
    /// leads a session, or a group, cannot begin another, which is no harm.)
    pub fn find() -> Terminal {
        let known = (0..3).map(standard).find(|stream| foreground(*stream).is_some());
        if known.is_none() && isatty(INPUT) {
            let _ = setsid();
            acquire(INPUT);
        }
        Terminal { device: known.unwrap_or(INPUT), home: group_of(None) }
    }

    /// Puts `group` into the foreground, if this is where servin-init is: one that was started in the
    /// background must not take the terminal from whoever has it.
    pub fn lend(&self, group: Pid) {
        self.hand_over(self.home, Some(group));
    }

    /// Puts servin-init's own group into the foreground again, if `group` still is.
    pub fn take_back(&self, group: Pid) {
        self.hand_over(Some(group), self.home);
    }

    fn hand_over(&self, from: Option<Pid>, to: Option<Pid>) {
        if let Some(to) = to
            && foreground(self.device) == Some(from)
        {
            set_foreground(self.device, to);
        }
    }
}
