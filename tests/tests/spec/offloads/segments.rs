//! Sending back frames that the network card has put together of several segments: document 06, section 6.5.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::hostile::Numbers;
use nt_sim::nic::{Frame, FrameInfo, Layout};
use scenarios::{Scene, Stage, counters, frames, matching, scene};
use xdp_abi::HookId;
use xdp_packet::checksum::{Checksum, checksum};
use xdp_packet::{Ipv4Header, Tcp, TcpHeader};

const OID_OFFLOAD: u32 = 0xfc01_020b;
const OFFLOAD_CHANGED: i32 = 0x4002_0006;
const INVALID: &str = "Forwarding Failures: RSC Invalid Headers";

/// Bytes of the Ethernet header.
const ETHERNET: usize = 14;
const OPTIONS: [u8; 12] = [1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8];
const SEQUENCE: u32 = 0xffff_fc00;
const IDENTIFICATION: u16 = 0xfffe;
const FLAGS: u8 = Tcp::ACK | Tcp::PSH | Tcp::FIN;

fn tcp() -> TcpHeader {
    TcpHeader {
        sequence: SEQUENCE,
        acknowledgement: 77,
        window: 1234,
        ..TcpHeader::new(1000, 2000, FLAGS)
    }
}

fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// A frame of `len` bytes of payload, put together of `segments`.
fn coalesced4(len: usize, segments: u32, options: &[u8]) -> Frame {
    let header = Ipv4Header {
        identification: IDENTIFICATION,
        ..Ipv4Header::new(frames::SOURCE4, frames::DESTINATION4)
    };
    let builder = xdp_packet::FrameBuilder::new().ipv4_with(header, &[]);
    mark(
        builder
            .tcp_with(tcp(), options)
            .payload(&payload(len))
            .finish(),
        segments,
    )
}

fn coalesced6(len: usize, segments: u32) -> Frame {
    mark(
        frames::ipv6()
            .tcp_with(tcp(), &OPTIONS)
            .payload(&payload(len))
            .finish(),
        segments,
    )
}

fn mark(bytes: Vec<u8>, segments: u32) -> Frame {
    Frame::new(bytes).with(FrameInfo {
        coalesced: segments,
        ..FrameInfo::default()
    })
}

/// What the network card does of it from now on.
struct Card {
    checksums: bool,
    lso_max: u32,
    lso_min: u32,
}

const NOTHING: Card = Card {
    checksums: false,
    lso_max: 0,
    lso_min: 1,
};

impl Card {
    fn is_in(&self, s: &Scene<'_>) {
        let mut offload = s.nic.stack().query(OID_OFFLOAD).unwrap().unwrap();
        let mut put =
            |at: usize, word: u32| offload[at..at + 4].copy_from_slice(&word.to_le_bytes());
        if !self.checksums {
            put(4, 0);
        }
        for at in [0x50, 0x5c] {
            put(at + 4, self.lso_max);
            put(at + 8, self.lso_min);
        }
        s.nic.indicate_status(OFFLOAD_CHANGED, &offload).unwrap();
        s.lab.settle().unwrap();
    }
}

