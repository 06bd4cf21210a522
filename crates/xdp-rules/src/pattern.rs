//! What a rule looks at, validated.

use core::net::{Ipv4Addr, Ipv6Addr};
use xdp_abi::{MatchType, Port};

/// A set of ports, which may change while it is in use.
///
/// In the driver it is a bitmap in memory that the application keeps writing to: a change takes effect on packets that
/// arrive later. A classifier therefore never copies what is in a set; it keeps clones of the handle, which are the same set.
pub trait PortSet {
    /// Tells whether the set holds `port` right now.
    fn contains(&self, port: Port) -> bool;

    /// Returns a number that two sets share only if they are the same memory.
    fn identity(&self) -> u64;
}

impl<P: PortSet + ?Sized> PortSet for &P {
    #[inline]
    fn contains(&self, port: Port) -> bool {
        (**self).contains(port)
    }

    #[inline]
    fn identity(&self) -> u64 {
        (**self).identity()
    }
}

/// An address that must remain of the packet's after masking. It is not masked itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Masked<A> {
    /// Bits that count.
    pub mask: A,
    /// What they must be.
    pub address: A,
}

/// Both ends of a UDP flow; ports as people write them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Tuple<A> {
    /// Source address.
    pub source: A,
    /// Destination address.
    pub destination: A,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
}

/// A destination address and a set of destination ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AddressPorts<A, P> {
    /// Destination address.
    pub address: A,
    /// Destination ports.
    pub ports: P,
}

/// A destination port and a piece of a QUIC connection ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Destination port, as people write it.
    pub port: u16,
    /// The piece of connection ID.
    pub cid: CidSlice,
}

/// Some bytes at some offset of a QUIC connection ID, not reaching past byte 20.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CidSlice {
    offset: u8,
    length: u8,
    bytes: [u8; Self::MAX],
}

impl CidSlice {
    /// Longest connection ID that rules look at.
    pub const MAX: usize = xdp_abi::rule::QUIC_MAX_CID_LENGTH;

    /// Makes a slice that compares `bytes` at `offset`. None when that reaches past byte 20.
    #[must_use]
    pub fn new(offset: u8, bytes: &[u8]) -> Option<Self> {
        let end = usize::from(offset).checked_add(bytes.len())?;
        if end > Self::MAX {
            return None;
        }
        let mut copy = [0; Self::MAX];
        copy.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Self {
            offset,
            length: u8::try_from(bytes.len()).ok()?,
            bytes: copy,
        })
    }

    /// Returns where in the connection ID comparing starts.
    #[inline]
    #[must_use]
    pub const fn offset(&self) -> u8 {
        self.offset
    }

    /// Returns how many bytes a connection ID must have at least.
    #[inline]
    #[must_use]
    pub const fn end(&self) -> u8 {
        self.offset.wrapping_add(self.length)
    }

    /// Returns the bytes that are compared.
    #[inline]
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or(&[])
    }

    /// Returns the bytes that are compared, followed by zeros.
    #[inline]
    #[must_use]
    pub const fn padded(&self) -> &[u8; Self::MAX] {
        &self.bytes
    }
}

/// Returns the port set of a rule for any address.
pub(crate) const fn any_udp_ports<P>(pattern: &Pattern<P>) -> Option<&P> {
    match pattern {
        Pattern::UdpPortSet(ports) => Some(ports),
        _ => None,
    }
}

