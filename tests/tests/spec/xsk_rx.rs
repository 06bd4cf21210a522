//! Receiving: specification 02, sections 12, 16 and 19.

use nt_sim::nic::{Frame, FrameInfo, Layout};
use scenarios::{
    Scene, Stage, frames, matching,
    program::Program,
    scene,
    socket::{Received, Setup, Socket},
};
use xdp_abi::{
    HookId,
    ring::RingFlags,
    sockopt::Sockopt,
    xsk::{NotifyFlags, Statistics},
};

fn redirect_all<'c>(s: &'c Scene<'_>, socket: &Socket<'_>) -> Program<'c> {
    s.app
        .program(s.nic)
        .rule(matching::all().redirect(&socket.xsk))
        .create()
        .unwrap()
}

/// As [`redirect_all`], by a list of two rules: what looks at each frame.
fn redirect_by_two_rules<'c>(s: &'c Scene<'_>, socket: &Socket<'_>) -> Program<'c> {
    s.app
        .program(s.nic)
        .rule(matching::udp_dst(9).redirect(&socket.xsk))
        .rule(matching::all().redirect(&socket.xsk))
        .create()
        .unwrap()
}

fn batch(count: u32) -> Vec<Frame> {
    (0..count)
        .map(|n| frames::numbered(n, 100 + n as usize).into())
        .collect()
}

fn numbers(received: &[Received]) -> Vec<u32> {
    received
        .iter()
        .map(|frame| frames::number_of(&frame.data))
        .collect()
}

#[test]
fn s02_12_3_a_redirected_frame_arrives_in_the_posted_chunk() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_all(s, &socket);
        socket.fill([4096]);
        let frame = frames::udp4(53, b"a question");
        s.arrive(&frame);
        let received = socket.received();
        assert_eq!(received.len(), 1);
        assert_eq!((received[0].base, received[0].offset), (4096, 0));
        assert_eq!(received[0].data, frame);
        assert_eq!(socket.rings.fill().available(), 0);
        assert!(s.passed().is_empty(), "the original is dropped");
        assert_eq!(socket.xsk.statistics(), Statistics::default());
    });
}

#[test]
fn s02_12_1_a_socket_of_another_queue_gets_nothing_and_counts_nothing() {
    Stage::new().queues(2).play(|s| {
        let socket = s.receiver(Setup::rx().queue(1));
        let _program = redirect_all(s, &socket);
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        assert!(socket.received().is_empty());
        assert_eq!(socket.xsk.statistics(), Statistics::default());
    });
}

#[test]
fn s02_12_2_s02_12_5_missing_fill_entries_drop_the_tail_of_a_batch() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        socket.fill([0, 2048, 4096]);
        s.nic.wire().send_all(batch(5)).unwrap();
        assert_eq!(numbers(&socket.received()), [0, 1, 2]);
        assert_eq!(socket.xsk.statistics().rx_dropped, 2);
        assert_eq!(socket.rings.fill().consumer(), 3);
        assert_eq!(socket.rings.rx().producer(), 3);
    });
}

#[test]
fn s02_12_2_s02_19_r3_missing_receive_entries_leave_fill_entries_alone() {
    scene(|s| {
        let setup = Setup::rx().rx_rings(2, 8);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        socket.fill((0..8).map(|n| n * 2048));
        s.nic.wire().send_all(batch(5)).unwrap();
        assert_eq!(socket.rings.fill().consumer(), 2);
        assert_eq!(numbers(&socket.received()), [0, 1]);
        assert_eq!(socket.xsk.statistics().rx_dropped, 3);
        s.nic.wire().send_all(batch(1)).unwrap();
        assert_eq!(socket.received().len(), 1, "there is room again");
    });
}

#[test]
fn s02_12_2_batches_longer_than_32_arrive_whole() {
    scene(|s| {
        let setup = Setup::rx().rx_rings(128, 128).chunks(2048, 128);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        socket.fill_all();
        s.nic.wire().send_all(batch(100)).unwrap();
        let received = socket.received();
        assert_eq!(numbers(&received), (0..100).collect::<Vec<_>>());
        for frame in &received {
            let number = frames::number_of(&frame.data);
            assert_eq!(frame.data, frames::numbered(number, 100 + number as usize));
        }
    });
}

