//! The kernel's own locks.
//!
//! Each thread remembers which it holds, for two reasons. Kernel code may fault on what a driver passed it: its frames,
//! guards included, are left as they are then, and its locks are given up here, or everybody else would wait for them
//! for ever. And no lock may be held where control leaves the kernel's hands, which is checked here.

use std::cell::Cell;

use parking_lot::lock_api;

/// A mutual exclusion lock.
pub(crate) type Mutex<T> = lock_api::Mutex<RawMutex, T>;
/// Access to what a [`Mutex`] guards.
pub(crate) type MutexGuard<'a, T> = lock_api::MutexGuard<'a, RawMutex, T>;
/// A lock for many readers or one writer.
pub(crate) type RwLock<T> = lock_api::RwLock<RawRwLock, T>;

/// A lock that its thread knows of.
pub(crate) struct RawMutex(parking_lot::RawMutex);
/// A reader-writer lock that its threads know of.
pub(crate) struct RawRwLock(parking_lot::RawRwLock);

#[derive(Clone, Copy)]
enum Held {
    Mutex(*const RawMutex),
    Read(*const RawRwLock),
    Write(*const RawRwLock),
}

/// Locks that one thread can hold at the same time and be remembered for.
const MOST: usize = 16;

struct Locks {
    held: [Cell<Option<Held>>; MOST],
    count: Cell<usize>,
}

thread_local! {
    static LOCKS: Locks = const {
        Locks {
            held: [const { Cell::new(None) }; MOST],
            count: Cell::new(0),
        }
    };
}

impl Held {
    fn address(self) -> usize {
        match self {
            Held::Mutex(lock) => lock as usize,
            Held::Read(lock) | Held::Write(lock) => lock as usize,
        }
    }
}

impl Locks {
    fn add(&self, lock: Held) {
        let free = self.held.iter().find(|slot| slot.get().is_none());
        let slot = free.expect("more locks are held than any order of them allows");
        slot.set(Some(lock));
        self.count.set(self.count.get() + 1);
    }

    fn remove(&self, address: usize) {
        let is_it =
            |slot: &&Cell<Option<Held>>| slot.get().is_some_and(|held| held.address() == address);
        if let Some(slot) = self.held.iter().rfind(is_it) {
            slot.set(None);
            self.count.set(self.count.get() - 1);
        }
    }
}

fn add(lock: Held) {
    LOCKS.with(|locks| locks.add(lock));
}

fn remove<T>(lock: *const T) {
    LOCKS.with(|locks| locks.remove(lock as usize));
}

/// Whether this thread holds a lock of the kernel.
pub(crate) fn any_held() -> bool {
    LOCKS.with(|locks| locks.count.get() > 0)
}

/// Checks that control may leave the kernel's hands.
///
/// # Panics
/// When this thread holds a lock: a defect of the simulated kernel.
#[inline]
#[track_caller]
pub(crate) fn assert_none_held() {
    assert!(!any_held(), "the kernel holds a lock of its own here");
}

/// Gives up every lock of this thread: the frames that held them are left and never go on.
pub(crate) fn abandon() {
    LOCKS.with(|locks| {
        for slot in &locks.held {
            let Some(held) = slot.take() else {
                continue;
            };
            match held {
                Held::Mutex(lock) => {
                    // SAFETY: locks are removed from the list before they are unlocked, so this one is still locked and
                    // its guard, which borrows it, still exists.
                    let lock = unsafe { &*lock };
                    // SAFETY: locked by this thread, whose guard is never dropped.
                    unsafe { lock_api::RawMutex::unlock(&lock.0) };
                }
                Held::Read(lock) => {
                    // SAFETY: as above.
                    let lock = unsafe { &*lock };
                    // SAFETY: as above.
                    unsafe { lock_api::RawRwLock::unlock_shared(&lock.0) };
                }
                Held::Write(lock) => {
                    // SAFETY: as above.
                    let lock = unsafe { &*lock };
                    // SAFETY: as above.
                    unsafe { lock_api::RawRwLock::unlock_exclusive(&lock.0) };
                }
            }
        }
        locks.count.set(0);
    });
}

