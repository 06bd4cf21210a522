//! Memory of the caller of a system call, copied by the I/O manager.

use nt::sys::{NTSTATUS, STATUS_ACCESS_VIOLATION};

use crate::{mem::user::Access, ps};

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
    if !user {
        return if address == 0 {
            Err(STATUS_ACCESS_VIOLATION)
        } else {
            Ok(address)
        };
    }
    let access = if writing { Access::Write } else { Access::Read };
    let process = ps::current_process();
    let space = process.space.as_ref().ok_or(STATUS_ACCESS_VIOLATION)?;
    space
        .check(address, length, access)
        .map_err(|_| STATUS_ACCESS_VIOLATION)?;
    space.host(address, length).ok_or(STATUS_ACCESS_VIOLATION)
}
