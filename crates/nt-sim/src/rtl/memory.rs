//! Copying, filling and comparing memory.
//!
//! Drivers copy from and to user memory with these functions inside their exception handlers, so they know user
//! addresses: what was probed is reached through the process' alias, the rest raises.

use crate::exports;
use crate::mem::guest;
use crate::mem::raw;
use crate::mem::user::Access;

/// Copies; the ranges may overlap.
fn copy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    let source = guest::host(from as usize, len, Access::Read);
    let target = guest::host(to as usize, len, Access::Write);
    raw::copy(target, source, len);
    to
}

fn fill(to: *mut u8, value: u8, len: usize) -> *mut u8 {
    raw::fill(guest::host(to as usize, len, Access::Write), len, value);
    to
}

exports! { "ntoskrnl.exe" => pub(crate) EXPORTS;
    /// Copies bytes.
    #[irql(ANY)] #[hosted] #[raises]
    fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        copy(to, from, len)
    }

    /// Copies bytes between ranges that may overlap.
    #[irql(ANY)] #[hosted] #[raises]
    fn memmove(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
        copy(to, from, len)
    }

    /// Fills bytes.
    #[irql(ANY)] #[hosted] #[raises]
    fn memset(to: *mut u8, value: i32, len: usize) -> *mut u8 {
        fill(to, value as u8, len)
    }

    /// Compares bytes as unsigned numbers.
    #[irql(ANY)] #[hosted] #[raises]
    fn memcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
        let a = guest::host(a as usize, len, Access::Read);
        let b = guest::host(b as usize, len, Access::Read);
        raw::compare(a, b, len) as i32
    }

    /// Copies bytes, bypassing the caches on the real machine.
    #[irql(ANY)] #[raises]
    fn RtlCopyMemoryNonTemporal(to: *mut u8, from: *const u8, len: usize) {
        copy(to, from, len);
    }

    /// Copies bytes between ranges that may overlap.
    #[irql(ANY)] #[raises]
    fn RtlMoveMemory(to: *mut u8, from: *const u8, len: usize) {
        copy(to, from, len);
    }

    /// Copies bytes.
    #[irql(ANY)] #[raises]
    fn RtlCopyMemory(to: *mut u8, from: *const u8, len: usize) {
        copy(to, from, len);
    }

    /// Fills bytes.
    #[irql(ANY)] #[raises]
    fn RtlFillMemory(to: *mut u8, len: usize, value: u8) {
        fill(to, value, len);
    }

    /// Zeroes bytes.
    #[irql(ANY)] #[raises]
    fn RtlZeroMemory(to: *mut u8, len: usize) {
        fill(to, 0, len);
    }

    /// Zeroes bytes, and means it.
    #[irql(ANY)] #[raises]
    fn RtlSecureZeroMemory(to: *mut u8, len: usize) -> *mut u8 {
        fill(to, 0, len)
    }

    /// The number of bytes, from the first on, that are equal.
    #[irql(ANY)] #[raises]
    fn RtlCompareMemory(a: *const u8, b: *const u8, len: usize) -> usize {
        let a = guest::host(a as usize, len, Access::Read);
        let b = guest::host(b as usize, len, Access::Read);
        raw::common(a, b, len)
    }

    /// The number of bytes, from the first on, that repeat the 32-bit pattern.
    #[irql(ANY)] #[raises]
    fn RtlCompareMemoryUlong(source: *const u8, len: usize, pattern: u32) -> usize {
        let words = guest::load_many(source.cast::<u32>(), len / 4);
        words.iter().take_while(|&&word| word == pattern).count() * 4
    }
}
