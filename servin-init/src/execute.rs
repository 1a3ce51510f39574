//! Becoming the program: the search along PATH that execvpe(3) makes, and what to say when it fails.
//!
//! The words are those of runc, the exit codes those of bash: 127 when the kernel says that something does not exist,
//! the program or its interpreter, and 126 for every other refusal. Unlike execvpe, a file without `#!` is not handed
//! to a shell: a container may have none.

use crate::errors;
use crate::interpreter;
use crate::message;
use crate::options::split;
use crate::sys::path::Path;
use crate::sys::process;
use crate::sys::start::Strings;
use core::ffi::CStr;
use rustix::fs::{Access, access};
use rustix::io::Errno;

const NOT_FOUND: i32 = 127;
const NOT_EXECUTABLE: i32 = 126;

/// Where to look without PATH, as in Docker; the kernel starts an initramfs without one.
const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Executes `program`, the command line of which its name is the first string, found along `search`. Returns the exit code on failure,
/// everything having been said.
pub fn execute(program: &Strings, environment: &Strings, search: Option<&[u8]>) -> i32 {
    let file = program.clone().next().unwrap_or_default();
    let name = file.to_bytes();
    if split(name, b'/').1.is_some() {
        return report(file, process::execute(file, program, environment));
    }
    let mut left = Some(search.unwrap_or(DEFAULT_PATH)).filter(|_| !name.is_empty());
    let mut path = Path::default();
    let mut denied = None;
    while let Some((directory, rest)) = left.map(|left| split(left, b':')) {
        left = rest;
        let Some(path) = path.join(directory, name) else {
            continue;
        };
        match process::execute(path, program, environment) {
            Errno::ACCESS => denied = denied.or(Some(directory)),
            // As bash, and unlike execvpe, a file that is there and yet "does not exist" is taken for the one that was
            // meant: it lacks its interpreter.
            _ if access(path, Access::EXISTS).is_err() => {}
            error => return report(path, error),
        }
    }
    if let Some(path) = denied.and_then(|directory| path.join(directory, name)) {
        return report(path, Errno::ACCESS);
    }
    message::about("exec: ", name, ": executable file not found in $PATH\n");
    NOT_FOUND
}

fn report(path: &CStr, error: Errno) -> i32 {
    message::about("exec: ", path.to_bytes(), ": ");
    errors::describe(error);
    let mut interpreter = Path::default();
    if error == Errno::NOENT
        && let Some(interpreter) = interpreter::missing(path, &mut interpreter)
    {
        let name = interpreter.to_bytes();
        message::text(": its interpreter ");
        message::quoted(name);
        message::text(" is missing");
        if name.last() == Some(&b'\r') {
            message::text(" (that is a Windows line end)");
        }
    }
    message::text("\n");
    if error == Errno::NOENT { NOT_FOUND } else { NOT_EXECUTABLE }
}
