//! A frame gives the same answer however it lies in memory.

use std::net::{Ipv4Addr, Ipv6Addr};
use xdp_packet::{
    Depth, Extended, Facts, Frame, FrameBuilder, Packet, Scratch, Tail, Tcp, TcpHeader, VlanTag,
};

const V4: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2)];
const V6: [Ipv6Addr; 2] = [
    Ipv6Addr::LOCALHOST,
    Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 2),
];

/// A QUIC long header with the source ID `50 51 52`, in UDP over IPv4.
fn quic_v4() -> Vec<u8> {
    FrameBuilder::new()
        .ipv4(V4[0], V4[1])
        .udp(0x1234, 443)
        .quic_long(1, &[0xD0, 0xD1], &[0x50, 0x51, 0x52])
        .payload(&[0; 3])
        .finish()
}

/// Frames in which every kind of header that rules look at crosses some buffer end.
fn frames() -> Vec<Vec<u8>> {
    let tcp = || TcpHeader::new(1, 443, Tcp::SYN);
    let v4 = || FrameBuilder::new().ipv4(V4[0], V4[1]);
    let v6 = || FrameBuilder::new().ipv6(V6[0], V6[1]);
    vec![
        quic_v4(),
        v4().udp(1, 2).quic_short(&[0xAB; 25]).finish(),
        v6().udp(1, 2).quic_short(&[0xAB; 7]).finish(),
        v4().tcp_with(tcp(), &[]).payload(&[0x40; 3]).finish(),
        v6().tcp_with(tcp(), &[1; 40])
            .quic_long(1, &[0xD0; 20], &[0x50; 20])
            .finish(),
        v4().tcp_with(tcp(), &[1; 12]).quic_short(&[9; 30]).finish(),
        v4().icmpv4_echo_reply(1, 2).finish(),
        v6().icmpv6_echo_reply(1, 2).finish(),
        v4().ipv4(V4[1], V4[0]).udp(1, 2).finish(),
        v6().ipv4(V4[1], V4[0]).udp(1, 2).finish(),
        v4().ipv6(V6[1], V6[0]).udp(1, 2).finish(),
        v6().ipv6(V6[1], V6[0]).protocol(17).finish(),
        v6().ipv6_extension(0, &[0, 1, 4, 0, 0, 0, 0])
            .udp(1, 2)
            .finish(),
        v4().protocol(47).payload(&[0; 8]).finish(),
        FrameBuilder::new()
            .vlan(VlanTag::new(5))
            .ipv4(V4[0], V4[1])
            .udp(1, 2)
            .finish(),
        FrameBuilder::new()
            .ethertype(0x0806)
            .payload(&[0; 28])
            .finish(),
    ]
}

fn same(left: &Packet<'_>, right: &Packet<'_>) -> bool {
    left.facts().without(Facts::GATHERED) == right.facts().without(Facts::GATHERED)
        && left.ethernet() == right.ethernet()
        && (left.ipv4(), left.ipv6(), left.ip_protocol())
            == (right.ipv4(), right.ipv6(), right.ip_protocol())
        && (left.udp(), left.tcp(), left.icmp()) == (right.udp(), right.tcp(), right.icmp())
        && (left.quic_cid(), left.quic()) == (right.quic_cid(), right.quic())
        && (left.inner_ipv4(), left.inner_ipv6()) == (right.inner_ipv4(), right.inner_ipv6())
}

const DEPTHS: [Depth; 4] = [Depth::Link, Depth::Network, Depth::Transport, Depth::Upper];

