//! System calls that become requests: open, device control, cleanup and close.

use std::sync::{Arc, Weak};

use crate::sync::Mutex;
use nt::sys::{
    FAST_IO_DISPATCH, FILE_OBJECT, IO_SECURITY_CONTEXT, IO_STACK_LOCATION, IO_STATUS_BLOCK, IRP,
    IRP_MJ_CREATE, IRP_MJ_DEVICE_CONTROL, IRP_MJ_INTERNAL_DEVICE_CONTROL, KEVENT, METHOD_BUFFERED,
    METHOD_IN_DIRECT, METHOD_NEITHER, METHOD_OUT_DIRECT, NTSTATUS, STATUS_ACCESS_DENIED,
    STATUS_INVALID_HANDLE, STATUS_OBJECT_TYPE_MISMATCH, STATUS_PENDING,
};

use super::{
    copy,
    device::{self, Device},
    direct::LockedBuffer,
    driver::check_return,
    file::{self, File},
    irp::{self, Irp},
};
use crate::{
    invoke,
    ke::dispatcher,
    kernel::kernel,
    mem::{self, user::Access},
    ob::{self, Body, Kind, Object, security::Descriptor},
    ps, sched,
};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IoResult {
    pub(crate) status: NTSTATUS,
    pub(crate) information: usize,
}

/// An event of the kernel that stays set until it is reset.
pub(crate) struct Event(Body);

impl Event {
    pub(crate) fn new() -> Event {
        let event = Body::new(size_of::<KEVENT>());
        dispatcher::initialize(
            event.address(),
            dispatcher::kind::NOTIFICATION_EVENT,
            size_of::<KEVENT>(),
            0,
        );
        Event(event)
    }

    pub(crate) fn set(&self) {
        dispatcher::update(self.0.address(), |_| 1);
    }

    pub(crate) fn reset(&self) {
        dispatcher::update(self.0.address(), |_| 0);
    }

    /// Waits until it is set; `false` when `timeout` (Windows units, `None` for ever) passes first.
    pub(crate) fn wait(&self, timeout: Option<i64>) -> bool {
        dispatcher::wait(&[self.0.address()], false, timeout);
        dispatcher::state(self.0.address()) != 0
    }
}

/// A request under way, or done.
pub(crate) struct Pending {
    result: Mutex<Option<IoResult>>,
    event: Event,
    /// Is set, too, when the request ends.
    also: Mutex<Option<Arc<Event>>>,
    irp: Mutex<Weak<Irp>>,
}

impl Pending {
    pub(super) fn new() -> Arc<Pending> {
        Arc::new(Pending {
            result: Mutex::new(None),
            event: Event::new(),
            also: Mutex::new(None),
            irp: Mutex::new(Weak::new()),
        })
    }

    pub(super) fn set(&self, status: NTSTATUS, information: usize) {
        *self.result.lock() = Some(IoResult {
            status,
            information,
        });
        self.event.set();
        let also = self.also.lock().clone();
        if let Some(event) = also {
            event.set();
        }
    }

    /// Sets another event, too, when the request ends, at once if it has.
    pub(crate) fn notify(&self, event: Arc<Event>) {
        *self.also.lock() = Some(Arc::clone(&event));
        // Whoever ended the request meanwhile may not have seen it.
        if self.result().is_some() {
            event.set();
        }
    }

    /// Lets [`Pending::cancel`] find the packet.
    pub(super) fn follow(&self, irp: &Arc<Irp>) {
        *self.irp.lock() = Arc::downgrade(irp);
    }

    /// The result, if there is one.
    pub(crate) fn result(&self) -> Option<IoResult> {
        *self.result.lock()
    }

    /// Waits for the result, at most `timeout` (Windows units, `None` for ever).
    pub(crate) fn wait(&self, timeout: Option<i64>) -> Option<IoResult> {
        if let Some(result) = self.result() {
            return Some(result);
        }
        self.event.wait(timeout);
        self.result()
    }

    /// Asks for the request's cancellation; `false` when nothing was there to cancel.
    pub(crate) fn cancel(&self) -> bool {
        let irp = self.irp.lock().upgrade();
        match irp {
            Some(irp) if !irp.completed() => super::cancel::cancel(irp.pointer()),
            _ => false,
        }
    }
}

