//! Statuses by name, and answers that are either a value or a status.

use nt_sim::{LabError, NtStatus};

/// What the driver answered: a value, or the error status.
pub type Answer<T> = Result<T, NtStatus>;

/// Done.
pub const SUCCESS: NtStatus = NtStatus(0_u32 as i32);
/// The wait ended without what it was for.
pub const TIMEOUT: NtStatus = NtStatus(0x102_u32 as i32);
/// The request goes on.
pub const PENDING: NtStatus = NtStatus(0x103_u32 as i32);
/// An address is not aligned.
pub const DATATYPE_MISALIGNMENT: NtStatus = NtStatus(0x80000002_u32 as i32);
/// There is more than fits.
pub const BUFFER_OVERFLOW: NtStatus = NtStatus(0x80000005_u32 as i32);
/// Not a handle, or not one of the right kind.
pub const INVALID_HANDLE: NtStatus = NtStatus(0xC0000008_u32 as i32);
/// A parameter is wrong.
pub const INVALID_PARAMETER: NtStatus = NtStatus(0xC000000D_u32 as i32);
/// The driver has no such function.
pub const INVALID_DEVICE_REQUEST: NtStatus = NtStatus(0xC0000010_u32 as i32);
/// Memory is not there.
pub const ACCESS_VIOLATION: NtStatus = NtStatus(0xC0000005_u32 as i32);
/// No memory.
pub const NO_MEMORY: NtStatus = NtStatus(0xC0000017_u32 as i32);
/// The caller may not.
pub const ACCESS_DENIED: NtStatus = NtStatus(0xC0000022_u32 as i32);
/// The buffer is too small.
pub const BUFFER_TOO_SMALL: NtStatus = NtStatus(0xC0000023_u32 as i32);
/// The handle is of another kind of object.
pub const OBJECT_TYPE_MISMATCH: NtStatus = NtStatus(0xC0000024_u32 as i32);
/// There is no such name.
pub const OBJECT_NAME_NOT_FOUND: NtStatus = NtStatus(0xC0000034_u32 as i32);
/// It is going away.
pub const DELETE_PENDING: NtStatus = NtStatus(0xC0000056_u32 as i32);
/// A product does not fit.
pub const INTEGER_OVERFLOW: NtStatus = NtStatus(0xC0000095_u32 as i32);
/// Resources are used up.
pub const INSUFFICIENT_RESOURCES: NtStatus = NtStatus(0xC000009A_u32 as i32);
/// Not ready yet.
pub const DEVICE_NOT_READY: NtStatus = NtStatus(0xC00000A3_u32 as i32);
/// Not supported.
pub const NOT_SUPPORTED: NtStatus = NtStatus(0xC00000BB_u32 as i32);
/// The request was cancelled.
pub const CANCELLED: NtStatus = NtStatus(0xC0000120_u32 as i32);
/// Not in this state.
pub const INVALID_DEVICE_STATE: NtStatus = NtStatus(0xC0000184_u32 as i32);
/// The device's data is wrong.
pub const DEVICE_DATA_ERROR: NtStatus = NtStatus(0xC000009C_u32 as i32);
/// It exists already.
pub const DUPLICATE_OBJECTID: NtStatus = NtStatus(0xC000022A_u32 as i32);
/// There is no such thing.
pub const NOT_FOUND: NtStatus = NtStatus(0xC0000225_u32 as i32);
/// The device is gone.
pub const DEVICE_REMOVED: NtStatus = NtStatus(0xC00002B6_u32 as i32);

/// Turns what the lab returns into an answer.
///
/// # Panics
/// When it is no answer of the driver but a bugcheck, or a mistake in the use of the lab.
#[track_caller]
pub fn answer<T>(result: Result<T, LabError>) -> Answer<T> {
    result.map_err(|error| match error.status() {
        Some(status) => status,
        None => panic!("{error}"),
    })
}
