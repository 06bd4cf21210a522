//! Objects, handles and directories as drivers see them.

use std::sync::Arc;

use nt::sys::{
    NTSTATUS, OBJ_KERNEL_HANDLE, OBJECT_ATTRIBUTES, STATUS_INVALID_PARAMETER,
    STATUS_OBJECT_TYPE_MISMATCH, STATUS_SUCCESS,
};

use super::{Body, KERNEL_HANDLE, Kind, security::Descriptor};
use crate::{export::Export, exports, kernel::kernel, ps, verifier::Rule};

/// Puts a handle to `object` (taking over one reference) where the attributes ask for.
pub(crate) fn new_handle(object: Arc<super::Object>, access: u32, attributes: u32) -> usize {
    if attributes & OBJ_KERNEL_HANDLE != 0 {
        kernel().ob.kernel_handles.insert(object, access, true)
    } else {
        ps::current_process().handles.insert(object, access, false)
    }
}

fn kind_of(object_type: usize) -> Option<Kind> {
    Kind::ALL.into_iter().find(|k| k.marker() == object_type)
}

fn write_handle(out: *mut usize, value: usize) {
    // SAFETY: the caller gives memory for a handle.
    unsafe { out.write(value) };
}

macro_rules! type_data {
    ($($name:ident = $kind:expr),* $(,)?) => {
        $(
            /// Holds the address of the object type.
            #[unsafe(no_mangle)]
            static $name: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        )*

        /// Fills in the addresses: statics cannot hold them.
        pub(crate) fn fill_types() {
            $( $name.store($kind.marker(), std::sync::atomic::Ordering::Release); )*
        }

        /// Exported type pointers.
        pub(crate) static DATA: &[Export] = &[
            $( crate::export_data!("ntoskrnl.exe", $name) ),*
        ];
    };
}

