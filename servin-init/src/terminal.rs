//! The controlling terminal, which the program's process group holds in the foreground so that Ctrl-C and Ctrl-Z
//! go there and it may read (credentials(7), tcsetpgrp(3)).
//!
//! Servin-init stays in the session's other group, as a shell would: so the program's group is not an orphaned
//! one, which could not be stopped. All calls come with SIGTTOU blocked, and so work from the background too.

use crate::sys::descriptor::{ERROR, INPUT, OUTPUT};
use crate::sys::process::group_of;
use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use rustix::process::{Pid, ioctl_tiocsctty, setsid};
use rustix::termios::{isatty, tcgetpgrp, tcsetpgrp};

/// The terminal of this session, if it has one and we know where.
pub struct Terminal {
    device: Option<BorrowedFd<'static>>,
    /// Servin-init's own group. None is one outside the PID namespace, which can be recognised but not be put
    /// into the foreground.
    home: Option<Pid>,
}

impl Terminal {
    /// Looks for the controlling terminal. Standard input becomes that, if it is a terminal and nobody's: /init of
    /// an initramfs gets the console as a mere descriptor, and a container may get its terminal so. (A process that
    /// leads a session, or a group, cannot begin another, which is no harm.)
    pub fn find() -> Terminal {
        let known = [INPUT, OUTPUT, ERROR].into_iter().find(|stream| foreground(*stream).is_ok());
        let acquire = || {
            let _ = setsid();
            ioctl_tiocsctty(INPUT).is_ok()
        };
        let device = known.or_else(|| (isatty(INPUT) && acquire()).then_some(INPUT));
        Terminal { device, home: group_of(None) }
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
        if let (Some(terminal), Some(to)) = (self.device, to)
            && foreground(terminal) == Ok(from)
        {
            let _ = tcsetpgrp(terminal, to);
        }
    }
}

/// The foreground group, None for one outside the PID namespace (which rustix reports as an error). Only the controlling
/// terminal tells it (ioctl_tty(2), TIOCGPGRP).
fn foreground(terminal: BorrowedFd<'_>) -> Result<Option<Pid>, Errno> {
    match tcgetpgrp(terminal) {
        Err(Errno::OPNOTSUPP) => Ok(None),
        group => group.map(Some),
    }
}
