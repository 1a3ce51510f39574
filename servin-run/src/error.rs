//! The one error type. Its text reads from the step outward: what was being done to what, what the kernel
//! answered in words, and what the reader can do about it.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::{String, ToString};
use core::fmt;

use rustix::io::Errno;

/// What every fallible operation of this crate returns.
pub type Result<T> = core::result::Result<T, Error>;

/// Why an operation failed. One pointer, so that what succeeds pays little for it.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

#[derive(Debug, Clone)]
struct Inner {
    step: String,
    errno: Option<Errno>,
    hint: Option<Cow<'static, str>>,
    exit_code: u8,
}

/// Servin itself failed (Docker's convention).
pub const EXIT_SERVIN_FAILED: u8 = 125;
/// The program was found and could not be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// The program was not found.
pub const EXIT_NOT_FOUND: u8 = 127;

impl Error {
    /// A failure that Servin found out by itself: bad input, an unsupported field.
    pub fn new(text: impl fmt::Display) -> Self {
        Error::build(&text, None)
    }

    /// The kernel refused `step`, which is said as "mount proc on /proc".
    pub fn os(step: impl fmt::Display, errno: Errno) -> Self {
        Error::build(&step, Some(errno))
    }

    #[cold]
    #[inline(never)]
    fn build(step: &dyn fmt::Display, errno: Option<Errno>) -> Self {
        Error(Box::new(Inner { step: step.to_string(), errno, hint: None, exit_code: EXIT_SERVIN_FAILED }))
    }

    /// Adds the likely cause, or what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Makes the program end with another code than 125.
    #[must_use]
    pub fn exit_code(mut self, code: u8) -> Self {
        self.0.exit_code = code;
        self
    }

    /// Puts what was being done around the error: `prefix: error`.
    #[must_use]
    pub fn within(self, prefix: impl fmt::Display) -> Self {
        self.prefixed(&prefix)
    }

    #[cold]
    #[inline(never)]
    fn prefixed(mut self, prefix: &dyn fmt::Display) -> Self {
        self.0.step = alloc::format!("{prefix}: {}", self.0.step);
        self
    }

    /// What the program's exit code is to be.
    pub fn code(&self) -> u8 {
        self.0.exit_code
    }

    /// What was being done, the kernel's answer, and the hint, to be said elsewhere.
    pub fn parts(&self) -> (&str, Option<Errno>, &str) {
        (&self.0.step, self.0.errno, self.0.hint.as_deref().unwrap_or_default())
    }

    /// The kernel's answer, where it was the kernel that refused.
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.step)?;
        if let Some(errno) = self.0.errno {
            write!(f, ": {}", Words(errno))?;
        }
        match &self.0.hint {
            Some(hint) => write!(f, ": {hint}"),
            None => Ok(()),
        }
    }
}

/// Turns the kernel's answer to a call into an [`Error`] that says the step.
pub trait Step<T> {
    /// `step` is only put into words when the call failed.
    fn step<D: fmt::Display>(self, step: impl FnOnce() -> D) -> Result<T>;
}

impl<T> Step<T> for rustix::io::Result<T> {
    fn step<D: fmt::Display>(self, step: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|errno| Error::os(step(), errno))
    }
}

/// An error number in words, its name behind: `operation not permitted (EPERM)`.
pub struct Words(pub Errno);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ERRNOS.iter().find(|(errno, ..)| *errno == self.0) {
            Some((_, name, words)) => write!(f, "{words} ({name})"),
            None => write!(f, "error {}", self.0.raw_os_error()),
        }
    }
}

