//! Transmitting: specification 02, sections 13, 14 and 19.

use nt_sim::NtStatus;
use scenarios::{
    Stage, frames, scene,
    socket::{Setup, Socket},
    status::*,
};
use std::sync::atomic::{AtomicBool, Ordering};
use xdp_abi::{
    ring::RingFlags,
    sockopt::Sockopt,
    xsk::{NotifyFlags, XskError},
};

const NDIS_STATUS_FAILURE: i32 = 0xC000_0001_u32 as i32;

/// The next `count` frames on the wire.
fn on_the_wire(s: &scenarios::Scene<'_>, count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|_| {
            let frame = s.nic.wire().receive();
            frame.unwrap_or_else(|e| panic!("{e}")).data
        })
        .collect()
}

#[test]
fn s02_13_7_each_accepted_descriptor_completes_once() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        for n in 0..16 {
            socket.post_frame(n, &frames::numbered(n, 60 + 7 * n as usize));
        }
        socket.poke();
        let sent = on_the_wire(s, 16);
        for (n, frame) in sent.iter().enumerate() {
            assert_eq!(*frame, frames::numbered(n as u32, 60 + 7 * n));
        }
        let mut done = socket.await_completions(16);
        done.sort_unstable();
        let expected: Vec<_> = (0..16).map(|n| socket.umem.chunk(n)).collect();
        assert_eq!(done, expected);
        s.lab.settle().unwrap();
        assert!(socket.completions().is_empty());
        assert!(s.sent().is_empty());
    });
}

#[test]
fn s02_13_7_the_offset_is_not_returned() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let frame = frames::numbered(3, 200);
        socket.umem.write(2048 + 300, &frame);
        socket.post(2048, 300, 200);
        socket.poke();
        assert_eq!(on_the_wire(s, 1), [frame]);
        assert_eq!(socket.await_completions(1), [2048]);
    });
}

#[test]
fn s02_13_7_s06_7_6_frames_that_the_nic_fails_complete_too() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().complete_sends_with(NDIS_STATUS_FAILURE);
        socket.send(2, &frames::numbered(1, 60));
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(2)]);
        let dropped = scenarios::counters::GENERIC_TX
            .of_queue(s.lab, s.nic.if_index(), 0)
            .get("Frames Dropped (NIC Failure)");
        assert_eq!(dropped, 1);
        s.nic.wire().complete_sends_with(0);
        socket.send(3, &frames::numbered(2, 60));
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(3)]);
    });
}

#[test]
fn s02_13_7_s06_2_frames_sent_while_the_interface_is_paused_complete() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.pause().unwrap();
        socket.send(1, &frames::numbered(1, 60));
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(1)]);
        s.nic.restart().unwrap();
        assert!(s.sent().is_empty());
        let dropped = scenarios::counters::GENERIC_TX
            .of_queue(s.lab, s.nic.if_index(), 0)
            .get("Frames Dropped (NDIS Pause)");
        assert_eq!(dropped, 1);
        let frame = frames::numbered(2, 60);
        socket.send(2, &frame);
        assert_eq!(on_the_wire(s, 1), [frame], "it goes on after the restart");
    });
}

#[test]
fn completions_are_in_the_order_of_the_frames_whatever_the_network_card_does() {
    // The specification lets them come in any order.
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(32, 32)).unwrap();
        s.nic.wire().shuffle();
        for _ in 0..5 {
            let expected: Vec<_> = (0..16).map(|n| socket.umem.chunk((n * 7) % 16)).collect();
            for n in 0..16 {
                socket.post_frame((n * 7) % 16, &frames::numbered(n, 60));
            }
            socket.poke();
            assert_eq!(socket.await_completions(16), expected);
        }
    });
}

#[test]
fn s02_13_7_s06_13_r4_the_nic_may_complete_in_any_order() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(32, 32)).unwrap();
        s.nic.wire().shuffle();
        for round in 0..5 {
            for n in 0..16 {
                socket.post_frame(n, &frames::numbered(round * 16 + n, 60));
            }
            socket.poke();
            let mut done = socket.await_completions(16);
            done.sort_unstable();
            let expected: Vec<_> = (0..16).map(|n| socket.umem.chunk(n)).collect();
            assert_eq!(done, expected, "round {round}");
        }
    });
}

