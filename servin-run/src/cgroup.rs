//! cgroup v2 through plain reads and writes of cgroupfs, without systemd: where the hierarchy is, a container's
//! cgroup in it, its limits, its devices, its processes and what they use.
//!
//! The rules are those of the kernel (Documentation/admin-guide/cgroup-v2.rst); the configuration's words are
//! those of cgroup v1 (config-linux.md, "Control Groups") and are converted in `limits`.

pub mod apply;
pub mod devices;
pub mod file;
pub mod hierarchy;
pub mod limits;
pub mod path;
pub mod processes;
pub mod remove;
pub mod statistics;
pub mod systemd;
pub mod tree;
pub mod usage;

pub use hierarchy::Hierarchy;
pub use limits::Limits;
pub use remove::remove_if_empty;
pub use tree::{Cgroup, Made};
