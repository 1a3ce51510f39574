//! The harness's own questions to the kernel: the only `unsafe` of this package.
#![allow(unsafe_code)]

use std::ffi::{CString, c_int, c_ulong};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::time::Duration;

use crate::places::SCRATCH;

fn check(answer: c_int) -> io::Result<c_int> {
    match answer {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: only used with plain C structs, for which all-zero bytes are a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Starts the command as PID 1 of new namespaces, in a session of its own, killed with whoever started it.
pub(crate) fn give_own_namespaces(command: &mut Command, cgroup: Option<[CString; 2]>) {
    // SAFETY: between fork and execve, single-threaded, and only system calls are made.
    unsafe { command.pre_exec(move || enter_own_namespaces(cgroup.as_ref())) };
}

/// Moves this process into a cgroup.
fn enter_cgroup(procs: &CString) -> io::Result<()> {
    // SAFETY: a C string.
    let file = check(unsafe { libc::open(procs.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC) })?;
    // SAFETY: a descriptor of our own, and one byte.
    match unsafe { libc::write(file, c"0".as_ptr().cast(), 1) } {
        1 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn enter_own_namespaces(cgroup: Option<&[CString; 2]>) -> io::Result<()> {
    if let Some([root, leaf]) = cgroup {
        enter_cgroup(root)?;
        // SAFETY: no pointers.
        check(unsafe { libc::unshare(libc::CLONE_NEWCGROUP) })?;
        enter_cgroup(leaf)?;
    }
    let flags =
        libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWNET | libc::CLONE_NEWIPC | libc::CLONE_NEWUTS;
    // SAFETY: no pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::unshare(flags) })?;
    // Only a child is in the new PID namespace; this process stays outside, to pass the code on.
    // SAFETY: single-threaded here.
    match check(unsafe { libc::fork() })? {
        0 => {
            // SAFETY: no pointers.
            check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) })?;
            // SAFETY: no pointers.
            check(unsafe { libc::setsid() })?;
            Ok(())
        }
        child => {
            // Else whoever reads what the test says would wait for this process too, and `spawn` for its execve.
            // SAFETY: nothing here uses a descriptor any more.
            unsafe { libc::syscall(libc::SYS_close_range, 0, u32::MAX, 0) };
            let mut status = 0;
            // SAFETY: a valid place for the status.
            unsafe { libc::waitpid(child, &mut status, 0) };
            let code = if libc::WIFEXITED(status) {
                libc::WEXITSTATUS(status)
            } else {
                128 + libc::WTERMSIG(status)
            };
            // SAFETY: does not return.
            unsafe { libc::_exit(code) }
        }
    }
}

fn mount(source: &str, target: &str, kind: &str, flags: c_ulong, data: &str) -> io::Result<()> {
    let text = |text: &str| CString::new(text).expect("no zero byte in a test's path");
    let (source, target, kind, data) = (text(source), text(target), text(kind), text(data));
    // SAFETY: four C strings.
    let answer =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    check(answer).map(drop)
}

/// Mounts a file system.
pub fn file_system(kind: &str, source: &str, target: &str, data: &str) -> io::Result<()> {
    mount(source, target, kind, 0, data)
}

/// Mounts a tmpfs.
pub fn tmpfs(target: &str) -> io::Result<()> {
    mount("tmpfs", target, "tmpfs", 0, "mode=755")
}

/// Binds one path to another, with what is mounted below it.
pub fn bind(source: &str, target: &str) -> io::Result<()> {
    mount(source, target, "", libc::MS_BIND | libc::MS_REC, "")
}

/// Changes the flags of a mount.
pub fn mount_flags(target: &str, flags: c_ulong) -> io::Result<()> {
    mount("", target, "", libc::MS_REMOUNT | libc::MS_BIND | flags, "")
}

/// Changes the propagation of one mount.
pub(crate) fn propagation(target: &str, flag: c_ulong) -> io::Result<()> {
    mount("", target, "", flag, "")
}

/// No mount of this namespace reaches another one.
pub(crate) fn make_private() {
    mount("", "/", "", libc::MS_REC | libc::MS_PRIVATE, "").expect("make all mounts private");
}

/// Unmounts.
pub fn unmount(target: &str) -> io::Result<()> {
    let target = CString::new(target).expect("no zero byte in a test's path");
    // SAFETY: a C string.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Works in the test's own tmpfs from here on.
pub(crate) fn stay_in_scratch() {
    std::env::set_current_dir(SCRATCH).expect("go to the test's own tmpfs");
}

/// Whether the kernel maps ids on a mount of the tests' own file system (tmpfs: since 6.3).
pub fn idmapped_mounts_work() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 3)
}

