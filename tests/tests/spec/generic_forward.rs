//! Inspection and forwarding in generic mode: specification 06, sections 5, 6 and 8.

use nt_sim::{
    FaultPlan,
    nic::{Frame, FrameInfo, Layout},
};
use scenarios::{Scene, Stage, counters, frames, matching, program::Program, scene, socket::Setup};
use xdp_abi::{
    HookId, Rule,
    frame::{FrameChecksum, FrameLayout, Layer3Type, Layer4Type, RxChecksumEvaluation},
    sockopt::Sockopt,
};
use xdp_packet::{Tcp, TcpHeader};

const LOOPBACK: u32 = 0x8000;
const OID_TCP_OFFLOAD_PARAMETERS: u32 = 0xFC01_020C;

fn program<'c>(s: &'c Scene<'_>, rule: Rule) -> Program<'c> {
    s.app.program(s.nic).rule(rule).create().unwrap()
}

fn generic_rx(s: &Scene<'_>, name: &str) -> u64 {
    counters::GENERIC_RX
        .of_queue(s.lab, s.nic.if_index(), 0)
        .get(name)
}

fn with(data: Vec<u8>, info: FrameInfo) -> Frame {
    Frame::new(data).with(info)
}

#[test]
fn s06_5_2_long_chains_are_taken_in_batches() {
    Stage::new().registry("XdpRxRingSize", 8).play(|s| {
        let setup = Setup::rx().rx_rings(64, 64).chunks(2048, 64);
        let socket = s.receiver(setup);
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(0).redirect(&socket.xsk))
            .rule(matching::udp_dst(1).drop())
            .create()
            .unwrap();
        let all: Vec<_> = (0..60).map(|n| frames::udp4(n % 3, &[n as u8])).collect();
        s.nic
            .wire()
            .send_all(all.iter().map(|f| f.clone().into()))
            .unwrap();
        let of = |rest: usize| -> Vec<_> { all.iter().skip(rest).step_by(3).cloned().collect() };
        assert_eq!(socket.received_bytes(), of(0));
        assert_eq!(s.passed(), of(2));
    });
}

#[test]
fn s06_5_3_r2_s06_13_r1_bytes_beyond_the_frame_are_not_its_own() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = program(s, matching::all().redirect(&socket.xsk));
        let layout = Layout::split(&[20, 20])
            .trailing(77)
            .backfill(5)
            .empty_mdls();
        s.nic.wire().set_layout(layout);
        let frame = frames::numbered(1, 60);
        socket.fill([0]);
        s.arrive(&frame);
        assert_eq!(socket.received_bytes(), [frame]);
    });
}

#[test]
fn s06_5_3_r3_frames_of_very_many_pieces_are_delivered() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(7).redirect(&socket.xsk))
            .rule(matching::udp_dst(8).l2fwd())
            .create()
            .unwrap();
        socket.fill_all();
        for pieces in [63, 64, 65, 66, 200] {
            s.nic.wire().set_layout(Layout::split(&vec![5; pieces]));
            let frame = frames::udp4(7, &[pieces as u8; 1300]);
            s.arrive(&frame);
            assert_eq!(socket.received_bytes(), [frame], "{pieces} pieces");
            let frame = frames::udp4(8, &[pieces as u8; 1300]);
            s.arrive(&frame);
            let back = s.nic.wire().receive().unwrap().data;
            assert_eq!(back[12..], frame[12..], "{pieces} pieces");
            let frame = frames::udp4(9, &[pieces as u8; 1300]);
            s.arrive(&frame);
            assert_eq!(s.passed(), [frame], "{pieces} pieces");
        }
        assert_eq!(generic_rx(s, "Linearization Failures"), 0);
    });
}

