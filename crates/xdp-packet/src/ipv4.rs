//! IPv4.

use core::net::Ipv4Addr;

/// A view of an IPv4 header without its options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4<'a>(pub &'a [u8; 20]);

impl<'a> Ipv4<'a> {
    /// Length of the header without options.
    pub const SIZE: usize = 20;

    /// Returns the version nibble; rules do not look at it in an outer header.
    #[inline]
    #[must_use]
    pub const fn version(&self) -> u8 {
        let [first, ..] = *self.0;
        first >> 4
    }

    /// Returns the header length in 32-bit words; 5 means no options.
    #[inline]
    #[must_use]
    pub const fn header_words(&self) -> u8 {
        let [first, ..] = *self.0;
        first & 0x0F
    }

    /// Returns the type of service: DSCP and ECN.
    #[must_use]
    pub const fn traffic_class(&self) -> u8 {
        let [_, tos, ..] = *self.0;
        tos
    }

    /// Returns the length of header and payload as the header states it.
    #[must_use]
    pub const fn total_length(&self) -> u16 {
        let [_, _, a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the identification that fragments of one datagram share.
    #[must_use]
    pub const fn identification(&self) -> u16 {
        let [_, _, _, _, a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Tells whether fragmenting is forbidden.
    #[must_use]
    pub const fn dont_fragment(&self) -> bool {
        let [_, _, _, _, _, _, a, ..] = *self.0;
        a & 0x40 != 0
    }

    /// Tells whether more fragments follow.
    #[must_use]
    pub const fn more_fragments(&self) -> bool {
        let [_, _, _, _, _, _, a, ..] = *self.0;
        a & 0x20 != 0
    }

    /// Returns the fragment offset in bytes.
    #[must_use]
    pub const fn fragment_offset_bytes(&self) -> u16 {
        let [_, _, _, _, _, _, a, b, ..] = *self.0;
        (u16::from_be_bytes([a, b]) & 0x1FFF) << 3
    }

    /// Tells whether the packet is a fragment, first or later.
    #[must_use]
    pub const fn is_fragment(&self) -> bool {
        self.more_fragments() || self.fragment_offset_bytes() != 0
    }

    /// Returns the time to live.
    #[must_use]
    pub const fn time_to_live(&self) -> u8 {
        let [_, _, _, _, _, _, _, _, ttl, ..] = *self.0;
        ttl
    }

    /// Returns the protocol of the payload (see [`protocol`](crate::protocol)).
    #[inline]
    #[must_use]
    pub const fn protocol(&self) -> u8 {
        let [_, _, _, _, _, _, _, _, _, protocol, ..] = *self.0;
        protocol
    }

    /// Returns the header checksum.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        let [_, _, _, _, _, _, _, _, _, _, a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the source address as raw bytes.
    #[inline]
    #[must_use]
    pub const fn source(&self) -> [u8; 4] {
        let [.., a, b, c, d, _, _, _, _] = *self.0;
        [a, b, c, d]
    }

    /// Returns the destination address as raw bytes.
    #[inline]
    #[must_use]
    pub const fn destination(&self) -> [u8; 4] {
        let [.., a, b, c, d] = *self.0;
        [a, b, c, d]
    }

    /// Returns the source address.
    #[must_use]
    pub const fn source_addr(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.source();
        Ipv4Addr::new(a, b, c, d)
    }

    /// Returns the destination address.
    #[must_use]
    pub const fn destination_addr(&self) -> Ipv4Addr {
        let [a, b, c, d] = self.destination();
        Ipv4Addr::new(a, b, c, d)
    }

    /// Tells whether this can be the inner header that rules look at: version 4 and no options.
    #[inline]
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        let [first, ..] = *self.0;
        first == 0x45
    }

    /// Returns the header's bytes.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8; 20] {
        self.0
    }
}
