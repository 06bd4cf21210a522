//! Parsing: the first two bytes say where to split the rest, which is a frame.

use xdp_packet::{Depth, Extended, Facts, Frame, Packet, Scratch};

/// Checks that a frame parses without a panic, and alike however it is split.
pub(crate) fn check(data: &[u8]) {
    let Some((&[first, second], frame)) = data.split_first_chunk() else {
        return;
    };
    let first = usize::from(first).min(frame.len());
    let second = first + usize::from(second).min(frame.len() - first);
    let buffers = [&frame[..first], &frame[first..second], &frame[second..]];
    for depth in [Depth::Link, Depth::Network, Depth::Transport, Depth::Upper] {
        let whole = Packet::parse_slice(frame, depth);
        let mut scratch = Scratch::new();
        let split = Packet::parse(&Frame::from_buffers(&buffers), depth, &mut scratch);
        same(&whole, &split);
        consistent(&whole, frame.len());
        consistent(&split, frame.len());
    }
    let mut scratch = Scratch::new();
    let split = Extended::parse(&Frame::from_buffers(&buffers), &mut scratch);
    let whole = Extended::parse_slice(frame);
    if frame.len() <= xdp_packet::SCRATCH_SIZE {
        assert_eq!(whole, split);
    }
    coincide(&Packet::parse_slice(frame, Depth::Upper), &whole);
}

fn same(left: &Packet<'_>, right: &Packet<'_>) {
    assert_eq!(
        left.facts().without(Facts::GATHERED),
        right.facts().without(Facts::GATHERED)
    );
    assert_eq!(left.ethernet(), right.ethernet());
    assert_eq!((left.ipv4(), left.ipv6()), (right.ipv4(), right.ipv6()));
    assert_eq!(left.ip_protocol(), right.ip_protocol());
    assert_eq!(
        (left.udp(), left.tcp(), left.icmp()),
        (right.udp(), right.tcp(), right.icmp())
    );
    assert_eq!(
        (left.quic_cid(), left.quic()),
        (right.quic_cid(), right.quic())
    );
    assert_eq!(
        (left.inner_ipv4(), left.inner_ipv6()),
        (right.inner_ipv4(), right.inner_ipv6())
    );
}

/// A fact holds exactly when the header it speaks of can be had.
fn consistent(packet: &Packet<'_>, size: usize) {
    let facts = packet.facts();
    for (fact, present) in [
        (Facts::ETHERNET, packet.ethernet().is_some()),
        (Facts::IPV4, packet.ipv4().is_some()),
        (Facts::IPV6, packet.ipv6().is_some()),
        (Facts::UDP, packet.udp().is_some()),
        (Facts::TCP, packet.tcp().is_some()),
        (Facts::INNER_IPV4, packet.inner_ipv4().is_some()),
        (Facts::INNER_IPV6, packet.inner_ipv6().is_some()),
    ] {
        assert_eq!(facts.contains(fact), present, "{fact:?} of {facts:?}");
    }
    assert_eq!(
        facts.intersects(Facts::QUIC_LONG | Facts::QUIC_SHORT),
        packet.quic_cid().is_some()
    );
    assert_eq!(packet.quic_cid(), packet.quic().map(|quic| quic.rule_cid()));
    assert_eq!(
        facts.intersects(Facts::ICMPV4 | Facts::ICMPV6),
        packet.icmp().is_some()
    );
    assert_eq!(
        facts.intersects(Facts::UDP | Facts::TCP),
        packet.ports().is_some()
    );
    assert!(packet.payload_offset().is_none_or(|start| start <= size));
    assert!(!facts.contains(Facts::IPV4 | Facts::IPV6) && !facts.contains(Facts::UDP | Facts::TCP));
}

/// Where nothing is tagged, optional or fragmented, rules see what a network stack sees.
fn coincide(packet: &Packet<'_>, extended: &Extended<'_>) {
    let hidden = Facts::VLAN | Facts::IPV4_OPTIONS | Facts::IPV6_EXTENSION;
    if packet.facts().intersects(hidden) || extended.fragment.is_some() {
        return;
    }
    let version = packet
        .ipv4()
        .map(|ip| ip.version() == 4)
        .or(packet.ipv6().map(|ip| ip.version() == 6));
    if version == Some(false) {
        return;
    }
    assert_eq!(
        (packet.ipv4(), packet.ipv6()),
        (extended.ipv4, extended.ipv6)
    );
    assert_eq!((packet.udp(), packet.tcp()), (extended.udp, extended.tcp));
    assert_eq!(packet.icmp(), extended.icmp);
}