#[test]
fn s06_5_3_r4_memory_that_cannot_be_mapped_is_a_counted_drop() {
    for layout in [Layout::contiguous(), Layout::split(&[20, 30])] {
        scene(|s| {
            let socket = s.receiver(Setup::rx());
            let _program = program(s, matching::udp_dst(1).redirect(&socket.xsk));
            s.nic.wire().set_layout(layout.clone().unmapped());
            let frame = frames::udp4(1, b"to be mapped");
            s.arrive(frame.clone());
            assert_eq!(socket.received_bytes(), std::slice::from_ref(&frame));
            for dropped in 1..4 {
                s.lab.inject_failures(FaultPlan::Nth(1));
                s.arrive(frame.clone());
                let refused = s.lab.injected_failures();
                s.lab.inject_failures(FaultPlan::Never);
                assert_eq!(refused.len(), 1);
                assert_eq!(generic_rx(s, "Mapping Failures"), dropped);
                assert!(socket.received().is_empty());
            }
            s.arrive(frame.clone());
            assert_eq!(socket.received_bytes(), [frame]);
            assert!(s.passed().is_empty());
        });
    }
}

#[test]
fn s06_5_3_r5_s06_13_r7_frames_that_ndis_looped_back_are_not_inspected() {
    scene(|s| {
        let _program = program(s, matching::all().drop());
        let info = FrameInfo {
            flags: LOOPBACK,
            ..FrameInfo::default()
        };
        for n in 0..3 {
            s.arrive(with(frames::numbered(n, 60), info));
        }
        s.arrive(frames::numbered(9, 60));
        assert_eq!(s.passed().len(), 3);
        assert_eq!(generic_rx(s, "NDIS Loopback NBLs Skipped"), 3);
    });
}

#[test]
fn s06_5_6_frames_wanted_back_at_once_are_passed_dropped_and_forwarded() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(0).pass())
            .rule(matching::udp_dst(1).drop())
            .rule(matching::udp_dst(2).l2fwd())
            .create()
            .unwrap();
        for layout in [
            Layout::contiguous().resources(),
            Layout::split(&[10, 30]).resources(),
        ] {
            s.nic.wire().set_layout(layout);
            let all: Vec<_> = (0..30).map(|n| frames::udp4(n % 4, &[n as u8])).collect();
            s.nic
                .wire()
                .send_all(all.iter().map(|f| f.clone().into()))
                .unwrap();
            let expected: Vec<_> = all
                .iter()
                .enumerate()
                .filter(|(n, _)| n % 4 == 0 || n % 4 == 3)
                .map(|(_, f)| f.clone())
                .collect();
            assert_eq!(s.passed(), expected);
            for frame in all.iter().skip(2).step_by(4) {
                let back = s.nic.wire().receive().unwrap().data;
                assert_eq!(back[12..], frame[12..]);
            }
        }
    });
}

#[test]
fn s06_5_7_s06_5_8_dropped_sends_complete_with_success() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::udp_dst(1).drop())
            .create()
            .unwrap();
        let sent: Vec<Frame> = (0..20)
            .map(|n| frames::udp4(n % 2, &[n as u8]).into())
            .collect();
        s.nic.stack().send_all(sent.clone()).unwrap();
        for frame in sent.iter().step_by(2) {
            assert_eq!(s.nic.wire().receive().unwrap().data, frame.data);
        }
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty());
        assert_eq!(s.nic.stack().pending_sends(), 0);
        assert_eq!(s.nic.stack().failed_sends(), 0);
    });
}

#[test]
fn s06_5_7_the_order_of_sends_is_kept() {
    for seed in 0..10 {
        Stage::new().seed(seed).play(|s| {
            let _program = s
                .app
                .program(s.nic)
                .hook(HookId::TX_INSPECT)
                .rule(matching::udp_dst(77).drop())
                .create()
                .unwrap();
            for n in 0..150 {
                s.nic.stack().send(frames::numbered(n, 60)).unwrap();
            }
            for n in 0..150 {
                let frame = s.nic.wire().receive().unwrap();
                assert_eq!(frames::number_of(&frame.data), n, "seed {seed}");
            }
        });
    }
}

