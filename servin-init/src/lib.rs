//! servin-init: PID 1 of a container. It starts one program, forwards signals to it and reaps orphans.
//!
//! `main.rs` tells the story; each chapter is a module here. It allocates nothing, blocks in a single place
//! ([`sys::signal::wait`]), and has no signal handlers.
#![cfg_attr(not(test), no_std)]

pub mod child;
pub mod ending;
pub mod errors;
pub mod execute;
pub mod interpreter;
pub mod message;
pub mod options;
pub mod orphans;
pub mod signals;
pub mod sys;
pub mod terminal;
