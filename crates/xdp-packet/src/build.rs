//! Whole frames, layer by layer, for tools and tests.

use crate::checksum::{Checksum, checksum};
use crate::values::{EthernetHeader, Ipv4Header, Ipv6Header, TcpHeader, UdpHeader};
use crate::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, Icmp, MacAddr, Tcp, VlanTag, protocol};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

#[derive(Clone, Copy)]
enum Layer {
    Ethernet,
    Vlan,
    Ipv4 {
        source: [u8; 4],
        destination: [u8; 4],
    },
    Ipv6 {
        source: [u8; 16],
        destination: [u8; 16],
    },
    Extension,
    Udp,
    Tcp,
    Icmpv4,
    Icmpv6,
}

/// Builds a frame from the outside in. Each layer names itself in the one before it; lengths and checksums are filled in at
/// the end, from the inside out.
///
/// ```
/// use xdp_packet::{Depth, FrameBuilder, Packet};
///
/// let frame = FrameBuilder::new()
///     .ipv4([192, 0, 2, 1].into(), [192, 0, 2, 2].into())
///     .udp(50_000, 443)
///     .quic_short(&[0xC1; 8])
///     .finish();
/// let packet = Packet::parse_slice(&frame, Depth::Upper);
/// assert_eq!(packet.ports(), Some((50_000, 443)));
/// ```
///
/// A length that does not fit its header field is written as the largest that does: such frames are for testing, too.
#[derive(Clone)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
    layers: Vec<(usize, Layer)>,
    /// Offset and width in bytes of the field that names the next layer.
    next: (usize, usize),
}

impl Default for FrameBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl FrameBuilder {
    /// Starts a frame between two made-up, locally administered addresses.
    #[must_use]
    pub fn new() -> Self {
        Self::ethernet(MacAddr([2, 0, 0, 0, 0, 2]), MacAddr([2, 0, 0, 0, 0, 1]))
    }

    /// Starts a frame.
    #[must_use]
    pub fn ethernet(destination: MacAddr, source: MacAddr) -> Self {
        let header = EthernetHeader {
            destination,
            source,
            ethertype: 0,
        };
        Self {
            bytes: header.to_bytes().to_vec(),
            layers: [(0, Layer::Ethernet)].to_vec(),
            next: (12, 2),
        }
    }

    /// Adds a VLAN tag.
    #[must_use]
    pub fn vlan(mut self, tag: VlanTag) -> Self {
        let start = self.push(tag.ethertype, Layer::Vlan, &tag.control().to_be_bytes());
        self.bytes.extend_from_slice(&[0, 0]);
        self.next = (start.saturating_add(2), 2);
        self
    }

    /// Sets the EtherType of a frame that carries no layer from here, or changes it afterwards.
    #[must_use]
    pub fn ethertype(mut self, ethertype: u16) -> Self {
        self.name_next(ethertype);
        self
    }

    /// Adds an IPv4 header.
    #[must_use]
    pub fn ipv4(self, source: Ipv4Addr, destination: Ipv4Addr) -> Self {
        self.ipv4_with(Ipv4Header::new(source, destination), &[])
    }

    /// Adds an IPv4 header from a value, with options (a multiple of four bytes, at most 40).
    #[must_use]
    pub fn ipv4_with(mut self, header: Ipv4Header, options: &[u8]) -> Self {
        let (source, destination) = (header.source.octets(), header.destination.octets());
        let number = self.ip_number(ETHERTYPE_IPV4, protocol::IPV4);
        let start = self.push(
            number,
            Layer::Ipv4 {
                source,
                destination,
            },
            &header.to_bytes(),
        );
        self.bytes.extend_from_slice(options);
        let words = (options.len() / 4).saturating_add(5) as u8 & 0x0F;
        self.patch(start, &[0x40 | words]);
        self.next = (start.saturating_add(9), 1);
        self
    }

    /// Adds an IPv6 header.
    #[must_use]
    pub fn ipv6(self, source: Ipv6Addr, destination: Ipv6Addr) -> Self {
        self.ipv6_with(Ipv6Header::new(source, destination))
    }

