//! Driver objects.

use std::sync::Arc;

use nt::sys::{DRIVER_EXTENSION, DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

use crate::{
    invoke, irql,
    kernel::{kernel, strict},
    ob::{Body, Kind, Object},
    sched,
    verifier::Rule,
};

/// A loaded driver, as the I/O manager knows it.
pub(crate) struct Driver {
    pub(crate) name: String,
    pub(crate) object: Arc<Object>,
    /// Memory behind the pointers in the driver object.
    _extension: Body,
    _strings: Vec<Vec<u16>>,
}

/// A counted string over `text`, which must stay where it is.
pub(crate) fn counted(text: &mut [u16]) -> UNICODE_STRING {
    UNICODE_STRING {
        Length: (text.len() * 2) as u16,
        MaximumLength: (text.len() * 2) as u16,
        Buffer: text.as_mut_ptr(),
    }
}

extern "win64" fn invalid_device_request(_device: usize, irp: *mut nt::sys::IRP) -> i32 {
    super::irp::complete_with(irp, nt::sys::STATUS_INVALID_DEVICE_REQUEST, 0);
    nt::sys::STATUS_INVALID_DEVICE_REQUEST
}

/// Address that fills a fresh driver object's dispatch table.
pub(crate) fn invalid_device_request_address() -> usize {
    invalid_device_request as *const () as usize
}

impl Driver {
    /// Makes the driver object of `name`, whose code lies at `start`.
    pub(crate) fn create(name: &str, start: usize, size: u32) -> Result<Arc<Driver>, NTSTATUS> {
        let body = Body::new(size_of::<DRIVER_OBJECT>());
        let extension = Body::new(size_of::<DRIVER_EXTENSION>());
        let mut driver_name: Vec<u16> = format!("\\Driver\\{name}").encode_utf16().collect();
        let mut service: Vec<u16> = name.encode_utf16().collect();
        let object = body.address() as *mut DRIVER_OBJECT;
        let invalid = invalid_device_request_address();
        // SAFETY: the bodies were made for these types and belong to us; zero is a value of every
        // field, and the strings live as long as the driver.
        unsafe {
            (*object).Type = 4;
        }
        // SAFETY: as above.
        unsafe { (*object).Size = size_of::<DRIVER_OBJECT>() as i16 };
        // SAFETY: as above.
        unsafe { (*object).DriverStart = start as *mut _ };
        // SAFETY: as above.
        unsafe { (*object).DriverSize = size };
        // SAFETY: as above.
        unsafe { (*object).DriverName = counted(&mut driver_name) };
        // SAFETY: as above.
        unsafe { (*object).DriverExtension = extension.address() as *mut DRIVER_EXTENSION };
        // SAFETY: as above.
        let table = unsafe { &raw mut (*object).MajorFunction }.cast::<usize>();
        for major in 0..28 {
            // SAFETY: the table has 28 entries.
            unsafe { table.wrapping_add(major).write(invalid) };
        }
        let extension_pointer = extension.address() as *mut DRIVER_EXTENSION;
        // SAFETY: as above.
        unsafe { (*extension_pointer).DriverObject = object };
        // SAFETY: as above.
        unsafe { (*extension_pointer).ServiceKeyName = counted(&mut service) };
        let ob = &kernel().ob;
        let object = ob.create(Kind::Driver, Ok(body), Arc::new(()));
        if let Err(status) = ob.name(&object, &format!("\\driver\\{name}")) {
            ob.dereference(&object);
            return Err(status);
        }
        let driver = Arc::new(Driver {
            name: name.to_owned(),
            object,
            _extension: extension,
            _strings: vec![driver_name, service],
        });
        kernel().io.drivers.lock().push(Arc::clone(&driver));
        Ok(driver)
    }

    fn body(&self) -> *mut DRIVER_OBJECT {
        self.object.address as *mut DRIVER_OBJECT
    }

    /// Where the driver's file is mapped; 0 for a linked driver.
    pub(crate) fn image_base(&self) -> usize {
        // SAFETY: the object is ours and lives as long as this.
        unsafe { (*self.body()).DriverStart as usize }
    }

    /// Calls `DriverEntry`.
    pub(crate) fn start(&self, entry: *const ()) -> NTSTATUS {
        let mut path: Vec<u16> = format!(
            "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\{}",
            self.name
        )
        .encode_utf16()
        .collect();
        let string = counted(&mut path);
        let status = invoke!(entry, self.body(), &raw const string) as NTSTATUS;
        check_return("DriverEntry");
        status
    }

    /// Calls the unload routine; `false` when the driver has none.
    pub(crate) fn unload(&self) -> bool {
        // SAFETY: the driver object is alive; the field holds the driver's routine or nothing.
        let unload = unsafe { (*self.body()).DriverUnload };
        let Some(unload) = unload else {
            return false;
        };
        invoke!(unload, self.body());
        check_return("the unload routine");
        true
    }

    /// Entry of the dispatch table.
    pub(crate) fn major_function(&self, major: u8) -> usize {
        // SAFETY: the driver object is alive.
        let table = unsafe { &raw const (*self.body()).MajorFunction }.cast::<usize>();
        // SAFETY: major function codes are below 28 (checked when requests are made).
        unsafe { table.wrapping_add(usize::from(major)).read() }
    }

    /// Forgets the driver object.
    pub(crate) fn remove(self: &Arc<Self>) {
        let kernel = kernel();
        kernel.io.drivers.lock().retain(|d| !Arc::ptr_eq(d, self));
        kernel.ob.unname(&self.object);
        kernel.ob.dereference(&self.object);
    }
}

/// Checks that a routine of a driver, called at PASSIVE_LEVEL, returned as it was called.
pub(crate) fn check_return(what: &str) {
    if !strict() {
        return;
    }
    let thread = sched::current();
    if thread.irql() != irql::PASSIVE {
        crate::bugcheck!(Rule::IrqlNotRestored, thread.irql(), 0;
            "{what} returned at {}", irql::name(thread.irql()));
    }
    kernel()
        .verifier
        .check_no_spin_lock_held(thread, &format!("{what} returned"));
    if thread.apc_disable.get() != 0 || thread.guarded.get() != 0 {
        crate::bugcheck!(Rule::CriticalRegionUnbalanced, thread.apc_disable.get();
            "{what} returned inside a critical or guarded region");
    }
}
