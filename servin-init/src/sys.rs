//! The kernel's edge: the only module with `unsafe`.
#![allow(unsafe_code)]

pub mod clock;
pub mod descriptor;
pub mod memory;
pub mod path;
pub mod process;
pub mod signal;
pub mod start;
pub mod syscall;
pub mod terminal;
