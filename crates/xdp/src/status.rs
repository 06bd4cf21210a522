//! `NTSTATUS` with names.

use std::fmt;

/// A status as Windows gives it; prints with its name where it has a well-known one.
#[doc(alias = "NTSTATUS")]
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct NtStatus(pub u32);

macro_rules! statuses {
    ($($(#[$doc:meta])* $name:ident = $value:literal, $c_name:literal;)*) => {
        impl NtStatus {
            $($(#[$doc])* #[doc(alias = $c_name)] pub const $name: Self = Self($value);)*

            /// Its name, if it is a well-known one.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($c_name),)*
                    _ => None,
                }
            }
        }
    };
}

statuses! {
    /// Done.
    SUCCESS = 0, "STATUS_SUCCESS";
    /// Nothing happened in time.
    TIMEOUT = 0x0000_0102, "STATUS_TIMEOUT";
    /// It will be done later.
    PENDING = 0x0000_0103, "STATUS_PENDING";
    /// There is more than the buffer holds.
    BUFFER_OVERFLOW = 0x8000_0005, "STATUS_BUFFER_OVERFLOW";
    /// An address is not aligned.
    DATATYPE_MISALIGNMENT = 0x8000_0002, "STATUS_DATATYPE_MISALIGNMENT";
    /// It failed for no reason that has a name.
    UNSUCCESSFUL = 0xC000_0001, "STATUS_UNSUCCESSFUL";
    /// An address is not readable or writable.
    ACCESS_VIOLATION = 0xC000_0005, "STATUS_ACCESS_VIOLATION";
    /// A handle is none, or of something else.
    INVALID_HANDLE = 0xC000_0008, "STATUS_INVALID_HANDLE";
    /// A parameter is out of range.
    INVALID_PARAMETER = 0xC000_000D, "STATUS_INVALID_PARAMETER";
    /// The device does not know the request.
    INVALID_DEVICE_REQUEST = 0xC000_0010, "STATUS_INVALID_DEVICE_REQUEST";
    /// No memory.
    NO_MEMORY = 0xC000_0017, "STATUS_NO_MEMORY";
    /// The caller may not do this.
    ACCESS_DENIED = 0xC000_0022, "STATUS_ACCESS_DENIED";
    /// The buffer is too small.
    BUFFER_TOO_SMALL = 0xC000_0023, "STATUS_BUFFER_TOO_SMALL";
    /// An object is of another type.
    OBJECT_TYPE_MISMATCH = 0xC000_0024, "STATUS_OBJECT_TYPE_MISMATCH";
    /// There is no object of that name.
    OBJECT_NAME_NOT_FOUND = 0xC000_0034, "STATUS_OBJECT_NAME_NOT_FOUND";
    /// There is an object of that name.
    OBJECT_NAME_COLLISION = 0xC000_0035, "STATUS_OBJECT_NAME_COLLISION";
    /// There is no directory of that name.
    OBJECT_PATH_NOT_FOUND = 0xC000_003A, "STATUS_OBJECT_PATH_NOT_FOUND";
    /// Somebody else uses it.
    SHARING_VIOLATION = 0xC000_0043, "STATUS_SHARING_VIOLATION";
    /// It is going away.
    DELETE_PENDING = 0xC000_0056, "STATUS_DELETE_PENDING";
    /// A number is too large.
    INTEGER_OVERFLOW = 0xC000_0095, "STATUS_INTEGER_OVERFLOW";
    /// The system lacks memory or another resource.
    INSUFFICIENT_RESOURCES = 0xC000_009A, "STATUS_INSUFFICIENT_RESOURCES";
    /// The device is not ready.
    DEVICE_NOT_READY = 0xC000_00A3, "STATUS_DEVICE_NOT_READY";
    /// It is not supported.
    NOT_SUPPORTED = 0xC000_00BB, "STATUS_NOT_SUPPORTED";
    /// The process is ending.
    PROCESS_IS_TERMINATING = 0xC000_010A, "STATUS_PROCESS_IS_TERMINATING";
    /// The request was cancelled.
    CANCELLED = 0xC000_0120, "STATUS_CANCELLED";
    /// The object is in the wrong state.
    INVALID_DEVICE_STATE = 0xC000_0184, "STATUS_INVALID_DEVICE_STATE";
    /// There is no such thing.
    NOT_FOUND = 0xC000_0225, "STATUS_NOT_FOUND";
    /// It is there already.
    DUPLICATE_OBJECTID = 0xC000_022A, "STATUS_DUPLICATE_OBJECTID";
    /// The device went away.
    DEVICE_REMOVED = 0xC000_02B6, "STATUS_DEVICE_REMOVED";
}

impl NtStatus {
    /// The `HRESULT` that a C program has instead. Statuses for which Windows has no error of its own keep their number, with
    /// the bit that says that it is a status.
    #[must_use]
    pub const fn hresult(self) -> u32 {
        let win32 = match self {
            Self::SUCCESS => return 0,
            Self::OBJECT_NAME_NOT_FOUND => 2,
            Self::OBJECT_PATH_NOT_FOUND => 3,
            Self::ACCESS_DENIED | Self::DELETE_PENDING => 5,
            Self::INVALID_HANDLE | Self::OBJECT_TYPE_MISMATCH => 6,
            Self::NO_MEMORY => 8,
            Self::DEVICE_NOT_READY => 21,
            Self::INVALID_DEVICE_STATE => 22,
            Self::SHARING_VIOLATION => 32,
            Self::NOT_SUPPORTED => 50,
            Self::INVALID_PARAMETER => 87,
            Self::BUFFER_TOO_SMALL => 122,
            Self::OBJECT_NAME_COLLISION => 183,
            Self::BUFFER_OVERFLOW => 234,
            Self::INTEGER_OVERFLOW => 534,
            Self::CANCELLED => 995,
            Self::PENDING => 997,
            Self::ACCESS_VIOLATION | Self::DATATYPE_MISALIGNMENT => 998,
            Self::INVALID_DEVICE_REQUEST => 1,
            Self::UNSUCCESSFUL => 31,
            Self::NOT_FOUND => 1168,
            Self::INSUFFICIENT_RESOURCES => 1450,
            Self::TIMEOUT => 1460,
            Self::DEVICE_REMOVED => 1617,
            Self::DUPLICATE_OBJECTID => 5010,
            Self(other) => return other | 0x1000_0000,
        };
        0x8007_0000 | win32
    }

    /// Whether a call with this status worked: severity success or information.
    #[must_use]
    pub const fn is_success(self) -> bool {
        self.0 < 0x8000_0000
    }
}

impl fmt::Display for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "status {:#010x}", self.0),
        }
    }
}

impl fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self} ({:#010x})", self.0)
    }
}
