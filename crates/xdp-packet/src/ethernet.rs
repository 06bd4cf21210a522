//! Ethernet II.

use core::fmt;

/// EtherType of IPv4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// EtherType of IPv6.
pub const ETHERTYPE_IPV6: u16 = 0x86DD;

/// A MAC address.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A view of an Ethernet header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ethernet<'a>(pub &'a [u8; 14]);

impl<'a> Ethernet<'a> {
    /// Length of the header.
    pub const SIZE: usize = 14;

    /// Returns the destination address.
    #[inline]
    #[must_use]
    pub const fn destination(&self) -> MacAddr {
        let [a, b, c, d, e, f, ..] = *self.0;
        MacAddr([a, b, c, d, e, f])
    }

    /// Returns the source address.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> MacAddr {
        let [_, _, _, _, _, _, a, b, c, d, e, f, _, _] = *self.0;
        MacAddr([a, b, c, d, e, f])
    }

    /// Returns the EtherType (or, up to 1500, an IEEE 802.3 length).
    #[inline]
    #[must_use]
    pub const fn ethertype(&self) -> u16 {
        let [.., a, b] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the header's bytes.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8; 14] {
        self.0
    }
}
