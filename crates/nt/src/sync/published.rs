//! Values that are replaced under their readers.
//!
//! Readers run at DISPATCH_LEVEL, where a processor does nothing else until they are done. Whoever replaced a value
//! therefore only has to have been on every processor once: then nobody reads the old value any more.

use core::fmt;
use core::marker::PhantomData;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use crate::irql::{self, Dispatch, Passive};
use crate::pool::Box;
use crate::sys::APC_LEVEL;
use crate::work::visit_processors;

/// The number of grace periods that have begun.
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// Proof that a grace period has passed: see [`grace_period`].
#[derive(Clone, Copy, Debug)]
pub struct Grace {
    /// The number of grace periods that had begun before.
    before: u64,
}

/// Waits until everybody is done who was reading a [`Published`] value when this was called.
pub fn grace_period(passive: Passive<'_>) -> Grace {
    let before = BEGUN.fetch_add(1, Ordering::SeqCst);
    // Once it was visited, a processor is done with what ran there at DISPATCH_LEVEL.
    visit_processors(passive);
    Grace { before }
}

/// A value in the pool that readers at DISPATCH_LEVEL see without a lock, while others replace it.
pub struct Published<T> {
    value: AtomicPtr<T>,
    owned: PhantomData<Box<T>>,
}

// SAFETY: as for the box; readers share the value.
unsafe impl<T: Send + Sync> Send for Published<T> {}
// SAFETY: readers share the value, and whoever replaces it takes it to another thread.
unsafe impl<T: Send + Sync> Sync for Published<T> {}

impl<T> Published<T> {
    /// No value yet.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            value: AtomicPtr::new(ptr::null_mut()),
            owned: PhantomData,
        }
    }

    /// A value to start with.
    #[must_use]
    pub fn new(value: Box<T>) -> Self {
        Self {
            value: AtomicPtr::new(Box::into_raw(value)),
            owned: PhantomData,
        }
    }

    /// The value of the moment, which stays as it is until the level is lowered.
    #[must_use]
    #[inline]
    pub fn read<'a>(&'a self, _dispatch: Dispatch<'a>) -> Option<&'a T> {
        // SAFETY: published by a release; whoever takes it back waits until this processor has lowered its level.
        unsafe { self.value.load(Ordering::Acquire).as_ref() }
    }

    /// Replaces the value, and waits until nobody reads the old one.
    pub fn replace(&self, new: Option<Box<T>>, passive: Passive<'_>) -> Option<Box<T>> {
        self.swap_later(new).reclaim(passive)
    }

    /// Replaces the value; the old one is to be had after a grace period. Any level up to DISPATCH_LEVEL.
    pub fn swap_later(&self, new: Option<Box<T>>) -> Retired<T> {
        let new = new.map_or(ptr::null_mut(), Box::into_raw);
        let old = self.value.swap(new, Ordering::SeqCst);
        Retired {
            value: NonNull::new(old),
            begun: BEGUN.load(Ordering::SeqCst),
            owned: PhantomData,
        }
    }

    /// The value, which nobody else can see.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        // SAFETY: null or a box's, borrowed exclusively.
        unsafe { self.value.get_mut().as_mut() }
    }

    /// The value, which nobody else can see any more.
    #[must_use]
    pub fn into_inner(self) -> Option<Box<T>> {
        let mut this = ManuallyDrop::new(self);
        // SAFETY: null or a box's, taken once.
        NonNull::new(*this.value.get_mut()).map(|value| unsafe { Box::from_raw(value.as_ptr()) })
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        if let Some(value) = NonNull::new(*self.value.get_mut()) {
            // SAFETY: a box's, and readers borrow `self`.
            drop(unsafe { Box::from_raw(value.as_ptr()) });
        }
    }
}

impl<T> Default for Published<T> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<T> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Published")
    }
}

/// A value that was replaced, and may still be read.
///
/// Dropped below DISPATCH_LEVEL it waits for its readers by itself. Dropped at DISPATCH_LEVEL, where nothing can wait,
/// its value is never freed.
#[must_use = "dropping this waits for a grace period"]
pub struct Retired<T> {
    value: Option<NonNull<T>>,
    /// The number of grace periods that had begun when the value was replaced, or later.
    begun: u64,
    owned: PhantomData<Box<T>>,
}

// SAFETY: as for the box, which others may still read.
unsafe impl<T: Send + Sync> Send for Retired<T> {}
// SAFETY: gives no access by reference.
unsafe impl<T: Send + Sync> Sync for Retired<T> {}

impl<T> Retired<T> {
    /// Waits until nobody reads the value.
    pub fn reclaim(mut self, passive: Passive<'_>) -> Option<Box<T>> {
        let value = self.value.take()?;
        let _ = grace_period(passive);
        // SAFETY: published as a box, replaced, and read by nobody since the grace period.
        Some(unsafe { Box::from_raw(value.as_ptr()) })
    }

    /// The value, when the grace period began after it was replaced.
    ///
    /// # Errors
    ///
    /// The value may still be read.
    pub fn after(mut self, grace: &Grace) -> Result<Option<Box<T>>, Self> {
        if self.begun > grace.before {
            return Err(self);
        }
        // SAFETY: published as a box, replaced before the grace period began, and read by nobody since.
        Ok(self
            .value
            .take()
            .map(|value| unsafe { Box::from_raw(value.as_ptr()) }))
    }
}

impl<T> Drop for Retired<T> {
    fn drop(&mut self) {
        if self.value.is_none() || irql::current() > APC_LEVEL {
            return;
        }
        // SAFETY: below DISPATCH_LEVEL, which is all that waiting for other processors needs.
        let passive = unsafe { Passive::assume() };
        let value = self.value.take();
        let _ = grace_period(passive);
        // SAFETY: published as a box, replaced, and read by nobody since the grace period.
        drop(value.map(|value| unsafe { Box::from_raw(value.as_ptr()) }));
    }
}

impl<T> fmt::Debug for Retired<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Retired")
    }
}