/// What an open asks for.
#[derive(Clone, Debug)]
pub(crate) struct Open<'a> {
    pub(crate) path: &'a str,
    pub(crate) access: u32,
    pub(crate) disposition: u32,
    pub(crate) options: u32,
    pub(crate) share: u16,
    /// A FILE_FULL_EA_INFORMATION list, already in kernel memory; empty for none.
    pub(crate) ea: Vec<u8>,
    pub(crate) user: bool,
    /// OBJ_KERNEL_HANDLE and its like.
    pub(crate) attributes: u32,
}

/// Runs a system call: notes the mode it came from.
pub(crate) fn system_call<R>(user: bool, body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            sched::current().previous_mode_user.set(self.0);
            mem::user::begin_system_call();
        }
    }
    let thread = sched::current();
    let _restore = Restore(thread.previous_mode_user.replace(user));
    mem::user::begin_system_call();
    sched::yield_point();
    body()
}

/// Opens a file and returns its handle.
pub(crate) fn open(request: &Open<'_>) -> Result<usize, NTSTATUS> {
    let resolved = kernel().ob.resolve(request.path)?;
    if resolved.object.kind != Kind::Device {
        return Err(STATUS_OBJECT_TYPE_MISMATCH);
    }
    let named = device::find(resolved.object.address).ok_or(STATUS_OBJECT_TYPE_MISMATCH)?;
    let granted = check_access(&resolved.object, request)?;
    let device = named.top();
    const SYNCHRONOUS: u32 = 0x10 | 0x20;
    let file = file::create(&device, &resolved.rest, request.options & SYNCHRONOUS != 0);
    let result = send_create(&file, &device, request, granted);
    if result.status < 0 || result.status == STATUS_PENDING {
        kernel().ob.dereference(&file);
        return Err(result.status);
    }
    file::set_opened(&file);
    Ok(ob::new_handle(file, granted, request.attributes))
}

fn check_access(device: &Object, request: &Open<'_>) -> Result<u32, NTSTATUS> {
    if !request.user {
        return Ok(ob::security::generic_to_file(request.access));
    }
    let descriptor = device.security.lock().clone();
    let descriptor = descriptor.unwrap_or_else(Descriptor::default_device);
    descriptor.check(&ps::current_process().token, request.access)
}

pub(super) fn mode(user: bool) -> i8 {
    i8::from(user)
}

fn send_create(
    file: &Arc<Object>,
    device: &Arc<Device>,
    request: &Open<'_>,
    granted: u32,
) -> IoResult {
    let pending = Pending::new();
    let finish = Arc::clone(&pending);
    let irp = Irp::create(
        stack_size(device),
        format!("IRP_MJ_CREATE of {}", request.path),
        Some(Box::new(move |status, information| {
            finish.set(status, information)
        })),
    );
    let ea = Body::new(request.ea.len().max(1));
    // SAFETY: the body has room for the attributes.
    unsafe {
        std::ptr::copy_nonoverlapping(
            request.ea.as_ptr(),
            ea.address() as *mut u8,
            request.ea.len(),
        );
    }
    let mut security = IO_SECURITY_CONTEXT {
        SecurityQos: std::ptr::null_mut(),
        AccessState: std::ptr::null_mut(),
        DesiredAccess: granted,
        FullCreateOptions: request.options,
    };
    let packet = irp.pointer();
    if !request.ea.is_empty() {
        // SAFETY: the packet is fresh and ours.
        unsafe { system_buffer_of(packet).write(ea.address()) };
    }
    // SAFETY: as above.
    unsafe { (*packet).RequestorMode = mode(request.user) };
    let slot = prepare(&irp, file, IRP_MJ_CREATE);
    // SAFETY: `slot` is the packet's first location.
    let create = unsafe { &raw mut (*slot).Parameters.Create };
    // SAFETY: as above; the context outlives the request, which is waited for below.
    unsafe { (*create).SecurityContext = &raw mut security };
    // SAFETY: as above.
    unsafe { (*create).Options = request.disposition << 24 | request.options & 0x00ff_ffff };
    // SAFETY: as above.
    unsafe { (*create).ShareAccess = request.share };
    // SAFETY: as above.
    unsafe { (*create).EaLength = request.ea.len() as u32 };
    irp::call_driver(device.body() as usize, packet);
    let result = pending.wait(None);
    result.expect("a wait without time-out ends with a result")
}

/// Where a packet keeps the address of its system buffer.
pub(super) fn system_buffer_of(packet: *mut IRP) -> *mut usize {
    packet
        .wrapping_byte_add(std::mem::offset_of!(IRP, AssociatedIrp))
        .cast()
}

