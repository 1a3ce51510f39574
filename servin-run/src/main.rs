//! The program servin-run, also called servin: see the library of the same name.
#![no_std]
#![no_main]
#![no_builtins]
#![allow(unsafe_code)]

use servin_init::sys::process;
use servin_run::sys::allocator::Allocator;

servin_init::start!(servin_run::cli::main, rustix::param::init);

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// A panic is a bug in Servin: it says where, and ends the process.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    servin_run::cli::bug(info);
    process::abort()
}
