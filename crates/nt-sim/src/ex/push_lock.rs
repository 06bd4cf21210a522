//! Push locks.
//!
//! The lock word in the driver's memory: bit 0 is set while somebody owns the lock exclusively, the
//! bits from 4 count shared owners. Who waits is kept here.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use crate::sync::Mutex;

use crate::{
    exports,
    kernel::{kernel, strict},
    mem::caller,
    sched::{self, Thread},
    verifier::Rule,
};

const EXCLUSIVE: usize = 1;
const SHARED: usize = 16;

/// Threads that wait for push locks, and who owns them.
#[derive(Default)]
pub(crate) struct Waiters {
    waiting: Mutex<BTreeMap<usize, VecDeque<Arc<Thread>>>>,
    owners: Mutex<BTreeMap<usize, Vec<u32>>>,
}

fn word(lock: usize) -> usize {
    // SAFETY: the caller passes a push lock; changed only under the table's lock.
    unsafe { *(lock as *const usize) }
}

fn set_word(lock: usize, value: usize) {
    // SAFETY: as in `word`.
    unsafe { *(lock as *mut usize) = value };
}

fn try_take(lock: usize, exclusive: bool) -> bool {
    let value = word(lock);
    let free = if exclusive {
        value == 0
    } else {
        value & EXCLUSIVE == 0
    };
    if free {
        set_word(lock, if exclusive { EXCLUSIVE } else { value + SHARED });
    }
    free
}

fn acquire(lock: usize, exclusive: bool, function: &str) {
    let thread = sched::current();
    if strict() {
        check_region(thread, lock, function);
        let owned = kernel()
            .ex
            .push_locks
            .owners
            .lock()
            .get(&lock)
            .is_some_and(|o| o.contains(&thread.id));
        if owned {
            crate::bugcheck!(Rule::PushLockMisused, lock;
                "{function} for the push lock at {lock:#x}, which this thread owns");
        }
    }
    let waiters = &kernel().ex.push_locks;
    loop {
        let mut waiting = waiters.waiting.lock();
        if try_take(lock, exclusive) {
            break;
        }
        if let Some(me) = thread.weak().upgrade() {
            let queue = waiting.entry(lock).or_default();
            if !queue.iter().any(|t| t.id == me.id) {
                queue.push_back(me);
            }
        }
        drop(waiting);
        sched::block();
    }
    if strict() {
        waiters
            .owners
            .lock()
            .entry(lock)
            .or_default()
            .push(thread.id);
        kernel()
            .verifier
            .objects
            .lock()
            .insert(lock, "held push lock", 8, caller::owner());
    }
}

fn check_region(thread: &Thread, lock: usize, function: &str) {
    if thread.apc_disable.get() == 0 && thread.guarded.get() == 0 && thread.irql() == 0 {
        crate::bugcheck!(Rule::PushLockMisused, lock;
            "{function} for the push lock at {lock:#x} outside a critical region");
    }
}

fn release(lock: usize, exclusive: bool, function: &str) {
    let value = word(lock);
    let held = if exclusive {
        value & EXCLUSIVE != 0
    } else {
        value >= SHARED
    };
    if strict() {
        let thread = sched::current();
        let mut owners = kernel().ex.push_locks.owners.lock();
        let list = owners.get_mut(&lock);
        let mine = list.and_then(|list| {
            let index = list.iter().position(|&id| id == thread.id)?;
            list.remove(index);
            Some(list.is_empty())
        });
        let owned = mine.is_some();
        if mine == Some(true) {
            owners.remove(&lock);
            kernel().verifier.objects.lock().remove(lock);
        }
        drop(owners);
        if !held || !owned {
            crate::bugcheck!(Rule::PushLockMisused, lock, value;
                "{function} for the push lock at {lock:#x}, which this thread does not own so");
        }
    }
    let waiters = &kernel().ex.push_locks;
    let mut waiting = waiters.waiting.lock();
    let value = word(lock);
    set_word(
        lock,
        if exclusive {
            value & !EXCLUSIVE
        } else {
            value - SHARED
        },
    );
    if let Some(queue) = waiting.remove(&lock) {
        drop(waiting);
        for thread in queue {
            sched::unblock(&thread);
        }
    }
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a push lock that nobody owns.
    #[irql(ANY)]
    fn ExInitializePushLock(lock: usize) {
        set_word(lock, 0);
    }

    /// Takes a push lock for itself.
    #[irql(APC)]
    fn ExAcquirePushLockExclusiveEx(lock: usize, flags: u32) {
        let _ = flags;
        acquire(lock, true, "ExAcquirePushLockExclusive");
    }

    /// Takes a push lock together with others.
    #[irql(APC)]
    fn ExAcquirePushLockSharedEx(lock: usize, flags: u32) {
        let _ = flags;
        acquire(lock, false, "ExAcquirePushLockShared");
    }

    /// Gives up exclusive ownership.
    #[irql(DISPATCH)]
    fn ExReleasePushLockExclusiveEx(lock: usize, flags: u32) {
        let _ = flags;
        release(lock, true, "ExReleasePushLockExclusive");
    }

    /// Gives up shared ownership.
    #[irql(DISPATCH)]
    fn ExReleasePushLockSharedEx(lock: usize, flags: u32) {
        let _ = flags;
        release(lock, false, "ExReleasePushLockShared");
    }

    /// Gives up whichever ownership there is.
    #[irql(APC)]
    fn ExReleasePushLockEx(lock: usize, flags: u32) {
        let _ = flags;
        let exclusive = word(lock) & EXCLUSIVE != 0;
        release(lock, exclusive, "ExReleasePushLock");
    }
}
