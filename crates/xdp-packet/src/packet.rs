//! Parsing a frame's headers once.

use crate::quic::{Quic, QuicIncomplete, SHORT_CID_MAX};
use crate::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Facts, Frame, Icmp, Ipv4, Ipv6, SCRATCH_SIZE,
    Scratch, Tcp, Udp,
};

/// IP protocol numbers (the IPv4 protocol field, the IPv6 next header).
pub mod protocol {
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// IPv4 in IP.
    pub const IPV4: u8 = 4;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 in IP.
    pub const IPV6: u8 = 41;
    /// ICMPv6.
    pub const ICMPV6: u8 = 58;
}

/// How deep to parse. Each step includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// Ethernet.
    Link,
    /// IPv4 or IPv6.
    Network,
    /// UDP or TCP.
    Transport,
    /// QUIC, ICMP or an inner IP header.
    Upper,
}

impl Depth {
    /// Bytes from the start of the frame that parsing to this depth can look at.
    const fn reach(self) -> usize {
        match self {
            Self::Link => Ethernet::SIZE,
            Self::Network => Ethernet::SIZE + Ipv6::SIZE,
            Self::Transport => Ethernet::SIZE + Ipv6::SIZE + 60,
            Self::Upper => SCRATCH_SIZE,
        }
    }
}

/// The headers of one frame, parsed once: the bytes that hold them, what was found in them and where.
///
/// Three words, so that it stays in registers between parsing and matching.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// The frame's first buffer, or its gathered head.
    head: &'a [u8],
    found: Found,
}

/// Offset of the network header. With VLAN tags there is none that rules see.
const NETWORK: usize = Ethernet::SIZE;
/// Offset of what IPv4 carries.
const BEHIND_IPV4: u8 = (NETWORK + Ipv4::SIZE) as u8;
/// Offset of what IPv6 carries.
const BEHIND_IPV6: u8 = (NETWORK + Ipv6::SIZE) as u8;

impl<'a> Packet<'a> {
    /// Parses the headers of `frame` down to `depth`.
    ///
    /// The result does not depend on how the frame is split into buffers, apart from [`Facts::GATHERED`] and the length of
    /// [`Packet::payload`].
    #[inline]
    #[must_use]
    pub fn parse(frame: &Frame<'a>, depth: Depth, scratch: &'a mut Scratch) -> Self {
        let head = frame.first();
        let found = parse(head, depth);
        if found.is_cut() && !frame.is_contiguous() {
            return Self::parse_gathered(frame, depth, scratch);
        }
        Self { head, found }
    }

    /// Parses the headers of a frame of one buffer.
    #[inline]
    #[must_use]
    pub fn parse_slice(bytes: &'a [u8], depth: Depth) -> Self {
        Self {
            head: bytes,
            found: parse(bytes, depth),
        }
    }

    #[cold]
    #[inline(never)]
    fn parse_gathered(frame: &Frame<'_>, depth: Depth, scratch: &'a mut Scratch) -> Self {
        let head = scratch.gather(frame, depth.reach());
        Self {
            head,
            found: parse(head, depth).with(Facts::GATHERED),
        }
    }

    /// Returns what was found.
    #[inline]
    #[must_use]
    pub const fn facts(&self) -> Facts {
        self.found.facts()
    }

