//! Deferred procedure calls.

use core::cell::UnsafeCell;
use core::fmt;
use core::ptr;

use crate::irql::{Dispatch, Passive};
use crate::pool::{Arc, Box, Tag};
use crate::processor::ProcessorNumber;
use crate::status::{Result, Status};
use crate::sys::imports::ntoskrnl;
use crate::sys::{HighImportance, KDPC, MediumImportance, PVOID};

/// What a [`Dpc`] does.
pub trait Deferred: Send + Sync + 'static {
    /// Runs at DISPATCH_LEVEL.
    fn run(&self, dispatch: Dispatch<'_>);
}

/// A deferred procedure call that can be queued again and again.
#[doc(alias = "KDPC")]
pub struct Dpc<D: Deferred> {
    // In a block of its own: a queued call is linked by the kernel and must not move.
    dpc: Box<UnsafeCell<KDPC>>,
    work: Arc<D>,
}

// SAFETY: the kernel's functions on deferred calls may be called from anywhere.
unsafe impl<D: Deferred> Send for Dpc<D> {}
// SAFETY: as above.
unsafe impl<D: Deferred> Sync for Dpc<D> {}

impl<D: Deferred> Dpc<D> {
    /// Makes a call that does `work`.
    ///
    /// # Errors
    ///
    /// [`Status::INSUFFICIENT_RESOURCES`].
    pub fn new(tag: Tag, work: Arc<D>) -> Result<Self> {
        let dpc = Box::new(tag, UnsafeCell::new(KDPC::zeroed()))?;
        let context = ptr::from_ref(&*work).cast_mut().cast();
        // SAFETY: room for a call that stays where it is; the context is kept by `work`.
        unsafe { ntoskrnl::KeInitializeDpc(dpc.get(), Some(run::<D>), context) };
        Ok(Self { dpc, work })
    }

    /// What the call does.
    #[must_use]
    pub const fn work(&self) -> &Arc<D> {
        &self.work
    }

    /// Queues the call; `false` when it is queued already. Any level.
    pub fn queue(&self) -> bool {
        // SAFETY: initialised.
        unsafe { ntoskrnl::KeInsertQueueDpc(self.dpc.get(), ptr::null_mut(), ptr::null_mut()) != 0 }
    }

    /// Has the call run before others from now on, or not.
    pub fn set_urgent(&self, urgent: bool) {
        let importance = if urgent {
            HighImportance
        } else {
            MediumImportance
        };
        // SAFETY: initialised.
        unsafe { ntoskrnl::KeSetImportanceDpc(self.dpc.get(), importance) }
    }

    /// Has the call run on a processor from now on.
    ///
    /// # Errors
    ///
    /// [`Status::INVALID_PARAMETER`] when there is no such processor.
    pub fn set_target(&self, processor: ProcessorNumber) -> Result<()> {
        let mut number = processor.raw();
        // SAFETY: initialised; the number is a local.
        Status(unsafe { ntoskrnl::KeSetTargetProcessorDpcEx(self.dpc.get(), &mut number) }).ok()
    }

    /// Takes the call out of its queue, and waits when it is running.
    pub fn cancel(&self, _passive: Passive<'_>) {
        // SAFETY: initialised; the level is proven.
        let _ = unsafe { ntoskrnl::KeRemoveQueueDpcEx(self.dpc.get(), 1) };
    }
}

impl<D: Deferred> Drop for Dpc<D> {
    /// Takes the call out of its queue, and waits when it is running; at PASSIVE_LEVEL.
    fn drop(&mut self) {
        // SAFETY: initialised.
        let _ = unsafe { ntoskrnl::KeRemoveQueueDpcEx(self.dpc.get(), 1) };
    }
}

impl<D: Deferred> fmt::Debug for Dpc<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Dpc")
    }
}

kernel_fn! {
    unsafe fn run<D: Deferred>(_dpc: *mut KDPC, context: PVOID, _argument1: PVOID, _argument2: PVOID) {
        // SAFETY: the value that `Dpc::new` passed; the `Dpc` waits for this call before it lets go of it.
        let work = unsafe { &*context.cast::<D>().cast_const() };
        // SAFETY: deferred calls run at DISPATCH_LEVEL.
        work.run(unsafe { Dispatch::assume() });
    }
}
