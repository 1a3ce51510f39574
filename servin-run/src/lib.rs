//! servin-run as a library of modules; each imports only from those above it in this list.
#![cfg_attr(not(test), no_std)]

extern crate alloc;

pub mod error;
pub mod gather;
pub mod order;
pub mod sys;
pub mod fs;
pub mod spec;
pub mod seccomp;
pub mod cgroup;
pub mod plan;
pub mod network;
pub mod image;
pub mod launch;
pub mod container;
pub mod supervise;
pub mod cli;
