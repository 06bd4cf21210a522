//! Spin locks.

use core::cell::UnsafeCell;
use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::irql::Dispatch;
use crate::sys::imports::ntoskrnl;
use crate::sys::{KIRQL, KSPIN_LOCK};

/// A value behind a spin lock; locking raises to DISPATCH_LEVEL.
#[doc(alias = "KSPIN_LOCK")]
pub struct SpinLock<T: ?Sized> {
    lock: UnsafeCell<KSPIN_LOCK>,
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives one thread at a time exclusive access.
unsafe impl<T: ?Sized + Send> Send for SpinLock<T> {}
// SAFETY: as above.
unsafe impl<T: ?Sized + Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// A free lock around a value. (A free lock is a zero word; nothing need be called.)
    pub const fn new(value: T) -> Self {
        Self {
            lock: UnsafeCell::new(0),
            value: UnsafeCell::new(value),
        }
    }
}

impl<T: ?Sized> SpinLock<T> {
    /// Takes the lock; any level up to DISPATCH_LEVEL.
    #[inline]
    pub fn lock(&self) -> SpinGuard<'_, T> {
        // SAFETY: initialised by `new`; a thread that holds it already would deadlock, not break memory.
        let old = unsafe { ntoskrnl::KeAcquireSpinLockRaiseToDpc(self.lock.get()) };
        SpinGuard {
            lock: self,
            old: Some(old),
            thread: PhantomData,
        }
    }

    /// Takes the lock when already at DISPATCH_LEVEL, which is cheaper.
    #[inline]
    pub fn lock_at_dispatch(&self, _proof: Dispatch<'_>) -> SpinGuard<'_, T> {
        // SAFETY: initialised by `new`; the level is proven.
        unsafe { ntoskrnl::KeAcquireSpinLockAtDpcLevel(self.lock.get()) };
        SpinGuard {
            lock: self,
            old: None,
            thread: PhantomData,
        }
    }

    /// The value, which nobody can have locked.
    pub const fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T: ?Sized> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpinLock")
    }
}

/// A held spin lock: proves DISPATCH_LEVEL.
#[must_use]
pub struct SpinGuard<'a, T: ?Sized> {
    lock: &'a SpinLock<T>,
    /// The level to return to, unless it was DISPATCH_LEVEL already.
    old: Option<KIRQL>,
    thread: PhantomData<*const ()>,
}

impl<T: ?Sized> SpinGuard<'_, T> {
    /// Proof of the level.
    #[must_use]
    #[inline]
    pub const fn dispatch(&self) -> Dispatch<'_> {
        // SAFETY: the guard holds the level.
        unsafe { Dispatch::assume() }
    }
}

impl<T: ?Sized> Drop for SpinGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match self.old {
            // SAFETY: taken by `lock`, which stored the level.
            Some(old) => unsafe { ntoskrnl::KeReleaseSpinLock(self.lock.lock.get(), old) },
            // SAFETY: taken by `lock_at_dispatch`.
            None => unsafe { ntoskrnl::KeReleaseSpinLockFromDpcLevel(self.lock.lock.get()) },
        }
    }
}

impl<T: ?Sized> Deref for SpinGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is held.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for SpinGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is held, the guard borrowed exclusively.
        unsafe { &mut *self.lock.value.get() }
    }
}
