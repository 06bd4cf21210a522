//! Results of the API: an `NTSTATUS` in the kernel, an `HRESULT` in a program.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A result as the kernel gives it.
#[doc(alias = "NTSTATUS")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct NtStatus(pub u32);

/// A result as a program sees it.
#[doc(alias = "HRESULT")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct HResult(pub u32);

impl core::fmt::Debug for NtStatus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "NtStatus({:#010x})", self.0)
    }
}

impl core::fmt::Debug for HResult {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "HResult({:#010x})", self.0)
    }
}

/// One result of the API in both forms.
#[doc(alias = "XDP_STATUS")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XdpStatus {
    /// In the kernel.
    pub kernel: NtStatus,
    /// In a program.
    pub user: HResult,
}

const fn status(kernel: u32, user: u32) -> XdpStatus {
    XdpStatus {
        kernel: NtStatus(kernel),
        user: HResult(user),
    }
}

impl XdpStatus {
    /// Done.
    #[doc(alias = "XDP_STATUS_SUCCESS")]
    pub const SUCCESS: Self = status(0, 0);
    /// Will be done later.
    #[doc(alias = "XDP_STATUS_PENDING")]
    pub const PENDING: Self = status(0x103, 0x8007_03E5);
    /// Nothing happened in time.
    #[doc(alias = "XDP_STATUS_TIMEOUT")]
    pub const TIMEOUT: Self = status(0x102, 0x8007_05B4);
    /// No memory.
    #[doc(alias = "XDP_STATUS_OUT_OF_MEMORY")]
    pub const OUT_OF_MEMORY: Self = status(0xC000_0017, 0x8007_000E);
    /// Not supported.
    #[doc(alias = "XDP_STATUS_NOT_SUPPORTED")]
    pub const NOT_SUPPORTED: Self = status(0xC000_00BB, 0x8007_0032);
    /// A parameter is wrong.
    #[doc(alias = "XDP_STATUS_INVALID_PARAMETER")]
    pub const INVALID_PARAMETER: Self = status(0xC000_000D, 0x8007_0057);
    /// Something went wrong inside.
    #[doc(alias = "XDP_STATUS_INTERNAL_ERROR")]
    pub const INTERNAL_ERROR: Self = status(0xC000_00E5, 0x8007_054F);
}

/// A program asked `XdpOpenApi` for a version it does not have.
pub const E_NOINTERFACE: HResult = HResult(0x8000_4002);
