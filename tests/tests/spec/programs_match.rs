//! What rules match: specification 03, section 3.

use std::net::{Ipv4Addr, Ipv6Addr};

use nt_sim::nic::Layout;
use scenarios::{
    Scene,
    frames::{
        DESTINATION4, DESTINATION6, SOURCE_PORT, SOURCE4, SOURCE6, ipv4, ipv6, tcp4, tcp6, udp4,
        udp6,
    },
    matching::{self, Matching, Ports},
    scene,
};
use xdp_abi::MatchType;
use xdp_packet::{FrameBuilder, Tcp, VlanTag};

/// Whether a rule matches a frame in each of these layouts: contiguous, and cut everywhere.
fn holds(s: &Scene<'_>, matching: Matching, frame: &[u8]) -> bool {
    let program = s.app.program(s.nic).rule(matching.drop()).create().unwrap();
    let mut answers = Vec::new();
    let cuts = (1..frame.len().min(140)).map(|at| Layout::split(&[at]));
    let odd = [
        Layout::contiguous(),
        Layout::contiguous().trailing(64).backfill(3),
        Layout::split(&[1; 64]),
        Layout::split(&[7, 7, 3, 9, 11]).empty_mdls(),
    ];
    for layout in odd.into_iter().chain(cuts) {
        s.nic.wire().set_layout(layout.clone());
        s.arrive(frame);
        let passed = s.passed();
        assert!(passed.is_empty() || passed == [frame]);
        answers.push((passed.is_empty(), layout));
    }
    program.close();
    let (first, _) = answers[0];
    for (answer, layout) in &answers {
        assert_eq!(
            *answer, first,
            "3.2: {matching:?} on {frame:02x?} in {layout:?}"
        );
    }
    first
}

#[track_caller]
pub(super) fn matches(s: &Scene<'_>, matching: Matching, frame: &[u8]) {
    assert!(holds(s, matching, frame), "{matching:?} on {frame:02x?}");
}

#[track_caller]
pub(super) fn misses(s: &Scene<'_>, matching: Matching, frame: &[u8]) {
    assert!(!holds(s, matching, frame), "{matching:?} on {frame:02x?}");
}

/// Every match type with a pattern that fits frames of the usual addresses to port 443.
fn every_ip_match(ports: &Ports) -> Vec<Matching> {
    let cid = [0xC1, 0xC2, 0xC3, 0xC4];
    let port_set = |kind, v6| {
        if v6 {
            matching::ip_port_set(kind, DESTINATION6.octets(), ports)
        } else {
            matching::ip_port_set(kind, DESTINATION4.octets(), ports)
        }
    };
    vec![
        matching::udp(),
        matching::udp_dst(443),
        matching::ipv4_dst(DESTINATION4, 24),
        matching::ipv6_dst(DESTINATION6, 64),
        matching::quic(MatchType::QUIC_FLOW_SRC_CID, 443, 0, &cid),
        matching::quic(MatchType::QUIC_FLOW_DST_CID, 443, 0, &cid),
        matching::ipv4_udp_tuple((SOURCE4, SOURCE_PORT), (DESTINATION4, 443)),
        matching::ipv6_udp_tuple((SOURCE6, SOURCE_PORT), (DESTINATION6, 443)),
        matching::udp_port_set(ports),
        port_set(MatchType::IPV4_UDP_PORT_SET, false),
        port_set(MatchType::IPV6_UDP_PORT_SET, true),
        port_set(MatchType::IPV4_TCP_PORT_SET, false),
        port_set(MatchType::IPV6_TCP_PORT_SET, true),
        matching::tcp_dst(443),
        matching::quic(MatchType::TCP_QUIC_FLOW_SRC_CID, 443, 0, &cid),
        matching::quic(MatchType::TCP_QUIC_FLOW_DST_CID, 443, 0, &cid),
        matching::tcp_control_dst(443),
        matching::ip_next_header(17),
        matching::ip_next_header(6),
        masked(MatchType::INNER_IPV4_DST_MASK_UDP, INNER4),
        masked6(MatchType::INNER_IPV6_DST_MASK_UDP, INNER6),
        masked(MatchType::ICMPV4_ECHO_REPLY_IP_DST, DESTINATION4),
        masked6(MatchType::ICMPV6_ECHO_REPLY_IP_DST, DESTINATION6),
    ]
}

