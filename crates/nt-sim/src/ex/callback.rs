//! Callback objects.

use std::{collections::BTreeMap, sync::Arc};

use crate::sync::Mutex;
use nt::sys::{
    NTSTATUS, OBJECT_ATTRIBUTES, STATUS_INVALID_PARAMETER, STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};

use crate::{
    exports, invoke,
    kernel::kernel,
    mem::caller,
    ob::{self, Body, Kind, Object},
    sched,
    verifier::Rule,
};

/// Who is registered with which callback.
#[derive(Default)]
pub(crate) struct Callbacks {
    registered: Mutex<BTreeMap<usize, Arc<Registration>>>,
    /// Tests that look on.
    watched: Mutex<Vec<(Arc<Object>, Notes)>>,
}

/// The arguments of the notifications that a test has seen.
pub(crate) type Notes = Arc<Mutex<Vec<(usize, usize)>>>;

/// Notes the notifications of a callback object from now on, which is made if there is none, as a driver does that starts
/// before its maker.
pub(crate) fn watch(path: &str) -> Result<Notes, NTSTATUS> {
    let ob = &kernel().ob;
    let object = match ob.find_name(path) {
        Some(object) if object.kind == Kind::Callback => {
            ob.reference(&object);
            object
        }
        Some(_) => return Err(STATUS_OBJECT_TYPE_MISMATCH),
        None => {
            let object = ob.create(Kind::Callback, Ok(Body::new(64)), Arc::new(()));
            ob.name(&object, path)?;
            object
        }
    };
    let notes = Notes::default();
    let mut watched = kernel().ex.callbacks.watched.lock();
    watched.push((object, Arc::clone(&notes)));
    Ok(notes)
}

struct Registration {
    body: Body,
    callback: Arc<Object>,
    function: usize,
    context: usize,
    /// Calls in progress.
    running: std::sync::atomic::AtomicU32,
    owner: u16,
}

/// Registrations that a driver left, in words.
pub(crate) fn left_by(owner: u16) -> Vec<String> {
    let registered = kernel().ex.callbacks.registered.lock();
    registered
        .iter()
        .filter(|(_, registration)| registration.owner == owner)
        .map(|(address, _)| format!("{address:#x}"))
        .collect()
}

fn create(
    out: *mut usize,
    attributes: *const OBJECT_ATTRIBUTES,
    make: bool,
) -> Result<(), NTSTATUS> {
    let attributes = ob::parse_object_attributes(attributes)?;
    let ob = &kernel().ob;
    let found = attributes.path.as_deref().and_then(|p| ob.find_name(p));
    let object = match found {
        Some(object) if object.kind == Kind::Callback => {
            ob.reference(&object);
            object
        }
        Some(_) => return Err(STATUS_OBJECT_TYPE_MISMATCH),
        None if !make => return Err(STATUS_OBJECT_NAME_NOT_FOUND),
        None => {
            const PERMANENT: u32 = 0x10;
            let object = ob.create(Kind::Callback, Ok(Body::new(64)), Arc::new(()));
            if let Some(path) = &attributes.path {
                if let Err(status) = ob.name(&object, path) {
                    ob.dereference(&object);
                    return Err(status);
                }
                if attributes.attributes & PERMANENT != 0 {
                    ob.reference(&object);
                }
            }
            object
        }
    };
    // SAFETY: the caller gives memory for the pointer.
    unsafe { out.write(object.address) };
    Ok(())
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Opens or makes a callback object.
    #[irql(APC)]
    fn ExCreateCallback(out: *mut usize, attributes: *const OBJECT_ATTRIBUTES, make: u8, multiple: u8) -> i32 {
        let _ = multiple;
        if out.is_null() {
            return STATUS_INVALID_PARAMETER;
        }
        if crate::verifier::fault("ExCreateCallback") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        create(out, attributes, make != 0).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Registers a function with a callback object.
    #[irql(APC)]
    fn ExRegisterCallback(callback: usize, function: usize, context: usize) -> usize {
        let object = kernel().ob.expect(callback, "ExRegisterCallback");
        if crate::verifier::fault("ExRegisterCallback") {
            return 0;
        }
        kernel().ob.reference(&object);
        let body = Body::new(64);
        let address = body.address();
        let registration = Registration { body, callback: object, function, context, running: 0.into(), owner: caller::owner() };
        kernel().ex.callbacks.registered.lock().insert(address, Arc::new(registration));
        address
    }

    /// Undoes ExRegisterCallback, after calls in progress have ended.
    #[irql(APC)]
    fn ExUnregisterCallback(registration: usize) {
        let found = kernel().ex.callbacks.registered.lock().remove(&registration);
        let Some(found) = found else {
            crate::bugcheck!(Rule::BadObject, registration;
                "ExUnregisterCallback with {registration:#x}, which is no registration");
        };
        sched::spin_until(|| found.running.load(std::sync::atomic::Ordering::Acquire) == 0);
        kernel().ob.dereference(&found.callback);
    }

    /// Calls every registered function.
    #[irql(DISPATCH)]
    fn ExNotifyCallback(callback: usize, first: usize, second: usize) {
        let object = kernel().ob.expect(callback, "ExNotifyCallback");
        for (watched, notes) in &*kernel().ex.callbacks.watched.lock() {
            if Arc::ptr_eq(watched, &object) {
                notes.lock().push((first, second));
            }
        }
        let registered: Vec<_> = {
            let all = kernel().ex.callbacks.registered.lock();
            all.values().filter(|r| Arc::ptr_eq(&r.callback, &object)).cloned().collect()
        };
        for registration in registered {
            registration.running.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
            // Unregistered since the list was made?
            if kernel().ex.callbacks.registered.lock().contains_key(&registration.body.address()) {
                invoke!(registration.function, registration.context, first, second);
            }
            registration.running.fetch_sub(1, std::sync::atomic::Ordering::AcqRel);
        }
    }
}
