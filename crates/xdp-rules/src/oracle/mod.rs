//! The specification of matching, written down a second time, byte by byte, with no code in common with what is tested; random
//! rules and frames; and the comparison of all ways to an answer.

mod equivalence;
mod generate;
pub mod hot;

pub use equivalence::{Equivalence, Mismatch};
pub use generate::{PortBits, Random, Universe};

use crate::pattern::{AddressPorts, Flow, Masked, Pattern, PortSet, Tuple};
use alloc::vec::Vec;
use xdp_abi::Port;

/// Tells whether a frame matches a pattern. Slow and plain on purpose.
#[must_use]
#[expect(
    clippy::indexing_slicing,
    reason = "the bounds are part of what is written down; a mistake must show"
)]
pub fn matches<P: PortSet>(pattern: &Pattern<P>, frame: &[u8]) -> bool {
    let seen = Seen::of(frame);
    let udp = seen.udp.as_ref();
    let tcp = seen.tcp.as_ref();
    match pattern {
        Pattern::All => true,
        Pattern::Udp => udp.is_some(),
        Pattern::UdpDst(port) => udp.is_some_and(|udp| udp.to == *port),
        Pattern::TcpDst(port) => tcp.is_some_and(|tcp| tcp.to == *port),
        Pattern::TcpControlDst(port) => {
            tcp.is_some_and(|tcp| tcp.to == *port && tcp.flags & 0b111 != 0)
        }
        Pattern::IpNextHeader(number) => seen.protocol == Some(*number),
        Pattern::Ipv4DstMask(masked) => {
            seen.version == 4 && under(&masked4(masked), seen.destination)
        }
        Pattern::Ipv6DstMask(masked) => {
            seen.version == 6 && under(&masked6(masked), seen.destination)
        }
        Pattern::Ipv4UdpTuple(tuple) => {
            let Tuple {
                source,
                destination,
                ..
            } = tuple;
            seen.version == 4
                && seen.source == source.octets()
                && seen.destination == destination.octets()
                && udp
                    .is_some_and(|u| u.from == tuple.source_port && u.to == tuple.destination_port)
        }
        Pattern::Ipv6UdpTuple(tuple) => {
            let Tuple {
                source,
                destination,
                ..
            } = tuple;
            seen.version == 6
                && seen.source == source.octets()
                && seen.destination == destination.octets()
                && udp
                    .is_some_and(|u| u.from == tuple.source_port && u.to == tuple.destination_port)
        }
        Pattern::UdpPortSet(ports) => holds(ports, udp),
        Pattern::Ipv4UdpPortSet(AddressPorts { address, ports }) => {
            seen.version == 4 && seen.destination == address.octets() && holds(ports, udp)
        }
        Pattern::Ipv6UdpPortSet(AddressPorts { address, ports }) => {
            seen.version == 6 && seen.destination == address.octets() && holds(ports, udp)
        }
        Pattern::Ipv4TcpPortSet(AddressPorts { address, ports }) => {
            seen.version == 4 && seen.destination == address.octets() && holds(ports, tcp)
        }
        Pattern::Ipv6TcpPortSet(AddressPorts { address, ports }) => {
            seen.version == 6 && seen.destination == address.octets() && holds(ports, tcp)
        }
        Pattern::QuicFlowSrcCid(flow) => in_flow(flow, udp, true),
        Pattern::QuicFlowDstCid(flow) => in_flow(flow, udp, false),
        Pattern::TcpQuicFlowSrcCid(flow) => in_flow(flow, tcp, true),
        Pattern::TcpQuicFlowDstCid(flow) => in_flow(flow, tcp, false),
        Pattern::InnerIpv4DstMaskUdp(masked) => {
            seen.protocol == Some(4)
                && seen.payload.len() >= 20
                && seen.payload[0] == 0x45
                && seen.payload[9] == 17
                && under(&masked4(masked), &seen.payload[16..20])
        }
        Pattern::InnerIpv6DstMaskUdp(masked) => {
            seen.protocol == Some(41)
                && seen.payload.len() >= 40
                && seen.payload[0] >> 4 == 6
                && seen.payload[6] == 17
                && under(&masked6(masked), &seen.payload[24..40])
        }
        Pattern::Icmpv4EchoReplyIpDst(address) => {
            seen.version == 4
                && seen.protocol == Some(1)
                && seen.destination == address.octets()
                && seen.payload.len() >= 4
                && seen.payload[..2] == [0, 0]
        }
        Pattern::Icmpv6EchoReplyIpDst(address) => {
            seen.version == 6
                && seen.protocol == Some(58)
                && seen.destination == address.octets()
                && seen.payload.len() >= 4
                && seen.payload[..2] == [129, 0]
        }
    }
}

