//! Run-down protection: many users of a thing that is to go, one who waits until they are done.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use crate::irql::Passive;
use crate::pool::Tag;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{EX_RUNDOWN_REF, EX_RUNDOWN_REF_CACHE_AWARE, NonPagedPoolNx};

/// Run-down protection in one word.
#[doc(alias = "EX_RUNDOWN_REF")]
pub struct Rundown {
    word: UnsafeCell<EX_RUNDOWN_REF>,
}

// SAFETY: the kernel's run-down functions are atomic.
unsafe impl Send for Rundown {}
// SAFETY: as above.
unsafe impl Sync for Rundown {}

impl Rundown {
    /// Protection that can be acquired. (Its initial state is a zero word; nothing need be called.)
    #[must_use]
    pub const fn new() -> Self {
        Self {
            word: UnsafeCell::new(EX_RUNDOWN_REF::zeroed()),
        }
    }

    /// Enters, unless run-down has begun. Any level up to DISPATCH_LEVEL.
    #[inline]
    pub fn acquire(&self) -> Option<RundownGuard<'_>> {
        self.acquire_many(1)
    }

    /// Enters `count` times at once.
    #[inline]
    pub fn acquire_many(&self, count: u32) -> Option<RundownGuard<'_>> {
        // SAFETY: initialised.
        let acquired = unsafe { ntoskrnl::ExAcquireRundownProtectionEx(self.word.get(), count) };
        // Made only when acquired: every guard that is made also leaves.
        (acquired != 0).then(|| RundownGuard {
            of: Protection::Plain(self),
            count,
        })
    }

    /// Leaves `count` times what was entered by guards that were forgotten.
    ///
    /// # Safety
    ///
    /// That many protections are held and belong to the caller.
    #[inline]
    pub unsafe fn release_many(&self, count: u32) {
        // SAFETY: the caller's promise.
        unsafe { ntoskrnl::ExReleaseRundownProtectionEx(self.word.get(), count) }
    }

    /// Begins run-down and waits until everybody has left; nobody enters afterwards.
    pub fn wait(&self, _passive: Passive<'_>) {
        // SAFETY: initialised; the level is proven.
        unsafe { ntoskrnl::ExWaitForRundownProtectionRelease(self.word.get()) }
    }

    /// Opens the protection again after a finished [`Rundown::wait`].
    pub fn reset(&mut self) {
        // SAFETY: exclusive, so nobody is inside or waiting.
        unsafe { ntoskrnl::ExReInitializeRundownProtection(self.word.get()) }
    }
}

impl Default for Rundown {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Rundown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rundown")
    }
}

/// Run-down protection with a counter per processor: cheap to enter everywhere, dear to run down.
#[doc(alias = "EX_RUNDOWN_REF_CACHE_AWARE")]
pub struct CacheAwareRundown {
    block: NonNull<EX_RUNDOWN_REF_CACHE_AWARE>,
}

// SAFETY: the kernel's run-down functions are atomic.
unsafe impl Send for CacheAwareRundown {}
// SAFETY: as above.
unsafe impl Sync for CacheAwareRundown {}

impl CacheAwareRundown {
    /// Protection that can be acquired.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(tag: Tag) -> Result<Self> {
        // SAFETY: non-paged, so any level up to DISPATCH_LEVEL will do.
        let block =
            unsafe { ntoskrnl::ExAllocateCacheAwareRundownProtection(NonPagedPoolNx, tag.0) };
        NonNull::new(block)
            .map(|block| Self { block })
            .ok_or(Status::INSUFFICIENT_RESOURCES)
    }

    /// Enters, unless run-down has begun. Any level up to DISPATCH_LEVEL.
    #[inline]
    pub fn acquire(&self) -> Option<RundownGuard<'_>> {
        self.acquire_many(1)
    }

    /// Enters `count` times at once.
    #[inline]
    pub fn acquire_many(&self, count: u32) -> Option<RundownGuard<'_>> {
        // SAFETY: allocated.
        let acquired =
            unsafe { ntoskrnl::ExAcquireRundownProtectionCacheAwareEx(self.block.as_ptr(), count) };
        (acquired != 0).then(|| RundownGuard {
            of: Protection::CacheAware(self),
            count,
        })
    }

    /// Leaves `count` times what was entered by guards that were forgotten.
    ///
    /// # Safety
    ///
    /// That many protections are held and belong to the caller.
    #[inline]
    pub unsafe fn release_many(&self, count: u32) {
        // SAFETY: the caller's promise.
        unsafe { ntoskrnl::ExReleaseRundownProtectionCacheAwareEx(self.block.as_ptr(), count) }
    }

    /// Begins run-down and waits until everybody has left; nobody enters afterwards.
    pub fn wait(&self, _passive: Passive<'_>) {
        // SAFETY: allocated; the level is proven.
        unsafe { ntoskrnl::ExWaitForRundownProtectionReleaseCacheAware(self.block.as_ptr()) }
    }

    /// Opens the protection again after a finished [`CacheAwareRundown::wait`].
    pub fn reset(&mut self) {
        // SAFETY: exclusive, so nobody is inside or waiting.
        unsafe { ntoskrnl::ExReInitializeRundownProtectionCacheAware(self.block.as_ptr()) }
    }
}

impl Drop for CacheAwareRundown {
    fn drop(&mut self) {
        // SAFETY: guards borrow the value, so nobody is inside.
        unsafe { ntoskrnl::ExFreeCacheAwareRundownProtection(self.block.as_ptr()) }
    }
}

impl fmt::Debug for CacheAwareRundown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CacheAwareRundown")
    }
}

#[derive(Clone, Copy, Debug)]
enum Protection<'a> {
    Plain(&'a Rundown),
    CacheAware(&'a CacheAwareRundown),
}

/// Being inside a protection; left when dropped.
#[must_use]
#[derive(Debug)]
pub struct RundownGuard<'a> {
    of: Protection<'a>,
    count: u32,
}

impl RundownGuard<'_> {
    /// Stays inside beyond the guard, to be left by `release_many`; returns how many times.
    #[must_use]
    pub fn keep(self) -> u32 {
        core::mem::ManuallyDrop::new(self).count
    }
}

impl Drop for RundownGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        match self.of {
            // SAFETY: this guard's own protections.
            Protection::Plain(rundown) => unsafe { rundown.release_many(self.count) },
            // SAFETY: this guard's own protections.
            Protection::CacheAware(rundown) => unsafe { rundown.release_many(self.count) },
        }
    }
}