#[test]
fn s06_5_7_passed_sends_keep_what_travels_beside_them() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::udp_dst(77).drop())
            .create()
            .unwrap();
        s.nic.stack().set_layout(Layout::random(8));
        let info = FrameInfo {
            checksum: 0x0022_0005,
            vlan: 0x50,
            ..FrameInfo::default()
        };
        for n in 0..40 {
            let frame = frames::numbered(n, 60 + n as usize);
            s.nic.stack().send(with(frame.clone(), info)).unwrap();
            let seen = s.nic.wire().receive().unwrap();
            assert_eq!(seen.data, frame);
            assert_eq!(seen.info.checksum, info.checksum);
            assert_eq!(seen.info.vlan, info.vlan);
        }
    });
}

#[test]
fn s06_6_1_a_forwarded_frame_goes_back_to_the_nic_when_its_clone_is_sent() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        s.nic.wire().hold();
        for n in 0..5 {
            s.arrive(frames::numbered(n, 60));
        }
        for _ in 0..5 {
            s.nic.wire().receive().unwrap();
        }
        assert_eq!(generic_rx(s, "Forwarding NBs: Requested"), 5);
        s.nic.wire().release().unwrap();
        s.lab.settle().unwrap();
        assert_eq!(generic_rx(s, "Forwarding NBs: Sent"), 5);
    });
}

#[test]
fn s06_6_1_short_first_pieces_are_forwarded_whole_from_the_transmit_side() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::all().l2fwd())
            .create()
            .unwrap();
        for split in [1, 14, 54, 73, 74, 75, 200] {
            s.nic.stack().set_layout(Layout::split(&[split]));
            let frame = frames::udp4(1, &[split as u8; 500]);
            s.nic.stack().send(&frame).unwrap();
            let up = s.nic.stack().receive().unwrap().data;
            assert_eq!(up[12..], frame[12..], "split at {split}");
            assert_eq!(up[..6], frame[6..12]);
        }
        assert_eq!(s.nic.stack().pending_sends(), 0);
    });
}