type_data! {
    IoFileObjectType = Kind::File,
    IoDeviceObjectType = Kind::Device,
    IoDriverObjectType = Kind::Driver,
    ExEventObjectType = Kind::Event,
    PsThreadType = Kind::Thread,
    PsProcessType = Kind::Process,
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Turns a handle into a referenced object.
    #[irql(PASSIVE)]
    fn ObReferenceObjectByHandle(handle: usize, access: u32, object_type: usize, mode: i8, out: *mut usize, information: *mut u32) -> i32 {
        // SAFETY: the caller gives memory for the pointer.
        unsafe { out.write(0) };
        if handle == usize::MAX || handle == usize::MAX - 1 {
            let object = if handle == usize::MAX { ps::current_process().object() } else { ps::current_thread_object() };
            kernel().ob.reference(&object);
            // SAFETY: as above.
            unsafe { out.write(object.address) };
            return STATUS_SUCCESS;
        }
        if mode != 0 && handle & KERNEL_HANDLE == KERNEL_HANDLE {
            return nt::sys::STATUS_INVALID_HANDLE;
        }
        let kind = if object_type == 0 { None } else {
            let kind = kind_of(object_type);
            if kind.is_none() {
                return STATUS_OBJECT_TYPE_MISMATCH;
            }
            kind
        };
        match super::table_of(handle).lookup(handle, kind, access, mode != 0) {
            Err(status) => status,
            Ok(found) => {
                kernel().ob.reference(&found.object);
                // SAFETY: as above.
                unsafe { out.write(found.object.address) };
                if !information.is_null() {
                    // SAFETY: the caller gives memory for an OBJECT_HANDLE_INFORMATION: attributes, access.
                    unsafe { information.write(0) };
                    // SAFETY: as above.
                    unsafe { information.wrapping_add(1).write(found.access) };
                }
                STATUS_SUCCESS
            }
        }
    }

    /// Adds a reference; returns the new count.
    #[irql(DISPATCH)]
    fn ObfReferenceObject(object: usize) -> isize {
        let object = kernel().ob.expect(object, "ObReferenceObject");
        kernel().ob.reference(&object) as isize
    }

    /// Adds a reference, checking the type.
    #[irql(DISPATCH)]
    fn ObReferenceObjectByPointer(object: usize, access: u32, object_type: usize, mode: i8) -> i32 {
        let _ = (access, mode);
        let object = kernel().ob.expect(object, "ObReferenceObjectByPointer");
        if object_type != 0 && kind_of(object_type) != Some(object.kind) {
            return STATUS_OBJECT_TYPE_MISMATCH;
        }
        kernel().ob.reference(&object);
        STATUS_SUCCESS
    }

    /// Drops a reference; returns the new count.
    #[irql(DISPATCH)]
    fn ObfDereferenceObject(object: usize) -> isize {
        let object = kernel().ob.expect(object, "ObDereferenceObject");
        kernel().ob.dereference(&object) as isize
    }

    /// Drops a reference at a safe time; here at once.
    #[irql(DISPATCH)]
    fn ObDereferenceObjectDeferDelete(object: usize) {
        let object = kernel().ob.expect(object, "ObDereferenceObjectDeferDelete");
        kernel().ob.dereference(&object);
    }

    /// Makes a handle to an object.
    #[irql(APC)]
    fn ObOpenObjectByPointer(object: usize, attributes: u32, access_state: *mut u8, access: u32, object_type: usize, mode: i8, out: *mut usize) -> i32 {
        let _ = (access_state, mode);
        if crate::verifier::fault("ObOpenObjectByPointer") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        let object = kernel().ob.expect(object, "ObOpenObjectByPointer");
        if object_type != 0 && kind_of(object_type) != Some(object.kind) {
            return STATUS_OBJECT_TYPE_MISMATCH;
        }
        kernel().ob.reference(&object);
        write_handle(out, new_handle(object, super::security::generic_to_file(access), attributes));
        STATUS_SUCCESS
    }

    /// Closes a handle.
    #[irql(PASSIVE)]
    fn ZwClose(handle: usize) -> i32 {
        close(handle)
    }

    /// Closes a handle.
    #[irql(PASSIVE)]
    fn NtClose(handle: usize) -> i32 {
        close(handle)
    }

    /// Closes a handle that was opened in `mode`.
    #[irql(PASSIVE)]
    fn ObCloseHandle(handle: usize, mode: i8) -> i32 {
        let _ = mode;
        close(handle)
    }

    /// Makes a directory of names.
    #[irql(PASSIVE)]
    fn ZwCreateDirectoryObject(out: *mut usize, access: u32, attributes: *const OBJECT_ATTRIBUTES) -> i32 {
        if crate::verifier::fault("ZwCreateDirectoryObject") {
            return nt::sys::STATUS_INSUFFICIENT_RESOURCES;
        }
        create_directory(out, access, attributes).err().unwrap_or(STATUS_SUCCESS)
    }

    /// Lets a named object go with its last reference.
    #[irql(PASSIVE)]
    fn ZwMakeTemporaryObject(handle: usize) -> i32 {
        match super::table_of(handle).lookup(handle, None, 0, false) {
            Ok(_) => STATUS_SUCCESS,
            Err(status) => status,
        }
    }

    /// Replaces the access list of an object.
    #[irql(PASSIVE)]
    fn ZwSetSecurityObject(handle: usize, information: u32, descriptor: usize) -> i32 {
        const DACL: u32 = 4;
        const WRITE_DAC: u32 = 0x0004_0000;
        let found = match super::table_of(handle).lookup(handle, None, WRITE_DAC, true) {
            Ok(found) => found,
            Err(status) => return status,
        };
        if information & DACL != 0 {
            match Descriptor::read(descriptor) {
                Ok(new) => *found.object.security.lock() = Some(new),
                Err(status) => return status,
            }
        }
        STATUS_SUCCESS
    }
}

fn close(handle: usize) -> NTSTATUS {
    match super::table_of(handle).close(handle) {
        Ok(()) => STATUS_SUCCESS,
        Err(status) => {
            if crate::kernel::strict() && handle & KERNEL_HANDLE == KERNEL_HANDLE {
                crate::bugcheck!(Rule::BadHandle, handle;
                    "the system handle {handle:#x} was closed, but is not open");
            }
            status
        }
    }
}

fn create_directory(
    out: *mut usize,
    access: u32,
    attributes: *const OBJECT_ATTRIBUTES,
) -> Result<(), NTSTATUS> {
    let attributes = super::parse_object_attributes(attributes)?;
    let path = attributes.path.ok_or(STATUS_INVALID_PARAMETER)?;
    let ob = &kernel().ob;
    let object = ob.create(Kind::Directory, Ok(Body::new(64)), Arc::new(()));
    if let Err(status) = ob.name(&object, &path) {
        ob.dereference(&object);
        return Err(status);
    }
    if attributes.security != 0 {
        *object.security.lock() = Some(Descriptor::read(attributes.security)?);
    }
    write_handle(out, new_handle(object, access, attributes.attributes));
    Ok(())
}
