//! What is printed: results on standard output, all else on standard error.

use alloc::format;
use alloc::string::String;
use core::fmt;
use core::sync::atomic::{AtomicU8, Ordering};

use rustix::termios::isatty;

use super::Invocation;
use super::arguments::Given;
use crate::error::{Error, Result, Step};
use crate::fs::copy::write_all;
use crate::fs::descriptors::{stderr, stdin, stdout};

/// Which of our outputs may be coloured: bit 0 standard output, bit 1 standard error. The only thing that the places
/// which print must know and nobody tells them.
static COLOURS: AtomicU8 = AtomicU8::new(0);

/// Colours are for terminals, and not for who asks for none (no-color.org).
pub fn choose_colours(invocation: &Invocation) {
    let plain = invocation.variable("NO_COLOR").is_some() || invocation.variable("TERM") == Some("dumb");
    let colours = u8::from(isatty(stdout())) | u8::from(isatty(stderr())) << 1;
    COLOURS.store(if plain { 0 } else { colours }, Ordering::Relaxed);
}

/// A heading on standard output.
pub fn heading(text: &str) -> String {
    coloured(0, "1", text)
}

/// `text` in an ANSI style, where the output takes it.
fn coloured(output: u8, style: &str, text: &str) -> String {
    match COLOURS.load(Ordering::Relaxed) >> output & 1 {
        0 => text.into(),
        _ => format!("\x1b[{style}m{text}\x1b[0m"),
    }
}

/// Prints a result, with a line's end.
pub fn result(text: impl fmt::Display) -> Result<()> {
    write_all(stdout(), format!("{text}\n").as_bytes()).step(|| "write to standard output")
}

/// Prints an error.
pub fn error(error: &Error) {
    line(format_args!("{} {error}", coloured(1, "31", "servin:")));
}

/// Prints a warning.
pub fn warning(text: &str) {
    line(format_args!("{} {text}", coloured(1, "33", "servin: warning:")));
}

/// Prints an executed step.
pub fn trace(micros: u32, step: &str) {
    line(format_args!("{micros:>6} µs  {step}"));
}

/// One write a line, so that lines of several processes do not mix. If nobody listens there is nothing to do.
fn line(text: fmt::Arguments<'_>) {
    let _ = write_all(stderr(), format!("{text}\n").as_bytes());
}

/// Asks whether to go on, unless `--force` says so. As Docker does, it hears standard input whatever that is; but who
/// is no terminal and does not say yes was hardly asked.
pub fn confirm(given: &Given, warning: &str) -> Result<bool> {
    if given.switch("force", false) {
        return Ok(true);
    }
    let _ = write_all(stderr(), format!("{warning} Go on? [y/N] ").as_bytes());
    let mut answer = [0; 16];
    let length = rustix::io::read(stdin(), &mut answer).step(|| "read the answer")?;
    match answer[..length].first() {
        Some(b'y' | b'Y') => Ok(true),
        _ if isatty(stdin()) => Ok(false),
        _ => Err(Error::new(format_args!("{warning} --force does so without asking"))),
    }
}
