//! Starting programs with a time limit, and what they said.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Report, places, sys};

/// How long one program may take before the test fails.
const LIMIT: Duration = Duration::from_secs(60);
/// How long one test may take as a whole.
const TEST_LIMIT: Duration = Duration::from_secs(240);

/// A time limit as long as this machine needs it.
pub fn within(limit: Duration) -> Duration {
    let patience = std::env::var("SERVIN_PATIENCE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    limit * patience
}

/// Whether the processor is emulated, so that times mean nothing.
pub fn is_emulated() -> bool {
    std::env::var("SERVIN_ENVIRONMENT").is_ok_and(|name| name == "qemu")
}

/// Waits until something is so; fails the test if it does not come about.
#[track_caller]
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + within(Duration::from_secs(20));
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ended(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + within(limit);
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(status) = child.try_wait().expect("wait for a child") {
            return Some(status);
        }
        if Instant::now() > end {
            return None;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// A test in a process of its own: its code, and all it said. Pipes are read to the end in threads.
pub(crate) fn collected(mut command: Command) -> (Option<i32>, String) {
    let (mut reader, writer) = std::io::pipe().expect("make a pipe");
    command.stdout(writer.try_clone().expect("copy a descriptor")).stderr(writer);
    let mut child = command.spawn().expect("start the test in its own namespaces (are you root?)");
    drop(command);
    let said = std::thread::spawn(move || {
        let mut said = Vec::new();
        let _ = std::io::Read::read_to_end(&mut reader, &mut said);
        String::from_utf8_lossy(&said).into_owned()
    });
    let code = ended(&mut child, TEST_LIMIT).and_then(|status| status.code());
    if code.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    (code, said.join().unwrap_or_default())
}

/// A program that ended.
#[derive(Debug)]
pub struct Finished {
    /// The exit code; 128+N where the program itself was killed by signal N.
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Finished {
    /// Fails the test unless the code is 0.
    #[track_caller]
    pub fn succeeds(self) -> Self {
        assert_eq!(self.code, 0, "out: {}\nerr: {}", short(&self.out), self.err);
        self
    }

    /// Fails the test unless the code is this one.
    #[track_caller]
    pub fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", short(&self.out), self.err);
        self
    }

    /// Fails the test unless Servin refused, saying each of `words`.
    #[track_caller]
    pub fn fails(self, words: &[&str]) -> Self {
        assert!(
            self.code != 0 && self.code < 129,
            "ended with {}\nout: {}\nerr: {}",
            self.code,
            short(&self.out),
            self.err
        );
        for word in words {
            assert!(self.err.contains(word), "no {word:?} in the error:\n{}", self.err);
        }
        assert!(!self.err.contains("panicked"), "{}", self.err);
        self
    }

    /// Standard output, one item a line.
    pub fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }

    /// Standard output as a JSON document.
    #[track_caller]
    pub fn json(&self) -> Value {
        self.out.parse().unwrap_or_else(|error| panic!("{error} in {:?}\nerr: {}", self.out, self.err))
    }

    /// What `probe report` saw, after a successful run.
    #[track_caller]
    pub fn report(self) -> Report {
        Report(self.succeeds().json())
    }
}

/// The beginning of what may be a whole report.
fn short(text: &str) -> String {
    text.chars().take(400).collect()
}

/// A program that runs. Output goes to files, so that a process which stays behind cannot hold a reader up.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

/// Starts a program; standard input is empty unless the command says otherwise.
pub fn start(mut command: Command) -> Running {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = |kind: &str| {
        let path = places::scratch(&format!("output/{number}.{kind}"));
        let file = OpenOptions::new().create(true).append(true).open(&path).expect("make an output file");
        (path, file)
    };
    let ((out, out_file), (err, err_file)) = (file("out"), file("err"));
    command.stdout(out_file).stderr(err_file);
    let child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
    Running { child, out, err }
}

impl Running {
    /// The process id of what was started (Servin, not the container).
    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits until standard output has this text.
    #[track_caller]
    pub fn says(&mut self, text: &str) -> String {
        let end = Instant::now() + within(LIMIT);
        loop {
            let out = fs::read_to_string(&self.out).unwrap_or_default();
            if out.contains(text) {
                return out;
            }
            let over = self.child.try_wait().expect("wait for a child");
            let err = fs::read_to_string(&self.err).unwrap_or_default();
            assert!(over.is_none() && Instant::now() < end, "no {text:?} ({over:?})\nout: {out}\nerr: {err}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Writes to standard input, which the command gave as a pipe; nothing happens if nobody reads any more.
    pub fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("standard input is a pipe");
        match input.write_all(text.as_bytes()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => panic!("write to standard input: {error}"),
            _ => {}
        }
    }

    /// Closes standard input.
    pub fn end_input(&mut self) {
        self.child.stdin = None;
    }

    /// Sends a signal to what was started.
    pub fn signal(&self, signal: i32) {
        sys::kill(self.pid(), signal).expect("send a signal");
    }

    /// The first child of what was started: the container's PID 1.
    #[track_caller]
    pub fn container(&self) -> i32 {
        self.try_container().expect("a container runs")
    }

    /// The same, where there may be none.
    pub fn try_container(&self) -> Option<i32> {
        first_child(self.pid())
    }

    /// Waits for the end.
    #[track_caller]
    pub fn finish(mut self) -> Finished {
        let status = ended(&mut self.child, LIMIT);
        if status.is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        let read = |path: &PathBuf| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        let (out, err) = (read(&self.out), read(&self.err));
        let status = status.unwrap_or_else(|| panic!("did not end in time\nout: {out}\nerr: {err}"));
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
        Finished { code, out, err }
    }
}

/// The container's PID 1 below what was started: its first child, or that of the supervisor between them.
pub(crate) fn first_child(pid: i32) -> Option<i32> {
    let child = children(pid).first().copied()?;
    let is_supervisor =
        fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "servin\n");
    if is_supervisor { children(child).first().copied() } else { Some(child) }
}

/// The children of a process, as its threads' lists in /proc tell.
pub fn children(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// The command with nothing on its standard input.
pub fn quiet(mut command: Command) -> Command {
    command.stdin(Stdio::from(File::open("/dev/null").expect("open /dev/null")));
    command
}

/// The command under a kernel that refuses something, as `probe refuse` says it: system calls, or `nftables`.
pub fn refusing(refused: &[&str], command: &Command) -> Command {
    let mut wrapped = Command::new(places::probe());
    wrapped.arg("refuse").args(refused).arg("--").arg(command.get_program()).args(command.get_args());
    quiet(wrapped)
}
