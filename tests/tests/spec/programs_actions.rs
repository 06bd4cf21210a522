//! Evaluation, actions and life of programs: specification 03, sections 2, 6, 7 and 8.

use nt_sim::nic::{Frame, FrameInfo, Layout};
use scenarios::{Stage, counters, frames, matching, scene, socket::Setup, status::*};
use std::sync::atomic::{AtomicBool, Ordering};
use xdp_abi::HookId;

#[test]
fn s03_2_1_s03_2_2_the_first_rule_that_matches_decides() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(1).pass())
            .rule(matching::udp_dst(2).drop())
            .rule(matching::udp_dst(1).drop())
            .rule(matching::udp_dst(2).pass())
            .create()
            .unwrap();
        for port in 1..=3 {
            s.arrive(frames::udp4(port, b""));
        }
        assert_eq!(s.passed(), [frames::udp4(1, b""), frames::udp4(3, b"")]);
    });
}

#[test]
fn s03_2_3_programs_are_one_list_in_the_order_of_attaching() {
    scene(|s| {
        let first = s.attach(matching::udp_dst(1).pass());
        let second = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(1).drop())
            .rule(matching::udp_dst(2).drop())
            .create()
            .unwrap();
        let third = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(2).pass())
            .rule(matching::udp_dst(3).drop())
            .create()
            .unwrap();
        let passing = |s: &scenarios::Scene<'_>| -> Vec<u16> {
            for port in 1..=4 {
                s.arrive(frames::udp4(port, b""));
            }
            let ports = s.passed();
            ports
                .iter()
                .map(|f| u16::from_be_bytes([f[36], f[37]]))
                .collect()
        };
        assert_eq!(passing(s), [1, 4]);
        first.close();
        assert_eq!(passing(s), [4], "the second is the oldest now");
        let fourth = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(3).pass())
            .rule(matching::udp_dst(4).drop())
            .create()
            .unwrap();
        assert!(passing(s).is_empty());
        second.close();
        assert_eq!(passing(s), [1, 2]);
        third.close();
        assert_eq!(passing(s), [1, 2, 3]);
        fourth.close();
        assert_eq!(passing(s), [1, 2, 3, 4]);
    });
}

#[test]
fn s03_2_3_programs_of_different_processes_share_the_list() {
    scene(|s| {
        let other = s.client("other");
        let passing = other
            .program(s.nic)
            .rule(matching::udp_dst(1).pass())
            .create()
            .unwrap();
        let _dropping = s.attach(matching::all().drop());
        s.arrive(frames::udp4(1, b""));
        assert_eq!(s.passed().len(), 1);
        drop(passing);
        s.arrive(frames::udp4(1, b""));
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s03_2_4_no_frame_is_looked_at_by_a_program_that_was_closed() {
    for seed in 0..30 {
        Stage::new().seed(seed).play(|s| {
            let _socket = s.receiver(Setup::rx());
            let closed = AtomicBool::new(false);
            let app = s.client("filter");
            let program = app
                .program(s.nic)
                .rule(matching::all().redirect_to(xdp_abi::RedirectTargetType::XSK, 0))
                .create();
            assert_eq!(program.err(), Some(INVALID_HANDLE));
            let _program = app
                .program(s.nic)
                .rule(matching::all().drop())
                .create()
                .unwrap();
            s.side_by_side(&[
                &|| {
                    app.exit().unwrap();
                    closed.store(true, Ordering::SeqCst);
                },
                &|| {
                    for n in 0..10 {
                        let after = closed.load(Ordering::SeqCst);
                        let before = s.nic.stack().counters().received;
                        s.arrive(frames::numbered(n, 60));
                        if after {
                            let passed = s.nic.stack().counters().received - before;
                            assert_eq!(passed, 1, "dropped by a closed program");
                        }
                    }
                },
            ]);
        });
    }
}

#[test]
fn s03_2_4_replacing_a_program_leaves_no_gap() {
    for seed in 0..20 {
        Stage::new().seed(seed).queues(2).play(|s| {
            let create = || {
                s.app
                    .program(s.nic)
                    .all_queues()
                    .rule(matching::udp().drop())
                    .create()
                    .unwrap()
            };
            let mut current = create();
            let done = AtomicBool::new(false);
            s.side_by_side(&[
                &|| {
                    for port in 0..30 {
                        s.arrive(frames::udp4(port, b""));
                    }
                    done.store(true, Ordering::SeqCst);
                },
                &|| {
                    let mut mine = create();
                    for _ in 0..5 {
                        let next = create();
                        mine.close();
                        mine = next;
                    }
                    mine.close();
                },
            ]);
            assert!(done.load(Ordering::SeqCst));
            assert!(s.passed().is_empty());
            let next = create();
            current.close();
            current = next;
            s.arrive(frames::udp4(1, b""));
            assert!(s.passed().is_empty());
            current.close();
        });
    }
}

#[test]
fn s03_2_5_the_action_applies_to_the_whole_frame() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(1).l2fwd())
            .rule(matching::udp_dst(2).drop())
            .create()
            .unwrap();
        s.nic.wire().set_layout(Layout::split(&[30, 10, 500]));
        let frame = frames::udp4(1, &[5; 1200]);
        s.arrive(&frame);
        s.arrive(frames::udp4(2, &[5; 1200]));
        s.arrive(frames::udp4(3, &[5; 1200]));
        let back = s.nic.wire().receive().unwrap().data;
        assert_eq!(back[12..], frame[12..]);
        assert_eq!(s.passed(), [frames::udp4(3, &[5; 1200])]);
    });
}

