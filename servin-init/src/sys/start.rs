//! What libc would have done before `main`: the entry point, the arguments, and the few symbols that the
//! compiler takes for granted (memcpy and its kin, the panic handler, the unwinder's names).
//!
//! The binaries call [`crate::start!`] once; libraries and tests never see these symbols.

use core::ffi::{CStr, c_char};
use linux_raw_sys::general::{__NR_madvise, MADV_DONTNEED};

/// What `_start` begins the frames of the program on: a page of nearly every kernel.
const PAGE: usize = 4096;
/// The type of its size in the auxiliary vector (linux/auxvec.h).
const AT_PAGESZ: usize = 6;

/// The strings that the kernel put on the stack, which live as long as the process.
#[derive(Clone, Copy)]
pub struct Arguments {
    /// Pointers to the arguments, then a null.
    argv: *const *const c_char,
    argc: usize,
}

impl Arguments {
    /// # Safety
    /// `stack` is the initial stack pointer of this process, as the kernel lays it out: argc, argv, null,
    /// envp, null, auxv (the System V ABI's "process initialization").
    pub unsafe fn from_stack(stack: *const usize) -> Self {
        // SAFETY: the caller vouches for the layout.
        let argc = unsafe { *stack };
        // SAFETY: argv follows argc directly.
        let argv = unsafe { stack.add(1) }.cast();
        Arguments { argv, argc }
    }

    /// The argument vector as the kernel's own array, null at its end, ready for execve.
    pub fn argv(self) -> *const *const c_char {
        self.argv
    }

    /// The environment as the kernel's own array, null at its end.
    pub fn envp(self) -> *const *const c_char {
        // SAFETY: the environment begins after the null that ends argv.
        unsafe { self.argv.add(self.argc + 1) }
    }

    /// The arguments, the program's name first.
    pub fn iter(self) -> Strings {
        Strings(self.argv)
    }

    /// The arguments from number `first` on, none if there are not as many.
    pub fn from(self, first: usize) -> Strings {
        // SAFETY: the null that ends argv is its last element.
        Strings(unsafe { self.argv.add(first.min(self.argc)) })
    }

    /// The environment's `KEY=VALUE` strings.
    pub fn environment(self) -> Strings {
        Strings(self.envp())
    }

    /// Gives back the pages that hold these vectors alone (madvise(2), MADV_DONTNEED): `_start` has begun the frames of
    /// this program on a page of their own. Whoever still walks a vector finds a null there, which is its end. The
    /// strings stay: proc_pid_cmdline(5) and proc_pid_environ(5) show them.
    pub fn forget(self) {
        let page_of = |address: usize| address & PAGE.wrapping_neg();
        let first = page_of(self.argv as usize - size_of::<usize>());
        // SAFETY: the array has a null at least; else these are the lowest of the strings.
        let strings = page_of(unsafe { *self.argv } as usize);
        if first < strings && self.page_size() == PAGE {
            // SAFETY: the kernel has filled the pages between before the entry, and nothing refers to what is in them
            // but a walk along a vector, which a null may end at any place.
            let _ = unsafe { crate::syscall!(__NR_madvise, first, strings - first, MADV_DONTNEED) };
        }
    }

    /// That of this kernel, as the auxiliary vector says, which follows the environment (getauxval(3)).
    fn page_size(self) -> usize {
        let mut word = self.envp().cast::<usize>();
        // SAFETY: the environment ends with a null.
        while unsafe { *word } != 0 {
            // SAFETY: that was not it.
            word = unsafe { word.add(1) };
        }
        // SAFETY: the pairs of the vector follow; one of them is of this type.
        word = unsafe { word.add(1) };
        // SAFETY: as above.
        while unsafe { *word } != AT_PAGESZ {
            // SAFETY: as above.
            word = unsafe { word.add(2) };
        }
        // SAFETY: a pair is a type and its value.
        unsafe { *word.add(1) }
    }
}

/// Walks a null-terminated array of C strings.
#[derive(Clone)]
pub struct Strings(*const *const c_char);

impl Strings {
    /// What is left of the array, null at its end.
    pub fn as_ptr(&self) -> *const *const c_char {
        self.0
    }
}