/// Plays with a program that sends everything back.
fn forwarding(test: impl Fn(&Scene<'_>)) {
    scene(|s| {
        let program = s.app.program(s.nic).rule(matching::all().l2fwd());
        let _program = program.create().unwrap();
        test(s);
    });
}

fn sent(s: &Scene<'_>) -> Vec<Frame> {
    let wire = s.nic.wire();
    std::iter::from_fn(|| wire.try_receive().unwrap()).collect()
}

fn invalid(s: &Scene<'_>) -> u64 {
    let counters = counters::GENERIC_RX.of_queue(s.lab, s.nic.if_index(), 0);
    counters.get(INVALID)
}

fn half(frame: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([frame[at], frame[at + 1]])
}

fn sequence(frame: &[u8], at_tcp: usize) -> u32 {
    u32::from_be_bytes(frame[at_tcp + 4..at_tcp + 8].try_into().unwrap())
}

fn pseudo4(len: u32) -> Checksum {
    let octets = |address: Ipv4Addr| address.octets();
    Checksum::pseudo_ipv4(
        octets(frames::SOURCE4),
        octets(frames::DESTINATION4),
        6,
        len,
    )
}

fn pseudo6(len: u32) -> Checksum {
    let octets = |address: Ipv6Addr| address.octets();
    Checksum::pseudo_ipv6(
        octets(frames::SOURCE6),
        octets(frames::DESTINATION6),
        6,
        len,
    )
}

/// Checks what all frames have in common with the one they come from.
fn check_kept(original: &Frame, produced: &Frame, at_tcp: usize, headers: usize) {
    assert_eq!(produced[..6], original[6..12], "addresses are swapped");
    assert_eq!(produced[6..12], original[..6]);
    assert_eq!(produced[12..16], original[12..16]);
    assert_eq!(
        produced[at_tcp..at_tcp + 4],
        original[at_tcp..at_tcp + 4],
        "ports"
    );
    let (rest, end) = (at_tcp + 8, at_tcp + 13);
    assert_eq!(
        produced[rest..end],
        original[rest..end],
        "acknowledgement, length"
    );
    assert_eq!(
        produced[at_tcp + 14..at_tcp + 16],
        original[at_tcp + 14..at_tcp + 16]
    );
    assert_eq!(
        produced[at_tcp + 18..headers],
        original[at_tcp + 18..headers],
        "options"
    );
    assert_eq!(produced.info.coalesced, 0);
}

#[test]
fn s06_6_5_the_fast_path_leaves_all_to_the_network_card() {
    forwarding(|s| {
        let original = coalesced4(4000, 3, &OPTIONS);
        s.arrive(original.clone());
        let sent4 = sent(s);
        assert_eq!(sent4.len(), 1);
        let frame = &sent4[0];
        check_kept(&original, frame, 34, 66);
        assert_eq!(frame.info.large_send, 1334 | 34 << 20 | 1 << 30);
        assert_eq!(frame.info.checksum, 0);
        assert_eq!(
            [half(frame, 16), half(frame, 24)],
            [0, 0],
            "length, checksum"
        );
        assert_eq!(half(frame, 18), IDENTIFICATION);
        assert_eq!(half(frame, 50), !pseudo4(0).finish());
        assert_eq!(
            (sequence(frame, 34), frame[47]),
            (SEQUENCE, FLAGS),
            "unchanged"
        );
        assert_eq!(frame[66..], payload(4000));

        let original = coalesced6(4000, 3);
        s.arrive(original.clone());
        let sent6 = sent(s);
        assert_eq!(sent6.len(), 1);
        let frame = &sent6[0];
        check_kept(&original, frame, 54, 86);
        assert_eq!(frame.info.large_send, 1334 | 54 << 20 | 1 << 30 | 1 << 31);
        assert_eq!(half(frame, 18), 0, "payload length");
        assert_eq!(half(frame, 70), !pseudo6(0).finish());
        assert_eq!(frame[86..], payload(4000));
    });
}

#[test]
fn s06_6_5_without_offload_segments_are_whole_by_themselves() {
    forwarding(|s| {
        NOTHING.is_in(s);
        let original = coalesced4(4000, 3, &OPTIONS);
        s.arrive(original.clone());
        let frames = sent(s);
        assert_eq!(
            frames.iter().map(|f| f.len()).collect::<Vec<_>>(),
            [1400, 1400, 1398]
        );
        let mut bytes: Vec<u8> = Vec::new();
        for (at, frame) in frames.iter().enumerate() {
            check_kept(&original, frame, 34, 66);
            assert_eq!((frame.info.checksum, frame.info.large_send), (0, 0));
            assert_eq!(usize::from(half(frame, 16)), frame.len() - ETHERNET);
            assert_eq!(
                half(frame, 18),
                IDENTIFICATION.wrapping_add(at as u16),
                "all 16 bits"
            );
            assert_eq!(checksum(&frame[14..34]), 0, "the header's checksum");
            assert_eq!(
                sequence(frame, 34),
                SEQUENCE.wrapping_add(bytes.len() as u32)
            );
            let flags = if at == 2 { FLAGS } else { Tcp::ACK };
            assert_eq!(frame[47], flags, "FIN and PSH on the last only");
            let mut sum = pseudo4(frame.len() as u32 - 34);
            sum.add(&frame[34..]);
            assert!(sum.is_valid());
            bytes.extend(&frame[66..]);
        }
        assert_eq!(bytes, payload(4000));

        s.arrive(coalesced6(2500, 2));
        let frames = sent(s);
        assert_eq!(
            frames.iter().map(|f| f.len()).collect::<Vec<_>>(),
            [86 + 1250; 2]
        );
        for frame in &frames {
            assert_eq!(usize::from(half(frame, 18)), frame.len() - 54);
            let mut sum = pseudo6(frame.len() as u32 - 54);
            sum.add(&frame[54..]);
            assert!(sum.is_valid());
        }
    });
}

#[test]
fn s06_6_5_checksums_are_left_to_a_network_card_that_computes_them() {
    forwarding(|s| {
        let card = Card {
            checksums: true,
            ..NOTHING
        };
        card.is_in(s);
        s.arrive(coalesced4(2000, 2, &[]));
        let frames = sent(s);
        assert_eq!(frames.len(), 2);
        for frame in &frames {
            assert_eq!(frame.info.checksum, 1 | 1 << 2 | 1 << 4 | 34 << 16);
            assert_eq!(frame.info.large_send, 0);
            assert_eq!(half(frame, 24), 0);
            assert_eq!(half(frame, 50), !pseudo4(1020).finish(), "with the length");
        }
        s.arrive(coalesced6(2000, 2));
        let frames = sent(s);
        assert_eq!(frames.len(), 2);
        for frame in &frames {
            assert_eq!(frame.info.checksum, 1 << 1 | 1 << 2 | 54 << 16);
            assert_eq!(half(frame, 70), !pseudo6(1032).finish());
        }
    });
}

#[test]
fn s06_6_5_a_pure_acknowledgement_is_one_frame() {
    for card in [
        NOTHING,
        Card {
            checksums: true,
            lso_max: 64_000,
            lso_min: 1,
        },
    ] {
        forwarding(|s| {
            card.is_in(s);
            s.arrive(coalesced4(0, 1, &OPTIONS));
            let frames = sent(s);
            assert_eq!(frames.len(), 1);
            assert_eq!((frames[0].len(), half(&frames[0], 16)), (66, 52));
            assert_eq!(frames[0][47], FLAGS);
            assert_eq!(frames[0].info.large_send, 0);
        });
    }
}

/// Plays the slow path: lengths of the produced payloads, and how many segments each is.
fn slow(card: &Card, len: usize, segments: u32) -> Vec<(usize, usize)> {
    let produced = std::sync::Mutex::new(Vec::new());
    forwarding(|s| {
        card.is_in(s);
        s.arrive(coalesced4(len, segments, &[]));
        let frames = sent(s);
        let (mut before, mut bytes) = (0_u16, Vec::<u8>::new());
        for (at, frame) in frames.iter().enumerate() {
            let (len, mss) = (
                frame.len() - 54,
                (frame.info.large_send & 0xf_ffff) as usize,
            );
            assert_eq!(
                sequence(frame, 34),
                SEQUENCE.wrapping_add(bytes.len() as u32)
            );
            assert_eq!(half(frame, 18), IDENTIFICATION.wrapping_add(before));
            let is_last = at + 1 == frames.len();
            assert_eq!(frame[47], if is_last { FLAGS } else { Tcp::ACK });
            let count = if mss == 0 { 1 } else { len.div_ceil(mss) };
            let total = if mss == 0 { frame.len() - ETHERNET } else { 0 };
            assert_eq!(usize::from(half(frame, 16)), total);
            before += count as u16;
            bytes.extend(&frame[54..]);
            let is_large = if mss == 0 { 0 } else { count };
            produced.lock().unwrap().push((len, is_large));
        }
        assert_eq!(bytes, payload(len));
    });
    produced.into_inner().unwrap()
}

#[test]
fn s06_6_5_the_slow_path_cuts_what_the_network_card_takes() {
    let card = |lso_max, lso_min| Card {
        checksums: true,
        lso_max,
        lso_min,
    };
    // 1,000 bytes a segment.
    assert_eq!(
        slow(&card(3500, 2), 8000, 8),
        [(3000, 3), (3000, 3), (2000, 2)]
    );
    assert_eq!(
        slow(&card(3000, 2), 7500, 8),
        [(2814, 3), (2814, 3), (1872, 2)]
    );
    let ends = slow(&card(3000, 3), 8000, 8);
    assert_eq!(
        ends,
        [(3000, 3), (3000, 3), (1000, 0), (1000, 0)],
        "too little for the card"
    );
    let singles = slow(&card(3000, 5), 4000, 4);
    assert_eq!(singles, [(1000, 0); 4], "its least is more than its most");
    let singles = slow(&card(500, 1), 4000, 4);
    assert_eq!(singles, [(1000, 0); 4], "its most is less than a segment");
    assert_eq!(
        slow(&card(64_000, 9), 8000, 8),
        [(1000, 0); 8],
        "too few segments"
    );
    assert_eq!(slow(&card(64_000, 9), 9000, 9), [(9000, 9)]);
}

#[test]
fn s06_6_5_a_segment_is_no_longer_than_a_frame() {
    assert_eq!(slow(&NOTHING, 3000, 1), [(1460, 0), (1460, 0), (80, 0)]);
    assert_eq!(slow(&NOTHING, 3000, 2), [(1460, 0), (1460, 0), (80, 0)]);
    assert_eq!(slow(&NOTHING, 3, 3), [(1, 0); 3]);
}

#[test]
fn s06_6_5_headers_that_make_no_sense_are_dropped_and_counted() {
    forwarding(|s| {
        let good = coalesced4(3000, 3, &OPTIONS);
        let with = |at: usize, bytes: &[u8]| {
            let mut frame = good.clone();
            frame.data[at..at + bytes.len()].copy_from_slice(bytes);
            frame
        };
        let cut = |len: usize| mark(good[..len].to_vec(), 3);
        let six = coalesced6(3000, 3);
        let six_with = |at: usize, bytes: &[u8]| {
            let mut frame = six.clone();
            frame.data[at..at + bytes.len()].copy_from_slice(bytes);
            frame
        };
        let wrong = [
            ("EtherType", with(12, &[0x88, 0xb5])),
            ("no whole TCP header", cut(53)),
            ("total length below its header", with(16, &[0, 19])),
            ("total length without TCP", with(16, &[0, 39])),
            ("total length beyond the frame", with(16, &[0x20, 0])),
            ("frame cut off", cut(3000)),
            ("data offset 4", with(46, &[0x40])),
            ("TCP header beyond the payload", with(16, &[0, 51])),
            ("fewer bytes than segments", coalesced4(2, 3, &[])),
            ("no bytes and two segments", coalesced4(0, 2, &[])),
            ("IPv6 payload beyond the frame", six_with(18, &[0x20, 0])),
            ("IPv6 payload without TCP", six_with(18, &[0, 19])),
        ];
        for (count, (what, frame)) in wrong.into_iter().enumerate() {
            s.arrive(frame);
            assert_eq!(sent(s).len(), 0, "{what}");
            assert_eq!(invalid(s), count as u64 + 1, "{what}");
        }
        for (split, is_valid) in [
            (13, false),
            (53, false),
            (65, false),
            (66, true),
            (100, true),
        ] {
            let before = invalid(s);
            s.nic.wire().set_layout(Layout::split(&[split]));
            s.arrive(good.clone());
            let bytes: Vec<u8> = sent(s)
                .iter()
                .flat_map(|frame| frame[66..].to_vec())
                .collect();
            let wanted = if is_valid { payload(3000) } else { Vec::new() };
            assert_eq!(bytes, wanted, "first MDL of {split} bytes");
            assert_eq!(invalid(s) - before, u64::from(!is_valid));
        }
    });
}

#[test]
fn s06_6_5_what_follows_the_ip_payload_is_cut_off() {
    forwarding(|s| {
        NOTHING.is_in(s);
        let mut frame = coalesced4(2000, 2, &[]);
        frame.data.extend([0xee; 100]);
        s.arrive(frame);
        let bytes: Vec<u8> = sent(s)
            .iter()
            .flat_map(|frame| frame[54..].to_vec())
            .collect();
        assert_eq!(bytes, payload(2000));
        assert_eq!(invalid(s), 0);
    });
}

#[test]
fn s06_6_5_lent_frames_are_cut_as_well() {
    forwarding(|s| {
        NOTHING.is_in(s);
        s.nic
            .wire()
            .set_layout(Layout::split(&[80, 700]).resources());
        s.arrive(coalesced4(4000, 4, &OPTIONS));
        let frames = sent(s);
        assert_eq!(frames.len(), 4);
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|frame| frame[66..].to_vec())
            .collect();
        assert_eq!(bytes, payload(4000));
    });
}

