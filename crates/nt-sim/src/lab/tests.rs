//! A small linked driver, from DriverEntry to unload, used by a program.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use nt::sys::{
    DEVICE_OBJECT, DRIVER_OBJECT, IRP, STATUS_CANCELLED, STATUS_INVALID_DEVICE_REQUEST,
    STATUS_PENDING, STATUS_SUCCESS, UNICODE_STRING,
};

use crate::{Lab, LabError, NtStatus, Rule};

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
    fn IofCompleteRequest(irp: *mut IRP, boost: i8);
    fn IoReleaseCancelSpinLock(irql: u8);
}

/// `CTL_CODE(FILE_DEVICE_UNKNOWN, n, method, FILE_WRITE_ACCESS)`.
const fn code(function: u32, method: u32) -> u32 {
    0x22 << 16 | 2 << 14 | function << 2 | method
}

const REVERSE: u32 = code(1, 0);
const WAIT_FOR_CANCEL: u32 = code(2, 3);
const FORGET: u32 = code(3, 0);
const TWICE: u32 = code(4, 0);
const LEAVE_CRITICAL_REGION_OPEN: u32 = code(5, 0);

static CREATES: AtomicUsize = AtomicUsize::new(0);
static CLEANUPS: AtomicUsize = AtomicUsize::new(0);
static CLOSES: AtomicUsize = AtomicUsize::new(0);

fn complete(irp: *mut IRP, status: i32, information: usize) -> i32 {
    // SAFETY: the dispatch routine owns the packet.
    unsafe { (*irp).IoStatus.Status = status };
    // SAFETY: as above.
    unsafe { (*irp).IoStatus.Information = information };
    // SAFETY: as above.
    unsafe { IofCompleteRequest(irp, 0) };
    status
}

/// This driver's location of a packet.
fn location(irp: *mut IRP) -> *mut nt::sys::IO_STACK_LOCATION {
    let overlay = crate::io::irp::overlay(irp);
    // SAFETY: the packet is at this driver's location.
    unsafe { (*overlay).CurrentStackLocation }
}

extern "win64" fn count(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    // SAFETY: the packet is at this driver's location.
    let major = unsafe { (*location(irp)).MajorFunction };
    match major {
        0 => &CREATES,
        2 => &CLOSES,
        _ => &CLEANUPS,
    }
    .fetch_add(1, Ordering::SeqCst);
    complete(irp, STATUS_SUCCESS, 0)
}

extern "win64" fn cancelled(_: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the packet is this driver's to cancel.
    let level = unsafe { (*irp).CancelIrql };
    // SAFETY: called with the cancel lock held.
    unsafe { IoReleaseCancelSpinLock(level) };
    complete(irp, STATUS_CANCELLED, 0);
}

extern "win64" fn control(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    let location = location(irp);
    // SAFETY: the packet is at this driver's location.
    let parameters = unsafe { (*location).Parameters };
    // SAFETY: a device control.
    let parameters = unsafe { parameters.DeviceIoControl };
    match parameters.IoControlCode {
        REVERSE => {
            // SAFETY: the packet is this driver's.
            let associated = unsafe { (*irp).AssociatedIrp };
            // SAFETY: METHOD_BUFFERED.
            let buffer = unsafe { associated.SystemBuffer };
            let length = parameters.InputBufferLength as usize;
            // SAFETY: the buffer is as long as the input at least.
            let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
            bytes.reverse();
            complete(
                irp,
                STATUS_SUCCESS,
                length.min(parameters.OutputBufferLength as usize),
            )
        }
        WAIT_FOR_CANCEL => {
            // SAFETY: the packet is this driver's; SL_PENDING_RETURNED.
            unsafe { (*location).Control |= 1 };
            // SAFETY: as above.
            unsafe { (*irp).CancelRoutine = Some(cancelled) };
            STATUS_PENDING
        }
        FORGET => STATUS_SUCCESS,
        TWICE => {
            complete(irp, STATUS_SUCCESS, 0);
            complete(irp, STATUS_SUCCESS, 0)
        }
        LEAVE_CRITICAL_REGION_OPEN => {
            let thread = crate::sched::current();
            thread.apc_disable.set(1);
            complete(irp, STATUS_SUCCESS, 0)
        }
        _ => complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0),
    }
}

extern "win64" fn unload(driver: *mut DRIVER_OBJECT) {
    // SAFETY: the driver object is alive.
    let device = unsafe { (*driver).DeviceObject };
    // SAFETY: the driver's one device.
    unsafe { IoDeleteDevice(device) };
}

