//! I/O request packets.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use crate::memory::{Mode, Requestor};
use crate::status::Status;
use crate::sys::imports::ntoskrnl;
use crate::sys::{
    DEVICE_OBJECT, FILE_OBJECT, IO_STACK_LOCATION, IRP, IRP_INPUT_OPERATION, IRP_Tail_Overlay,
    SL_PENDING_RETURNED,
};

/// A request that this driver owns and must complete. Dropped, it completes as unsuccessful.
#[doc(alias = "IRP")]
#[must_use]
#[derive(Debug)]
pub struct Irp {
    irp: NonNull<IRP>,
}

// SAFETY: a request may be completed by any thread.
unsafe impl Send for Irp {}

/// Proof that a request was completed or parked: what a dispatch routine returns.
#[must_use]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion(Status);

impl Completion {
    pub(super) const fn new(status: Status) -> Self {
        Self(status)
    }

    /// What the dispatch routine returns.
    pub(super) const fn status(self) -> Status {
        self.0
    }
}

/// The part of a request that is its driver's while it is not queued.
pub(super) const fn overlay(irp: NonNull<IRP>) -> *mut IRP_Tail_Overlay {
    irp.as_ptr()
        .wrapping_byte_add(core::mem::offset_of!(IRP, Tail))
        .cast()
}

impl Irp {
    /// Owns a request that was dispatched to this driver.
    ///
    /// # Safety
    ///
    /// The request is the driver's to complete, and nobody else completes it.
    pub(super) const unsafe fn new(irp: NonNull<IRP>) -> Self {
        Self { irp }
    }

    pub(super) const fn as_ptr(&self) -> *mut IRP {
        self.irp.as_ptr()
    }

    /// The request's address, which tells it from others in traces.
    #[must_use]
    pub fn address(&self) -> usize {
        self.irp.addr().get()
    }

    /// Gives the request away as a pointer, to be owned again by [`Irp::new`].
    pub(super) fn into_raw(self) -> NonNull<IRP> {
        ManuallyDrop::new(self).irp
    }

    pub(super) fn stack_ptr(&self) -> *mut IO_STACK_LOCATION {
        let overlay = overlay(self.irp);
        // SAFETY: a request that this driver owns.
        unsafe { (*overlay).CurrentStackLocation }
    }

    /// This driver's part of the request.
    #[must_use]
    pub fn stack(&self) -> &IO_STACK_LOCATION {
        let stack = self.stack_ptr();
        // SAFETY: the location is constant while the driver owns the request.
        unsafe { &*stack }
    }

    /// Who made the request; use only in the thread that dispatched it.
    #[must_use]
    pub fn requestor(&self) -> Requestor {
        Requestor::new(self.mode())
    }

    /// The mode of who made the request.
    #[must_use]
    pub fn mode(&self) -> Mode {
        // SAFETY: a request that this driver owns.
        Mode::from_raw(unsafe { (*self.as_ptr()).RequestorMode })
    }

    /// Whether the request comes from a 32-bit program.
    #[doc(alias = "IoIs32bitProcess")]
    #[must_use]
    pub fn is_32bit_process(&self) -> bool {
        // SAFETY: a request that this driver owns.
        unsafe { ntoskrnl::IoIs32bitProcess(self.as_ptr()) != 0 }
    }

    pub(super) fn file(&self) -> *mut FILE_OBJECT {
        self.stack().FileObject
    }

    pub(super) fn device(&self) -> *mut DEVICE_OBJECT {
        self.stack().DeviceObject
    }

    pub(super) fn system_buffer(&self) -> *mut u8 {
        // SAFETY: a request that this driver owns.
        let associated = unsafe { (*self.as_ptr()).AssociatedIrp };
        // SAFETY: all members of the union are pointers or smaller, and the whole was initialised.
        unsafe { associated.SystemBuffer }.cast()
    }

    /// Completes the request. `information` is what the requestor gets as its byte count or result.
    #[doc(alias = "IoCompleteRequest")]
    pub fn complete(self, status: Status, information: usize) -> Completion {
        let irp = self.into_raw().as_ptr();
        // SAFETY: owned until the call below.
        unsafe { (*irp).IoStatus.Status = status.0 };
        // SAFETY: owned until the call below.
        unsafe { (*irp).IoStatus.Information = information };
        // SAFETY: owned, and given up here.
        unsafe { ntoskrnl::IofCompleteRequest(irp, 0) };
        Completion(status)
    }

    /// Has the I/O manager copy nothing back to the requestor.
    #[doc(alias = "IRP_INPUT_OPERATION")]
    pub(super) fn keep_output(&self) {
        let irp = self.as_ptr();
        // SAFETY: a request that this driver owns.
        unsafe { (*irp).Flags &= !IRP_INPUT_OPERATION };
    }

    /// Notes that the request completes after its dispatch routine has returned.
    pub(super) fn mark_pending(&self) {
        let stack = self.stack_ptr();
        // SAFETY: the current location belongs to the driver that owns the request.
        unsafe { (*stack).Control |= SL_PENDING_RETURNED };
    }
}

impl Drop for Irp {
    fn drop(&mut self) {
        // SAFETY: the drop ends this owner.
        let _ = unsafe { Self::new(self.irp) }.complete(Status::UNSUCCESSFUL, 0);
    }
}