const INNER4: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);
const INNER6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);

fn masked(kind: MatchType, address: Ipv4Addr) -> Matching {
    matching::masked(kind, [255; 4], address.octets())
}

fn masked6(kind: MatchType, address: Ipv6Addr) -> Matching {
    matching::masked(kind, [255; 16], address.octets())
}

#[test]
fn s03_3_4_r0_all_matches_even_runts() {
    scene(|s| {
        for size in [1, 2, 13, 14, 60, 1514] {
            matches(s, matching::all(), &vec![0x11; size]);
        }
        matches(s, matching::all(), &udp4(1, b""));
    });
}

#[test]
fn s03_3_4_r1_r2_udp_of_both_families_and_by_port() {
    scene(|s| {
        for frame in [udp4(53, b""), udp6(53, b"x")] {
            matches(s, matching::udp(), &frame);
            matches(s, matching::udp_dst(53), &frame);
            misses(s, matching::udp_dst(54), &frame);
            misses(s, matching::udp_dst(SOURCE_PORT), &frame);
            misses(s, matching::udp_dst(0x3500), &frame);
        }
        for frame in [tcp4(53, Tcp::SYN, b""), tcp6(53, Tcp::ACK, b"")] {
            misses(s, matching::udp(), &frame);
            misses(s, matching::udp_dst(53), &frame);
        }
    });
}

#[test]
fn s03_3_4_r3_r4_s03_3_4_1_masked_destinations() {
    scene(|s| {
        let frame = udp4(1, b"");
        for bits in [0, 1, 8, 24, 31, 32] {
            let network = u32::from(DESTINATION4) & u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            matches(s, matching::ipv4_dst(network.into(), bits), &frame);
        }
        misses(s, matching::ipv4_dst(SOURCE4, 32), &frame);
        misses(s, matching::ipv4_dst(DESTINATION4, 24), &frame);
        let all = matching::masked(MatchType::IPV4_DST_MASK, [0; 4], [0; 4]);
        matches(s, all, &tcp4(9, Tcp::SYN, b""));
        misses(s, all, &udp6(1, b""));
        let odd = matching::masked(MatchType::IPV4_DST_MASK, [255, 0, 255, 0], [192, 0, 2, 0]);
        matches(s, odd, &frame);
        let frame = udp6(1, b"");
        matches(s, matching::ipv6_dst(DESTINATION6, 128), &frame);
        let network: Ipv6Addr = "2001:db8::".parse().unwrap();
        matches(s, matching::ipv6_dst(network, 32), &frame);
        misses(s, matching::ipv6_dst(DESTINATION6, 64), &frame);
        misses(s, matching::ipv6_dst(SOURCE6, 128), &frame);
        let all = matching::masked(MatchType::IPV6_DST_MASK, [0; 16], [0; 16]);
        matches(s, all, &ipv6().protocol(59).finish());
        misses(s, all, &udp4(1, b""));
    });
}

const CID: [u8; 8] = [0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC6, 0xC7, 0xC8];
const OTHER: [u8; 8] = [0xD1; 8];

/// A long and a short QUIC header over a transport.
fn quic_frames(tcp: bool, v6: bool) -> [Vec<u8>; 2] {
    let base = if v6 { ipv6() } else { ipv4() };
    let transport = if tcp {
        let header = xdp_packet::TcpHeader::new(SOURCE_PORT, 443, Tcp::ACK);
        base.tcp_with(header, &[1; 12])
    } else {
        base.udp(SOURCE_PORT, 443)
    };
    [
        transport
            .clone()
            .quic_long(1, &OTHER, &CID)
            .payload(&[9; 30])
            .finish(),
        transport.quic_short(&CID).payload(&[9; 30]).finish(),
    ]
}

