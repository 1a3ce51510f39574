//! The container's configuration: the top level of `config.json`, its root, mounts and hooks
//! ([config.md](https://github.com/opencontainers/runtime-spec/blob/v1.3.0/config.md)).

use alloc::string::String;
use alloc::vec::Vec;

use super::json::object;
use super::linux::{IdMapping, Linux};
use super::process::Process;

object! {
    /// `config.json`, as far as it concerns Linux.
    pub struct Config {
        /// The version of the specification that the bundle complies with.
        "ociVersion" => oci_version: String,
        /// The container's process; `start` needs it.
        "process" => process: Option<Process>,
        /// The root file system; required on Linux.
        "root" => root: Option<Root>,
        /// The host name inside the container.
        "hostname" => hostname: Option<String>,
        /// The NIS domain name inside the container.
        "domainname" => domainname: Option<String>,
        /// Mounts on top of the root, in the order in which they are made.
        "mounts" => mounts: Vec<Mount>,
        /// Programs to run at points of the container's life.
        "hooks" => hooks: Option<Hooks>,
        /// Free metadata; keys should be reverse domain names.
        "annotations" => annotations: Vec<(String, String)>,
        /// What is particular to Linux.
        "linux" => linux: Option<Linux>,
    }

    /// The container's root file system (config.md, Root).
    pub struct Root {
        /// The directory on the host; relative paths start at the bundle.
        "path" => path: String,
        /// Whether the process sees its root read-only; absent means no.
        "readonly" => readonly: Option<bool>,
    }

    /// One mount (config.md, Mounts).
    pub struct Mount {
        /// Where in the container; an absolute path.
        "destination" => destination: String,
        /// The file system's type as in /proc/filesystems; bind mounts have `bind`, anything or nothing here.
        "type" => kind: Option<String>,
        /// A device, a path (relative ones start at the bundle) or a name without meaning.
        "source" => source: Option<String>,
        /// Words as in fstab; what is no known option is data for the file system.
        "options" => options: Vec<String>,
        /// Of a bind's source only what is at this path inside it (not in the specification).
        "servinSubpath" => subpath: Option<String>,
        /// User ids of an idmapped mount: file system to container.
        "uidMappings" => uid_mappings: Vec<IdMapping>,
        /// Group ids of an idmapped mount: file system to container.
        "gidMappings" => gid_mappings: Vec<IdMapping>,
    }

    /// Programs to run at points of the container's life, each kind in its order (config.md, POSIX-platform
    /// Hooks).
    pub struct Hooks {
        /// Deprecated; like `create_runtime`, and before it.
        "prestart" => prestart: Vec<Hook>,
        /// In `create`, in the runtime's namespaces, before the root is switched.
        "createRuntime" => create_runtime: Vec<Hook>,
        /// In `create`, in the container's namespaces, before the root is switched.
        "createContainer" => create_container: Vec<Hook>,
        /// In `start`, in the container, before the process is executed.
        "startContainer" => start_container: Vec<Hook>,
        /// After `start`, in the runtime's namespaces.
        "poststart" => poststart: Vec<Hook>,
        /// After `delete`, in the runtime's namespaces; a failure is only a warning.
        "poststop" => poststop: Vec<Hook>,
    }

    /// One program to run.
    pub struct Hook {
        /// The program; an absolute path.
        "path" => path: String,
        /// Its arguments, the program's name first; empty means the path alone.
        "args" => args: Vec<String>,
        /// Its whole environment, as `KEY=value`.
        "env" => env: Vec<String>,
        /// After how many seconds it is ended; more than zero.
        "timeout" => timeout: Option<i32>,
    }
}
