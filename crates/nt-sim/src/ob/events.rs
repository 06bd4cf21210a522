//! Events that drivers know by handle.

use std::sync::Arc;

use nt::sys::{
    KEVENT, NTSTATUS, OBJ_OPENIF, OBJECT_ATTRIBUTES, STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_INVALID, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_TYPE_MISMATCH,
};

use super::{Body, Kind, new_handle, parse_object_attributes, table_of};
use crate::{exports, ke::dispatcher, kernel::kernel};

const STATUS_OBJECT_NAME_COLLISION: NTSTATUS = 0xC000_0035_u32 as i32;
const STATUS_OBJECT_NAME_EXISTS: NTSTATUS = 0x4000_0000;
const EVENT_MODIFY_STATE: u32 = 2;
const SYNCHRONIZE: u32 = 0x0010_0000;

fn create(
    out: *mut usize,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
    kind: i32,
    signaled: bool,
) -> Result<NTSTATUS, NTSTATUS> {
    if kind != 0 && kind != 1 {
        return Err(STATUS_INVALID_PARAMETER);
    }
    let attributes = parse_object_attributes(attributes)?;
    if crate::verifier::fault("ZwCreateEvent") {
        return Err(STATUS_INSUFFICIENT_RESOURCES);
    }
    let body = Body::new(size_of::<KEVENT>());
    dispatcher::initialize(
        body.address(),
        kind as u8,
        size_of::<KEVENT>(),
        i32::from(signaled),
    );
    let ob = &kernel().ob;
    let object = ob.create(Kind::Event, Ok(body), Arc::new(()));
    let mut status = 0;
    let object = match attributes.path.filter(|path| !path.is_empty()) {
        None => object,
        Some(path) => match ob.name(&object, &path) {
            Ok(()) => object,
            Err(error) => {
                ob.dereference(&object);
                let may_open = attributes.attributes & OBJ_OPENIF != 0;
                if error != STATUS_OBJECT_NAME_COLLISION || !may_open {
                    return Err(error);
                }
                status = STATUS_OBJECT_NAME_EXISTS;
                named(&path)?
            }
        },
    };
    // SAFETY: the caller gives memory for a handle.
    unsafe { out.write(new_handle(object, access, attributes.attributes)) };
    Ok(status)
}

/// The event with this name, with a reference.
fn named(path: &str) -> Result<Arc<super::Object>, NTSTATUS> {
    let ob = &kernel().ob;
    let object = ob.find_name(path).ok_or(STATUS_OBJECT_NAME_NOT_FOUND)?;
    if object.kind != Kind::Event {
        return Err(STATUS_OBJECT_TYPE_MISMATCH);
    }
    ob.reference(&object);
    Ok(object)
}

fn open(
    out: *mut usize,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
) -> Result<NTSTATUS, NTSTATUS> {
    let attributes = parse_object_attributes(attributes)?;
    let path = attributes.path.ok_or(STATUS_OBJECT_NAME_INVALID)?;
    let object = named(&path)?;
    // SAFETY: the caller gives memory for a handle.
    unsafe { out.write(new_handle(object, access, attributes.attributes)) };
    Ok(0)
}

fn from_user() -> bool {
    crate::sched::current().previous_mode_user.get()
}

fn change(handle: usize, signal: i32, previous: *mut i32) -> Result<NTSTATUS, NTSTATUS> {
    let table = table_of(handle);
    let found = table.lookup(handle, Some(Kind::Event), EVENT_MODIFY_STATE, false)?;
    let old = dispatcher::update(found.object.address, |_| signal);
    if !previous.is_null() {
        // SAFETY: the caller gives memory for the state.
        unsafe { previous.write(old) };
    }
    Ok(0)
}

fn wait(handle: usize, timeout: *const i64) -> Result<NTSTATUS, NTSTATUS> {
    let table = table_of(handle);
    let found = table.lookup(handle, None, SYNCHRONIZE, false)?;
    if !matches!(
        found.object.kind,
        Kind::Event | Kind::Process | Kind::Thread
    ) {
        return Err(STATUS_OBJECT_TYPE_MISMATCH);
    }
    let address = found.object.address;
    // The object must outlive the wait even if another thread closes the handle.
    let ob = &kernel().ob;
    ob.reference(&found.object);
    // SAFETY: null or a pointer to a LARGE_INTEGER.
    let timeout = unsafe { timeout.as_ref() }.copied();
    let status = dispatcher::wait_in(from_user(), &[address], false, timeout);
    ob.dereference(&found.object);
    Ok(status)
}

fn either(result: Result<NTSTATUS, NTSTATUS>) -> NTSTATUS {
    result.unwrap_or_else(|status| status)
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Makes an event.
    #[irql(PASSIVE)]
    fn ZwCreateEvent(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES, kind: i32, signaled: u8) -> i32 {
        either(create(out, access, attributes, kind, signaled != 0))
    }

    /// Opens an event by name.
    #[irql(PASSIVE)]
    fn ZwOpenEvent(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES) -> i32 {
        either(open(out, access, attributes))
    }

    /// Signals an event.
    #[irql(PASSIVE)]
    fn ZwSetEvent(handle: usize, previous: *mut i32) -> i32 {
        either(change(handle, 1, previous))
    }

    /// Takes an event's signal away.
    #[irql(PASSIVE)]
    fn ZwResetEvent(handle: usize, previous: *mut i32) -> i32 {
        either(change(handle, 0, previous))
    }

    /// Takes an event's signal away.
    #[irql(PASSIVE)]
    fn ZwClearEvent(handle: usize) -> i32 {
        either(change(handle, 0, std::ptr::null_mut()))
    }

    /// Waits for what a handle names: an event, a process or a thread.
    #[irql(DISPATCH)]
    fn ZwWaitForSingleObject(handle: usize, alertable: u8, timeout: *const i64) -> i32 {
        let _ = alertable;
        either(wait(handle, timeout))
    }
}