#[test]
fn s06_6_2_s01_7_s09_3_r2_the_number_of_clones_is_limited() {
    let stage = Stage::new().registry("GenericRxFwdBufferLimit", 4);
    stage.play(|s| {
        let _program = program(s, matching::all().l2fwd());
        s.nic.wire().hold();
        for n in 0..10 {
            s.arrive(frames::numbered(n, 60));
        }
        s.lab.settle().unwrap();
        assert_eq!(s.sent().len(), 4);
        let limit = generic_rx(s, "Forwarding Failures: Allocation Limit");
        assert_eq!(limit, 6);
        s.nic.wire().release().unwrap();
        s.lab.settle().unwrap();
        s.arrive(frames::numbered(99, 60));
        assert_eq!(s.nic.wire().receive().unwrap().len(), 60);
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s06_6_2_a_clone_without_memory_is_a_counted_drop() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        s.arrive(frames::numbered(0, 60));
        s.nic.wire().receive().unwrap();
        let mut failed = 0;
        for nth in 1..30 {
            s.lab.inject_failures(nt_sim::FaultPlan::Nth(nth));
            s.arrive(frames::numbered(1, 60));
            s.lab.settle().unwrap();
            let hit = !s.lab.injected_failures().is_empty();
            s.lab.inject_failures(nt_sim::FaultPlan::Never);
            if !hit {
                break;
            }
            failed += u64::from(s.sent().is_empty());
        }
        let counted = generic_rx(s, "Forwarding Failures: Allocation");
        assert_eq!(counted, failed);
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s06_6_3_a_forwarded_frame_carries_its_hash_and_nothing_else() {
    Stage::new().queues(2).play(|s| {
        let _program = s
            .app
            .program(s.nic)
            .all_queues()
            .rule(matching::all().l2fwd())
            .create()
            .unwrap();
        let info = FrameInfo {
            checksum: 0x38,
            vlan: 0x50,
            timestamp: 99,
            ..FrameInfo::default()
        };
        let mut hashes = Vec::new();
        for port in 0..8 {
            s.arrive(with(frames::udp4(port, b""), info));
            let back = s.nic.wire().receive().unwrap();
            assert_eq!(back.info.checksum, 0);
            assert_eq!(back.info.large_send, 0);
            assert_eq!((back.info.vlan, back.info.timestamp), (0, 0));
            hashes.push(back.info.hash);
        }
        assert!(hashes.iter().all(|hash| *hash != 0), "{hashes:?}");
    });
}

/// The offloads of the NIC: segmentation and checksums, both or neither.
fn set_offloads(s: &Scene<'_>, lso: bool, checksums: bool) {
    let checksum = if checksums { 4 } else { 1 };
    let lso = if lso { 2 } else { 1 };
    let mut parameters = vec![0; 0x14];
    parameters[..4].copy_from_slice(&[0xA7, 2, 0x14, 0]);
    parameters[4..9].fill(checksum);
    parameters[11] = lso;
    parameters[12] = lso;
    let set = s.nic.stack().set(OID_TCP_OFFLOAD_PARAMETERS, &parameters);
    assert_eq!(set.unwrap(), 0);
    s.lab.settle().unwrap();
}

fn tcp_frame(v6: bool, options: &[u8], flags: u8, payload: &[u8]) -> Vec<u8> {
    let header = TcpHeader {
        sequence: 0xFFFF_FF00,
        acknowledgement: 7,
        window: 513,
        ..TcpHeader::new(1000, 2000, flags)
    };
    let base = if v6 { frames::ipv6() } else { frames::ipv4() };
    base.tcp_with(header, options).payload(payload).finish()
}

fn coalesced(segments: u32) -> FrameInfo {
    FrameInfo {
        coalesced: segments,
        ..FrameInfo::default()
    }
}

/// Header lengths of a frame of [`tcp_frame`].
fn header_lengths(v6: bool, options: &[u8]) -> (usize, usize) {
    let ip = if v6 { 40 } else { 20 };
    (ip, 14 + ip + 20 + options.len())
}

fn sequence(frame: &[u8], ip: usize) -> u32 {
    let at = 14 + ip + 4;
    u32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

#[test]
fn s06_6_5_coalesced_frames_are_cut_into_segments() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        for checksums in [false, true] {
            set_offloads(s, false, checksums);
            for v6 in [false, true] {
                for options in [&[][..], &[1; 12][..]] {
                    let payload: Vec<u8> = (0..4000_u32).map(|n| (n * 7) as u8).collect();
                    let flags = Tcp::ACK | Tcp::PSH | Tcp::FIN;
                    let frame = tcp_frame(v6, options, flags, &payload);
                    let (ip, headers) = header_lengths(v6, options);
                    s.arrive(with(frame.clone(), coalesced(4)));
                    let mut joined: Vec<u8> = Vec::new();
                    for n in 0..4 {
                        let segment = s.nic.wire().receive().unwrap();
                        let info = segment.info;
                        let segment = segment.data;
                        assert_eq!(segment.len(), headers + 1000, "segment {n}");
                        assert_eq!(segment[..6], frame[6..12], "addresses are swapped");
                        let expected = 0xFFFF_FF00_u32.wrapping_add(1000 * n);
                        assert_eq!(sequence(&segment, ip), expected);
                        let bits = segment[14 + ip + 13];
                        let last = if n == 3 { Tcp::PSH | Tcp::FIN } else { 0 };
                        assert_eq!(bits, Tcp::ACK | last, "flags of segment {n}");
                        if !v6 {
                            let id = u16::from_be_bytes([segment[18], segment[19]]);
                            let first = u16::from_be_bytes([frame[18], frame[19]]);
                            assert_eq!(id, first.wrapping_add(n as u16));
                            let total = u16::from_be_bytes([segment[16], segment[17]]);
                            assert_eq!(usize::from(total), segment.len() - 14);
                        }
                        if checksums {
                            assert_ne!(info.checksum & 4, 0, "the NIC does TCP");
                        } else {
                            assert_eq!(info.checksum, 0);
                            expect_checksums(&segment, v6);
                        }
                        joined.extend(&segment[headers..]);
                    }
                    assert_eq!(joined, payload);
                }
            }
        }
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty());
    });
}

