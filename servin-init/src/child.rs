//! The one program that servin-init runs: started, signalled, and reaped together with the orphans.

use crate::errors::report;
use crate::execute::execute;
use crate::message::note;
use crate::options::{OWN_FAILURE, Options};
use crate::signals::{CONT, Signal};
use crate::sys::signal::{Held, Target, send, stop_self};
use crate::sys::{process, start::Arguments};
use crate::terminal::Terminal;
use linux_raw_sys::general::{SIGTSTP, SIGTTIN, SIGTTOU};
use rustix::process::{Pid, WaitOptions, getpid, setpgid, wait};

/// The program's process, which leads a group of its own.
pub struct Child {
    pid: Pid,
    terminal: Terminal,
    /// 128+N if signal N ended it, as shells have it; None while it lives.
    exit_code: Option<u8>,
    /// The terminal has stopped it, and it holds the terminal no more.
    stopped: bool,
    /// No child is left, neither it nor an orphan.
    pub none_left: bool,
}

impl Child {
    /// Starts the program: forked rather than vforked, since the copy of a process as small as this costs no more than
    /// what sharing its stack would take in care. Err is the exit code, everything having been said.
    pub fn start(options: &Options, arguments: Arguments, held: &Held) -> Result<Child, i32> {
        let terminal = Terminal::find();
        let forked = process::fork().map_err(|error| report("fork: ", error)).or(Err(OWN_FAILURE))?;
        let Some(pid) = forked else {
            // Its own group, in the foreground, then signals as they were, then the program.
            let _ = setpgid(None, None);
            terminal.lend(getpid());
            held.release();
            let mut program = arguments.iter();
            program.nth(options.program - 1);
            process::exit(execute(&program, &arguments.environment()));
        };
        // The child does this too: whoever comes first, its group is there when the next line runs.
        let _ = setpgid(Some(pid), Some(pid));
        Ok(Child { pid, terminal, exit_code: None, stopped: false, none_left: false })
    }

    /// Its process id while it has one: a number that was reaped may be somebody else's.
    pub fn pid(&self) -> Option<Pid> {
        self.exit_code.is_none().then_some(self.pid)
    }

    /// Gives it `signal`, or its whole group if so asked. One that Ctrl-Z has stopped wakes up, and has the
    /// terminal again.
    pub fn forward(&mut self, signal: Signal, options: &Options) {
        let Some(pid) = self.pid() else {
            return;
        };
        if options.verbosity > 1 {
            note("forwarding signal ", signal.into());
        }
        send(if options.group { Target::Group(pid) } else { Target::Process(pid) }, signal);
        if core::mem::take(&mut self.stopped) {
            self.terminal.lend(pid);
            send(Target::Group(pid), CONT);
        }
    }

    /// Reaps everything that has ended. One SIGCHLD may stand for many.
    pub fn reap(&mut self, options: &Options) {
        while let Some((pid, status)) = self.next_change() {
            let number = pid.as_raw_pid() as u32;
            let killed = status.terminating_signal().map(|signal| 128 + signal);
            let code = killed.or(status.exit_status()).map(|code| code as u8);
            if self.pid() != Some(pid) {
                if options.warn_on_reap && options.verbosity >= 0 && code.is_some() {
                    note("warning: reaped orphan ", number);
                }
                continue;
            }
            self.exit_code = code;
            match (code, status.stopping_signal().map(|signal| signal as u32)) {
                (Some(code), _) if options.verbosity > 0 => note("the program ended with code ", code.into()),
                (None, Some(SIGTSTP | SIGTTIN | SIGTTOU)) => self.stop_too(),
                _ => {}
            }
        }
    }

    fn next_change(&mut self) -> Option<(Pid, rustix::process::WaitStatus)> {
        let changed = wait(WaitOptions::NOHANG | WaitOptions::UNTRACED);
        // The only error is ECHILD.
        self.none_left = changed.is_err();
        changed.ok().flatten()
    }

    /// Ctrl-Z: the shell that started us waits for us, not for the program, so we stop as well. Where there is
    /// no such shell we go on, and hold the terminal: its next Ctrl-C or Ctrl-Z comes here and wakes the program,
    /// which would otherwise be beyond reach of the keyboard.
    fn stop_too(&mut self) {
        self.stopped = true;
        self.terminal.take_back(self.pid);
        stop_self();
    }

    /// Gives the terminal back to the group that servin-init was started in. The code to exit with, that of KILL
    /// for a program that could not be waited for.
    pub fn leave(&self, options: &Options) -> i32 {
        self.terminal.take_back(self.pid);
        options.remap(self.exit_code.unwrap_or(128 + 9)).into()
    }
}
