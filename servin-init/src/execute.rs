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

/// Executes `program`, the command line of which its name is the first string. Returns the exit code on failure,
/// everything having been said.
pub fn execute(program: &Strings, environment: &Strings) -> i32 {
    let file = program.clone().next().unwrap_or_default();
    let name = file.to_bytes();
    if split(name, b'/').1.is_some() {
        return report(file, process::execute(file, program, environment));
    }
    let search = environment.clone().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="));
    let mut left = Some(search.unwrap_or(DEFAULT_PATH)).filter(|_| !name.is_empty());
    let mut path = Path::new();
    let mut denied = None;
    while let Some((directory, rest)) = left.map(|left| split(left, b':')) {
        left = rest;
        if !path.join(directory, name) {
            continue;
        }
        match process::execute(path.as_c_str(), program, environment) {
            Errno::ACCESS => denied = denied.or(Some(directory)),
            // As bash, and unlike execvpe, a file that is there and yet "does not exist" is taken for the one that was
            // meant: it lacks its interpreter.
            _ if access(path.as_c_str(), Access::EXISTS).is_err() => {}
            error => return report(path.as_c_str(), error),
        }
    }
    if let Some(directory) = denied {
        path.join(directory, name);
        return report(path.as_c_str(), Errno::ACCESS);
    }
    message::about("exec: ", name, ": executable file not found in $PATH\n");
    NOT_FOUND
}

fn report(path: &CStr, error: Errno) -> i32 {
    message::about("exec: ", path.to_bytes(), ": ");
    errors::describe(error);
    let mut interpreter = Path::new();
    if error == Errno::NOENT && interpreter::missing(path, &mut interpreter) {
        let name = interpreter.as_c_str().to_bytes();
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
