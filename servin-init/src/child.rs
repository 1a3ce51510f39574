//! The one program that servin-init runs: started, signalled, and reaped together with the orphans.

use crate::errors::report;
use crate::execute::execute;
use crate::message::note;
use crate::options::{OWN_FAILURE, Options};
use crate::signals::{CONT, KILL, Signal, TSTP, TTIN, TTOU};
use crate::sys::signal::{Held, Target, send, stop_self};
use crate::sys::{process, start::Arguments};
use crate::terminal::Terminal;
use rustix::process::{Pid, getpid, setpgid};

/// The program's process, which leads a group of its own.
pub struct Child {
    group: Pid,
    /// Its process id while it has one: a number that was reaped may be somebody else's.
    pub pid: Option<Pid>,
    terminal: Terminal,
    /// 128+N if signal N ended it, as shells have it; until it is known, that of KILL.
    exit_code: u8,
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
        let forked = match process::fork() {
            Ok(forked) => forked,
            Err(error) => {
                report("fork: ", error);
                return Err(OWN_FAILURE);
            }
        };
        let Some(pid) = forked else {
            // Its own group, in the foreground, then signals as they were, then the program.
            let _ = setpgid(None, None);
            terminal.lend(getpid());
            held.release();
            process::exit(execute(
                &arguments.from(options.program),
                &arguments.environment(),
                options.search,
            ));
        };
        // The child does this too: whoever comes first, its group is there when the next line runs.
        let _ = setpgid(Some(pid), Some(pid));
        Ok(Child {
            group: pid,
            pid: forked,
            terminal,
            exit_code: 128 + KILL,
            stopped: false,
            none_left: false,
        })
    }

    /// Gives it `signal`, or its whole group if so asked. One that Ctrl-Z has stopped wakes up, and has the
    /// terminal again.
    #[inline(never)]
    pub fn forward(&mut self, signal: Signal, options: &Options) {
        let Some(pid) = self.pid else {
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
    #[inline(never)]
    pub fn reap(&mut self, options: &Options) {
        while let Some((pid, status)) = self.next_change() {
            let number = pid.as_raw_pid() as u32;
            let code = status.code();
            if self.pid != Some(pid) {
                if options.warn_on_reap && options.verbosity >= 0 && code.is_some() {
                    note("warning: reaped orphan ", number);
                }
                continue;
            }
            if let Some(code) = code {
                self.exit_code = code;
                self.pid = None;
                if options.verbosity > 0 {
                    note("the program ended with code ", code.into());
                }
            } else if let TSTP | TTIN | TTOU = status.of_stop() {
                self.stop_too();
            }
        }
    }

    fn next_change(&mut self) -> Option<(Pid, process::Status)> {
        let changed = process::next_change();
        // The only error is ECHILD.
        self.none_left = changed.is_err();
        changed.ok()?
    }

    /// Ctrl-Z: the shell that started us waits for us, not for the program, so we stop as well. Where there is
    /// no such shell we go on, and hold the terminal: its next Ctrl-C or Ctrl-Z comes here and wakes the program,
    /// which would otherwise be beyond reach of the keyboard.
    #[inline(never)]
    fn stop_too(&mut self) {
        self.stopped = true;
        self.terminal.take_back(self.group);
        stop_self();
    }

    /// Gives the terminal back to the group that servin-init was started in. The code to exit with.
    pub fn leave(&self, options: &Options) -> i32 {
        self.terminal.take_back(self.group);
        options.remap(self.exit_code).into()
    }
}
