//! Bytes of simulated memory, reached by address.
//!
//! UNSAFETY: simulated memory is shared with driver code that is not Rust; it is only ever copied in and out by address.
//! Callers pass ranges that are mapped; a range that is not ends the process in the fault handler's report, exactly
//! as a driver's own access would.

use std::ptr;

/// Fills `len` bytes at `address`.
pub(crate) fn fill(address: usize, len: usize, value: u8) {
    // SAFETY: callers pass a mapped, writable range of simulated memory (see the module's rule).
    unsafe { ptr::write_bytes(address as *mut u8, value, len) }
}

/// Copies `len` bytes out.
pub(crate) fn bytes(address: usize, len: usize) -> Vec<u8> {
    let mut copy = vec![0; len];
    read(address, &mut copy);
    copy
}

/// Copies bytes out into `to`.
pub(crate) fn read(address: usize, to: &mut [u8]) {
    // SAFETY: callers pass a mapped range of simulated memory; `to` is ours and cannot overlap it.
    unsafe { ptr::copy(address as *const u8, to.as_mut_ptr(), to.len()) }
}

/// Copies bytes in.
pub(crate) fn write(address: usize, from: &[u8]) {
    // SAFETY: callers pass a mapped, writable range of simulated memory; `from` is ours and cannot overlap it.
    unsafe { ptr::copy(from.as_ptr(), address as *mut u8, from.len()) }
}

/// Copies between two ranges that may overlap.
pub(crate) fn copy(to: usize, from: usize, len: usize) {
    // SAFETY: callers pass two mapped ranges of simulated memory, the first writable.
    unsafe { ptr::copy(from as *const u8, to as *mut u8, len) }
}

/// Reads a plain value.
pub(crate) fn load<T: Copy>(address: usize) -> T {
    // SAFETY: callers pass a mapped range of simulated memory that holds a `T` of plain data, aligned or not.
    unsafe { ptr::read_unaligned(address as *const T) }
}

/// Writes a plain value.
pub(crate) fn store<T: Copy>(address: usize, value: T) {
    // SAFETY: callers pass a mapped, writable range of simulated memory, aligned or not.
    unsafe { ptr::write_unaligned(address as *mut T, value) }
}

/// The first byte of a range that is not `value`.
pub(crate) fn first_other(address: usize, len: usize, value: u8) -> Option<usize> {
    // SAFETY: callers pass a mapped range of simulated memory that no one writes during the call: it is padding or a
    // freed block, and a racing write would be the very defect that is looked for.
    let range = unsafe { std::slice::from_raw_parts(address as *const u8, len) };
    range
        .iter()
        .position(|&byte| byte != value)
        .map(|at| address + at)
}

/// The two ranges as slices.
fn pair(a: usize, b: usize, len: usize) -> (&'static [u8], &'static [u8]) {
    if len == 0 {
        return (&[], &[]);
    }
    // SAFETY: callers pass mapped ranges of simulated memory; the slices are only used for the one comparison.
    let a = unsafe { std::slice::from_raw_parts(a as *const u8, len) };
    // SAFETY: as above.
    let b = unsafe { std::slice::from_raw_parts(b as *const u8, len) };
    (a, b)
}

/// Compares two ranges as unsigned bytes.
pub(crate) fn compare(a: usize, b: usize, len: usize) -> std::cmp::Ordering {
    let (a, b) = pair(a, b, len);
    a.cmp(b)
}

/// The number of equal bytes at the start of two ranges.
pub(crate) fn common(a: usize, b: usize, len: usize) -> usize {
    let (a, b) = pair(a, b, len);
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
