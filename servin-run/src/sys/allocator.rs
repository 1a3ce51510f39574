//! The allocator: memory is handed out in ascending order from mmap'ed regions and only the newest block is
//! ever given back. A run of servin-run allocates a few hundred kilobytes and ends, or execs; what is
//! long-lived must not allocate in a loop.

use core::alloc::{GlobalAlloc, Layout};
use core::cell::Cell;
use core::ptr;

#[cfg(not(target_arch = "arm"))]
use linux_raw_sys::general::__NR_mmap;
#[cfg(target_arch = "arm")]
use linux_raw_sys::general::__NR_mmap2 as __NR_mmap;
use linux_raw_sys::general::{__NR_munmap, MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE};
use servin_init::syscall;

/// What is asked of the kernel at once. Untouched pages cost nothing.
const REGION: usize = 256 * 1024;

/// A block of at least this size gets a mapping of its own, which is returned when it is freed.
const LARGE: usize = REGION / 2;

/// The global allocator of the binary.
pub struct Allocator {
    next: Cell<usize>,
    end: Cell<usize>,
}

// SAFETY: this program never has a second thread (there is no way to make one in `sys`).
unsafe impl Sync for Allocator {}

impl Allocator {
    /// An allocator that has not asked for memory yet.
    pub const fn new() -> Self {
        Allocator { next: Cell::new(0), end: Cell::new(0) }
    }

    /// Places a block in the current region; null where it does not fit.
    fn bump(&self, layout: Layout) -> *mut u8 {
        let start = self.next.get().next_multiple_of(layout.align());
        match start.checked_add(layout.size()) {
            Some(end) if end <= self.end.get() => {
                self.next.set(end);
                ptr::with_exposed_provenance_mut(start)
            }
            _ => ptr::null_mut(),
        }
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

// SAFETY: blocks come from private mappings, never overlap, and are aligned by `bump` or by the page.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGE {
            return map(layout.size());
        }
        let block = self.bump(layout);
        if !block.is_null() {
            return block;
        }
        let region = map(REGION);
        if region.is_null() {
            return region;
        }
        self.next.set(region.expose_provenance());
        self.end.set(region.expose_provenance() + REGION);
        self.bump(layout)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if layout.size() >= LARGE {
            // SAFETY: `alloc` mapped exactly this block, and the caller gives it up.
            let _ = unsafe { syscall!(__NR_munmap, block, layout.size()) };
        } else if block.addr() + layout.size() == self.next.get() {
            self.next.set(block.addr());
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The newest block grows in place: strings and vectors are mostly built one at a time.
        let newest = block.addr() + layout.size() == self.next.get();
        if newest && layout.size() < LARGE && new_size < LARGE && new_size <= self.end.get() - block.addr() {
            self.next.set(block.addr() + new_size);
            return block;
        }
        // SAFETY: the caller guarantees that `new_size` rounded up to the alignment does not overflow.
        let new_layout = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: the caller guarantees a size above zero.
        let new_block = unsafe { self.alloc(new_layout) };
        if !new_block.is_null() {
            // SAFETY: both blocks are valid for the smaller of the two sizes, and the new one is distinct.
            unsafe { ptr::copy_nonoverlapping(block, new_block, layout.size().min(new_size)) };
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
        let moved = unsafe { allocator.realloc(a, layout(3, 1), 10) };
        assert_ne!(moved, a);
        // SAFETY: see above.
        let large = unsafe { allocator.alloc(layout(LARGE, 8)) };
        assert!(!large.is_null());
        // SAFETY: see above.
        unsafe { allocator.dealloc(large, layout(LARGE, 8)) };
    }
}
