//! UDP.

/// A view of a UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp<'a>(pub &'a [u8; 8]);

impl<'a> Udp<'a> {
    /// Length of the header.
    pub const SIZE: usize = 8;

    /// Returns the source port.
    #[inline]
    #[must_use]
    pub const fn source_port(&self) -> u16 {
        let [a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the destination port.
    #[inline]
    #[must_use]
    pub const fn destination_port(&self) -> u16 {
        let [_, _, a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the length of header and payload as the header states it.
    #[must_use]
    pub const fn length(&self) -> u16 {
        let [_, _, _, _, a, b, ..] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the checksum; 0 means none was computed.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        let [.., a, b] = *self.0;
        u16::from_be_bytes([a, b])
    }

    /// Returns the header's bytes.
    #[inline]
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8; 8] {
        self.0
    }
}
