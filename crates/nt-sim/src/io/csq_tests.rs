//! A linked driver that keeps its requests in a cancel-safe queue.

use std::{cell::UnsafeCell, collections::VecDeque, ffi::c_void, time::Duration};

use nt::sys::*;
use parking_lot::Mutex;

use super::{csq::*, irp};
use crate::{Lab, ndis::raw::Text};

unsafe extern "win64" {
    fn IoCreateDevice(
        driver: *mut DRIVER_OBJECT,
        extension: u32,
        name: *const UNICODE_STRING,
        device_type: u32,
        characteristics: u32,
        exclusive: u8,
        out: *mut *mut DEVICE_OBJECT,
    ) -> i32;
    fn IoDeleteDevice(device: *mut DEVICE_OBJECT);
    fn KeAcquireSpinLockRaiseToDpc(lock: *mut usize) -> u8;
    fn KeReleaseSpinLock(lock: *mut usize, level: u8);
}

const fn code(function: u32) -> u32 {
    0x22 << 16 | 2 << 14 | function << 2
}

/// Waits in the queue.
const WAIT: u32 = code(1);
/// Waits in the queue, with a context.
const WAIT_WITH_CONTEXT: u32 = code(2);
/// Completes the oldest that waits; answers how many were there.
const NEXT: u32 = code(3);
/// Completes the one with the context.
const NAMED: u32 = code(4);

struct Shared<T>(UnsafeCell<T>);

// SAFETY: only handed to the driver's functions as an address; one test runs at a time.
unsafe impl<T> Sync for Shared<T> {}

static CSQ: Shared<[u64; 8]> = Shared(UnsafeCell::new([0; 8]));
static CONTEXT: Shared<[u64; 3]> = Shared(UnsafeCell::new([0; 3]));
static LOCK: Shared<usize> = Shared(UnsafeCell::new(0));
static QUEUE: Mutex<VecDeque<usize>> = Mutex::new(VecDeque::new());
/// The driver has one set of statics: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());
/// Most packets that the queue takes.
const ROOM: usize = 3;

fn csq() -> *mut IO_CSQ {
    CSQ.0.get().cast()
}

fn context() -> *mut IO_CSQ_IRP_CONTEXT {
    CONTEXT.0.get().cast()
}

