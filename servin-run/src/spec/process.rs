//! The container's process: `process` of `config.json`, and the whole document of `exec --process`
//! ([config.md, Process](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md#process)).

use alloc::string::String;
use alloc::vec::Vec;

use super::json::object;

object! {
    /// What runs in the container, and with which rights.
    pub struct Process {
        /// Whether the process gets a terminal; absent means no.
        "terminal" => terminal: Option<bool>,
        /// The terminal's size at the beginning; without a terminal it says nothing.
        "consoleSize" => console_size: Option<ConsoleSize>,
        /// The ids that the process runs with.
        "user" => user: User,
        /// The program and its arguments, as execve wants them; required on Linux, not empty.
        "args" => args: Vec<String>,
        /// The whole environment, as `KEY=value`.
        "env" => env: Vec<String>,
        /// The working directory inside the container; an absolute path.
        "cwd" => cwd: String,
        /// The five capability sets; absent means none at all.
        "capabilities" => capabilities: Option<Capabilities>,
        /// Resource limits, each type once.
        "rlimits" => rlimits: Vec<Rlimit>,
        /// Whether execve can add no privileges (`PR_SET_NO_NEW_PRIVS`); absent means it can.
        "noNewPrivileges" => no_new_privileges: Option<bool>,
        /// The AppArmor profile's name.
        "apparmorProfile" => apparmor_profile: Option<String>,
        /// What is written to `/proc/self/oom_score_adj`, -1000 to 1000; absent leaves it.
        "oomScoreAdj" => oom_score_adj: Option<i32>,
        /// The scheduling policy.
        "scheduler" => scheduler: Option<Scheduler>,
        /// The SELinux label of the process.
        "selinuxLabel" => selinux_label: Option<String>,
        /// The input and output priority.
        "ioPriority" => io_priority: Option<IoPriority>,
        /// The processors that `exec` runs on.
        "execCPUAffinity" => exec_cpu_affinity: Option<CpuAffinity>,
    }

    /// A terminal's size.
    pub struct ConsoleSize {
        /// Lines.
        "height" => height: u32,
        /// Characters in a line.
        "width" => width: u32,
    }

    /// The ids of the process, as seen in the container.
    pub struct User {
        /// The user id.
        "uid" => uid: u32,
        /// The group id.
        "gid" => gid: u32,
        /// The file mode mask, a number that people read in octal; absent leaves it.
        "umask" => umask: Option<u32>,
        /// The supplementary groups.
        "additionalGids" => additional_gids: Vec<u32>,
    }

    /// The capability sets of the process, by names such as `CAP_CHOWN`.
    pub struct Capabilities {
        /// The limit of what execve can give.
        "bounding" => bounding: Vec<String>,
        /// What the kernel checks.
        "effective" => effective: Vec<String>,
        /// What is kept across execve where the file allows it.
        "inheritable" => inheritable: Vec<String>,
        /// The limit of the effective set.
        "permitted" => permitted: Vec<String>,
        /// What is kept across execve of an ordinary file.
        "ambient" => ambient: Vec<String>,
    }

    /// One resource limit (setrlimit); the unit depends on the type.
    pub struct Rlimit {
        /// The name, such as `RLIMIT_NOFILE`.
        "type" => kind: String,
        /// The ceiling of the soft limit.
        "hard" => hard: u64,
        /// The value that the kernel enforces.
        "soft" => soft: u64,
    }

    /// The scheduling of the process (sched_setattr).
    pub struct Scheduler {
        /// The policy's name, such as `SCHED_FIFO`.
        "policy" => policy: String,
        /// -20 to 19, for `SCHED_OTHER` and `SCHED_BATCH`.
        "nice" => nice: Option<i32>,
        /// The static priority, for `SCHED_FIFO` and `SCHED_RR`.
        "priority" => priority: Option<i32>,
        /// Names such as `SCHED_FLAG_RESET_ON_FORK`.
        "flags" => flags: Vec<String>,
        /// `SCHED_DEADLINE`: nanoseconds of processor time in each period.
        "runtime" => runtime: Option<u64>,
        /// `SCHED_DEADLINE`: nanoseconds after a period's start at which its work is due.
        "deadline" => deadline: Option<u64>,
        /// `SCHED_DEADLINE`: the period in nanoseconds.
        "period" => period: Option<u64>,
    }

    /// The input and output priority of the process (ioprio_set).
    pub struct IoPriority {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
        "class" => class: String,
        /// 0, the most urgent, to 7.
        "priority" => priority: i32,
    }

    /// Which processors `exec` may use, as lists such as `0-3,7`.
    pub struct CpuAffinity {
        /// While the runtime enters the container, before the process is in its cgroup.
        "initial" => initial: Option<String>,
        /// Once the process is in the container's cgroup.
        "final" => r#final: Option<String>,
    }
}
