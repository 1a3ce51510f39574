//! The documents of the OCI runtime specification 1.3 and nothing else: `config.json`, the answer to `state`,
//! the features document. Reading checks types, ranges and closed sets of words, and names the field that is
//! wrong; what the values mean is the plan's affair. Pure: no system call.
//!
//! Rules: <https://github.com/opencontainers/runtime-spec/blob/v1.3.0/spec.md>. A property that the
//! specification does not know is ignored, as it demands; `null` is the same as an absent property, as Go
//! writes it.

/// The version of the specification that all this complies with.
pub const VERSION: &str = "1.3.0";

mod config;
pub mod events;
pub mod features;
pub mod json;
mod linux;
mod process;
mod resources;
mod seccomp;
mod state;
#[cfg(test)]
mod tests;

pub use config::{Config, Hook, Hooks, Mount, Root};
pub use features::Features;
pub use json::{parse, to_json, to_json_pretty};
pub use linux::{
    Device, DeviceKind, IdMapping, IntelRdt, Linux, MemoryPolicy, Namespace, NamespaceKind, NetDevice,
    Personality, TimeOffset,
};
pub use process::{Capabilities, ConsoleSize, CpuAffinity, IoPriority, Process, Rlimit, Scheduler, User};
pub use resources::{
    BlockIo, Cpu, DeviceRule, HugepageLimit, InterfacePriority, Memory, NetworkResources, Pids, Rdma,
    Resources, ThrottleDevice, WeightDevice,
};
pub use seccomp::{Action, Operator, Seccomp, SyscallArg, SyscallRule};
pub use state::{ContainerProcessState, State, Status};
