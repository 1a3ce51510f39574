//! `process`: what is executed, as whom, with which limits.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use rustix::process::Resource;

use super::capabilities::{self, Capabilities};
use super::schedule::{self, Schedule};
use crate::error::{Error, Result};
use crate::gather::Gather as _;
use crate::spec;

/// The process to execute at the end of the set-up, and what it is given.
#[derive(Debug, Clone)]
pub struct Process {
    /// The program as it is named, then its arguments; never empty.
    pub args: Vec<CString>,
    /// `KEY=value` strings.
    pub env: Vec<CString>,
    /// The working directory inside the container, absolute.
    pub cwd: String,
    /// Whether a missing working directory is made (people's containers; the specification makes none).
    pub create_cwd: bool,
    /// A terminal of this size (rows, columns), where one is asked for; zeros leave the size alone.
    pub terminal: Option<(u16, u16)>,
    /// Who it runs as.
    pub user: User,
    /// What it may do.
    pub capabilities: Capabilities,
    /// What it was to be able to do beside that, by names that stand for nothing here.
    pub unknown_capabilities: Vec<String>,
    /// `PR_SET_NO_NEW_PRIVS`.
    pub no_new_privileges: bool,
    /// Limits of setrlimit(2).
    pub rlimits: Vec<Rlimit>,
    /// What is written to oom_score_adj.
    pub oom_score_adj: Option<i32>,
    /// Priorities, memory nodes, execution domain.
    pub schedule: Schedule,
    /// The AppArmor profile that confines it.
    pub apparmor: Option<String>,
    /// Its SELinux label.
    pub selinux: Option<String>,
}

/// The ids of a process, as seen inside the container.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    /// Real, effective and saved user id.
    pub uid: u32,
    /// Real, effective and saved group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// The mask of new files' modes.
    pub umask: u32,
}

/// One resource limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rlimit {
    /// The specification's name, for messages.
    pub name: &'static str,
    /// Which.
    pub resource: Resource,
    /// The value that the kernel enforces; `u64::MAX` is none.
    pub soft: u64,
    /// The value to which it can be raised.
    pub hard: u64,
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let User { uid, gid, groups, umask } = &self.user;
        write!(f, "run as {uid}:{gid}, ")?;
        groups.iter().try_for_each(|group| write!(f, "also in the group {group}, "))?;
        writeln!(f, "umask {umask:03o}")?;
        let mut separator = "with the capabilities ";
        for name in self.capabilities.effective.names() {
            write!(f, "{separator}CAP_{name}")?;
            separator = " ";
        }
        writeln!(f, "{}", if separator == " " { "" } else { "without capabilities" })?;
        if self.no_new_privileges {
            f.write_str("without new privileges\n")?;
        }
        for limit in &self.rlimits {
            writeln!(f, "limit {} to {}:{}", limit.name, limit.soft, limit.hard)?;
        }
        for (kind, label) in [("AppArmor profile", &self.apparmor), ("SELinux label", &self.selinux)] {
            if let Some(label) = label {
                writeln!(f, "with the {kind} {label}")?;
            }
        }
        writeln!(f, "in the directory {}", self.cwd)?;
        f.write_str("execute")?;
        self.args.iter().try_for_each(|argument| write!(f, " \"{}\"", argument.to_bytes().escape_ascii()))
    }
}

/// The names of the limits (config.md, "POSIX process"; getrlimit(2)).
#[rustfmt::skip]
pub const RLIMITS: &[(&str, Resource)] = &[
    ("RLIMIT_AS", Resource::As), ("RLIMIT_CORE", Resource::Core), ("RLIMIT_CPU", Resource::Cpu),
    ("RLIMIT_DATA", Resource::Data), ("RLIMIT_FSIZE", Resource::Fsize), ("RLIMIT_LOCKS", Resource::Locks),
    ("RLIMIT_MEMLOCK", Resource::Memlock), ("RLIMIT_MSGQUEUE", Resource::Msgqueue),
    ("RLIMIT_NICE", Resource::Nice), ("RLIMIT_NOFILE", Resource::Nofile), ("RLIMIT_NPROC", Resource::Nproc),
    ("RLIMIT_RSS", Resource::Rss), ("RLIMIT_RTPRIO", Resource::Rtprio), ("RLIMIT_RTTIME", Resource::Rttime),
    ("RLIMIT_SIGPENDING", Resource::Sigpending), ("RLIMIT_STACK", Resource::Stack),
];

/// The mask when the configuration has none: the usual one, not the caller's, so that it does not depend on who
/// starts the container.
const DEFAULT_UMASK: u32 = 0o022;

