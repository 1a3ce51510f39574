//! The probe's questions to the kernel: the only `unsafe` of this package. Each function is one call, and every
//! number that comes out of it is the kernel's own.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong};
use std::io;
use std::mem::MaybeUninit;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

/// The C library's entry, taken before std's own: std would ignore SIGPIPE, install handlers and open missing
/// descriptors, and the report would show std instead of the container.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: c_int, _argv: *const *const c_char) -> c_int {
    crate::run()
}

fn check(answer: impl Into<i64>) -> io::Result<i64> {
    match answer.into() {
        -1 => Err(io::Error::last_os_error()),
        answer => Ok(answer),
    }
}

fn zeroed<T: Copy>() -> T {
    // SAFETY: only used with the plain C structs of this file, for which all-zero bytes are a value.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn text(bytes: &[c_char]) -> String {
    let bytes: Vec<u8> = bytes.iter().map(|byte| *byte as u8).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn path(path: &str) -> io::Result<CString> {
    CString::new(path).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// Real, effective, saved and file-system user id.
pub fn uids() -> [u32; 4] {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: three valid places to write to.
    unsafe { libc::getresuid(&mut real, &mut effective, &mut saved) };
    // SAFETY: no pointers; an invalid id changes nothing and returns the present one.
    [real, effective, saved, unsafe { libc::setfsuid(u32::MAX) } as u32]
}

/// Real, effective, saved and file-system group id.
pub fn gids() -> [u32; 4] {
    let (mut real, mut effective, mut saved) = (0, 0, 0);
    // SAFETY: three valid places to write to.
    unsafe { libc::getresgid(&mut real, &mut effective, &mut saved) };
    // SAFETY: no pointers; an invalid id changes nothing and returns the present one.
    [real, effective, saved, unsafe { libc::setfsgid(u32::MAX) } as u32]
}

/// The additional groups.
pub fn groups() -> Vec<u32> {
    let mut list = [0; 1024];
    // SAFETY: the length is the array's.
    let count = unsafe { libc::getgroups(list.len() as c_int, list.as_mut_ptr()) };
    list[..count.max(0) as usize].to_vec()
}

/// The file mode creation mask.
pub fn umask() -> u32 {
    // SAFETY: no pointers; single-threaded.
    let mask = unsafe { libc::umask(0) };
    // SAFETY: as above.
    unsafe { libc::umask(mask) };
    mask
}

/// Process, parent, group and session id.
pub fn pids() -> [i32; 4] {
    // SAFETY: no pointers.
    let (group, session) = (unsafe { libc::getpgid(0) }, unsafe { libc::getsid(0) });
    [std::process::id() as i32, std::os::unix::process::parent_id() as i32, group, session]
}

/// Effective, permitted and inheritable capabilities as bits.
pub fn capabilities() -> io::Result<[u64; 3]> {
    let header: [u32; 2] = [0x2008_0522, 0];
    let mut data = [[0u32; 3]; 2];
    // SAFETY: version 3 of the call takes this header and two structs of three words.
    check(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) })?;
    Ok([0, 1, 2].map(|set| u64::from(data[0][set]) | u64::from(data[1][set]) << 32))
}

/// A `prctl` that reads: the answer, or the error.
pub fn prctl(option: c_int, argument: c_ulong, second: c_ulong) -> io::Result<i64> {
    // SAFETY: used with options that take numbers alone.
    check(unsafe { libc::prctl(option, argument, second, 0, 0) })
}

/// Soft and hard limit.
pub fn rlimit(resource: u32) -> io::Result<[u64; 2]> {
    let mut limit: libc::rlimit64 = zeroed();
    // SAFETY: the struct is the call's own.
    check(unsafe { libc::prlimit64(0, resource as _, ptr::null(), &mut limit) })?;
    Ok([limit.rlim_cur, limit.rlim_max])
}

/// The signals that are blocked.
pub fn blocked_signals() -> Vec<i32> {
    let mut set: libc::sigset_t = zeroed();
    // SAFETY: a null new set only reads the mask.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, ptr::null(), &mut set) };
    // SAFETY: the set was filled by the call above.
    (1..=64).filter(|signal| unsafe { libc::sigismember(&set, *signal) } == 1).collect()
}

