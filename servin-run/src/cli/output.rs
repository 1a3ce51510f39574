//! What is printed: results on standard output, all else on standard error.

use alloc::format;
use core::fmt;

use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::descriptors::{stderr, stdout};

/// Prints a result, with a line's end.
pub fn result(text: impl fmt::Display) -> Result<()> {
    write_all(stdout(), format!("{text}\n").as_bytes()).step(|| "write to standard output")
}

/// Prints an error.
pub fn error(error: &Error) {
    line(format_args!("servin: {error}"));
}

/// Prints a warning.
pub fn warning(text: &str) {
    line(format_args!("servin: warning: {text}"));
}

/// Prints an executed step.
pub fn trace(micros: u32, step: &str) {
    line(format_args!("{micros:>6} µs  {step}"));
}

/// One write a line, so that lines of several processes do not mix. If nobody listens there is nothing to do.
fn line(text: fmt::Arguments<'_>) {
    let _ = write_all(stderr(), format!("{text}\n").as_bytes());
}
