//! What two well-known parsers make of the same frames.
//!
//! They parse as a network stack does; rules are specified to look at fixed places. The answers coincide except here:
//!
//! | Frame | For rules | etherparse | smoltcp |
//! |---|---|---|---|
//! | VLAN tag | nothing behind it | looks through | nothing behind it |
//! | IPv4 with options | not IPv4 | IPv4 | IPv4 |
//! | IPv6 extension headers | present as next header, no transport | looks through | no transport |
//! | IPv6 hop-by-hop header that is not the first | as any other | error | no transport |
//! | IP version nibble is wrong | not looked at | error | error |
//! | IPv4 total length too small or beyond the frame | not looked at | error or cut there | error or cut there |
//! | IPv6 payload length beyond the frame | not looked at | error or cut there | error |
//! | fragment that is not the first | its start is the transport header | no transport | left to the caller |
//! | UDP length | not looked at | cut there, error | error when below 8 or beyond the frame |
//! | TCP data offset below 5 | no TCP | error | error |
//! | padding behind the packet | part of the payload | not | not |
//!
//! [`Extended`] gives a network stack's answer, and is compared with etherparse through tags, options and extension headers.

use etherparse::{LaxNetSlice, LaxSlicedPacket, NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;
use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, Ipv6Packet};
use smoltcp::wire::{TcpPacket, UdpPacket};
use xdp_packet::checksum::{Checksum, checksum};
use xdp_packet::{
    Depth, Extended, FrameBuilder, Icmp, Ipv4Header, Ipv6Header, Packet, Tcp, TcpHeader, VlanTag,
    protocol,
};

/// What a random frame is made of.
#[derive(Clone, Debug)]
struct Recipe {
    tags: Vec<u16>,
    v6: bool,
    options: usize,
    extensions: Vec<u8>,
    upper: u8,
    tcp_options: usize,
    ports: (u16, u16),
    addresses: [u8; 32],
    payload: Vec<u8>,
}

fn recipe(tags: usize, options: usize, extensions: usize) -> impl Strategy<Value = Recipe> {
    let kinds = prop_oneof![Just(60u8), Just(43u8)];
    let chain = (
        any::<bool>(),
        proptest::collection::vec(kinds, 0..=extensions),
    )
        .prop_map(move |(hop_by_hop, mut kinds)| {
            if let Some(first) = kinds.first_mut().filter(|_| hop_by_hop) {
                *first = 0;
            }
            kinds
        });
    (
        proptest::collection::vec(0u16..4096, 0..=tags),
        any::<bool>(),
        0..=options,
        chain,
        0u8..5,
        0usize..=10,
        any::<(u16, u16)>(),
        any::<[u8; 32]>(),
        proptest::collection::vec(any::<u8>(), 0..80),
    )
        .prop_map(
            |(tags, v6, options, extensions, upper, tcp_options, ports, addresses, payload)| {
                Recipe {
                    tags,
                    v6,
                    options,
                    extensions,
                    upper,
                    tcp_options,
                    ports,
                    addresses,
                    payload,
                }
            },
        )
}

impl Recipe {
    fn build(&self) -> Vec<u8> {
        let mut frame = FrameBuilder::new();
        for id in &self.tags {
            frame = frame.vlan(VlanTag::new(*id));
        }
        let (source, destination) = self.addresses.split_at(16);
        frame = if self.v6 {
            let source: [u8; 16] = source.try_into().unwrap();
            let destination: [u8; 16] = destination.try_into().unwrap();
            let mut frame = frame.ipv6_with(Ipv6Header::new(source.into(), destination.into()));
            for kind in &self.extensions {
                // One unit of eight bytes: length 0, then padding.
                frame = frame.ipv6_extension(*kind, &[0, 1, 4, 0, 0, 0, 0]);
            }
            frame
        } else {
            let source: [u8; 4] = source[..4].try_into().unwrap();
            let destination: [u8; 4] = destination[..4].try_into().unwrap();
            let header = Ipv4Header::new(source.into(), destination.into());
            // No-operation options.
            frame.ipv4_with(header, &[1; 40][..self.options * 4])
        };
        let (from, to) = self.ports;
        frame = match (self.upper, self.v6) {
            (0 | 1, _) => frame.udp(from, to),
            (2 | 3, _) => frame.tcp_with(
                TcpHeader::new(from, to, Tcp::ACK),
                &[1; 40][..self.tcp_options * 4],
            ),
            (_, false) => frame.icmpv4_echo_reply(from, to),
            (_, true) => frame.icmpv6_echo_reply(from, to),
        };
        frame.payload(&self.payload).finish()
    }
}

