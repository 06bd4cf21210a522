//! Rule lists and the frames that meet them.

use std::net::{Ipv4Addr, Ipv6Addr};

use xdp_packet::{FrameBuilder, Icmp, Tcp};
use xdp_rules::oracle::{PortBits, Random};
use xdp_rules::{AddressPorts, CidSlice, Flow, Masked, Pattern, Tuple};

/// A rule of a measured list.
pub(super) type Rule<'a> = Pattern<&'a PortBits>;

/// Many frames behind each other in memory, as small as they may be.
pub(super) struct Frames {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl Frames {
    /// Makes `count` frames.
    pub(super) fn new(count: usize, mut make: impl FnMut() -> Vec<u8>) -> Self {
        let mut frames = Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        };
        for _ in 0..count {
            let mut frame = make();
            frame.resize(frame.len().max(64), 0);
            frames.bytes.extend(frame);
            frames.ends.push(frames.bytes.len() as u32);
        }
        frames
    }

    /// Number of frames.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Each frame.
    pub(super) fn slices(&self) -> Vec<&[u8]> {
        let starts = [0].into_iter().chain(self.ends.iter().copied());
        let ends = self.ends.iter();
        starts
            .zip(ends)
            .map(|(start, &end)| &self.bytes[start as usize..end as usize])
            .collect()
    }
}

/// A frame that a pattern matches; for a port set, to `port`.
pub(super) fn frame_for(pattern: &Rule<'_>, port: u16, random: &mut Random) -> Vec<u8> {
    let from4 = Ipv4Addr::from_bits(random.word() as u32);
    let from6 = v6(random);
    let to4 = Ipv4Addr::from_bits(random.word() as u32);
    let to6 = v6(random);
    let frame = FrameBuilder::new;
    let cid = |flow: &Flow, random: &mut Random| {
        let mut cid = random.bytes(usize::from(flow.cid.offset()));
        cid.extend(flow.cid.bytes());
        cid
    };
    let rest = random.bytes(24);
    let any = random.word() as u16;
    match pattern {
        Pattern::All => vec![0; 64],
        Pattern::Udp => frame().ipv4(from4, to4).udp(any, port).finish(),
        Pattern::UdpDst(port) => frame().ipv4(from4, to4).udp(any, *port).finish(),
        Pattern::TcpDst(port) => frame().ipv4(from4, to4).tcp(any, *port, Tcp::ACK).finish(),
        Pattern::TcpControlDst(port) => frame().ipv6(from6, to6).tcp(any, *port, Tcp::SYN).finish(),
        Pattern::IpNextHeader(number) => frame().ipv4(from4, to4).protocol(*number).finish(),
        Pattern::Ipv4DstMask(masked) => {
            let to = masked.address | (to4 & !masked.mask);
            frame().ipv4(from4, to).udp(any, port).finish()
        }
        Pattern::Ipv6DstMask(masked) => {
            let to = masked.address | (to6 & !masked.mask);
            frame().ipv6(from6, to).udp(any, port).finish()
        }
        Pattern::Ipv4UdpTuple(tuple) => frame()
            .ipv4(tuple.source, tuple.destination)
            .udp(tuple.source_port, tuple.destination_port)
            .finish(),
        Pattern::Ipv6UdpTuple(tuple) => frame()
            .ipv6(tuple.source, tuple.destination)
            .udp(tuple.source_port, tuple.destination_port)
            .finish(),
        Pattern::UdpPortSet(_) => frame().ipv4(from4, to4).udp(any, port).finish(),
        Pattern::Ipv4UdpPortSet(at) => frame().ipv4(from4, at.address).udp(any, port).finish(),
        Pattern::Ipv6UdpPortSet(at) => frame().ipv6(from6, at.address).udp(any, port).finish(),
        Pattern::Ipv4TcpPortSet(at) => frame().ipv4(from4, at.address).tcp(any, port, 0).finish(),
        Pattern::Ipv6TcpPortSet(at) => frame().ipv6(from6, at.address).tcp(any, port, 0).finish(),
        Pattern::QuicFlowSrcCid(flow) => frame()
            .ipv4(from4, to4)
            .udp(any, flow.port)
            .quic_long(1, &rest[..8], &cid(flow, random))
            .finish(),
        Pattern::QuicFlowDstCid(flow) => frame()
            .ipv4(from4, to4)
            .udp(any, flow.port)
            .quic_short(&cid(flow, random))
            .payload(&rest)
            .finish(),
        Pattern::TcpQuicFlowSrcCid(flow) => frame()
            .ipv4(from4, to4)
            .tcp(any, flow.port, Tcp::ACK)
            .quic_long(1, &rest[..8], &cid(flow, random))
            .finish(),
        Pattern::TcpQuicFlowDstCid(flow) => frame()
            .ipv4(from4, to4)
            .tcp(any, flow.port, Tcp::ACK)
            .quic_short(&cid(flow, random))
            .payload(&rest)
            .finish(),
        Pattern::InnerIpv4DstMaskUdp(masked) => {
            let to = masked.address | (to4 & !masked.mask);
            let outer = frame().ipv4(from4, to4);
            outer.ipv4(from4, to).udp(any, port).finish()
        }
        Pattern::InnerIpv6DstMaskUdp(masked) => {
            let to = masked.address | (to6 & !masked.mask);
            let outer = frame().ipv4(from4, to4);
            outer.ipv6(from6, to).udp(any, port).finish()
        }
        Pattern::Icmpv4EchoReplyIpDst(address) => frame()
            .ipv4(from4, *address)
            .icmpv4(Icmp::V4_ECHO_REPLY, 0, &rest)
            .finish(),
        Pattern::Icmpv6EchoReplyIpDst(address) => frame()
            .ipv6(from6, *address)
            .icmpv6(Icmp::V6_ECHO_REPLY, 0, &rest)
            .finish(),
    }
}