/// A UDP or TCP header and what follows.
struct Header<'a> {
    from: u16,
    to: u16,
    flags: u8,
    payload: &'a [u8],
}

/// What a frame holds.
#[derive(Default)]
struct Seen<'a> {
    version: u8,
    source: &'a [u8],
    destination: &'a [u8],
    protocol: Option<u8>,
    payload: &'a [u8],
    udp: Option<Header<'a>>,
    tcp: Option<Header<'a>>,
}

impl<'a> Seen<'a> {
    #[expect(
        clippy::indexing_slicing,
        reason = "the bounds are part of what is written down; a mistake must show"
    )]
    fn of(frame: &'a [u8]) -> Self {
        let mut seen = Self::default();
        if frame.len() < 14 {
            return seen;
        }
        let ip = &frame[14..];
        match frame[12..14] {
            [0x08, 0x00] if ip.len() >= 20 && ip[0] & 15 == 5 => {
                seen.version = 4;
                seen.source = &ip[12..16];
                seen.destination = &ip[16..20];
                seen.protocol = Some(ip[9]);
                seen.payload = &ip[20..];
            }
            [0x86, 0xDD] if ip.len() >= 40 => {
                seen.version = 6;
                seen.source = &ip[8..24];
                seen.destination = &ip[24..40];
                seen.protocol = Some(ip[6]);
                seen.payload = &ip[40..];
            }
            _ => return seen,
        }
        let payload = seen.payload;
        let port = |at: usize| u16::from(payload[at]) << 8 | u16::from(payload[at + 1]);
        if seen.protocol == Some(17) && payload.len() >= 8 {
            seen.udp = Some(Header {
                from: port(0),
                to: port(2),
                flags: 0,
                payload: &payload[8..],
            });
        }
        if seen.protocol == Some(6) && payload.len() >= 20 {
            let size = usize::from(payload[12] >> 4) * 4;
            if size >= 20 && payload.len() >= size {
                seen.tcp = Some(Header {
                    from: port(0),
                    to: port(2),
                    flags: payload[13],
                    payload: &payload[size..],
                });
            }
        }
        seen
    }
}

fn holds<P: PortSet>(ports: &P, header: Option<&Header<'_>>) -> bool {
    header.is_some_and(|header| ports.contains(Port::new(header.to)))
}

fn masked4(masked: &Masked<core::net::Ipv4Addr>) -> Vec<(u8, u8)> {
    let pairs = masked.mask.octets().into_iter();
    pairs.zip(masked.address.octets()).collect()
}

fn masked6(masked: &Masked<core::net::Ipv6Addr>) -> Vec<(u8, u8)> {
    let pairs = masked.mask.octets().into_iter();
    pairs.zip(masked.address.octets()).collect()
}

fn under(masked: &[(u8, u8)], address: &[u8]) -> bool {
    masked
        .iter()
        .zip(address)
        .all(|((mask, wanted), byte)| byte & mask == *wanted)
}

#[expect(
    clippy::indexing_slicing,
    reason = "the bounds are part of what is written down; a mistake must show"
)]
fn in_flow(flow: &Flow, header: Option<&Header<'_>>, long: bool) -> bool {
    let Some(header) = header else { return false };
    let bytes = header.payload;
    if header.to != flow.port || bytes.is_empty() || (bytes[0] >= 0x80) != long {
        return false;
    }
    let cid = if long {
        let Some(&destination_size) = bytes.get(5) else {
            return false;
        };
        let at = 6 + usize::from(destination_size);
        let Some(&source_size) = bytes.get(at) else {
            return false;
        };
        match bytes.get(at + 1..at + 1 + usize::from(source_size)) {
            Some(cid) => cid,
            None => return false,
        }
    } else {
        &bytes[1..bytes.len().min(21)]
    };
    let (offset, wanted) = (usize::from(flow.cid.offset()), flow.cid.bytes());
    cid.len() >= offset + wanted.len() && cid[offset..offset + wanted.len()] == *wanted
}
