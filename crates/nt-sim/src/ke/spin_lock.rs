//! Spin locks: plain, in-stack queued and reader-writer.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{
    exports, irql,
    kernel::strict,
    sched::{self, thread::HeldLock},
    verifier::Rule,
};

fn word(lock: *mut usize) -> &'static AtomicUsize {
    // SAFETY: the caller passes a KSPIN_LOCK, an aligned word that is only used as a lock and
    // outlives the call.
    unsafe { AtomicUsize::from_ptr(lock) }
}

pub(crate) fn acquire_raised(lock: *mut usize, function: &'static str) {
    let thread = sched::current();
    if strict() {
        if thread.irql() < irql::DISPATCH {
            crate::bugcheck!(Rule::IrqlTooLow, thread.irql(), lock;
                "{function} was called at {}, it needs DISPATCH_LEVEL", irql::name(thread.irql()));
        }
        let held = thread
            .held_locks
            .borrow()
            .iter()
            .any(|h| h.address == lock as usize);
        if held {
            crate::bugcheck!(Rule::SpinLockRecursive, lock;
                "{function} for the spin lock at {lock:p}, which this thread holds");
        }
    }
    let word = word(lock);
    sched::spin_until(|| {
        word.load(Ordering::Relaxed) == 0
            && word
                .compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    });
    if strict() {
        thread.held_locks.borrow_mut().push(HeldLock {
            address: lock as usize,
            function,
        });
    }
}

pub(crate) fn release_raised(lock: *mut usize, function: &'static str) {
    if strict() {
        let thread = sched::current();
        let mut held = thread.held_locks.borrow_mut();
        let found = held.iter().rposition(|h| h.address == lock as usize);
        match found {
            Some(index) => {
                held.remove(index);
            }
            None => {
                drop(held);
                crate::bugcheck!(Rule::SpinLockNotOwned, lock;
                    "{function} for the spin lock at {lock:p}, which this thread does not hold");
            }
        }
    }
    word(lock).store(0, Ordering::Release);
}

/// Bit of a reader-writer spin lock that a writer sets.
const EXCLUSIVE: usize = 1 << 31;

fn rw(lock: *mut i32) -> &'static std::sync::atomic::AtomicU32 {
    // SAFETY: the caller passes an EX_SPIN_LOCK, an aligned 32-bit word used only as a lock.
    unsafe { std::sync::atomic::AtomicU32::from_ptr(lock.cast()) }
}

fn note_rw(lock: *mut i32, function: &'static str) {
    if strict() {
        sched::current().held_locks.borrow_mut().push(HeldLock {
            address: lock as usize,
            function,
        });
    }
}

fn forget_rw(lock: *mut i32, function: &'static str) {
    if strict() {
        let thread = sched::current();
        let mut held = thread.held_locks.borrow_mut();
        let Some(index) = held.iter().rposition(|h| h.address == lock as usize) else {
            drop(held);
            crate::bugcheck!(Rule::SpinLockNotOwned, lock;
                "{function} for the lock at {lock:p}, which this thread does not hold");
        };
        held.remove(index);
    }
}

