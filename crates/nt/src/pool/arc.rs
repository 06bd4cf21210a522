//! A shared value in the pool.

use core::fmt;
use core::mem::{ManuallyDrop, MaybeUninit};
use core::ops::Deref;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicUsize, Ordering, fence};

use super::{Box, Tag};
use crate::status::Result;

struct Counted<T> {
    references: AtomicUsize,
    value: T,
}

/// A shared value in non-paged pool, dropped with its last reference.
pub struct Arc<T> {
    block: NonNull<Counted<T>>,
}

// SAFETY: references may be cloned and dropped anywhere, so the value must be fit for both.
unsafe impl<T: Send + Sync> Send for Arc<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Arc<T> {}

impl<T> Arc<T> {
    /// Moves a value into the pool.
    ///
    /// # Errors
    ///
    /// [`crate::Status::INSUFFICIENT_RESOURCES`]; the value is dropped.
    pub fn new(tag: Tag, value: T) -> Result<Self> {
        Ok(Self::room(tag)?.write(value))
    }

    /// Allocates room for a shared value, for callers that must not fail once they have the value.
    ///
    /// # Errors
    ///
    /// [`crate::Status::INSUFFICIENT_RESOURCES`].
    pub fn room(tag: Tag) -> Result<ArcRoom<T>> {
        Ok(ArcRoom(Box::uninit(tag)?))
    }

    fn counted(&self) -> &Counted<T> {
        // SAFETY: the block lives as long as a reference does.
        unsafe { self.block.as_ref() }
    }

    /// Whether both refer to the same value.
    #[must_use]
    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        this.block == other.block
    }

    /// The number of references, which others may change at any time.
    #[must_use]
    pub fn references(this: &Self) -> usize {
        this.counted().references.load(Ordering::Relaxed)
    }

    /// The value, when this is the only reference.
    pub fn get_mut(this: &mut Self) -> Option<&mut T> {
        (this.counted().references.load(Ordering::Acquire) == 1).then(|| {
            // SAFETY: the only reference is borrowed exclusively.
            let counted = unsafe { this.block.as_mut() };
            &mut counted.value
        })
    }

    /// Gives a reference away as a pointer to the value, for the kernel to hold.
    #[must_use]
    pub fn into_raw(this: Self) -> *const T {
        &raw const ManuallyDrop::new(this).counted().value
    }

    /// Takes back a reference that [`Arc::into_raw`] gave away.
    ///
    /// # Safety
    ///
    /// `value` came from `into_raw` of the same type, and is taken back once.
    #[must_use]
    pub unsafe fn from_raw(value: *const T) -> Self {
        let offset = core::mem::offset_of!(Counted<T>, value);
        // SAFETY: the value lies at that offset of its block.
        let block = unsafe { value.byte_sub(offset) };
        // SAFETY: the block is not null.
        let block = unsafe { NonNull::new_unchecked(block.cast_mut().cast()) };
        Self { block }
    }

    /// Clones a reference that [`Arc::into_raw`] gave away, which stays away.
    ///
    /// # Safety
    ///
    /// `value` came from `into_raw` of the same type and has not been taken back.
    #[must_use]
    pub unsafe fn clone_raw(value: *const T) -> Self {
        // SAFETY: the caller's promise; the reference is not dropped here.
        let held = ManuallyDrop::new(unsafe { Self::from_raw(value) });
        Self::clone(&held)
    }
}

/// Room for a shared value.
pub struct ArcRoom<T>(Box<MaybeUninit<Counted<T>>>);

impl<T> ArcRoom<T> {
    /// Puts a value into the room.
    #[must_use]
    pub fn write(self, value: T) -> Arc<T> {
        let counted = self.0.write(Counted {
            references: AtomicUsize::new(1),
            value,
        });
        // SAFETY: a box's pointer is not null.
        let block = unsafe { NonNull::new_unchecked(Box::into_raw(counted)) };
        Arc { block }
    }
}

impl<T> fmt::Debug for ArcRoom<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ArcRoom")
    }
}

impl<T> Clone for Arc<T> {
    #[inline]
    fn clone(&self) -> Self {
        self.counted().references.fetch_add(1, Ordering::Relaxed);
        Self { block: self.block }
    }
}

impl<T> Drop for Arc<T> {
    #[inline]
    fn drop(&mut self) {
        if self.counted().references.fetch_sub(1, Ordering::Release) == 1 {
            fence(Ordering::Acquire);
            // SAFETY: the last reference is gone, and the block was a box.
            drop(unsafe { Box::from_raw(self.block.as_ptr()) });
        }
    }
}

impl<T> Deref for Arc<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.counted().value
    }
}

impl<T: fmt::Debug> fmt::Debug for Arc<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T> PartialEq for Arc<T> {
    /// Same value, not equal values.
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(&**self, &**other)
    }
}
