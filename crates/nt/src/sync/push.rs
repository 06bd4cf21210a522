//! Push locks: reader-writer locks that wait.

use core::cell::UnsafeCell;
use core::fmt;
use core::ops::{Deref, DerefMut};

use crate::irql::{CriticalRegion, Passive};
use crate::sys::EX_PUSH_LOCK;
use crate::sys::imports::ntoskrnl;

/// A value behind a push lock: many readers or one writer, below DISPATCH_LEVEL.
///
/// Holding it keeps normal kernel APCs off, so that a suspended thread does not hold up the others.
#[doc(alias = "EX_PUSH_LOCK")]
pub struct PushLock<T: ?Sized> {
    lock: UnsafeCell<EX_PUSH_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock owns the value.
unsafe impl<T: ?Sized + Send> Send for PushLock<T> {}
// SAFETY: readers share the value, a writer has it alone.
unsafe impl<T: ?Sized + Send + Sync> Sync for PushLock<T> {}

impl<T> PushLock<T> {
    /// A free lock around a value. (A free lock is a zero word; nothing need be called.)
    pub const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized> PushLock<T> {
    /// Waits for shared access.
    #[doc(alias = "ExAcquirePushLockShared")]
    pub fn read(&self, _passive: Passive<'_>) -> PushReadGuard<'_, T> {
        let region = CriticalRegion::enter();
        // SAFETY: initialised by `new`; APCs are off.
        unsafe { ntoskrnl::ExAcquirePushLockSharedEx(self.lock.get(), 0) };
        PushReadGuard {
            lock: self,
            _region: region,
        }
    }

    /// Waits for exclusive access.
    #[doc(alias = "ExAcquirePushLockExclusive")]
    pub fn write(&self, _passive: Passive<'_>) -> PushWriteGuard<'_, T> {
        let region = CriticalRegion::enter();
        // SAFETY: initialised by `new`; APCs are off.
        unsafe { ntoskrnl::ExAcquirePushLockExclusiveEx(self.lock.get(), 0) };
        PushWriteGuard {
            lock: self,
            _region: region,
        }
    }

    /// The value, which nobody can have locked.
    pub const fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> fmt::Debug for PushLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PushLock")
    }
}

/// Shared access to the value of a [`PushLock`]. The lock is released before the region is left.
#[must_use]
pub struct PushReadGuard<'a, T: ?Sized> {
    lock: &'a PushLock<T>,
    _region: CriticalRegion,
}

impl<T: ?Sized> Drop for PushReadGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: taken by `read`.
        unsafe { ntoskrnl::ExReleasePushLockSharedEx(self.lock.lock.get(), 0) }
    }
}

impl<T: ?Sized> Deref for PushReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: held shared.
        unsafe { &*self.lock.value.get() }
    }
}

/// Exclusive access to the value of a [`PushLock`]. The lock is released before the region is left.
#[must_use]
pub struct PushWriteGuard<'a, T: ?Sized> {
    lock: &'a PushLock<T>,
    _region: CriticalRegion,
}

impl<T: ?Sized> Drop for PushWriteGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: taken by `write`.
        unsafe { ntoskrnl::ExReleasePushLockExclusiveEx(self.lock.lock.get(), 0) }
    }
}

impl<T: ?Sized> Deref for PushWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: held exclusively.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for PushWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: held exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}
