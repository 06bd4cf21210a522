//! Header values: read from a view, changed, written out.

use crate::checksum::checksum;
use crate::{Ethernet, Ipv4, Ipv6, MacAddr, Tcp, Udp};
use core::net::{Ipv4Addr, Ipv6Addr};

/// An Ethernet header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EthernetHeader {
    /// Destination address.
    pub destination: MacAddr,
    /// Source address.
    pub source: MacAddr,
    /// EtherType.
    pub ethertype: u16,
}

impl EthernetHeader {
    /// Returns the header as it lies in a frame.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; 14] {
        let [a, b, c, d, e, f] = self.destination.0;
        let [g, h, i, j, k, l] = self.source.0;
        let [m, n] = self.ethertype.to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
    }
}

impl From<Ethernet<'_>> for EthernetHeader {
    fn from(view: Ethernet<'_>) -> Self {
        Self {
            destination: view.destination(),
            source: view.source(),
            ethertype: view.ethertype(),
        }
    }
}

/// An IPv4 header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv4Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Length of header and payload.
    pub total_length: u16,
    /// Identification that the fragments of one datagram share.
    pub identification: u16,
    /// Whether fragmenting is forbidden.
    pub dont_fragment: bool,
    /// Whether more fragments follow.
    pub more_fragments: bool,
    /// Fragment offset; the low three bits are not sent.
    pub fragment_offset_bytes: u16,
    /// Time to live.
    pub time_to_live: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
}

impl Ipv4Header {
    /// Makes a header between two addresses, for a payload of no protocol yet.
    #[must_use]
    pub const fn new(source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        Self {
            traffic_class: 0,
            total_length: Ipv4::SIZE as u16,
            identification: 0,
            dont_fragment: true,
            more_fragments: false,
            fragment_offset_bytes: 0,
            time_to_live: 64,
            protocol: 0,
            source,
            destination,
        }
    }

    /// Returns the header as it lies in a frame, with its checksum.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 20] {
        let [l0, l1] = self.total_length.to_be_bytes();
        let [i0, i1] = self.identification.to_be_bytes();
        let flags = u16::from(self.dont_fragment) << 14 | u16::from(self.more_fragments) << 13;
        let [f0, f1] = (flags | self.fragment_offset_bytes >> 3).to_be_bytes();
        let [s0, s1, s2, s3] = self.source.octets();
        let [d0, d1, d2, d3] = self.destination.octets();
        let (class, ttl, protocol) = (self.traffic_class, self.time_to_live, self.protocol);
        let with = |c0, c1| {
            [
                0x45, class, l0, l1, i0, i1, f0, f1, ttl, protocol, c0, c1, s0, s1, s2, s3, d0, d1,
                d2, d3,
            ]
        };
        let [c0, c1] = checksum(&with(0, 0)).to_be_bytes();
        with(c0, c1)
    }
}

impl From<Ipv4<'_>> for Ipv4Header {
    fn from(view: Ipv4<'_>) -> Self {
        Self {
            traffic_class: view.traffic_class(),
            total_length: view.total_length(),
            identification: view.identification(),
            dont_fragment: view.dont_fragment(),
            more_fragments: view.more_fragments(),
            fragment_offset_bytes: view.fragment_offset_bytes(),
            time_to_live: view.time_to_live(),
            protocol: view.protocol(),
            source: view.source_addr(),
            destination: view.destination_addr(),
        }
    }
}

/// An IPv6 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ipv6Header {
    /// DSCP and ECN.
    pub traffic_class: u8,
    /// Flow label, 20 bits.
    pub flow_label: u32,
    /// Length of what follows the header.
    pub payload_length: u16,
    /// Protocol of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
}

impl Ipv6Header {
    /// Makes a header between two addresses, for nothing that follows yet.
    #[must_use]
    pub const fn new(source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        Self {
            traffic_class: 0,
            flow_label: 0,
            payload_length: 0,
            next_header: 59,
            hop_limit: 64,
            source,
            destination,
        }
    }

    /// Returns the header as it lies in a frame.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 40] {
        let first = 6u32 << 28 | u32::from(self.traffic_class) << 20 | self.flow_label & 0xF_FFFF;
        let mut bytes = [0; 40];
        let parts: [&[u8]; 6] = [
            &first.to_be_bytes(),
            &self.payload_length.to_be_bytes(),
            &[self.next_header],
            &[self.hop_limit],
            &self.source.octets(),
            &self.destination.octets(),
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        bytes
    }
}

