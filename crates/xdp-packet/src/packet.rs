//! Parsing a frame's headers once.

use crate::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, Ethernet, Frame, Icmp, Ipv4, Ipv6, Quic, SCRATCH_SIZE, Scratch,
    Tcp, Udp,
};
use core::ops::{BitOr, BitOrAssign};

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

/// What was found in a frame, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Facts(pub u16);

impl Facts {
    /// Nothing.
    pub const NONE: Self = Self(0);
    /// An Ethernet header is present.
    pub const ETHERNET: Self = Self(1 << 0);
    /// An IPv4 header without options is present.
    pub const IPV4: Self = Self(1 << 1);
    /// An IPv6 header is present.
    pub const IPV6: Self = Self(1 << 2);
    /// A UDP header is present.
    pub const UDP: Self = Self(1 << 3);
    /// A TCP header is present.
    pub const TCP: Self = Self(1 << 4);
    /// The payload of IP is neither UDP nor TCP.
    pub const IP_PAYLOAD: Self = Self(1 << 5);
    /// The payload of UDP or TCP starts with a QUIC long header, if it is QUIC.
    pub const QUIC_LONG: Self = Self(1 << 6);
    /// The payload of UDP or TCP starts with a QUIC short header, if it is QUIC.
    pub const QUIC_SHORT: Self = Self(1 << 7);
    /// An ICMP header (IPv4) is present.
    pub const ICMPV4: Self = Self(1 << 8);
    /// An ICMPv6 header is present.
    pub const ICMPV6: Self = Self(1 << 9);
    /// An inner IPv4 header without options is present.
    pub const INNER_IPV4: Self = Self(1 << 10);
    /// An inner IPv6 header is present.
    pub const INNER_IPV6: Self = Self(1 << 11);
    /// A VLAN tag hides the rest from standard rules.
    pub const VLAN: Self = Self(1 << 12);
    /// IPv4 options hide the IPv4 header from standard rules.
    pub const IPV4_OPTIONS: Self = Self(1 << 13);
    /// An IPv6 extension header hides what follows from standard rules.
    pub const IPV6_EXTENSION: Self = Self(1 << 14);
    /// Headers crossed buffers and were gathered.
    pub const GATHERED: Self = Self(1 << 15);

    /// Tells whether all of `facts` hold.
    #[inline]
    #[must_use]
    pub const fn contains(self, facts: Self) -> bool {
        self.0 & facts.0 == facts.0
    }

    /// Tells whether any of `facts` holds.
    #[inline]
    #[must_use]
    pub const fn intersects(self, facts: Self) -> bool {
        self.0 & facts.0 != 0
    }
}

