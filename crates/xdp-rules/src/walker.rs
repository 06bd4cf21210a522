//! The plain list walker: what a classifier has to agree with, and what it is measured against.

use crate::pattern::{Flow, Masked, Pattern, PortSet, Tuple};
use core::net::{Ipv4Addr, Ipv6Addr};
use xdp_abi::Port;
use xdp_packet::{Facts, Icmp, Packet, protocol};

/// Returns the index of the first pattern that a packet, parsed to the end, matches.
#[inline]
pub fn walk<'a, P: PortSet + 'a>(
    patterns: impl IntoIterator<Item = &'a Pattern<P>>,
    packet: &Packet<'_>,
) -> Option<usize> {
    patterns
        .into_iter()
        .position(|pattern| matches(pattern, packet))
}

/// Tells whether a packet, parsed to the end, matches a pattern.
#[inline]
pub fn matches<P: PortSet>(pattern: &Pattern<P>, packet: &Packet<'_>) -> bool {
    let udp_port = || packet.udp().map(|udp| udp.destination_port());
    let tcp_port = || packet.tcp().map(|tcp| tcp.destination_port());
    let v4 = || packet.ipv4().map(|ip| ip.destination_addr());
    let v6 = || packet.ipv6().map(|ip| ip.destination_addr());
    let holds =
        |ports: &P, port: Option<u16>| port.is_some_and(|port| ports.contains(Port::new(port)));
    match pattern {
        Pattern::All => true,
        Pattern::Udp => packet.udp().is_some(),
        Pattern::UdpDst(port) => udp_port() == Some(*port),
        Pattern::Ipv4DstMask(masked) => v4().is_some_and(|ip| in_mask4(*masked, ip)),
        Pattern::Ipv6DstMask(masked) => v6().is_some_and(|ip| in_mask6(*masked, ip)),
        Pattern::QuicFlowSrcCid(flow) => in_flow(flow, udp_port(), packet, Facts::QUIC_LONG),
        Pattern::QuicFlowDstCid(flow) => in_flow(flow, udp_port(), packet, Facts::QUIC_SHORT),
        Pattern::Ipv4UdpTuple(tuple) => packet.ipv4().zip(packet.udp()).is_some_and(|(ip, udp)| {
            *tuple
                == Tuple {
                    source: ip.source_addr(),
                    destination: ip.destination_addr(),
                    source_port: udp.source_port(),
                    destination_port: udp.destination_port(),
                }
        }),
        Pattern::Ipv6UdpTuple(tuple) => packet.ipv6().zip(packet.udp()).is_some_and(|(ip, udp)| {
            *tuple
                == Tuple {
                    source: ip.source_addr(),
                    destination: ip.destination_addr(),
                    source_port: udp.source_port(),
                    destination_port: udp.destination_port(),
                }
        }),
        Pattern::UdpPortSet(ports) => holds(ports, udp_port()),
        Pattern::Ipv4UdpPortSet(at) => v4() == Some(at.address) && holds(&at.ports, udp_port()),
        Pattern::Ipv6UdpPortSet(at) => v6() == Some(at.address) && holds(&at.ports, udp_port()),
        Pattern::Ipv4TcpPortSet(at) => v4() == Some(at.address) && holds(&at.ports, tcp_port()),
        Pattern::Ipv6TcpPortSet(at) => v6() == Some(at.address) && holds(&at.ports, tcp_port()),
        Pattern::TcpDst(port) => tcp_port() == Some(*port),
        Pattern::TcpQuicFlowSrcCid(flow) => in_flow(flow, tcp_port(), packet, Facts::QUIC_LONG),
        Pattern::TcpQuicFlowDstCid(flow) => in_flow(flow, tcp_port(), packet, Facts::QUIC_SHORT),
        Pattern::TcpControlDst(port) => packet
            .tcp()
            .is_some_and(|tcp| tcp.destination_port() == *port && tcp.is_control()),
        Pattern::IpNextHeader(number) => packet.ip_protocol() == Some(*number),
        Pattern::InnerIpv4DstMaskUdp(masked) => packet.inner_ipv4().is_some_and(|ip| {
            ip.protocol() == protocol::UDP && in_mask4(*masked, ip.destination_addr())
        }),
        Pattern::InnerIpv6DstMaskUdp(masked) => packet.inner_ipv6().is_some_and(|ip| {
            ip.next_header() == protocol::UDP && in_mask6(*masked, ip.destination_addr())
        }),
        Pattern::Icmpv4EchoReplyIpDst(address) => {
            v4() == Some(*address) && is_reply(packet, Facts::ICMPV4, Icmp::V4_ECHO_REPLY)
        }
        Pattern::Icmpv6EchoReplyIpDst(address) => {
            v6() == Some(*address) && is_reply(packet, Facts::ICMPV6, Icmp::V6_ECHO_REPLY)
        }
    }
}

fn in_mask4(masked: Masked<Ipv4Addr>, address: Ipv4Addr) -> bool {
    address & masked.mask == masked.address
}

fn in_mask6(masked: Masked<Ipv6Addr>, address: Ipv6Addr) -> bool {
    address & masked.mask == masked.address
}

fn in_flow(flow: &Flow, port: Option<u16>, packet: &Packet<'_>, form: Facts) -> bool {
    port == Some(flow.port)
        && packet.facts().contains(form)
        && packet.quic_cid().is_some_and(|cid| {
            cid.get(usize::from(flow.cid.offset())..usize::from(flow.cid.end()))
                == Some(flow.cid.bytes())
        })
}

fn is_reply(packet: &Packet<'_>, version: Facts, reply: u8) -> bool {
    packet.facts().contains(version)
        && packet
            .icmp()
            .is_some_and(|icmp| icmp.message_type() == reply && icmp.code() == 0)
}
