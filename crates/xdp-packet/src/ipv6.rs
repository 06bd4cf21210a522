//! IPv6.

use core::net::Ipv6Addr;

/// A view of an IPv6 header without extension headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6<'a>(pub &'a [u8; 40]);

impl<'a> Ipv6<'a> {
    /// Length of the header.
    pub const SIZE: usize = 40;

    /// Returns the version nibble; rules do not look at it in an outer header.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> u8 {
        let [first, ..] = *self.0;
        first >> 4
    }

    /// Returns the traffic class: DSCP and ECN.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        let [a, b, ..] = *self.0;
        (a << 4) | (b >> 4)
    }

    /// Returns the flow label.
    #[must_use]
    pub const fn flow_label(&self) -> u32 {
        let [_, a, b, c, ..] = *self.0;
        u32::from_be_bytes([0, a & 0x0F, b, c])
    }

    /// Returns the length of everything behind this header as the header states it.
    #[must_use]
    pub const fn payload_length(&self) -> u16 {
        let [_, _, _, _, a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the protocol of what follows (see [`protocol`](crate::protocol)).
    #[inline]
    #[must_use]
    pub const fn next_header(&self) -> u8 {
        let [_, _, _, _, _, _, next, ..] = *self.0;
        next
    }

    /// Returns the hop limit.
    #[must_use]
    pub const fn hop_limit(&self) -> u8 {
        let [_, _, _, _, _, _, _, hops, ..] = *self.0;
        hops
    }

    /// Returns the source address as raw bytes.
    #[inline]
    #[must_use]
    pub fn source(&self) -> [u8; 16] {
        let (_, rest) = self.0.split_first_chunk::<8>().unwrap_or((&[0; 8], &[]));
        rest.first_chunk().copied().unwrap_or_default()
    }

    /// Returns the destination address as raw bytes.
    #[inline]
    #[must_use]
    pub fn destination(&self) -> [u8; 16] {
        self.0.last_chunk().copied().unwrap_or_default()
    }

    /// Returns the source address.
    #[must_use]
    pub fn source_addr(&self) -> Ipv6Addr {
        self.source().into()
    }

    /// Returns the destination address.
    #[must_use]
    pub fn destination_addr(&self) -> Ipv6Addr {
        self.destination().into()
    }

    /// Returns the header's bytes.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8; 40] {
        self.0
    }
}