#[test]
fn s03_3_4_r5_r6_r15_r16_s03_3_4_4_s03_3_5_pieces_of_connection_ids() {
    scene(|s| {
        for (tcp, source, destination) in [
            (
                false,
                MatchType::QUIC_FLOW_SRC_CID,
                MatchType::QUIC_FLOW_DST_CID,
            ),
            (
                true,
                MatchType::TCP_QUIC_FLOW_SRC_CID,
                MatchType::TCP_QUIC_FLOW_DST_CID,
            ),
        ] {
            let v6 = tcp;
            let [long, short] = quic_frames(tcp, v6);
            let [other_long, other_short] = quic_frames(!tcp, v6);
            for (kind, frame, other_form, other_transport) in [
                (source, &long, &short, &other_long),
                (destination, &short, &long, &other_short),
            ] {
                matches(s, matching::quic(kind, 443, 0, &CID), frame);
                matches(s, matching::quic(kind, 443, 0, &CID[..3]), frame);
                matches(s, matching::quic(kind, 443, 2, &CID[2..5]), frame);
                matches(s, matching::quic(kind, 443, 8, &[]), frame);
                misses(s, matching::quic(kind, 443, 2, &CID[..3]), frame);
                misses(s, matching::quic(kind, 444, 0, &CID), frame);
                misses(s, matching::quic(kind, 443, 0, &CID), other_form);
                misses(s, matching::quic(kind, 443, 0, &CID), other_transport);
            }
            misses(s, matching::quic(source, 443, 0, &OTHER), &long);
            // A source ID ends where its length says; a short header's goes on with the packet.
            misses(s, matching::quic(source, 443, 9, &[]), &long);
            matches(s, matching::quic(destination, 443, 8, &[9; 12]), &short);
        }
    });
}

#[test]
fn s03_3_5_connection_ids_that_are_not_all_there() {
    scene(|s| {
        let udp = || ipv4().udp(SOURCE_PORT, 443);
        let source = |cid: &[u8]| matching::quic(MatchType::QUIC_FLOW_SRC_CID, 443, 0, cid);
        let destination = |cid: &[u8]| matching::quic(MatchType::QUIC_FLOW_DST_CID, 443, 0, cid);
        misses(s, destination(&[]), &udp().finish());
        misses(s, source(&[]), &udp().finish());
        let one = udp().payload(&[0x40]).finish();
        matches(s, destination(&[]), &one);
        misses(s, destination(&[1]), &one);
        let short = udp().quic_short(&CID[..4]).finish();
        matches(s, destination(&CID[..4]), &short);
        misses(s, destination(&CID[..5]), &short);
        let long = udp().quic_long(1, &OTHER, &CID).finish();
        matches(s, source(&CID), &long);
        for cut in 1..=CID.len() + 1 {
            let rest = &long[..long.len() - cut];
            misses(s, source(&CID[..1]), rest);
            misses(s, source(&[]), rest);
        }
        let empty = udp().quic_long(0xFACE_B00C, &[], &[]).finish();
        matches(s, source(&[]), &empty);
        misses(s, source(&[0]), &empty);
        let longest = udp().quic_long(1, &[7; 20], &[8; 20]).finish();
        matches(s, source(&[8; 20]), &longest);
        let beyond = udp().quic_short(&[8; 30]).finish();
        matches(s, destination(&[8; 20]), &beyond);
    });
}