extern "win64" fn insert(_: *mut IO_CSQ, packet: *mut IRP, _: u64) -> i32 {
    let mut queue = QUEUE.lock();
    if queue.len() == ROOM {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    queue.push_back(packet as usize);
    STATUS_SUCCESS
}

extern "win64" fn remove(_: *mut IO_CSQ, packet: *mut IRP) {
    QUEUE.lock().retain(|&p| p != packet as usize);
}

extern "win64" fn peek(_: *mut IO_CSQ, after: *mut IRP, _: *mut c_void) -> *mut IRP {
    let queue = QUEUE.lock();
    let mut rest = queue.iter().copied();
    if !after.is_null() {
        rest.find(|&p| p == after as usize);
    }
    rest.next().unwrap_or(0) as *mut IRP
}

extern "win64" fn acquire(_: *mut IO_CSQ, level: *mut u8) {
    // SAFETY: the driver's lock.
    let old = unsafe { KeAcquireSpinLockRaiseToDpc(LOCK.0.get()) };
    // SAFETY: the caller gives memory for the level.
    unsafe { level.write(old) };
}

extern "win64" fn release(_: *mut IO_CSQ, level: u8) {
    // SAFETY: the driver's lock, which is held.
    unsafe { KeReleaseSpinLock(LOCK.0.get(), level) };
}

extern "win64" fn complete_canceled(_: *mut IO_CSQ, packet: *mut IRP) {
    irp::complete_with(packet, STATUS_CANCELLED, 0);
}

extern "win64" fn accept(_: *mut DEVICE_OBJECT, packet: *mut IRP) -> i32 {
    irp::complete_with(packet, STATUS_SUCCESS, 0);
    STATUS_SUCCESS
}

fn finish(packet: *mut IRP, taken: *mut IRP) -> i32 {
    if !taken.is_null() {
        irp::complete_with(taken, STATUS_SUCCESS, 42);
    }
    irp::complete_with(packet, STATUS_SUCCESS, usize::from(!taken.is_null()));
    STATUS_SUCCESS
}

extern "win64" fn control(_: *mut DEVICE_OBJECT, packet: *mut IRP) -> i32 {
    let overlay = irp::overlay(packet);
    // SAFETY: the packet is at this driver's location.
    let location = unsafe { (*overlay).CurrentStackLocation };
    // SAFETY: as above.
    let parameters = unsafe { (*location).Parameters };
    // SAFETY: a device control.
    let asked = unsafe { parameters.DeviceIoControl }.IoControlCode;
    match asked {
        WAIT | WAIT_WITH_CONTEXT => {
            let with = if asked == WAIT {
                std::ptr::null_mut()
            } else {
                context()
            };
            // SAFETY: a kernel export, with the driver's queue.
            let status = unsafe { IoCsqInsertIrpEx(csq(), packet, with, 0) };
            if status < 0 {
                irp::complete_with(packet, status, 0);
                return status;
            }
            STATUS_PENDING
        }
        NEXT => {
            // SAFETY: as above.
            let taken = unsafe { IoCsqRemoveNextIrp(csq(), 0) };
            finish(packet, taken)
        }
        NAMED => {
            // SAFETY: as above.
            let taken = unsafe { IoCsqRemoveIrp(csq(), context()) };
            finish(packet, taken)
        }
        _ => {
            irp::complete_with(packet, STATUS_INVALID_DEVICE_REQUEST, 0);
            STATUS_INVALID_DEVICE_REQUEST
        }
    }
}

extern "win64" fn unload(driver: *mut DRIVER_OBJECT) {
    // SAFETY: the driver object is alive.
    let device = unsafe { (*driver).DeviceObject };
    // SAFETY: the driver's one device.
    unsafe { IoDeleteDevice(device) };
}

unsafe extern "win64" fn entry(driver: *mut DRIVER_OBJECT, _: *mut UNICODE_STRING) -> i32 {
    // SAFETY: a kernel export; the queue is static memory of the driver.
    unsafe {
        IoCsqInitializeEx(
            csq(),
            insert as *const (),
            remove as *const (),
            peek as *const (),
            acquire as *const (),
            release as *const (),
            complete_canceled as *const (),
        )
    };
    // SAFETY: the driver object is ours to fill in.
    let table = unsafe { &raw mut (*driver).MajorFunction }.cast::<usize>();
    for (major, routine) in [
        (IRP_MJ_CREATE, accept as *const ()),
        (IRP_MJ_CLOSE, accept as *const ()),
        (IRP_MJ_CLEANUP, accept as *const ()),
        (IRP_MJ_DEVICE_CONTROL, control as *const ()),
    ] {
        // SAFETY: the table has 28 entries.
        unsafe { table.wrapping_add(major.into()).write(routine as usize) };
    }
    // SAFETY: as above.
    unsafe { (*driver).DriverUnload = Some(unload) };
    let name = Text::new("\\Device\\queue");
    let mut device = std::ptr::null_mut();
    // SAFETY: valid arguments.
    unsafe { IoCreateDevice(driver, 0, name.pointer(), 0x22, 0, 0, &raw mut device) }
}

fn with_driver(test: impl FnOnce(&crate::Handle<'_>)) {
    let _alone = ALONE.lock();
    QUEUE.lock().clear();
    let lab = Lab::boot().unwrap();
    let driver = lab.start_linked("queue", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open("\\Device\\queue").open().unwrap();
    test(&handle);
    drop(handle);
    drop(process);
    assert!(driver.unload().unwrap().is_clean());
}

fn information(handle: &crate::Handle<'_>, code: u32) -> usize {
    handle.control(code, b"", 0).unwrap().information
}

#[test]
fn queued_requests_are_completed_in_order() {
    with_driver(|handle| {
        let wait = || handle.control_raw(WAIT, (0, 0), (0, 0)).unwrap();
        assert_eq!(information(handle, NEXT), 0, "nothing waits");
        let (first, second) = (wait(), wait());
        assert_eq!(information(handle, NEXT), 1);
        let done = first.wait(Some(Duration::from_secs(5))).unwrap().unwrap();
        assert_eq!(done.information, 42);
        assert!(second.result().is_none());
        assert_eq!(information(handle, NEXT), 1);
        assert_eq!(information(handle, NEXT), 0);
        assert!(second.result().is_some());
    });
}

#[test]
fn cancelled_requests_leave_the_queue_by_themselves() {
    with_driver(|handle| {
        let wait = || handle.control_raw(WAIT, (0, 0), (0, 0)).unwrap();
        let (first, second) = (wait(), wait());
        assert!(first.cancel().unwrap());
        let cancelled = first.result().unwrap();
        assert_eq!(cancelled.status.0, STATUS_CANCELLED);
        assert_eq!(QUEUE.lock().len(), 1);
        assert_eq!(information(handle, NEXT), 1);
        assert!(!second.cancel().unwrap(), "it was completed before");
        assert_eq!(second.result().unwrap().status.0, STATUS_SUCCESS);
    });
}

#[test]
fn a_context_names_one_request() {
    with_driver(|handle| {
        let other = handle.control_raw(WAIT, (0, 0), (0, 0)).unwrap();
        let named = handle
            .control_raw(WAIT_WITH_CONTEXT, (0, 0), (0, 0))
            .unwrap();
        assert_eq!(information(handle, NAMED), 1);
        assert!(named.result().is_some() && other.result().is_none());
        assert_eq!(information(handle, NAMED), 0, "it is gone");
        let named = handle
            .control_raw(WAIT_WITH_CONTEXT, (0, 0), (0, 0))
            .unwrap();
        assert!(named.cancel().unwrap());
        assert_eq!(information(handle, NAMED), 0, "it was cancelled");
        assert_eq!(information(handle, NEXT), 1);
    });
}

#[test]
fn a_queue_that_refuses_leaves_the_request_to_the_driver() {
    with_driver(|handle| {
        let waiting: Vec<_> = (0..ROOM)
            .map(|_| handle.control_raw(WAIT, (0, 0), (0, 0)).unwrap())
            .collect();
        let refused = handle.control_any(WAIT, b"", 0).unwrap();
        assert_eq!(refused.status.0, STATUS_INSUFFICIENT_RESOURCES);
        for _ in &waiting {
            assert_eq!(information(handle, NEXT), 1);
        }
    });
}