pub(super) fn stack_size(device: &Device) -> u8 {
    // SAFETY: the device object is alive.
    unsafe { (*device.body()).StackSize as u8 }
}

/// Fills in the first stack location; `file` is referenced until the request is done.
pub(super) fn prepare(irp: &Irp, file: &Object, major: u8) -> *mut IO_STACK_LOCATION {
    let packet = irp.pointer();
    let object = file.address as *mut FILE_OBJECT;
    // SAFETY: the packet is fresh and ours.
    unsafe { (*irp::overlay(packet)).OriginalFileObject = object };
    let slot = irp.next_location();
    // SAFETY: the packet has at least one location.
    unsafe { (*slot).MajorFunction = major };
    // SAFETY: as above.
    unsafe { (*slot).FileObject = object };
    slot
}

/// Sends a request without parameters and waits for it: cleanup, close.
pub(crate) fn simple(file: &Arc<Object>, device: &Arc<Device>, major: u8, what: &str) -> IoResult {
    let pending = Pending::new();
    let finish = Arc::clone(&pending);
    let irp = Irp::create(
        stack_size(device),
        what.to_owned(),
        Some(Box::new(move |status, information| {
            finish.set(status, information)
        })),
    );
    prepare(&irp, file, major);
    irp::call_driver(device.body() as usize, irp.pointer());
    let result = pending.wait(None);
    result.expect("a wait without time-out ends with a result")
}

/// What a device control asks for. Buffers are the caller's addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    pub(crate) code: u32,
    pub(crate) input: (usize, usize),
    pub(crate) output: (usize, usize),
    pub(crate) user: bool,
    pub(crate) internal: bool,
    /// Goes as a packet even where the driver offers fast I/O.
    pub(crate) packet: bool,
}

const FILE_READ_DATA: u32 = 1;
const FILE_WRITE_DATA: u32 = 2;

/// Sends a device control. The result may come later.
pub(crate) fn control(handle: usize, control: &Control) -> Result<Arc<Pending>, NTSTATUS> {
    let found = ob::table_of(handle).lookup(handle, Some(Kind::File), 0, false)?;
    let wanted = match control.code >> 14 & 3 {
        1 => FILE_READ_DATA,
        2 => FILE_WRITE_DATA,
        3 => FILE_READ_DATA | FILE_WRITE_DATA,
        _ => 0,
    };
    if control.user && wanted & !found.access != 0 {
        return Err(STATUS_ACCESS_DENIED);
    }
    let file = found.object.data::<File>().ok_or(STATUS_INVALID_HANDLE)?;
    let device = file.device.top();
    // The file must outlive the request even if another thread closes the handle.
    kernel().ob.reference(&found.object);
    let pending = Pending::new();
    if !control.internal
        && !control.packet
        && let Some(result) = fast_io(&found.object, &device, control)
    {
        kernel().ob.dereference(&found.object);
        pending.set(result.status, result.information);
        return Ok(pending);
    }
    let sent = send_control(&found.object, &device, control, &pending);
    if sent.is_err() {
        kernel().ob.dereference(&found.object);
    }
    sent?;
    if file.synchronous {
        pending.wait(None);
    }
    Ok(pending)
}

fn fast_io(file: &Object, device: &Device, control: &Control) -> Option<IoResult> {
    let driver = device.driver.object.address as *const nt::sys::DRIVER_OBJECT;
    // SAFETY: the driver object is alive; the field is null or the driver's table.
    let table: *const FAST_IO_DISPATCH = unsafe { (*driver).FastIoDispatch };
    // SAFETY: as above.
    let table = unsafe { table.as_ref() }?;
    let routine = table.FastIoDeviceControl?;
    let mut block = IO_STATUS_BLOCK {
        Status: 0,
        Information: 0,
    };
    let handled = invoke!(
        routine,
        file.address,
        1,
        control.input.0,
        control.input.1,
        control.output.0,
        control.output.1,
        control.code,
        &raw mut block,
        device.body()
    ) & 0xff;
    check_return("FastIoDeviceControl");
    (handled != 0).then_some(IoResult {
        status: block.Status,
        information: block.Information,
    })
}

/// A system buffer with these bytes.
pub(super) fn system_copy(bytes: &[u8]) -> Body {
    let buffer = Body::new(bytes.len());
    // SAFETY: the buffer has room for the bytes.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), buffer.address() as *mut u8, bytes.len());
    }
    buffer
}

