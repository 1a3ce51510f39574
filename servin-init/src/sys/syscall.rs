//! The bare system call, one file an architecture. Everything typed is built on it.

#[cfg_attr(target_arch = "x86_64", path = "syscall/x86_64.rs")]
#[cfg_attr(target_arch = "aarch64", path = "syscall/aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "syscall/riscv64.rs")]
#[cfg_attr(target_arch = "arm", path = "syscall/arm.rs")]
mod arch;

pub use arch::{syscall3, syscall6};

use rustix::io::Errno;

/// The highest error number that the kernel returns, negated, from a system call (`MAX_ERRNO`, include/linux/err.h).
const MAX_ERRNO: usize = 4095;

/// Splits what the kernel returned into value and error.
pub fn check(returned: usize) -> Result<usize, Errno> {
    let negated = returned.wrapping_neg();
    match negated {
        1..=MAX_ERRNO => Err(Errno::from_raw_os_error(negated as i32)),
        _ => Ok(returned),
    }
}

/// Makes a system call with up to six arguments, each cast to a machine word, and checks its result.
///
/// Arguments that are not named are 0 up to the third, and unspecified beyond it where there are no more than three.
///
/// The caller stands for the call's contract (pointers live and of the right type), so it must be used
/// inside `unsafe`.
#[macro_export]
macro_rules! syscall {
    ($number:expr $(, $argument:expr)* $(,)?) => {
        $crate::sys::syscall::check($crate::syscall!(@pad $number; $($argument as usize,)*))
    };
    (@pad $n:expr;) => { $crate::syscall!(@three $n, 0, 0, 0) };
    (@pad $n:expr; $a:expr,) => { $crate::syscall!(@three $n, $a, 0, 0) };
    (@pad $n:expr; $a:expr, $b:expr,) => { $crate::syscall!(@three $n, $a, $b, 0) };
    (@pad $n:expr; $a:expr, $b:expr, $c:expr,) => { $crate::syscall!(@three $n, $a, $b, $c) };
    (@pad $n:expr; $a:expr, $b:expr, $c:expr, $d:expr,) => { $crate::syscall!(@six $n, $a, $b, $c, $d, 0, 0) };
    (@pad $n:expr; $a:expr, $b:expr, $c:expr, $d:expr, $e:expr,) => {
        $crate::syscall!(@six $n, $a, $b, $c, $d, $e, 0)
    };
    (@pad $n:expr; $a:expr, $b:expr, $c:expr, $d:expr, $e:expr, $f:expr,) => {
        $crate::syscall!(@six $n, $a, $b, $c, $d, $e, $f)
    };
    (@three $($word:expr),*) => { $crate::sys::syscall::syscall3($($word as usize),*) };
    (@six $($word:expr),*) => { $crate::sys::syscall::syscall6($($word as usize),*) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_of_values_are_errors() {
        assert_eq!(check(0), Ok(0));
        assert_eq!(check(usize::MAX), Err(Errno::PERM));
        assert_eq!(check(MAX_ERRNO.wrapping_neg()).map_err(Errno::raw_os_error), Err(4095));
        assert_eq!(check(MAX_ERRNO.wrapping_neg() - 1), Ok(MAX_ERRNO.wrapping_neg() - 1));
    }
}
