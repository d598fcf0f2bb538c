//! This allocator counts the growth of the heap on all threads while [`growth`] runs. Otherwise it costs two
//! instructions an allocation, so that it does not distort the other measurements.

#[cfg(not(feature = "mimalloc"))]
use std::alloc::System as Allocator;
use std::{
    alloc::{GlobalAlloc, Layout},
    sync::atomic::{AtomicBool, AtomicI64, Ordering},
};

#[cfg(feature = "mimalloc")]
use mimalloc::MiMalloc as Allocator;

static COUNTS: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);

/// The name of the malloc.
pub const ALLOCATOR: &str = if cfg!(feature = "mimalloc") { "mimalloc" } else { "glibc" };

/// Runs `work`. Returns its result and the growth of the heap in bytes.
pub fn growth<T>(work: impl FnOnce() -> T) -> (T, i64) {
    LIVE.store(0, Ordering::SeqCst);
    COUNTS.store(true, Ordering::SeqCst);
    let result = work();
    COUNTS.store(false, Ordering::SeqCst);
    (result, LIVE.load(Ordering::SeqCst))
}

/// The system's allocator, or mimalloc, with a counter.
pub struct CountingAllocator;

fn count(bytes: usize, sign: i64) {
    if COUNTS.load(Ordering::Relaxed) {
        LIVE.fetch_add(sign * bytes as i64, Ordering::Relaxed);
    }
}

// SAFETY: each call goes to the allocator with its arguments unchanged.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { Allocator.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size(), 1);
        unsafe { Allocator.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        unsafe { Allocator.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size, 1);
        count(layout.size(), -1);
        unsafe { Allocator.realloc(pointer, layout, new_size) }
    }
}
