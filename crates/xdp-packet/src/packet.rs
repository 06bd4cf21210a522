//! Parsing a frame's headers once.

use crate::parse::{BEHIND_IPV4, BEHIND_IPV6, Found, NETWORK, parse};
use crate::{Ethernet, Facts, Frame, Icmp, Ipv4, Ipv6, Quic, SCRATCH_SIZE, Scratch, Tcp, Udp};

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
