//! The kernel's edge: what rustix lacks, thin and typed, one documentation reference a call.
//!
//! The shapes follow rustix (`AsFd`, `OwnedFd`, flags), so that a call can move there the day it has it.
//! This is the only module with `unsafe` besides the program's entry point.
#![allow(unsafe_code)]

pub mod allocator;
pub mod bpf;
pub mod clock;
pub mod clone;
pub mod datagram;
pub mod descriptors;
pub mod exec;
pub mod keyring;
pub mod lock;
pub mod loop_device;
pub mod mount;
pub mod netlink;
pub mod path;
pub mod program;
pub mod schedule;
pub mod seccomp;
pub mod signal;