#[test]
fn s03_3_4_r7_r8_both_ends_of_a_conversation() {
    scene(|s| {
        let v4 = udp4(443, b"payload");
        let here = (SOURCE4, SOURCE_PORT);
        let there = (DESTINATION4, 443);
        matches(s, matching::ipv4_udp_tuple(here, there), &v4);
        for (source, destination) in [
            (there, here),
            ((DESTINATION4, SOURCE_PORT), there),
            ((SOURCE4, 1), there),
            (here, (SOURCE4, 443)),
            (here, (DESTINATION4, 444)),
        ] {
            misses(s, matching::ipv4_udp_tuple(source, destination), &v4);
        }
        misses(s, matching::ipv4_udp_tuple(here, there), &tcp4(443, 0, b""));
        let v6 = udp6(443, b"payload");
        let here = (SOURCE6, SOURCE_PORT);
        let there = (DESTINATION6, 443);
        matches(s, matching::ipv6_udp_tuple(here, there), &v6);
        for (source, destination) in [
            (there, here),
            ((SOURCE6, 1), there),
            (here, (DESTINATION6, 444)),
        ] {
            misses(s, matching::ipv6_udp_tuple(source, destination), &v6);
        }
        misses(s, matching::ipv6_udp_tuple(here, there), &v4);
    });
}

#[test]
fn s03_3_4_r9_r10_r11_r12_r13_s03_3_6_1_sets_of_ports() {
    scene(|s| {
        let ports = Ports::new(&s.app, &[1, 443, 65535, 0x00FF]);
        let any = matching::udp_port_set(&ports);
        for port in [1, 443, 65535, 0x00FF] {
            matches(s, any, &udp4(port, b""));
            matches(s, any, &udp6(port, b""));
        }
        for port in [0, 2, 442, 444, 0xBB01, 0xFF00, 0x0100] {
            misses(s, any, &udp4(port, b""));
        }
        misses(s, any, &tcp4(443, 0, b""));
        let four = [
            (MatchType::IPV4_UDP_PORT_SET, false, false),
            (MatchType::IPV6_UDP_PORT_SET, false, true),
            (MatchType::IPV4_TCP_PORT_SET, true, false),
            (MatchType::IPV6_TCP_PORT_SET, true, true),
        ];
        let frame = |tcp, v6, port| match (tcp, v6) {
            (false, false) => udp4(port, b""),
            (false, true) => udp6(port, b""),
            (true, false) => tcp4(port, Tcp::SYN, b""),
            (true, true) => tcp6(port, Tcp::SYN, b""),
        };
        for (kind, tcp, v6) in four {
            let (right, wrong) = if v6 {
                (
                    matching::ip_port_set(kind, DESTINATION6.octets(), &ports),
                    matching::ip_port_set(kind, SOURCE6.octets(), &ports),
                )
            } else {
                (
                    matching::ip_port_set(kind, DESTINATION4.octets(), &ports),
                    matching::ip_port_set(kind, SOURCE4.octets(), &ports),
                )
            };
            for (_, other_tcp, other_v6) in four {
                let answer = holds(s, right, &frame(other_tcp, other_v6, 443));
                assert_eq!(answer, (tcp, v6) == (other_tcp, other_v6), "{kind:?}");
            }
            misses(s, right, &frame(tcp, v6, 442));
            misses(s, wrong, &frame(tcp, v6, 443));
        }
    });
}

#[test]
fn s03_3_6_2_port_sets_stay_live_and_outlive_their_mapping() {
    scene(|s| {
        let ports = Ports::new(&s.app, &[]);
        let _program = s.attach(matching::udp_port_set(&ports).drop());
        for _ in 0..3 {
            s.arrive(udp4(53, b""));
            assert_eq!(s.passed().len(), 1);
            ports.insert(53);
            s.arrive(udp4(53, b""));
            assert!(s.passed().is_empty());
            ports.remove(53);
        }
        ports.insert(54);
        s.app.free(ports.memory()).unwrap();
        s.arrive(udp4(54, b""));
        assert!(s.passed().is_empty(), "the pages stay");
    });
}

