//! Device objects.

use std::sync::{Arc, OnceLock};

use nt::sys::{
    DEVICE_OBJECT, DO_DEVICE_HAS_NAME, DO_DEVICE_INITIALIZING, DO_EXCLUSIVE, DRIVER_OBJECT,
    NTSTATUS, STATUS_SUCCESS, UNICODE_STRING,
};

use super::driver::Driver;
use crate::{
    exports,
    kernel::kernel,
    ob::{Body, Kind, Object, security::Descriptor, unicode_string},
    verifier::Rule,
};

/// A device.
pub(crate) struct Device {
    pub(crate) object: Arc<Object>,
    pub(crate) driver: Arc<Driver>,
    /// Dispatch routines of this device alone, instead of its driver's.
    dispatch: OnceLock<[usize; 28]>,
}

impl Device {
    pub(crate) fn body(&self) -> *mut DEVICE_OBJECT {
        self.object.address as *mut DEVICE_OBJECT
    }

    /// Gives the device dispatch routines of its own; 0 for what it does not handle.
    pub(crate) fn set_dispatch(&self, table: [usize; 28]) {
        let fresh = self.dispatch.set(table).is_ok();
        debug_assert!(fresh, "set when the device is made");
    }

    /// The routine for a major function code.
    pub(crate) fn major_function(&self, major: u8) -> usize {
        match self.dispatch.get() {
            Some(table) => table[usize::from(major)],
            None => self.driver.major_function(major),
        }
    }

    /// The device at the top of the stack that this one is in.
    pub(crate) fn top(self: &Arc<Self>) -> Arc<Device> {
        // SAFETY: the device object is alive.
        let attached = unsafe { (*self.body()).AttachedDevice };
        match find(attached as usize) {
            Some(upper) => upper.top(),
            None => Arc::clone(self),
        }
    }
}

/// The device at `address`.
pub(crate) fn find(address: usize) -> Option<Arc<Device>> {
    kernel().io.devices.lock().get(&address).cloned()
}

/// The device at `address`, which a driver says is one.
pub(crate) fn expect(address: usize, doing: &str) -> Arc<Device> {
    find(address).unwrap_or_else(|| {
        crate::bugcheck!(Rule::BadObject, address; "{doing} with {address:#x}, which is no device object")
    })
}

/// Makes a device of a driver.
pub(crate) fn create(
    driver: *mut DRIVER_OBJECT,
    extension_size: u32,
    name: Option<String>,
    device_type: u32,
    characteristics: u32,
    exclusive: bool,
) -> Result<*mut DEVICE_OBJECT, NTSTATUS> {
    let kernel = kernel();
    let drivers = kernel.io.drivers.lock().clone();
    let Some(owner) = drivers
        .into_iter()
        .find(|d| d.object.address == driver as usize)
    else {
        crate::bugcheck!(Rule::BadObject, driver; "IoCreateDevice with {driver:p}, which is no driver object");
    };
    let header = size_of::<DEVICE_OBJECT>().next_multiple_of(16);
    let body = Body::new(header + extension_size as usize);
    let device = body.address() as *mut DEVICE_OBJECT;
    let extension = if extension_size == 0 {
        0
    } else {
        body.address() + header
    };
    let mut flags = DO_DEVICE_INITIALIZING;
    if name.is_some() {
        flags |= DO_DEVICE_HAS_NAME;
    }
    if exclusive {
        flags |= DO_EXCLUSIVE;
    }
    // SAFETY: the body was made for a device object and belongs to us; the same for all that
    // follow.
    unsafe { (*device).Type = 3 };
    // SAFETY: as above.
    unsafe { (*device).Size = (size_of::<DEVICE_OBJECT>() + extension_size as usize) as u16 };
    // SAFETY: as above.
    unsafe { (*device).DriverObject = driver };
    // SAFETY: as above.
    unsafe { (*device).Flags = flags };
    // SAFETY: as above.
    unsafe { (*device).Characteristics = characteristics };
    // SAFETY: as above.
    unsafe { (*device).DeviceType = device_type };
    // SAFETY: as above.
    unsafe { (*device).StackSize = 1 };
    // SAFETY: as above.
    unsafe { (*device).DeviceExtension = extension as *mut _ };
    // SAFETY: the driver object is alive.
    let next = unsafe { (*driver).DeviceObject };
    // SAFETY: as above.
    unsafe { (*device).NextDevice = next };
    let object = kernel.ob.create(Kind::Device, Ok(body), Arc::new(()));
    if let Some(name) = &name
        && let Err(status) = kernel.ob.name(&object, name)
    {
        kernel.ob.dereference(&object);
        return Err(status);
    }
    *object.security.lock() = Some(Descriptor::default_device());
    // SAFETY: as above.
    unsafe { (*driver).DeviceObject = device };
    kernel.io.devices.lock().insert(
        device as usize,
        Arc::new(Device {
            object,
            driver: owner,
            dispatch: OnceLock::new(),
        }),
    );
    Ok(device)
}

