//! What `state` prints and hooks read on their standard input ([runtime.md,
//! State](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/runtime.md#state)), and what a seccomp
//! listener receives ([config-linux.md, The Container Process State][rules]).
//!
//! [rules]: https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config-linux.md#containerprocessstate

use alloc::string::String;
use alloc::vec::Vec;

use super::json::{object, word_enum};

object! {
    /// The state of a container.
    pub struct State {
        /// The version of the specification that the state complies with.
        "ociVersion" => oci_version: String,
        /// The container's id.
        "id" => id: String,
        /// The container's process, as the host sees it; absent (or 0) where there is none.
        "pid" => pid: Option<i32>,
        /// Where in its life the container is.
        "status" => status: Status,
        /// The bundle's absolute path.
        "bundle" => bundle: String,
        /// The root file system's absolute path (not in the specification; runc and crun print it).
        "rootfs" => rootfs: Option<String>,
        /// When it was created, as RFC 3339 (not in the specification; runc and crun print it).
        "created" => created: Option<String>,
        /// The annotations of the configuration.
        "annotations" => annotations: Vec<(String, String)>,
        /// The user who created it (not in the specification; runc and crun print it).
        "owner" => owner: Option<String>,
        /// Of a stopped container: the kernel has killed in it for want of memory (not in the specification).
        "oomKilled" => oom_killed: Option<bool>,
    }

    /// What a seccomp listener receives with the descriptors.
    pub struct ContainerProcessState {
        /// The version of the specification that it complies with.
        "ociVersion" => oci_version: String,
        /// What the descriptors are, in their order; `seccompFd` is the listener's.
        "fds" => fds: Vec<String>,
        /// The process, as the runtime sees it.
        "pid" => pid: i32,
        /// `listenerMetadata` of the configuration.
        "metadata" => metadata: Option<String>,
        /// The container.
        "state" => state: State,
    }
}

word_enum! {
    /// Where in its life a container is.
    pub enum Status {
        /// `create` is at work.
        "creating" => Creating,
        /// `create` has ended, `start` was not called.
        "created" => Created,
        /// The process was started and has not ended.
        "running" => Running,
        /// The process is frozen (not in the specification; runc and crun say it).
        "paused" => Paused,
        /// The process has ended.
        "stopped" => Stopped,
    }
}