/// The signals whose disposition is `handler`: `SIG_IGN`, or any handler when `None`.
pub fn signals_with(handler: Option<usize>) -> Vec<i32> {
    let handled = |signal: &i32| {
        let mut action: libc::sigaction = zeroed();
        // SAFETY: a null new action only reads the present one.
        let known = unsafe { libc::sigaction(*signal, ptr::null(), &mut action) } == 0;
        let found = action.sa_sigaction;
        known
            && match handler {
                Some(wanted) => found == wanted,
                None => found != libc::SIG_IGN && found != libc::SIG_DFL,
            }
    };
    (1..=64).filter(handled).collect()
}

/// Blocks every signal, so that [`wait_for_signal`] can take them one by one.
pub fn block_signals() {
    let mut set: libc::sigset_t = zeroed();
    // SAFETY: the set is ours.
    unsafe { libc::sigfillset(&mut set) };
    // SAFETY: the set was filled by the call above.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &set, ptr::null_mut()) };
}

/// The next blocked signal, within `seconds`.
pub fn wait_for_signal(seconds: i64) -> io::Result<i32> {
    let mut set: libc::sigset_t = zeroed();
    let limit = libc::timespec { tv_sec: seconds, tv_nsec: 0 };
    // SAFETY: the set is ours.
    unsafe { libc::sigfillset(&mut set) };
    // SAFETY: set and limit live across the call; no information is asked for.
    check(unsafe { libc::sigtimedwait(&set, ptr::null_mut(), &limit) }).map(|signal| signal as i32)
}

/// Sends a signal.
pub fn kill(pid: i32, signal: i32) -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// `fcntl` with a number as its argument.
pub fn fcntl(fd: RawFd, command: c_int, argument: c_int) -> io::Result<i64> {
    // SAFETY: used with commands that take numbers alone.
    check(unsafe { libc::fcntl(fd, command, argument) })
}

/// Host and domain name.
pub fn names() -> [String; 2] {
    let mut name: libc::utsname = zeroed();
    // SAFETY: the struct is the call's own.
    unsafe { libc::uname(&mut name) };
    [text(&name.nodename), text(&name.domainname)]
}

/// `struct sched_attr` of the kernel's first version.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Scheduling {
    size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
}

/// How the kernel schedules this process.
pub fn scheduling() -> io::Result<Scheduling> {
    let mut found: Scheduling = zeroed();
    let size = size_of::<Scheduling>();
    // SAFETY: the struct has the size that the call is told.
    check(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, &mut found, size, 0) })?;
    Ok(found)
}

/// Class and level of input and output.
pub fn io_priority() -> io::Result<(i64, i64)> {
    // SAFETY: no pointers; 1 is IOPRIO_WHO_PROCESS.
    let found = check(unsafe { libc::syscall(libc::SYS_ioprio_get, 1, 0) })?;
    Ok((found >> 13, found & 0x1fff))
}

/// The processors this process may run on.
pub fn affinity() -> io::Result<Vec<usize>> {
    let mut set: libc::cpu_set_t = zeroed();
    // SAFETY: the struct has the size that the call is told.
    check(unsafe { libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &mut set) })?;
    // SAFETY: below the set's size.
    Ok((0..libc::CPU_SETSIZE as usize).filter(|cpu| unsafe { libc::CPU_ISSET(*cpu, &set) }).collect())
}

/// The execution domain.
pub fn personality() -> io::Result<i64> {
    // SAFETY: no pointers; all ones only reads.
    check(unsafe { libc::personality(0xffff_ffff) })
}

/// Mode (with its flags) and nodes of the memory policy.
pub fn memory_policy() -> io::Result<(i32, Vec<usize>)> {
    let mut mode: c_int = 0;
    let mut nodes = [0u64; 16];
    let bits = nodes.len() * 64;
    // SAFETY: the mask has as many bits as the call is told.
    check(unsafe { libc::syscall(libc::SYS_get_mempolicy, &mut mode, nodes.as_mut_ptr(), bits, 0, 0) })?;
    Ok((mode, (0..bits).filter(|node| nodes[node / 64] >> (node % 64) & 1 == 1).collect()))
}

