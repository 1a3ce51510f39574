//! A terminal as a person has it: a pty whose other end the test holds.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::{Finished, run, sys};

/// The person's side of a terminal, and what runs in it.
pub struct Terminal {
    master: File,
    slave: File,
    child: Option<Child>,
    seen: String,
}

impl Terminal {
    /// A terminal of this size.
    pub fn new(rows: u16, columns: u16) -> Self {
        let (master, slave) = sys::open_terminal().expect("open a pty");
        sys::set_window_size(&master, rows, columns).expect("set the terminal's size");
        Terminal { master, slave, child: None, seen: String::new() }
    }

    /// The terminal whose master side somebody has handed over.
    pub fn of(master: File) -> Self {
        let slave = master.try_clone().expect("copy a descriptor");
        Terminal { master, slave, child: None, seen: String::new() }
    }

    /// Starts a program in it, as the leader of a session whose terminal this is.
    pub fn start(mut self, mut command: Command) -> Self {
        let copy = || self.slave.try_clone().expect("copy a descriptor");
        command.stdin(copy()).stdout(copy()).stderr(copy());
        sys::give_terminal(&mut command);
        self.child = Some(command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}")));
        self
    }

    /// The process id of what was started.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().map_or(0, |child| child.id() as i32)
    }

    /// Reads until this text was seen.
    #[track_caller]
    pub fn expect(&mut self, text: &str) -> &mut Self {
        let end = Instant::now() + run::within(Duration::from_secs(30));
        while !self.seen.contains(text) {
            assert!(Instant::now() < end, "no {text:?} on the terminal: {:?}", self.seen);
            self.read();
        }
        // What comes later must be new.
        let after = self.seen.find(text).map_or(0, |at| at + text.len());
        self.seen.drain(..after);
        self
    }

    /// Whether there was something to read.
    fn read(&mut self) -> bool {
        let mut bytes = [0; 4096];
        if sys::readable(&self.master, Duration::from_millis(20))
            && let Ok(count) = self.master.read(&mut bytes)
        {
            self.seen.push_str(&String::from_utf8_lossy(&bytes[..count]));
            return count > 0;
        }
        false
    }

    /// Types.
    pub fn type_in(&mut self, text: &str) -> &mut Self {
        self.master.write_all(text.as_bytes()).expect("type");
        self
    }

    /// Changes the size, which sends SIGWINCH to the foreground.
    pub fn resize(&mut self, rows: u16, columns: u16) -> &mut Self {
        sys::set_window_size(&self.master, rows, columns).expect("set the terminal's size");
        self
    }

    /// The terminal's size now.
    pub fn size(&self) -> (u16, u16) {
        sys::window_size(&self.slave).expect("ask for the terminal's size")
    }

    /// The terminal's settings, all of them, to compare.
    pub fn settings(&self) -> String {
        sys::terminal_settings(&self.slave).expect("ask for the terminal's settings")
    }

    /// Whether keys go through unchanged: neither echoed nor gathered into lines nor turned into signals.
    pub fn is_raw(&self) -> bool {
        sys::is_raw(&self.slave).expect("ask for the terminal's settings")
    }

    /// The first child of what was started: the container's PID 1.
    #[track_caller]
    pub fn container(&self) -> i32 {
        run::first_child(self.pid()).expect("a container runs")
    }

    /// The person closes the window; what was started must end by itself.
    pub fn hang_up(self) {
        let Terminal { master, slave, child, .. } = self;
        drop((master, slave));
        let mut child = child.expect("something was started");
        let end = Instant::now() + run::within(Duration::from_secs(30));
        while child.try_wait().expect("wait for a child").is_none() {
            assert!(Instant::now() < end, "still there after its terminal has gone");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(&mut self) -> Finished {
        let mut child = self.child.take().expect("something was started");
        let end = Instant::now() + run::within(Duration::from_secs(30));
        loop {
            self.read();
            if let Some(status) = child.try_wait().expect("wait for a child") {
                // One read takes no more than the terminal's buffer holds; more can be on its way.
                while self.read() {}
                let code = status.code().unwrap_or(-1);
                return Finished { code, out: std::mem::take(&mut self.seen), err: String::new() };
            }
            if Instant::now() > end {
                let _ = child.kill();
                panic!("did not end in time: {:?}", self.seen);
            }
        }
    }
}