#[test]
fn s06_6_5_at_the_limit_what_was_produced_goes_out() {
    let stage = Stage::new().registry("GenericRxFwdBufferLimit", 2);
    stage.play(|s| {
        let program = s.app.program(s.nic).rule(matching::all().l2fwd());
        let _program = program.create().unwrap();
        NOTHING.is_in(s);
        s.arrive(coalesced4(4000, 4, &[]));
        assert_eq!(sent(s).len(), 2);
        let counters = counters::GENERIC_RX.of_queue(s.lab, s.nic.if_index(), 0);
        let get = |name| counters.get(name);
        assert_eq!(get("Forwarding Failures: Allocation Limit"), 1);
        assert_eq!(get("Forwarding NBs: Sent"), 2);
        assert_eq!(
            get("Forwarding NBs: Requested"),
            3,
            "each is sent or has failed"
        );
    });
}

#[test]
fn s06_6_5_only_received_frames_are_cut() {
    scene(|s| {
        NOTHING.is_in(s);
        let builder = s.app.program(s.nic).hook(HookId::TX_INSPECT);
        let _program = builder.rule(matching::all().l2fwd()).create().unwrap();
        s.nic.stack().send(coalesced4(1000, 2, &[])).unwrap();
        let up = s.passed();
        assert_eq!(up.len(), 1);
        assert_eq!(up[0].len(), 1054);
    });
}