/// What a rule looks at. `P` is how port sets are held: by application address when just validated, by mapped memory later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pattern<P> {
    /// Every frame, even a runt.
    All,
    /// A UDP header is present.
    Udp,
    /// UDP destination port.
    UdpDst(u16),
    /// Masked IPv4 destination.
    Ipv4DstMask(Masked<Ipv4Addr>),
    /// Masked IPv6 destination.
    Ipv6DstMask(Masked<Ipv6Addr>),
    /// UDP destination port and source connection ID of a long QUIC header.
    QuicFlowSrcCid(Flow),
    /// UDP destination port and destination connection ID of a short QUIC header.
    QuicFlowDstCid(Flow),
    /// Both ends of IPv4 UDP.
    Ipv4UdpTuple(Tuple<Ipv4Addr>),
    /// Both ends of IPv6 UDP.
    Ipv6UdpTuple(Tuple<Ipv6Addr>),
    /// UDP destination port in a set.
    UdpPortSet(P),
    /// IPv4 destination, and UDP destination port in a set.
    Ipv4UdpPortSet(AddressPorts<Ipv4Addr, P>),
    /// IPv6 destination, and UDP destination port in a set.
    Ipv6UdpPortSet(AddressPorts<Ipv6Addr, P>),
    /// IPv4 destination, and TCP destination port in a set.
    Ipv4TcpPortSet(AddressPorts<Ipv4Addr, P>),
    /// IPv6 destination, and TCP destination port in a set.
    Ipv6TcpPortSet(AddressPorts<Ipv6Addr, P>),
    /// TCP destination port.
    TcpDst(u16),
    /// As [`Pattern::QuicFlowSrcCid`], over a TCP payload.
    TcpQuicFlowSrcCid(Flow),
    /// As [`Pattern::QuicFlowDstCid`], over a TCP payload.
    TcpQuicFlowDstCid(Flow),
    /// TCP destination port of a segment with SYN, FIN or RST.
    TcpControlDst(u16),
    /// IPv4 protocol or IPv6 next header.
    IpNextHeader(u8),
    /// Masked destination of IPv4 UDP inside IP.
    InnerIpv4DstMaskUdp(Masked<Ipv4Addr>),
    /// Masked destination of IPv6 UDP inside IP.
    InnerIpv6DstMaskUdp(Masked<Ipv6Addr>),
    /// IPv4 destination of an ICMP echo reply.
    Icmpv4EchoReplyIpDst(Ipv4Addr),
    /// IPv6 destination of an ICMPv6 echo reply.
    Icmpv6EchoReplyIpDst(Ipv6Addr),
}

impl<P> Pattern<P> {
    /// Returns the match type of the application interface.
    #[must_use]
    pub const fn match_type(&self) -> MatchType {
        match self {
            Self::All => MatchType::ALL,
            Self::Udp => MatchType::UDP,
            Self::UdpDst(_) => MatchType::UDP_DST,
            Self::Ipv4DstMask(_) => MatchType::IPV4_DST_MASK,
            Self::Ipv6DstMask(_) => MatchType::IPV6_DST_MASK,
            Self::QuicFlowSrcCid(_) => MatchType::QUIC_FLOW_SRC_CID,
            Self::QuicFlowDstCid(_) => MatchType::QUIC_FLOW_DST_CID,
            Self::Ipv4UdpTuple(_) => MatchType::IPV4_UDP_TUPLE,
            Self::Ipv6UdpTuple(_) => MatchType::IPV6_UDP_TUPLE,
            Self::UdpPortSet(_) => MatchType::UDP_PORT_SET,
            Self::Ipv4UdpPortSet(_) => MatchType::IPV4_UDP_PORT_SET,
            Self::Ipv6UdpPortSet(_) => MatchType::IPV6_UDP_PORT_SET,
            Self::Ipv4TcpPortSet(_) => MatchType::IPV4_TCP_PORT_SET,
            Self::Ipv6TcpPortSet(_) => MatchType::IPV6_TCP_PORT_SET,
            Self::TcpDst(_) => MatchType::TCP_DST,
            Self::TcpQuicFlowSrcCid(_) => MatchType::TCP_QUIC_FLOW_SRC_CID,
            Self::TcpQuicFlowDstCid(_) => MatchType::TCP_QUIC_FLOW_DST_CID,
            Self::TcpControlDst(_) => MatchType::TCP_CONTROL_DST,
            Self::IpNextHeader(_) => MatchType::IP_NEXT_HEADER,
            Self::InnerIpv4DstMaskUdp(_) => MatchType::INNER_IPV4_DST_MASK_UDP,
            Self::InnerIpv6DstMaskUdp(_) => MatchType::INNER_IPV6_DST_MASK_UDP,
            Self::Icmpv4EchoReplyIpDst(_) => MatchType::ICMPV4_ECHO_REPLY_IP_DST,
            Self::Icmpv6EchoReplyIpDst(_) => MatchType::ICMPV6_ECHO_REPLY_IP_DST,
        }
    }

