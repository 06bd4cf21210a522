//! Control devices of NDIS drivers.

use std::{ffi::c_void, sync::Arc};

use nt::sys::{
    DEVICE_OBJECT, DO_DEVICE_INITIALIZING, DRIVER_OBJECT, FILE_DEVICE_NETWORK,
    FILE_DEVICE_SECURE_OPEN, NDIS_DEVICE_OBJECT_ATTRIBUTES,
    NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES, NDIS_STATUS_INVALID_PARAMETER,
    NDIS_STATUS_RESOURCES, NDIS_STATUS_SUCCESS,
};

use super::{
    memory,
    raw::{at, get, load, put, store, text},
};
use crate::{
    exports,
    io::device,
    kernel::kernel,
    ob::{Body, Kind, sddl},
    verifier::Rule,
};

/// Access when the driver gives none: the system and administrators, everything.
const DEFAULT_ACCESS: &str = "D:P(A;;GA;;;SY)(A;;GA;;;BA)";
/// Bytes of the device extension that are NDIS's; the driver's own part lies behind them.
const RESERVED: usize = 16;
/// What NDIS's part of the extension holds.
const MARK: u64 = u64::from_le_bytes(*b"NDISdevX");
/// Entries of a dispatch table.
const MAJORS: usize = 28;

/// A device; its address is the handle.
pub(crate) struct ControlDevice {
    pub(crate) owner: usize,
    object: usize,
    link: Option<String>,
}

/// The driver object of the driver that `handle` names.
fn driver_object(handle: *mut c_void) -> Option<usize> {
    let ndis = &kernel().ndis;
    let object = match ndis.filter_drivers.find(handle) {
        Some(driver) => driver.driver_object,
        None => ndis.miniport_drivers.find(handle)?.driver_object,
    };
    (object != 0).then_some(object)
}

fn register(
    owner: usize,
    handle: *mut c_void,
    attributes: *const NDIS_DEVICE_OBJECT_ATTRIBUTES,
) -> Result<(*mut DEVICE_OBJECT, *mut c_void), i32> {
    let a = load(attributes);
    if a.DeviceName.is_null() || a.MajorFunctions.is_null() {
        return Err(NDIS_STATUS_INVALID_PARAMETER);
    }
    let driver = driver_object(handle).ok_or(NDIS_STATUS_INVALID_PARAMETER)?;
    let access = if a.DefaultSDDLString.is_null() {
        DEFAULT_ACCESS.to_owned()
    } else {
        text(&load(a.DefaultSDDLString))
    };
    let access = sddl::parse(&access).ok_or(NDIS_STATUS_INVALID_PARAMETER)?;
    if memory::must_fail("NdisRegisterDeviceEx") {
        return Err(NDIS_STATUS_RESOURCES);
    }
    let made = device::create(
        driver as *mut DRIVER_OBJECT,
        a.ExtensionSize + RESERVED as u32,
        Some(text(&load(a.DeviceName))),
        FILE_DEVICE_NETWORK,
        FILE_DEVICE_SECURE_OPEN,
        false,
    )?;
    let found = device::expect(made as usize, "NdisRegisterDeviceEx");
    *found.object.security.lock() = Some(access);
    let mut table = [0_usize; MAJORS];
    let functions: *const usize = a.MajorFunctions.cast();
    for (major, entry) in table.iter_mut().enumerate() {
        *entry = load(functions.wrapping_add(major));
    }
    found.set_dispatch(table);
    let extension: *mut u64 = get!(made => DeviceExtension).cast();
    store(extension, MARK);
    let link = (!a.SymbolicName.is_null()).then(|| text(&load(a.SymbolicName)));
    if let Some(link) = &link {
        let ob = &kernel().ob;
        let target = text(&load(a.DeviceName));
        let object = ob.create(Kind::SymbolicLink, Ok(Body::new(64)), Arc::new(target));
        if let Err(status) = ob.name(&object, link) {
            ob.dereference(&object);
            device::delete(&found);
            return Err(status);
        }
    }
    put!(made => [Flags] get!(made => Flags) & !DO_DEVICE_INITIALIZING);
    let device = kernel().ndis.devices.insert(ControlDevice {
        owner,
        object: made as usize,
        link,
    });
    Ok((made, std::ptr::from_ref(device).cast_mut().cast()))
}

exports! { "ndis.sys" => pub(crate) EXPORTS;
    /// Makes a device that has a dispatch table of its own.
    #[irql(PASSIVE)]
    fn NdisRegisterDeviceEx(
        handle: *mut c_void, attributes: *const NDIS_DEVICE_OBJECT_ATTRIBUTES,
        object: *mut *mut DEVICE_OBJECT, out: *mut *mut c_void,
    ) -> i32 {
        super::check_header(
            load(attributes.cast()), NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES, 1, 0x38, "NDIS_DEVICE_OBJECT_ATTRIBUTES");
        let owner = super::owner(handle);
        store(object, std::ptr::null_mut());
        store(out, std::ptr::null_mut());
        match register(owner, handle, attributes) {
            Ok((made, device)) => {
                store(object, made);
                store(out, device);
                NDIS_STATUS_SUCCESS
            }
            Err(status) => status,
        }
    }

    /// Deletes a device of `NdisRegisterDeviceEx`.
    #[irql(PASSIVE)]
    fn NdisDeregisterDeviceEx(handle: *mut c_void) {
        let device = kernel().ndis.devices.get(handle, "NdisDeregisterDeviceEx");
        let object = device.object as *mut DEVICE_OBJECT;
        let found = device::expect(device.object, "NdisDeregisterDeviceEx");
        let extension: *const u64 = get!(object => DeviceExtension).cast();
        if load(extension) != MARK {
            crate::bugcheck!(Rule::NdisBadStructure, object, extension;
                "the driver wrote into DeviceExtension of {object:p}, which is NDIS's: its own part is what \
                 NdisGetDeviceReservedExtension returns");
        }
        let ob = &kernel().ob;
        if let Some(link) = device.link.as_ref().and_then(|link| ob.find_name(link)) {
            ob.unname(&link);
            ob.dereference(&link);
        }
        device::delete(&found);
        kernel().ndis.devices.retire(device);
    }

    /// The driver's part of a device's extension.
    #[irql(ANY)]
    fn NdisGetDeviceReservedExtension(object: *mut DEVICE_OBJECT) -> *mut c_void {
        let known = kernel().ndis.devices.live();
        if !known.iter().any(|d| d.object == object as usize) {
            crate::bugcheck!(Rule::NdisBadHandle, object;
                "NdisGetDeviceReservedExtension was given {object:p}, which is no device of NdisRegisterDeviceEx");
        }
        if usize::from(get!(object => Size)) <= size_of::<DEVICE_OBJECT>() + RESERVED {
            return std::ptr::null_mut();
        }
        at(get!(object => DeviceExtension), RESERVED)
    }
}