fn send_control(
    file: &Arc<Object>,
    device: &Arc<Device>,
    control: &Control,
    pending: &Arc<Pending>,
) -> Result<(), NTSTATUS> {
    let method = control.code & 3;
    let system_buffer = if method == METHOD_BUFFERED {
        let input = copy::capture(control.input.0, control.input.1, control.user)?;
        let size = control.input.1.max(control.output.1);
        (size > 0).then(|| {
            let buffer = Body::new(size);
            // SAFETY: the buffer is at least as large as the input.
            unsafe {
                std::ptr::copy_nonoverlapping(
                    input.as_ptr(),
                    buffer.address() as *mut u8,
                    input.len(),
                );
            }
            buffer
        })
    } else if method == METHOD_NEITHER {
        None
    } else {
        let input = copy::capture(control.input.0, control.input.1, control.user)?;
        (!input.is_empty()).then(|| system_copy(&input))
    };
    let locked = match method {
        METHOD_IN_DIRECT => LockedBuffer::lock(control.output, control.user, Access::Read)?,
        METHOD_OUT_DIRECT => LockedBuffer::lock(control.output, control.user, Access::Write)?,
        _ => None,
    };
    let mdl = locked
        .as_ref()
        .map_or(std::ptr::null_mut(), LockedBuffer::mdl);
    let buffer_address = system_buffer.as_ref().map_or(0, Body::address);
    let (output, user) = (control.output, control.user);
    let finish = {
        let pending = Arc::clone(pending);
        let file = Arc::clone(file);
        let process = ps::current_process();
        Box::new(move |mut status: NTSTATUS, information: usize| {
            // As on Windows: output is copied unless the status is an error.
            if method == METHOD_BUFFERED
                && let Some(buffer) = &system_buffer
                && status as u32 >> 30 != 3
                && information > 0
            {
                let length = information.min(output.1);
                // SAFETY: the buffer is at least as large as the output.
                let bytes =
                    unsafe { std::slice::from_raw_parts(buffer.address() as *const u8, length) };
                let copied = ps::attached(&process, || copy::write(output.0, bytes, user));
                if let Err(fault) = copied {
                    status = fault;
                }
            }
            drop(system_buffer);
            drop(locked);
            pending.set(status, information);
            kernel().ob.dereference(&file);
        })
    };
    let irp = Irp::create(
        stack_size(device),
        format!("IRP_MJ_DEVICE_CONTROL {:#x}", control.code),
        Some(finish),
    );
    pending.follow(&irp);
    let packet: *mut IRP = irp.pointer();
    // SAFETY: the packet is fresh and ours.
    unsafe { (*packet).RequestorMode = mode(control.user) };
    if method != METHOD_NEITHER {
        // SAFETY: as above.
        unsafe { system_buffer_of(packet).write(buffer_address) };
    }
    // An address is enough to be copied back to, whatever length came with it.
    if method == METHOD_BUFFERED && buffer_address != 0 && control.output.0 != 0 {
        irp.copies_back(control.output.1);
    }
    // SAFETY: as above.
    unsafe { (*packet).MdlAddress = mdl };
    // SAFETY: as above.
    unsafe { (*packet).UserBuffer = control.output.0 as *mut _ };
    let major = if control.internal {
        IRP_MJ_INTERNAL_DEVICE_CONTROL
    } else {
        IRP_MJ_DEVICE_CONTROL
    };
    let slot = prepare(&irp, file, major);
    // SAFETY: `slot` is the packet's first location.
    let parameters = unsafe { &raw mut (*slot).Parameters.DeviceIoControl };
    // SAFETY: as above.
    unsafe { (*parameters).IoControlCode = control.code };
    // SAFETY: as above.
    unsafe { (*parameters).InputBufferLength = control.input.1 as u32 };
    // SAFETY: as above.
    unsafe { (*parameters).OutputBufferLength = control.output.1 as u32 };
    if method == METHOD_NEITHER {
        // SAFETY: as above.
        unsafe { (*parameters).Type3InputBuffer = control.input.0 as *mut _ };
    }
    irp::call_driver(device.body() as usize, packet);
    Ok(())
}

/// Cancels every request of a process: it ends.
pub(crate) fn cancel_all_of(process: usize) {
    let irps: Vec<_> = kernel().io.irps.lock().values().cloned().collect();
    for irp in irps {
        if irp.process == process && !irp.completed() {
            super::cancel::cancel(irp.pointer());
        }
    }
}
