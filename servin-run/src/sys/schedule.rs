//! How a process is scheduled and where its memory comes from: what rustix leaves out.

use linux_raw_sys::general::{
    __NR_ioprio_set, __NR_personality, __NR_sched_setaffinity, __NR_sched_setattr, __NR_set_mempolicy,
};
use rustix::io;
use servin_init::syscall;

/// `struct sched_attr` of sched_setattr(2), in its first published size.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SchedAttr {
    /// The struct's size, by which the kernel knows the version.
    pub size: u32,
    /// `SCHED_OTHER` and so on.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// For SCHED_OTHER and SCHED_BATCH.
    pub nice: i32,
    /// For SCHED_FIFO and SCHED_RR.
    pub priority: u32,
    /// For SCHED_DEADLINE, nanoseconds.
    pub runtime: u64,
    /// For SCHED_DEADLINE, nanoseconds.
    pub deadline: u64,
    /// For SCHED_DEADLINE, nanoseconds.
    pub period: u64,
}

/// Sets the scheduling of this process (sched_setattr(2)).
pub fn sched_setattr(attributes: &SchedAttr) -> io::Result<()> {
    let sized = SchedAttr { size: size_of::<SchedAttr>() as u32, ..*attributes };
    // SAFETY: the kernel reads as many bytes as the struct says.
    unsafe { syscall!(__NR_sched_setattr, 0, &raw const sized, 0) }.map(drop)
}

/// Binds this process to processors, as words of bits (sched_setaffinity(2)).
pub fn sched_setaffinity(processors: &[usize]) -> io::Result<()> {
    // SAFETY: the kernel reads as many bytes as it is told.
    unsafe { syscall!(__NR_sched_setaffinity, 0, size_of_val(processors), processors.as_ptr()) }.map(drop)
}

/// Sets class and level of this process's I/O (ioprio_set(2)); `value` is `class << 13 | level`.
pub fn ioprio_set(value: u32) -> io::Result<()> {
    const IOPRIO_WHO_PROCESS: u32 = 1;
    // SAFETY: the call takes no pointers.
    unsafe { syscall!(__NR_ioprio_set, IOPRIO_WHO_PROCESS, 0, value) }.map(drop)
}

/// Sets the execution domain (personality(2)).
pub fn personality(persona: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    unsafe { syscall!(__NR_personality, persona) }.map(drop)
}

/// Sets the memory policy of this process (set_mempolicy(2)); `nodes` is a bit set, least node first.
pub fn set_mempolicy(mode: u32, nodes: &[usize]) -> io::Result<()> {
    // The kernel takes the number of bits plus one, for historical reasons; none is said by a null (mm/mempolicy.c,
    // get_nodes).
    let bits = nodes.len() * usize::BITS as usize + 1;
    let nodes = if nodes.is_empty() { core::ptr::null() } else { nodes.as_ptr() };
    // SAFETY: the kernel reads that many bits of the slice, rounded up to words.
    unsafe { syscall!(__NR_set_mempolicy, mode, nodes, bits) }.map(drop)
}
