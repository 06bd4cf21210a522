//! Counters of queues add up to the frames seen: specification 09, section 3.2.

use nt_sim::nic::Layout;
use scenarios::{
    Scene, Stage, counters, frames, manifest, matching,
    socket::{Setup, Socket},
};
use xdp_abi::{HookId, sockopt::Sockopt, xsk::NotifyFlags};

const NDIS_STATUS_FAILURE: i32 = 0xC000_0001_u32 as i32;

/// The counters of the receive queue, both sets.
struct Rx(counters::Counters, counters::Counters);

impl Rx {
    fn read(s: &Scene<'_>) -> Self {
        let index = s.nic.if_index();
        Rx(
            counters::RX.of_queue(s.lab, index, 0),
            counters::GENERIC_RX.of_queue(s.lab, index, 0),
        )
    }

    fn get(&self, name: &str) -> u64 {
        let names = counters::RX.counters;
        if names.contains(&name) {
            self.0.get(name)
        } else {
            self.1.get(name)
        }
    }

    fn sum(&self, names: &[&str]) -> u64 {
        names.iter().map(|name| self.get(name)).sum()
    }

    /// The sums that hold at any time; the number of frames inspected.
    #[track_caller]
    fn check(&self) -> u64 {
        let redirected = self.get("Inspection Frames Redirected");
        let to_sockets = [
            "AF_XDP Frames Delivered",
            "AF_XDP Frames Dropped",
            "AF_XDP Frames Misdirected",
        ];
        assert_eq!(redirected, self.sum(&to_sockets));
        let forwarded = self.get("Inspection Frames Forwarded");
        let requested = self.get("Forwarding NBs: Requested");
        assert_eq!(
            forwarded,
            requested + self.get("Forwarding Failures: Short Frames")
        );
        let of_requested = [
            "Forwarding NBs: Sent",
            "Forwarding Failures: Allocation",
            "Forwarding Failures: Allocation Limit",
            "Forwarding Failures: NDIS Pause",
        ];
        assert_eq!(requested, self.sum(&of_requested));
        self.sum(&[
            "Inspection Frames Passed",
            "Inspection Frames Dropped",
            "Inspection Frames Redirected",
            "Inspection Frames Forwarded",
            "Mapping Failures",
            "Linearization Failures",
            "Malformed Frames",
        ])
    }
}

#[test]
fn s09_3_2_every_frame_inspected_is_in_one_counter_and_every_loss_has_its_own() {
    let stage = Stage::new().without_rss();
    stage.registry("GenericRxFwdBufferLimit", 1).play(|s| {
        let small = Setup::rx().chunks(256, 8).rx_rings(4, 4);
        let active = s.app.socket(s.nic, small).unwrap();
        let idle = s.app.idle_socket(s.nic, Setup::rx()).unwrap();
        let elsewhere = Setup::rx().rx_hook(HookId::TX_INSPECT);
        let foreign = s.app.socket(s.nic, elsewhere).unwrap();
        let map = s.app.map().unwrap();
        map.insert(0, &active.xsk).unwrap();
        let empty = s.app.map().unwrap();
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(1).drop())
            .rule(matching::udp_dst(2).l2fwd())
            .rule(matching::udp_dst(3).redirect(&active.xsk))
            .rule(matching::udp_dst(4).redirect(&idle.xsk))
            .rule(matching::udp_dst(5).redirect(&foreign.xsk))
            .rule(matching::udp_dst(6).redirect_map(&empty))
            .rule(matching::udp_dst(7).redirect_map(&map))
            .rule(matching::udp_dst(8).pass())
            .create()
            .unwrap();
        let mut seen = 0;
        let mut delivered = 0;
        let mut passed = 0;
        let mut sent = 0;
        for round in 0..40_u64 {
            let layout = match round % 4 {
                0 => Layout::contiguous(),
                1 => Layout::contiguous().resources(),
                _ => Layout::random(round),
            };
            s.nic.wire().set_layout(layout);
            s.nic.wire().complete_sends_with(match round % 5 {
                4 => NDIS_STATUS_FAILURE,
                _ => 0,
            });
            // Now and then the socket has room, now and then an address that leads nowhere.
            if round % 3 == 0 {
                active.fill(
                    [0, 1 << 40]
                        .into_iter()
                        .take(active.rings.fill().free() as usize),
                );
            }
            let ports = (0..24).map(|n| (n * 7 + round) % 10);
            let frames: Vec<_> = ports
                .map(|port| frames::udp4(port as u16, &vec![1; 100 + 20 * port as usize]).into())
                .collect();
            seen += frames.len() as u64;
            s.nic.wire().send_all(frames).unwrap();
            delivered += active.received().len() as u64;
            passed += s.passed().len() as u64;
            // What the card fails it has sent all the same, as cards do whose report is wrong.
            let out = s.sent().len() as u64;
            sent += if round % 5 == 4 { 0 } else { out };
        }
        let rx = Rx::read(s);
        assert_eq!(rx.check(), seen);
        assert_eq!(rx.get("AF_XDP Frames Delivered"), delivered);
        assert_eq!(rx.get("Inspection Frames Passed"), passed);
        let failed = rx.get("Forwarding Failures: NIC Failure");
        assert_eq!(rx.get("Forwarding NBs: Sent"), sent + failed);
        let statistics = active.xsk.statistics();
        assert_eq!(rx.get("AF_XDP Frames Dropped"), statistics.rx_dropped);
        assert_eq!(rx.get("AF_XDP Frames Truncated"), statistics.rx_truncated);
        let invalid = rx.get("AF_XDP Invalid Descriptors");
        assert_eq!(invalid, statistics.rx_invalid_descriptors);
        // Each way of losing a frame was gone.
        for name in [
            "AF_XDP Frames Dropped",
            "AF_XDP Frames Misdirected",
            "AF_XDP Frames Truncated",
            "AF_XDP Invalid Descriptors",
            "Inspection Frames Dropped",
            "Inspection Frames Discontiguous",
            "Forwarding Failures: Allocation Limit",
            "Forwarding Failures: NIC Failure",
        ] {
            assert_ne!(rx.get(name), 0, "{name}");
        }
        for other in [&idle, &foreign] {
            assert_eq!(other.xsk.statistics().rx_dropped, 0, "02 12.1");
        }
    });
}