    /// Returns the port set, for the patterns that have one.
    #[must_use]
    pub const fn port_set(&self) -> Option<&P> {
        match self {
            Self::UdpPortSet(ports) => Some(ports),
            Self::Ipv4UdpPortSet(at) | Self::Ipv4TcpPortSet(at) => Some(&at.ports),
            Self::Ipv6UdpPortSet(at) | Self::Ipv6TcpPortSet(at) => Some(&at.ports),
            _ => None,
        }
    }

    /// Replaces the port set, for the patterns that have one.
    ///
    /// # Errors
    ///
    /// The error of `map`.
    pub fn try_map_port_set<Q, E>(
        self,
        map: impl FnOnce(P) -> Result<Q, E>,
    ) -> Result<Pattern<Q>, E> {
        fn at<A, P, Q, E>(
            from: AddressPorts<A, P>,
            map: impl FnOnce(P) -> Result<Q, E>,
        ) -> Result<AddressPorts<A, Q>, E> {
            Ok(AddressPorts {
                address: from.address,
                ports: map(from.ports)?,
            })
        }
        Ok(match self {
            Self::All => Pattern::All,
            Self::Udp => Pattern::Udp,
            Self::UdpDst(port) => Pattern::UdpDst(port),
            Self::Ipv4DstMask(masked) => Pattern::Ipv4DstMask(masked),
            Self::Ipv6DstMask(masked) => Pattern::Ipv6DstMask(masked),
            Self::QuicFlowSrcCid(flow) => Pattern::QuicFlowSrcCid(flow),
            Self::QuicFlowDstCid(flow) => Pattern::QuicFlowDstCid(flow),
            Self::Ipv4UdpTuple(tuple) => Pattern::Ipv4UdpTuple(tuple),
            Self::Ipv6UdpTuple(tuple) => Pattern::Ipv6UdpTuple(tuple),
            Self::UdpPortSet(ports) => Pattern::UdpPortSet(map(ports)?),
            Self::Ipv4UdpPortSet(from) => Pattern::Ipv4UdpPortSet(at(from, map)?),
            Self::Ipv6UdpPortSet(from) => Pattern::Ipv6UdpPortSet(at(from, map)?),
            Self::Ipv4TcpPortSet(from) => Pattern::Ipv4TcpPortSet(at(from, map)?),
            Self::Ipv6TcpPortSet(from) => Pattern::Ipv6TcpPortSet(at(from, map)?),
            Self::TcpDst(port) => Pattern::TcpDst(port),
            Self::TcpQuicFlowSrcCid(flow) => Pattern::TcpQuicFlowSrcCid(flow),
            Self::TcpQuicFlowDstCid(flow) => Pattern::TcpQuicFlowDstCid(flow),
            Self::TcpControlDst(port) => Pattern::TcpControlDst(port),
            Self::IpNextHeader(number) => Pattern::IpNextHeader(number),
            Self::InnerIpv4DstMaskUdp(masked) => Pattern::InnerIpv4DstMaskUdp(masked),
            Self::InnerIpv6DstMaskUdp(masked) => Pattern::InnerIpv6DstMaskUdp(masked),
            Self::Icmpv4EchoReplyIpDst(address) => Pattern::Icmpv4EchoReplyIpDst(address),
            Self::Icmpv6EchoReplyIpDst(address) => Pattern::Icmpv6EchoReplyIpDst(address),
        })
    }
}

/// The port set of rule lists that have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NoPorts {}

impl PortSet for NoPorts {
    fn contains(&self, _: Port) -> bool {
        match *self {}
    }

    fn identity(&self) -> u64 {
        match *self {}
    }
}
