//! The filter of system calls: `linux.seccomp` of `config.json` ([config-linux.md,
//! Seccomp](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#seccomp)).

use alloc::string::String;
use alloc::vec::Vec;

use super::json::{object, word_enum};

object! {
    /// The filter.
    pub struct Seccomp {
        /// What happens to a call that no rule matches.
        "defaultAction" => default_action: Action,
        /// The error number of a default action that has one; absent is EPERM.
        "defaultErrnoRet" => default_errno_ret: Option<u32>,
        /// Architectures beside the kernel's own, such as `SCMP_ARCH_X86`.
        "architectures" => architectures: Vec<String>,
        /// Flags for seccomp(2), such as `SECCOMP_FILTER_FLAG_LOG`.
        "flags" => flags: Vec<String>,
        /// The socket that receives the descriptor of `SCMP_ACT_NOTIFY`; absolute on the host.
        "listenerPath" => listener_path: Option<String>,
        /// Opaque data for the listener.
        "listenerMetadata" => listener_metadata: Option<String>,
        /// The rules.
        "syscalls" => syscalls: Vec<SyscallRule>,
    }

    /// What happens to some calls.
    pub struct SyscallRule {
        /// The calls' names.
        "names" => names: Vec<String>,
        /// What happens.
        "action" => action: Action,
        /// The error number of an action that has one; absent is EPERM.
        "errnoRet" => errno_ret: Option<u32>,
        /// Conditions, all of which must hold.
        "args" => args: Vec<SyscallArg>,
    }

    /// A condition on one argument of a call.
    pub struct SyscallArg {
        /// Which argument, from 0 to 5.
        "index" => index: u32,
        /// What it is compared with; the mask of `SCMP_CMP_MASKED_EQ`.
        "value" => value: u64,
        /// What the masked argument is compared with; absent is zero.
        "valueTwo" => value_two: Option<u64>,
        /// How it is compared.
        "op" => op: Operator,
    }
}

word_enum! {
    /// What happens to a call.
    pub enum Action {
        /// The thread is killed.
        "SCMP_ACT_KILL" => Kill,
        /// The process is killed.
        "SCMP_ACT_KILL_PROCESS" => KillProcess,
        /// The thread is killed.
        "SCMP_ACT_KILL_THREAD" => KillThread,
        /// The thread gets SIGSYS.
        "SCMP_ACT_TRAP" => Trap,
        /// The call fails with an error number.
        "SCMP_ACT_ERRNO" => Errno,
        /// The tracer is asked.
        "SCMP_ACT_TRACE" => Trace,
        /// The call is made.
        "SCMP_ACT_ALLOW" => Allow,
        /// The call is made and logged.
        "SCMP_ACT_LOG" => Log,
        /// The listener is asked.
        "SCMP_ACT_NOTIFY" => Notify,
    }

    /// How an argument is compared, unsigned, with the value.
    pub enum Operator {
        /// It differs.
        "SCMP_CMP_NE" => NotEqual,
        /// It is less.
        "SCMP_CMP_LT" => Less,
        /// It is less or the same.
        "SCMP_CMP_LE" => LessOrEqual,
        /// It is the same.
        "SCMP_CMP_EQ" => Equal,
        /// It is more or the same.
        "SCMP_CMP_GE" => GreaterOrEqual,
        /// It is more.
        "SCMP_CMP_GT" => Greater,
        /// Masked with the value it is the second value.
        "SCMP_CMP_MASKED_EQ" => MaskedEqual,
    }
}
