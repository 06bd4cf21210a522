//! Copying from and to memory that somebody else may write at the same time.

use core::ptr;

/// Copies bytes, one side of which others may write meanwhile: then any mixture of old and new is copied.
///
/// # Safety
///
/// Both sides are valid for `len` bytes and do not overlap, and one side is this thread's alone.
#[inline]
pub(super) unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy_nonoverlapping(from, to, len) };
    // For all that the compiler knows both sides change here: it neither reads the shared side again in place of the
    // copy, nor takes what it knows of the private side for what is in the shared one.
    // SAFETY: does nothing.
    unsafe {
        core::arch::asm!(
            "/* {} {} */",
            in(reg) from,
            in(reg) to,
            options(nostack, preserves_flags)
        );
    }
}
