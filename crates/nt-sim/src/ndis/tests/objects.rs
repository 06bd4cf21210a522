//! Control devices and ports.

use std::{
    ffi::c_void,
    sync::atomic::{AtomicUsize, Ordering},
};

use nt::sys::*;

use super::{
    driver::{Filter, new_filter},
    rule,
};
use crate::{
    FaultPlan, Lab, Rule, invoke,
    ndis::{
        datapath::*,
        device::*,
        header,
        pnp::*,
        port::*,
        raw::{Text, load, put, store},
    },
};

static DRIVER: AtomicUsize = AtomicUsize::new(0);

unsafe extern "win64" fn entry(driver: *mut DRIVER_OBJECT, _: *mut UNICODE_STRING) -> i32 {
    DRIVER.store(driver as usize, Ordering::SeqCst);
    put!(driver => [DriverUnload] Some(unload as _));
    0
}

unsafe extern "win64" fn unload(_: *mut DRIVER_OBJECT) {}

unsafe extern "win64" fn accept(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    crate::io::irp::complete_with(irp, STATUS_SUCCESS, 0);
    STATUS_SUCCESS
}

/// Answers with what the device's own part of the extension holds.
unsafe extern "win64" fn control(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    // SAFETY: a kernel export.
    let own = unsafe { NdisGetDeviceReservedExtension(device) };
    let answer: u32 = load(own.cast());
    // SAFETY: METHOD_BUFFERED.
    let buffer = unsafe { load(irp).AssociatedIrp.SystemBuffer };
    store(buffer.cast(), answer);
    crate::io::irp::complete_with(irp, STATUS_SUCCESS, 4);
    STATUS_SUCCESS
}

const ASK: u32 = 0x12 << 16 | 1 << 2;

struct Described {
    name: Text,
    link: Text,
    access: Text,
    table: [usize; 28],
    extension: u32,
}

impl Described {
    fn new(access: &str) -> Described {
        let mut table = [0; 28];
        for major in [IRP_MJ_CREATE, IRP_MJ_CLEANUP, IRP_MJ_CLOSE] {
            table[usize::from(major)] = accept as *const () as usize;
        }
        table[usize::from(IRP_MJ_DEVICE_CONTROL)] = control as *const () as usize;
        Described {
            name: Text::new("\\Device\\Control"),
            link: Text::new("\\DosDevices\\Control"),
            access: Text::new(access),
            table,
            extension: 4,
        }
    }

    fn register(&self, driver: usize) -> Result<(*mut DEVICE_OBJECT, u64), i32> {
        let mut a = NDIS_DEVICE_OBJECT_ATTRIBUTES::zeroed();
        a.Header = header(NDIS_OBJECT_TYPE_DEVICE_OBJECT_ATTRIBUTES, 1, 0x38);
        a.DeviceName = self.name.pointer();
        a.SymbolicName = self.link.pointer();
        a.MajorFunctions = self.table.as_ptr().cast_mut().cast();
        a.ExtensionSize = self.extension;
        if load(self.access.pointer()).Length > 0 {
            a.DefaultSDDLString = self.access.pointer();
        }
        let (mut object, mut handle) = (std::ptr::null_mut::<DEVICE_OBJECT>(), 1_u64);
        let status = invoke!(
            NdisRegisterDeviceEx,
            driver,
            &raw const a,
            &raw mut object,
            &raw mut handle
        ) as i32;
        if status == NDIS_STATUS_SUCCESS {
            Ok((object, handle))
        } else {
            assert_eq!((object, handle), (std::ptr::null_mut(), 0));
            Err(status)
        }
    }
}

