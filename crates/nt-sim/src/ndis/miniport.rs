//! Loaded miniport drivers.

use std::ffi::c_void;

use nt::sys::{NDIS_OBJECT_HEADER, NDIS_STATUS_NOT_SUPPORTED};

/// Optional handlers of a miniport driver.
pub(crate) fn set_optional(handle: *mut c_void, handlers: *const NDIS_OBJECT_HEADER) -> i32 {
    let _ = (handle, handlers);
    NDIS_STATUS_NOT_SUPPORTED
}
