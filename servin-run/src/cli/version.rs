//! `servin version`.

use alloc::string::String;

use rustix::system::uname;

use super::arguments::{Command, Given};
use super::{Invocation, format, output};
use crate::error::Result;
use crate::spec::json::object;

/// The command.
pub const VERSION: Command = Command {
    name: "servin version",
    usage: "[FLAGS]",
    about: "Print the version.",
    groups: &[format::SINGLE],
    last_word: usize::MAX,
};

object! {
    /// What `--format json` prints.
    pub struct Version {
        /// Servin's.
        "Version" => version: String,
        /// The OCI runtime specification's that it follows.
        "OCIVersion" => specification: String,
        /// The kernel's.
        "KernelVersion" => kernel: String,
        /// The operating system, as Go names it.
        "Os" => system: String,
        /// The architecture, as Go names it.
        "Arch" => architecture: String,
        /// The same, where Docker has it.
        "Client" => client: Side,
        /// There is no daemon: it is the same program.
        "Server" => server: Side,
    }

    /// One of Docker's two programs.
    pub struct Side {
        /// Servin's version.
        "Version" => version: String,
        /// The operating system.
        "Os" => system: String,
        /// The architecture.
        "Arch" => architecture: String,
    }
}

const ARCHITECTURE: &str = if cfg!(target_arch = "x86_64") {
    "amd64"
} else if cfg!(target_arch = "aarch64") {
    "arm64"
} else if cfg!(target_arch = "riscv64") {
    "riscv64"
} else {
    "arm"
};

/// What this program is and runs on.
pub fn version() -> Version {
    let side = || Side {
        version: env!("CARGO_PKG_VERSION").into(),
        system: "linux".into(),
        architecture: ARCHITECTURE.into(),
    };
    Version {
        client: side(),
        server: side(),
        version: env!("CARGO_PKG_VERSION").into(),
        specification: crate::spec::VERSION.into(),
        kernel: uname().release().to_string_lossy().into_owned(),
        system: "linux".into(),
        architecture: ARCHITECTURE.into(),
    }
}

/// Runs the command.
pub fn main(_: &Invocation, given: &Given) -> Result<i32> {
    given.none(&VERSION)?;
    match given.value("format") {
        None => output::result(format_args!("servin version {}", env!("CARGO_PKG_VERSION"))).map(|()| 0),
        Some(_) => format::inspect(given, &[&version()]),
    }
}
