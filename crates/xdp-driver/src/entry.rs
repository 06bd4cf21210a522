//! The entry point.

// UNSAFETY: the kernel finds the entry point by its unmangled C name.
#![expect(unsafe_code, reason = "an exported C symbol")]

use core::ffi::c_void;

/// `STATUS_NOT_SUPPORTED`.
const STATUS_NOT_SUPPORTED: i32 = 0xC000_00BB_u32 as i32;

/// Refuses to load: the driver's objects are not part of the image yet.
#[unsafe(no_mangle)]
pub extern "system" fn DriverEntry(_driver: *mut c_void, _registry_path: *const c_void) -> i32 {
    STATUS_NOT_SUPPORTED
}
