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

/// What the kernel says of the processor (getauxval(3)), for the crate `cpufeatures`, which asks for AT_HWCAP alone.
// SAFETY: the name and signature are those of C's sys/auxv.h, and no C library is there to define it too.
#[cfg(target_arch = "aarch64")]
#[unsafe(no_mangle)]
extern "C" fn getauxval(kind: core::ffi::c_ulong) -> core::ffi::c_ulong {
    const AT_HWCAP: core::ffi::c_ulong = 16;
    if kind == AT_HWCAP { rustix::param::linux_hwcap().0 as _ } else { 0 }
}

/// A panic is a bug in Servin: it says where, and ends the process.
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    servin_run::cli::bug(info);
    process::abort()
}
