//! Direct buffers, reads and writes, waits of a process that is killed: a small linked driver.

use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use nt::sys::*;

use crate::{Lab, LabError, NtStatus, invoke};

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
    fn MmMapLockedPagesSpecifyCache(
        mdl: *mut MDL,
        mode: i8,
        cache: i32,
        address: *mut u8,
        bugcheck: u32,
        priority: u32,
    ) -> *mut u8;
    fn KeInitializeEvent(event: *mut KEVENT, kind: i32, signaled: u8);
    fn KeSetEvent(event: *mut KEVENT, increment: i32, wait: u8) -> i32;
    fn KeWaitForSingleObject(
        object: *mut KEVENT,
        reason: i32,
        mode: i8,
        alertable: u8,
        timeout: *const i64,
    ) -> i32;
    fn ZwCreateEvent(
        out: *mut usize,
        access: u32,
        attributes: *const OBJECT_ATTRIBUTES,
        kind: i32,
        signaled: u8,
    ) -> i32;
    fn ZwOpenEvent(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES) -> i32;
    fn ZwSetEvent(handle: usize, previous: *mut i32) -> i32;
    fn ZwResetEvent(handle: usize, previous: *mut i32) -> i32;
    fn ZwWaitForSingleObject(handle: usize, alertable: u8, timeout: *const i64) -> i32;
    fn ZwClose(handle: usize) -> i32;
    fn ZwOpenFile(
        out: *mut usize,
        access: u32,
        attributes: *const OBJECT_ATTRIBUTES,
        block: *mut IO_STATUS_BLOCK,
        share: u32,
        options: u32,
    ) -> i32;
    fn ZwReadFile(
        file: usize,
        event: usize,
        apc: usize,
        context: usize,
        block: *mut IO_STATUS_BLOCK,
        buffer: *mut u8,
        length: u32,
        offset: *const i64,
        key: *const u32,
    ) -> i32;
    fn ZwWriteFile(
        file: usize,
        event: usize,
        apc: usize,
        context: usize,
        block: *mut IO_STATUS_BLOCK,
        buffer: *mut u8,
        length: u32,
        offset: *const i64,
        key: *const u32,
    ) -> i32;
}

const fn code(function: u32, method: u32) -> u32 {
    0x22 << 16 | 2 << 14 | function << 2 | method
}

/// Adds up the locked buffer; the first byte of the input is added too.
const SUM: u32 = code(1, METHOD_IN_DIRECT);
/// Fills the locked buffer with the first byte of the input.
const FILL: u32 = code(2, METHOD_OUT_DIRECT);
/// Waits in the mode that the input's first byte says.
const WAIT: u32 = code(3, METHOD_BUFFERED);
/// Stays pending.
const PEND: u32 = code(4, METHOD_BUFFERED);

static EVENT: AtomicUsize = AtomicUsize::new(0);
static WAITING: AtomicU32 = AtomicU32::new(0);
/// The pending packet.
static PENDING: AtomicUsize = AtomicUsize::new(0);
/// Levels at which files were closed, one bit each.
static CLOSED_AT: AtomicU32 = AtomicU32::new(0);
/// What reads give and writes have left.
static STORE: parking_lot::Mutex<Vec<u8>> = parking_lot::Mutex::new(Vec::new());
/// The driver has one set of statics: one test at a time.
static ALONE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

fn complete(irp: *mut IRP, status: i32, information: usize) -> i32 {
    // SAFETY: the dispatch routine owns the packet.
    unsafe { (*irp).IoStatus.Status = status };
    // SAFETY: as above.
    unsafe { (*irp).IoStatus.Information = information };
    // SAFETY: as above.
    unsafe { IofCompleteRequest(irp, 0) };
    status
}

fn location(irp: *mut IRP) -> IO_STACK_LOCATION {
    let overlay = crate::io::irp::overlay(irp);
    // SAFETY: the packet is at this driver's location.
    let location = unsafe { (*overlay).CurrentStackLocation };
    // SAFETY: as above.
    unsafe { location.read() }
}

