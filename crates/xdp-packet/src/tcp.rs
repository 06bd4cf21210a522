//! TCP.

/// A view of a TCP header; its options are a slice beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcp<'a> {
    /// The fixed part.
    pub header: &'a [u8; 20],
    /// The options, complete, with their padding.
    pub options: &'a [u8],
}

impl<'a> Tcp<'a> {
    /// Length of the header without options.
    pub const SIZE: usize = 20;
    /// Flag: no more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Flag: synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Flag: reset the connection.
    pub const RST: u8 = 0x04;
    /// Flag: push.
    pub const PSH: u8 = 0x08;
    /// Flag: the acknowledgement number counts.
    pub const ACK: u8 = 0x10;
    /// Flag: urgent.
    pub const URG: u8 = 0x20;

    /// Splits a TCP header with its options off `bytes`. None when it is not all there or states a length below 20.
    #[inline]
    #[must_use]
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk::<20>()?;
        let words = usize::from(header[12] >> 4);
        let (options, payload) = rest.split_at_checked(words.checked_sub(5)? << 2)?;
        Some((Self { header, options }, payload))
    }

    /// Returns the source port.
    #[inline]
    #[must_use]
    pub const fn source_port(&self) -> u16 {
        let [a, b, ..] = *self.header;
        u16::from_be_bytes([a, b])
    }

    /// Returns the destination port.
    #[inline]
    #[must_use]
    pub const fn destination_port(&self) -> u16 {
        let [_, _, a, b, ..] = *self.header;
        u16::from_be_bytes([a, b])
    }

    /// Returns the sequence number.
    #[must_use]
    pub const fn sequence(&self) -> u32 {
        let [_, _, _, _, a, b, c, d, ..] = *self.header;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Returns the acknowledgement number.
    #[must_use]
    pub const fn acknowledgement(&self) -> u32 {
        let [_, _, _, _, _, _, _, _, a, b, c, d, ..] = *self.header;
        u32::from_be_bytes([a, b, c, d])
    }

    /// Returns the header length in 32-bit words, options included.
    #[must_use]
    pub const fn header_words(&self) -> u8 {
        self.header[12] >> 4
    }

    /// Returns the flags (`Tcp::SYN` and so on).
    #[inline]
    #[must_use]
    pub const fn flags(&self) -> u8 {
        self.header[13]
    }

    /// Tells whether this segment opens, closes or resets a connection: SYN, FIN or RST is set.
    #[inline]
    #[must_use]
    pub const fn is_control(&self) -> bool {
        self.flags() & (Self::SYN | Self::FIN | Self::RST) != 0
    }

    /// Returns the receive window.
    #[must_use]
    pub const fn window(&self) -> u16 {
        u16::from_be_bytes([self.header[14], self.header[15]])
    }

    /// Returns the checksum.
    #[must_use]
    pub const fn checksum(&self) -> u16 {
        u16::from_be_bytes([self.header[16], self.header[17]])
    }

    /// Returns the urgent pointer.
    #[must_use]
    pub const fn urgent(&self) -> u16 {
        u16::from_be_bytes([self.header[18], self.header[19]])
    }
}
