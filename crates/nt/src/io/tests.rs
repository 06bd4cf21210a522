extern crate std;

use core::ptr::NonNull;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::vec::Vec;

use super::ea::{Ea, Eas};
use super::irp::Irp;
use super::slot::{Cancelled, IrpSlot};
use crate::fake::{COMPLETED, blocks};
use crate::pool::{Arc, Tag};
use crate::status::Status;
use crate::sys::{IO_STACK_LOCATION, IRP, SL_PENDING_RETURNED};

const TAG: Tag = Tag::new(b"Test");

/// An attribute as `NtCreateFile` lays it out.
fn attribute(next: u32, name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = next.to_le_bytes().to_vec();
    bytes.push(0);
    bytes.push(name.len() as u8);
    bytes.extend((value.len() as u16).to_le_bytes());
    bytes.extend(name);
    bytes.push(0);
    bytes.extend(value);
    bytes
}

#[test]
fn an_attribute_is_read_wherever_it_lies() {
    let value = [1, 2, 3, 4, 5];
    let mut buffer = std::vec![0xff];
    buffer.extend(attribute(0, b"XdpOpenPacket000", &value));
    let ea = Ea::first(&buffer[1..]).unwrap();
    assert_eq!(
        (ea.name, ea.value, ea.next_entry_offset, ea.flags),
        (&b"XdpOpenPacket000"[..], &value[..], 0, 0)
    );
}

#[test]
fn a_cut_attribute_is_none() {
    let whole = attribute(0, b"name", b"value");
    for len in 0..whole.len() {
        assert_eq!(Ea::first(&whole[..len]), None, "cut at {len}");
    }
    assert!(Ea::first(&whole).is_some());
}

#[test]
fn attributes_are_walked_to_the_last_or_the_first_malformed() {
    let mut buffer = attribute(20, b"a", b"1");
    buffer.resize(20, 0);
    buffer.extend(attribute(0, b"bb", b"22"));
    let names: Vec<&[u8]> = Eas::new(&buffer).map(|ea| ea.name).collect();
    assert_eq!(names, [&b"a"[..], b"bb"]);

    // An offset into the entry itself still moves forward, and one past the end stops.
    for offset in 1..=u32::from(u8::MAX) {
        let mut hostile = buffer.clone();
        hostile[..4].copy_from_slice(&offset.to_le_bytes());
        assert!(Eas::new(&hostile).count() <= hostile.len());
    }
    let mut far = buffer.clone();
    far[..4].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Eas::new(&far).count(), 1);
}

/// A request as a driver gets it.
struct Request {
    irp: std::boxed::Box<IRP>,
    stack: std::boxed::Box<IO_STACK_LOCATION>,
}

impl Request {
    fn new() -> Self {
        let mut request = Self {
            irp: std::boxed::Box::new(IRP::zeroed()),
            stack: std::boxed::Box::new(IO_STACK_LOCATION::zeroed()),
        };
        request.irp.Tail.Overlay.CurrentStackLocation = &raw mut *request.stack;
        request
    }

    fn dispatch(&mut self) -> Irp {
        // SAFETY: a request that nobody else has.
        unsafe { Irp::new(NonNull::from(&mut *self.irp)) }
    }

    /// What `IoCancelIrp` does: the flag, then the routine if there is one; returns whether there was.
    fn cancel(&mut self) -> bool {
        self.irp.Cancel = 1;
        let Some(routine) = self.irp.CancelRoutine.take() else {
            return false;
        };
        // SAFETY: the driver's own routine, for a request that it parked.
        unsafe { routine(core::ptr::null_mut(), &raw mut *self.irp) };
        true
    }

    fn completions(&self) -> Vec<(NTSTATUS, usize)> {
        let address = (&raw const *self.irp).addr();
        COMPLETED.with_borrow(|done| {
            done.iter()
                .filter(|(irp, ..)| *irp == address)
                .map(|(_, status, information)| (*status, *information))
                .collect()
        })
    }
}

use crate::sys::NTSTATUS;

#[test]
fn a_request_completes_once() {
    let mut request = Request::new();
    let completion = request.dispatch().complete(Status::BUFFER_OVERFLOW, 12);
    assert_eq!(completion.status(), Status::BUFFER_OVERFLOW);
    assert_eq!(request.completions(), [(Status::BUFFER_OVERFLOW.0, 12)]);
}