/// Checks IPv4 and TCP checksums by building the same bytes again.
fn expect_checksums(frame: &[u8], v6: bool) {
    use xdp_packet::checksum::{Checksum, checksum};
    let ip = if v6 { 40 } else { 20 };
    let tcp = &frame[14 + ip..];
    let length = tcp.len() as u32;
    let mut sum = if v6 {
        let (source, destination) = (&frame[22..38], &frame[38..54]);
        Checksum::pseudo_ipv6(
            source.try_into().unwrap(),
            destination.try_into().unwrap(),
            6,
            length,
        )
    } else {
        assert_eq!(checksum(&frame[14..34]), 0, "the IPv4 header");
        let (source, destination) = (&frame[26..30], &frame[30..34]);
        Checksum::pseudo_ipv4(
            source.try_into().unwrap(),
            destination.try_into().unwrap(),
            6,
            length,
        )
    };
    sum.add(tcp);
    assert_eq!(sum.finish(), 0, "the TCP segment");
}

#[test]
fn s06_6_5_a_coalesced_frame_goes_to_the_nics_segmentation() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        set_offloads(s, true, true);
        for v6 in [false, true] {
            let payload = vec![0x5A; 4000];
            let frame = tcp_frame(v6, &[], Tcp::ACK | Tcp::PSH, &payload);
            let (ip, headers) = header_lengths(v6, &[]);
            s.arrive(with(frame.clone(), coalesced(4)));
            let out = s.nic.wire().receive().unwrap();
            assert_eq!(out.data.len(), frame.len(), "one clone");
            assert_eq!(out.data[headers..], payload);
            let lso = out.info.large_send;
            assert_eq!(lso & 0xF_FFFF, 1000, "MSS");
            assert_eq!(lso >> 20 & 0x3FF, 14 + ip as u32, "TCP header");
            assert_eq!(lso >> 30 & 1, 1, "version 2");
            assert_eq!(lso >> 31, u32::from(v6));
            let length_at = if v6 { 18 } else { 16 };
            assert_eq!(out.data[length_at..length_at + 2], [0, 0]);
            if !v6 {
                assert_eq!(out.data[24..26], [0, 0], "IPv4 checksum");
            }
            assert_eq!(out.data[14 + ip + 13], Tcp::ACK | Tcp::PSH);
        }
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty());
    });
}

#[test]
fn s06_6_5_r6_an_acknowledgement_stays_one_frame_and_padding_is_cut_off() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        set_offloads(s, false, false);
        let mut frame = tcp_frame(false, &[], Tcp::ACK, &[]);
        let length = frame.len();
        frame.resize(60, 0xEE);
        s.arrive(with(frame.clone(), coalesced(1)));
        let out = s.nic.wire().receive().unwrap().data;
        assert_eq!(out.len(), length);
        expect_checksums(&out, false);
    });
}

