//! execve(2) and execveat(2).

use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use core::ffi::{CStr, c_char};
use core::ptr;

use linux_raw_sys::general::{__NR_execve, __NR_execveat, AT_EMPTY_PATH};
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;
use servin_init::sys::start::Arguments;
use servin_init::syscall;

/// An argument vector or environment in the kernel's form: pointers, then a null.
pub struct Vector {
    /// Keeps what `pointers` points to alive.
    _strings: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Vector {
    /// Takes the strings, in order.
    pub fn new(strings: Vec<CString>) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([ptr::null()]).collect();
        Vector { _strings: strings, pointers }
    }
}

/// Replaces the program by the file at `path`. Returns only on failure.
pub fn execve(path: &CStr, arguments: &Vector, environment: &Vector) -> Errno {
    let (argv, envp) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: all three end as the kernel expects, and live until the call is over.
    refused(unsafe { syscall!(__NR_execve, path.as_ptr(), argv, envp) })
}

/// Replaces the program by the open file `program`, which may be close-on-exec. Returns only on failure.
pub fn execveat(program: impl AsFd, arguments: &Vector, environment: &Vector) -> Errno {
    let (argv, envp) = (arguments.pointers.as_ptr(), environment.pointers.as_ptr());
    // SAFETY: both vectors end as the kernel expects, and live until the call is over.
    unsafe { execveat_raw(program, argv, envp) }
}

/// As [`execveat`], with the very arguments and environment that this process was started with.
pub fn execveat_original(program: impl AsFd, original: Arguments) -> Errno {
    // SAFETY: the kernel itself laid these arrays out, and nobody has changed them.
    unsafe { execveat_raw(program, original.argv(), original.envp()) }
}

/// By execveat(2), or where a filter knows no such call through the descriptor's path.
///
/// # Safety
/// Both arrays are of pointers to C strings, with a null at their end.
unsafe fn execveat_raw(program: impl AsFd, argv: *const *const c_char, envp: *const *const c_char) -> Errno {
    let descriptor = program.as_fd().as_raw_fd();
    // SAFETY: the empty path ends with a NUL; the caller vouches for the arrays.
    let returned = unsafe { syscall!(__NR_execveat, descriptor, c"".as_ptr(), argv, envp, AT_EMPTY_PATH) };
    match refused(returned) {
        Errno::NOSYS => {
            let path = CString::new(format!("/proc/self/fd/{descriptor}")).unwrap_or_default();
            // SAFETY: the path ends with a NUL; the caller vouches for the arrays.
            refused(unsafe { syscall!(__NR_execve, path.as_ptr(), argv, envp) })
        }
        errno => errno,
    }
}

fn refused(returned: rustix::io::Result<usize>) -> Errno {
    match returned {
        Err(errno) => errno,
        Ok(_) => Errno::NOSYS,
    }
}
