//! Becoming the container's program, and saying why that cannot be.
//!
//! The words are runc's, because engines turn them into exit codes: 127 for what is not there, 126 for what
//! cannot be executed.

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::CStr;

use rustix::fd::OwnedFd;
use rustix::fs::{Access, FileType};
use rustix::io::Errno;

use crate::error::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, Error, Result};
use crate::gather::Gather as _;
use crate::plan::process::Process;
use crate::sys::exec::{Vector, execve, execveat};
use crate::sys::path::{access, stat};

/// Where to look for a program when the environment has no PATH (Docker's default).
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Executes `process.args`. Returns only on failure.
pub fn execute(process: &Process) -> Error {
    let Some(name) = process.args.first() else { return Error::new("process.args: a program is missing") };
    let arguments = Vector::new(process.args.clone());
    let environment = Vector::new(process.env.clone());
    let mut refused = None;
    for path in candidates(name, &process.env) {
        match execve(&path, &arguments, &environment) {
            // What is there and yet "not there" lacks its interpreter: that is worth saying.
            Errno::NOENT | Errno::NOTDIR if access(&path, Access::EXISTS).is_err() => {}
            // execvp(3) goes on after these, and in the end reports the first.
            errno @ (Errno::ACCESS | Errno::NOENT | Errno::STALE | Errno::NODEV | Errno::TIMEDOUT) => {
                refused.get_or_insert((path, errno));
            }
            errno => return explain(&path, errno),
        }
    }
    match refused {
        Some((path, errno)) => explain(&path, errno),
        None => not_found(name),
    }
}

/// Whether there is such a program, for those who want to know it before they execute it.
pub fn find(process: &Process) -> Result<()> {
    let Some(name) = process.args.first() else { return Ok(()) };
    let mut refused = None;
    for path in candidates(name, &process.env) {
        match access(&path, Access::EXEC_OK) {
            // A directory can be entered by who may execute it.
            Ok(()) if is_directory(&path) => {
                refused.get_or_insert((path, Errno::ACCESS));
            }
            Ok(()) => return Ok(()),
            Err(Errno::NOENT | Errno::NOTDIR) => {}
            Err(errno) => {
                refused.get_or_insert((path, errno));
            }
        }
    }
    Err(match refused {
        Some((path, errno)) => explain(&path, errno),
        None => not_found(name),
    })
}

fn is_directory(path: &CStr) -> bool {
    stat(path).is_ok_and(|found| FileType::from_raw_mode(found.st_mode).is_dir())
}

fn not_found(name: &CStr) -> Error {
    let name = name.to_string_lossy();
    let error = match name.contains('/') {
        true => Error::os(format_args!("exec: \"{name}\": stat {name}"), Errno::NOENT),
        false => Error::new(format_args!("exec: \"{name}\": executable file not found in $PATH")),
    };
    error.exit_code(EXIT_NOT_FOUND)
}

/// Executes servin-init from its sealed file, with the process as its charge. Returns only on failure.
pub fn execute_init(init: &OwnedFd, process: &Process) -> Error {
    let own: [&CStr; 2] = [c"servin-init", c"--"];
    let arguments = own.into_iter().map(CString::from).chain(process.args.iter().cloned()).gather();
    let errno = execveat(init, &Vector::new(arguments), &Vector::new(process.env.clone()));
    Error::os("execute servin-init", errno)
}

/// The files that may be meant: the name itself where it has a slash, else in each directory of PATH.
fn candidates(name: &CString, environment: &[CString]) -> Vec<CString> {
    if name.to_bytes().contains(&b'/') || name.is_empty() {
        return [name.clone()].to_vec();
    }
    let path = environment.iter().find_map(|variable| variable.to_bytes().strip_prefix(b"PATH="));
    let directories = path.unwrap_or(DEFAULT_PATH.as_bytes()).split(|&byte| byte == b':');
    // An empty directory means the working directory.
    let in_directory = |directory: &[u8]| {
        let separator: &[u8] = if directory.is_empty() { b"" } else { b"/" };
        CString::new([directory, separator, name.to_bytes()].concat()).ok()
    };
    directories.filter_map(in_directory).gather()
}

fn explain(path: &CStr, errno: Errno) -> Error {
    let code = if errno == Errno::NOENT { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
    let error = Error::os(format_args!("exec: \"{}\"", path.to_string_lossy()), errno).exit_code(code);
    match errno {
        Errno::NOENT => {
            let mut interpreter = servin_init::sys::path::Path::default();
            match servin_init::interpreter::missing(path, &mut interpreter) {
                Some(interpreter) => error.hint(format!(
                    "its interpreter {} is missing in the container",
                    interpreter.to_string_lossy()
                )),
                None => error,
            }
        }
        Errno::ACCESS if is_directory(path) => error.hint("it is a directory"),
        Errno::NOEXEC => error.hint("neither a program for this machine nor a script with #!"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(list: &[&str]) -> Vec<CString> {
        list.iter().map(|s| CString::new(*s).expect("no NUL")).collect()
    }

    #[test]
    fn a_name_is_looked_for_in_every_directory_of_path() {
        let name = CString::new("sh").expect("no NUL");
        assert_eq!(candidates(&name, &strings(&["A=b", "PATH=/a::/b"])), strings(&["/a/sh", "sh", "/b/sh"]));
        assert_eq!(candidates(&name, &[]).len(), 6);
        let path = CString::new("./sh").expect("no NUL");
        assert_eq!(candidates(&path, &strings(&["PATH=/a"])), strings(&["./sh"]));
    }
}