fn system_buffer(irp: *mut IRP) -> *mut u8 {
    // SAFETY: the packet is this driver's.
    let associated = unsafe { (*irp).AssociatedIrp };
    // SAFETY: no packet here is associated with another; null where there is no buffer.
    unsafe { associated.SystemBuffer }.cast()
}

/// The bytes of the packet's MDL; empty without one.
fn locked(irp: *mut IRP) -> &'static mut [u8] {
    // SAFETY: the packet is this driver's.
    let mdl = unsafe { (*irp).MdlAddress };
    if mdl.is_null() {
        return &mut [];
    }
    // SAFETY: the MDL is locked by the I/O manager; MdlMappingNoExecute, normal priority.
    let address =
        unsafe { MmMapLockedPagesSpecifyCache(mdl, 0, 1, std::ptr::null_mut(), 0, 0x4000_0010) };
    // SAFETY: as above.
    let length = unsafe { (*mdl).ByteCount } as usize;
    // SAFETY: mapped until the packet is completed.
    unsafe { std::slice::from_raw_parts_mut(address, length) }
}

extern "win64" fn accept(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    complete(irp, STATUS_SUCCESS, 0)
}

extern "win64" fn close(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    CLOSED_AT.fetch_or(1 << crate::irql::current(), Ordering::SeqCst);
    complete(irp, STATUS_SUCCESS, 0)
}

extern "win64" fn control(_: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    let parameters = location(irp).Parameters;
    // SAFETY: a device control.
    let parameters = unsafe { parameters.DeviceIoControl };
    let first = if parameters.InputBufferLength == 0 {
        0
    } else {
        // SAFETY: none of the methods used here is METHOD_NEITHER, so the input is in this buffer.
        unsafe { system_buffer(irp).read() }
    };
    match parameters.IoControlCode {
        SUM => {
            let sum: usize = locked(irp).iter().map(|&b| usize::from(b)).sum();
            complete(irp, STATUS_SUCCESS, sum + usize::from(first))
        }
        FILL => {
            let bytes = locked(irp);
            bytes.fill(first);
            let length = bytes.len();
            complete(irp, STATUS_SUCCESS, length)
        }
        WAIT => {
            WAITING.fetch_add(1, Ordering::SeqCst);
            let event = EVENT.load(Ordering::SeqCst) as *mut KEVENT;
            // SAFETY: the driver's event.
            let status =
                unsafe { KeWaitForSingleObject(event, 0, first as i8, 0, std::ptr::null()) };
            complete(irp, STATUS_SUCCESS, status as usize)
        }
        PEND => {
            let overlay = crate::io::irp::overlay(irp);
            // SAFETY: the packet is at this driver's location.
            let location = unsafe { (*overlay).CurrentStackLocation };
            // SAFETY: as above.
            unsafe { (*location).Control |= SL_PENDING_RETURNED };
            PENDING.store(irp as usize, Ordering::SeqCst);
            STATUS_PENDING
        }
        _ => complete(irp, STATUS_INVALID_DEVICE_REQUEST, 0),
    }
}

/// Reads and writes: buffered or direct, as the device says.
extern "win64" fn transfer(device: *mut DEVICE_OBJECT, irp: *mut IRP) -> i32 {
    let at = location(irp);
    // SAFETY: a read or write; both have the same parameters.
    let parameters = unsafe { at.Parameters.Read };
    // SAFETY: the union's whole.
    let offset = unsafe { parameters.ByteOffset.QuadPart } as usize;
    // SAFETY: the device is alive.
    let buffered = unsafe { (*device).Flags } & DO_BUFFERED_IO != 0;
    let length = parameters.Length as usize;
    let bytes = if buffered {
        // SAFETY: the system buffer has the length of the request.
        unsafe { std::slice::from_raw_parts_mut(system_buffer(irp), length) }
    } else {
        locked(irp)
    };
    let mut store = STORE.lock();
    let done = if at.MajorFunction == IRP_MJ_WRITE {
        store.resize(offset + length, 0);
        store[offset..].copy_from_slice(bytes);
        length
    } else {
        let rest = store.get(offset..).unwrap_or_default();
        let done = length.min(rest.len());
        bytes[..done].copy_from_slice(&rest[..done]);
        done
    };
    drop(store);
    complete(irp, STATUS_SUCCESS, done)
}