#[test]
fn s02_13_1_s02_19_r2_completions_always_fit() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(16, 4)).unwrap();
        s.nic.wire().hold();
        for n in 0..16 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        let mut sent = on_the_wire(s, 4);
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty(), "four completions are promised");
        assert_eq!(socket.rings.tx().consumer(), 4);
        s.nic.wire().release().unwrap();
        let mut done = Vec::new();
        while done.len() < 16 {
            done.extend(socket.await_completions(1));
            if socket.rings.tx().need_poke() {
                socket.poke();
            }
        }
        sent.extend(on_the_wire(s, 12));
        let sent: Vec<_> = sent.iter().map(|f| frames::number_of(f)).collect();
        assert_eq!(sent, (0..16).collect::<Vec<_>>());
    });
}

#[test]
fn s02_19_r1_rings_of_one_element_work() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(1, 1)).unwrap();
        for n in 0..10 {
            let frame = frames::numbered(n, 60);
            socket.send(n, &frame);
            assert_eq!(on_the_wire(s, 1), [frame]);
            assert_eq!(socket.await_completions(1), [socket.umem.chunk(n)]);
        }
        s.nic.wire().hold();
        socket.send(1, &frames::numbered(1, 60));
        on_the_wire(s, 1);
        socket.send(2, &frames::numbered(2, 60));
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty(), "one at a time");
        s.nic.wire().release().unwrap();
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(1)]);
        if socket.rings.tx().need_poke() {
            socket.poke();
        }
        assert_eq!(on_the_wire(s, 1), [frames::numbered(2, 60)]);
        assert_eq!(socket.await_completions(1), [socket.umem.chunk(2)]);
    });
}

#[test]
fn s02_13_1_s06_7_8_sockets_of_one_queue_take_turns() {
    Stage::new().registry("GenericTxFrameCount", 8).play(|s| {
        let setup = Setup::tx().tx_rings(64, 64).chunks(2048, 64);
        let greedy = s.app.socket(s.nic, setup.clone()).unwrap();
        let modest = s.app.socket(s.nic, setup).unwrap();
        s.nic.wire().hold();
        for n in 0..64 {
            greedy.post_frame(n, &frames::numbered(n, 60));
        }
        greedy.poke();
        for n in 0..4 {
            modest.post_frame(n, &frames::numbered(1000 + n, 60));
        }
        modest.poke();
        s.nic.wire().release().unwrap();
        let sent: Vec<_> = on_the_wire(s, 68)
            .iter()
            .map(|frame| frames::number_of(frame))
            .collect();
        let last = |range: std::ops::Range<u32>| sent.iter().rposition(|n| range.contains(n));
        assert!(last(1000..1004) < last(0..64), "{sent:?}");
        let of_greedy: Vec<_> = sent.iter().copied().filter(|n| *n < 64).collect();
        assert_eq!(of_greedy, (0..64).collect::<Vec<_>>(), "in order");
        assert_eq!(greedy.await_completions(64).len(), 64);
        assert_eq!(modest.await_completions(4).len(), 4);
    });
}

fn refused(socket: &Socket<'_>, base: u64, offset: u16, length: u32, why: &str) {
    let before = socket.xsk.statistics().tx_invalid_descriptors;
    let consumed = socket.rings.tx().consumer();
    socket.post(base, offset, length);
    socket.poke();
    let statistics = socket.xsk.statistics();
    assert_eq!(statistics.tx_invalid_descriptors, before + 1, "{why}");
    assert_eq!(
        socket.rings.tx().consumer(),
        consumed.wrapping_add(1),
        "{why}"
    );
    assert!(socket.completions().is_empty(), "{why}");
}

#[test]
fn s02_13_2_r1_r2_r3_r4_s02_13_3_invalid_descriptors_are_consumed_and_counted() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let total = 2048 * 32;
        refused(&socket, total, 0, 60, "behind the memory");
        refused(&socket, total - 59, 0, 60, "its last byte is");
        refused(&socket, total - 60, 1, 60, "the same with an offset");
        refused(&socket, total - 2048, u16::MAX, 60, "far behind");
        refused(
            &socket,
            (1 << 48) - 1,
            u16::MAX,
            u32::MAX,
            "a sum of 49 bits",
        );
        refused(&socket, 0, 0, 0, "no bytes");
        refused(&socket, 0, 0, 1515, "longer than the MTU and a header");
        refused(&socket, 0, 0, u32::MAX, "longer than anything");
        refused(&socket, 2000, 0, 60, "across two chunks");
        refused(&socket, 0, 2000, 60, "across two chunks by its offset");
        s.lab.settle().unwrap();
        assert!(s.sent().is_empty());
        let tx_error = socket.xsk.error(Sockopt::TX_ERROR);
        assert_eq!(tx_error, XskError::NO_ERROR);
        // A good one afterwards, and good ones that touch the limits.
        let frame = frames::numbered(1, 1514);
        for (base, offset) in [(0, 0), (total - 2048, 534), (534, 0)] {
            socket.umem.write(base + u64::from(offset), &frame);
            socket.post(base, offset, 1514);
            socket.poke();
            assert_eq!(on_the_wire(s, 1), std::slice::from_ref(&frame));
            assert_eq!(socket.await_completions(1), [base]);
        }
    });
}