fn acquire_shared(lock: *mut i32, function: &'static str) {
    let word = rw(lock);
    sched::spin_until(|| {
        let value = word.load(Ordering::Relaxed);
        value & EXCLUSIVE as u32 == 0
            && word
                .compare_exchange(value, value + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    });
    note_rw(lock, function);
}

fn acquire_exclusive(lock: *mut i32, function: &'static str) {
    if strict()
        && sched::current()
            .held_locks
            .borrow()
            .iter()
            .any(|h| h.address == lock as usize)
    {
        crate::bugcheck!(Rule::SpinLockRecursive, lock;
            "{function} for the lock at {lock:p}, which this thread holds");
    }
    let word = rw(lock);
    sched::spin_until(|| {
        word.compare_exchange(0, EXCLUSIVE as u32, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    });
    note_rw(lock, function);
}

fn release_shared(lock: *mut i32, function: &'static str) {
    forget_rw(lock, function);
    rw(lock).fetch_sub(1, Ordering::Release);
}

fn release_exclusive(lock: *mut i32, function: &'static str) {
    forget_rw(lock, function);
    rw(lock).store(0, Ordering::Release);
}

/// In-stack queue handle: the lock's address and the old level.
#[repr(C)]
pub(crate) struct QueueHandle {
    next: *mut u8,
    lock: *mut usize,
    old_irql: u8,
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a spin lock that nobody holds.
    #[irql(ANY)]
    fn KeInitializeSpinLock(lock: *mut usize) {
        word(lock).store(0, Ordering::Relaxed);
    }

    /// Raises to DISPATCH_LEVEL and takes a spin lock; returns the old level.
    #[irql(DISPATCH)]
    fn KeAcquireSpinLockRaiseToDpc(lock: *mut usize) -> u8 {
        let old = irql::raise(irql::DISPATCH);
        acquire_raised(lock, "KeAcquireSpinLockRaiseToDpc");
        old
    }

    /// Takes a spin lock at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn KeAcquireSpinLockAtDpcLevel(lock: *mut usize) {
        acquire_raised(lock, "KeAcquireSpinLockAtDpcLevel");
    }

    /// Releases a spin lock and goes back to the old level.
    #[irql(DISPATCH)]
    fn KeReleaseSpinLock(lock: *mut usize, old: u8) {
        release_raised(lock, "KeReleaseSpinLock");
        irql::lower(old);
    }

    /// Releases a spin lock and stays at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn KeReleaseSpinLockFromDpcLevel(lock: *mut usize) {
        release_raised(lock, "KeReleaseSpinLockFromDpcLevel");
    }

    /// Whether a spin lock is free.
    #[irql(ANY)]
    fn KeTestSpinLock(lock: *mut usize) -> u8 {
        u8::from(word(lock).load(Ordering::Relaxed) == 0)
    }

    /// Takes a spin lock at DISPATCH_LEVEL if it is free.
    #[irql(ANY)]
    fn KeTryToAcquireSpinLockAtDpcLevel(lock: *mut usize) -> u8 {
        let taken = word(lock).compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if taken && strict() {
            sched::current().held_locks.borrow_mut().push(HeldLock {
                address: lock as usize,
                function: "KeTryToAcquireSpinLockAtDpcLevel",
            });
        }
        u8::from(taken)
    }

    /// Takes a queued spin lock, raising to DISPATCH_LEVEL.
    #[irql(DISPATCH)]
    fn KeAcquireInStackQueuedSpinLock(lock: *mut usize, handle: *mut QueueHandle) {
        let old_irql = irql::raise(irql::DISPATCH);
        acquire_raised(lock, "KeAcquireInStackQueuedSpinLock");
        // SAFETY: the caller gives memory for a lock queue handle.
        unsafe { handle.write(QueueHandle { next: std::ptr::null_mut(), lock, old_irql }) };
    }

    /// Releases a queued spin lock and goes back to the old level.
    #[irql(DISPATCH)]
    fn KeReleaseInStackQueuedSpinLock(handle: *mut QueueHandle) {
        // SAFETY: the handle that the acquire filled in.
        let QueueHandle { lock, old_irql: old, .. } = unsafe { handle.read() };
        release_raised(lock, "KeReleaseInStackQueuedSpinLock");
        irql::lower(old);
    }

    /// Takes a queued spin lock at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn KeAcquireInStackQueuedSpinLockAtDpcLevel(lock: *mut usize, handle: *mut QueueHandle) {
        acquire_raised(lock, "KeAcquireInStackQueuedSpinLockAtDpcLevel");
        // SAFETY: the caller gives memory for a lock queue handle.
        unsafe { handle.write(QueueHandle { next: std::ptr::null_mut(), lock, old_irql: irql::DISPATCH }) };
    }

    /// Releases a queued spin lock and stays at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn KeReleaseInStackQueuedSpinLockFromDpcLevel(handle: *mut QueueHandle) {
        // SAFETY: the handle that the acquire filled in.
        let lock = unsafe { (*handle).lock };
        release_raised(lock, "KeReleaseInStackQueuedSpinLockFromDpcLevel");
    }

    /// Takes a reader-writer spin lock for reading; returns the old level.
    #[irql(DISPATCH)]
    fn ExAcquireSpinLockShared(lock: *mut i32) -> u8 {
        let old = irql::raise(irql::DISPATCH);
        acquire_shared(lock, "ExAcquireSpinLockShared");
        old
    }

    /// Takes a reader-writer spin lock for reading at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn ExAcquireSpinLockSharedAtDpcLevel(lock: *mut i32) {
        acquire_shared(lock, "ExAcquireSpinLockSharedAtDpcLevel");
    }

    /// Takes a reader-writer spin lock for writing; returns the old level.
    #[irql(DISPATCH)]
    fn ExAcquireSpinLockExclusive(lock: *mut i32) -> u8 {
        let old = irql::raise(irql::DISPATCH);
        acquire_exclusive(lock, "ExAcquireSpinLockExclusive");
        old
    }

    /// Takes a reader-writer spin lock for writing at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn ExAcquireSpinLockExclusiveAtDpcLevel(lock: *mut i32) {
        acquire_exclusive(lock, "ExAcquireSpinLockExclusiveAtDpcLevel");
    }

    /// Ends reading and goes back to the old level.
    #[irql(DISPATCH)]
    fn ExReleaseSpinLockShared(lock: *mut i32, old: u8) {
        release_shared(lock, "ExReleaseSpinLockShared");
        irql::lower(old);
    }

    /// Ends reading and stays at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn ExReleaseSpinLockSharedFromDpcLevel(lock: *mut i32) {
        release_shared(lock, "ExReleaseSpinLockSharedFromDpcLevel");
    }

    /// Ends writing and goes back to the old level.
    #[irql(DISPATCH)]
    fn ExReleaseSpinLockExclusive(lock: *mut i32, old: u8) {
        release_exclusive(lock, "ExReleaseSpinLockExclusive");
        irql::lower(old);
    }

    /// Ends writing and stays at DISPATCH_LEVEL.
    #[irql(ANY)]
    fn ExReleaseSpinLockExclusiveFromDpcLevel(lock: *mut i32) {
        release_exclusive(lock, "ExReleaseSpinLockExclusiveFromDpcLevel");
    }
}