/// Compares the places that both know.
fn agree_with_etherparse(frame: &[u8], packet: &Packet<'_>, sliced: &SlicedPacket<'_>) {
    match sliced.net.as_ref().expect("the frame has IP") {
        NetSlice::Ipv4(ip) => {
            let ours = packet.ipv4().expect("IPv4");
            assert_eq!(ip.header().slice(), ours.as_bytes());
            assert_eq!(ip.header().destination(), ours.destination());
            assert_eq!(ip.header().protocol().0, ours.protocol());
        }
        NetSlice::Ipv6(ip) => {
            let ours = packet.ipv6().expect("IPv6");
            assert_eq!(ip.header().slice(), ours.as_bytes());
            assert_eq!(ip.header().destination(), ours.destination());
        }
        other => panic!("{other:?}"),
    }
    match sliced
        .transport
        .as_ref()
        .expect("the frame has a transport")
    {
        TransportSlice::Udp(udp) => {
            assert_eq!(
                packet.ports(),
                Some((udp.source_port(), udp.destination_port()))
            );
            assert_eq!(udp.payload(), packet.payload());
        }
        TransportSlice::Tcp(tcp) => {
            let ours = packet.tcp().expect("TCP");
            assert_eq!(
                packet.ports(),
                Some((tcp.source_port(), tcp.destination_port()))
            );
            assert_eq!(tcp.options(), ours.options);
            assert_eq!(
                (tcp.syn(), tcp.ack()),
                (ours.flags() & Tcp::SYN != 0, ours.flags() & Tcp::ACK != 0)
            );
            assert_eq!(tcp.payload(), packet.payload());
        }
        TransportSlice::Icmpv4(_) | TransportSlice::Icmpv6(_) => {
            let icmp = packet.icmp().expect("ICMP");
            let start = packet.payload_offset().unwrap();
            assert_eq!(icmp.message_type(), frame[start]);
        }
        other => panic!("{other:?}"),
    }
}

fn agree_with_smoltcp(frame: &[u8], packet: &Packet<'_>) {
    let link = EthernetFrame::new_checked(frame).expect("Ethernet");
    assert_eq!(
        link.dst_addr().0,
        packet.ethernet().unwrap().destination().0
    );
    let (number, payload, v6) = match link.ethertype() {
        EthernetProtocol::Ipv4 => {
            let ip = Ipv4Packet::new_checked(link.payload()).expect("IPv4");
            assert!(ip.verify_checksum());
            assert_eq!(ip.dst_addr(), packet.ipv4().unwrap().destination_addr());
            (ip.next_header(), ip.payload(), false)
        }
        EthernetProtocol::Ipv6 => {
            let ip = Ipv6Packet::new_checked(link.payload()).expect("IPv6");
            assert_eq!(ip.src_addr(), packet.ipv6().unwrap().source_addr());
            assert_eq!(ip.dst_addr(), packet.ipv6().unwrap().destination_addr());
            (ip.next_header(), ip.payload(), true)
        }
        other => panic!("{other:?}"),
    };
    assert_eq!(u8::from(number), packet.ip_protocol().unwrap());
    match number {
        IpProtocol::Udp => {
            let udp = UdpPacket::new_checked(payload).expect("UDP");
            assert_eq!(packet.ports(), Some((udp.src_port(), udp.dst_port())));
            assert_eq!(udp.payload(), packet.payload());
        }
        IpProtocol::Tcp => {
            let tcp = TcpPacket::new_checked(payload).expect("TCP");
            assert_eq!(packet.ports(), Some((tcp.src_port(), tcp.dst_port())));
            assert_eq!(tcp.payload(), packet.payload());
        }
        _ => {
            let reply = if v6 {
                Icmp::V6_ECHO_REPLY
            } else {
                Icmp::V4_ECHO_REPLY
            };
            assert_eq!(packet.icmp().map(|icmp| icmp.message_type()), Some(reply));
        }
    }
}