/// A lab with a loaded driver, which has registered a filter.
fn with_driver<R>(test: impl FnOnce(&Lab, &'static Filter, usize) -> R) -> R {
    let lab = Lab::boot().unwrap();
    let driver = lab.start_linked("netcontrol", entry).unwrap();
    let filter = new_filter();
    let object = DRIVER.load(Ordering::SeqCst);
    filter.driver_object.store(object, Ordering::SeqCst);
    assert_eq!(filter.register(&lab, "filter").unwrap(), 0);
    let handle = *filter.driver.lock();
    let result = test(&lab, filter, handle);
    if lab.bugcheck().is_none() {
        filter.deregister(&lab).unwrap();
        assert!(driver.unload().unwrap().is_clean());
    }
    result
}

#[test]
fn a_control_device_answers_through_its_own_dispatch_table() {
    with_driver(|lab, _, driver| {
        let described = Described::new("D:P(A;;GA;;;SY)(A;;GA;;;BA)(A;;GR;;;BU)");
        let handle = lab
            .enter(|| {
                let (object, handle) = described.register(driver).unwrap();
                assert_eq!(load(object).Flags & DO_DEVICE_INITIALIZING, 0);
                // SAFETY: a kernel export.
                let own = unsafe { NdisGetDeviceReservedExtension(object) };
                store(own.cast(), 0x5a5a_5a5a_u32);
                handle
            })
            .unwrap();
        let program = lab.administrator("app").unwrap();
        for path in ["\\Device\\Control", "\\??\\Control"] {
            let file = program.open(path).open().unwrap();
            let answer = file.control(ASK, b"", 4).unwrap();
            assert_eq!(answer.bytes, [0x5a; 4]);
        }
        let user = lab.user("user").unwrap();
        assert!(user.open("\\??\\Control").open().is_err(), "may not write");
        let read_only = user.open("\\??\\Control").access(0x8000_0000);
        assert!(read_only.open().is_ok());
        drop((program, user));
        lab.enter(|| invoke!(NdisDeregisterDeviceEx, handle))
            .unwrap();
        let program = lab.administrator("app").unwrap();
        assert!(program.open("\\??\\Control").open().is_err());
    });
}

#[test]
fn bad_descriptions_of_a_device_are_refused_and_leave_nothing() {
    with_driver(|lab, _, driver| {
        lab.enter(|| {
            let refused = |change: fn(&mut Described), expected: i32| {
                let mut described = Described::new("");
                change(&mut described);
                assert_eq!(described.register(driver), Err(expected));
            };
            refused(
                |d| d.access = Text::new("D:(nonsense)"),
                NDIS_STATUS_INVALID_PARAMETER,
            );
            refused(
                |d| d.name = Text::new("no path"),
                STATUS_OBJECT_NAME_INVALID,
            );
            refused(
                |d| d.link = Text::new("\\Nowhere\\Control"),
                STATUS_OBJECT_PATH_NOT_FOUND,
            );
            lab.inject_failures(FaultPlan::Nth(1));
            refused(|_| {}, NDIS_STATUS_RESOURCES);
            let first = Described::new("").register(driver).unwrap();
            refused(
                |d| d.link = Text::new("\\DosDevices\\Other"),
                STATUS_OBJECT_NAME_COLLISION,
            );
            invoke!(NdisDeregisterDeviceEx, first.1);
        })
        .unwrap();
    });
}

#[test]
fn misuse_of_control_devices_is_caught() {
    let caught =
        |misuse: fn(usize)| with_driver(|lab, _, driver| rule(lab.enter(|| misuse(driver))));
    let twice = caught(|driver| {
        let (_, handle) = Described::new("").register(driver).unwrap();
        invoke!(NdisDeregisterDeviceEx, handle);
        invoke!(NdisDeregisterDeviceEx, handle);
    });
    assert_eq!(twice, Rule::NdisStaleHandle);
    let extension = caught(|driver| {
        let (object, handle) = Described::new("").register(driver).unwrap();
        store(load(object).DeviceExtension.cast(), 0_u64);
        invoke!(NdisDeregisterDeviceEx, handle);
    });
    assert_eq!(extension, Rule::NdisBadStructure);
    let no_device = caught(|_| {
        invoke!(NdisGetDeviceReservedExtension, 0x5000_usize);
    });
    assert!(
        matches!(no_device, Rule::NdisBadHandle | Rule::BadPointerArgument),
        "{no_device:?}"
    );
    let left = with_driver(|lab, filter, driver| {
        lab.enter(|| Described::new("").register(driver).unwrap())
            .unwrap();
        rule(filter.deregister(lab))
    });
    assert_eq!(left, Rule::NdisObjectLeaked);
}

fn allocate(adapter: *mut c_void) -> Result<u32, i32> {
    let mut port = NDIS_PORT_CHARACTERISTICS::zeroed();
    port.Header = header(NDIS_OBJECT_TYPE_PORT_CHARACTERISTICS, 1, 0x3c);
    match invoke!(NdisMAllocatePort, adapter, &raw mut port) as i32 {
        NDIS_STATUS_SUCCESS => Ok(port.PortNumber),
        status => Err(status),
    }
}

fn activate(adapter: *mut c_void, number: u32) {
    let mut port = NDIS_PORT::zeroed();
    port.PortCharacteristics.PortNumber = number;
    let mut event = notification(NetEventPortActivation);
    event.NetPnPEvent.Buffer = (&raw mut port).cast();
    event.NetPnPEvent.BufferLength = size_of::<NDIS_PORT>() as u32;
    invoke!(NdisMNetPnPEvent, adapter, &raw mut event);
}

fn deactivate(adapter: *mut c_void, number: u32) {
    let mut number = number;
    let mut event = notification(NetEventPortDeactivation);
    event.NetPnPEvent.Buffer = (&raw mut number).cast();
    event.NetPnPEvent.BufferLength = 4;
    invoke!(NdisMNetPnPEvent, adapter, &raw mut event);
}

fn free(adapter: *mut c_void, number: u32) -> i32 {
    invoke!(NdisMFreePort, adapter, number) as i32
}

fn with_adapter<R>(test: impl FnOnce(&Lab, *mut c_void) -> R) -> R {
    let lab = Lab::boot().unwrap();
    let nic = lab.nic("eth0").create().unwrap();
    let adapter = crate::ndis::nic("eth0").unwrap().miniport().handle();
    let result = test(&lab, adapter);
    drop(nic);
    result
}

#[test]
fn ports_are_numbered_activated_and_freed() {
    with_adapter(|lab, adapter| {
        lab.enter(|| {
            assert_eq!((allocate(adapter), allocate(adapter)), (Ok(1), Ok(2)));
            assert_eq!(free(adapter, 1), NDIS_STATUS_SUCCESS);
            assert_eq!(free(adapter, 1), NDIS_STATUS_INVALID_PORT);
            assert_eq!(free(adapter, 0), NDIS_STATUS_INVALID_PORT);
            assert_eq!(allocate(adapter), Ok(1));
            activate(adapter, 2);
            assert_eq!(free(adapter, 2), NDIS_STATUS_INVALID_PORT_STATE);
            deactivate(adapter, 2);
            assert_eq!(free(adapter, 2), NDIS_STATUS_SUCCESS);
            lab.inject_failures(FaultPlan::Nth(1));
            assert_eq!(allocate(adapter), Err(NDIS_STATUS_RESOURCES));
        })
        .unwrap();
    });
}

#[test]
fn misuse_of_ports_is_caught() {
    let caught =
        |misuse: fn(*mut c_void)| with_adapter(|lab, adapter| rule(lab.enter(|| misuse(adapter))));
    assert_eq!(caught(|a| activate(a, 3)), Rule::NdisPort);
    assert_eq!(caught(|a| deactivate(a, 3)), Rule::NdisPort);
    let twice = caught(|adapter| {
        let port = allocate(adapter).unwrap();
        activate(adapter, port);
        activate(adapter, port);
    });
    assert_eq!(twice, Rule::NdisPort);
    let inactive = caught(|adapter| {
        allocate(adapter).unwrap();
        invoke!(NdisMIndicateReceiveNetBufferLists, adapter, 0, 1, 0, 0);
    });
    assert_eq!(inactive, Rule::NdisPort);
    let no_header = caught(|adapter| {
        let mut port = NDIS_PORT_CHARACTERISTICS::zeroed();
        invoke!(NdisMAllocatePort, adapter, &raw mut port);
    });
    assert_eq!(no_header, Rule::NdisBadStructure);
    let filter = with_adapter(|lab, _| {
        let filter = new_filter();
        filter.register(lab, "filter").unwrap();
        rule(lab.enter(|| allocate(filter.handle())))
    });
    assert_eq!(filter, Rule::NdisBadHandle, "not a miniport");
}