/// Both ends of random IPv4 UDP flows.
pub(super) fn tuples4<'a>(count: usize, random: &mut Random) -> Vec<Rule<'a>> {
    let mut tuple = || {
        Pattern::Ipv4UdpTuple(Tuple {
            source: Ipv4Addr::from_bits(random.word() as u32),
            destination: Ipv4Addr::from_bits(random.word() as u32),
            source_port: random.word() as u16,
            destination_port: random.word() as u16,
        })
    };
    (0..count).map(|_| tuple()).collect()
}

/// Both ends of random IPv6 UDP flows.
pub(super) fn tuples6<'a>(count: usize, random: &mut Random) -> Vec<Rule<'a>> {
    let mut tuple = || {
        Pattern::Ipv6UdpTuple(Tuple {
            source: v6(random),
            destination: v6(random),
            source_port: random.word() as u16,
            destination_port: random.word() as u16,
        })
    };
    (0..count).map(|_| tuple()).collect()
}

/// IPv4 prefixes with the lengths of a routing table, half of them /24; below `under` if that is given.
pub(super) fn prefixes4<'a>(
    count: usize,
    under: Option<(u32, u32)>,
    random: &mut Random,
) -> Vec<Rule<'a>> {
    const LENGTHS: [u32; 16] = [
        8, 12, 16, 18, 20, 22, 23, 24, 24, 24, 24, 24, 24, 24, 25, 26,
    ];
    let mut prefix = || {
        let (path, fixed) = under.unwrap_or((0, 0));
        let len = random.pick(&LENGTHS).max(fixed + 4);
        let mask = u32::MAX << (32 - len);
        let own = (random.word() as u32).unbounded_shr(fixed);
        Pattern::Ipv4DstMask(Masked {
            mask: mask.into(),
            address: ((path | own) & mask).into(),
        })
    };
    // Longer ones first, or an early /8 would hide what follows.
    let mut rules: Vec<Rule<'_>> = (0..count).map(|_| prefix()).collect();
    rules.sort_by_key(|rule| match rule {
        Pattern::Ipv4DstMask(masked) => masked.mask.to_bits().leading_zeros(),
        _ => 0,
    });
    rules.sort_by_key(|rule| match rule {
        Pattern::Ipv4DstMask(masked) => masked.mask.to_bits().trailing_zeros(),
        _ => 0,
    });
    rules
}

/// IPv6 prefixes of 40 to 64 bits below one of 32, as an operator has.
pub(super) fn prefixes6<'a>(count: usize, random: &mut Random) -> Vec<Rule<'a>> {
    let mut prefix = || {
        let len = random.pick(&[40u32, 44, 48, 48, 48, 52, 56, 56, 60, 64, 64, 64]);
        let mask = u128::MAX << (128 - len);
        let own = u128::from(random.word()) << 32;
        Pattern::Ipv6DstMask(Masked {
            mask: mask.into(),
            address: ((0x2001_0DB8 << 96 | own) & mask).into(),
        })
    };
    let mut rules: Vec<Rule<'_>> = (0..count).map(|_| prefix()).collect();
    rules.sort_by_key(|rule| match rule {
        Pattern::Ipv6DstMask(masked) => masked.mask.to_bits().trailing_zeros(),
        _ => 0,
    });
    rules
}

