//! The program servin-init: see the library of the same name.
#![no_std]
#![no_main]
#![no_builtins]
#![allow(unsafe_code)]

use core::alloc::{GlobalAlloc, Layout};
use servin_init::signals::{CHLD, TERM};
use servin_init::sys::{process, signal, start::Arguments};
use servin_init::{child::Child, ending::Ending, options::Options, orphans};

servin_init::start!(main);

fn main(arguments: Arguments) -> i32 {
    supervise(arguments).unwrap_or_else(|code| code)
}

/// The story of servin-init. Err is the exit code where nothing could be started, everything having been said.
fn supervise(arguments: Arguments) -> Result<i32, i32> {
    process::take_name();
    let mut options = Options::default();
    options.read(arguments)?;
    orphans::adopt(&options)?;
    let mut held = signal::Held::default();
    signal::hold_all(&mut held);
    let mut child = Child::start(&options, arguments, &held)?;
    arguments.forget();
    let mut ending = Ending::default();

    while !ending.is_over(&options, &child) {
        let Some(received) = signal::wait(ending.time_left()) else {
            ending.advance(TERM, &options, &child);
            continue;
        };
        if received.number == CHLD {
            child.reap(&options);
            ending.follow(&options, &child);
        }
        let signal = options.rewrite(received.number);
        if signal == 0 || received.number == CHLD && !received.is_from_process {
            continue;
        }
        if options.grace.is_some() && (received.number == TERM || signal == TERM) {
            ending.advance(signal, &options, &child);
        } else {
            child.forward(signal, &options);
        }
    }
    Ok(child.leave(&options))
}

/// Nothing here can panic, as the size shows; the code of a program that SIGABRT ended.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    process::exit(134)
}

/// servin-init allocates nothing; a workspace build may still turn on `rustix/alloc`, which then links.
struct NoAllocator;

// SAFETY: it never hands out memory.
unsafe impl GlobalAlloc for NoAllocator {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static ALLOCATOR: NoAllocator = NoAllocator;