extern "win64" fn unload(driver: *mut DRIVER_OBJECT) {
    loop {
        // SAFETY: the driver object is alive.
        let device = unsafe { (*driver).DeviceObject };
        if device.is_null() {
            return;
        }
        // SAFETY: a device of the driver.
        unsafe { IoDeleteDevice(device) };
    }
}

fn add_device(driver: *mut DRIVER_OBJECT, name: &str, flags: u32) {
    let name = crate::ndis::raw::Text::new(name);
    let mut device = std::ptr::null_mut();
    // SAFETY: valid arguments.
    let status = unsafe { IoCreateDevice(driver, 0, name.pointer(), 0x22, 0, 0, &raw mut device) };
    assert_eq!(status, STATUS_SUCCESS);
    // SAFETY: the driver's own device.
    unsafe { (*device).Flags |= flags };
}

unsafe extern "win64" fn entry(driver: *mut DRIVER_OBJECT, _: *mut UNICODE_STRING) -> i32 {
    let event = Box::leak(Box::new(KEVENT::zeroed()));
    EVENT.store(std::ptr::from_mut(event) as usize, Ordering::SeqCst);
    // SAFETY: memory for an event.
    unsafe { KeInitializeEvent(event, 0, 0) };
    // SAFETY: the driver object is ours to fill in.
    let table = unsafe { &raw mut (*driver).MajorFunction }.cast::<usize>();
    for (major, routine) in [
        (IRP_MJ_CREATE, accept as *const ()),
        (IRP_MJ_CLOSE, close as *const ()),
        (IRP_MJ_CLEANUP, accept as *const ()),
        (IRP_MJ_READ, transfer as *const ()),
        (IRP_MJ_WRITE, transfer as *const ()),
        (IRP_MJ_DEVICE_CONTROL, control as *const ()),
    ] {
        // SAFETY: the table has 28 entries.
        unsafe { table.wrapping_add(major.into()).write(routine as usize) };
    }
    // SAFETY: as above.
    unsafe { (*driver).DriverUnload = Some(unload) };
    add_device(driver, "\\Device\\copied", DO_BUFFERED_IO);
    add_device(driver, "\\Device\\locked", DO_DIRECT_IO);
    STATUS_SUCCESS
}