/// Brings `lo` of the test's own network namespace up.
pub fn bring_up_loopback() -> io::Result<()> {
    // SAFETY: no pointers.
    let socket = check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: just opened, and nobody else's.
    let socket = unsafe { File::from_raw_fd(socket) };
    let mut request: libc::ifreq = zeroed();
    request.ifr_name[0] = b'l' as _;
    request.ifr_name[1] = b'o' as _;
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
    // SAFETY: the struct is the request's own.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) }).map(drop)
}

/// Makes processes whose parents have ended children of this one.
pub(crate) fn adopt_orphans() {
    // SAFETY: the call takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).expect("become a subreaper");
}

/// Sends a signal.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Lets a process have no more descriptors than that.
pub fn limit_descriptors(pid: i32, most: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: most as _, rlim_max: most as _ };
    // SAFETY: one struct to be read, and none to be written.
    check(unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, ptr::null_mut()) }).map(drop)
}

/// Sends a signal to a process group.
pub fn kill_group(group: i32, signal: i32) -> io::Result<()> {
    kill(-group, signal)
}

/// Collects every child that ended: orphans, since the test is PID 1 of its namespace.
pub(crate) fn reap() {
    // SAFETY: no status is asked for.
    while unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } > 0 {}
}

/// Lets whatever is started from now on inherit the descriptor, as a careless caller would.
pub fn set_descriptor_inherited(file: &File) {
    // SAFETY: no pointers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) }).expect("change a descriptor's flags");
}

/// What a caller may hand to Servin without meaning to.
#[derive(Default, Clone)]
pub struct Given {
    /// Signals that are ignored.
    pub ignored: Vec<i32>,
    /// Signals that are blocked.
    pub blocked: Vec<i32>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// Descriptors to close: 0, 1 or 2.
    pub closed: Vec<i32>,
    /// Soft and hard limit by number.
    pub limits: Vec<(u32, u64, u64)>,
    /// A capability by number that not even root gets any more.
    pub lacking: Option<u32>,
    /// User and group to run as, without any capability.
    pub user: Option<u32>,
}

impl Given {
    /// Starts the command like this.
    pub fn to(&self, command: &mut Command) {
        let given = self.clone();
        // SAFETY: between fork and execve, single-threaded, and only system calls are made.
        unsafe { command.pre_exec(move || given.apply()) };
    }

    fn apply(&self) -> io::Result<()> {
        for signal in &self.ignored {
            // SAFETY: SIG_IGN is a disposition.
            unsafe { libc::signal(*signal, libc::SIG_IGN) };
        }
        let mut set: libc::sigset_t = zeroed();
        for signal in &self.blocked {
            // SAFETY: the set is ours.
            unsafe { libc::sigaddset(&mut set, *signal) };
        }
        // SAFETY: the set lives across the call.
        check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut()) })?;
        if let Some(mask) = self.umask {
            // SAFETY: no pointers.
            unsafe { libc::umask(mask) };
        }
        for (resource, soft, hard) in &self.limits {
            let limit = libc::rlimit { rlim_cur: *soft, rlim_max: *hard };
            // SAFETY: the struct is the call's own.
            check(unsafe { libc::setrlimit(*resource as _, &limit) })?;
        }
        for fd in &self.closed {
            // SAFETY: std does not use it between here and execve.
            unsafe { libc::close(*fd) };
        }
        if let Some(capability) = self.lacking {
            // SAFETY: no pointers.
            check(unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) })?;
        }
        if let Some(user) = self.user {
            // SAFETY: an empty list.
            check(unsafe { libc::setgroups(0, ptr::null()) })?;
            // SAFETY: no pointers.
            check(unsafe { libc::setresgid(user, user, user) })?;
            // SAFETY: no pointers.
            check(unsafe { libc::setresuid(user, user, user) })?;
        }
        Ok(())
    }
}

