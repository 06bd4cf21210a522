//! The driver: a device that breaks the rule that a request names, and a filter that can be told to misbehave.

use std::ffi::c_void;

use nt::sys::{imports::ntoskrnl::*, *};

use crate::{network, table};

/// Calls a kernel function.
macro_rules! nt {
    ($call:expr) => {{
        // SAFETY: the defect passes what the function's reference page asks for, except for the one rule that it
        // breaks, and the lab stops the driver there before any harm is done.
        unsafe { $call }
    }};
}
pub(crate) use nt;

/// The device's name.
pub(crate) const DEVICE: &str = "\\Device\\broken";
pub(crate) const TAG: u32 = u32::from_le_bytes(*b"Brkn");

/// What a defect leaves to the dispatch routine.
pub(crate) enum Answer {
    /// The request is to be completed.
    Done,
    /// It is to be completed, but this status answered.
    DoneWith(NTSTATUS),
    /// This status is to be answered and the request left alone.
    Leave(NTSTATUS),
}

/// A request under way.
pub(crate) struct Request {
    pub(crate) device: *mut DEVICE_OBJECT,
    pub(crate) irp: *mut IRP,
    pub(crate) location: *mut IO_STACK_LOCATION,
    /// A page of the calling process' memory.
    pub(crate) user: *mut c_void,
}

/// What a request makes the driver do.
pub(crate) type Defect = fn(&Request) -> Answer;

/// The request that is for row `index` of the table: METHOD_NEITHER, any access.
pub(crate) fn code(index: usize) -> u32 {
    0x22 << 16 | (0x800 + index as u32) << 2 | 3
}

/// Reads memory that the driver takes for its own.
pub(crate) fn read<T: Copy>(from: *const T) -> T {
    nt!(from.read_volatile())
}

/// Writes memory that the driver takes for its own.
pub(crate) fn write<T: Copy>(to: *mut T, value: T) {
    nt!(to.write_volatile(value));
}

/// A block of non-paged pool, filled with rubbish.
pub(crate) fn pool(size: usize) -> *mut c_void {
    let block = nt!(ExAllocatePoolWithTag(NonPagedPoolNx, size, TAG));
    for i in 0..size {
        write(block.cast::<u8>().wrapping_add(i), 0xa5);
    }
    block
}

/// A zeroed object in non-paged pool.
pub(crate) fn object<T>() -> *mut T {
    let block = pool(size_of::<T>());
    for i in 0..size_of::<T>() {
        write(block.cast::<u8>().wrapping_add(i), 0);
    }
    block.cast()
}

pub(crate) fn free(block: *mut c_void) {
    nt!(ExFreePoolWithTag(block, TAG));
}

/// A counted string that lives as long as the driver.
pub(crate) fn string(text: &str) -> UNICODE_STRING {
    let units: Vec<u16> = text.encode_utf16().collect();
    UNICODE_STRING {
        Length: (units.len() * 2) as u16,
        MaximumLength: (units.len() * 2) as u16,
        Buffer: Box::leak(units.into_boxed_slice()).as_mut_ptr(),
    }
}

pub(crate) fn complete(irp: *mut IRP, status: NTSTATUS) -> NTSTATUS {
    nt!((*irp).IoStatus.Status = status);
    nt!((*irp).IoStatus.Information = 0);
    nt!(IofCompleteRequest(irp, 0));
    status
}

fn location(irp: *mut IRP) -> *mut IO_STACK_LOCATION {
    let tail = nt!((*irp).Tail);
    let overlay = nt!(tail.Overlay);
    overlay.CurrentStackLocation
}

unsafe extern "win64" fn succeed(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    complete(irp, STATUS_SUCCESS)
}

unsafe extern "win64" fn control(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> NTSTATUS {
    let location = location(irp);
    let parameters = nt!((*location).Parameters);
    let parameters = nt!(parameters.DeviceIoControl);
    let index = ((parameters.IoControlCode >> 2) & 0x7ff) as usize;
    let request = Request {
        device,
        irp,
        location,
        user: parameters.Type3InputBuffer,
    };
    match (table::ROWS[index].defect)(&request) {
        Answer::Done => complete(irp, STATUS_SUCCESS),
        Answer::DoneWith(status) => {
            complete(irp, STATUS_SUCCESS);
            status
        }
        Answer::Leave(status) => status,
    }
}

unsafe extern "win64" fn unload(driver: *mut DRIVER_OBJECT) {
    network::deregister();
    let device = nt!((*driver).DeviceObject);
    if !device.is_null() {
        nt!(IoDeleteDevice(device));
    }
}

/// `DriverEntry`.
pub(crate) unsafe extern "win64" fn entry(
    driver: *mut DRIVER_OBJECT,
    _: *mut UNICODE_STRING,
) -> NTSTATUS {
    let mut name = string(DEVICE);
    let mut device = std::ptr::null_mut();
    let status = nt!(IoCreateDevice(
        driver,
        0,
        &raw mut name,
        0x22,
        0,
        0,
        &raw mut device
    ));
    if status < 0 {
        return status;
    }
    let routines: [(_, PDRIVER_DISPATCH); 4] = [
        (IRP_MJ_CREATE, Some(succeed)),
        (IRP_MJ_CLEANUP, Some(succeed)),
        (IRP_MJ_CLOSE, Some(succeed)),
        (IRP_MJ_DEVICE_CONTROL, Some(control)),
    ];
    for (major, routine) in routines {
        nt!((*driver).MajorFunction[major as usize] = routine);
    }
    nt!((*driver).DriverUnload = Some(unload));
    network::register(driver)
}
