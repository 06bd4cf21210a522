use super::*;
use crate::oracle::{PortBits, Random, Universe};
use crate::pattern::{AddressPorts, CidSlice, NoPorts};
use crate::walker::{matches, walk};
use xdp_packet::{Depth, Packet};

type Rule<'a> = Pattern<&'a PortBits>;

fn v4(text: &str) -> Masked<Ipv4Addr> {
    let (address, length) = text.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0).into();
    Masked {
        mask,
        address: address.parse().unwrap(),
    }
}

fn ports(numbers: &[u16]) -> PortBits {
    let set = PortBits::default();
    numbers.iter().for_each(|port| set.set(*port, true));
    set
}

fn flow(port: u16, offset: u8, bytes: &[u8]) -> Flow {
    Flow {
        port,
        cid: CidSlice::new(offset, bytes).unwrap(),
    }
}

/// Tells which of two rules shadows the other when both stand in either order.
fn shadows(wide: Rule<'_>, narrow: Rule<'_>) {
    let by_first = |rules: [Rule<'_>; 2]| unreachable(&rules);
    let shadowed = [Unreachable {
        rule: 1,
        reason: Reason::Shadowed { by: 0 },
    }];
    assert_eq!(
        by_first([wide, narrow]),
        shadowed,
        "{wide:?} before {narrow:?}"
    );
    assert_eq!(by_first([narrow, wide]), [], "{narrow:?} before {wide:?}");
}

#[test]
fn a_wider_rule_shadows_a_narrower_one() {
    let (dns, both, twice) = (ports(&[53]), ports(&[53, 443]), ports(&[53, 443]));
    let address = Ipv4Addr::new(10, 1, 2, 3);
    let tuple = Tuple {
        source: Ipv4Addr::LOCALHOST,
        destination: address,
        source_port: 9,
        destination_port: 53,
    };
    let at = |ports| AddressPorts { address, ports };

    shadows(Pattern::All, Pattern::Udp);
    shadows(Pattern::IpNextHeader(17), Pattern::Udp);
    shadows(
        Pattern::IpNextHeader(1),
        Pattern::Icmpv4EchoReplyIpDst(address),
    );
    shadows(
        Pattern::IpNextHeader(4),
        Pattern::InnerIpv4DstMaskUdp(v4("10.0.0.0/8")),
    );
    shadows(Pattern::Udp, Pattern::UdpDst(53));
    shadows(Pattern::Udp, Pattern::UdpPortSet(&both));
    shadows(Pattern::UdpPortSet(&both), Pattern::UdpDst(443));
    shadows(Pattern::UdpPortSet(&both), Pattern::UdpPortSet(&dns));
    shadows(
        Pattern::UdpPortSet(&both),
        Pattern::Ipv4UdpPortSet(at(&twice)),
    );
    shadows(Pattern::UdpDst(53), Pattern::Ipv4UdpTuple(tuple));
    shadows(Pattern::UdpDst(53), Pattern::Ipv4UdpPortSet(at(&dns)));
    shadows(
        Pattern::UdpDst(443),
        Pattern::QuicFlowDstCid(flow(443, 0, &[1])),
    );
    shadows(Pattern::TcpDst(443), Pattern::TcpControlDst(443));
    shadows(
        Pattern::TcpDst(443),
        Pattern::TcpQuicFlowSrcCid(flow(443, 0, &[1])),
    );
    shadows(
        Pattern::Ipv4DstMask(v4("0.0.0.0/0")),
        Pattern::Ipv4DstMask(v4("10.0.0.0/8")),
    );
    shadows(
        Pattern::Ipv4DstMask(v4("10.0.0.0/8")),
        Pattern::Ipv4UdpTuple(tuple),
    );
    shadows(
        Pattern::Ipv4DstMask(v4("10.1.2.3/32")),
        Pattern::Ipv4TcpPortSet(at(&both)),
    );
    shadows(
        Pattern::Ipv4DstMask(v4("10.0.0.0/8")),
        Pattern::Icmpv4EchoReplyIpDst(address),
    );
    shadows(
        Pattern::Ipv4UdpPortSet(at(&both)),
        Pattern::Ipv4UdpTuple(tuple),
    );
    shadows(
        Pattern::Ipv4TcpPortSet(at(&both)),
        Pattern::Ipv4TcpPortSet(at(&dns)),
    );
    shadows(
        Pattern::InnerIpv4DstMaskUdp(v4("10.0.0.0/8")),
        Pattern::InnerIpv4DstMaskUdp(v4("10.1.0.0/16")),
    );
    shadows(
        Pattern::QuicFlowSrcCid(flow(443, 1, &[2])),
        Pattern::QuicFlowSrcCid(flow(443, 0, &[1, 2, 3])),
    );
    // Connection IDs of three bytes or more: three bytes that are compared are such.
    shadows(
        Pattern::QuicFlowSrcCid(flow(443, 3, &[])),
        Pattern::QuicFlowSrcCid(flow(443, 0, &[1, 2, 3])),
    );
}

#[test]
fn what_only_looks_alike_shadows_nothing() {
    let (dns, web) = (ports(&[53, 80]), ports(&[80, 443]));
    let address = Ipv4Addr::new(10, 1, 2, 3);
    let rules: [Rule<'_>; 14] = [
        Pattern::TcpControlDst(443),
        Pattern::TcpDst(443),
        Pattern::UdpDst(443),
        Pattern::UdpPortSet(&dns),
        Pattern::UdpPortSet(&web),
        Pattern::Ipv4TcpPortSet(AddressPorts {
            address,
            ports: &dns,
        }),
        Pattern::Ipv4TcpPortSet(AddressPorts {
            address,
            ports: &web,
        }),
        Pattern::QuicFlowSrcCid(flow(4433, 4, &[])),
        Pattern::QuicFlowSrcCid(flow(4433, 0, &[1, 2, 3])),
        Pattern::QuicFlowDstCid(flow(4433, 0, &[1, 2, 3])),
        Pattern::InnerIpv4DstMaskUdp(v4("10.0.0.0/8")),
        Pattern::Ipv4DstMask(v4("10.1.2.3/32")),
        Pattern::Ipv4DstMask(v4("10.0.0.0/8")),
        Pattern::IpNextHeader(6),
    ];
    assert_eq!(unreachable(&rules), []);
}

#[test]
fn rules_that_nothing_can_match_are_found() {
    let none = ports(&[]);
    let mut outside = v4("10.0.0.0/8");
    outside.address = Ipv4Addr::new(10, 0, 0, 1);
    let rules: [Rule<'_>; 3] = [
        Pattern::Ipv4DstMask(outside),
        Pattern::UdpPortSet(&none),
        Pattern::All,
    ];
    let reasons: Vec<Reason> = unreachable(&rules)
        .into_iter()
        .map(|it| it.reason)
        .collect();
    assert_eq!(reasons, [Reason::AddressOutsideMask, Reason::NoPorts]);
}

#[test]
fn the_earliest_shadow_is_named_and_not_one_in_the_shadow() {
    let rules: [Rule<'_>; 4] = [
        Pattern::Udp,
        Pattern::UdpDst(53),
        Pattern::UdpDst(53),
        Pattern::Udp,
    ];
    let by: Vec<_> = unreachable(&rules)
        .into_iter()
        .map(|it| (it.rule, it.reason))
        .collect();
    let shadow = Reason::Shadowed { by: 0 };
    assert_eq!(by, [(1, shadow), (2, shadow), (3, shadow)]);
}

#[test]
fn no_packet_ever_meets_an_unreachable_rule() {
    let mut random = Random::new(7);
    let mut met = 0;
    for _ in 0..20 {
        let world = Universe::new(&mut random, 4);
        let rules: Vec<Rule<'_>> = (0..60).map(|_| world.pattern(&mut random)).collect();
        let dead = unreachable(&rules);
        for _ in 0..200 {
            let frame = world.frame(&mut random);
            let packet = Packet::parse_slice(&frame, Depth::Upper);
            let decided = walk(&rules, &packet);
            for Unreachable { rule, reason } in &dead {
                assert_ne!(
                    decided,
                    Some(*rule),
                    "{:?} decided, {reason:?}",
                    rules[*rule]
                );
                if !matches(&rules[*rule], &packet) {
                    continue;
                }
                let Reason::Shadowed { by } = reason else {
                    panic!("{reason:?}, and yet it matches")
                };
                assert!(
                    matches(&rules[*by], &packet),
                    "{:?} by {:?}",
                    rules[*rule],
                    rules[*by]
                );
                met += 1;
            }
        }
    }
    assert!(met > 500, "the packets meet too few shadowed rules: {met}");
}

#[test]
fn every_rule_in_the_shadow_of_one_other_is_reported() {
    // In a world of two address bits, whether one mask covers another can be seen by trying every address.
    let mut random = Random::new(11);
    for _ in 0..100 {
        let rules: Vec<Pattern<NoPorts>> = (0..12)
            .map(|_| {
                let mask = [0u32, 1, 2, 3][random.below(4)];
                let address = random.below(4) as u32;
                match random.below(3) {
                    0 => Pattern::UdpDst(random.below(4) as u16),
                    1 => Pattern::TcpDst(random.below(4) as u16),
                    _ => Pattern::Ipv4DstMask(Masked {
                        mask: mask.into(),
                        address: (address & mask).into(),
                    }),
                }
            })
            .collect();
        let dead: Vec<usize> = unreachable(&rules).into_iter().map(|it| it.rule).collect();
        for (index, rule) in rules.iter().enumerate() {
            let earlier =
                |wanted: &Pattern<NoPorts>| rules[..index].iter().any(|other| other == wanted);
            let covered = match rule {
                Pattern::Ipv4DstMask(own) => rules[..index].iter().any(|other| {
                    matches!(other, Pattern::Ipv4DstMask(wide)
                    if (0..4u32).all(|it| {
                        let it = Ipv4Addr::from(it);
                        it & own.mask != own.address || it & wide.mask == wide.address
                    }))
                }),
                exact => earlier(exact),
            };
            assert_eq!(dead.contains(&index), covered, "{index} of {rules:?}");
        }
    }
}
