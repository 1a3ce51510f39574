//! slirp4netns(1), which connects what an unprivileged user has started: a child of the supervisor, which it does not
//! outlive. It is told of published ports over a socket of its own.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use rustix::event::Timespec;
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, MemfdFlags, Mode, OFlags, memfd_create, unlink};
use rustix::io::{self, Errno, FdFlags, fcntl_setfd, read, write};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, set_parent_process_death_signal, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::thread::nanosleep;

use crate::error::{Error, Result, Step};
use crate::fs::descriptors::close_on_exec_from;
use crate::fs::whole::write_whole;
use crate::fs::{read_text, read_to_end};
use crate::gather::Gather as _;
use crate::network::unprivileged::{PID, slirp, slirp_port};
use crate::network::{Places, Wish};
use crate::sys::clone::{CloneFlags, Cloned, clone3};
use crate::sys::exec::{Vector, execve};
use crate::sys::path::openat;
use crate::sys::signal::{self, SignalSet};

/// Its socket, in the bundle.
const SOCKET: &str = "slirp4netns.sock";
/// How often, a hundredth of a second apart, that is looked for: it is made after the network is.
const TRIES: u32 = 500;

/// Starts it for the namespaces of a process, and waits until it works. After a failure it does not run.
pub fn start(places: &Places, id: &str, wish: &Wish, path: &str, pid: Pid) -> Result<()> {
    let (ready, inside) = pipe_with(PipeFlags::CLOEXEC).step(|| "make a pipe")?;
    // What it says, for nobody to read but us; a pipe would keep it from going on when we have gone.
    let said = memfd_create("slirp4netns", MemfdFlags::CLOEXEC).step(|| "make a file in memory")?;
    // The longest path of a socket has 107 bytes (unix(7)), fewer than a bundle's may have.
    let bundle = places.file(id, "");
    let directory = openat(CWD, &*bundle, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .step(|| format!("open {bundle}"))?;
    let socket = format!("/proc/self/fd/{}/{SOCKET}", directory.as_raw_fd());
    let _ = unlink(&*socket);
    let given = Some(socket.as_str()).filter(|_| !wish.publish.is_empty());
    let arguments = slirp(pid.as_raw_nonzero().get(), inside.as_raw_fd(), given);
    let child = match clone3(CloneFlags::empty(), None).step(|| "create a process")? {
        Cloned::Child { .. } => {
            let error = become_it(path, &arguments, &said, [&inside, &directory]);
            let _ = write(&said, format!("{error}").as_bytes());
            servin_init::sys::process::exit(1)
        }
        Cloned::Parent(child) => child,
    };
    drop(inside);
    let works = || {
        let mut byte = [0];
        match io::retry_on_intr(|| read(&ready, &mut byte)).step(|| "wait for it")? {
            0 => Err(Error::new(last_words(&said))),
            _ => Ok(()),
        }
    };
    let file = places.file(id, PID);
    let done = write_whole(CWD, &file, &format!("{}\n", child.as_raw_nonzero()), 0o600)
        .step(|| format!("write {file}"))
        .and_then(|()| works())
        .and_then(|()| wish.publish.iter().try_for_each(|publish| tell(&socket, &slirp_port(publish))));
    let _ = unlink(&*socket);
    if done.is_err() {
        let _ = kill_process(child, Signal::KILL);
        let _ = io::retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
        let _ = unlink(&*file);
    }
    done
}

fn become_it(path: &str, arguments: &[String], said: &OwnedFd, kept: [&OwnedFd; 2]) -> Error {
    let prepare = || {
        set_parent_process_death_signal(Some(Signal::KILL)).step(|| "have it end with its supervisor")?;
        let null = openat(CWD, c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        null.and_then(dup2_stdin).step(|| "open /dev/null")?;
        dup2_stdout(said).and_then(|()| dup2_stderr(said)).step(|| "redirect its output")?;
        close_on_exec_from(3)?;
        let keep = |descriptor: &&OwnedFd| fcntl_setfd(descriptor, FdFlags::empty());
        kept.iter().try_for_each(keep).step(|| "hand descriptors over")?;
        signal::reset_dispositions();
        signal::set_mask(SignalSet::EMPTY).step(|| "restore the signal mask")
    };
    let text = |text: &str| CString::new(text).unwrap_or_default();
    match prepare() {
        Ok(_) => {
            let arguments: Vec<CString> = arguments.iter().map(|argument| text(argument)).gather();
            Error::os("exec", execve(&text(path), &Vector::new(arguments), &Vector::new(Vec::new())))
        }
        Err(error) => error,
    }
}

/// The last line of what it said.
fn last_words(said: &OwnedFd) -> String {
    let text = read_text(&format!("/proc/self/fd/{}", said.as_raw_fd())).unwrap_or_default();
    text.lines().last().unwrap_or("it ended and said nothing").into()
}

/// Has it carry out a request: one a connection.
fn tell(path: &str, request: &str) -> Result<()> {
    let address = SocketAddrUnix::new(path).step(|| "name its socket")?;
    let mut tries = TRIES;
    let socket = loop {
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .step(|| "make a socket")?;
        match connect(&socket, &address) {
            Err(Errno::NOENT | Errno::CONNREFUSED) if tries > 0 => {
                tries -= 1;
                let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 });
            }
            other => break other.step(|| "connect to its socket").map(|()| socket)?,
        }
    };
    io::retry_on_intr(|| write(&socket, request.as_bytes())).step(|| "speak to it")?;
    let answer = read_to_end(&socket).step(|| "hear its answer")?;
    match String::from_utf8_lossy(&answer) {
        answer if answer.contains("\"error\"") => {
            Err(Error::new(format_args!("{request}: {}", answer.trim())))
        }
        _ => Ok(()),
    }
}
