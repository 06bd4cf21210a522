//! Rundown protection, plain and cache-aware.
//!
//! The plain reference counts in steps of two; bit 0 is set once run-down has begun. A cache-aware
//! one is the same behind an allocated block.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::sync::Mutex;

use crate::{
    exports,
    kernel::kernel,
    mem::caller,
    ob::Body,
    sched::{self, Thread},
    verifier::Rule,
};

const ACTIVE: usize = 1;
const STEP: usize = 2;

/// Threads that wait for run-down, and the cache-aware blocks.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<BTreeMap<usize, Arc<Thread>>>,
    blocks: Mutex<BTreeMap<usize, Block>>,
}

/// The memory of a cache-aware reference, and the driver that allocated it.
struct Block {
    _body: Body,
    owner: u16,
}

/// Cache-aware references that a driver allocated and did not free, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let blocks = kernel().ex.rundown.blocks.lock();
    blocks
        .iter()
        .filter(|(_, block)| block.owner == owner)
        .map(|(address, _)| format!("{address:#x}"))
        .collect()
}

fn word(reference: usize) -> &'static AtomicUsize {
    // SAFETY: the caller passes an EX_RUNDOWN_REF, an aligned word only used atomically.
    unsafe { AtomicUsize::from_ptr(reference as *mut usize) }
}

fn acquire(reference: usize, count: usize) -> bool {
    word(reference)
        .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |value| {
            (value & ACTIVE == 0).then(|| value + STEP * count)
        })
        .is_ok()
}

fn release(reference: usize, count: usize) {
    let old = word(reference).fetch_sub(STEP * count, Ordering::AcqRel);
    if old < STEP * count {
        crate::bugcheck!(Rule::RundownMisused, reference, old;
            "the rundown reference at {reference:#x} was released more often than acquired");
    }
    if old - STEP * count == ACTIVE {
        let waiter = kernel().ex.rundown.waiting.lock().remove(&reference);
        if let Some(thread) = waiter {
            sched::unblock(&thread);
        }
    }
}

fn wait(reference: usize) {
    word(reference).fetch_or(ACTIVE, Ordering::AcqRel);
    let thread = sched::current();
    loop {
        if let Some(me) = thread.weak().upgrade() {
            kernel().ex.rundown.waiting.lock().insert(reference, me);
        }
        if word(reference).load(Ordering::Acquire) == ACTIVE {
            kernel().ex.rundown.waiting.lock().remove(&reference);
            return;
        }
        sched::block();
    }
}

fn reinitialize(reference: usize) {
    let value = word(reference).swap(0, Ordering::AcqRel);
    if value != ACTIVE {
        crate::bugcheck!(Rule::RundownMisused, reference, value;
            "the rundown reference at {reference:#x} was reinitialised before it had run down");
    }
}

fn block(reference: usize, doing: &str) -> usize {
    if !kernel().ex.rundown.blocks.lock().contains_key(&reference) {
        crate::bugcheck!(Rule::RundownMisused, reference;
            "{doing} with {reference:#x}, which is no cache-aware rundown reference");
    }
    reference
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a reference that can be acquired.
    #[irql(APC)]
    fn ExInitializeRundownProtection(reference: usize) {
        word(reference).store(0, Ordering::Release);
    }

    /// Makes a run-down reference usable again.
    #[irql(APC)]
    fn ExReInitializeRundownProtection(reference: usize) {
        reinitialize(reference);
    }

    /// Acquires protection; false when run-down has begun.
    #[irql(DISPATCH)]
    fn ExAcquireRundownProtection(reference: usize) -> u8 {
        u8::from(acquire(reference, 1))
    }

    /// Acquires protection several times.
    #[irql(DISPATCH)]
    fn ExAcquireRundownProtectionEx(reference: usize, count: u32) -> u8 {
        u8::from(acquire(reference, count as usize))
    }

    /// Releases protection.
    #[irql(DISPATCH)]
    fn ExReleaseRundownProtection(reference: usize) {
        release(reference, 1);
    }

    /// Releases protection several times.
    #[irql(DISPATCH)]
    fn ExReleaseRundownProtectionEx(reference: usize, count: u32) {
        release(reference, count as usize);
    }

    /// Begins run-down and waits until all protection is released.
    #[irql(APC)]
    fn ExWaitForRundownProtectionRelease(reference: usize) {
        wait(reference);
    }

    /// Notes that run-down is done.
    #[irql(APC)]
    fn ExRundownCompleted(reference: usize) {
        word(reference).store(ACTIVE, Ordering::Release);
    }

    /// Allocates a cache-aware reference.
    #[irql(APC)]
    fn ExAllocateCacheAwareRundownProtection(pool: i32, tag: u32) -> usize {
        let _ = (pool, tag);
        if crate::verifier::fault("ExAllocateCacheAwareRundownProtection") {
            return 0;
        }
        let body = Body::new(64);
        let address = body.address();
        let block = Block { _body: body, owner: caller::owner() };
        kernel().ex.rundown.blocks.lock().insert(address, block);
        address
    }

    /// Frees a cache-aware reference.
    #[irql(APC)]
    fn ExFreeCacheAwareRundownProtection(reference: usize) {
        block(reference, "ExFreeCacheAwareRundownProtection");
        let held = word(reference).load(Ordering::Acquire) / STEP;
        if held != 0 {
            crate::bugcheck!(Rule::RundownMisused, reference, held;
                "the cache-aware rundown reference at {reference:#x} was freed while {held} hold it");
        }
        kernel().ex.rundown.blocks.lock().remove(&reference);
    }

    /// Acquires protection; false when run-down has begun.
    #[irql(DISPATCH)]
    fn ExAcquireRundownProtectionCacheAware(reference: usize) -> u8 {
        u8::from(acquire(block(reference, "ExAcquireRundownProtectionCacheAware"), 1))
    }

    /// Acquires protection several times.
    #[irql(DISPATCH)]
    fn ExAcquireRundownProtectionCacheAwareEx(reference: usize, count: u32) -> u8 {
        u8::from(acquire(block(reference, "ExAcquireRundownProtectionCacheAwareEx"), count as usize))
    }

    /// Releases protection.
    #[irql(DISPATCH)]
    fn ExReleaseRundownProtectionCacheAware(reference: usize) {
        release(block(reference, "ExReleaseRundownProtectionCacheAware"), 1);
    }

    /// Releases protection several times.
    #[irql(DISPATCH)]
    fn ExReleaseRundownProtectionCacheAwareEx(reference: usize, count: u32) {
        release(block(reference, "ExReleaseRundownProtectionCacheAwareEx"), count as usize);
    }

    /// Begins run-down and waits until all protection is released.
    #[irql(APC)]
    fn ExWaitForRundownProtectionReleaseCacheAware(reference: usize) {
        wait(block(reference, "ExWaitForRundownProtectionReleaseCacheAware"));
    }

    /// Makes a run-down reference usable again.
    #[irql(APC)]
    fn ExReInitializeRundownProtectionCacheAware(reference: usize) {
        reinitialize(block(reference, "ExReInitializeRundownProtectionCacheAware"));
    }

    /// Notes that run-down is done.
    #[irql(DISPATCH)]
    fn ExRundownCompletedCacheAware(reference: usize) {
        word(block(reference, "ExRundownCompletedCacheAware")).store(ACTIVE, Ordering::Release);
    }
}
