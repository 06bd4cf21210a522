//! The C functions that the compiler itself calls: declared so that they bind to the kernel's, which are fast.

use core::ffi::c_void;

#[link(name = "ntoskrnl.exe", kind = "raw-dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    pub fn memcpy(dst: *mut c_void, src: *const c_void, count: usize) -> *mut c_void;
    pub fn memmove(dst: *mut c_void, src: *const c_void, count: usize) -> *mut c_void;
    pub fn memset(dst: *mut c_void, value: i32, count: usize) -> *mut c_void;
    pub fn memcmp(left: *const c_void, right: *const c_void, count: usize) -> i32;
    /// The personality routine that the exception trampoline names; never called from Rust.
    pub fn __C_specific_handler();
}
