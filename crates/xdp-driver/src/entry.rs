//! The entry point.

// UNSAFETY: the kernel finds the entry point by its unmangled C name and passes pointers.
#![expect(unsafe_code, reason = "an exported C symbol")]

use nt::sys::{DRIVER_OBJECT, NTSTATUS, UNICODE_STRING};

use crate::driver::Xdp;

nt::kernel_fn! {
    /// Starts the driver.
    ///
    /// # Safety
    ///
    /// Called by the kernel's loader, once, at PASSIVE_LEVEL.
    #[unsafe(no_mangle)]
    pub unsafe fn DriverEntry(driver: *mut DRIVER_OBJECT, registry_path: *mut UNICODE_STRING) -> NTSTATUS {
        // SAFETY: the loader's arguments.
        unsafe { nt::io::entry::<Xdp>(driver, registry_path) }
    }
}