/// What a container runtime meets, in the wording that engines look for (runc's, which is Go's and glibc's in
/// small letters).
#[rustfmt::skip]
const ERRNOS: &[(Errno, &str, &str)] = &[
    (Errno::PERM,         "EPERM",         "operation not permitted"),
    (Errno::NOENT,        "ENOENT",        "no such file or directory"),
    (Errno::SRCH,         "ESRCH",         "no such process"),
    (Errno::INTR,         "EINTR",         "interrupted system call"),
    (Errno::IO,           "EIO",           "input/output error"),
    (Errno::NXIO,         "ENXIO",         "no such device or address"),
    (Errno::TOOBIG,       "E2BIG",         "argument list too long"),
    (Errno::NOEXEC,       "ENOEXEC",       "exec format error"),
    (Errno::BADF,         "EBADF",         "bad file descriptor"),
    (Errno::CHILD,        "ECHILD",        "no child processes"),
    (Errno::AGAIN,        "EAGAIN",        "resource temporarily unavailable"),
    (Errno::NOMEM,        "ENOMEM",        "cannot allocate memory"),
    (Errno::ACCESS,       "EACCES",        "permission denied"),
    (Errno::FAULT,        "EFAULT",        "bad address"),
    (Errno::BUSY,         "EBUSY",         "device or resource busy"),
    (Errno::EXIST,        "EEXIST",        "file exists"),
    (Errno::XDEV,         "EXDEV",         "invalid cross-device link"),
    (Errno::NODEV,        "ENODEV",        "no such device"),
    (Errno::NOTDIR,       "ENOTDIR",       "not a directory"),
    (Errno::ISDIR,        "EISDIR",        "is a directory"),
    (Errno::INVAL,        "EINVAL",        "invalid argument"),
    (Errno::NFILE,        "ENFILE",        "too many open files in system"),
    (Errno::MFILE,        "EMFILE",        "too many open files"),
    (Errno::NOTTY,        "ENOTTY",        "inappropriate ioctl for device"),
    (Errno::TXTBSY,       "ETXTBSY",       "text file busy"),
    (Errno::FBIG,         "EFBIG",         "file too large"),
    (Errno::NOSPC,        "ENOSPC",        "no space left on device"),
    (Errno::SPIPE,        "ESPIPE",        "illegal seek"),
    (Errno::ROFS,         "EROFS",         "read-only file system"),
    (Errno::MLINK,        "EMLINK",        "too many links"),
    (Errno::PIPE,         "EPIPE",         "broken pipe"),
    (Errno::RANGE,        "ERANGE",        "numerical result out of range"),
    (Errno::NAMETOOLONG,  "ENAMETOOLONG",  "file name too long"),
    (Errno::NOSYS,        "ENOSYS",        "function not implemented"),
    (Errno::NOTEMPTY,     "ENOTEMPTY",     "directory not empty"),
    (Errno::LOOP,         "ELOOP",         "too many levels of symbolic links"),
    (Errno::NODATA,       "ENODATA",       "no data available"),
    (Errno::OVERFLOW,     "EOVERFLOW",     "value too large for defined data type"),
    (Errno::LIBBAD,       "ELIBBAD",       "accessing a corrupted shared library"),
    (Errno::ILSEQ,        "EILSEQ",        "invalid or incomplete multibyte or wide character"),
    (Errno::USERS,        "EUSERS",        "too many users"),
    (Errno::MSGSIZE,      "EMSGSIZE",      "message too long"),
    (Errno::OPNOTSUPP,    "EOPNOTSUPP",    "operation not supported"),
    (Errno::AFNOSUPPORT,  "EAFNOSUPPORT",  "address family not supported by protocol"),
    (Errno::ADDRINUSE,    "EADDRINUSE",    "address already in use"),
    (Errno::ADDRNOTAVAIL, "EADDRNOTAVAIL", "cannot assign requested address"),
    (Errno::NETUNREACH,   "ENETUNREACH",   "network is unreachable"),
    (Errno::CONNABORTED,  "ECONNABORTED",  "software caused connection abort"),
    (Errno::CONNRESET,    "ECONNRESET",    "connection reset by peer"),
    (Errno::NOBUFS,       "ENOBUFS",       "no buffer space available"),
    (Errno::HOSTUNREACH,  "EHOSTUNREACH",  "no route to host"),
    (Errno::CONNREFUSED,  "ECONNREFUSED",  "connection refused"),
    (Errno::TIMEDOUT,     "ETIMEDOUT",     "connection timed out"),
    (Errno::STALE,        "ESTALE",        "stale file handle"),
    (Errno::PROTO,        "EPROTO",        "protocol error"),
    (Errno::CANCELED,     "ECANCELED",     "operation canceled"),
    (Errno::UCLEAN,       "EUCLEAN",       "structure needs cleaning"),
    (Errno::NOTBLK,       "ENOTBLK",       "block device required"),
    (Errno::DQUOT,        "EDQUOT",        "disk quota exceeded"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_from_the_step_outward() {
        let error = Error::os("mount proc on /proc", Errno::PERM).hint("is this a user namespace?");
        assert_eq!(
            error.to_string(),
            "mount proc on /proc: operation not permitted (EPERM): is this a user namespace?"
        );
        assert_eq!(
            Error::new("config.json: root.path is missing").to_string(),
            "config.json: root.path is missing"
        );
    }

    #[test]
    fn an_unknown_number_is_still_shown() {
        assert_eq!(Words(Errno::from_raw_os_error(4000)).to_string(), "error 4000");
    }
}
