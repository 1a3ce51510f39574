//! The allocator: blocks of a few sizes, cut in ascending order from mmap'ed regions, and given out again once they
//! were freed. What a short command allocates it never misses; a supervisor that lives for months does not grow.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;

#[cfg(not(target_arch = "arm"))]
use linux_raw_sys::general::__NR_mmap;
#[cfg(target_arch = "arm")]
use linux_raw_sys::general::__NR_mmap2 as __NR_mmap;
use linux_raw_sys::general::{
    __NR_mremap, __NR_munmap, MAP_ANONYMOUS, MAP_PRIVATE, MREMAP_MAYMOVE, PROT_READ, PROT_WRITE,
};
use servin_init::syscall;

/// What is asked of the kernel at once. Untouched pages cost nothing.
const REGION: usize = 256 * 1024;

/// A block of at least this size gets a mapping of its own, which is returned when it is freed.
const LARGE: usize = REGION / 2;

/// Sizes of blocks: 16, 24, 32, 48, 64, 96 … up to [`LARGE`].
const CLASSES: usize = 27;

/// The smallest class that holds `size` bytes, and what it holds.
fn class(size: usize) -> (usize, usize) {
    let size = size.max(16);
    let power = (size - 1).ilog2() as usize + 1;
    let (whole, three_quarters) = (1 << power, 3 << (power - 2));
    match size <= three_quarters {
        true => ((power - 4) * 2 - 1, three_quarters),
        false => ((power - 4) * 2, whole),
    }
}

/// The global allocator of the binary.
pub struct Allocator {
    next: Cell<usize>,
    end: Cell<usize>,
    /// Of each class the block that was freed last; each holds the address of the one before.
    free: [Cell<usize>; CLASSES],
}

// SAFETY: this program never has a second thread (there is no way to make one in `sys`).
unsafe impl Sync for Allocator {}

impl Allocator {
    /// An allocator that has not asked for memory yet.
    pub const fn new() -> Self {
        Allocator { next: Cell::new(0), end: Cell::new(0), free: [const { Cell::new(0) }; CLASSES] }
    }

    /// Places a block in the current region; null where it does not fit.
    fn bump(&self, size: usize, align: usize) -> *mut u8 {
        let start = self.next.get().next_multiple_of(align);
        match start.checked_add(size) {
            Some(end) if end <= self.end.get() => {
                self.next.set(end);
                ptr::with_exposed_provenance_mut(start)
            }
            _ => ptr::null_mut(),
        }
    }

    /// Takes a freed block of a class, unless there is none or the last one is not aligned as it has to be.
    fn reuse(&self, class: usize, align: usize) -> *mut u8 {
        let last = &self.free[class];
        let block = last.get();
        if block == 0 || !block.is_multiple_of(align) {
            return ptr::null_mut();
        }
        let block = ptr::with_exposed_provenance_mut::<u8>(block);
        // SAFETY: `dealloc` wrote an address there; the block is at least 16 bytes long, aligned by 8, and nobody's.
        last.set(unsafe { block.cast::<usize>().read() });
        block
    }
}

impl Default for Allocator {
    fn default() -> Self {
        Allocator::new()
    }
}

/// Fresh zeroed memory (mmap(2)), or null.
fn map(length: usize) -> *mut u8 {
    let (protection, flags) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing that exists.
    match unsafe { syscall!(__NR_mmap, 0, length, protection, flags, usize::MAX, 0) } {
        Ok(address) => ptr::with_exposed_provenance_mut(address),
        Err(_) => ptr::null_mut(),
    }
}