#[test]
fn s06_13_r5_s02_13_2_r3_a_frame_of_the_mtu_and_a_header_is_sent() {
    Stage::new().mtu(9000).play(|s| {
        let setup = Setup::tx().chunks(16384, 4);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let frame = frames::numbered(1, 9014);
        socket.send(0, &frame);
        assert_eq!(on_the_wire(s, 1), [frame]);
        assert_eq!(socket.await_completions(1), [0]);
        refused(&socket, 0, 0, 9015, "one byte more");
    });
}

#[test]
fn s02_13_4_s01_7_without_bounce_a_frame_may_span_chunks() {
    Stage::new().registry("XskDisableTxBounce", 1).play(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let frame = frames::numbered(1, 1000);
        for (base, offset) in [(2000, 0), (0, 3000), (100, 65_000 - 100)] {
            if base + u64::from(offset) + 1000 > 2048 * 32 {
                continue;
            }
            socket.umem.write(base + u64::from(offset), &frame);
            socket.post(base, offset, 1000);
            socket.poke();
            assert_eq!(on_the_wire(s, 1), std::slice::from_ref(&frame));
            assert_eq!(socket.await_completions(1), [base]);
        }
        refused(
            &socket,
            2048 * 32 - 999,
            0,
            1000,
            "but not leave the memory",
        );
    });
}

#[test]
fn s02_19_r6_offsets_may_exceed_headroom_and_chunk() {
    Stage::new().registry("XskDisableTxBounce", 1).play(|s| {
        let setup = Setup::tx().headroom(16);
        let socket = s.app.socket(s.nic, setup).unwrap();
        let frame = frames::numbered(1, 100);
        for offset in [17, 1000, 2048, 5000, 60_000] {
            socket.umem.write(u64::from(offset), &frame);
            socket.post(0, offset, 100);
            socket.poke();
            assert_eq!(on_the_wire(s, 1), std::slice::from_ref(&frame), "{offset}");
            assert_eq!(socket.await_completions(1), [0]);
        }
    });
}

#[test]
fn s02_19_r7_with_bounce_a_frame_lies_anywhere_inside_one_chunk() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let frame = frames::numbered(1, 100);
        for (base, offset) in [(3, 0), (2049, 1), (2048, 1948), (4095, 1)] {
            let at = base + u64::from(offset);
            if base == 4095 {
                refused(&socket, base, offset, 100, "base and data in two chunks");
                continue;
            }
            socket.umem.write(at, &frame);
            socket.post(base, offset, 100);
            socket.poke();
            assert_eq!(on_the_wire(s, 1), std::slice::from_ref(&frame), "{at}");
            assert_eq!(socket.await_completions(1), [base]);
        }
    });
}

#[test]
fn s02_19_r8_s02_5_2_the_truncated_tail_cannot_be_sent_from() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let flags = xdp_abi::xsk::BindFlags::TX;
        xsk.bind(s.nic.if_index(), 0, flags).unwrap();
        let umem = xsk.register(3 * 2048 + 1000, 2048, 0).unwrap();
        xsk.size_ring(Sockopt::TX_RING_SIZE, 8).unwrap();
        xsk.size_ring(Sockopt::TX_COMPLETION_RING_SIZE, 8).unwrap();
        xsk.activate().unwrap();
        let rings = xsk.rings().unwrap();
        let socket = Socket { xsk, umem, rings };
        refused(&socket, 3 * 2048, 0, 60, "in the tail");
        refused(&socket, 3 * 2048 - 59, 0, 60, "into the tail");
        let frame = frames::numbered(1, 60);
        socket.umem.write(3 * 2048 - 60, &frame);
        socket.post(3 * 2048 - 60, 0, 60);
        socket.poke();
        assert_eq!(on_the_wire(s, 1), [frame]);
    });
}