#[test]
fn s10_6_r3_random_coalesced_frames_come_out_whole_with_valid_checksums() {
    forwarding(|s| {
        NOTHING.is_in(s);
        let mut random = Numbers(0x0123_4567_89ab_cdef);
        for _ in 0..150 {
            let len = match random.below(4) {
                0 => random.below(3),
                1 => random.below(60_000),
                _ => random.below(6_000),
            };
            let segments = 1 + random.below(len.clamp(1, 500)) as u32;
            let v6 = random.below(2) == 0;
            let options = random.below(2) == 0;
            let (original, at_tcp) = match (v6, options) {
                (true, _) => (coalesced6(len, segments), 54),
                (false, true) => (coalesced4(len, segments, &OPTIONS), 34),
                (false, false) => (coalesced4(len, segments, &[]), 34),
            };
            let headers = original.len() - len;
            // The headers lie in the first piece; the payload anyhow.
            let first = headers + random.below(40);
            let pieces: Vec<usize> = (0..random.below(5))
                .map(|_| 1 + random.below(900))
                .collect();
            let mut layout = Layout::split(&[&[first], &pieces[..]].concat());
            if random.below(3) == 0 {
                layout = layout.empty_mdls().backfill(random.below(70));
            }
            s.nic.wire().set_layout(layout.clone());
            s.arrive(original.clone());
            let frames = sent(s);
            let why =
                format!("{len} bytes of {segments} segments, {headers} of headers, {layout:?}");
            let mut joined: Vec<u8> = Vec::new();
            assert!(!frames.is_empty(), "{why}");
            for (at, frame) in frames.iter().enumerate() {
                assert!(frame.len() <= 1514, "{why}");
                check_kept(&original, frame, at_tcp, headers);
                let expected = SEQUENCE.wrapping_add(joined.len() as u32);
                assert_eq!(sequence(frame, at_tcp), expected, "{why}");
                let is_last = at + 1 == frames.len();
                let flags = if is_last { FLAGS } else { Tcp::ACK };
                assert_eq!(frame[at_tcp + 13], flags, "{why}");
                let tcp_len = (frame.len() - at_tcp) as u32;
                let mut sum = if v6 {
                    pseudo6(tcp_len)
                } else {
                    assert_eq!(checksum(&frame[14..34]), 0, "{why}");
                    pseudo4(tcp_len)
                };
                sum.add(&frame[at_tcp..]);
                assert!(sum.is_valid(), "{why}");
                joined.extend(&frame[headers..]);
            }
            assert_eq!(joined, payload(len), "{why}");
        }
        assert_eq!(invalid(s), 0);
    });
}

