//! File objects: what an open makes.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use nt::sys::{
    DEVICE_OBJECT, FILE_OBJECT, FO_CLEANUP_COMPLETE, FO_HANDLE_CREATED, FO_SYNCHRONOUS_IO,
    IRP_MJ_CLEANUP, IRP_MJ_CLOSE,
};

use super::{device::Device, driver::counted, request};
use crate::{
    kernel::kernel,
    ob::{Body, Kind, Object},
};

/// An open file, as the I/O manager knows it.
pub(crate) struct File {
    pub(crate) device: Arc<Device>,
    /// The driver accepted the open, so it gets cleanup and close.
    pub(crate) opened: AtomicBool,
    pub(crate) synchronous: bool,
    _name: Vec<u16>,
}

/// Makes a file object for an open of `device`.
pub(crate) fn create(device: &Arc<Device>, rest: &str, synchronous: bool) -> Arc<Object> {
    let body = Body::new(size_of::<FILE_OBJECT>());
    let file = body.address() as *mut FILE_OBJECT;
    let mut name: Vec<u16> = rest.encode_utf16().collect();
    // SAFETY: the body was made for a file object; zero is a value of every field.
    unsafe { (*file).Type = 5 };
    // SAFETY: as above.
    unsafe { (*file).Size = size_of::<FILE_OBJECT>() as i16 };
    // SAFETY: as above.
    unsafe { (*file).DeviceObject = device.body() };
    // SAFETY: as above; the name lives as long as the object.
    unsafe { (*file).FileName = counted(&mut name) };
    if synchronous {
        // SAFETY: as above.
        unsafe { (*file).Flags = FO_SYNCHRONOUS_IO };
    }
    count(device.body(), 1);
    let data = File {
        device: Arc::clone(device),
        opened: AtomicBool::new(false),
        synchronous,
        _name: name,
    };
    kernel().ob.create(Kind::File, Ok(body), Arc::new(data))
}

fn count(device: *mut DEVICE_OBJECT, change: i32) {
    let references = device
        .wrapping_byte_add(std::mem::offset_of!(DEVICE_OBJECT, ReferenceCount))
        .cast();
    // SAFETY: the device object is alive: the file, or its maker, holds it. Others count too.
    let references = unsafe { std::sync::atomic::AtomicI32::from_ptr(references) };
    references.fetch_add(change, Ordering::AcqRel);
}

/// Notes that the driver accepted the open.
pub(crate) fn set_opened(object: &Arc<Object>) {
    if let Some(file) = object.data::<File>() {
        file.opened.store(true, Ordering::Release);
        add_flags(object, FO_HANDLE_CREATED);
    }
}

fn add_flags(object: &Object, flags: u32) {
    let file = object.address as *mut FILE_OBJECT;
    // SAFETY: a file object's body, alive with it.
    unsafe { (*file).Flags |= flags };
}

/// The last handle to a file went: the driver gets IRP_MJ_CLEANUP.
pub(crate) fn last_handle_closed(object: &Arc<Object>) {
    let Some(file) = object.data::<File>() else {
        return;
    };
    if file.opened.load(Ordering::Acquire) {
        request::simple(object, &file.device, IRP_MJ_CLEANUP, "IRP_MJ_CLEANUP");
        add_flags(object, FO_CLEANUP_COMPLETE);
    }
}

/// The last reference to a file went: the driver gets IRP_MJ_CLOSE.
pub(crate) fn last_reference_gone(object: &Arc<Object>) {
    let Some(file) = object.data::<File>() else {
        return;
    };
    if file.opened.load(Ordering::Acquire) {
        request::simple(object, &file.device, IRP_MJ_CLOSE, "IRP_MJ_CLOSE");
    }
    count(file.device.body(), -1);
}
