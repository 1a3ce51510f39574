//! Root file systems and bundles that the tests and the quick start use, hostile ones too.
//!
//! `rootfs-fixtures make` lays them out below one directory:
//!
//! ```text
//! probe                 the static program that reports what a process sees (src/bin/probe)
//! roots/minimal         the probe and the empty directories that every root needs
//! roots/busybox         Debian's static busybox with its applets, passwd and group
//! roots/debian          made by debootstrap (only with --debian)
//! roots/hostile/NAME    one attack each, see the table in hostile.rs
//! ```

pub mod archives;
pub mod bundles;
pub mod hostile;
pub mod probe;
pub mod roots;

use std::fmt;
use std::io;
use std::path::Path;

/// What went wrong, in words.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    /// A failure that is not the kernel's.
    pub fn new(text: impl fmt::Display) -> Self {
        Error(text.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// What the functions here return.
pub type Result<T> = std::result::Result<T, Error>;

/// Puts words before the kernel's error.
pub trait Context<T> {
    /// `what` was being done to `path`.
    fn context(self, what: &str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: &str, path: &Path) -> Result<T> {
        self.map_err(|error| Error(format!("{what} {}: {error}", path.display())))
    }
}
