//! What counts as present, header by header, as the specification of rules states it.

use xdp_packet::{
    Depth, Facts, Frame, FrameBuilder, Icmp, Ipv4Header, Packet, Scratch, Tcp, TcpHeader, VlanTag,
};

const V4: [u8; 4] = [192, 0, 2, 1];

fn udp4() -> Vec<u8> {
    FrameBuilder::new()
        .ipv4([10, 0, 0, 1].into(), V4.into())
        .udp(1000, 443)
        .payload(&[1; 30])
        .finish()
}

fn udp6() -> Vec<u8> {
    let (source, destination) = (
        "2001:db8::1".parse().unwrap(),
        "2001:db8::2".parse().unwrap(),
    );
    FrameBuilder::new()
        .ipv6(source, destination)
        .udp(1000, 443)
        .payload(&[1; 30])
        .finish()
}

fn facts(frame: &[u8]) -> Facts {
    let whole = Packet::parse_slice(frame, Depth::Upper);
    // One byte to a buffer: the answer must be the same.
    let bytes: Vec<&[u8]> = frame.chunks(1).collect();
    let mut scratch = Scratch::new();
    let split = Packet::parse(&Frame::from_buffers(&bytes), Depth::Upper, &mut scratch);
    assert_eq!(whole.facts(), split.facts().without(Facts::GATHERED));
    whole.facts()
}

/// Changes one byte.
fn with(mut frame: Vec<u8>, at: usize, value: u8) -> Vec<u8> {
    frame[at] = value;
    frame
}

const UDP4: Facts = Facts::ETHERNET
    .union(Facts::IPV4)
    .union(Facts::UDP)
    .union(Facts::QUIC_SHORT);
const UDP6: Facts = Facts::ETHERNET
    .union(Facts::IPV6)
    .union(Facts::UDP)
    .union(Facts::QUIC_SHORT);

#[test]
fn s03_3_1_fields_that_are_not_examined_change_nothing() {
    assert_eq!(facts(&udp4()), UDP4);
    // Version, total length, fragment fields, time to live, checksum.
    for (at, value) in [
        (14, 0x65),
        (16, 0xFF),
        (17, 1),
        (20, 0x3F),
        (21, 0xFF),
        (22, 0),
        (24, 0xAA),
    ] {
        assert_eq!(facts(&with(udp4(), at, value)), UDP4, "byte {at} of IPv4");
    }
    // UDP length and checksum.
    for (at, value) in [(38, 0xFF), (39, 0), (40, 0xAA)] {
        assert_eq!(facts(&with(udp4(), at, value)), UDP4, "byte {at} of UDP");
    }
    for (at, value) in [(14, 0x40), (18, 0xFF), (19, 0), (21, 0)] {
        assert_eq!(facts(&with(udp6(), at, value)), UDP6, "byte {at} of IPv6");
    }
}

#[test]
fn s03_3_1_a_truncated_header_is_not_present() {
    for (size, expected) in [
        (0, Facts::NONE),
        (13, Facts::NONE),
        (14, Facts::ETHERNET),
        (33, Facts::ETHERNET),
        (34, Facts::ETHERNET | Facts::IPV4),
        (41, Facts::ETHERNET | Facts::IPV4),
        (42, Facts::ETHERNET | Facts::IPV4 | Facts::UDP),
        (43, UDP4),
    ] {
        assert_eq!(facts(&udp4()[..size]), expected, "{size} bytes");
    }
    for (size, expected) in [
        (53, Facts::ETHERNET),
        (54, Facts::ETHERNET | Facts::IPV6),
        (61, Facts::ETHERNET | Facts::IPV6),
        (62, Facts::ETHERNET | Facts::IPV6 | Facts::UDP),
    ] {
        assert_eq!(facts(&udp6()[..size]), expected, "{size} bytes");
    }
}

#[test]
fn s03_3_1_tags_options_and_extension_headers_hide_what_follows() {
    let tagged = FrameBuilder::new()
        .vlan(VlanTag::new(5))
        .ipv4([1; 4].into(), V4.into())
        .udp(1, 2)
        .finish();
    assert_eq!(facts(&tagged), Facts::ETHERNET | Facts::VLAN);

    let header = Ipv4Header::new([1; 4].into(), V4.into());
    let options = FrameBuilder::new()
        .ipv4_with(header, &[1, 1, 1, 0])
        .udp(1, 2)
        .finish();
    assert_eq!(facts(&options), Facts::ETHERNET | Facts::IPV4_OPTIONS);
    for words in 0..5 {
        assert_eq!(
            facts(&with(udp4(), 14, 0x40 | words)),
            Facts::ETHERNET,
            "header of {words} words"
        );
    }

    let (source, destination) = ("::1".parse().unwrap(), "::2".parse().unwrap());
    let builder = FrameBuilder::new().ipv6(source, destination);
    let extended = builder
        .ipv6_extension(0, &[0, 1, 4, 0, 0, 0, 0])
        .udp(1, 2)
        .finish();
    let packet = Packet::parse_slice(&extended, Depth::Upper);
    let expected = Facts::ETHERNET | Facts::IPV6 | Facts::IP_PAYLOAD | Facts::IPV6_EXTENSION;
    assert_eq!(facts(&extended), expected);
    assert_eq!((packet.ip_protocol(), packet.ports()), (Some(0), None));

    assert_eq!(facts(&with(udp4(), 13, 0x06)), Facts::ETHERNET, "ARP");
}

