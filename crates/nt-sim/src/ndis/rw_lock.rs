//! NDIS reader-writer locks: spin locks that many readers can hold.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicU32, Ordering},
};

use nt::sys::{LOCK_STATE_EX, NDIS_RWL_AT_DISPATCH_LEVEL};

use super::raw::{load, store};
use crate::{
    exports, irql,
    kernel::{kernel, strict},
    sched::{self, thread::HeldLock},
    verifier::Rule,
};

/// Set while a writer holds the lock; the rest counts readers.
const WRITER: u32 = 1 << 31;
/// Values of `LOCK_STATE_EX.LockState`.
const HELD_FOR_READ: u8 = 2;
const HELD_FOR_WRITE: u8 = 4;

/// A lock; its address is the handle.
pub(crate) struct RwLock {
    pub(crate) owner: usize,
    word: AtomicU32,
}

impl RwLock {
    fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    fn try_read(&self) -> bool {
        let value = self.word.load(Ordering::Relaxed);
        value & WRITER == 0
            && self
                .word
                .compare_exchange(value, value + 1, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    fn try_write(&self) -> bool {
        self.word
            .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }
}

fn acquire(
    handle: *mut c_void,
    state: *mut LOCK_STATE_EX,
    flags: u8,
    write: bool,
    function: &'static str,
) {
    let lock = kernel().ndis.rw_locks.get(handle, function);
    let at_dispatch = u32::from(flags) & NDIS_RWL_AT_DISPATCH_LEVEL != 0;
    let thread = sched::current();
    if strict() {
        if at_dispatch && thread.irql() < irql::DISPATCH {
            crate::bugcheck!(Rule::IrqlTooLow, thread.irql(), handle;
                "{function} with NDIS_RWL_AT_DISPATCH_LEVEL at {}", irql::name(thread.irql()));
        }
        // Reading twice is allowed, anything else would wait for itself.
        let word = lock.word.load(Ordering::Relaxed);
        let held = thread
            .held_locks
            .borrow()
            .iter()
            .any(|h| h.address == lock.address());
        if held && (write || word & WRITER != 0) {
            crate::bugcheck!(Rule::SpinLockRecursive, handle;
                "{function} for the lock at {handle:p}, which this thread holds");
        }
    }
    let old = if at_dispatch {
        irql::DISPATCH
    } else {
        irql::raise(irql::DISPATCH)
    };
    sched::spin_until(|| {
        if write {
            lock.try_write()
        } else {
            lock.try_read()
        }
    });
    if strict() {
        thread.held_locks.borrow_mut().push(HeldLock {
            address: lock.address(),
            function,
        });
    }
    store(
        state,
        LOCK_STATE_EX {
            OldIrql: old,
            LockState: if write { HELD_FOR_WRITE } else { HELD_FOR_READ },
            Flags: flags,
        },
    );
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Makes a reader-writer lock.
    #[irql(DISPATCH)]
    fn NdisAllocateRWLock(handle: *mut c_void) -> *mut c_void {
        let owner = super::owner(handle);
        if super::memory::must_fail("NdisAllocateRWLock") {
            return std::ptr::null_mut();
        }
        let lock = kernel().ndis.rw_locks.insert(RwLock { owner, word: AtomicU32::new(0) });
        std::ptr::from_ref(lock).cast_mut().cast()
    }

    /// Frees a lock that nobody holds.
    #[irql(DISPATCH)]
    fn NdisFreeRWLock(handle: *mut c_void) {
        let lock = kernel().ndis.rw_locks.get(handle, "NdisFreeRWLock");
        if lock.word.load(Ordering::Acquire) != 0 {
            crate::bugcheck!(Rule::ActiveObjectFreed, handle; "NdisFreeRWLock for a lock that is held");
        }
        kernel().ndis.rw_locks.retire(lock);
    }

    /// Takes a lock for reading.
    #[irql(DISPATCH)]
    fn NdisAcquireRWLockRead(handle: *mut c_void, state: *mut LOCK_STATE_EX, flags: u8) {
        acquire(handle, state, flags, false, "NdisAcquireRWLockRead");
    }

    /// Takes a lock for writing.
    #[irql(DISPATCH)]
    fn NdisAcquireRWLockWrite(handle: *mut c_void, state: *mut LOCK_STATE_EX, flags: u8) {
        acquire(handle, state, flags, true, "NdisAcquireRWLockWrite");
    }

    /// Releases a lock, as `state` says.
    #[irql(DISPATCH)]
    fn NdisReleaseRWLock(handle: *mut c_void, state: *mut LOCK_STATE_EX) {
        let lock = kernel().ndis.rw_locks.get(handle, "NdisReleaseRWLock");
        let state = load(state);
        if strict() {
            let mut held = sched::current().held_locks.borrow_mut();
            let Some(index) = held.iter().rposition(|h| h.address == lock.address()) else {
                drop(held);
                crate::bugcheck!(Rule::SpinLockNotOwned, handle;
                    "NdisReleaseRWLock for the lock at {handle:p}, which this thread does not hold");
            };
            held.remove(index);
        }
        if state.LockState == HELD_FOR_WRITE {
            lock.word.store(0, Ordering::Release);
        } else {
            lock.word.fetch_sub(1, Ordering::Release);
        }
        if u32::from(state.Flags) & NDIS_RWL_AT_DISPATCH_LEVEL == 0 {
            irql::lower(state.OldIrql);
        }
    }
}