#[test]
fn s09_3_2_s03_6_2_frames_too_short_to_send_back_are_counted() {
    Stage::new().without_rss().play(|s| {
        let _program = s.attach(matching::all().l2fwd());
        for size in [13, 14, 60, 1, 13] {
            s.arrive(frames::numbered(size as u32, size));
        }
        let rx = Rx::read(s);
        assert_eq!(rx.check(), 5);
        assert_eq!(rx.get("Forwarding Failures: Short Frames"), 3);
        assert_eq!((s.sent().len(), s.passed().len()), (2, 0));
    });
}

#[test]
fn s09_3_2_every_descriptor_consumed_is_invalid_or_completed_or_counted_as_lost() {
    Stage::new().play(|s| {
        let socket: Socket<'_> = s.app.socket(s.nic, Setup::tx()).unwrap();
        let other = s.app.socket(s.nic, Setup::tx()).unwrap();
        let (mut posted, mut completed, mut sent) = (0, 0, 0);
        for round in 0..30_u32 {
            s.nic.wire().complete_sends_with(match round % 5 {
                4 => NDIS_STATUS_FAILURE,
                _ => 0,
            });
            let is_paused = round % 7 == 6;
            if is_paused {
                s.nic.pause().unwrap();
            }
            for socket in [&socket, &other] {
                for n in 0..8 {
                    match (n + round) % 4 {
                        0 => socket.post(1 << 40, 0, 60),
                        1 => socket.post(0, 0, 0),
                        _ => socket.post_frame(n, &frames::numbered(round, 60)),
                    }
                    posted += 1;
                }
                socket.xsk.poke(NotifyFlags::POKE_TX).unwrap();
            }
            s.lab.settle().unwrap();
            if is_paused {
                s.nic.restart().unwrap();
            }
            for socket in [&socket, &other] {
                completed += socket.await_completions(4).len() as u64;
            }
            let out = s.sent().len() as u64;
            sent += if round % 5 == 4 { 0 } else { out };
        }
        let index = s.nic.if_index();
        let queue = counters::TX.of_queue(s.lab, index, 0);
        let generic = counters::GENERIC_TX.of_queue(s.lab, index, 0);
        let invalid = queue.get("AF_XDP Invalid Descriptors");
        assert_eq!(posted, invalid + completed);
        let of_sockets = [&socket, &other].map(|s| s.xsk.statistics().tx_invalid_descriptors);
        assert_eq!(invalid, of_sockets.iter().sum());
        let paused = generic.get("Frames Dropped (NDIS Pause)");
        let failed = generic.get("Frames Dropped (NIC Failure)");
        assert_eq!(completed, sent + paused + failed);
        assert!(invalid > 0 && paused > 0 && failed > 0);
        assert_eq!(queue.get("Queue Depth"), 0);
        assert!(socket.xsk.get::<u32>(Sockopt::TX_ERROR).unwrap() == 0);
    });
}

#[test]
fn s09_3_r1_r2_r3_r4_the_manifest_names_every_counter_that_is_published() {
    let elements = manifest::read("xdppcw.man");
    let provider = elements.iter().find(|e| e.name == "provider").unwrap();
    let guid = "{f0268542-135c-418e-8768-281d953df6ee}";
    assert_eq!(provider.get("providerGuid"), guid);
    let mut elements = elements
        .iter()
        .filter(|e| ["counterSet", "counter"].contains(&e.name.as_str()))
        .peekable();
    let sets = [
        (&counters::RX, "{a79a2e4c-c5f6-4311-bb7b-67109984651f}"),
        (
            &counters::GENERIC_RX,
            "{10672701-093b-4b91-8b76-8f53afd07cd0}",
        ),
        (&counters::TX, "{05947256-79cd-4393-b54c-a65be0963294}"),
        (
            &counters::GENERIC_TX,
            "{48b1dee9-6603-4a83-b20d-435fa421a5d7}",
        ),
    ];
    scenarios::scene(|s| {
        let _socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        for (set, guid) in sets {
            let found = elements.next().unwrap();
            assert_eq!((found.get("name"), found.get("guid")), (set.name, guid));
            assert_eq!(found.get("instances"), "multiple");
            for (id, name) in (1..).zip(set.counters) {
                let found = elements.next().unwrap();
                assert_eq!(found.get("name"), *name);
                assert_eq!(found.get("id"), format!("{id}"), "{name}");
            }
            assert!(elements.peek().is_none_or(|e| e.name == "counterSet"));
            // What the driver registers has as many.
            let instances = s.lab.counter_instances(set.name).unwrap();
            let bytes: usize = instances[0].blocks.iter().map(Vec::len).sum();
            assert_eq!(bytes, 8 * set.counters.len(), "{}", set.name);
        }
    });
}