/// Both ends of a new pty.
pub(crate) fn open_terminal() -> io::Result<(File, File)> {
    let (mut master, mut slave) = (0, 0);
    // SAFETY: two valid places; no name, settings or size are asked for.
    check(unsafe { libc::openpty(&mut master, &mut slave, ptr::null_mut(), ptr::null(), ptr::null()) })?;
    for fd in [master, slave] {
        // SAFETY: no pointers.
        check(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) })?;
    }
    // SAFETY: just opened, and nobody else's.
    let (master, slave) = (unsafe { File::from_raw_fd(master) }, unsafe { File::from_raw_fd(slave) });
    Ok((master, slave))
}

/// Starts the command as the leader of a session whose terminal is its standard input.
pub(crate) fn give_terminal(command: &mut Command) {
    let enter = || {
        // SAFETY: no pointers.
        check(unsafe { libc::setsid() })?;
        // SAFETY: no pointers.
        check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(drop)
    };
    // SAFETY: between fork and execve, single-threaded, and only system calls are made.
    unsafe { command.pre_exec(enter) };
}

pub(crate) fn set_window_size(terminal: &File, rows: u16, columns: u16) -> io::Result<()> {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the struct is the request's own.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &size) }).map(drop)
}

pub(crate) fn window_size(terminal: &File) -> io::Result<(u16, u16)> {
    let mut size: libc::winsize = zeroed();
    // SAFETY: the struct is the request's own.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCGWINSZ, &mut size) })?;
    Ok((size.ws_row, size.ws_col))
}

fn settings(terminal: &File) -> io::Result<libc::termios> {
    let mut found: libc::termios = zeroed();
    // SAFETY: the struct is the call's own.
    check(unsafe { libc::tcgetattr(terminal.as_raw_fd(), &mut found) })?;
    Ok(found)
}

pub(crate) fn terminal_settings(terminal: &File) -> io::Result<String> {
    let found = settings(terminal)?;
    Ok(format!(
        "{:o} {:o} {:o} {:o} {:?}",
        found.c_iflag, found.c_oflag, found.c_cflag, found.c_lflag, found.c_cc
    ))
}

pub(crate) fn is_raw(terminal: &File) -> io::Result<bool> {
    Ok(settings(terminal)?.c_lflag & (libc::ECHO | libc::ICANON | libc::ISIG) == 0)
}

pub(crate) fn readable(file: &File, limit: Duration) -> bool {
    let mut poll = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    // SAFETY: one struct, and told so.
    unsafe { libc::poll(&mut poll, 1, limit.as_millis() as c_int) == 1 && poll.revents & libc::POLLIN != 0 }
}

/// Waits for the end of an orphan, which is our child because we are PID 1; its exit code, or 128+N.
#[track_caller]
pub fn reap_one(pid: i32) -> i32 {
    let mut status = 0;
    // SAFETY: the pointer is to an integer of ours.
    let waited = check(unsafe { libc::waitpid(pid, &raw mut status, 0) }).expect("wait for an orphan");
    assert_eq!(waited, pid);
    if libc::WIFSIGNALED(status) { 128 + libc::WTERMSIG(status) } else { libc::WEXITSTATUS(status) }
}

/// The processor's time that all children took which were waited for.
pub fn time_of_children() -> Duration {
    // SAFETY: all zeros are a valid value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct of ours.
    check(unsafe { libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage) }).expect("ask for resources used");
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec as u64) + Duration::from_micros(time.tv_usec as u64)
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Receives a message, and the descriptor that comes with its first bytes (unix(7), SCM_RIGHTS).
pub fn receive_descriptor(socket: &UnixStream) -> (String, OwnedFd) {
    let mut bytes = [0u8; 65536];
    // Room for one header and one descriptor, aligned as the header must be.
    let mut control = [0u64; 4];
    let mut part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    let mut message: libc::msghdr = zeroed();
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control) as _;
    // SAFETY: the header points to buffers of ours with their lengths.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
    assert!(length > 0, "receive: {}", io::Error::last_os_error());
    // SAFETY: the kernel has filled the header in.
    let header = unsafe { libc::CMSG_FIRSTHDR(&raw const message) };
    assert!(!header.is_null(), "no descriptor came with {:?}", &bytes[..length as usize]);
    // SAFETY: the one control message that there is room for is of one descriptor, which is now ours.
    let descriptor = unsafe { OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()) };
    (String::from_utf8_lossy(&bytes[..length as usize]).into_owned(), descriptor)
}
