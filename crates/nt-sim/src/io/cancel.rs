//! Cancelling requests.

use std::sync::atomic::{AtomicUsize, Ordering};

use nt::sys::IRP;

use super::irp;
use crate::{exports, invoke, irql, ke::spin_lock, kernel::kernel};

/// Cancels a request: its cancel routine, if it has one, is called with the cancel lock held.
pub(crate) fn cancel(irp: *mut IRP) -> bool {
    let state = irp::expect(irp, "IoCancelIrp");
    let lock = kernel().io.cancel_lock();
    let old = irql::raise(irql::DISPATCH);
    spin_lock::acquire_raised(lock, "IoAcquireCancelSpinLock");
    if state.completed() {
        spin_lock::release_raised(lock, "IoReleaseCancelSpinLock");
        irql::lower(old);
        return false;
    }
    // SAFETY: the packet is alive: not completed, and `state` keeps its memory.
    unsafe { (*irp).Cancel = 1 };
    let slot = irp
        .wrapping_byte_add(std::mem::offset_of!(IRP, CancelRoutine))
        .cast();
    // SAFETY: as above; drivers exchange the field with interlocked operations.
    let slot = unsafe { AtomicUsize::from_ptr(slot) };
    let routine = slot.swap(0, Ordering::AcqRel);
    if routine == 0 {
        spin_lock::release_raised(lock, "IoReleaseCancelSpinLock");
        irql::lower(old);
        return false;
    }
    // SAFETY: as above.
    unsafe { (*irp).CancelIrql = old };
    let location = state.location();
    // SAFETY: a driver set the routine, so the packet is at one of its locations.
    let device = unsafe { (*location).DeviceObject };
    invoke!(routine, device, irp);
    true
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Cancels a request.
    #[irql(DISPATCH)]
    fn IoCancelIrp(irp: *mut IRP) -> u8 {
        u8::from(cancel(irp))
    }

    /// Takes the cancel lock; the old level goes to `old`.
    #[irql(DISPATCH)]
    fn IoAcquireCancelSpinLock(old: *mut u8) {
        let level = irql::raise(irql::DISPATCH);
        spin_lock::acquire_raised(kernel().io.cancel_lock(), "IoAcquireCancelSpinLock");
        // SAFETY: the caller gives memory for the level.
        unsafe { old.write(level) };
    }

    /// Releases the cancel lock and goes back to `old`.
    #[irql(DISPATCH)]
    fn IoReleaseCancelSpinLock(old: u8) {
        spin_lock::release_raised(kernel().io.cancel_lock(), "IoReleaseCancelSpinLock");
        irql::lower(old);
    }
}