impl BitOr for Facts {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Facts {
    #[inline]
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

/// The network header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network<'a> {
    /// None that rules see.
    #[default]
    Absent,
    /// IPv4 without options.
    Ipv4(Ipv4<'a>),
    /// IPv6.
    Ipv6(Ipv6<'a>),
}

/// The transport header of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transport<'a> {
    /// None that rules see.
    #[default]
    Absent,
    /// UDP.
    Udp(Udp<'a>),
    /// TCP.
    Tcp(Tcp<'a>),
}

/// What lies above UDP or TCP, or directly in IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upper<'a> {
    /// Nothing that rules see.
    #[default]
    Absent,
    /// In UDP or TCP: the payload read as QUIC. Nothing says that it *is* QUIC.
    Quic(Quic<'a>),
    /// In IPv4 with protocol 1.
    Icmpv4(Icmp<'a>),
    /// In IPv6 with next header 58.
    Icmpv6(Icmp<'a>),
    /// In IP with protocol 4: version 4 and no options are checked, the protocol is not.
    InnerIpv4(Ipv4<'a>),
    /// In IP with protocol 41: version 6 is checked, the next header is not.
    InnerIpv6(Ipv6<'a>),
}

/// The headers of one frame, parsed once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// What was found.
    pub facts: Facts,
    /// The Ethernet header.
    pub link: Option<Ethernet<'a>>,
    /// The network header.
    pub network: Network<'a>,
    /// The transport header.
    pub transport: Transport<'a>,
    /// What follows the transport header, or the network header when the protocol is neither UDP nor TCP, as far as it lies
    /// in the buffer that was parsed: complete in a frame of one buffer, else at least as much as [`Packet::upper`] needs.
    pub payload: &'a [u8],
    /// What lies above.
    pub upper: Upper<'a>,
}

impl<'a> Packet<'a> {
    const EMPTY: Self = Self {
        facts: Facts::NONE,
        link: None,
        network: Network::Absent,
        transport: Transport::Absent,
        payload: &[],
        upper: Upper::Absent,
    };

    /// Parses the headers of `frame` down to `depth`.
    ///
    /// The result does not depend on how the frame is split into buffers, apart from [`Facts::GATHERED`] and the length of
    /// [`Packet::payload`].
    #[inline]
    #[must_use]
    pub fn parse(frame: &Frame<'a>, depth: Depth, scratch: &'a mut Scratch) -> Self {
        let (packet, cut) = parse(frame.first(), depth);
        if cut && !frame.is_contiguous() {
            return Self::parse_gathered(frame, depth, scratch);
        }
        packet
    }

    /// Parses the headers of a frame of one buffer.
    #[inline]
    #[must_use]
    pub fn parse_slice(bytes: &'a [u8], depth: Depth) -> Self {
        parse(bytes, depth).0
    }

    #[cold]
    #[inline(never)]
    fn parse_gathered(frame: &Frame<'_>, depth: Depth, scratch: &'a mut Scratch) -> Self {
        let (mut packet, _) = parse(scratch.gather(frame, depth.reach()), depth);
        packet.facts |= Facts::GATHERED;
        packet
    }

    /// Returns the protocol of what IP carries: the IPv4 protocol or the IPv6 next header.
    #[inline]
    #[must_use]
    pub fn ip_protocol(&self) -> Option<u8> {
        match self.network {
            Network::Absent => None,
            Network::Ipv4(ip) => Some(ip.protocol()),
            Network::Ipv6(ip) => Some(ip.next_header()),
        }
    }

    /// Returns the IPv4 header.
    #[inline]
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4<'a>> {
        if let Network::Ipv4(ip) = self.network {
            Some(ip)
        } else {
            None
        }
    }

    /// Returns the IPv6 header.
    #[inline]
    #[must_use]
    pub fn ipv6(&self) -> Option<Ipv6<'a>> {
        if let Network::Ipv6(ip) = self.network {
            Some(ip)
        } else {
            None
        }
    }

    /// Returns the UDP header.
    #[inline]
    #[must_use]
    pub fn udp(&self) -> Option<Udp<'a>> {
        if let Transport::Udp(udp) = self.transport {
            Some(udp)
        } else {
            None
        }
    }

    /// Returns the TCP header.
    #[inline]
    #[must_use]
    pub fn tcp(&self) -> Option<Tcp<'a>> {
        if let Transport::Tcp(tcp) = self.transport {
            Some(tcp)
        } else {
            None
        }
    }

    /// Returns the payload of UDP or TCP read as QUIC.
    #[inline]
    #[must_use]
    pub fn quic(&self) -> Option<Quic<'a>> {
        if let Upper::Quic(quic) = self.upper {
            Some(quic)
        } else {
            None
        }
    }

    /// Returns the offset of the network header.
    #[must_use]
    pub fn network_offset(&self) -> Option<usize> {
        (self.network != Network::Absent).then_some(Ethernet::SIZE)
    }

    /// Returns the offset of the transport header.
    #[must_use]
    pub fn transport_offset(&self) -> Option<usize> {
        if self.transport == Transport::Absent {
            return None;
        }
        match self.network {
            Network::Absent => None,
            Network::Ipv4(_) => Some(Ethernet::SIZE + Ipv4::SIZE),
            Network::Ipv6(_) => Some(Ethernet::SIZE + Ipv6::SIZE),
        }
    }
}

/// Parses `head`. The flag says that a header was not all there, so that more bytes could change the result.
#[inline]
fn parse(head: &[u8], depth: Depth) -> (Packet<'_>, bool) {
    let mut packet = Packet::EMPTY;
    let Some((link, rest)) = head.split_first_chunk::<14>() else {
        return (packet, true);
    };
    let link = Ethernet(link);
    packet.facts = Facts::ETHERNET;
    packet.link = Some(link);
    if depth == Depth::Link {
        return (packet, false);
    }
    match link.ethertype() {
        ETHERTYPE_IPV4 => {
            let Some((ip, rest)) = rest.split_first_chunk::<20>() else {
                return (packet, true);
            };
            let ip = Ipv4(ip);
            if ip.header_words() != 5 {
                if ip.header_words() > 5 {
                    packet.facts |= Facts::IPV4_OPTIONS;
                }
                return (packet, false);
            }
            packet.facts |= Facts::IPV4;
            packet.network = Network::Ipv4(ip);
            let cut = parse_transport(&mut packet, ip.protocol(), rest, depth);
            (packet, cut)
        }
        ETHERTYPE_IPV6 => {
            let Some((ip, rest)) = rest.split_first_chunk::<40>() else {
                return (packet, true);
            };
            let ip = Ipv6(ip);
            packet.facts |= Facts::IPV6;
            packet.network = Network::Ipv6(ip);
            let cut = parse_transport(&mut packet, ip.next_header(), rest, depth);
            (packet, cut)
        }
        0x8100 | 0x88A8 | 0x9100 => {
            packet.facts |= Facts::VLAN;
            (packet, false)
        }
        _ => (packet, false),
    }
}

#[inline]
fn parse_transport<'a>(packet: &mut Packet<'a>, number: u8, bytes: &'a [u8], depth: Depth) -> bool {
    if depth < Depth::Transport {
        return false;
    }
    match number {
        protocol::UDP => {
            let Some((udp, payload)) = bytes.split_first_chunk::<8>() else {
                return true;
            };
            packet.facts |= Facts::UDP;
            packet.transport = Transport::Udp(Udp(udp));
            packet.payload = payload;
        }
        protocol::TCP => {
            let Some((tcp, payload)) = Tcp::split(bytes) else {
                return true;
            };
            packet.facts |= Facts::TCP;
            packet.transport = Transport::Tcp(tcp);
            packet.payload = payload;
        }
        _ => {
            packet.facts |= Facts::IP_PAYLOAD;
            packet.payload = bytes;
            if is_ipv6_extension(number) && matches!(packet.network, Network::Ipv6(_)) {
                packet.facts |= Facts::IPV6_EXTENSION;
            }
            return depth >= Depth::Upper && parse_in_ip(packet, number);
        }
    }
    depth >= Depth::Upper && parse_quic(packet)
}

/// Tells whether a next header is an extension header with a length of its own: hop-by-hop, routing, fragment,
/// authentication, destination options, mobility, HIP, shim6.
pub(crate) const fn is_ipv6_extension(number: u8) -> bool {
    matches!(number, 0 | 43 | 44 | 51 | 60 | 135 | 139 | 140)
}

#[inline]
fn parse_quic(packet: &mut Packet<'_>) -> bool {
    let Ok(quic) = Quic::parse(packet.payload) else {
        return true;
    };
    packet.upper = Upper::Quic(quic);
    packet.facts |= match quic {
        Quic::Long { .. } => Facts::QUIC_LONG,
        Quic::Short { .. } => Facts::QUIC_SHORT,
    };
    quic.is_cut()
}

fn parse_in_ip(packet: &mut Packet<'_>, number: u8) -> bool {
    let bytes = packet.payload;
    let outer_is_v4 = matches!(packet.network, Network::Ipv4(_));
    match number {
        protocol::ICMP if outer_is_v4 => {
            let Some(icmp) = bytes.first_chunk() else {
                return true;
            };
            packet.facts |= Facts::ICMPV4;
            packet.upper = Upper::Icmpv4(Icmp(icmp));
        }
        protocol::ICMPV6 if !outer_is_v4 => {
            let Some(icmp) = bytes.first_chunk() else {
                return true;
            };
            packet.facts |= Facts::ICMPV6;
            packet.upper = Upper::Icmpv6(Icmp(icmp));
        }
        protocol::IPV4 => {
            let Some(inner) = bytes.first_chunk() else {
                return true;
            };
            let inner = Ipv4(inner);
            if inner.is_plain() {
                packet.facts |= Facts::INNER_IPV4;
                packet.upper = Upper::InnerIpv4(inner);
            }
        }
        protocol::IPV6 => {
            let Some(inner) = bytes.first_chunk() else {
                return true;
            };
            let inner = Ipv6(inner);
            if inner.version() == 6 {
                packet.facts |= Facts::INNER_IPV6;
                packet.upper = Upper::InnerIpv6(inner);
            }
        }
        _ => {}
    }
    false
}