#[test]
fn s03_2_6_many_rules_on_one_frame_see_the_same_headers() {
    scene(|s| {
        let mut rules: Vec<_> = (0..200)
            .map(|n| matching::udp_dst(5000 + n).drop())
            .collect();
        rules.push(matching::tcp_dst(7).drop());
        rules.push(matching::ipv4_dst(frames::DESTINATION4, 32).drop());
        let _program = s.app.program(s.nic).rules(rules).create().unwrap();
        s.nic.wire().set_layout(Layout::random(1));
        let mut expected = Vec::new();
        for n in 0..50 {
            s.arrive(frames::udp4(5000 + n, b"dropped by port"));
            s.arrive(frames::udp6(4999, b"passes"));
            expected.push(frames::udp6(4999, b"passes"));
            s.arrive(frames::udp4(1, b"dropped by address"));
        }
        assert_eq!(s.passed(), expected);
    });
}

#[test]
fn s03_6_r0_s06_5_5_dropped_frames_go_nowhere() {
    scene(|s| {
        let _program = s.attach(matching::all().drop());
        s.nic
            .wire()
            .send_all((0..100).map(|n| frames::numbered(n, 60).into()))
            .unwrap();
        assert!(s.passed().is_empty());
        assert!(s.sent().is_empty());
    });
}

#[test]
fn s03_6_r1_s06_5_5_s06_13_r2_passed_frames_are_unchanged_with_all_that_travels_beside_them() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(9999).drop())
            .rule(matching::udp().pass())
            .create()
            .unwrap();
        s.nic.wire().set_layout(Layout::random(5));
        let info = FrameInfo {
            checksum: 0x0000_0030,
            vlan: 0x0000_0050,
            timestamp: 0x1122_3344,
            ..FrameInfo::default()
        };
        let sent: Vec<_> = (0..80)
            .map(|n| Frame::new(frames::udp4(n, &[n as u8; 200])).with(info))
            .collect();
        s.nic.wire().send_all(sent.clone()).unwrap();
        for frame in &sent {
            let passed = s.nic.stack().receive().unwrap();
            assert_eq!(passed.data, frame.data);
            assert_eq!(passed.info.checksum, info.checksum);
            assert_eq!(passed.info.vlan, info.vlan);
            assert_eq!(passed.info.timestamp, info.timestamp);
        }
    });
}

#[test]
fn s03_6_r2_the_original_is_dropped_whether_or_not_the_copy_succeeded() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        socket.fill([0]);
        for n in 0..3 {
            s.arrive(frames::numbered(n, 60));
        }
        assert_eq!(socket.received().len(), 1);
        assert!(s.passed().is_empty());
    });
}

fn swapped(frame: &[u8]) -> Vec<u8> {
    let mut swapped = frame.to_vec();
    swapped[..6].copy_from_slice(&frame[6..12]);
    swapped[6..12].copy_from_slice(&frame[..6]);
    swapped
}