#[test]
fn s06_6_5_r1_r2_r3_r4_r5_r7_r8_coalesced_frames_with_bad_headers_are_dropped() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        set_offloads(s, false, false);
        let good = tcp_frame(false, &[1; 4], Tcp::ACK, &[7; 100]);
        let good6 = tcp_frame(true, &[], Tcp::ACK, &[7; 100]);
        let changed = |frame: &[u8], at: usize, bytes: &[u8]| {
            let mut frame = frame.to_vec();
            frame[at..at + bytes.len()].copy_from_slice(bytes);
            frame
        };
        let whole = Layout::contiguous();
        let cases = [
            (
                "r1: Ethernet in pieces",
                good.clone(),
                Layout::split(&[13]),
                2,
            ),
            ("r2: no IP", changed(&good, 12, &[8, 6]), whole.clone(), 2),
            (
                "r3: IP and TCP in pieces",
                good.clone(),
                Layout::split(&[53]),
                2,
            ),
            (
                "r4: IPv4 length",
                changed(&good, 16, &[0, 19]),
                whole.clone(),
                2,
            ),
            (
                "r5: IPv4 too long",
                changed(&good, 16, &[1, 0]),
                whole.clone(),
                2,
            ),
            (
                "r5: IPv6 too long",
                changed(&good6, 18, &[1, 0]),
                whole.clone(),
                2,
            ),
            (
                "r7: TCP offset",
                changed(&good, 14 + 20 + 12, &[0x40]),
                whole.clone(),
                2,
            ),
            (
                "r7: options in pieces",
                good.clone(),
                Layout::split(&[56]),
                2,
            ),
            (
                "r7: options outside",
                changed(&good, 46, &[0xF0]).split_at(80).0.to_vec(),
                whole.clone(),
                2,
            ),
            (
                "r8: more segments than bytes",
                good.clone(),
                whole.clone(),
                101,
            ),
        ];
        for (n, (why, frame, layout, segments)) in cases.into_iter().enumerate() {
            s.nic.wire().set_layout(layout);
            s.arrive(with(frame, coalesced(segments)));
            s.lab.settle().unwrap();
            assert!(s.sent().is_empty(), "{why}");
            let name = "Forwarding Failures: RSC Invalid Headers";
            assert_eq!(generic_rx(s, name), n as u64 + 1, "{why}");
        }
        s.nic.wire().set_layout(whole);
        s.arrive(with(good, coalesced(2)));
        assert_eq!(s.nic.wire().receive().unwrap().len(), 14 + 20 + 24 + 50);
    });
}

#[test]
fn s06_6_4_frames_to_forward_are_dropped_while_the_interface_pauses() {
    for seed in 0..20 {
        Stage::new().seed(seed).play(|s| {
            let _program = program(s, matching::all().l2fwd());
            s.side_by_side(&[
                &|| {
                    for n in 0..10 {
                        s.arrive(frames::numbered(n, 60));
                    }
                },
                &|| {
                    s.nic.pause().unwrap();
                    s.nic.restart().unwrap();
                },
            ]);
            assert!(s.passed().is_empty());
        });
    }
}

#[test]
fn s06_6_6_the_swap_shows_in_every_segment() {
    scene(|s| {
        let _program = program(s, matching::all().l2fwd());
        set_offloads(s, false, false);
        let frame = tcp_frame(true, &[], Tcp::ACK, &[1; 3000]);
        s.arrive(with(frame.clone(), coalesced(3)));
        for _ in 0..3 {
            let segment = s.nic.wire().receive().unwrap().data;
            assert_eq!(segment[..6], frame[6..12]);
            assert_eq!(segment[6..12], frame[..6]);
        }
    });
}

fn received_extensions(s: &Scene<'_>, info: FrameInfo) -> (FrameLayout, FrameChecksum) {
    let setup = Setup::rx().extension(Sockopt::RX_OFFLOAD_CHECKSUM);
    let socket = s.app.socket(s.nic, setup).unwrap();
    let _program = program(s, matching::all().redirect(&socket.xsk));
    let layout: u16 = socket.xsk.get(Sockopt::RX_FRAME_LAYOUT_EXTENSION).unwrap();
    let checksum: u16 = socket
        .xsk
        .get(Sockopt::RX_FRAME_CHECKSUM_EXTENSION)
        .unwrap();
    // What an earlier user of the element left there must not be seen.
    socket.rings.rx().write_element(0, 16, &[0xFF; 8]);
    socket.fill([0]);
    s.arrive(with(frames::udp4(1, b""), info));
    let element = socket.received().remove(0).element;
    let at = usize::from(layout);
    let layout = FrameLayout {
        bytes: element[at..at + 5].try_into().unwrap(),
    };
    (layout, FrameChecksum(element[usize::from(checksum)]))
}