    /// Returns the Ethernet header.
    #[inline]
    #[must_use]
    pub fn ethernet(&self) -> Option<Ethernet<'a>> {
        self.header(Facts::ETHERNET, 0).map(Ethernet)
    }

    /// Returns the IPv4 header.
    #[inline]
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4<'a>> {
        self.header(Facts::IPV4, NETWORK).map(Ipv4)
    }

    /// Returns the IPv6 header.
    #[inline]
    #[must_use]
    pub fn ipv6(&self) -> Option<Ipv6<'a>> {
        self.header(Facts::IPV6, NETWORK).map(Ipv6)
    }

    /// Returns the protocol of what IP carries: the IPv4 protocol or the IPv6 next header.
    #[inline]
    #[must_use]
    pub fn ip_protocol(&self) -> Option<u8> {
        self.facts()
            .intersects(Facts::IPV4 | Facts::IPV6)
            .then_some(self.found.protocol())
    }

    /// Returns the UDP header.
    #[inline]
    #[must_use]
    pub fn udp(&self) -> Option<Udp<'a>> {
        self.header(Facts::UDP, self.transport_start()).map(Udp)
    }

    /// Returns the TCP header.
    #[inline]
    #[must_use]
    pub fn tcp(&self) -> Option<Tcp<'a>> {
        let start = self.transport_start();
        let header = self.header(Facts::TCP, start)?;
        let options = self
            .head
            .get(start..self.found.payload())?
            .get(Tcp::SIZE..)?;
        Some(Tcp { header, options })
    }

    /// Returns the source and destination port of UDP or TCP.
    #[inline]
    #[must_use]
    pub fn ports(&self) -> Option<(u16, u16)> {
        let &[a, b, c, d] = self
            .header(Facts::UDP, self.transport_start())
            .or_else(|| self.header(Facts::TCP, self.transport_start()))?;
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// Returns what follows the transport header, or the network header when the protocol is neither UDP nor TCP, as far as
    /// it lies in the buffer that was parsed: complete in a frame of one buffer, else at least as much as matching needs.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        if self
            .facts()
            .intersects(Facts::UDP | Facts::TCP | Facts::IP_PAYLOAD)
        {
            self.head.get(self.found.payload()..).unwrap_or_default()
        } else {
            &[]
        }
    }

    /// Returns the connection ID that rules compare when the payload of UDP or TCP is read as QUIC: the source of a long
    /// header ([`Facts::QUIC_LONG`]), the destination of a short one ([`Facts::QUIC_SHORT`]), of which at most 20 bytes.
    #[inline]
    #[must_use]
    pub fn quic_cid(&self) -> Option<&'a [u8]> {
        if !self
            .facts()
            .intersects(Facts::QUIC_LONG | Facts::QUIC_SHORT)
        {
            return None;
        }
        self.head
            .get(self.found.cid()..)?
            .get(..self.found.cid_size())
    }

    /// Returns the payload of UDP or TCP read as QUIC. Nothing says that it *is* QUIC.
    #[must_use]
    pub fn quic(&self) -> Option<Quic<'a>> {
        self.facts()
            .intersects(Facts::QUIC_LONG | Facts::QUIC_SHORT)
            .then(|| Quic::parse(self.payload()).ok())
            .flatten()
    }

    /// Returns the ICMP header: IPv4 with protocol 1 ([`Facts::ICMPV4`]) or IPv6 with next header 58 ([`Facts::ICMPV6`]).
    #[inline]
    #[must_use]
    pub fn icmp(&self) -> Option<Icmp<'a>> {
        if !self.facts().intersects(Facts::ICMPV4 | Facts::ICMPV6) {
            return None;
        }
        self.payload().first_chunk().map(Icmp)
    }

    /// Returns the IPv4 header inside IP with protocol 4. Version 4 and no options are checked, the protocol is not.
    #[inline]
    #[must_use]
    pub fn inner_ipv4(&self) -> Option<Ipv4<'a>> {
        self.header(Facts::INNER_IPV4, self.found.payload())
            .map(Ipv4)
    }

    /// Returns the IPv6 header inside IP with protocol 41. Version 6 is checked, the next header is not.
    #[inline]
    #[must_use]
    pub fn inner_ipv6(&self) -> Option<Ipv6<'a>> {
        self.header(Facts::INNER_IPV6, self.found.payload())
            .map(Ipv6)
    }

    /// Returns the offset of the transport header.
    #[must_use]
    pub fn transport_offset(&self) -> Option<usize> {
        self.facts()
            .intersects(Facts::UDP | Facts::TCP)
            .then(|| self.transport_start())
    }

    /// Returns the offset of what [`Packet::payload`] returns.
    #[must_use]
    pub fn payload_offset(&self) -> Option<usize> {
        self.facts()
            .intersects(Facts::UDP | Facts::TCP | Facts::IP_PAYLOAD)
            .then_some(self.found.payload())
    }

    #[inline]
    fn transport_start(&self) -> usize {
        usize::from(if self.facts().contains(Facts::IPV6) {
            BEHIND_IPV6
        } else {
            BEHIND_IPV4
        })
    }

    #[inline]
    fn header<const SIZE: usize>(&self, fact: Facts, start: usize) -> Option<&'a [u8; SIZE]> {
        if !self.facts().contains(fact) {
            return None;
        }
        self.head.get(start..)?.first_chunk()
    }
}

