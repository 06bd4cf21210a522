//! Questions, and what smoltcp makes of the answers.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol,
    Icmpv4Packet, Icmpv4Repr, Icmpv6Packet, Icmpv6Repr, Ipv4Packet, Ipv6Packet, NdiscRepr,
};
use xdp_packet::{FrameBuilder, MacAddr, Responder};

const ASKER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OURS: [u8; 6] = [2, 0, 0, 0, 0, 9];
const ASKER_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OUR_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 9);
const ASKER_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 1);
const OUR_V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xDB8, 0, 0, 0, 0, 0, 9);

const HOST: Responder = Responder {
    mac: MacAddr(OURS),
    ipv4: Some(OUR_V4),
    ipv6: Some(OUR_V6),
};

fn answered(frame: &[u8], host: &Responder) -> Option<Vec<u8>> {
    let mut room = frame.to_vec();
    room.resize(frame.len().max(Responder::ROOM_BYTES), 0xEE);
    let before = room.clone();
    let Some(length) = host.answer(&mut room, frame.len()) else {
        assert_eq!(room, before, "what is not answered stays as it is");
        return None;
    };
    room.truncate(length);
    Some(room)
}

fn builder() -> FrameBuilder {
    FrameBuilder::ethernet(MacAddr(OURS), MacAddr(ASKER))
}

fn arp_request(target: Ipv4Addr) -> Vec<u8> {
    let repr = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress(ASKER),
        source_protocol_addr: ASKER_V4,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    let mut frame = vec![0; 14 + repr.buffer_len()];
    frame[..6].fill(0xFF);
    frame[6..12].copy_from_slice(&ASKER);
    frame[12..14].copy_from_slice(&[8, 6]);
    repr.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    frame
}

fn solicitation(target: Ipv6Addr, source: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let mut body = vec![0; 4];
    body.extend(target.octets());
    body.extend(options);
    builder()
        .ipv6(source, target)
        .icmpv6(135, 0, &body)
        .finish()
}

/// As a host on the same link sends it: neighbour discovery wants a hop limit of 255.
fn with_hop_limit_255(mut frame: Vec<u8>) -> Vec<u8> {
    frame[21] = 255;
    frame
}

#[test]
fn arp_for_our_address_is_answered_and_for_others_is_not() {
    let reply = answered(&arp_request(OUR_V4), &HOST).expect("it is our address");
    let frame = EthernetFrame::new_checked(&reply).expect("the answer is a frame");
    assert_eq!(frame.dst_addr(), EthernetAddress(ASKER));
    assert_eq!(frame.src_addr(), EthernetAddress(OURS));
    assert_eq!(frame.ethertype(), EthernetProtocol::Arp);
    let packet = ArpPacket::new_checked(frame.payload()).expect("the answer is ARP");
    assert_eq!(
        ArpRepr::parse(&packet).expect("the answer is valid"),
        ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: EthernetAddress(OURS),
            source_protocol_addr: OUR_V4,
            target_hardware_addr: EthernetAddress(ASKER),
            target_protocol_addr: ASKER_V4,
        }
    );
    assert_eq!(answered(&arp_request(ASKER_V4), &HOST), None);
    assert_eq!(answered(&reply, &HOST), None, "a reply is no question");
    let without = Responder { ipv4: None, ..HOST };
    assert_eq!(answered(&arp_request(OUR_V4), &without), None);
}

#[test]
fn ping_over_ipv4_comes_back_with_a_valid_checksum() {
    let request = builder()
        .ipv4(ASKER_V4, OUR_V4)
        .icmpv4(8, 0, b"\x12\x34\x00\x05odd payload")
        .finish();
    let reply = answered(&request, &HOST).expect("it is an echo request to us");
    let frame = EthernetFrame::new_checked(&reply).expect("the answer is a frame");
    assert_eq!(frame.dst_addr(), EthernetAddress(ASKER));
    let packet = Ipv4Packet::new_checked(frame.payload()).expect("the answer is IPv4");
    assert!(packet.verify_checksum());
    assert_eq!((packet.src_addr(), packet.dst_addr()), (OUR_V4, ASKER_V4));
    let icmp = Icmpv4Packet::new_checked(packet.payload()).expect("the answer is ICMP");
    assert_eq!(
        Icmpv4Repr::parse(&icmp, &ChecksumCapabilities::default()).expect("it is valid"),
        Icmpv4Repr::EchoReply {
            ident: 0x1234,
            seq_no: 5,
            data: b"odd payload"
        }
    );
}

