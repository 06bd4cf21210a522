//! Status codes as results.

use core::fmt;

use crate::sys::{self, NTSTATUS};

/// The outcome of a kernel call.
#[doc(alias = "NTSTATUS")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(transparent)]
pub struct Status(pub NTSTATUS);

/// A result whose error is a [`Status`].
pub type Result<T, E = Status> = core::result::Result<T, E>;

macro_rules! names {
    ($($name:ident = $code:ident,)*) => {
        impl Status {
            $(
                #[doc = concat!("`", stringify!($code), "`.")]
                pub const $name: Self = Self(sys::$code);
            )*

            /// The constant's name, when the code is one of them.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self {
                    $(Self::$name => Some(stringify!($code)),)*
                    _ => None,
                }
            }
        }
    };
}

names! {
    SUCCESS = STATUS_SUCCESS,
    ALERTED = STATUS_ALERTED,
    PENDING = STATUS_PENDING,
    TIMEOUT = STATUS_TIMEOUT,
    USER_APC = STATUS_USER_APC,
    ACCESS_DENIED = STATUS_ACCESS_DENIED,
    ACCESS_VIOLATION = STATUS_ACCESS_VIOLATION,
    BUFFER_OVERFLOW = STATUS_BUFFER_OVERFLOW,
    BUFFER_TOO_SMALL = STATUS_BUFFER_TOO_SMALL,
    CANCELLED = STATUS_CANCELLED,
    DATATYPE_MISALIGNMENT = STATUS_DATATYPE_MISALIGNMENT,
    DELETE_PENDING = STATUS_DELETE_PENDING,
    DEVICE_BUSY = STATUS_DEVICE_BUSY,
    DEVICE_DATA_ERROR = STATUS_DEVICE_DATA_ERROR,
    DEVICE_NOT_READY = STATUS_DEVICE_NOT_READY,
    DEVICE_REMOVED = STATUS_DEVICE_REMOVED,
    DUPLICATE_OBJECTID = STATUS_DUPLICATE_OBJECTID,
    INFO_LENGTH_MISMATCH = STATUS_INFO_LENGTH_MISMATCH,
    INSUFFICIENT_RESOURCES = STATUS_INSUFFICIENT_RESOURCES,
    INTEGER_OVERFLOW = STATUS_INTEGER_OVERFLOW,
    INVALID_BUFFER_SIZE = STATUS_INVALID_BUFFER_SIZE,
    INVALID_DEVICE_REQUEST = STATUS_INVALID_DEVICE_REQUEST,
    INVALID_DEVICE_STATE = STATUS_INVALID_DEVICE_STATE,
    INVALID_HANDLE = STATUS_INVALID_HANDLE,
    INVALID_PARAMETER = STATUS_INVALID_PARAMETER,
    INVALID_SECURITY_DESCR = STATUS_INVALID_SECURITY_DESCR,
    MORE_PROCESSING_REQUIRED = STATUS_MORE_PROCESSING_REQUIRED,
    NAME_TOO_LONG = STATUS_NAME_TOO_LONG,
    NOINTERFACE = STATUS_NOINTERFACE,
    NOT_FOUND = STATUS_NOT_FOUND,
    NOT_SUPPORTED = STATUS_NOT_SUPPORTED,
    NO_MEMORY = STATUS_NO_MEMORY,
    OBJECT_NAME_COLLISION = STATUS_OBJECT_NAME_COLLISION,
    OBJECT_NAME_NOT_FOUND = STATUS_OBJECT_NAME_NOT_FOUND,
    OBJECT_PATH_NOT_FOUND = STATUS_OBJECT_PATH_NOT_FOUND,
    OBJECT_TYPE_MISMATCH = STATUS_OBJECT_TYPE_MISMATCH,
    RETRY = STATUS_RETRY,
    SHARING_VIOLATION = STATUS_SHARING_VIOLATION,
    UNSUCCESSFUL = STATUS_UNSUCCESSFUL,
}

impl Status {
    /// Whether the code is of success or informational severity.
    #[doc(alias = "NT_SUCCESS")]
    #[must_use]
    #[inline]
    pub const fn is_success(self) -> bool {
        self.0 >= 0
    }

    /// The code as a result: what is not a success is an error.
    ///
    /// # Errors
    ///
    /// The status itself.
    #[inline]
    pub const fn ok(self) -> Result<()> {
        if self.is_success() { Ok(()) } else { Err(self) }
    }

    /// The code of the Win32 API for the status. PASSIVE_LEVEL.
    #[doc(alias = "RtlNtStatusToDosError")]
    #[must_use]
    pub fn win32(self) -> u32 {
        // SAFETY: takes a number and looks it up.
        unsafe { crate::sys::imports::ntoskrnl::RtlNtStatusToDosErrorNoTeb(self.0) }
    }

    /// The status of a result: [`Status::SUCCESS`] or the error.
    #[must_use]
    #[inline]
    pub fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::SUCCESS,
            Err(status) => *status,
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#010x}", self.0),
        }
    }
}
