//! What a person types: `servin run …`.

use std::path::PathBuf;
use std::process::Command;

use crate::{Finished, Report, Running, places, run, start};

/// What a person's container may do, in the kernel's order as the probe reports it.
pub const DOCKERS_CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SYS_CHROOT",
    "CAP_MKNOD",
    "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
];

/// `servin ARGS`, to its end.
pub fn servin(arguments: &[&str]) -> Finished {
    let mut command = Command::new(places::servin_program());
    command.args(arguments);
    start(run::quiet(command)).finish()
}

/// A field of `servin inspect`, as `.State.Pid`.
#[track_caller]
pub fn field(name: &str, field: &str) -> String {
    let template = format!("{{{{{field}}}}}");
    servin(&["inspect", "-f", &template, name]).succeeds().out.trim().to_string()
}

/// The first process of a container.
#[track_caller]
pub fn pid(name: &str) -> i32 {
    field(name, ".State.Pid").parse().expect("a pid")
}

/// What stays beside a container: the parent of its first process.
#[track_caller]
pub fn supervisor(name: &str) -> i32 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", pid(name))).expect("read a process's status");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("its parent");
    line.trim().parse().expect("a pid")
}

/// A `servin run` under construction: flags, then a program in a copy of a root of the fixtures.
#[derive(Clone)]
pub struct People {
    root: PathBuf,
    flags: Vec<String>,
    kept: bool,
}

impl Default for People {
    fn default() -> Self {
        People::new()
    }
}

impl People {
    /// In the minimal root.
    pub fn new() -> Self {
        People::of("minimal")
    }

    /// In a root of the fixtures by name.
    pub fn of(fixture: &str) -> Self {
        let root = places::scratch("people/rootfs");
        let _ = std::fs::remove_dir_all(&root);
        rootfs_fixtures::roots::copy(&places::fixture(fixture), places::scratch("people/rootfs").as_path())
            .expect("copy the fixture's root");
        People { root, flags: Vec::new(), kept: false }
    }

    /// The root as the host sees it.
    pub fn root(&self) -> PathBuf {
        self.root.clone()
    }

    /// Flags before the program.
    pub fn flags(mut self, flags: &[&str]) -> Self {
        self.flags.extend(flags.iter().map(|word| word.to_string()));
        self
    }

    /// Without `--rm`: whoever asks for that removes the container.
    pub fn kept(mut self) -> Self {
        self.kept = true;
        self
    }

    /// Starts a program in the background, in a container of this name that stays when it has ended.
    #[track_caller]
    pub fn detached(self, name: &str, program: &[&str]) -> String {
        let run = self.kept().flags(&["-d", "--name", name]).run(program).succeeds();
        run.out.trim().to_string()
    }

    /// The command that runs a program.
    pub fn command(&self, program: &[&str]) -> Command {
        let mut command = Command::new(places::servin_program());
        command.arg("run");
        if !self.kept {
            command.arg("--rm");
        }
        command.arg("--rootfs").arg(&self.root).args(&self.flags).arg("--").args(program);
        run::quiet(command)
    }

    /// Starts a program.
    pub fn start(&self, program: &[&str]) -> Running {
        start(self.command(program))
    }

    /// Runs a program to its end.
    #[track_caller]
    pub fn run(&self, program: &[&str]) -> Finished {
        self.start(program).finish()
    }

    /// What the probe sees.
    #[track_caller]
    pub fn report(&self) -> Report {
        self.run(&["/bin/probe", "report"]).report()
    }
}