fn checksums_are_right(found: &Extended<'_>) {
    let segment: Vec<u8> = match (found.udp, found.tcp, found.icmp) {
        (Some(udp), ..) => [udp.as_bytes(), found.payload].concat(),
        (_, Some(tcp), _) => [tcp.header, tcp.options, found.payload].concat(),
        (.., Some(icmp)) => [icmp.as_bytes(), found.payload].concat(),
        _ => panic!("{found:?}"),
    };
    let number = found.protocol.unwrap();
    let length = segment.len() as u32;
    let mut sum = match (found.ipv4, found.ipv6) {
        (Some(ip), _) if number != protocol::ICMP => {
            Checksum::pseudo_ipv4(ip.source(), ip.destination(), number, length)
        }
        (_, Some(ip)) => Checksum::pseudo_ipv6(ip.source(), ip.destination(), number, length),
        _ => Checksum::new(),
    };
    sum.add(&segment);
    assert!(sum.is_valid(), "{found:?}");
    if let Some(ip) = found.ipv4 {
        assert_eq!(checksum(&[ip.as_bytes(), found.ipv4_options].concat()), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn plain_frames_mean_the_same_to_all(recipe in recipe(0, 0, 0)) {
        let frame = recipe.build();
        let packet = Packet::parse_slice(&frame, Depth::Upper);
        agree_with_etherparse(&frame, &packet, &SlicedPacket::from_ethernet(&frame).expect("etherparse reads it"));
        agree_with_smoltcp(&frame, &packet);
    }

    #[test]
    fn tags_options_and_extensions_mean_the_same_to_etherparse(recipe in recipe(2, 10, 4)) {
        let frame = recipe.build();
        let found = Extended::parse_slice(&frame);
        let sliced = SlicedPacket::from_ethernet(&frame).expect("etherparse reads it");

        let tags: Vec<u16> = sliced.vlan_ids().iter().map(|id| id.value()).collect();
        prop_assert_eq!(tags, found.vlan.iter().flatten().map(|tag| tag.id).collect::<Vec<_>>());
        match sliced.net.as_ref().expect("IP") {
            NetSlice::Ipv4(ip) => {
                prop_assert_eq!(ip.header().options(), found.ipv4_options);
                prop_assert_eq!(ip.header().destination_addr(), found.ipv4.unwrap().destination_addr());
                prop_assert_eq!(ip.payload_ip_number().0, found.protocol.unwrap());
            }
            NetSlice::Ipv6(ip) => {
                prop_assert_eq!(ip.header().destination_addr(), found.ipv6.unwrap().destination_addr());
                prop_assert_eq!(ip.payload().ip_number.0, found.protocol.unwrap());
            }
            other => panic!("{other:?}"),
        }
        match sliced.transport.as_ref().expect("a transport") {
            TransportSlice::Udp(udp) => {
                prop_assert_eq!(udp.destination_port(), found.udp.unwrap().destination_port());
                prop_assert_eq!(udp.payload(), found.payload);
            }
            TransportSlice::Tcp(tcp) => {
                prop_assert_eq!(tcp.options(), found.tcp.unwrap().options);
                prop_assert_eq!(tcp.payload(), found.payload);
            }
            _ => prop_assert!(found.icmp.is_some()),
        }
        checksums_are_right(&found);
    }

    #[test]
    fn frames_cut_anywhere_mean_the_same_to_etherparse(recipe in recipe(0, 0, 0), cut: proptest::sample::Index) {
        let mut frame = recipe.build();
        frame.truncate(cut.index(frame.len() + 1));
        let packet = Packet::parse_slice(&frame, Depth::Transport);
        // The strict reader refuses a packet that is shorter than it says; this one reads on, as rules do.
        let Ok(sliced) = LaxSlicedPacket::from_ethernet(&frame) else {
            prop_assert!(packet.ethernet().is_none());
            return Ok(());
        };
        match &sliced.net {
            Some(LaxNetSlice::Ipv4(ip)) => prop_assert_eq!(ip.header().slice(), packet.ipv4().unwrap().as_bytes()),
            Some(LaxNetSlice::Ipv6(ip)) => prop_assert_eq!(ip.header().slice(), packet.ipv6().unwrap().as_bytes()),
            _ => prop_assert!(packet.ipv4().is_none() && packet.ipv6().is_none()),
        }
        let ports = match &sliced.transport {
            Some(TransportSlice::Udp(udp)) => Some((udp.source_port(), udp.destination_port())),
            Some(TransportSlice::Tcp(tcp)) => Some((tcp.source_port(), tcp.destination_port())),
            _ => None,
        };
        prop_assert_eq!(packet.ports(), ports);
    }
}