#[test]
fn every_split_and_every_truncation_parse_like_the_contiguous_frame() {
    let mut gathered = 0;
    for frame in frames() {
        for end in 0..=frame.len() {
            let whole = &frame[..end];
            for depth in DEPTHS {
                let expected = Packet::parse_slice(whole, depth);
                for cut in 0..=end {
                    let buffers = [&whole[..cut], &[], &whole[cut..]];
                    let mut scratch = Scratch::new();
                    let got = Packet::parse(&Frame::from_buffers(&buffers), depth, &mut scratch);
                    assert!(
                        same(&expected, &got),
                        "{end} bytes of {frame:02x?}, split at {cut}, {depth:?}: {expected:?} / {got:?}"
                    );
                    gathered += usize::from(got.facts().contains(Facts::GATHERED));
                }
            }
            let expected = Extended::parse_slice(whole);
            for cut in 0..=end {
                let buffers = [&whole[..cut], &whole[cut..]];
                let mut scratch = Scratch::new();
                assert_eq!(
                    Extended::parse(&Frame::from_buffers(&buffers), &mut scratch),
                    expected
                );
            }
        }
    }
    assert!(gathered > 10_000, "{gathered}");
}

/// What follows the first buffer, in pieces, as a chain of memory descriptors has it.
struct Chain(Vec<Vec<u8>>);

impl Tail for Chain {
    fn read(&self, offset: usize, into: &mut [u8]) -> usize {
        let bytes = self.0.iter().flatten().skip(offset);
        into.iter_mut()
            .zip(bytes)
            .map(|(to, from)| *to = *from)
            .count()
    }

    fn size_bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}

#[test]
fn a_tail_of_any_kind_is_read_like_slices() {
    // One scratch serves frame after frame, as in a driver.
    let mut scratch = Scratch::new();
    for frame in frames() {
        for cut in 0..=frame.len() {
            let chain = Chain(frame[cut..].chunks(3).map(<[u8]>::to_vec).collect());
            let split = Frame::with_tail(&frame[..cut], &chain);
            assert_eq!(split.size_bytes(), frame.len());
            let got = Packet::parse(&split, Depth::Upper, &mut scratch);
            assert!(same(&Packet::parse_slice(&frame, Depth::Upper), &got));
            let mut copy = vec![0; frame.len() + 5];
            assert_eq!(split.read(7, &mut copy), frame.len() - 7);
            assert_eq!(copy[..frame.len() - 7], frame[7..]);
        }
    }
}

#[test]
fn headers_in_the_first_buffer_are_read_in_place() {
    let frame = quic_v4();
    let buffers = [&frame[..42], &frame[42..]];
    let mut scratch = Scratch::new();
    let packet = Packet::parse(
        &Frame::from_buffers(&buffers),
        Depth::Transport,
        &mut scratch,
    );
    assert!(!packet.facts().contains(Facts::GATHERED));
    let packet = Packet::parse(&Frame::from_buffers(&buffers), Depth::Upper, &mut scratch);
    assert!(packet.facts().contains(Facts::GATHERED));
}

#[test]
fn one_byte_buffers_are_gathered() {
    let frame = quic_v4();
    let buffers: Vec<&[u8]> = frame.chunks(1).collect();
    let mut scratch = Scratch::new();
    let packet = Packet::parse(&Frame::from_buffers(&buffers), Depth::Upper, &mut scratch);
    assert_eq!(
        packet.facts(),
        Facts::ETHERNET | Facts::IPV4 | Facts::UDP | Facts::QUIC_LONG | Facts::GATHERED
    );
    assert_eq!(packet.quic_cid(), Some(&[0x50, 0x51, 0x52][..]));
    assert_eq!(packet.udp().expect("UDP").destination_port(), 443);
}

#[test]
fn a_tail_that_lies_about_its_length_is_not_believed() {
    struct Liar;
    impl Tail for Liar {
        fn read(&self, _: usize, into: &mut [u8]) -> usize {
            into.fill(0xFF);
            usize::MAX
        }
        fn size_bytes(&self) -> usize {
            usize::MAX
        }
    }
    let head = quic_v4();
    let frame = Frame::with_tail(&head[..20], &Liar);
    assert_eq!(frame.size_bytes(), usize::MAX);
    let mut scratch = Scratch::new();
    let packet = Packet::parse(&frame, Depth::Upper, &mut scratch);
    assert!(
        packet
            .facts()
            .contains(Facts::IPV4 | Facts::IP_PAYLOAD | Facts::GATHERED)
    );
}