#[cfg(test)]
impl Strings {
    /// A test's own strings.
    pub fn leak(strings: &[&'static CStr]) -> Strings {
        let pointers = strings.iter().map(|string| string.as_ptr()).chain([core::ptr::null()]);
        Strings(Vec::leak(pointers.collect()).as_ptr())
    }
}

impl Iterator for Strings {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        // SAFETY: the array is only advanced while it is not at its null.
        let string = unsafe { *self.0 };
        if string.is_null() {
            return None;
        }
        // SAFETY: this entry was not the null, so another one follows.
        self.0 = unsafe { self.0.add(1) };
        // SAFETY: the kernel ended each string with a NUL, and nobody unmaps the initial stack.
        Some(unsafe { CStr::from_ptr(string) })
    }
}

/// Makes `$main: fn(Arguments) -> i32` the program: defines `_start` and the symbols that the compiler expects. What
/// rustix asks of the kernel's auxiliary vector is there if `$prepare` is `rustix::param::init`.
#[macro_export]
macro_rules! start {
    ($main:path $(, $prepare:path)?) => {
        #[cfg(target_arch = "x86_64")]
        core::arch::global_asm!(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../servin-init/src/sys/start/x86_64.s"
        )));
        #[cfg(target_arch = "aarch64")]
        core::arch::global_asm!(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../servin-init/src/sys/start/aarch64.s"
        )));
        #[cfg(target_arch = "riscv64")]
        core::arch::global_asm!(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../servin-init/src/sys/start/riscv64.s"
        )));
        #[cfg(target_arch = "arm")]
        core::arch::global_asm!(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../servin-init/src/sys/start/arm.s"
        )));

        /// Called by `_start` with the initial stack pointer.
        // SAFETY: the name is the one that `_start` calls, and nothing else defines it.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn __servin_start(stack: *const usize) -> ! {
            // SAFETY: `_start` hands over the stack pointer untouched.
            let arguments = unsafe { $crate::sys::start::Arguments::from_stack(stack) };
            // SAFETY: this is the environment block that the kernel set up, and no rustix call came before.
            $(unsafe { $prepare(arguments.envp().cast_mut().cast()) };)?
            let main: fn($crate::sys::start::Arguments) -> i32 = $main;
            $crate::sys::process::exit(main(arguments))
        }

        $crate::memory_symbols!();

        // SAFETY: precompiled core refers to these names; with panic=abort nothing calls them.
        #[unsafe(no_mangle)]
        extern "C" fn rust_eh_personality() {}
        // SAFETY: as above.
        #[unsafe(no_mangle)]
        extern "C" fn _Unwind_Resume() -> ! {
            $crate::sys::process::abort()
        }
    };
}

/// memcpy and its kin for a binary. x86_64 has them in assembly (start/x86_64.s: `rep movsb` is both the
/// shortest and, on processors of the last ten years, a fast copy).
#[macro_export]
macro_rules! memory_symbols {
    () => {
        // SAFETY, for all of them: the names and signatures are those of C's string.h, which the compiler relies
        // on; the crate is `#![no_builtins]`, so that a loop here is not turned into a call of itself.
        #[cfg(not(target_arch = "x86_64"))]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
            // SAFETY: C's contract for memcpy is stricter than that of memmove.
            unsafe { memmove(to, from, count) }
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, count: usize) -> *mut u8 {
            // SAFETY: the caller's contract is that of `copy`.
            unsafe { $crate::sys::memory::copy(to, from, count) };
            to
        }
        #[cfg(not(target_arch = "x86_64"))]
        // SAFETY: see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memset(to: *mut u8, byte: i32, count: usize) -> *mut u8 {
            // SAFETY: the caller's contract is that of `fill`.
            unsafe { $crate::sys::memory::fill(to, byte as u8, count) };
            to
        }
        // SAFETY: see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
            // SAFETY: the caller's contract is that of `compare`.
            unsafe { $crate::sys::memory::compare(a, b, count) }
        }
        // SAFETY: see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, count: usize) -> i32 {
            // SAFETY: the caller's contract is that of `compare`.
            unsafe { $crate::sys::memory::compare(a, b, count) }
        }
        // SAFETY: see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn strlen(string: *const core::ffi::c_char) -> usize {
            // SAFETY: the caller's contract is that of `length`.
            unsafe { $crate::sys::memory::length(string.cast()) }
        }
    };
}
