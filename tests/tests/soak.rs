//! Containers come and go while processes of Servin are killed at random: in the end nothing is left.
//!
//! `SERVIN_SOAK_SECONDS` says how long (`cargo xtask soak`), `SERVIN_SOAK_SEED` repeats a run.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use servin_tests::{People, alone, bring_up_loopback, kill, servin, servin_program};

/// How long the ordinary tests do it.
const SECONDS: u64 = 12;
/// Containers at once.
const CONTAINERS: usize = 8;
const SIGKILL: i32 = 9;

#[test]
fn after_random_kills_of_servins_own_processes_nothing_is_left() {
    alone(|| {
        bring_up_loopback().expect("bring loopback up");
        let seconds = number("SERVIN_SOAK_SECONDS").unwrap_or(SECONDS);
        let seed = number("SERVIN_SOAK_SEED").unwrap_or(u64::from(std::process::id()) | 1 << 32);
        println!("seed {seed}");
        let mut soak = Soak { random: seed, people: People::new(), commands: Vec::new(), killed: 0 };
        let end = Instant::now() + Duration::from_secs(seconds);
        let mut steps = 0;
        while Instant::now() < end {
            soak.step();
            steps += 1;
        }
        soak.commands.iter_mut().for_each(finish);
        println!("{steps} steps, {} kills", soak.killed);
        assert!(steps > 20 && soak.killed > 2, "{steps} steps, {} kills: nothing was tried", soak.killed);
        servin(&["rm", "--force", "--all"]).succeeds();
        assert_eq!(servin(&["ps", "--all", "--quiet"]).succeeds().out, "");
    });
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

struct Soak {
    random: u64,
    people: People,
    /// Commands under way.
    commands: Vec<Child>,
    killed: u32,
}

impl Soak {
    /// xorshift64.
    fn below(&mut self, limit: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random % limit as u64) as usize
    }

    fn step(&mut self) {
        let name = format!("soak{}", self.below(CONTAINERS));
        match self.below(10) {
            0..=2 => self.run(&name),
            3 => self.call(&["stop", "--time", "0", &name]),
            4 => self.call(&["kill", &name]),
            5 => self.call(&["rm", "--force", &name]),
            6 => self.call(&["start", &name]),
            7 => self.call(&["ps", "--all"]),
            _ => self.kill_one(),
        }
        if self.commands.len() > 4 {
            let mut oldest = self.commands.remove(0);
            finish(&mut oldest);
        }
    }

    fn run(&mut self, name: &str) {
        let root = self.people.root().display().to_string();
        let mut arguments = vec!["run", "--detach", "--name", name, "--rootfs", &root];
        if self.below(3) == 0 {
            arguments.push("--rm");
        }
        // Some stay, some end at once.
        let program: &[&str] = if self.below(2) == 0 { &["sleep", "300"] } else { &["report"] };
        arguments.extend(["--", "/bin/probe"]);
        arguments.extend(program);
        self.call(&arguments);
    }

    /// Starts a command, and kills every fourth at a random moment of its short life.
    fn call(&mut self, arguments: &[&str]) {
        let mut command = Command::new(servin_program());
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("start servin");
        if self.below(4) == 0 {
            std::thread::sleep(Duration::from_micros(self.below(12_000) as u64));
            let _ = child.kill();
            self.killed += 1;
        }
        self.commands.push(child);
    }

    /// Kills a supervisor, of whichever container.
    fn kill_one(&mut self) {
        let supervisors: Vec<i32> = processes().filter(|pid| is_supervisor(*pid)).collect();
        if !supervisors.is_empty() {
            let victim = supervisors[self.below(supervisors.len())];
            if kill(victim, SIGKILL).is_ok() {
                self.killed += 1;
            }
        }
    }
}

fn processes() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").expect("list /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn is_supervisor(pid: i32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).any(|word| word == b".supervise")
}

/// No command may hang, whatever was killed beside it.
fn finish(command: &mut Child) {
    let end = Instant::now() + servin_tests::within(Duration::from_secs(60));
    while command.try_wait().expect("wait for servin").is_none() {
        assert!(Instant::now() < end, "a command of servin hangs: pid {}", command.id());
        std::thread::sleep(Duration::from_millis(2));
    }
}
