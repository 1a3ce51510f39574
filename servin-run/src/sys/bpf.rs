//! bpf(2), as far as programs of a cgroup need it.

use linux_raw_sys::general::__NR_bpf;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use rustix::io;
use servin_init::syscall;

// Commands of linux/bpf.h.
const BPF_PROG_LOAD: u32 = 5;
const BPF_PROG_ATTACH: u32 = 8;
const BPF_PROG_DETACH: u32 = 9;
const BPF_PROG_GET_FD_BY_ID: u32 = 13;
const BPF_PROG_QUERY: u32 = 16;

const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 1 << 1;
const BPF_F_REPLACE: u32 = 1 << 2;

/// One instruction, `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// The operation.
    pub code: u8,
    /// The destination register in the lower four bits (on little-endian machines), the source above.
    pub registers: u8,
    /// Of a jump or in memory.
    pub offset: i16,
    /// A constant.
    pub immediate: i32,
}

/// The part of `union bpf_attr` for BPF_PROG_LOAD that is needed; the kernel takes the rest as zero.
#[repr(C)]
struct Load {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
}

/// Loads a program that decides about a cgroup's devices.
pub fn load_device_program(instructions: &[Instruction]) -> io::Result<OwnedFd> {
    let attributes = Load {
        kind: BPF_PROG_TYPE_CGROUP_DEVICE,
        count: instructions.len() as u32,
        instructions: instructions.as_ptr() as usize as u64,
        license: c"".as_ptr() as usize as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
    };
    // SAFETY: the kernel reads the struct, `count` instructions (whose layout is its own) and a C string, which all
    // outlive the call; without a log it writes nothing.
    let raw = unsafe { syscall!(__NR_bpf, BPF_PROG_LOAD, &raw const attributes, size_of::<Load>()) }?;
    // SAFETY: the kernel has just made this descriptor for us; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}

#[repr(C)]
struct Attach {
    target: i32,
    program: i32,
    kind: u32,
    flags: u32,
    replaced: i32,
}

/// Attaches `program` to the cgroup beside those that are there, or in one step in place of `replaced` (Linux 5.6).
/// Access is allowed where all of them allow it.
pub fn attach(cgroup: impl AsFd, program: impl AsFd, replaced: Option<&OwnedFd>) -> io::Result<()> {
    let attributes = Attach {
        target: cgroup.as_fd().as_raw_fd(),
        program: program.as_fd().as_raw_fd(),
        kind: BPF_CGROUP_DEVICE,
        flags: BPF_F_ALLOW_MULTI | if replaced.is_some() { BPF_F_REPLACE } else { 0 },
        replaced: replaced.map_or(0, AsRawFd::as_raw_fd),
    };
    // Kernels before 5.6 refuse bytes that they do not know, unless these are zero.
    // SAFETY: the kernel reads the struct, which outlives the call and holds no pointers.
    unsafe { syscall!(__NR_bpf, BPF_PROG_ATTACH, &raw const attributes, size_of::<Attach>()) }.map(drop)
}

/// Takes `program` off the cgroup.
pub fn detach(cgroup: impl AsFd, program: impl AsFd) -> io::Result<()> {
    let attributes = Attach {
        target: cgroup.as_fd().as_raw_fd(),
        program: program.as_fd().as_raw_fd(),
        kind: BPF_CGROUP_DEVICE,
        flags: 0,
        replaced: 0,
    };
    // SAFETY: the kernel reads the struct, which outlives the call and holds no pointers.
    unsafe { syscall!(__NR_bpf, BPF_PROG_DETACH, &raw const attributes, size_of::<Attach>()) }.map(drop)
}

#[repr(C)]
struct Query {
    target: i32,
    kind: u32,
    query_flags: u32,
    attach_flags: u32,
    programs: u64,
    count: u32,
    /// The kernel's union ends on a multiple of eight.
    padding: u32,
}

/// The ids of the programs that are attached to the cgroup itself; returns how many of `ids` are filled
/// (ENOSPC when there are more).
pub fn query(cgroup: impl AsFd, ids: &mut [u32]) -> io::Result<usize> {
    let mut attributes = Query {
        target: cgroup.as_fd().as_raw_fd(),
        kind: BPF_CGROUP_DEVICE,
        query_flags: 0,
        attach_flags: 0,
        programs: ids.as_mut_ptr() as usize as u64,
        count: ids.len() as u32,
        padding: 0,
    };
    // SAFETY: the kernel writes at most `count` ids to where `programs` points, which is that long and borrowed
    // mutably for the call, and within the struct.
    unsafe { syscall!(__NR_bpf, BPF_PROG_QUERY, &raw mut attributes, size_of::<Query>()) }?;
    Ok((attributes.count as usize).min(ids.len()))
}

#[repr(C)]
struct ById {
    id: u32,
    next: u32,
    flags: u32,
}

/// A descriptor of the program with this id.
pub fn program_by_id(id: u32) -> io::Result<OwnedFd> {
    let attributes = ById { id, next: 0, flags: 0 };
    // SAFETY: the kernel reads the struct, which outlives the call and holds no pointers.
    let raw = unsafe { syscall!(__NR_bpf, BPF_PROG_GET_FD_BY_ID, &raw const attributes, size_of::<ById>()) }?;
    // SAFETY: the kernel has just made this descriptor for us; it is close-on-exec.
    Ok(unsafe { OwnedFd::from_raw_fd(raw as i32) })
}