// SAFETY: everything is left to the lock inside.
unsafe impl lock_api::RawMutex for RawMutex {
    const INIT: RawMutex = RawMutex(<parking_lot::RawMutex as lock_api::RawMutex>::INIT);

    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    fn lock(&self) {
        lock_api::RawMutex::lock(&self.0);
        add(Held::Mutex(self));
    }

    #[inline]
    fn try_lock(&self) -> bool {
        let locked = lock_api::RawMutex::try_lock(&self.0);
        if locked {
            add(Held::Mutex(self));
        }
        locked
    }

    #[inline]
    unsafe fn unlock(&self) {
        remove(self);
        // SAFETY: the caller holds the lock.
        unsafe { lock_api::RawMutex::unlock(&self.0) };
    }
}

// SAFETY: as above.
unsafe impl lock_api::RawRwLock for RawRwLock {
    const INIT: RawRwLock = RawRwLock(<parking_lot::RawRwLock as lock_api::RawRwLock>::INIT);

    type GuardMarker = lock_api::GuardNoSend;

    #[inline]
    fn lock_shared(&self) {
        lock_api::RawRwLock::lock_shared(&self.0);
        add(Held::Read(self));
    }

    #[inline]
    fn try_lock_shared(&self) -> bool {
        let locked = lock_api::RawRwLock::try_lock_shared(&self.0);
        if locked {
            add(Held::Read(self));
        }
        locked
    }

    #[inline]
    unsafe fn unlock_shared(&self) {
        remove(self);
        // SAFETY: the caller holds the lock.
        unsafe { lock_api::RawRwLock::unlock_shared(&self.0) };
    }

    #[inline]
    fn lock_exclusive(&self) {
        lock_api::RawRwLock::lock_exclusive(&self.0);
        add(Held::Write(self));
    }

    #[inline]
    fn try_lock_exclusive(&self) -> bool {
        let locked = lock_api::RawRwLock::try_lock_exclusive(&self.0);
        if locked {
            add(Held::Write(self));
        }
        locked
    }

    #[inline]
    unsafe fn unlock_exclusive(&self) {
        remove(self);
        // SAFETY: the caller holds the lock.
        unsafe { lock_api::RawRwLock::unlock_exclusive(&self.0) };
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::{Lab, LabError, Rule, mem::testing::as_driver, sched};

    static MUTEX: Mutex<u32> = Mutex::new(0);
    static READ: RwLock<u32> = RwLock::new(0);
    static WRITE: RwLock<u32> = RwLock::new(0);

    #[test]
    fn locks_are_remembered_until_they_are_released() {
        let lock = Mutex::new(1);
        let other = RwLock::new(2);
        let first = lock.lock();
        let second = other.read();
        assert!(any_held());
        drop(first);
        assert!(any_held());
        drop(second);
        drop(other.write());
        assert!(lock.try_lock().is_some() && !any_held());
    }

    #[test]
    fn a_thread_may_not_wait_with_a_lock() {
        let lab = Lab::boot().unwrap();
        let waits = || {
            let _guard = MUTEX.lock();
            sched::block();
        };
        let panicked = catch_unwind(AssertUnwindSafe(|| lab.enter(waits).map(drop)));
        assert!(panicked.is_err());
        assert!(!any_held());
    }

    #[test]
    fn locks_of_kernel_code_that_faults_are_given_up() {
        let lab = Lab::boot().unwrap();
        let result = as_driver(&lab, || {
            let _guards = (MUTEX.lock(), READ.read(), WRITE.write());
            let nowhere = 0xffff_9000_0000_0000_usize as *const u64;
            // SAFETY: not safe: the fault is the test.
            unsafe { nowhere.read_volatile() }
        });
        let Err(LabError::BugCheck(report)) = result else {
            panic!("not caught");
        };
        assert_eq!(report.rule, Rule::InvalidAddress, "{report}");
        assert!(!any_held());
        assert!(MUTEX.try_lock().is_some());
        assert!(READ.try_write().is_some());
        assert!(WRITE.try_write().is_some());
        drop(lab);
    }
}