// SAFETY: blocks come from private mappings, never overlap while they are in use, and are aligned by `bump`, by the
// check in `reuse`, or by the page.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGE {
            return map(layout.size());
        }
        let (class, size) = class(layout.size());
        let align = layout.align().max(size_of::<usize>());
        let reused = self.reuse(class, align);
        if !reused.is_null() {
            return reused;
        }
        let block = self.bump(size, align);
        if !block.is_null() {
            return block;
        }
        let region = map(REGION);
        if region.is_null() {
            return region;
        }
        self.next.set(region.expose_provenance());
        self.end.set(region.expose_provenance() + REGION);
        self.bump(size, align)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LARGE {
            // SAFETY: `alloc` mapped exactly this block, and the caller gives it up.
            let _ = unsafe { syscall!(__NR_munmap, block, layout.size()) };
            return;
        }
        let (class, size) = class(layout.size());
        if block.addr() + size == self.next.get() {
            self.next.set(block.addr());
            return;
        }
        let last = self.free[class].replace(block.expose_provenance());
        // SAFETY: the caller gives the block up; it is at least 16 bytes long and aligned by 8 or more.
        unsafe { block.cast::<usize>().write(last) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let (old, new) = (layout.size(), new_size);
        if old >= LARGE && new >= LARGE {
            // SAFETY: the block is a mapping of its own, which the caller gives up for the one that is returned.
            return match unsafe { syscall!(__NR_mremap, block, old, new, MREMAP_MAYMOVE) } {
                Ok(address) => ptr::with_exposed_provenance_mut(address),
                Err(_) => ptr::null_mut(),
            };
        }
        if old < LARGE && new < LARGE {
            let ((before, held), (after, wanted)) = (class(old), class(new));
            if before == after {
                return block;
            }
            // The newest block grows in place: strings and vectors are mostly built one at a time.
            if block.addr() + held == self.next.get() && wanted <= self.end.get() - block.addr() {
                self.next.set(block.addr() + wanted);
                return block;
            }
        }
        // SAFETY: the caller guarantees that `new_size` rounded up to the alignment does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new, layout.align()) };
        // SAFETY: the caller guarantees a size above zero.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both blocks are valid for the smaller of the two sizes, and the new one is distinct.
            unsafe { ptr::copy_nonoverlapping(block, new_block, old.min(new)) };
            // SAFETY: the caller gives the old block up.
            unsafe { self.dealloc(block, layout) };
        }
        new_block
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_is_the_smallest_that_fits() {
        let classes: Vec<(usize, usize)> = (1..=LARGE).map(class).collect();
        assert_eq!((classes[0], classes[16], classes[24]), ((0, 16), (1, 24), (2, 32)));
        for (size, &(class, held)) in (1..).zip(&classes) {
            assert!(
                class < CLASSES && held >= size && (held <= 16 || held <= size * 3 / 2),
                "{size}: {held}"
            );
        }
        assert!(classes.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1));
    }

    #[test]
    fn blocks_are_aligned_and_apart_and_the_newest_grows_in_place() {
        let allocator = Allocator::new();
        let layout = |size, align| Layout::from_size_align(size, align).expect("a valid layout");
        // SAFETY: the size is above zero, here and below, and blocks are freed with the layout they were made with.
        let a = unsafe { allocator.alloc(layout(3, 1)) };
        // SAFETY: see above.
        let b = unsafe { allocator.alloc(layout(64, 64)) };
        assert!(b.addr().is_multiple_of(64) && b.addr() >= a.addr() + 3);
        // SAFETY: see above.
        let grown = unsafe { allocator.realloc(b, layout(64, 64), 4096) };
        assert_eq!(grown, b);
        // SAFETY: see above.
        let moved = unsafe { allocator.realloc(a, layout(3, 1), 100) };
        assert_ne!(moved, a);
        // SAFETY: see above.
        let again = unsafe { allocator.alloc(layout(9, 8)) };
        assert_eq!(again, a, "what was freed is given out again");
        // SAFETY: see above.
        let large = unsafe { allocator.alloc(layout(LARGE, 8)) };
        assert!(!large.is_null());
        // SAFETY: see above; the mapping is at least as long.
        unsafe { large.add(LARGE - 1).write(7) };
        // SAFETY: see above.
        let larger = unsafe { allocator.realloc(large, layout(LARGE, 8), 64 * LARGE) };
        // SAFETY: see above.
        assert_eq!(unsafe { larger.add(LARGE - 1).read() }, 7);
        // SAFETY: see above.
        unsafe { allocator.dealloc(larger, layout(64 * LARGE, 8)) };
    }

    #[test]
    fn a_loop_does_not_grow() {
        let allocator = Allocator::new();
        let layout = |size| Layout::from_size_align(size, 8).expect("a valid layout");
        // SAFETY: the size is above zero, here and below, and blocks are freed with the layout they were made with.
        let first = unsafe { allocator.alloc(layout(40)) };
        for size in (1..5000).cycle().take(100_000) {
            // SAFETY: see above.
            let (a, b) = unsafe { (allocator.alloc(layout(size)), allocator.alloc(layout(size + 7))) };
            // SAFETY: see above.
            unsafe { allocator.dealloc(a, layout(size)) };
            // SAFETY: see above.
            unsafe { allocator.dealloc(b, layout(size + 7)) };
        }
        assert!(allocator.next.get() - first.addr() < REGION, "all within the first region");
    }
}