#[test]
fn s03_6_r3_s06_5_5_s03_6_2_forwarded_frames_go_back_with_swapped_addresses() {
    scene(|s| {
        let _program = s.attach(matching::all().l2fwd());
        let layouts = [Layout::contiguous(), Layout::contiguous().resources()]
            .into_iter()
            .chain((1..15).map(|at| Layout::split(&[at])))
            .chain([Layout::split(&[1; 40]), Layout::split(&[6, 6]).empty_mdls()]);
        for layout in layouts {
            s.nic.wire().set_layout(layout.clone());
            for size in [14, 60, 1514] {
                let frame: Vec<u8> = (0..size).map(|n| n as u8).collect();
                s.arrive(&frame);
                let back = s.nic.wire().receive().unwrap().data;
                assert_eq!(back, swapped(&frame), "{layout:?}");
            }
        }
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s03_6_2_frames_without_an_ethernet_header_are_dropped() {
    scene(|s| {
        let _program = s.attach(matching::all().l2fwd());
        for size in 1..14 {
            for layout in [Layout::contiguous(), Layout::split(&[1, 1])] {
                s.nic.wire().set_layout(layout);
                s.arrive(vec![7; size]);
            }
        }
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty());
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s03_6_2_on_the_way_out_frames_are_forwarded_up() {
    scene(|s| {
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::udp_dst(7).l2fwd())
            .create()
            .unwrap();
        let frame = frames::udp4(7, b"echo");
        s.nic.stack().send(&frame).unwrap();
        assert_eq!(s.nic.stack().receive().unwrap().data, swapped(&frame));
        s.nic.stack().send(frames::udp4(8, b"out")).unwrap();
        assert_eq!(
            s.nic.wire().receive().unwrap().data,
            frames::udp4(8, b"out")
        );
        assert!(s.sent().is_empty());
        assert_eq!(s.nic.stack().failed_sends(), 0);
    });
}

#[test]
fn s03_6_3_frames_for_one_socket_stay_in_order_among_others() {
    scene(|s| {
        let setup = Setup::rx().rx_rings(128, 128).chunks(2048, 128);
        let sockets = [
            s.app.socket(s.nic, setup.clone()).unwrap(),
            s.app.socket(s.nic, setup).unwrap(),
        ];
        for socket in &sockets {
            socket.fill_all();
        }
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(0).redirect(&sockets[0].xsk))
            .rule(matching::udp_dst(1).redirect(&sockets[1].xsk))
            .rule(matching::udp_dst(2).drop())
            .create()
            .unwrap();
        let frame = |n: u32| frames::udp4((n % 4) as u16, &n.to_be_bytes());
        s.nic
            .wire()
            .send_all((0..200).map(|n| frame(n).into()))
            .unwrap();
        let of = |rest: u32| -> Vec<_> { (0..200).filter(|n| n % 4 == rest).map(frame).collect() };
        assert_eq!(sockets[0].received_bytes(), of(0));
        assert_eq!(sockets[1].received_bytes(), of(1));
        assert_eq!(s.passed(), of(3));
    });
}

#[test]
fn s03_6_4_s09_3_r1_s09_3_2_every_frame_is_counted_once() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        socket.fill([0, 2048]);
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(0).redirect(&socket.xsk))
            .rule(matching::udp_dst(1).drop())
            .rule(matching::udp_dst(2).l2fwd())
            .create()
            .unwrap();
        s.nic
            .wire()
            .send_all((0..40).map(|n| frames::udp4(n % 4, b"").into()))
            .unwrap();
        let counters = counters::RX.of_queue(s.lab, s.nic.if_index(), 0);
        for (name, expected) in [
            ("Inspection Frames Redirected", 10),
            ("Inspection Frames Dropped", 10),
            ("Inspection Frames Forwarded", 10),
            ("Inspection Frames Passed", 10),
            ("AF_XDP Frames Delivered", 2),
            ("AF_XDP Frames Dropped", 8),
        ] {
            assert_eq!(counters.get(name), expected, "{name}");
        }
        assert!(counters.get("Inspection Batches") >= 1);
    });
}

#[test]
fn s03_7_a_single_redirect_of_everything_delivers_everything() {
    scene(|s| {
        let setup = Setup::rx().rx_rings(64, 64).chunks(2048, 64);
        let socket = s.receiver(setup);
        let exclusive = s.attach(matching::all().redirect(&socket.xsk));
        let send = |range: std::ops::Range<u32>| {
            let frames = range.map(|n| frames::numbered(n, 60).into());
            s.nic.wire().send_all(frames).unwrap();
        };
        send(0..10);
        // A second program ends the short cut, and its end brings it back.
        let second = s.attach(matching::all().drop());
        send(10..20);
        second.close();
        send(20..30);
        let numbers: Vec<_> = socket
            .received_bytes()
            .iter()
            .map(|f| frames::number_of(f))
            .collect();
        assert_eq!(numbers, (0..30).collect::<Vec<_>>());
        exclusive.close();
        send(30..31);
        assert_eq!(s.passed().len(), 1);
    });
}

