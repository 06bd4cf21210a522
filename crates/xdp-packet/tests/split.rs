//! A frame gives the same answer however it lies in memory.

use xdp_packet::{Depth, Facts, Frame, Packet, Scratch, Tail};

/// Ethernet, IPv4, UDP to port 443, a QUIC long header with CIDs `d0 d1` and `50 51 52`.
const QUIC_V4: &[u8] = &[
    2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00, 0x45, 0, 0, 45, 0, 0, 0, 0, 64, 17, 0, 0, 10,
    0, 0, 1, 10, 0, 0, 2, 0x12, 0x34, 0x01, 0xBB, 0, 25, 0, 0, 0xC0, 0, 0, 0, 1, 2, 0xD0, 0xD1, 3,
    0x50, 0x51, 0x52, 0, 0, 0,
];

fn same(left: &Packet<'_>, right: &Packet<'_>) -> bool {
    left.facts().without(Facts::GATHERED) == right.facts().without(Facts::GATHERED)
        && left.ethernet() == right.ethernet()
        && (left.ipv4(), left.ipv6(), left.ip_protocol())
            == (right.ipv4(), right.ipv6(), right.ip_protocol())
        && (left.udp(), left.tcp(), left.icmp()) == (right.udp(), right.tcp(), right.icmp())
        && (left.quic_cid(), left.quic()) == (right.quic_cid(), right.quic())
        && (left.inner_ipv4(), left.inner_ipv6()) == (right.inner_ipv4(), right.inner_ipv6())
}

#[test]
fn every_split_and_every_truncation_parse_like_the_contiguous_frame() {
    for end in 0..=QUIC_V4.len() {
        let whole = &QUIC_V4[..end];
        for depth in [Depth::Link, Depth::Network, Depth::Transport, Depth::Upper] {
            let expected = Packet::parse_slice(whole, depth);
            for cut in 0..=end {
                let buffers = [&whole[..cut], &[], &whole[cut..]];
                let mut scratch = Scratch::new();
                let got = Packet::parse(&Frame::from_buffers(&buffers), depth, &mut scratch);
                assert!(
                    same(&expected, &got),
                    "length {end}, split at {cut}, {depth:?}: {expected:?} / {got:?}"
                );
            }
        }
    }
}

#[test]
fn one_byte_buffers_are_gathered() {
    let buffers: Vec<&[u8]> = QUIC_V4.chunks(1).collect();
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
    let frame = Frame::with_tail(&QUIC_V4[..20], &Liar);
    assert_eq!(frame.size_bytes(), usize::MAX);
    let mut scratch = Scratch::new();
    let packet = Packet::parse(&frame, Depth::Upper, &mut scratch);
    assert!(
        packet
            .facts()
            .contains(Facts::IPV4 | Facts::IP_PAYLOAD | Facts::GATHERED)
    );
}