#[test]
fn s02_12_3_b_s02_12_6_an_invalid_fill_entry_costs_one_frame() {
    scene(|s| {
        for exclusive in [false, true] {
            let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
            let _program = if exclusive {
                redirect_all(s, &socket)
            } else {
                redirect_by_two_rules(s, &socket)
            };
            let total = u64::from(socket.umem.chunk_size() * socket.umem.chunks());
            socket.fill([u64::MAX, 0, 2048]);
            s.nic.wire().send_all(batch(3)).unwrap();
            let received = numbers(&socket.received());
            assert_eq!(received.len(), 2, "which of them is up to the driver");
            let statistics = socket.xsk.statistics();
            assert_eq!(statistics.rx_invalid_descriptors, 1);
            assert_eq!(statistics.rx_dropped, 1);
            assert_eq!(socket.rings.fill().consumer(), 3);
            socket.fill([total - 2048 + 1, total, total - 2048]);
            s.nic.wire().send_all(batch(3)).unwrap();
            assert_eq!(socket.received().len(), 1, "the last one is the last chunk");
            assert_eq!(socket.xsk.statistics().rx_invalid_descriptors, 3);
            assert_eq!(socket.xsk.statistics().rx_dropped, 3);
        }
    });
}

#[test]
fn s02_12_5_an_invalid_entry_counts_within_the_limit_of_the_receive_ring() {
    scene(|s| {
        let setup = Setup::rx().rx_rings(2, 4);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        socket.fill([u64::MAX, 0, 2048]);
        s.nic.wire().send_all(batch(3)).unwrap();
        assert_eq!(socket.received().len(), 1, "two entries were looked at");
        assert_eq!(socket.rings.fill().consumer(), 2);
        assert_eq!(socket.xsk.statistics().rx_dropped, 2);
    });
}

#[test]
fn s02_12_3_c_s02_12_7_headroom_and_what_lies_behind_are_not_touched() {
    scene(|s| {
        let setup = Setup::rx().headroom(100);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_all(s, &socket);
        socket.umem.write(0, &[0xEE; 3 * 2048]);
        socket.fill([2048]);
        let frame = frames::numbered(1, 300);
        s.arrive(&frame);
        let received = socket.received();
        assert_eq!((received[0].base, received[0].offset), (2048, 100));
        assert_eq!(received[0].data, frame);
        let memory = socket.umem.read(0, 3 * 2048);
        assert!(memory[..2048 + 100].iter().all(|byte| *byte == 0xEE));
        assert!(memory[2048 + 400..].iter().all(|byte| *byte == 0xEE));
    });
}

#[test]
fn s02_12_3_c_d_long_frames_are_cut_and_counted_once() {
    scene(|s| {
        let setup = Setup::rx().chunks(512, 8).headroom(12);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_all(s, &socket);
        socket.umem.write(0, &[0xEE; 2048]);
        socket.fill([512, 1024]);
        s.nic
            .wire()
            .set_layout(Layout::split(&[100, 200, 150, 300]));
        let frame = frames::numbered(1, 1000);
        s.arrive(&frame);
        let received = socket.received();
        assert_eq!(received[0].data, frame[..500]);
        assert_eq!(socket.umem.read(1024, 16), [0xEE; 16], "the next chunk");
        let exact = frames::numbered(2, 500);
        s.arrive(&exact);
        assert_eq!(socket.received()[0].data, exact);
        let statistics = socket.xsk.statistics();
        assert_eq!((statistics.rx_truncated, statistics.rx_dropped), (1, 0));
    });
}

#[test]
fn s02_12_4_fill_addresses_need_no_alignment() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_all(s, &socket);
        for (n, address) in [1, 7, 2047, 2049, 5001].into_iter().enumerate() {
            socket.fill([address]);
            let frame = frames::numbered(n as u32, 400);
            s.arrive(&frame);
            let received = socket.received();
            assert_eq!((received[0].base, &received[0].data), (address, &frame));
        }
    });
}

