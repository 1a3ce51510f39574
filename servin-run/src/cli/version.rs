//! `servin version`.

use alloc::string::String;

use rustix::system::uname;

use super::arguments::{Command, Given};
use super::{Invocation, format, output};
use crate::error::Result;
use crate::spec::json::written;

/// The command.
pub const VERSION: Command = Command {
    name: "servin version",
    usage: "[FLAGS]",
    about: "Print the version.",
    groups: &[format::SINGLE],
    last_word: usize::MAX,
};

written! {
    /// What `--format json` prints.
    pub struct Version {
        /// Servin's.
        "Version" => version: &'static str,
        /// The OCI runtime specification's that it follows.
        "OCIVersion" => specification: &'static str,
        /// The kernel's.
        "KernelVersion" => kernel: String,
        /// The operating system, as Go names it.
        "Os" => system: &'static str,
        /// The architecture, as Go names it.
        "Arch" => architecture: &'static str,
        /// The same, where Docker has it.
        "Client" => client: Side,
        /// There is no daemon: it is the same program.
        "Server" => server: Side,
    }

    /// One of Docker's two programs.
    pub struct Side {
        /// Servin's version.
        "Version" => version: &'static str,
        /// The operating system.
        "Os" => system: &'static str,
        /// The architecture.
        "Arch" => architecture: &'static str,
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
    let side = || Side { version: env!("CARGO_PKG_VERSION"), system: "linux", architecture: ARCHITECTURE };
    Version {
        client: side(),
        server: side(),
        version: env!("CARGO_PKG_VERSION"),
        specification: crate::spec::VERSION,
        kernel: uname().release().to_string_lossy().into_owned(),
        system: "linux",
        architecture: ARCHITECTURE,
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