#[test]
fn s03_3_6_3_port_sets_need_no_alignment() {
    scene(|s| {
        let memory = s.app.alloc(16384).unwrap();
        let bit = 53_u16.to_be();
        for offset in [0, 8, 4090] {
            let byte = usize::from(bit >> 3);
            memory.write(offset + byte, &[1 << (bit & 7)]);
            let set = xdp_abi::PortSet {
                port_set: xdp_abi::ClientPtr((memory.address() + offset) as u64),
                ..xdp_abi::PortSet::default()
            };
            let pattern = xdp_abi::MatchPattern::from_port_set(set);
            let rule = Matching::new(MatchType::UDP_PORT_SET, pattern);
            let program = s.app.program(s.nic).rule(rule.drop()).create().unwrap();
            s.arrive(udp4(53, b""));
            s.arrive(udp4(54, b""));
            assert_eq!(s.passed(), [udp4(54, b"")], "+{offset}");
            program.close();
            memory.write(offset + byte, &[0]);
        }
    });
}

#[test]
fn s03_3_4_r14_tcp_by_port() {
    scene(|s| {
        for flags in [0, Tcp::SYN, Tcp::ACK | Tcp::PSH] {
            for frame in [tcp4(80, flags, b"abc"), tcp6(80, flags, b"")] {
                matches(s, matching::tcp_dst(80), &frame);
                misses(s, matching::tcp_dst(81), &frame);
                misses(s, matching::tcp_dst(SOURCE_PORT), &frame);
            }
        }
        misses(s, matching::tcp_dst(80), &udp4(80, b""));
    });
}

#[test]
fn s03_3_4_r17_tcp_control_segments_by_port() {
    scene(|s| {
        for bits in 0..=255_u8 {
            let control = bits & (Tcp::SYN | Tcp::FIN | Tcp::RST) != 0;
            let program = s.attach(matching::tcp_control_dst(80).drop());
            s.arrive(tcp4(80, bits, b""));
            assert_eq!(s.passed().is_empty(), control, "{bits:#010b}");
            program.close();
        }
        for flag in [Tcp::SYN, Tcp::FIN, Tcp::RST] {
            matches(s, matching::tcp_control_dst(80), &tcp6(80, flag, b""));
            misses(s, matching::tcp_control_dst(81), &tcp6(80, flag, b""));
        }
        misses(s, matching::tcp_control_dst(80), &tcp6(80, Tcp::ACK, b""));
        misses(s, matching::tcp_control_dst(80), &udp4(80, b""));
    });
}

#[test]
fn s03_3_4_r18_ip_protocols() {
    scene(|s| {
        for number in [0, 1, 6, 17, 41, 58, 255] {
            for frame in [
                ipv4().protocol(number).payload(&[0; 40]).finish(),
                ipv6().protocol(number).payload(&[0; 40]).finish(),
            ] {
                matches(s, matching::ip_next_header(number), &frame);
                misses(s, matching::ip_next_header(number ^ 3), &frame);
            }
        }
        let bare = ipv4().protocol(17).finish();
        matches(s, matching::ip_next_header(17), &bare);
        misses(s, matching::udp(), &bare);
        let arp = FrameBuilder::new()
            .ethertype(0x0806)
            .payload(&[0; 46])
            .finish();
        misses(s, matching::ip_next_header(0), &arp);
    });
}