impl From<Ipv6<'_>> for Ipv6Header {
    fn from(view: Ipv6<'_>) -> Self {
        Self {
            traffic_class: view.traffic_class(),
            flow_label: view.flow_label(),
            payload_length: view.payload_length(),
            next_header: view.next_header(),
            hop_limit: view.hop_limit(),
            source: view.source_addr(),
            destination: view.destination_addr(),
        }
    }
}

/// A UDP header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpHeader {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Length of header and payload.
    pub length: u16,
    /// Checksum; 0 means none.
    pub checksum: u16,
}

impl UdpHeader {
    /// Returns the header as it lies in a frame.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; 8] {
        let [a, b] = self.source_port.to_be_bytes();
        let [c, d] = self.destination_port.to_be_bytes();
        let [e, f] = self.length.to_be_bytes();
        let [g, h] = self.checksum.to_be_bytes();
        [a, b, c, d, e, f, g, h]
    }
}

impl From<Udp<'_>> for UdpHeader {
    fn from(view: Udp<'_>) -> Self {
        Self {
            source_port: view.source_port(),
            destination_port: view.destination_port(),
            length: view.length(),
            checksum: view.checksum(),
        }
    }
}

/// A TCP header without options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpHeader {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Acknowledgement number.
    pub acknowledgement: u32,
    /// Header length in 32-bit words, options included; at most 15.
    pub header_words: u8,
    /// Flags, [`Tcp::SYN`] and so on.
    pub flags: u8,
    /// Receive window.
    pub window: u16,
    /// Checksum.
    pub checksum: u16,
    /// Urgent pointer.
    pub urgent: u16,
}

impl TcpHeader {
    /// Makes a header between two ports.
    #[must_use]
    pub const fn new(source_port: u16, destination_port: u16, flags: u8) -> Self {
        Self {
            source_port,
            destination_port,
            sequence: 0,
            acknowledgement: 0,
            header_words: 5,
            flags,
            window: u16::MAX,
            checksum: 0,
            urgent: 0,
        }
    }

    /// Returns the header as it lies in a frame.
    #[must_use]
    pub const fn to_bytes(&self) -> [u8; 20] {
        let [s0, s1] = self.source_port.to_be_bytes();
        let [d0, d1] = self.destination_port.to_be_bytes();
        let [q0, q1, q2, q3] = self.sequence.to_be_bytes();
        let [a0, a1, a2, a3] = self.acknowledgement.to_be_bytes();
        let [w0, w1] = self.window.to_be_bytes();
        let [c0, c1] = self.checksum.to_be_bytes();
        let [u0, u1] = self.urgent.to_be_bytes();
        let words = self.header_words << 4;
        [
            s0, s1, d0, d1, q0, q1, q2, q3, a0, a1, a2, a3, words, self.flags, w0, w1, c0, c1, u0,
            u1,
        ]
    }
}

impl From<Tcp<'_>> for TcpHeader {
    fn from(view: Tcp<'_>) -> Self {
        Self {
            source_port: view.source_port(),
            destination_port: view.destination_port(),
            sequence: view.sequence(),
            acknowledgement: view.acknowledgement(),
            header_words: view.header_words(),
            flags: view.flags(),
            window: view.window(),
            checksum: view.checksum(),
            urgent: view.urgent(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_header_survives_being_read_and_written(bytes: [u8; 40]) {
            let ethernet: &[u8; 14] = bytes.first_chunk().unwrap();
            prop_assert_eq!(&EthernetHeader::from(Ethernet(ethernet)).to_bytes(), ethernet);

            let udp: &[u8; 8] = bytes.first_chunk().unwrap();
            prop_assert_eq!(&UdpHeader::from(Udp(udp)).to_bytes(), udp);

            let mut ipv6 = bytes;
            ipv6[0] = 0x60 | ipv6[0] & 0x0F; // The version is not a field of the value.
            prop_assert_eq!(Ipv6Header::from(Ipv6(&ipv6)).to_bytes(), ipv6);

            let mut tcp: [u8; 20] = *bytes.first_chunk().unwrap();
            tcp[12] &= 0xF0; // Nor are the reserved bits.
            prop_assert_eq!(TcpHeader::from(Tcp { header: &tcp, options: &[] }).to_bytes(), tcp);

            let mut ipv4: [u8; 20] = *bytes.first_chunk().unwrap();
            ipv4[0] = 0x45;
            ipv4[6] &= 0x7F;
            ipv4[10..12].fill(0);
            let sum = checksum(&ipv4).to_be_bytes();
            ipv4[10..12].copy_from_slice(&sum);
            prop_assert_eq!(Ipv4Header::from(Ipv4(&ipv4)).to_bytes(), ipv4);
        }
    }
}
