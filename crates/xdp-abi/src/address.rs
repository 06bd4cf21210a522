//! Ports and addresses as patterns hold them: raw bytes in network order.

use crate::macros::union_views;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// A UDP or TCP port in network byte order.
///
/// The inner number is the field as loaded from a packet, so two ports can be compared without swapping; on a
/// little-endian machine it is *not* the port number people write.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(transparent)]
pub struct Port(pub u16);

impl Port {
    /// A port from the number people write.
    #[inline]
    #[must_use]
    pub const fn new(number: u16) -> Self {
        Self(number.to_be())
    }

    /// A port from the two bytes of a header field.
    #[inline]
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 2]) -> Self {
        Self(u16::from_ne_bytes(bytes))
    }

    /// The number people write.
    #[inline]
    #[must_use]
    pub const fn number(self) -> u16 {
        u16::from_be(self.0)
    }

    /// The field as loaded from the packet: the bit index in a port set.
    #[inline]
    #[must_use]
    pub const fn raw(self) -> u16 {
        self.0
    }
}

impl core::fmt::Debug for Port {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}", self.number())
    }
}

/// An IPv4 address as it lies in the packet.
#[doc(alias = "IN_ADDR")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(4))]
pub struct InAddr {
    /// The four bytes, first byte first.
    #[doc(alias = "S_un")]
    pub bytes: [u8; 4],
}

/// An IPv6 address as it lies in the packet.
#[doc(alias = "IN6_ADDR")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(2))]
pub struct In6Addr {
    /// The sixteen bytes, first byte first.
    #[doc(alias = "u")]
    pub bytes: [u8; 16],
}

/// An IPv4 or IPv6 address; which one follows from the match type.
#[doc(alias = "XDP_INET_ADDR")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct InetAddr {
    /// The union's storage. IPv4 uses the first word only.
    pub words: [u32; 4],
}

union_views! {
    InetAddr {
        /// The union read as an IPv4 address.
        ipv4, from_ipv4: InAddr, "Ipv4";
        /// The union read as an IPv6 address.
        ipv6, from_ipv6: In6Addr, "Ipv6";
    }
}

impl From<[u8; 4]> for InetAddr {
    fn from(bytes: [u8; 4]) -> Self {
        Self::from_ipv4(InAddr { bytes })
    }
}

impl From<[u8; 16]> for InetAddr {
    fn from(bytes: [u8; 16]) -> Self {
        Self::from_ipv6(In6Addr { bytes })
    }
}

/// A mask and the address that must remain after applying it.
#[doc(alias = "XDP_IP_ADDRESS_MASK")]
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C)]
pub struct IpAddressMask {
    /// Bits of the packet's address that count.
    pub mask: InetAddr,
    /// What those bits must be. It is not masked itself: a bit outside the mask makes the pattern unmatchable.
    pub address: InetAddr,
}