/// Parses `head` down to `depth`.
#[inline]
fn parse(head: &[u8], depth: Depth) -> Found {
    let Some((link, rest)) = head.split_first_chunk::<14>() else {
        return Found::new(Facts::NONE).cut();
    };
    if depth == Depth::Link {
        return Found::new(Facts::ETHERNET);
    }
    match Ethernet(link).ethertype() {
        ETHERTYPE_IPV4 => {
            let Some((ip, rest)) = rest.split_first_chunk::<20>() else {
                return Found::new(Facts::ETHERNET).cut();
            };
            let ip = Ipv4(ip);
            if ip.header_words() != 5 {
                let options = if ip.header_words() > 5 {
                    Facts::IPV4_OPTIONS
                } else {
                    Facts::NONE
                };
                return Found::new(Facts::ETHERNET).with(options);
            }
            let found = Found::new(Facts::ETHERNET.union(Facts::IPV4)).with_protocol(ip.protocol());
            parse_transport(found, BEHIND_IPV4, rest, depth)
        }
        ETHERTYPE_IPV6 => {
            let Some((ip, rest)) = rest.split_first_chunk::<40>() else {
                return Found::new(Facts::ETHERNET).cut();
            };
            let found = Found::new(Facts::ETHERNET.union(Facts::IPV6))
                .with_protocol(Ipv6(ip).next_header());
            parse_transport(found, BEHIND_IPV6, rest, depth)
        }
        number => Found::new(Facts::ETHERNET).with(if is_vlan(number) {
            Facts::VLAN
        } else {
            Facts::NONE
        }),
    }
}

#[inline]
fn parse_transport(found: Found, start: u8, bytes: &[u8], depth: Depth) -> Found {
    if depth < Depth::Transport {
        return found;
    }
    match found.protocol() {
        protocol::UDP => {
            let Some((_, rest)) = bytes.split_first_chunk::<8>() else {
                return found.cut();
            };
            let start = start.wrapping_add(8);
            let found = found.with(Facts::UDP).with_payload(start);
            if depth == Depth::Upper {
                parse_quic(found, start, rest)
            } else {
                found
            }
        }
        protocol::TCP => {
            let Some((tcp, rest)) = Tcp::split(bytes) else {
                return found.cut();
            };
            let start = start.wrapping_add(tcp.header_words() << 2);
            let found = found.with(Facts::TCP).with_payload(start);
            if depth == Depth::Upper {
                parse_quic(found, start, rest)
            } else {
                found
            }
        }
        _ => {
            let found = found.with(Facts::IP_PAYLOAD).with_payload(start);
            let in_ipv6 = found.facts().contains(Facts::IPV6);
            if in_ipv6 && is_ipv6_extension(found.protocol()) {
                return found.with(Facts::IPV6_EXTENSION);
            }
            if depth == Depth::Upper {
                parse_in_ip(found, bytes)
            } else {
                found
            }
        }
    }
}

/// Tells whether an EtherType announces a VLAN tag: IEEE 802.1Q, 802.1ad, or the older double tag.
pub(crate) const fn is_vlan(ethertype: u16) -> bool {
    matches!(ethertype, 0x8100 | 0x88A8 | 0x9100)
}

/// Tells whether a next header is an extension header with a length of its own: hop-by-hop, routing, fragment,
/// authentication, destination options, mobility, HIP, shim6.
pub(crate) const fn is_ipv6_extension(number: u8) -> bool {
    matches!(number, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140)
}