#[test]
fn direct_controls_get_locked_buffers() {
    let _alone = ALONE.lock();
    let lab = Lab::boot().unwrap();
    let driver = lab.start_linked("small", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open("\\Device\\locked").open().unwrap();
    let memory = process.alloc(10_000).unwrap();
    memory.write(5000, &[1, 2, 3]);
    let input = process.alloc(1).unwrap();
    input.write(0, &[100]);
    let at = |offset: usize, length: usize| (memory.address() + offset, length);
    let result = |code: u32, output: (usize, usize)| {
        let pending = handle.control_raw(code, (input.address(), 1), output);
        pending.map(|p| p.wait(None).unwrap().unwrap().information)
    };
    assert_eq!(result(SUM, at(4095, 1000)).unwrap(), 106);
    assert_eq!(result(SUM, at(0, 0)).unwrap(), 100, "no buffer, no MDL");
    assert_eq!(result(FILL, at(4090, 20)).unwrap(), 20);
    assert_eq!(memory.read(4089, 22), [&[0][..], &[100; 20], &[0]].concat());
    let outside = result(SUM, (0x1_2345_0000, 8)).unwrap_err();
    assert_eq!(outside.status(), Some(NtStatus(STATUS_ACCESS_VIOLATION)));
    // Only what the driver writes to must be writable.
    process.set_writable(memory, false).unwrap();
    assert_eq!(result(SUM, at(5000, 3)).unwrap(), 106);
    let read_only = result(FILL, at(0, 8)).unwrap_err();
    assert_eq!(read_only.status(), Some(NtStatus(STATUS_ACCESS_VIOLATION)));
    drop(handle);
    drop(process);
    assert!(driver.unload().unwrap().is_clean());
}

#[test]
fn reads_and_writes_reach_the_driver_as_its_device_wants_them() {
    let _alone = ALONE.lock();
    let lab = Lab::boot().unwrap();
    let driver = lab.start_linked("small", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    for path in ["\\Device\\copied", "\\Device\\locked"] {
        STORE.lock().clear();
        let handle = process.open(path).open().unwrap();
        assert_eq!(handle.write(3, b"hello").unwrap().information, 5);
        let all = handle.read(0, 100).unwrap();
        assert_eq!((all.information, &all.bytes[..8]), (8, &b"\0\0\0hello"[..]));
        assert_eq!(handle.read(50, 4).unwrap().information, 0);
        let reader = process.open(path).access(1).open().unwrap();
        let refused = reader.write(0, b"x").unwrap_err();
        assert_eq!(refused.status(), Some(NtStatus(STATUS_ACCESS_DENIED)));
        assert_eq!(reader.read(3, 5).unwrap().bytes, b"hello");
    }
    drop(process);
    assert!(driver.unload().unwrap().is_clean());
}

fn attributes(name: &crate::ndis::raw::Text) -> OBJECT_ATTRIBUTES {
    OBJECT_ATTRIBUTES {
        Length: size_of::<OBJECT_ATTRIBUTES>() as u32,
        ObjectName: name.pointer(),
        Attributes: OBJ_KERNEL_HANDLE,
        ..OBJECT_ATTRIBUTES::zeroed()
    }
}

#[test]
fn drivers_read_and_write_files_and_wait_by_handle() {
    let _alone = ALONE.lock();
    let lab = Lab::boot().unwrap();
    let _driver = lab.start_linked("small", entry).unwrap();
    lab.enter(|| {
        let path = crate::ndis::raw::Text::new("\\Device\\copied");
        let mut block = IO_STATUS_BLOCK {
            Status: 0,
            Information: 0,
        };
        let (mut file, mut event) = (0_usize, 0_usize);
        let of_file = attributes(&path);
        let open = ZwOpenFile as *const ();
        let status = invoke!(
            open,
            &raw mut file,
            3,
            &raw const of_file,
            &raw mut block,
            3,
            0
        );
        assert_eq!(status as i32, STATUS_SUCCESS);
        let name = crate::ndis::raw::Text::new("\\BaseNamedObjects\\done");
        let mut of_event = attributes(&name);
        let create = |attributes: &OBJECT_ATTRIBUTES, out: &mut usize, kind: u32| {
            invoke!(
                ZwCreateEvent as *const (),
                std::ptr::from_mut(out),
                3,
                std::ptr::from_ref(attributes),
                kind,
                0
            ) as i32
        };
        assert_eq!(create(&of_event, &mut event, 0), STATUS_SUCCESS);
        let mut other = 0_usize;
        assert_eq!(
            create(&of_event, &mut other, 0),
            STATUS_OBJECT_NAME_COLLISION
        );
        assert_eq!(create(&of_event, &mut other, 7), STATUS_INVALID_PARAMETER);
        of_event.Attributes |= OBJ_OPENIF;
        assert_eq!(create(&of_event, &mut other, 0), 0x4000_0000);
        let now = 0_i64;
        let wait = || invoke!(ZwWaitForSingleObject as *const (), event, 0, &raw const now) as i32;
        assert_eq!(wait(), STATUS_TIMEOUT);
        let mut text = *b"by a driver";
        let offset = 0_i64;
        let written = invoke!(
            ZwWriteFile as *const (),
            file,
            event,
            0,
            0,
            &raw mut block,
            text.as_mut_ptr(),
            text.len(),
            &raw const offset,
            0
        );
        assert_eq!((written as i32, block.Information), (STATUS_SUCCESS, 11));
        assert_eq!(wait(), STATUS_SUCCESS, "the event is set by the write");
        let mut previous = 0_i32;
        assert_eq!(
            invoke!(ZwResetEvent as *const (), other, &raw mut previous),
            0
        );
        assert_eq!(
            (previous, wait()),
            (1, STATUS_TIMEOUT),
            "one event, two handles"
        );
        let three = 3_i64;
        let read = invoke!(
            ZwReadFile as *const (),
            file,
            0,
            0,
            0,
            &raw mut block,
            text.as_mut_ptr(),
            text.len(),
            &raw const three,
            0
        );
        assert_eq!((read as i32, block.Information), (STATUS_SUCCESS, 8));
        assert_eq!(&text[..8], b"a driver");
        let wrong = invoke!(ZwSetEvent as *const (), file, 0) as i32;
        assert_eq!(wrong, STATUS_OBJECT_TYPE_MISMATCH);
        let mut found = 0_usize;
        let opened = invoke!(
            ZwOpenEvent as *const (),
            &raw mut found,
            3,
            &raw const of_event
        );
        assert_eq!(opened, 0);
        for handle in [file, event, other, found] {
            assert_eq!(invoke!(ZwClose as *const (), handle), 0);
        }
        let gone = invoke!(
            ZwOpenEvent as *const (),
            &raw mut found,
            3,
            &raw const of_event
        ) as i32;
        assert_eq!(gone, STATUS_OBJECT_NAME_NOT_FOUND);
    })
    .unwrap();
}

#[test]
fn killing_a_process_ends_its_waits_in_user_mode_only() {
    let _alone = ALONE.lock();
    let lab = Lab::boot().unwrap();
    let driver = lab.start_linked("small", entry).unwrap();
    let process = lab.administrator("app").unwrap();
    let handle = process.open("\\Device\\copied").open().unwrap();
    WAITING.store(0, Ordering::SeqCst);
    std::thread::scope(|scope| {
        let wait = |mode: u8| {
            let handle = &handle;
            scope.spawn(move || handle.control(WAIT, &[mode], 0).map(|o| o.information))
        };
        let (kernel_mode, user_mode) = (wait(0), wait(1));
        while WAITING.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        process.kill().unwrap();
        let interrupted = user_mode.join().unwrap();
        // The thread that was interrupted finds that its process makes no more calls.
        assert!(
            matches!(interrupted, Ok(0xc0) | Err(LabError::Invalid(_))),
            "{interrupted:?}"
        );
        assert!(!kernel_mode.is_finished());
        lab.enter(|| {
            let event = EVENT.load(Ordering::SeqCst);
            invoke!(KeSetEvent as *const (), event, 0, 0);
        })
        .unwrap();
        let _ = kernel_mode.join().unwrap();
    });
    assert!(handle.control(SUM, b"", 0).is_err());
    drop(handle);
    drop(process);
    assert!(driver.unload().unwrap().is_clean());
}

#[test]
fn a_file_whose_last_request_ends_at_dispatch_level_is_closed_by_a_system_thread() {
    let _alone = ALONE.lock();
    for seed in [None, Some(1), Some(2)] {
        let lab = Lab::builder();
        let lab = seed.map_or(lab.clone(), |seed| lab.seed(seed));
        let lab = lab.boot().unwrap();
        let driver = lab.start_linked("small", entry).unwrap();
        let process = lab.administrator("app").unwrap();
        let handle = process.open("\\Device\\copied").open().unwrap();
        let pending = handle.control_raw(PEND, (0, 0), (0, 0)).unwrap();
        CLOSED_AT.store(0, Ordering::SeqCst);
        drop(handle);
        assert_eq!(CLOSED_AT.load(Ordering::SeqCst), 0, "a request is pending");
        lab.enter(|| {
            crate::irql::at_dispatch(|| {
                complete(
                    PENDING.load(Ordering::SeqCst) as *mut IRP,
                    STATUS_SUCCESS,
                    7,
                );
            });
        })
        .unwrap();
        assert_eq!(pending.result().unwrap().information, 7);
        drop(process);
        assert!(driver.unload().unwrap().is_clean());
        assert_eq!(CLOSED_AT.load(Ordering::SeqCst), 1, "at PASSIVE_LEVEL");
    }
}