#[test]
fn s03_3_4_r19_r20_s03_3_4_1_s03_3_4_2_packets_inside_packets() {
    scene(|s| {
        let four = masked(MatchType::INNER_IPV4_DST_MASK_UDP, INNER4);
        let six = masked6(MatchType::INNER_IPV6_DST_MASK_UDP, INNER6);
        for outer in [ipv4(), ipv6()] {
            let inner4 = outer.clone().ipv4(SOURCE4, INNER4);
            let inner6 = outer.clone().ipv6(SOURCE6, INNER6);
            let whole = inner4.clone().udp(1, 2).finish();
            matches(s, four, &whole);
            misses(s, six, &whole);
            misses(s, matching::udp(), &whole);
            matches(s, four, &inner4.clone().protocol(17).finish());
            misses(s, four, &inner4.clone().tcp(1, 2, 0).finish());
            let whole = inner6.clone().udp(1, 2).finish();
            matches(s, six, &whole);
            misses(s, four, &whole);
            matches(s, six, &inner6.clone().protocol(17).finish());
            misses(s, six, &inner6.clone().tcp(1, 2, 0).finish());
            let other = outer.clone().ipv4(INNER4, SOURCE4).udp(1, 2).finish();
            misses(s, four, &other);
            let kind = MatchType::INNER_IPV4_DST_MASK_UDP;
            let network = matching::masked(kind, [255, 255, 0, 0], [10, 1, 0, 0]);
            matches(s, network, &inner4.clone().udp(1, 2).finish());
            let unmatchable = matching::masked(kind, [255, 0, 0, 0], [10, 1, 0, 0]);
            misses(s, unmatchable, &inner4.clone().udp(1, 2).finish());
            let options = xdp_packet::Ipv4Header::new(SOURCE4, INNER4);
            let with_options = outer.clone().ipv4_with(options, &[1; 4]).udp(1, 2).finish();
            misses(s, four, &with_options);
        }
        let mut versions = ipv4().ipv4(SOURCE4, INNER4).udp(1, 2).finish();
        versions[14 + 20] = 0x65;
        misses(s, four, &versions);
        let cut = &ipv4().ipv4(SOURCE4, INNER4).protocol(17).finish()[..14 + 20 + 19];
        misses(s, four, cut);
        // The inner family follows the outer protocol number.
        let wrong = ipv4().ipv4(SOURCE4, INNER4).udp(1, 2).finish();
        let mut wrong_number = wrong.clone();
        wrong_number[14 + 9] = 41;
        misses(s, four, &wrong_number);
    });
}

#[test]
fn s03_3_4_r21_r22_s03_3_4_3_echo_replies() {
    scene(|s| {
        let four = masked(MatchType::ICMPV4_ECHO_REPLY_IP_DST, DESTINATION4);
        let six = masked6(MatchType::ICMPV6_ECHO_REPLY_IP_DST, DESTINATION6);
        matches(s, four, &ipv4().icmpv4_echo_reply(1, 2).finish());
        misses(s, four, &ipv4().icmpv4(8, 0, &[0; 4]).finish());
        misses(s, four, &ipv4().icmpv4(0, 1, &[0; 4]).finish());
        matches(s, six, &ipv6().icmpv6_echo_reply(1, 2).finish());
        misses(s, six, &ipv6().icmpv6(128, 0, &[0; 4]).finish());
        misses(s, six, &ipv6().icmpv6(129, 1, &[0; 4]).finish());
        let there = masked(MatchType::ICMPV4_ECHO_REPLY_IP_DST, SOURCE4);
        misses(s, there, &ipv4().icmpv4_echo_reply(1, 2).finish());
        // Another protocol whose first bytes look like an echo reply.
        for protocol in [2, 47, 58] {
            let frame = ipv4().protocol(protocol).payload(&[0; 8]).finish();
            misses(s, four, &frame);
        }
        let frame = ipv6().protocol(1).payload(&[129, 0, 0, 0]).finish();
        misses(s, six, &frame);
        // The mask is ignored.
        let kind = MatchType::ICMPV4_ECHO_REPLY_IP_DST;
        let zero_mask = matching::masked(kind, [0; 4], DESTINATION4.octets());
        matches(s, zero_mask, &ipv4().icmpv4_echo_reply(1, 2).finish());
        let kind = MatchType::ICMPV6_ECHO_REPLY_IP_DST;
        let zero_mask = matching::masked(kind, [0; 16], DESTINATION6.octets());
        matches(s, zero_mask, &ipv6().icmpv6_echo_reply(1, 2).finish());
        // Type, code and checksum are there.
        let whole = ipv4().protocol(1).payload(&[0; 4]).finish();
        matches(s, four, &whole);
        misses(s, four, &whole[..whole.len() - 1]);
        let whole = ipv6().protocol(58).payload(&[129, 0, 1, 1]).finish();
        matches(s, six, &whole);
        misses(s, six, &whole[..whole.len() - 1]);
    });
}

