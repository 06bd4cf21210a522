//! ICMP and ICMPv6: the four bytes they share.

/// A view of the common part of an ICMP or ICMPv6 message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp<'a>(pub &'a [u8; 4]);

impl<'a> Icmp<'a> {
    /// Length of the part that all messages share.
    pub const SIZE: usize = 4;
    /// Type of an ICMP (version 4) echo reply.
    pub const V4_ECHO_REPLY: u8 = 0;
    /// Type of an ICMP (version 4) echo request.
    pub const V4_ECHO_REQUEST: u8 = 8;
    /// Type of an ICMPv6 echo request.
    pub const V6_ECHO_REQUEST: u8 = 128;
    /// Type of an ICMPv6 echo reply.
    pub const V6_ECHO_REPLY: u8 = 129;

    /// Returns the message type.
    #[inline]
    #[must_use]
    pub const fn message_type(&self) -> u8 {
        self.0[0]
    }

    /// Returns the code within the type.
    #[inline]
    #[must_use]
    pub const fn code(&self) -> u8 {
        self.0[1]
    }

    /// Returns the checksum.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.0[2], self.0[3]])
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8; 4] {
        self.0
    }
}