/// Checks `process` and `linux.personality` and `linux.memoryPolicy`, which are about the process too.
pub fn plan(process: &spec::Process, linux: &spec::Linux, create_cwd: bool) -> Result<Process> {
    if process.args.is_empty() {
        return Err(Error::new("process.args: a program to execute is missing"));
    }
    if process.args[0].is_empty() {
        return Err(Error::new("process.args[0]: the program's name is empty"));
    }
    if !process.cwd.starts_with('/') {
        return Err(Error::new(format_args!("process.cwd: \"{}\" is not an absolute path", process.cwd)));
    }
    let umask = process.user.umask.unwrap_or(DEFAULT_UMASK);
    if umask > 0o777 {
        return Err(Error::new(format_args!("process.user.umask: {umask} is more than 511 (0777)")));
    }
    id("process.user.uid", process.user.uid)?;
    id("process.user.gid", process.user.gid)?;
    for (index, gid) in process.user.additional_gids.iter().enumerate() {
        id(format_args!("process.user.additionalGids[{index}]"), *gid)?;
    }
    if let Some(score) = process.oom_score_adj.filter(|score| !(-1000..=1000).contains(score)) {
        return Err(Error::new(format_args!("process.oomScoreAdj: {score} is not from -1000 to 1000")));
    }
    let size = console_size(process)?;
    let (capabilities, unknown_capabilities) = capabilities::plan(process)?;
    Ok(Process {
        args: strings("process.args", &process.args)?,
        env: strings("process.env", &process.env)?,
        cwd: process.cwd.clone(),
        create_cwd,
        terminal: process.terminal.unwrap_or(false).then_some(size),
        user: User {
            uid: process.user.uid,
            gid: process.user.gid,
            groups: process.user.additional_gids.clone(),
            umask,
        },
        capabilities,
        unknown_capabilities,
        no_new_privileges: process.no_new_privileges.unwrap_or(false),
        rlimits: rlimits(&process.rlimits)?,
        oom_score_adj: process.oom_score_adj,
        schedule: schedule::plan(process, linux)?,
        apparmor: process.apparmor_profile.clone().filter(|profile| !profile.is_empty()),
        selinux: process.selinux_label.clone().filter(|label| !label.is_empty()),
    })
}

/// setresuid(2) takes 4294967295 as "leave it": the process would stay root.
fn id(field: impl fmt::Display, id: u32) -> Result<()> {
    match id {
        u32::MAX => Err(Error::new(format_args!("{field}: {id} is no id"))),
        _ => Ok(()),
    }
}

fn strings(field: &str, strings: &[String]) -> Result<Vec<CString>> {
    let convert = |(index, string): (usize, &String)| {
        CString::new(string.as_str())
            .map_err(|_| Error::new(format_args!("{field}[{index}]: holds a NUL byte")))
    };
    strings.iter().enumerate().map(convert).gather()
}

fn console_size(process: &spec::Process) -> Result<(u16, u16)> {
    let Some(size) = &process.console_size else { return Ok((0, 0)) };
    let side = |field, value: u32| {
        u16::try_from(value)
            .map_err(|_| Error::new(format_args!("process.consoleSize.{field}: {value} is more than 65535")))
    };
    Ok((side("height", size.height)?, side("width", size.width)?))
}

fn rlimits(limits: &[spec::Rlimit]) -> Result<Vec<Rlimit>> {
    let mut planned: Vec<Rlimit> = Vec::new();
    for (index, limit) in limits.iter().enumerate() {
        let field = format_args!("process.rlimits[{index}]");
        let Some((name, resource)) = RLIMITS.iter().find(|(name, _)| *name == limit.kind) else {
            return Err(Error::new(format_args!("{field}.type: \"{}\" is not a limit", limit.kind)));
        };
        if planned.iter().any(|p| p.name == *name) {
            return Err(Error::new(format_args!("{field}.type: {name} is listed twice")));
        }
        if limit.soft > limit.hard {
            return Err(Error::new(format_args!(
                "{field}.soft: {} is above hard, {}",
                limit.soft, limit.hard
            )));
        }
        planned.push(Rlimit { name, resource: *resource, soft: limit.soft, hard: limit.hard });
    }
    Ok(planned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process() -> spec::Process {
        spec::Process { args: ["true".into()].to_vec(), cwd: "/".into(), ..spec::Process::default() }
    }

    fn refused(change: impl FnOnce(&mut spec::Process)) -> String {
        let mut process = process();
        change(&mut process);
        plan(&process, &spec::Linux::default(), false).expect_err("refused").to_string()
    }

    #[test]
    fn a_bare_process_gets_no_capability_and_the_usual_mask() {
        let planned = plan(&process(), &spec::Linux::default(), false).expect("planned");
        assert_eq!(planned.capabilities, Capabilities::default());
        assert_eq!(planned.user.umask, 0o022);
        assert!(planned.terminal.is_none());
    }

    #[test]
    fn every_bad_value_is_refused_with_its_field() {
        let limit = |kind: &str, soft, hard| spec::Rlimit { kind: kind.into(), soft, hard };
        for (text, field) in [
            (refused(|p| p.args.clear()), "process.args: "),
            (refused(|p| p.args[0] = "a\0b".into()), "process.args[0]: "),
            (refused(|p| p.env = ["A=\0".into()].to_vec()), "process.env[0]: "),
            (refused(|p| p.cwd = "tmp".into()), "process.cwd: "),
            (refused(|p| p.user.uid = u32::MAX), "process.user.uid: "),
            (
                refused(|p| p.user.additional_gids = [1, u32::MAX].to_vec()),
                "process.user.additionalGids[1]: ",
            ),
            (refused(|p| p.user.umask = Some(0o1000)), "process.user.umask: "),
            (refused(|p| p.oom_score_adj = Some(1001)), "process.oomScoreAdj: "),
            (refused(|p| p.rlimits = [limit("RLIMIT_FOO", 1, 1)].to_vec()), "process.rlimits[0].type: "),
            (refused(|p| p.rlimits = [limit("RLIMIT_CPU", 2, 1)].to_vec()), "process.rlimits[0].soft: "),
            (
                refused(|p| p.rlimits = [limit("RLIMIT_CPU", 1, 1), limit("RLIMIT_CPU", 1, 1)].to_vec()),
                "process.rlimits[1].type: ",
            ),
        ] {
            assert!(text.starts_with(field), "{text}");
        }
    }
}