/// Deletes a device.
pub(crate) fn delete(device: &Arc<Device>) {
    let kernel = kernel();
    let address = device.body();
    // SAFETY: the device and driver objects are alive.
    let driver = unsafe { (*address).DriverObject };
    // SAFETY: as above; the list is only changed here and in `create`, at PASSIVE_LEVEL.
    let mut link = unsafe { &raw mut (*driver).DeviceObject };
    loop {
        // SAFETY: `link` is the list head or the `NextDevice` of a device on the list.
        let next = unsafe { *link };
        if next.is_null() {
            break;
        }
        if next == address {
            // SAFETY: as above.
            let after = unsafe { (*next).NextDevice };
            // SAFETY: as above.
            unsafe { *link = after };
            break;
        }
        // SAFETY: as above.
        link = unsafe { &raw mut (*next).NextDevice };
    }
    kernel.ob.unname(&device.object);
    kernel.io.devices.lock().remove(&(address as usize));
    kernel.ob.dereference(&device.object);
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes a device object.
    #[irql(APC)]
    fn IoCreateDevice(driver: *mut DRIVER_OBJECT, extension: u32, name: *const UNICODE_STRING, device_type: u32, characteristics: u32, exclusive: u8, out: *mut *mut DEVICE_OBJECT) -> i32 {
        // SAFETY: the caller gives memory for the pointer.
        unsafe { out.write(std::ptr::null_mut()) };
        if crate::verifier::fault("IoCreateDevice") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        match create(driver, extension, unicode_string(name), device_type, characteristics, exclusive != 0) {
            Ok(device) => {
                // SAFETY: as above.
                unsafe { out.write(device) };
                STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Deletes a device object.
    #[irql(APC)]
    fn IoDeleteDevice(device: *mut DEVICE_OBJECT) {
        let device = expect(device as usize, "IoDeleteDevice");
        delete(&device);
    }

    /// Puts a device on top of a device stack; returns the one below.
    #[irql(DISPATCH)]
    fn IoAttachDeviceToDeviceStack(source: *mut DEVICE_OBJECT, target: *mut DEVICE_OBJECT) -> *mut DEVICE_OBJECT {
        let source = expect(source as usize, "IoAttachDeviceToDeviceStack");
        let below = expect(target as usize, "IoAttachDeviceToDeviceStack").top().body();
        // SAFETY: both devices are alive.
        unsafe { (*below).AttachedDevice = source.body() };
        // SAFETY: as above.
        let size = unsafe { (*below).StackSize } + 1;
        // SAFETY: as above.
        unsafe { (*source.body()).StackSize = size };
        below
    }

    /// Takes off whatever is attached above a device.
    #[irql(PASSIVE)]
    fn IoDetachDevice(target: *mut DEVICE_OBJECT) {
        let target = expect(target as usize, "IoDetachDevice");
        // SAFETY: the device is alive.
        unsafe { (*target.body()).AttachedDevice = std::ptr::null_mut() };
    }

    /// Makes a second name for an object.
    #[irql(PASSIVE)]
    fn IoCreateSymbolicLink(link: *const UNICODE_STRING, target: *const UNICODE_STRING) -> i32 {
        let (Some(link), Some(target)) = (unicode_string(link), unicode_string(target)) else {
            return nt::sys::STATUS_INVALID_PARAMETER;
        };
        let ob = &kernel().ob;
        let object = ob.create(Kind::SymbolicLink, Ok(Body::new(64)), Arc::new(target));
        match ob.name(&object, &link) {
            Ok(()) => STATUS_SUCCESS,
            Err(status) => {
                ob.dereference(&object);
                status
            }
        }
    }

    /// Removes a second name.
    #[irql(PASSIVE)]
    fn IoDeleteSymbolicLink(link: *const UNICODE_STRING) -> i32 {
        let ob = &kernel().ob;
        let found = unicode_string(link).and_then(|name| ob.find_name(&name));
        match found {
            Some(object) if object.kind == Kind::SymbolicLink => {
                ob.unname(&object);
                ob.dereference(&object);
                STATUS_SUCCESS
            }
            _ => nt::sys::STATUS_OBJECT_NAME_NOT_FOUND,
        }
    }
}