#[test]
fn s03_3_1_tcp_needs_all_of_the_header_it_announces() {
    let tcp = |words: u8, options: usize, payload: usize| {
        let mut frame = FrameBuilder::new()
            .ipv4([1; 4].into(), V4.into())
            .tcp_with(TcpHeader::new(1, 2, Tcp::SYN), &[1; 40][..options])
            .payload(&vec![0x40; payload])
            .finish();
        frame[46] = words << 4;
        facts(&frame).contains(Facts::TCP)
    };
    assert!(tcp(5, 0, 0));
    assert!(tcp(15, 40, 0));
    // What is announced may be what the sender meant as payload: nothing tells them apart.
    assert!(tcp(6, 0, 4));
    assert!(!tcp(6, 0, 3));
    assert!(!tcp(15, 40 - 4, 0));
    for words in 0..5 {
        assert!(!tcp(words, 40, 20), "header of {words} words");
    }
}

#[test]
fn s03_3_4_inner_headers_are_checked_for_version_and_options() {
    let inner = |number: u8| {
        let builder = FrameBuilder::new().ipv4([1; 4].into(), V4.into());
        match number {
            4 => builder
                .ipv4([2; 4].into(), [3; 4].into())
                .protocol(17)
                .finish(),
            _ => builder
                .ipv6("::5".parse().unwrap(), "::6".parse().unwrap())
                .protocol(17)
                .finish(),
        }
    };
    let outer = Facts::ETHERNET | Facts::IPV4 | Facts::IP_PAYLOAD;
    // The inner UDP header itself need not be there (3.4.2).
    assert_eq!(facts(&inner(4)), outer | Facts::INNER_IPV4);
    assert_eq!(facts(&inner(41)), outer | Facts::INNER_IPV6);
    assert_eq!(facts(&with(inner(4), 34, 0x46)), outer, "options");
    assert_eq!(
        facts(&with(inner(4), 34, 0x65)),
        outer,
        "version 6 announced as 4"
    );
    assert_eq!(
        facts(&with(inner(41), 34, 0x45)),
        outer,
        "version 4 announced as 6"
    );
    assert_eq!(facts(&inner(4)[..53]), outer, "cut");
    assert_eq!(facts(&inner(41)[..73]), outer, "cut");
}

#[test]
fn s03_3_4_3_icmp_is_recognised_by_its_protocol() {
    let reply = FrameBuilder::new()
        .ipv4([1; 4].into(), V4.into())
        .icmpv4_echo_reply(1, 2)
        .finish();
    let outer = Facts::ETHERNET | Facts::IPV4 | Facts::IP_PAYLOAD;
    assert_eq!(facts(&reply), outer | Facts::ICMPV4);
    let packet = Packet::parse_slice(&reply, Depth::Upper);
    let icmp = packet.icmp().unwrap();
    assert_eq!((icmp.message_type(), icmp.code()), (Icmp::V4_ECHO_REPLY, 0));
    assert_eq!(
        facts(&reply[..38]),
        outer | Facts::ICMPV4,
        "type, code and checksum are enough"
    );
    assert_eq!(facts(&reply[..37]), outer);
    // The number of the other version, and one that is neither.
    for protocol in [58, 2] {
        assert_eq!(
            facts(&with(reply.clone(), 23, protocol)),
            outer,
            "protocol {protocol}"
        );
    }
}

#[test]
fn s03_3_5_quic_headers_are_read_as_far_as_they_announce() {
    let to_443 = || {
        FrameBuilder::new()
            .ipv4([1; 4].into(), V4.into())
            .udp(1, 443)
    };
    let long = to_443().quic_long(1, &[0xD1; 8], &[0x51; 5]).finish();
    let packet = Packet::parse_slice(&long, Depth::Upper);
    assert!(facts(&long).contains(Facts::QUIC_LONG));
    assert_eq!(packet.quic_cid(), Some(&[0x51; 5][..]));
    assert!(
        !facts(&long[..long.len() - 1]).intersects(Facts::QUIC_LONG | Facts::QUIC_SHORT),
        "a byte short"
    );

    let longest = to_443().quic_long(7, &[0xD1; 255], &[0x51; 255]).finish();
    assert!(facts(&longest).contains(Facts::QUIC_LONG));
    assert_eq!(
        Packet::parse_slice(&longest, Depth::Upper).quic_cid(),
        Some(&[0x51; 255][..])
    );

    for size in 0..30 {
        let short = to_443().quic_short(&vec![0xAB; size]).finish();
        let cid = Packet::parse_slice(&short, Depth::Upper)
            .quic_cid()
            .map(<[u8]>::len);
        assert!(facts(&short).contains(Facts::QUIC_SHORT));
        assert_eq!(cid, Some(size.min(20)), "{size} bytes behind the first");
    }
    let empty = to_443().finish();
    assert!(
        !facts(&empty).intersects(Facts::QUIC_LONG | Facts::QUIC_SHORT),
        "no payload"
    );

    // Over TCP, behind its options (3.4.4).
    let tcp = FrameBuilder::new()
        .ipv6("::1".parse().unwrap(), "::2".parse().unwrap())
        .tcp_with(TcpHeader::new(1, 443, Tcp::ACK), &[1; 40])
        .quic_long(1, &[0xD1; 255], &[0x51; 255])
        .finish();
    assert!(facts(&tcp).contains(Facts::QUIC_LONG));
    assert_eq!(
        Packet::parse_slice(&tcp, Depth::Upper).quic_cid(),
        Some(&[0x51; 255][..])
    );
}

#[test]
fn shallow_parsing_finds_the_same_and_no_more() {
    let frame = udp4();
    let found = |depth| Packet::parse_slice(&frame, depth).facts();
    assert_eq!(found(Depth::Link), Facts::ETHERNET);
    assert_eq!(found(Depth::Network), Facts::ETHERNET | Facts::IPV4);
    assert_eq!(
        found(Depth::Transport),
        Facts::ETHERNET | Facts::IPV4 | Facts::UDP
    );
    assert_eq!(found(Depth::Upper), UDP4);
}