unsafe extern "win64" fn entry(driver: *mut DRIVER_OBJECT, _: *mut UNICODE_STRING) -> i32 {
    let mut name: Vec<u16> = "\\Device\\small".encode_utf16().collect();
    let string = UNICODE_STRING {
        Length: (name.len() * 2) as u16,
        MaximumLength: (name.len() * 2) as u16,
        Buffer: name.as_mut_ptr(),
    };
    let mut device = std::ptr::null_mut();
    // SAFETY: valid arguments.
    let status =
        unsafe { IoCreateDevice(driver, 0, &raw const string, 0x22, 0, 0, &raw mut device) };
    // SAFETY: the driver object is ours to fill in.
    let table = unsafe { &raw mut (*driver).MajorFunction }.cast::<usize>();
    for (major, routine) in [
        (0, count as *const ()),
        (2, count as *const ()),
        (0x12, count as *const ()),
        (0xe, control as *const ()),
    ] {
        // SAFETY: the table has 28 entries.
        unsafe { table.wrapping_add(major).write(routine as usize) };
    }
    // SAFETY: as above.
    unsafe { (*driver).DriverUnload = Some(unload) };
    status
}

#[test]
fn a_program_talks_to_a_driver() {
    let lab = Lab::boot().unwrap();
    let before = [&CREATES, &CLEANUPS, &CLOSES].map(|c| c.load(Ordering::SeqCst));
    let driver = lab.start_linked("small", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open("\\Device\\small").open().unwrap();
    let answer = handle.control(REVERSE, b"abc", 8).unwrap();
    assert_eq!((answer.information, &answer.bytes[..3]), (3, &b"cba"[..]));
    let error = handle.control(code(99, 0), b"", 0).unwrap_err();
    assert_eq!(
        error.status(),
        Some(NtStatus(STATUS_INVALID_DEVICE_REQUEST))
    );
    handle.close().unwrap();
    process.terminate().unwrap();
    let report = driver.unload().unwrap();
    assert!(report.is_clean(), "{report}");
    let after = [&CREATES, &CLEANUPS, &CLOSES].map(|c| c.load(Ordering::SeqCst));
    assert!(after.iter().zip(before).all(|(a, b)| *a > b));
}

#[test]
fn a_request_is_cancelled_when_asked_and_when_its_process_ends() {
    let lab = Lab::boot().unwrap();
    let driver = lab.start_linked("small", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open("\\Device\\small").open().unwrap();
    let pending = handle.control_raw(WAIT_FOR_CANCEL, (0, 0), (0, 0)).unwrap();
    assert_eq!(pending.wait(Some(Duration::from_millis(5))).unwrap(), None);
    assert!(pending.cancel().unwrap());
    assert_eq!(pending.result().unwrap().status, NtStatus(STATUS_CANCELLED));
    let second = handle.control_raw(WAIT_FOR_CANCEL, (0, 0), (0, 0)).unwrap();
    drop(second);
    drop(handle);
    process.terminate().unwrap();
    assert!(driver.unload().unwrap().is_clean());
}

#[test]
fn names_that_lead_nowhere_have_their_statuses() {
    let lab = Lab::boot().unwrap();
    let process = lab.administrator("app").unwrap();
    for (path, status) in [
        ("\\Device\\nothing", nt::sys::STATUS_OBJECT_NAME_NOT_FOUND),
        (
            "\\Device\\nothing\\below",
            nt::sys::STATUS_OBJECT_PATH_NOT_FOUND,
        ),
        ("\\Device", nt::sys::STATUS_OBJECT_TYPE_MISMATCH),
    ] {
        let error = process.open(path).open().err().expect(path);
        assert_eq!(error.status(), Some(NtStatus(status)), "{path}");
    }
}

fn rule_broken_by(request: u32) -> Rule {
    let lab = Lab::boot().unwrap();
    let _driver = lab.start_linked("small", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open("\\Device\\small").open().unwrap();
    match handle.control(request, b"", 0) {
        Err(LabError::BugCheck(report)) => report.rule,
        other => panic!("no bugcheck: {other:?}"),
    }
}

#[test]
fn broken_request_rules_are_caught() {
    assert_eq!(rule_broken_by(FORGET), Rule::IrpNotCompleted);
    assert_eq!(rule_broken_by(TWICE), Rule::IrpCompletedTwice);
    assert_eq!(
        rule_broken_by(LEAVE_CRITICAL_REGION_OPEN),
        Rule::CriticalRegionUnbalanced
    );
}

#[test]
fn user_threads_run_side_by_side_with_and_without_a_seed() {
    use std::sync::atomic::{AtomicU32, Ordering};
    for seed in [None, Some(1), Some(2)] {
        let builder = Lab::builder();
        let builder = match seed {
            Some(seed) => builder.seed(seed),
            None => builder,
        };
        let lab = builder.boot().unwrap();
        let program = lab.administrator("app").unwrap();
        let count = AtomicU32::new(0);
        let work = || {
            let memory = program.alloc(100).unwrap();
            memory.write(0, &[1]);
            program.free(memory).unwrap();
            count.fetch_add(1, Ordering::Relaxed);
        };
        for _ in 0..20 {
            lab.side_by_side(&[&work, &work, &work]).unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed), 60);
    }
}
