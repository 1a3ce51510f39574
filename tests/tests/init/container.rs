//! A running servin-init, watched from outside.

use super::{programs, sys};
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use std::{env, process, thread};

/// How long anything may take on a busy machine, emulated ones too.
const PATIENCE: Duration = Duration::from_secs(60);

/// What to start, and how.
pub struct Container {
    start: sys::Start,
    terminal: bool,
}

/// The program under test: the one that SERVIN_INIT names, or that `cargo xtask build` has made, or a fresh one.
pub fn servin_init() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    PATH.get_or_init(|| {
        if let Some(path) = env::var_os("SERVIN_INIT") {
            return path.into();
        }
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let built = root.join("target/dist/servin-init");
        if built.exists() {
            return built;
        }
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = root.join("target");
        let done = process::Command::new(cargo)
            .args(["build", "--quiet", "--release", "--package", "servin-init", "--target-dir"])
            .arg(&target)
            .current_dir(&root)
            .status();
        assert!(done.expect("run cargo").success(), "build servin-init, or name one in SERVIN_INIT");
        target.join("release/servin-init")
    })
    .clone()
}

fn c_string(text: &str) -> CString {
    CString::new(text).expect("no NUL")
}

impl Container {
    /// As PID 1 with these arguments.
    pub fn new(arguments: &[&str]) -> Container {
        let program = servin_init();
        let path = program.to_str().expect("a path in UTF-8");
        let mut all = vec![c_string("servin-init")];
        all.extend(arguments.iter().map(|argument| c_string(argument)));
        let start = sys::Start {
            program: c_string(path),
            arguments: all,
            environment: vec![c_string("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")],
            as_pid_1: true,
            blocked: 0,
            ignored: Vec::new(),
            input: -1,
            output: -1,
            controlling: false,
        };
        Container { start, terminal: false }
    }

    /// As PID 1 with these options, running one of the test's own programs.
    pub fn running(program: &str, options: &[&str]) -> Container {
        let own = env::current_exe().expect("the test binary");
        let mut arguments = options.to_vec();
        arguments.extend(["--", own.to_str().expect("a path in UTF-8")]);
        Container::new(&arguments).env(programs::VARIABLE, program)
    }

    /// Runs another program in its place, by its own name: busybox goes by that.
    pub fn started_by(mut self, program: &str) -> Container {
        self.start.program = c_string(program);
        self.start.arguments[0] = c_string(program);
        self
    }

    pub fn env(mut self, name: &str, value: &str) -> Container {
        self.start.environment.push(c_string(&format!("{name}={value}")));
        self
    }

    pub fn without_environment(mut self) -> Container {
        self.start.environment.clear();
        self
    }

    pub fn not_as_pid_1(mut self) -> Container {
        self.start.as_pid_1 = false;
        self
    }

    pub fn with_signals(mut self, blocked: u64, ignored: &[i32]) -> Container {
        self.start.blocked = blocked;
        self.start.ignored = ignored.to_vec();
        self
    }

    /// On a terminal, which is the controlling one or merely standard input and output.
    pub fn on_terminal(mut self, controlling: bool) -> Container {
        self.start.controlling = controlling;
        self.terminal = true;
        self
    }

    pub fn start(mut self) -> Running {
        let nothing = File::open("/dev/null").expect("open /dev/null");
        let (near, far) = if self.terminal { sys::terminal() } else { sys::pipe() };
        self.start.output = far;
        self.start.input = if self.terminal { far } else { std::os::fd::AsRawFd::as_raw_fd(&nothing) };
        let pid = sys::start(&self.start);
        sys::close(far);
        let near = sys::own(near);
        let output = Arc::new(Mutex::new(String::new()));
        let (mut reader, sink) = (near.try_clone().expect("duplicate a descriptor"), output.clone());
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(length @ 1..) = reader.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..length]).into_owned();
                sink.lock().expect("no panic there").push_str(&text);
            }
        });
        Running { pid, terminal: near, output, ended: None }
    }

    /// Starts it and waits for its end: exit code and output.
    pub fn finish(self) -> (i32, String) {
        let mut running = self.start();
        let code = running.code();
        (code, running.output())
    }
}

/// A started one, killed when the test is over.
pub struct Running {
    pub pid: i32,
    terminal: File,
    output: Arc<Mutex<String>>,
    ended: Option<i32>,
}

impl Running {
    /// All that was printed so far.
    pub fn output(&self) -> String {
        self.output.lock().expect("no panic there").clone()
    }

    /// Waits until `text` was printed.
    pub fn expect(&self, text: &str) -> &Running {
        self.eventually(text, || self.output().contains(text));
        self
    }

    /// Waits until something holds.
    pub fn eventually(&self, what: &str, holds: impl Fn() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "never {what:?}; output:\n{}", self.output());
            thread::sleep(Duration::from_millis(2));
        }
    }

    pub fn signal(&self, signal: i32) {
        sys::send(self.pid, signal);
    }

    /// Presses keys on the terminal.
    pub fn press(&self, keys: &[u8]) {
        (&self.terminal).write_all(keys).expect("press a key");
    }

    /// Waits for its end: the exit code, or minus the signal.
    pub fn code(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = sys::try_wait(self.pid) {
                break status;
            }
            assert!(Instant::now() < deadline, "does not end; output:\n{}", self.output());
            thread::sleep(Duration::from_millis(2));
        };
        self.ended = Some(status);
        thread::sleep(Duration::from_millis(20));
        if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { -libc::WTERMSIG(status) }
    }

    /// A field of its /proc/PID/status.
    pub fn status(&self, field: &str) -> String {
        status_field(&self.proc("status"), field)
    }

    pub fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid)).expect("read from /proc")
    }

    /// Its children, in our numbers.
    pub fn children(&self) -> Vec<i32> {
        children(self.pid)
    }

    /// Its children, theirs, and so on.
    pub fn descendants(&self) -> Vec<i32> {
        let mut all = self.children();
        let mut next = 0;
        while let Some(process) = all.get(next) {
            all.extend(children(*process));
            next += 1;
        }
        all
    }

    /// Waits until its only child is in this state: R, S, T …
    pub fn expect_child_state(&self, state: char) {
        self.eventually(&format!("in state {state}"), || {
            let stat =
                self.children().first().and_then(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
            stat.is_some_and(|stat| {
                stat.rsplit(')').next().is_some_and(|rest| rest.starts_with(&format!(" {state}")))
            })
        });
    }
}

fn children(process: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).unwrap_or_default();
    list.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
}

/// A field of a text like /proc/PID/status.
pub fn status_field(text: &str, field: &str) -> String {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {field} in:\n{text}")).trim().to_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.descendants().into_iter().for_each(sys::end);
            sys::end(self.pid);
            sys::wait_for(self.pid);
        }
    }
}