#[test]
fn s02_19_r4_a_chunk_posted_twice_is_written_twice() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_all(s, &socket);
        socket.fill([2048, 2048]);
        s.nic
            .wire()
            .send_all([1, 2].map(|n| frames::numbered(n, 80).into()))
            .unwrap();
        let received = socket.received();
        assert_eq!(received.len(), 2);
        for frame in received {
            assert_eq!(frame.base, 2048);
            assert_eq!(frame.data, frames::numbered(2, 80), "the second overwrote");
        }
    });
}

#[test]
fn s06_13_r1_s02_12_3_c_frames_in_pieces_arrive_whole() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        let layouts = [
            Layout::split(&[1]),
            Layout::split(&[14, 20, 8]),
            Layout::split(&[13, 1, 1, 19, 7]).empty_mdls(),
            Layout::split(&[60; 20]),
            Layout::contiguous().backfill(33).trailing(100).skew(3),
            Layout::split(&[5; 40]).backfill(7).trailing(9),
        ];
        for (n, layout) in layouts.into_iter().enumerate() {
            s.nic.wire().set_layout(layout.clone());
            socket.fill([0]);
            let frame = frames::udp4(9, &vec![n as u8; 900]);
            s.arrive(&frame);
            assert_eq!(socket.received_bytes(), [frame], "{layout:?}");
        }
        for seed in 0..60 {
            s.nic.wire().set_layout(Layout::random(seed));
            socket.fill([0]);
            let frame = frames::numbered(seed as u32, 60 + 20 * seed as usize);
            s.arrive(&frame);
            assert_eq!(socket.received_bytes(), [frame], "layout {seed}");
        }
    });
}

#[test]
fn s06_13_r8_s06_5_6_frames_that_the_nic_wants_back_at_once_are_received() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        socket.fill_all();
        s.nic.wire().set_layout(Layout::contiguous().resources());
        s.nic.wire().send_all(batch(5)).unwrap();
        assert_eq!(numbers(&socket.received()), [0, 1, 2, 3, 4]);
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s02_12_8_the_original_length_is_the_whole_frames() {
    scene(|s| {
        let setup = Setup::rx()
            .chunks(256, 16)
            .extension(Sockopt::RX_ORIGINAL_LENGTH);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        let offset: u16 = socket
            .xsk
            .get(Sockopt::RX_FRAME_ORIGINAL_LENGTH_EXTENSION)
            .unwrap();
        let layouts = [
            Layout::contiguous(),
            Layout::split(&[100, 100]),
            Layout::split(&[14, 300, 1]).empty_mdls(),
            Layout::contiguous().trailing(50),
        ];
        for layout in layouts {
            s.nic.wire().set_layout(layout.clone());
            for size in [60, 256, 257, 1514] {
                socket.fill([0]);
                s.arrive(frames::numbered(1, size));
                let received = socket.received();
                let at = usize::from(offset);
                let length = received[0].element[at..at + 4].try_into().unwrap();
                let length = u32::from_le_bytes(length) as usize;
                assert_eq!(length, size, "{layout:?}");
                assert_eq!(received[0].data.len(), size.min(256));
            }
        }
    });
}

#[test]
fn s02_12_9_s06_8_r3_s08_8_the_timestamp_is_the_nics() {
    scene(|s| {
        let setup = Setup::rx().extension(Sockopt::RX_OFFLOAD_TIMESTAMP);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        let offset: u16 = socket
            .xsk
            .get(Sockopt::RX_FRAME_TIMESTAMP_EXTENSION)
            .unwrap();
        for timestamp in [0, 1, 0x1234_5678_9ABC_DEF0] {
            socket.fill([0]);
            let info = FrameInfo {
                timestamp,
                ..FrameInfo::default()
            };
            s.arrive(Frame::new(frames::numbered(1, 60)).with(info));
            let received = socket.received();
            let at = usize::from(offset);
            let seen = received[0].element[at..at + 8].try_into().unwrap();
            assert_eq!(u64::from_le_bytes(seen), timestamp);
        }
    });
}