/// A clock in seconds.
pub fn clock(clock: libc::clockid_t) -> i64 {
    let mut time: libc::timespec = zeroed();
    // SAFETY: the struct is the call's own.
    unsafe { libc::clock_gettime(clock, &mut time) };
    time.tv_sec
}

/// Whether the descriptor is a terminal.
pub fn is_terminal(fd: RawFd) -> bool {
    // SAFETY: no pointers.
    unsafe { libc::isatty(fd) == 1 }
}

/// Rows and columns.
pub fn window_size(fd: RawFd) -> io::Result<[u16; 2]> {
    let mut size: libc::winsize = zeroed();
    // SAFETY: the struct is the request's own.
    check(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, &mut size) })?;
    Ok([size.ws_row, size.ws_col])
}

/// The terminal's name as the C library finds it below /dev.
pub fn terminal_name(fd: RawFd) -> io::Result<String> {
    let mut name = [0; 256];
    // SAFETY: the length is the array's.
    match unsafe { libc::ttyname_r(fd, name.as_mut_ptr(), name.len()) } {
        0 => Ok(text(&name)),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// The session whose controlling terminal this is, and its foreground process group.
pub fn terminal_owner(fd: RawFd) -> io::Result<[i32; 2]> {
    // SAFETY: no pointers.
    let session = check(unsafe { libc::tcgetsid(fd) })?;
    // SAFETY: no pointers.
    Ok([session as i32, check(unsafe { libc::tcgetpgrp(fd) })? as i32])
}

/// Local flags of the terminal (ECHO, ICANON, …).
pub fn terminal_flags(fd: RawFd) -> io::Result<u32> {
    let mut found: libc::termios = zeroed();
    // SAFETY: the struct is the call's own.
    check(unsafe { libc::tcgetattr(fd, &mut found) })?;
    Ok(found.c_lflag)
}

/// Waits until the descriptor can be read, or a tenth of a second has passed.
pub fn readable(fd: RawFd) -> bool {
    let mut poll = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    // SAFETY: one struct, and told so.
    unsafe { libc::poll(&mut poll, 1, 100) == 1 }
}

/// One address of one interface.
pub struct Interface {
    pub name: String,
    pub flags: u32,
    /// Empty where this entry has no IPv4 or IPv6 address.
    pub address: String,
}

/// Every interface, once for each of its addresses.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: a valid place for the list's head.
    check(unsafe { libc::getifaddrs(&mut first) })?;
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: the list ends with null, and lives until freeifaddrs.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: the name is a C string of the list.
        let name = unsafe { CStr::from_ptr(entry.ifa_name) }.to_string_lossy().into_owned();
        found.push(Interface { name, flags: entry.ifa_flags, address: address(entry.ifa_addr) });
        next = entry.ifa_next;
    }
    // SAFETY: what getifaddrs gave; nothing points into it any more.
    unsafe { libc::freeifaddrs(first) };
    Ok(found)
}

fn address(address: *const libc::sockaddr) -> String {
    // SAFETY: null, or a socket address of the list.
    match unsafe { address.as_ref() }.map(|address| i32::from(address.sa_family)) {
        Some(libc::AF_INET) => {
            // SAFETY: the family says which struct it is.
            let ip = unsafe { address.cast::<libc::sockaddr_in>().read_unaligned() };
            std::net::Ipv4Addr::from(u32::from_be(ip.sin_addr.s_addr)).to_string()
        }
        Some(libc::AF_INET6) => {
            // SAFETY: the family says which struct it is.
            let ip = unsafe { address.cast::<libc::sockaddr_in6>().read_unaligned() };
            std::net::Ipv6Addr::from(ip.sin6_addr.s6_addr).to_string()
        }
        _ => String::new(),
    }
}

/// Makes a node.
pub fn mknod(place: &str, mode: u32, major: u32, minor: u32) -> io::Result<()> {
    let place = path(place)?;
    // SAFETY: a C string.
    check(unsafe { libc::mknod(place.as_ptr(), mode, libc::makedev(major, minor)) }).map(drop)
}

