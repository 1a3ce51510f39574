//! New processes and namespaces: clone3(2), and clone(2) for kernels (or filters) without it; unshare(2), setns(2).

use core::ptr::{NonNull, null_mut};
use core::sync::atomic::{AtomicI32, Ordering};

use linux_raw_sys::general::{
    __NR_clone, __NR_clone3, __NR_setns, __NR_unshare, CLONE_PARENT_SETTID, SIGCHLD, clone_args,
};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd};
use rustix::io::{self, Errno};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rustix::process::Pid;
use servin_init::syscall;

/// The child is born in the cgroup whose directory the struct names (linux/sched.h, since Linux 5.7).
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

bitflags::bitflags! {
    /// Which namespaces the child gets of its own, and whose child it is (clone(2)).
    ///
    /// Flags that share memory, and so would need a stack, are left out: the child is a copy.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct CloneFlags: u64 {
        /// A new time namespace, in which the child is born.
        const NEWTIME = 0x0000_0080;
        /// The caller's parent becomes the child's parent.
        const PARENT = 0x0000_8000;
        /// A new mount namespace.
        const NEWNS = 0x0002_0000;
        /// A new cgroup namespace, rooted at the caller's cgroup.
        const NEWCGROUP = 0x0200_0000;
        /// A new UTS namespace.
        const NEWUTS = 0x0400_0000;
        /// A new IPC namespace.
        const NEWIPC = 0x0800_0000;
        /// A new user namespace, which owns the other new ones.
        const NEWUSER = 0x1000_0000;
        /// A new PID namespace, in which the child is PID 1.
        const NEWPID = 0x2000_0000;
        /// A new network namespace.
        const NEWNET = 0x4000_0000;
    }
}

/// The two sides of a clone.
pub enum Cloned {
    /// The caller, who learns the child's pid.
    Parent(Pid),
    /// The new process.
    Child {
        /// It was asked to be born in a cgroup, and this kernel cannot do that.
        misplaced: bool,
    },
}

/// Where the kernel notes down the pid of a new process before that does anything, for all copies of the process that
/// made this: whoever makes the new process may be killed before it could tell.
pub struct Register(NonNull<AtomicI32>);

impl Register {
    /// An empty one, in memory that copies of this process share with it (mmap(2), MAP_SHARED).
    pub fn new() -> io::Result<Register> {
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a mapping at an address of the kernel's choice touches nothing that exists.
        let memory = unsafe { mmap_anonymous(null_mut(), size_of::<AtomicI32>(), access, MapFlags::SHARED) }?;
        NonNull::new(memory.cast()).map(Register).ok_or(Errno::NOMEM)
    }

    /// The pid in it, if there is one yet.
    pub fn pid(&self) -> Option<Pid> {
        // SAFETY: mapped as long as this value lives, and zeroed by the kernel.
        Pid::from_raw(unsafe { self.0.as_ref() }.load(Ordering::Acquire))
    }
}

impl Drop for Register {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nothing of it is lent any more.
        let _ = unsafe { munmap(self.0.as_ptr().cast(), size_of::<AtomicI32>()) };
    }
}

/// Copies this process into a new one in new namespaces, and in the cgroup `cgroup` (its directory) where one is
/// given; before Linux 5.7 the new process has to move there itself.
///
/// Safe, other than fork in a program with threads: this program has one thread and no libc whose state the
/// copy could find locked.
pub fn clone3(flags: CloneFlags, cgroup: Option<BorrowedFd<'_>>) -> io::Result<Cloned> {
    clone3_registered(flags, cgroup, None)
}

/// As [`clone3`], and with the pid noted down in `register`, as this process's own PID namespace has it.
pub fn clone3_registered(
    flags: CloneFlags,
    cgroup: Option<BorrowedFd<'_>>,
    register: Option<&Register>,
) -> io::Result<Cloned> {
    // With CLONE_PARENT the child takes the caller's own exit signal, and naming one is an error.
    let exit_signal = if flags.contains(CloneFlags::PARENT) { 0 } else { u64::from(SIGCHLD) };
    // SAFETY: all-zero is the documented "not used" of every field.
    let mut arguments: clone_args = unsafe { core::mem::zeroed() };
    arguments.flags = flags.bits();
    arguments.exit_signal = exit_signal;
    if let Some(register) = register {
        arguments.flags |= u64::from(CLONE_PARENT_SETTID);
        arguments.parent_tid = register.0.addr().get() as u64;
    }
    if let Some(directory) = cgroup {
        arguments.flags |= CLONE_INTO_CGROUP;
        arguments.cgroup = directory.as_raw_fd() as u64;
    }
    // SAFETY: the kernel reads `size_of` bytes of the struct, and writes to the register, which outlives the call; without
    // CLONE_VM the child has its own memory.
    let returned = unsafe { syscall!(__NR_clone3, &raw const arguments, size_of::<clone_args>()) };
    match returned {
        // Container engines' own seccomp profiles answer ENOSYS too, since they cannot look into the struct.
        Err(Errno::NOSYS) => clone(flags, exit_signal, cgroup.is_some(), register),
        // An unknown flag, or a struct longer than the kernel's.
        Err(Errno::INVAL | Errno::TOOBIG) if cgroup.is_some() => {
            match clone3_registered(flags, None, register)? {
                Cloned::Child { .. } => Ok(Cloned::Child { misplaced: true }),
                parent => Ok(parent),
            }
        }
        _ => side(returned, false),
    }
}

/// The older call, in whose flags CLONE_NEWTIME falls into the bits of the exit signal.
fn clone(
    flags: CloneFlags,
    exit_signal: u64,
    misplaced: bool,
    register: Option<&Register>,
) -> io::Result<Cloned> {
    if flags.contains(CloneFlags::NEWTIME) {
        return Err(Errno::NOSYS);
    }
    let (registered, room) = match register {
        Some(register) => (u64::from(CLONE_PARENT_SETTID), register.0.as_ptr()),
        None => (0, null_mut()),
    };
    let flags = flags.bits() | exit_signal | registered;
    // SAFETY: a null stack means a copy of the caller's; the flags ask for no pointer but that of the register.
    side(unsafe { syscall!(__NR_clone, flags, 0, room, 0, 0) }, misplaced)
}

/// Moves this process into new namespaces (unshare(2)); into PID and time namespaces only its later children go.
pub fn unshare(flags: CloneFlags) -> io::Result<()> {
    // SAFETY: the call takes no pointers, and none of the flags touches memory or descriptors.
    unsafe { syscall!(__NR_unshare, flags.bits()) }.map(drop)
}

/// Moves this process into an existing namespace, which is proved to be of the kind `flag` (setns(2)); into a PID
/// namespace only its later children go.
pub fn setns(namespace: impl AsFd, flag: CloneFlags) -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    unsafe { syscall!(__NR_setns, namespace.as_fd().as_raw_fd(), flag.bits()) }.map(drop)
}

fn side(returned: io::Result<usize>, misplaced: bool) -> io::Result<Cloned> {
    returned.map(|pid| match Pid::from_raw(pid as i32) {
        Some(pid) => Cloned::Parent(pid),
        None => Cloned::Child { misplaced },
    })
}