#[test]
fn s03_3_1_r1_r2_tagged_frames_have_no_ip() {
    scene(|s| {
        let ports = Ports::new(&s.app, &[443]);
        for ethertype in [0x8100, 0x88A8, 0x9100, 0x1234] {
            let tag = VlanTag {
                ethertype,
                id: 5,
                priority: 0,
                drop_eligible: false,
            };
            let tagged = FrameBuilder::new()
                .vlan(tag)
                .ipv4(SOURCE4, DESTINATION4)
                .udp(SOURCE_PORT, 443)
                .finish();
            for matching in every_ip_match(&ports) {
                let rule = matching.drop();
                let program = s.app.program(s.nic).rule(rule).create().unwrap();
                s.arrive(&tagged);
                assert_eq!(s.passed().len(), 1, "{matching:?}");
                program.close();
            }
        }
        for (ethertype, frame) in [(0x0806, udp4(443, b"")), (0x0800, udp6(443, b""))] {
            let mut frame = frame;
            frame[12..14].copy_from_slice(&u16::to_be_bytes(ethertype));
            misses(s, matching::ipv6_dst(DESTINATION6, 128), &frame);
            misses(s, matching::ipv4_dst(DESTINATION4, 32), &frame);
        }
    });
}

#[test]
fn s03_3_1_r3_ipv4_has_20_bytes_and_no_options() {
    scene(|s| {
        let by_address = matching::ipv4_dst(DESTINATION4, 32);
        let header = xdp_packet::Ipv4Header::new(SOURCE4, DESTINATION4);
        let options = FrameBuilder::new()
            .ipv4_with(header, &[1; 8])
            .udp(SOURCE_PORT, 443)
            .finish();
        for matching in [by_address, matching::udp(), matching::ip_next_header(17)] {
            misses(s, matching, &options);
        }
        let whole = ipv4().protocol(99).finish();
        assert_eq!(whole.len(), 34);
        matches(s, by_address, &whole);
        misses(s, by_address, &whole[..33]);
        for ihl in [0, 1, 4, 6, 15] {
            let mut frame = udp4(443, b"payload enough");
            frame[14] = 0x40 | ihl;
            misses(s, by_address, &frame);
            misses(s, matching::udp(), &frame);
        }
        // What is not examined: version, lengths, checksum, time to live, fragments.
        let mut frame = udp4(443, b"payload");
        for (at, value) in [
            (14, 0xF5),
            (15, 0xFF),
            (16, 0xFF),
            (17, 0),
            (20, 0x3F),
            (21, 0xFF),
            (22, 0),
            (24, 0xAA),
        ] {
            frame[at] = value;
            matches(s, by_address, &frame);
            matches(s, matching::udp_dst(443), &frame);
        }
    });
}

#[test]
fn s03_3_1_r4_ipv6_has_40_bytes_and_extensions_are_not_walked() {
    scene(|s| {
        let by_address = matching::ipv6_dst(DESTINATION6, 128);
        let whole = ipv6().protocol(59).finish();
        assert_eq!(whole.len(), 54);
        matches(s, by_address, &whole);
        misses(s, by_address, &whole[..53]);
        for kind in [0, 43, 44, 60] {
            let frame = ipv6()
                .ipv6_extension(kind, &[0; 7])
                .udp(SOURCE_PORT, 443)
                .finish();
            matches(s, by_address, &frame);
            matches(s, matching::ip_next_header(kind), &frame);
            misses(s, matching::ip_next_header(17), &frame);
            misses(s, matching::udp(), &frame);
        }
        let mut frame = udp6(443, b"");
        frame[14] = 0xF0;
        frame[18..20].copy_from_slice(&[0xFF, 0xFF]);
        matches(s, by_address, &frame);
        matches(s, matching::udp_dst(443), &frame);
    });
}