#[test]
fn s10_6_r3_random_damage_to_coalesced_frames_does_no_harm() {
    forwarding(|s| {
        let mut random = Numbers(0x0fed_cba9_8765_4321);
        for round in 0..300 {
            if round % 100 == 0 {
                let card = Card {
                    checksums: round % 200 == 0,
                    lso_max: 64_000,
                    lso_min: 2,
                };
                card.is_in(s);
            }
            let len = random.below(3_000);
            let segments = random.below(len + 2) as u32;
            let mut frame = match random.below(2) {
                0 => coalesced4(len, segments, &OPTIONS),
                _ => coalesced6(len, segments),
            };
            for _ in 0..1 + random.below(4) {
                let at = 12 + random.below(74.min(frame.len() - 12));
                frame.data[at] = random.next() as u8;
            }
            let keep = 1 + random.below(frame.len());
            if random.below(3) == 0 {
                frame.data.truncate(keep);
            }
            let layout = match round % 3 {
                0 => Layout::random(round),
                _ => Layout::contiguous(),
            };
            s.nic.wire().set_layout(layout);
            s.arrive(frame);
        }
        // What was made of them is one thing or the other; everything is counted.
        let counters = counters::GENERIC_RX.of_queue(s.lab, s.nic.if_index(), 0);
        let of = |name| counters.get(name);
        assert_ne!(of(INVALID), 0);
        assert_ne!(of("Forwarding NBs: Sent"), 0);
        let accounted = of(INVALID)
            + of("Forwarding NBs: Sent")
            + of("Forwarding Failures: Allocation")
            + of("Forwarding Failures: Allocation Limit");
        assert_eq!(of("Forwarding NBs: Requested"), accounted);
    });
}
