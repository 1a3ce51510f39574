//! The kernel's errors in words, those that starting a program can meet (errno(3), execve(2), clone(2)).

use crate::message;
use rustix::io::Errno;

/// Ends a message with what `error` means, its number where there are no words for it.
pub fn describe(error: Errno) {
    message::text(match error {
        Errno::NOENT => "no such file or directory",
        Errno::NOEXEC => "exec format error (no program for this machine, and no #! line)",
        Errno::AGAIN => "resource temporarily unavailable",
        Errno::NOMEM => "cannot allocate memory",
        Errno::ACCESS => "permission denied",
        Errno::NOTDIR => "not a directory",
        Errno::TXTBSY => "text file busy",
        other => return message::number(other.raw_os_error() as u32),
    });
}

/// A whole message: that `step` failed.
pub fn report(step: &str, error: Errno) {
    message::begin(step);
    describe(error);
    message::text("\n");
}