/// IPv4 destinations under `masks` different masks with holes.
pub(super) fn masks4<'a>(count: usize, masks: usize, random: &mut Random) -> Vec<Rule<'a>> {
    let masks: Vec<u32> = (0..masks)
        .map(|_| (random.word() | random.word()) as u32 & !1 | 0x8000_0002 & !0x4)
        .collect();
    (0..count)
        .map(|index| {
            let mask = masks[index % masks.len()];
            Pattern::Ipv4DstMask(Masked {
                mask: mask.into(),
                address: (random.word() as u32 & mask).into(),
            })
        })
        .collect()
}

/// Connection IDs of eight bytes on one port, as a QUIC server has.
pub(super) fn cids<'a>(count: usize, source: bool, random: &mut Random) -> Vec<Rule<'a>> {
    (0..count)
        .map(|_| {
            let cid = CidSlice::new(0, &random.bytes(8)).expect("eight bytes");
            let flow = Flow { port: 443, cid };
            if source {
                Pattern::QuicFlowSrcCid(flow)
            } else {
                Pattern::QuicFlowDstCid(flow)
            }
        })
        .collect()
}

/// Port sets with a destination each; sets are used in turn.
pub(super) fn address_sets<'a>(
    count: usize,
    sets: &'a [PortBits],
    random: &mut Random,
) -> Vec<Rule<'a>> {
    (0..count)
        .map(|index| {
            Pattern::Ipv4UdpPortSet(AddressPorts {
                address: Ipv4Addr::from_bits(random.word() as u32),
                ports: &sets[index % sets.len()],
            })
        })
        .collect()
}

/// All kinds in turn, in random order; those that match everything of something come last.
pub(super) fn mixed<'a>(count: usize, sets: &'a [PortBits], random: &mut Random) -> Vec<Rule<'a>> {
    let mut rules: Vec<Rule<'a>> = Vec::new();
    let each = count / 20;
    rules.extend(tuples4(each, random));
    rules.extend(tuples6(each, random));
    rules.extend(prefixes4(each, None, random));
    rules.extend(prefixes6(each, random));
    rules.extend(masks4(each, 4, random));
    for rule in prefixes4(each, None, random) {
        if let Pattern::Ipv4DstMask(masked) = rule {
            rules.push(Pattern::InnerIpv4DstMaskUdp(masked));
        }
    }
    for rule in prefixes6(each, random) {
        if let Pattern::Ipv6DstMask(masked) = rule {
            rules.push(Pattern::InnerIpv6DstMaskUdp(masked));
        }
    }
    for source in [true, false] {
        for rule in cids(each, source, random) {
            rules.push(rule);
        }
        for rule in cids(each, source, random) {
            match rule {
                Pattern::QuicFlowSrcCid(flow) => rules.push(Pattern::TcpQuicFlowSrcCid(flow)),
                Pattern::QuicFlowDstCid(flow) => rules.push(Pattern::TcpQuicFlowDstCid(flow)),
                _ => {}
            }
        }
    }
    let at = each;
    rules.extend(address_sets(at, sets, random));
    for rule in address_sets(at, sets, random) {
        if let Pattern::Ipv4UdpPortSet(at) = rule {
            rules.push(Pattern::Ipv4TcpPortSet(at));
        }
    }
    for index in 0..at {
        let ports = &sets[index % sets.len()];
        let address = v6(random);
        rules.push(Pattern::Ipv6UdpPortSet(AddressPorts { address, ports }));
        let address = v6(random);
        rules.push(Pattern::Ipv6TcpPortSet(AddressPorts { address, ports }));
        // Ports that the sets do not hold, so that either can decide.
        rules.push(Pattern::UdpDst(random.word() as u16 | 0x8000));
        rules.push(Pattern::TcpDst(random.word() as u16 | 0x8000));
        rules.push(Pattern::TcpControlDst(random.word() as u16 | 0x8000));
        let address = Ipv4Addr::from_bits(random.word() as u32);
        rules.push(Pattern::Icmpv4EchoReplyIpDst(address));
        rules.push(Pattern::Icmpv6EchoReplyIpDst(v6(random)));
    }
    for index in (1..rules.len()).rev() {
        rules.swap(index, random.below(index + 1));
    }
    rules.truncate(count - 4);
    rules.extend(sets.first().map(Pattern::UdpPortSet));
    rules.extend([Pattern::IpNextHeader(132), Pattern::Udp, Pattern::All]);
    rules
}

fn v6(random: &mut Random) -> Ipv6Addr {
    Ipv6Addr::from_bits(u128::from(random.word()) << 64 | u128::from(random.word()))
}
