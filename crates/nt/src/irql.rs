//! Interrupt request levels as values that prove them.
//!
//! A token is made where the kernel promises a level (a callback, a held spin lock) and is asked for by what needs the
//! level. It speaks of the moment it was made: code that raises the level keeps its lower tokens, and must not use
//! them until the level is lowered again. For the same reason guards that raise the level are dropped in the reverse
//! order of their making.

use core::marker::PhantomData;

use crate::sys::imports::ntoskrnl;
use crate::sys::{DISPATCH_LEVEL, KIRQL};

/// Proof of running at PASSIVE_LEVEL: may wait, may touch paged memory.
#[derive(Clone, Copy, Debug)]
pub struct Passive<'a>(PhantomData<(&'a (), *const ())>);

/// Proof of running at DISPATCH_LEVEL: bound to a processor, may not wait.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch<'a>(PhantomData<(&'a (), *const ())>);

impl Passive<'_> {
    /// Asserts the level.
    ///
    /// # Safety
    ///
    /// The current level must be PASSIVE_LEVEL for as long as the token is used.
    #[must_use]
    #[inline]
    pub const unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

impl Dispatch<'_> {
    /// Asserts the level.
    ///
    /// # Safety
    ///
    /// The current level must be DISPATCH_LEVEL for as long as the token is used.
    #[must_use]
    #[inline]
    pub const unsafe fn assume() -> Self {
        Self(PhantomData)
    }
}

/// The current level.
#[must_use]
#[inline]
pub fn current() -> KIRQL {
    // SAFETY: callable at any level.
    unsafe { ntoskrnl::KeGetCurrentIrql() }
}

/// The level raised to DISPATCH_LEVEL until the value is dropped.
#[must_use]
#[derive(Debug)]
pub struct Raised {
    old: KIRQL,
    thread: PhantomData<*const ()>,
}

impl Raised {
    /// Raises the level; any level up to DISPATCH_LEVEL.
    #[inline]
    pub fn to_dispatch() -> Self {
        // SAFETY: drivers call this below device interrupt levels only, so the level is raised and not lowered.
        let old = unsafe { ntoskrnl::KfRaiseIrql(DISPATCH_LEVEL) };
        Self {
            old,
            thread: PhantomData,
        }
    }

    /// Proof of the level.
    #[must_use]
    #[inline]
    pub const fn token(&self) -> Dispatch<'_> {
        Dispatch(PhantomData)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // SAFETY: `old` is what this thread ran at before `to_dispatch`.
        unsafe { ntoskrnl::KeLowerIrql(self.old) }
    }
}

/// Normal kernel APCs disabled for the current thread until the value is dropped.
#[must_use]
#[derive(Debug)]
pub struct CriticalRegion(PhantomData<*const ()>);

impl CriticalRegion {
    /// Enters the region; IRQL up to APC_LEVEL.
    #[inline]
    pub fn enter() -> Self {
        // SAFETY: left by `drop` on the same thread.
        unsafe { ntoskrnl::KeEnterCriticalRegion() };
        Self(PhantomData)
    }
}

impl Drop for CriticalRegion {
    fn drop(&mut self) {
        // SAFETY: entered by `enter` on this thread.
        unsafe { ntoskrnl::KeLeaveCriticalRegion() }
    }
}