#[test]
fn s02_13_6_a_frame_has_at_least_one_byte() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        for length in [1, 2, 13, 14, 15] {
            let bytes = vec![0x5A; length];
            socket.send(0, &bytes);
            assert_eq!(on_the_wire(s, 1), [bytes]);
            assert_eq!(socket.await_completions(1), [0]);
        }
    });
}

#[test]
fn s02_13_5_s02_19_r5_a_chunk_may_be_sent_twice_at_a_time() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().hold();
        let frame = frames::numbered(1, 100);
        socket.umem.write(2048, &frame);
        socket.post(2048, 0, 100);
        socket.poke();
        assert_eq!(on_the_wire(s, 1), std::slice::from_ref(&frame));
        socket.post(2048, 0, 100);
        socket.poke();
        assert_eq!(on_the_wire(s, 1), [frame]);
        s.nic.wire().release().unwrap();
        assert_eq!(socket.await_completions(2), [2048, 2048]);
    });
}

#[test]
fn s02_5_6_s10_2_1_frames_on_their_way_do_not_change() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().hold();
        let frame = frames::numbered(1, 100);
        socket.send(3, &frame);
        assert_eq!(s.nic.wire().held().unwrap(), std::slice::from_ref(&frame));
        // The program writes over the frame, sends another chunk, and gives its memory away.
        let other = frames::numbered(2, 100);
        socket.umem.write(socket.umem.chunk(3), &other);
        assert_eq!(s.nic.wire().held().unwrap(), std::slice::from_ref(&frame));
        socket.send(4, &other);
        s.app.free(socket.umem.memory()).unwrap();
        assert_eq!(s.nic.wire().held().unwrap(), [frame, other]);
        s.nic.wire().release().unwrap();
        assert_eq!(socket.await_completions(2).len(), 2);
    });
}

#[test]
fn s02_13_8_taking_back_promised_space_breaks_the_completion_ring() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(8, 8)).unwrap();
        s.nic.wire().hold();
        for n in 0..8 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        on_the_wire(s, 8);
        let completion = socket.rings.completion();
        completion.set_consumer(completion.producer().wrapping_sub(8));
        s.nic.wire().release().unwrap();
        s.lab.settle().unwrap();
        // Whether the driver notices when it completes or when it is told to look again is its own affair.
        socket.post_frame(0, &frames::numbered(9, 60));
        let _ = socket.xsk.poke(NotifyFlags::POKE_TX);
        let error = socket.xsk.error(Sockopt::TX_COMPLETION_ERROR);
        assert_eq!(error, XskError::INVALID_RING);
        assert!(completion.flags().contains(RingFlags::ERROR));
        assert_eq!(socket.rings.tx().consumer(), 8, "nothing further is taken");
        assert!(s.sent().is_empty());
        assert_eq!(socket.xsk.error(Sockopt::TX_ERROR), XskError::NO_ERROR);
        // The first error stays.
        s.unplug();
        let error = socket.xsk.error(Sockopt::TX_COMPLETION_ERROR);
        assert_eq!(error, XskError::INVALID_RING);
    });
}

#[test]
fn s02_13_9_s01_6_closing_waits_for_frames_in_flight() {
    for seed in 0..10 {
        Stage::new().seed(seed).play(|s| {
            let app = s.client("sender");
            let socket = app.socket(s.nic, Setup::tx()).unwrap();
            s.nic.wire().hold();
            socket.send(0, &frames::numbered(1, 60));
            on_the_wire(s, 1);
            let released = AtomicBool::new(false);
            s.side_by_side(&[
                &|| {
                    app.exit().unwrap();
                    assert!(released.load(Ordering::SeqCst), "closed too early");
                },
                &|| {
                    for _ in 0..20 {
                        // Gives the other thread its turns.
                        s.lab.settle().unwrap();
                    }
                    released.store(true, Ordering::SeqCst);
                    s.nic.wire().release().unwrap();
                },
            ]);
        });
    }
}