#[test]
fn a_dropped_request_completes_as_unsuccessful() {
    let mut request = Request::new();
    drop(request.dispatch());
    assert_eq!(request.completions(), [(Status::UNSUCCESSFUL.0, 0)]);
}

#[test]
fn a_parked_request_is_pending_until_it_is_taken() {
    let slot = Arc::new(TAG, IrpSlot::new()).unwrap();
    let mut request = Request::new();
    let parked = IrpSlot::park(&slot, request.dispatch());
    assert_eq!(
        parked.map(|completion| completion.status()).ok(),
        Some(Status::PENDING)
    );
    assert_eq!(
        request.stack.Control & SL_PENDING_RETURNED,
        SL_PENDING_RETURNED
    );
    assert!(slot.is_taken());
    assert_eq!(Arc::references(&slot), 2);

    let mut other = Request::new();
    let refused = IrpSlot::park(&slot, other.dispatch()).unwrap_err();
    let _ = refused.complete(Status::DEVICE_BUSY, 0);
    assert_eq!(other.stack.Control, 0);

    let taken = slot.take().unwrap();
    assert!(request.irp.CancelRoutine.is_none());
    assert!(slot.take().is_none());
    let _ = taken.complete(Status::SUCCESS, 3);
    assert_eq!(request.completions(), [(0, 3)]);
    assert!(!request.cancel());
    assert_eq!(Arc::references(&slot), 1);
}

#[test]
fn a_parked_request_can_be_cancelled() {
    let slot = Arc::new(TAG, IrpSlot::new()).unwrap();
    let mut request = Request::new();
    assert!(IrpSlot::park(&slot, request.dispatch()).is_ok());
    assert!(request.cancel());
    assert_eq!(request.completions(), [(Status::CANCELLED.0, 0)]);
    assert!(slot.take().is_none());
    assert_eq!(Arc::references(&slot), 1);
    drop(slot);
    assert_eq!(blocks(), 0);
}

#[test]
fn a_request_that_is_cancelled_already_is_not_parked() {
    let slot = Arc::new(TAG, IrpSlot::new()).unwrap();
    let mut request = Request::new();
    request.irp.Cancel = 1;
    let parked = IrpSlot::park(&slot, request.dispatch());
    assert_eq!(
        parked.map(|completion| completion.status()).ok(),
        Some(Status::PENDING)
    );
    assert_eq!(request.completions(), [(Status::CANCELLED.0, 0)]);
    assert!(!slot.is_taken());
    assert_eq!(Arc::references(&slot), 1);
}

/// The last request that was cancelled.
struct Last(AtomicUsize);

impl Cancelled for Last {
    fn cancelled(&self, request: usize) {
        self.0.store(request, Ordering::Relaxed);
    }
}

#[test]
fn who_has_a_slot_hears_of_cancelled_requests_only() {
    let slot = Arc::new(TAG, IrpSlot::with_note(Last(AtomicUsize::new(0)))).unwrap();
    let last = || slot.note().0.swap(0, Ordering::Relaxed);
    let mut request = Request::new();
    assert!(IrpSlot::park(&slot, request.dispatch()).is_ok());
    let _ = slot.take().unwrap().complete(Status::SUCCESS, 0);
    assert_eq!(last(), 0);
    let mut request = Request::new();
    let irp = request.dispatch();
    let address = irp.address();
    assert!(IrpSlot::park(&slot, irp).is_ok());
    assert!(request.cancel());
    assert_eq!(last(), address);
    // Cancelled before it was parked.
    let mut request = Request::new();
    request.irp.Cancel = 1;
    let irp = request.dispatch();
    let address = irp.address();
    assert!(IrpSlot::park(&slot, irp).is_ok());
    assert_eq!(last(), address);
}

#[test]
fn a_request_whose_cancel_routine_is_on_its_way_is_not_taken() {
    let slot = Arc::new(TAG, IrpSlot::new()).unwrap();
    let mut request = Request::new();
    assert!(IrpSlot::park(&slot, request.dispatch()).is_ok());
    // The canceller has withdrawn the routine but not called it yet.
    let routine = request.irp.CancelRoutine.take().unwrap();
    assert!(slot.take().is_none());
    assert!(request.completions().is_empty());
    // SAFETY: the driver's own routine, for a request that it parked.
    unsafe { routine(core::ptr::null_mut(), &raw mut *request.irp) };
    assert_eq!(request.completions(), [(Status::CANCELLED.0, 0)]);
    assert_eq!(Arc::references(&slot), 1);
}
