//! Small structures shared by everything else.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// An address in the memory of whoever filled in the structure.
///
/// It is a number: following it takes a probe, a capture and a validation, which belong to the reader.
#[doc(alias = "VOID *")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct ClientPtr(pub u64);

impl ClientPtr {
    /// The null address.
    pub const NULL: Self = Self(0);

    /// Whether this is the null address.
    #[inline]
    #[must_use]
    pub const fn is_null(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Debug for ClientPtr {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// A handle in the handle table of whoever filled in the structure.
#[doc(alias = "HANDLE")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Handle(pub u64);

impl core::fmt::Debug for Handle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Handle({:#x})", self.0)
    }
}

/// First member of every versioned structure.
#[doc(alias = "XDP_OBJECT_HEADER")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct ObjectHeader {
    /// Revision of the structure.
    pub revision: u32,
    /// Bytes the revision defines, which may be fewer than the C structure occupies.
    pub size: u32,
}

/// A version of three numbers.
#[doc(alias = "XDP_VERSION")]
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
)]
#[repr(C)]
pub struct Version {
    /// Changes that break.
    pub major: u32,
    /// Additions.
    pub minor: u32,
    /// Corrections.
    pub patch: u32,
}

/// A Windows GUID.
#[doc(alias = "GUID")]
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct Guid {
    /// First group, 8 digits.
    pub data1: u32,
    /// Second group, 4 digits.
    pub data2: u16,
    /// Third group, 4 digits.
    pub data3: u16,
    /// Fourth and fifth group, 16 digits.
    pub data4: [u8; 8],
}

impl Guid {
    /// A GUID from its 32 digits read as one number.
    #[must_use]
    pub const fn from_u128(digits: u128) -> Self {
        Self {
            data1: (digits >> 96) as u32,
            data2: (digits >> 80) as u16,
            data3: (digits >> 64) as u16,
            data4: (digits as u64).to_be_bytes(),
        }
    }

    /// The 32 digits as one number.
    #[must_use]
    pub const fn to_u128(self) -> u128 {
        ((self.data1 as u128) << 96)
            | ((self.data2 as u128) << 80)
            | ((self.data3 as u128) << 64)
            | u64::from_be_bytes(self.data4) as u128
    }
}

impl core::fmt::Display for Guid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, g, h, i] = self.data4;
        write!(
            f,
            "{:08x}-{:04x}-{:04x}-{a:02x}{b:02x}-{c:02x}{d:02x}{e:02x}{g:02x}{h:02x}{i:02x}",
            self.data1, self.data2, self.data3
        )
    }
}

impl core::fmt::Debug for Guid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{{{self}}}")
    }
}