    /// Adds an IPv6 header from a value.
    #[must_use]
    pub fn ipv6_with(mut self, header: Ipv6Header) -> Self {
        let (source, destination) = (header.source.octets(), header.destination.octets());
        let number = self.ip_number(ETHERTYPE_IPV6, protocol::IPV6);
        let start = self.push(
            number,
            Layer::Ipv6 {
                source,
                destination,
            },
            &header.to_bytes(),
        );
        self.next = (start.saturating_add(6), 1);
        self
    }

    /// Adds an IPv6 extension header of `kind`. `body` is what follows its next-header byte, length byte included.
    #[must_use]
    pub fn ipv6_extension(mut self, kind: u8, body: &[u8]) -> Self {
        let start = self.push(u16::from(kind), Layer::Extension, &[59]);
        self.bytes.extend_from_slice(body);
        self.next = (start, 1);
        self
    }

    /// Sets the protocol of an IP packet that carries no layer from here, or changes it afterwards.
    #[must_use]
    pub fn protocol(mut self, number: u8) -> Self {
        self.name_next(u16::from(number));
        self
    }

    /// Adds a UDP header.
    #[must_use]
    pub fn udp(mut self, source_port: u16, destination_port: u16) -> Self {
        let header = UdpHeader {
            source_port,
            destination_port,
            ..UdpHeader::default()
        };
        self.push(u16::from(protocol::UDP), Layer::Udp, &header.to_bytes());
        self
    }

    /// Adds a TCP header with `flags` ([`Tcp::SYN`] and so on).
    #[must_use]
    pub fn tcp(self, source_port: u16, destination_port: u16, flags: u8) -> Self {
        self.tcp_with(TcpHeader::new(source_port, destination_port, flags), &[])
    }

    /// Adds a TCP header from a value, with options (a multiple of four bytes, at most 40).
    #[must_use]
    pub fn tcp_with(mut self, mut header: TcpHeader, options: &[u8]) -> Self {
        header.header_words = (options.len() / 4).saturating_add(Tcp::SIZE / 4) as u8;
        self.push(u16::from(protocol::TCP), Layer::Tcp, &header.to_bytes());
        self.bytes.extend_from_slice(options);
        self
    }

    /// Adds an ICMP message; `body` is what follows its checksum.
    #[must_use]
    pub fn icmpv4(mut self, message_type: u8, code: u8, body: &[u8]) -> Self {
        self.push(
            u16::from(protocol::ICMP),
            Layer::Icmpv4,
            &[message_type, code, 0, 0],
        );
        self.bytes.extend_from_slice(body);
        self
    }

    /// Adds an ICMPv6 message; `body` is what follows its checksum.
    #[must_use]
    pub fn icmpv6(mut self, message_type: u8, code: u8, body: &[u8]) -> Self {
        self.push(
            u16::from(protocol::ICMPV6),
            Layer::Icmpv6,
            &[message_type, code, 0, 0],
        );
        self.bytes.extend_from_slice(body);
        self
    }

    /// Adds an ICMP echo reply with an identifier and a sequence number.
    #[must_use]
    pub fn icmpv4_echo_reply(self, identifier: u16, sequence: u16) -> Self {
        self.icmpv4(Icmp::V4_ECHO_REPLY, 0, &echo(identifier, sequence))
    }

    /// Adds an ICMPv6 echo reply with an identifier and a sequence number.
    #[must_use]
    pub fn icmpv6_echo_reply(self, identifier: u16, sequence: u16) -> Self {
        self.icmpv6(Icmp::V6_ECHO_REPLY, 0, &echo(identifier, sequence))
    }

    /// Adds a QUIC long header. IDs longer than 255 bytes are cut.
    #[must_use]
    pub fn quic_long(mut self, version: u32, destination: &[u8], source: &[u8]) -> Self {
        self.bytes.push(0xC0);
        self.bytes.extend_from_slice(&version.to_be_bytes());
        for id in [destination, source] {
            let id = id.get(..255).unwrap_or(id);
            self.bytes.push(id.len() as u8);
            self.bytes.extend_from_slice(id);
        }
        self
    }

    /// Adds a QUIC short header.
    #[must_use]
    pub fn quic_short(mut self, destination: &[u8]) -> Self {
        self.bytes.push(0x40);
        self.bytes.extend_from_slice(destination);
        self
    }