#[test]
fn s03_3_1_r5_udp_has_8_bytes() {
    scene(|s| {
        for frame in [udp4(443, b""), udp6(443, b"")] {
            matches(s, matching::udp(), &frame);
            for cut in 1..8 {
                let cut = &frame[..frame.len() - cut];
                misses(s, matching::udp(), cut);
                misses(s, matching::udp_dst(443), cut);
            }
            let mut odd = frame.clone();
            let at = odd.len() - 4;
            odd[at..].copy_from_slice(&[0xFF, 0xFF, 0xDE, 0xAD]);
            matches(s, matching::udp_dst(443), &odd);
        }
    });
}

#[test]
fn s03_3_1_r6_tcp_has_its_header_whole() {
    scene(|s| {
        let by_port = matching::tcp_dst(443);
        let whole = tcp4(443, Tcp::SYN, b"");
        matches(s, by_port, &whole);
        misses(s, by_port, &whole[..whole.len() - 1]);
        let header = xdp_packet::TcpHeader::new(SOURCE_PORT, 443, Tcp::SYN);
        let options = ipv6().tcp_with(header, &[1; 40]).finish();
        matches(s, by_port, &options);
        misses(s, by_port, &options[..options.len() - 1]);
        for words in 0..5_u8 {
            let mut frame = tcp4(443, Tcp::SYN, b"some payload");
            frame[14 + 20 + 12] = words << 4;
            misses(s, by_port, &frame);
            misses(s, matching::tcp_control_dst(443), &frame);
        }
    });
}

#[test]
fn s03_3_1_trailing_padding_is_ignored() {
    scene(|s| {
        let frame = ipv4().udp(SOURCE_PORT, 443).payload(b"q").finish_padded(60);
        matches(s, matching::udp_dst(443), &frame);
        let fragment = xdp_packet::Ipv4Header {
            fragment_offset_bytes: 800,
            ..xdp_packet::Ipv4Header::new(SOURCE4, DESTINATION4)
        };
        let fragment = FrameBuilder::new()
            .ipv4_with(fragment, &[])
            .udp(SOURCE_PORT, 443)
            .finish();
        matches(s, matching::udp_dst(443), &fragment);
    });
}

#[test]
fn s03_3_3_patterns_are_in_network_order() {
    scene(|s| {
        let mut pattern = matching::udp_dst(0x1234).pattern;
        let raw = pattern.port().raw();
        assert_eq!(raw.to_ne_bytes(), [0x12, 0x34]);
        matches(
            s,
            Matching::new(MatchType::UDP_DST, pattern),
            &udp4(0x1234, b""),
        );
        pattern = xdp_abi::MatchPattern::from_port(xdp_abi::Port(0x1234));
        matches(
            s,
            Matching::new(MatchType::UDP_DST, pattern),
            &udp4(0x3412, b""),
        );
    });
}

#[test]
fn s03_3_2_s10_6_r1_random_frames_in_random_pieces_decide_like_whole_ones() {
    scene(|s| {
        let ports = Ports::new(&s.app, &[443, 4433]);
        let rules: Vec<_> = every_ip_match(&ports).iter().map(|m| m.drop()).collect();
        let _program = s.app.program(s.nic).rules(rules).create().unwrap();
        let mut random = 0x5EED_u64;
        let mut next = move || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (random >> 33) as usize
        };
        for round in 0..300 {
            let mut frame = match next() % 6 {
                0 => udp4(443, &[7; 60]),
                1 => udp6(443, &[7; 60]),
                2 => tcp4(443, Tcp::SYN, &[7; 60]),
                3 => quic_frames(false, true)[0].clone(),
                4 => ipv4().ipv6(SOURCE6, INNER6).udp(1, 2).finish(),
                _ => ipv6().icmpv6_echo_reply(1, 1).finish(),
            };
            for _ in 0..next() % 4 {
                let at = next() % frame.len();
                frame[at] = next() as u8;
            }
            frame.truncate(1 + next() % frame.len());
            s.nic.wire().set_layout(Layout::contiguous());
            s.arrive(&frame);
            let whole = s.passed().len();
            s.nic.wire().set_layout(Layout::random(round));
            s.arrive(&frame);
            assert_eq!(s.passed().len(), whole, "round {round}: {frame:02x?}");
        }
    });
}