#[test]
fn s06_8_r1_s08_7_checksum_findings_of_the_nic_are_told() {
    const TCP_FAILED: u32 = 1;
    const UDP_FAILED: u32 = 2;
    const IP_FAILED: u32 = 4;
    const TCP_OK: u32 = 8;
    const UDP_OK: u32 = 16;
    const IP_OK: u32 = 32;
    let not = RxChecksumEvaluation::NOT_CHECKED.0;
    let ok = RxChecksumEvaluation::SUCCEEDED.0;
    let failed = RxChecksumEvaluation::FAILED.0;
    let none = Layer4Type::UNSPECIFIED;
    scene(|s| {
        for (bits, layer3, layer4, kind) in [
            (0, not, not, none),
            (IP_OK, ok, not, none),
            (IP_FAILED, failed, not, none),
            (IP_OK | IP_FAILED, failed, not, none),
            (TCP_OK, not, ok, Layer4Type::TCP),
            (TCP_FAILED, not, failed, Layer4Type::TCP),
            (UDP_OK, not, ok, Layer4Type::UDP),
            (UDP_FAILED, not, failed, Layer4Type::UDP),
            (IP_OK | UDP_OK, ok, ok, Layer4Type::UDP),
            (IP_OK | TCP_FAILED, ok, failed, Layer4Type::TCP),
            (
                IP_FAILED | UDP_FAILED | UDP_OK,
                failed,
                failed,
                Layer4Type::UDP,
            ),
        ] {
            let info = FrameInfo {
                checksum: bits,
                ..FrameInfo::default()
            };
            let (layout, checksum) = received_extensions(s, info);
            assert_eq!(checksum.layer3(), layer3, "{bits:#x}");
            assert_eq!(checksum.layer4(), layer4, "{bits:#x}");
            assert_eq!(layout.layer4_type(), kind, "{bits:#x}");
        }
    });
}

#[test]
fn s06_8_r2_unknown_parts_of_the_layout_are_zero() {
    scene(|s| {
        let (layout, checksum) = received_extensions(s, FrameInfo::default());
        assert_eq!(layout, FrameLayout::default());
        assert_eq!(checksum, FrameChecksum::default());
        let info = FrameInfo {
            checksum: 32,
            ..FrameInfo::default()
        };
        let (layout, _) = received_extensions(s, info);
        assert!(
            [
                Layer3Type::UNSPECIFIED,
                Layer3Type::IPV4_UNSPECIFIED_OPTIONS
            ]
            .contains(&layout.layer3_type())
        );
        assert_eq!(layout.layer4_header_length(), 0);
        assert_eq!(layout.layer3_header_length(), 0);
        assert_eq!(layout.layer2_header_length(), 0);
        assert_eq!(layout.reserved0(), 0);
    });
}

#[test]
fn s06_2_1_nothing_is_lost_while_programs_come_and_go() {
    for seed in 0..15 {
        Stage::new().seed(seed).queues(2).play(|s| {
            s.side_by_side(&[
                &|| {
                    for n in 0..20 {
                        let rule = matching::udp_dst(60_000).drop();
                        let program = s.app.program(s.nic).queue(n % 2).rule(rule);
                        program.create().unwrap().close();
                    }
                },
                &|| {
                    for port in 0..20 {
                        s.arrive(frames::udp4(port, b"up"));
                    }
                },
            ]);
            let lost = s.nic.wire().counters().dropped;
            assert_eq!(s.passed().len() as u64 + lost, 20, "seed {seed}");
        });
    }
}