#[test]
fn s02_14_r1_r2_r3_r4_the_flag_asks_for_a_poke_when_there_is_nothing_to_do() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(8, 2)).unwrap();
        let tx = socket.rings.tx();
        assert!(tx.need_poke(), "r1: from the beginning");
        s.nic.wire().hold();
        socket.send(0, &frames::numbered(0, 60));
        on_the_wire(s, 1);
        assert!(!tx.need_poke(), "r4: a frame is in flight");
        s.nic.wire().release().unwrap();
        socket.await_completions(1);
        s.lab.settle().unwrap();
        assert!(tx.need_poke(), "r3: nothing to send and nothing in flight");
        for n in 0..4 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        on_the_wire(s, 2);
        s.lab.settle().unwrap();
        assert!(tx.need_poke(), "r3: no room for completions");
        assert_eq!(socket.await_completions(2).len(), 2);
        socket.poke();
        on_the_wire(s, 2);
        assert_eq!(socket.await_completions(2).len(), 2);
    });
}

#[test]
fn s02_14_1_s02_14_2_s02_14_3_pokes_on_demand_lose_nothing() {
    for seed in 0..12 {
        Stage::new().seed(seed).play(|s| {
            let socket = s.app.socket(s.nic, Setup::tx().tx_rings(4, 4)).unwrap();
            if seed % 2 == 1 {
                s.nic.wire().shuffle();
            }
            let mut posted = 0;
            let mut done = 0;
            while done < 60 {
                while posted < 60 && socket.rings.tx().free() > 0 {
                    socket.post_frame(posted % 16, &frames::numbered(posted, 60));
                    posted += 1;
                }
                std::sync::atomic::fence(Ordering::SeqCst);
                if socket.rings.tx().need_poke() {
                    socket.poke();
                }
                done += socket.await_completions(1).len();
            }
            let sent = on_the_wire(s, 60);
            let sent: Vec<_> = sent.iter().map(|f| frames::number_of(f)).collect();
            assert_eq!(sent, (0..60).collect::<Vec<_>>(), "seed {seed}");
        });
    }
}

#[test]
fn s02_14_2_pokes_without_need_do_no_harm() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().tx_rings(4, 4)).unwrap();
        for n in 0..40 {
            socket.poke();
            let frame = frames::numbered(n, 60);
            socket.send(n % 32, &frame);
            socket.poke();
            assert_eq!(on_the_wire(s, 1), [frame]);
            assert_eq!(socket.await_completions(1).len(), 1);
        }
    });
}

#[test]
fn s02_11_3_a_poke_of_a_lost_interface_is_refused() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        s.unplug();
        for flags in [
            NotifyFlags::POKE_TX,
            NotifyFlags::POKE_RX,
            NotifyFlags::WAIT_RX,
            NotifyFlags::POKE_TX | NotifyFlags::WAIT_TX,
        ] {
            let refused: Option<NtStatus> = socket.xsk.poke(flags).err();
            assert_eq!(refused, Some(INVALID_DEVICE_STATE), "{flags:?}");
        }
    });
}

#[test]
fn s02_11_2_s06_11_frames_in_flight_complete_when_the_interface_leaves() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        s.nic.wire().hold();
        for n in 0..5 {
            socket.post_frame(n, &frames::numbered(n, 60));
        }
        socket.poke();
        on_the_wire(s, 5);
        s.unplug();
        assert_eq!(socket.completions().len(), 5);
        let error = socket.xsk.error(Sockopt::TX_ERROR);
        assert_eq!(error, XskError::INTERFACE_DETACH);
    });
}

#[test]
fn s06_13_r5_s06_2_s02_11_1_another_mtu_ends_the_transmit_side() {
    scene(|s| {
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        let receiver = s.app.socket(s.nic, Setup::rx()).unwrap();
        let _program = s.attach(scenarios::matching::all().redirect(&receiver.xsk));
        s.nic.set_mtu(1400).unwrap();
        s.lab.settle().unwrap();
        let error = sender.xsk.error(Sockopt::TX_ERROR);
        assert_eq!(error, XskError::INTERFACE_DETACH);
        assert_eq!(receiver.xsk.error(Sockopt::RX_ERROR), XskError::NO_ERROR);
        receiver.fill([0]);
        s.arrive(frames::numbered(1, 60));
        assert_eq!(receiver.received().len(), 1);
        let next = s.app.socket(s.nic, Setup::tx()).unwrap();
        let frame = frames::numbered(1, 1414);
        next.send(0, &frame);
        assert_eq!(on_the_wire(s, 1), [frame]);
        next.await_completions(1);
        refused(&next, 0, 0, 1415, "one byte more");
    });
}