#[test]
fn s02_12_10_receiving_needs_no_poke() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_all(s, &socket);
        for n in 0..4 {
            assert!(!socket.rings.fill().need_poke());
            s.arrive(frames::numbered(n, 60));
            assert!(!socket.rings.fill().need_poke(), "even without entries");
            assert_eq!(socket.xsk.poke(NotifyFlags::POKE_RX), Ok(()));
            socket.fill([0]);
            s.arrive(frames::numbered(n, 60));
        }
        assert_eq!(socket.received().len(), 4);
        assert_eq!(socket.rings.rx().flags(), RingFlags::empty());
    });
}

#[test]
fn s02_12_11_order_is_kept() {
    scene(|s| {
        let setup = Setup::rx().rx_rings(256, 256).chunks(2048, 256);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = redirect_by_two_rules(s, &socket);
        socket.fill_all();
        s.nic.wire().set_layout(Layout::random(3));
        for chunk in batch(250).chunks(17) {
            s.nic.wire().send_all(chunk.to_vec()).unwrap();
        }
        let expected: Vec<_> = (0..250).collect();
        assert_eq!(numbers(&socket.received()), expected);
    });
}

#[test]
fn s02_16_1_s02_16_statistics_are_the_sockets_own_and_never_go_back() {
    scene(|s| {
        let first = s.app.socket(s.nic, Setup::rx()).unwrap();
        let second = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(1).redirect(&first.xsk))
            .rule(matching::udp_dst(2).redirect(&second.xsk))
            .create()
            .unwrap();
        for n in 1..=3 {
            s.arrive(frames::udp4(1, b"nowhere to go"));
            assert_eq!(first.xsk.statistics().rx_dropped, n);
            assert_eq!(
                first.xsk.statistics().rx_dropped,
                n,
                "reading resets nothing"
            );
        }
        assert_eq!(second.xsk.statistics(), Statistics::default());
        second.fill([u64::MAX]);
        s.arrive(frames::udp4(2, b""));
        assert_eq!(second.xsk.statistics().rx_invalid_descriptors, 1);
        s.unplug();
        assert_eq!(first.xsk.statistics().rx_dropped, 3, "in any state");
    });
}

#[test]
fn s02_19_r16_s06_5_7_sent_frames_can_be_redirected() {
    scene(|s| {
        let setup = Setup::rx().rx_hook(HookId::TX_INSPECT);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let _program = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::udp_dst(53).redirect(&socket.xsk))
            .create()
            .unwrap();
        socket.fill_all();
        let frame = frames::udp4(53, b"on its way out");
        s.nic.stack().send(&frame).unwrap();
        let other = frames::udp4(54, b"passes");
        s.nic.stack().send(&other).unwrap();
        assert_eq!(s.nic.wire().receive().unwrap().data, other);
        let received: Vec<_> = socket
            .await_received(1)
            .into_iter()
            .map(|f| f.data)
            .collect();
        assert_eq!(received, [frame]);
        assert_eq!(s.nic.stack().failed_sends(), 0);
        s.arrive(frames::udp4(53, b"received frames are not looked at"));
        assert_eq!(s.passed().len(), 1);
    });
}

#[test]
fn s02_6_6_indices_run_over_the_end_of_the_ring() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx().rx_rings(4, 2)).unwrap();
        let _program = redirect_all(s, &socket);
        for n in 0..50 {
            socket.fill([u64::from(n % 8) * 2048]);
            s.arrive(frames::numbered(n, 64));
            assert_eq!(socket.rings.rx().producer(), n + 1);
            assert_eq!(socket.rings.fill().consumer(), n + 1);
            assert_eq!(numbers(&socket.received()), [n]);
        }
    });
}

#[test]
fn s02_6_7_the_reserved_word_of_a_descriptor_is_left_alone() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = redirect_all(s, &socket);
        socket.rings.rx().write_element(0, 12, &[0xAB; 4]);
        socket.fill([0]);
        s.arrive(frames::numbered(1, 60));
        let received = socket.received();
        assert_eq!(received[0].element[12..16], [0xAB; 4]);
    });
}