#[test]
fn ping_over_ipv6_comes_back_with_a_valid_checksum() {
    let request = builder()
        .ipv6(ASKER_V6, OUR_V6)
        .icmpv6(128, 0, b"\x12\x34\x00\x05payload")
        .finish();
    let reply = answered(&request, &HOST).expect("it is an echo request to us");
    let frame = EthernetFrame::new_checked(&reply).expect("the answer is a frame");
    let packet = Ipv6Packet::new_checked(frame.payload()).expect("the answer is IPv6");
    let icmp = Icmpv6Packet::new_checked(packet.payload()).expect("the answer is ICMP");
    assert_eq!((packet.src_addr(), packet.dst_addr()), (OUR_V6, ASKER_V6));
    assert_eq!(
        Icmpv6Repr::parse(&OUR_V6, &ASKER_V6, &icmp, &ChecksumCapabilities::default())
            .expect("it is valid"),
        Icmpv6Repr::EchoReply {
            ident: 0x1234,
            seq_no: 5,
            data: b"payload"
        }
    );
}

#[test]
fn solicitations_are_answered_with_and_without_the_askers_address() {
    let mut with_option = vec![1, 1];
    with_option.extend(ASKER);
    for options in [&with_option[..], &[]] {
        let request = with_hop_limit_255(solicitation(OUR_V6, ASKER_V6, options));
        let reply = answered(&request, &HOST).expect("it asks for us");
        let frame = EthernetFrame::new_checked(&reply).expect("the answer is a frame");
        assert_eq!(frame.dst_addr(), EthernetAddress(ASKER));
        let packet = Ipv6Packet::new_checked(frame.payload()).expect("the answer is IPv6");
        assert_eq!((packet.src_addr(), packet.dst_addr()), (OUR_V6, ASKER_V6));
        assert_eq!(packet.hop_limit(), 255);
        let icmp = Icmpv6Packet::new_checked(packet.payload()).expect("the answer is ICMP");
        let answer = Icmpv6Repr::parse(&OUR_V6, &ASKER_V6, &icmp, &ChecksumCapabilities::default());
        let Ok(Icmpv6Repr::Ndisc(NdiscRepr::NeighborAdvert {
            lladdr,
            target_addr,
            ..
        })) = answer
        else {
            panic!("{answer:?} is no advertisement");
        };
        assert_eq!(target_addr, OUR_V6);
        assert_eq!(
            lladdr.map(|address| address.as_bytes().to_vec()),
            Some(OURS.to_vec())
        );
    }
    // What fills up a short frame is no part of the question.
    let mut padded = with_hop_limit_255(solicitation(OUR_V6, ASKER_V6, &[]));
    padded.extend([0xEE; 9]);
    assert!(answered(&padded, &HOST).is_some());
    let elsewhere = with_hop_limit_255(solicitation(ASKER_V6, ASKER_V6, &[]));
    assert_eq!(answered(&elsewhere, &HOST), None);
    let from_nowhere = with_hop_limit_255(solicitation(OUR_V6, Ipv6Addr::UNSPECIFIED, &[]));
    assert_eq!(answered(&from_nowhere, &HOST), None);
    let routed = solicitation(OUR_V6, ASKER_V6, &[]);
    assert_eq!(answered(&routed, &HOST), None);
}

