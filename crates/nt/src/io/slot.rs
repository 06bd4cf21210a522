//! A place for one request that waits, and can be cancelled meanwhile.

use core::mem;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering, fence};

use super::irp::{Completion, Irp, overlay};
use crate::pool::Arc;
use crate::status::Status;
use crate::sync::SpinLock;
use crate::sys::imports::ntoskrnl;
use crate::sys::{DEVICE_OBJECT, IRP, PDRIVER_CANCEL};

/// Room for one pending request.
///
/// A request in the slot is completed either by whoever takes it out or, when its requestor cancels it or goes away,
/// as [`Status::CANCELLED`]; never by both.
#[derive(Debug)]
pub struct IrpSlot<N = ()> {
    parked: SpinLock<Option<Parked>>,
    note: N,
}

/// Hears of requests in a slot that were cancelled: they complete without their driver's doing.
pub trait Cancelled: Send + Sync + 'static {
    /// A request, by its address, is about to complete as [`Status::CANCELLED`]. At DISPATCH_LEVEL or below.
    fn cancelled(&self, request: usize);
}

/// Nobody hears of it.
impl Cancelled for () {
    fn cancelled(&self, _request: usize) {}
}

#[derive(PartialEq, Eq)]
struct Parked(NonNull<IRP>);

// SAFETY: a request may be completed by any thread.
unsafe impl Send for Parked {}

impl IrpSlot {
    /// An empty slot.
    #[must_use]
    pub const fn new() -> Self {
        Self::with_note(())
    }
}

impl<N> IrpSlot<N> {
    /// An empty slot whose cancellations somebody hears of.
    #[must_use]
    pub const fn with_note(note: N) -> Self {
        Self {
            parked: SpinLock::new(None),
            note,
        }
    }

    /// Who hears of cancellations.
    #[must_use]
    pub const fn note(&self) -> &N {
        &self.note
    }
}

impl<N: Cancelled> IrpSlot<N> {
    /// Puts a request into the slot; its dispatch routine returns that it is pending.
    ///
    /// # Errors
    ///
    /// The request, when the slot is taken.
    pub fn park(slot: &Arc<Self>, irp: Irp) -> Result<Completion, Irp> {
        let mut parked = slot.parked.lock();
        if parked.is_some() {
            return Err(irp);
        }
        irp.mark_pending();
        let irp = irp.into_raw();
        let context = Arc::into_raw(slot.clone()).cast_mut();
        // SAFETY: the request is owned; the driver's context words are its to use.
        unsafe { (*overlay(irp)).DriverContext[0] = context.cast() };
        // SAFETY: owned, as above.
        let cancel = unsafe { cancel_routine(irp) };
        cancel.swap(cancel_fn::<N>(), Ordering::SeqCst);
        // Whoever cancels raises the flag and then looks for the routine: one of the two looks must find the other's mark. A
        // swap alone does not order the plain read behind it.
        fence(Ordering::SeqCst);
        // SAFETY: owned, as above.
        let flag = unsafe { &raw const (*irp.as_ptr()).Cancel };
        // SAFETY: others set the flag at any time, so it is read as it is.
        let cancelled = unsafe { ptr::read_volatile(flag) } != 0;
        if cancelled && !cancel.swap(ptr::null_mut(), Ordering::SeqCst).is_null() {
            // Cancelled before the routine was there, and nobody has called it: it is ours again.
            drop(parked);
            // SAFETY: never stored in the slot, and the routine is withdrawn.
            drop(unsafe { Arc::from_raw(context.cast_const()) });
            slot.note.cancelled(irp.addr().get());
            // SAFETY: owned.
            let _ = unsafe { Irp::new(irp) }.complete(Status::CANCELLED, 0);
            return Ok(Completion::new(Status::PENDING));
        }
        *parked = Some(Parked(irp));
        Ok(Completion::new(Status::PENDING))
    }

    /// Whether a request is in the slot.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.parked.lock().is_some()
    }

    /// Takes the request out, to be completed; `None` when there is none or it is being cancelled.
    pub fn take(&self) -> Option<Irp> {
        let mut parked = self.parked.lock();
        let irp = parked.as_ref()?.0;
        // SAFETY: requests in the slot are owned by it.
        let cancel = unsafe { cancel_routine(irp) };
        if cancel.swap(ptr::null_mut(), Ordering::SeqCst).is_null() {
            // The cancel routine is on its way, and will empty the slot.
            return None;
        }
        *parked = None;
        drop(parked);
        // SAFETY: the request is owned again.
        let context = unsafe { (*overlay(irp)).DriverContext[0] };
        // SAFETY: put there by `park`, and taken back once.
        drop(unsafe { Arc::from_raw(context.cast::<Self>().cast_const()) });
        // SAFETY: out of the slot, and the cancel routine withdrawn.
        Some(unsafe { Irp::new(irp) })
    }
}

impl Default for IrpSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// The word that holds a request's cancel routine.
///
/// # Safety
///
/// The request exists for `'a`.
#[doc(alias = "IoSetCancelRoutine")]
unsafe fn cancel_routine<'a>(irp: NonNull<IRP>) -> &'a AtomicPtr<()> {
    // SAFETY: the caller's request.
    let word = unsafe { &raw mut (*irp.as_ptr()).CancelRoutine };
    // SAFETY: a nullable function pointer is as large and aligned as a pointer, and everybody swaps it atomically.
    unsafe { AtomicPtr::from_ptr(word.cast()) }
}

fn cancel_fn<N: Cancelled>() -> *mut () {
    let routine: PDRIVER_CANCEL = Some(cancel::<N>);
    // SAFETY: a nullable function pointer is a pointer.
    unsafe { mem::transmute::<PDRIVER_CANCEL, *mut ()>(routine) }
}

kernel_fn! {
    unsafe fn cancel<N: Cancelled>(_device: *mut DEVICE_OBJECT, irp: *mut IRP) {
        let Some(irp) = NonNull::new(irp) else {
            return;
        };
        // SAFETY: the kernel calls with the cancel lock held and its level stored in the request.
        let level = unsafe { (*irp.as_ptr()).CancelIrql };
        // SAFETY: as above.
        unsafe { ntoskrnl::IoReleaseCancelSpinLock(level) };
        // SAFETY: whoever withdrew the routine owns the request: this call does.
        let context = unsafe { (*overlay(irp)).DriverContext[0] };
        // SAFETY: put there by `park`, and taken back once.
        let slot = unsafe { Arc::<IrpSlot<N>>::from_raw(context.cast::<IrpSlot<N>>().cast_const()) };
        // `park` may still hold the lock between announcing this routine and storing the request.
        let mut parked = slot.parked.lock();
        if parked.as_ref().is_some_and(|parked| parked.0 == irp) {
            *parked = None;
        }
        drop(parked);
        slot.note.cancelled(irp.addr().get());
        // SAFETY: owned, as above.
        let _ = unsafe { Irp::new(irp) }.complete(Status::CANCELLED, 0);
    }
}