/// Mounts.
pub fn mount(source: &str, target: &str, kind: &str, flags: c_ulong, data: &str) -> io::Result<()> {
    let (source, target, kind, data) = (path(source)?, path(target)?, path(kind)?, path(data)?);
    // SAFETY: four C strings.
    let answer =
        unsafe { libc::mount(source.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, data.as_ptr().cast()) };
    check(answer).map(drop)
}

/// Unmounts, lazily.
pub fn unmount(target: &str) -> io::Result<()> {
    let target = path(target)?;
    // SAFETY: a C string.
    check(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Leaves namespaces for new ones.
pub fn unshare(flags: c_int) -> io::Result<()> {
    // SAFETY: no pointers; single-threaded.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Exchanges two names at once.
pub fn exchange(one: &str, other: &str) -> io::Result<()> {
    let (one, other) = (path(one)?, path(other)?);
    let (here, how) = (libc::AT_FDCWD, libc::RENAME_EXCHANGE);
    // SAFETY: two C strings.
    let answer = unsafe { libc::syscall(libc::SYS_renameat2, here, one.as_ptr(), here, other.as_ptr(), how) };
    check(answer).map(drop)
}

/// A second process: zero in it, its pid in the first.
pub fn fork() -> io::Result<i32> {
    // SAFETY: the probe has one thread, so the child may run any code.
    check(unsafe { libc::fork() }).map(|pid| pid as i32)
}

/// A session of its own.
pub fn setsid() -> io::Result<()> {
    // SAFETY: no pointers.
    check(unsafe { libc::setsid() }).map(drop)
}

/// Collects a child: its pid and its raw status.
pub fn wait(pid: i32) -> io::Result<(i32, i32)> {
    let mut status = 0;
    // SAFETY: a valid place for the status.
    let pid = check(unsafe { libc::waitpid(pid, &mut status, 0) })?;
    Ok((pid as i32, status))
}

/// Ends at once, without anything that the C library does at exit.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: does not return.
    unsafe { libc::_exit(code) }
}

/// A stream of SCTP that listens at a place, or is connected to one.
pub fn sctp(place: &SocketAddr, listens: bool) -> io::Result<OwnedFd> {
    let family = if place.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no pointers.
    let made = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 132) })?;
    // SAFETY: the kernel has just made it, and nobody else has it.
    let socket = unsafe { OwnedFd::from_raw_fd(made as RawFd) };
    // struct sockaddr_in, or struct sockaddr_in6.
    let mut bytes = vec![0; 2];
    bytes[..2].copy_from_slice(&(family as u16).to_ne_bytes());
    bytes.extend(place.port().to_be_bytes());
    match place.ip() {
        IpAddr::V4(address) => bytes.extend([&address.octets()[..], &[0; 8]].concat()),
        IpAddr::V6(address) => bytes.extend([&[0; 4], &address.octets()[..], &[0; 4]].concat()),
    }
    let (address, length) = (bytes.as_ptr().cast::<libc::sockaddr>(), bytes.len() as libc::socklen_t);
    let (raw, patience) = (socket.as_raw_fd(), libc::timeval { tv_sec: 2, tv_usec: 0 });
    if listens {
        // SAFETY: an address and its length; the kernel copies it, however it is aligned.
        check(unsafe { libc::bind(raw, address, length) })?;
        // SAFETY: no pointers.
        check(unsafe { libc::listen(raw, 16) })?;
    } else {
        let size = size_of::<libc::timeval>() as libc::socklen_t;
        // SAFETY: a time and its length.
        check(unsafe {
            libc::setsockopt(raw, libc::SOL_SOCKET, libc::SO_SNDTIMEO, (&raw const patience).cast(), size)
        })?;
        // SAFETY: as above.
        check(unsafe { libc::connect(raw, address, length) })?;
    }
    Ok(socket)
}

/// Installs a seccomp filter on this process, kept over execve.
pub fn filter(program: &mut [libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: the program lives across the call, and has the length that it says. Flags 0 needs CAP_SYS_ADMIN or
    // no_new_privs, and says EACCES otherwise.
    let answer: c_long =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &program) };
    check(answer).map(drop)
}