/// RFC 4861 section 7.1.1.
#[test]
fn damaged_solicitations_are_not_answered() {
    let good = with_hop_limit_255(solicitation(OUR_V6, ASKER_V6, &[1, 1, 2, 0, 0, 0, 0, 1]));
    assert!(answered(&good, &HOST).is_some());
    // Source, checksum, and reserved and option bytes.
    for at in [29, 56, 59, 80, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[at] ^= 4;
        assert_eq!(answered(&damaged, &HOST), None, "byte {at}");
    }
    // Says that it is longer than it is, or too short for a target.
    for length in [33, 23, 0] {
        let mut damaged = good.clone();
        damaged[18..20].copy_from_slice(&u16::to_be_bytes(length));
        assert_eq!(answered(&damaged, &HOST), None, "{length} bytes");
    }
}

#[test]
fn fragments_options_and_other_messages_are_left_alone() {
    let request = builder()
        .ipv4(ASKER_V4, OUR_V4)
        .icmpv4(8, 0, b"\0\0\0\0")
        .finish();
    let changed = |at: usize, to: u8| {
        let mut frame = request.clone();
        frame[at] = to;
        answered(&frame, &HOST)
    };
    assert_eq!(changed(20, 0x20), None, "more fragments");
    assert_eq!(changed(21, 1), None, "a later fragment");
    assert_eq!(changed(14, 0x46), None, "options");
    assert_eq!(changed(34, 0), None, "an echo reply");
    assert_eq!(changed(23, 17), None, "UDP");
    assert_eq!(changed(33, 8), None, "another host");
}

#[test]
fn frames_cut_anywhere_are_survived() {
    let questions = [
        arp_request(OUR_V4),
        builder()
            .ipv4(ASKER_V4, OUR_V4)
            .icmpv4(8, 0, b"\0\0\0\0")
            .finish(),
        builder()
            .ipv6(ASKER_V6, OUR_V6)
            .icmpv6(128, 0, b"\0\0\0\0")
            .finish(),
        with_hop_limit_255(solicitation(OUR_V6, ASKER_V6, &[])),
    ];
    for question in questions {
        for length in 0..question.len() {
            if let Some(reply) = answered(&question[..length], &HOST) {
                assert!(reply.len() >= 38, "{length} bytes were answered");
            }
        }
    }
}

#[test]
fn an_answer_that_finds_no_room_is_not_given() {
    let question = with_hop_limit_255(solicitation(OUR_V6, ASKER_V6, &[]));
    for room in question.len()..Responder::ROOM_BYTES {
        let mut bytes = question.clone();
        bytes.resize(room, 0);
        let before = bytes.clone();
        assert_eq!(HOST.answer(&mut bytes, question.len()), None);
        assert_eq!(bytes, before);
    }
    assert_eq!(HOST.answer(&mut [], 1), None, "longer than its room");
}

#[test]
fn addresses_are_given_one_of_each_version() {
    let mut host = Responder::new(MacAddr(OURS));
    host.set_address(OUR_V4.into());
    host.set_address(OUR_V6.into());
    assert_eq!((host.ipv4, host.ipv6), (Some(OUR_V4), Some(OUR_V6)));
    host.set_address(ASKER_V4.into());
    assert_eq!((host.ipv4, host.ipv6), (Some(ASKER_V4), Some(OUR_V6)));
}

proptest! {
    #[test]
    fn hostile_frames_are_survived(
        which in 0..4_usize,
        changes in prop::collection::vec((0..100_usize, any::<u8>()), 0..6),
        length in 0..120_usize,
    ) {
        let mut frame = match which {
            0 => arp_request(OUR_V4),
            1 => builder().ipv4(ASKER_V4, OUR_V4).icmpv4(8, 0, b"1234").finish(),
            2 => builder().ipv6(ASKER_V6, OUR_V6).icmpv6(128, 0, b"1234").finish(),
            _ => with_hop_limit_255(solicitation(OUR_V6, ASKER_V6, &[])),
        };
        for (at, value) in changes {
            if let Some(byte) = frame.get_mut(at) {
                *byte = value;
            }
        }
        frame.resize(length, 0);
        if let Some(answer) = answered(&frame, &HOST) {
            prop_assert!(answer.len() == frame.len() || answer.len() == Responder::ROOM_BYTES);
            prop_assert_eq!(&answer[6..12], &OURS);
        }
    }
}