#[inline]
fn parse_quic(found: Found, start: u8, bytes: &[u8]) -> Found {
    match Quic::parse(bytes) {
        Ok(Quic::Long {
            destination,
            source,
            ..
        }) => {
            // Flags, version, two lengths and the destination ID lie before the source ID. An ID has at most 255 bytes, so
            // that no sum can wrap and no length is cut.
            let before = 7u16.wrapping_add(destination.len() as u16);
            found
                .with(Facts::QUIC_LONG)
                .with_cid(u16::from(start).wrapping_add(before), source.len() as u8)
        }
        Ok(Quic::Short { destination }) => {
            let found = found.with(Facts::QUIC_SHORT);
            let found = found.with_cid(u16::from(start).wrapping_add(1), destination.len() as u8);
            if destination.len() < SHORT_CID_MAX {
                found.cut()
            } else {
                found
            }
        }
        Err(QuicIncomplete) => found.cut(),
    }
}

#[inline(never)]
fn parse_in_ip(found: Found, bytes: &[u8]) -> Found {
    let outer_is_v4 = found.facts().contains(Facts::IPV4);
    match found.protocol() {
        protocol::ICMP if outer_is_v4 => match bytes.first_chunk::<4>() {
            Some(_) => found.with(Facts::ICMPV4),
            None => found.cut(),
        },
        protocol::ICMPV6 if !outer_is_v4 => match bytes.first_chunk::<4>() {
            Some(_) => found.with(Facts::ICMPV6),
            None => found.cut(),
        },
        protocol::IPV4 => match bytes.first_chunk() {
            Some(inner) if Ipv4(inner).is_plain() => found.with(Facts::INNER_IPV4),
            Some(_) => found,
            None => found.cut(),
        },
        protocol::IPV6 => match bytes.first_chunk() {
            Some(inner) if Ipv6(inner).version() == 6 => found.with(Facts::INNER_IPV6),
            Some(_) => found,
            None => found.cut(),
        },
        _ => found,
    }
}

/// What was found and where, in one word: with fields of their own it would be written in pieces and read back whole, which
/// stalls the processor for longer than the parsing takes.
///
/// Bits 0 to 15 are the [`Facts`]; 16 to 23 the protocol; 24 to 31 where the payload of the deepest header starts (at most
/// 114, behind IPv6 and a TCP header of 60 bytes); 32 to 47 where the QUIC connection ID starts; 48 to 55 its length; bit 56
/// says that a header was not all there, so that more bytes could change the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Found(u64);

impl Found {
    #[inline]
    const fn new(facts: Facts) -> Self {
        Self(facts.0 as u64)
    }

    #[inline]
    const fn with(self, facts: Facts) -> Self {
        Self(self.0 | facts.0 as u64)
    }

    #[inline]
    const fn with_protocol(self, protocol: u8) -> Self {
        Self(self.0 | (protocol as u64) << 16)
    }

    #[inline]
    const fn with_payload(self, start: u8) -> Self {
        Self(self.0 | (start as u64) << 24)
    }

    #[inline]
    const fn with_cid(self, start: u16, size: u8) -> Self {
        Self(self.0 | (start as u64) << 32 | (size as u64) << 48)
    }

    #[inline]
    const fn cut(self) -> Self {
        Self(self.0 | 1 << 56)
    }

    #[inline]
    const fn facts(self) -> Facts {
        Facts(self.0 as u16)
    }

    #[inline]
    const fn protocol(self) -> u8 {
        (self.0 >> 16) as u8
    }

    #[inline]
    const fn payload(self) -> usize {
        (self.0 >> 24) as u8 as usize
    }

    #[inline]
    const fn cid(self) -> usize {
        (self.0 >> 32) as u16 as usize
    }

    #[inline]
    const fn cid_size(self) -> usize {
        (self.0 >> 48) as u8 as usize
    }

    #[inline]
    const fn is_cut(self) -> bool {
        self.0 & 1 << 56 != 0
    }
}