#[test]
fn s03_8_1_handles_close_in_any_order() {
    for order in 0..6 {
        scene(|s| {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let map = s.app.map().unwrap();
            map.insert(0, &socket.xsk).unwrap();
            let program = s
                .app
                .program(s.nic)
                .rule(matching::udp_dst(1).redirect(&socket.xsk))
                .rule(matching::udp_dst(2).redirect_map(&map))
                .create()
                .unwrap();
            socket.fill([0]);
            let traffic = || {
                for port in 1..4 {
                    s.arrive(frames::udp4(port, b""));
                }
            };
            traffic();
            let (mut socket, mut map, mut program) = (Some(socket), Some(map), Some(program));
            let orders = [
                [0, 1, 2],
                [0, 2, 1],
                [1, 0, 2],
                [1, 2, 0],
                [2, 0, 1],
                [2, 1, 0],
            ];
            for step in orders[order] {
                match step {
                    0 => drop(socket.take()),
                    1 => drop(map.take()),
                    _ => drop(program.take()),
                }
                traffic();
            }
        });
    }
}

#[test]
fn s03_8_1_frames_for_a_closed_socket_are_dropped() {
    scene(|s| {
        let socket = s.receiver(Setup::rx());
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        socket.xsk.close();
        for n in 0..5 {
            s.arrive(frames::numbered(n, 60));
        }
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s03_8_2_a_program_does_not_come_back_with_its_interface() {
    scene(|s| {
        let old = s.attach(matching::all().drop());
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        s.arrive(frames::numbered(2, 60));
        assert_eq!(s.passed().len(), 1);
        let new = s.attach(matching::all().drop());
        s.arrive(frames::numbered(3, 60));
        assert!(s.passed().is_empty());
        old.close();
        s.arrive(frames::numbered(4, 60));
        assert!(s.passed().is_empty(), "the old one's end changes nothing");
        new.close();
        s.arrive(frames::numbered(5, 60));
        assert_eq!(s.passed().len(), 1);
    });
}

#[test]
fn s03_8_3_the_end_of_its_process_detaches_a_program_everywhere() {
    Stage::new().queues(2).play(|s| {
        let app = s.client("short-lived");
        let program = app
            .program(s.nic)
            .all_queues()
            .rule(matching::all().drop())
            .create()
            .unwrap();
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        drop(program);
        app.terminate();
        for port in 0..20 {
            s.arrive(frames::udp4(port, b""));
        }
        assert_eq!(s.passed().len(), 20);
    });
}

#[test]
fn s03_8_3_a_handle_in_another_process_keeps_a_program() {
    scene(|s| {
        let keeper = s.client("keeper");
        let kept = {
            let maker = s.client("maker");
            let program = maker
                .program(s.nic)
                .rule(matching::all().drop())
                .create()
                .unwrap();
            let kept = program.handle().duplicate(&keeper, 0xC010_0000).unwrap();
            drop(program);
            maker.terminate();
            kept
        };
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        kept.close().unwrap();
        s.arrive(frames::numbered(2, 60));
        assert_eq!(s.passed().len(), 1);
    });
}

#[test]
fn s03_8_4_s01_3_r4_programs_have_no_requests() {
    scene(|s| {
        let program = s.app.program(s.nic).create().unwrap();
        for code in [0x128000, 0x128004, 0x128008, 0x12800C, 0x128013, 0x128017] {
            let output = program.handle().control_any(code, &[0; 64], 64).unwrap();
            assert_eq!((output.status, output.information), (NOT_SUPPORTED, 0));
        }
    });
}

#[test]
fn s03_5_1_redirects_from_all_queues_deliver_from_the_sockets_own() {
    Stage::new().queues(2).play(|s| {
        let socket = s.receiver(Setup::rx().queue(1));
        let _program = s
            .app
            .program(s.nic)
            .all_queues()
            .rule(matching::all().redirect(&socket.xsk))
            .create()
            .unwrap();
        for port in 0..14 {
            s.arrive(frames::udp4(port, b""));
        }
        let received = socket.received().len();
        assert!(received > 0 && received < 14, "{received}");
        assert!(s.passed().is_empty());
        assert_eq!(socket.xsk.statistics().rx_dropped, 0);
    });
}

#[test]
fn s10_3_r14_s03_5_1_a_socket_of_another_interface_gets_nothing() {
    scene(|s| {
        let other = s.lab.nic("eth1").create().unwrap();
        s.lab.settle().unwrap();
        let socket = s.app.socket(&other, Setup::rx()).unwrap();
        socket.fill_all();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        assert!(socket.received().is_empty());
        assert_eq!(socket.xsk.statistics().rx_dropped, 0);
        other.wire().send(frames::numbered(2, 60)).unwrap();
        assert!(
            other.stack().try_receive().unwrap().is_some(),
            "no program there"
        );
        other.unplug().unwrap();
    });
}
