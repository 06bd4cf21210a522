//! NTSTATUS for people.

use std::fmt;

/// A status as NT gives it; prints with its name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NtStatus(pub i32);

macro_rules! names {
    ($($name:ident),* $(,)?) => {
        fn name_of(status: i32) -> Option<&'static str> {
            $( if status == nt::sys::$name { return Some(stringify!($name)); } )*
            None
        }
    };
}

names!(
    STATUS_SUCCESS,
    STATUS_PENDING,
    STATUS_TIMEOUT,
    STATUS_ACCESS_DENIED,
    STATUS_ACCESS_VIOLATION,
    STATUS_BUFFER_OVERFLOW,
    STATUS_BUFFER_TOO_SMALL,
    STATUS_CANCELLED,
    STATUS_DATATYPE_MISALIGNMENT,
    STATUS_DELETE_PENDING,
    STATUS_DEVICE_NOT_READY,
    STATUS_DEVICE_REMOVED,
    STATUS_INSUFFICIENT_RESOURCES,
    STATUS_INVALID_DEVICE_REQUEST,
    STATUS_INVALID_DEVICE_STATE,
    STATUS_INVALID_HANDLE,
    STATUS_INVALID_PARAMETER,
    STATUS_NOT_FOUND,
    STATUS_NOT_SUPPORTED,
    STATUS_NO_MEMORY,
    STATUS_OBJECT_NAME_COLLISION,
    STATUS_OBJECT_NAME_INVALID,
    STATUS_OBJECT_NAME_NOT_FOUND,
    STATUS_OBJECT_PATH_NOT_FOUND,
    STATUS_OBJECT_TYPE_MISMATCH,
    STATUS_SHARING_VIOLATION,
    STATUS_UNSUCCESSFUL,
);

impl NtStatus {
    /// Whether the status says that the call worked (severity success or information).
    pub fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// The status' name, if it is a well-known one.
    pub fn name(self) -> Option<&'static str> {
        name_of(self.0)
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({:#010x})", self.0),
            None => write!(f, "status {:#010x}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