    /// Adds bytes.
    #[must_use]
    pub fn payload(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Fills in lengths and checksums and returns the frame.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        let layers = core::mem::take(&mut self.layers);
        for (index, (start, layer)) in layers.iter().enumerate().rev() {
            let around = layers.get(..index).unwrap_or_default();
            self.complete(*start, *layer, around);
        }
        self.bytes
    }

    /// Fills in lengths and checksums, pads the frame with zeros to `size` bytes (60 is the least that Ethernet carries, without
    /// its frame check sequence) and returns it.
    #[must_use]
    pub fn finish_padded(self, size: usize) -> Vec<u8> {
        let mut bytes = self.finish();
        if bytes.len() < size {
            bytes.resize(size, 0);
        }
        bytes
    }

    fn push(&mut self, number: u16, layer: Layer, header: &[u8]) -> usize {
        self.name_next(number);
        let start = self.bytes.len();
        self.layers.push((start, layer));
        self.bytes.extend_from_slice(header);
        self.next = (start, 0);
        start
    }

    fn name_next(&mut self, number: u16) {
        let (at, width) = self.next;
        match width {
            0 => {}
            1 => self.patch(at, &[number as u8]),
            _ => self.patch(at, &number.to_be_bytes()),
        }
    }

    /// An IP header is announced by EtherType, or by protocol number inside another one.
    fn ip_number(&self, ethertype: u16, number: u8) -> u16 {
        if self.next.1 == 2 {
            ethertype
        } else {
            u16::from(number)
        }
    }

    fn patch(&mut self, at: usize, bytes: &[u8]) {
        let place = self.bytes.get_mut(at..).unwrap_or_default();
        for (to, from) in place.iter_mut().zip(bytes) {
            *to = *from;
        }
    }

    fn complete(&mut self, start: usize, layer: Layer, around: &[(usize, Layer)]) {
        let size = self.bytes.len().saturating_sub(start);
        let length = u16::try_from(size).unwrap_or(u16::MAX);
        let at = |offset: usize| start.saturating_add(offset);
        match layer {
            Layer::Ethernet | Layer::Vlan | Layer::Extension => {}
            Layer::Ipv4 { .. } => {
                self.patch(at(2), &length.to_be_bytes());
                self.patch(at(10), &[0, 0]);
                let words = self.bytes.get(start).map_or(5, |first| first & 0x0F);
                let end = at(usize::from(words) << 2);
                let sum = checksum(self.bytes.get(start..end).unwrap_or_default());
                self.patch(at(10), &sum.to_be_bytes());
            }
            Layer::Ipv6 { .. } => {
                self.patch(at(4), &length.saturating_sub(40).to_be_bytes());
            }
            Layer::Udp => {
                self.patch(at(4), &length.to_be_bytes());
                let sum = self
                    .transport_sum(start, protocol::UDP, around)
                    .finish_udp();
                self.patch(at(6), &sum.to_be_bytes());
            }
            Layer::Tcp => {
                let sum = self.transport_sum(start, protocol::TCP, around).finish();
                self.patch(at(16), &sum.to_be_bytes());
            }
            Layer::Icmpv4 => {
                let sum = checksum(self.bytes.get(start..).unwrap_or_default());
                self.patch(at(2), &sum.to_be_bytes());
            }
            Layer::Icmpv6 => {
                let sum = self.transport_sum(start, protocol::ICMPV6, around).finish();
                self.patch(at(2), &sum.to_be_bytes());
            }
        }
    }

    fn transport_sum(&self, start: usize, number: u8, around: &[(usize, Layer)]) -> Checksum {
        let bytes = self.bytes.get(start..).unwrap_or_default();
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let mut sum = around
            .iter()
            .rev()
            .find_map(|(_, layer)| match *layer {
                Layer::Ipv4 {
                    source,
                    destination,
                } => Some(Checksum::pseudo_ipv4(source, destination, number, length)),
                Layer::Ipv6 {
                    source,
                    destination,
                } => Some(Checksum::pseudo_ipv6(source, destination, number, length)),
                _ => None,
            })
            .unwrap_or_default();
        sum.add(bytes);
        sum
    }
}

fn echo(identifier: u16, sequence: u16) -> [u8; 4] {
    let [a, b] = identifier.to_be_bytes();
    let [c, d] = sequence.to_be_bytes();
    [a, b, c, d]
}
