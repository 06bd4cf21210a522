//! The filter of generic mode: specification 06, sections 1 to 4, 9 and 11.

use std::time::Duration;

use nt_sim::FilterModule;
use scenarios::{
    Scene, Stage, client::Client, counters, frames, interface::Rss, matching, scene,
    scene::PARAMETERS, socket::Setup, status::*,
};
use xdp_abi::{HookId, offload::RssFlags, sockopt::Sockopt, xsk::XskError};

const OID_GEN_RECEIVE_SCALE_PARAMETERS: u32 = 0x0001_0204;
const OID_GEN_LINK_STATE: u32 = 0x0001_0207;
const OID_GEN_CURRENT_LOOKAHEAD: u32 = 0x0001_010F;
const NDIS_STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;
const NDIS_STATUS_FAILURE: i32 = 0xC000_0001_u32 as i32;

fn filter(s: &Scene<'_>) -> FilterModule {
    let filters = s.nic.filters();
    assert_eq!(filters.len(), 1, "{filters:?}");
    filters.into_iter().next().unwrap()
}

/// The paths, once they are as wanted: what a timer sets off takes some threads' time.
fn paths_in_time(s: &Scene<'_>, wanted: (bool, bool)) -> (bool, bool) {
    for _ in 0..500 {
        if paths(s) == wanted {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    paths(s)
}

/// Whether the filter sees receives and sends.
fn paths(s: &Scene<'_>) -> (bool, bool) {
    s.lab.settle().unwrap();
    let filter = filter(s);
    (filter.receives, filter.sends)
}

/// `NDIS_RECEIVE_SCALE_PARAMETERS`, revision 2, with a table of processors.
fn rss_parameters(flags: u16, hash_information: u32, table: &[u8]) -> Vec<u8> {
    let base = 0x2C_u32;
    let mut bytes = vec![0x89, 2, 0x28, 0];
    bytes.extend(flags.to_le_bytes());
    bytes.extend([0; 2]);
    bytes.extend(hash_information.to_le_bytes());
    bytes.extend((table.len() as u32 * 4).to_le_bytes());
    bytes.extend(base.to_le_bytes());
    bytes.extend(40_u32.to_le_bytes());
    bytes.extend((base + table.len() as u32 * 4).to_le_bytes());
    bytes.resize(base as usize, 0);
    bytes.extend(table.iter().flat_map(|number| [0, 0, *number, 0]));
    bytes.extend((0..40).map(|n| (n * 37 + 11) as u8));
    bytes
}

/// Toeplitz over TCP, UDP and plain IPv4.
const HASH: u32 = 1 | 0x100 | 0x200 | 0x4000;

#[test]
fn s06_1_2_s06_1_3_each_adapter_is_an_interface_by_its_index() {
    scene(|s| {
        let other = s.lab.nic("eth1").create().unwrap();
        s.lab.settle().unwrap();
        assert_ne!(other.if_index(), s.nic.if_index());
        let _dropping = s
            .app
            .program(&other)
            .rule(matching::all().drop())
            .create()
            .unwrap();
        s.arrive(frames::numbered(1, 60));
        other.wire().send(frames::numbered(2, 60)).unwrap();
        assert_eq!(s.passed().len(), 1);
        assert!(other.stack().try_receive().unwrap().is_none());
        other.unplug().unwrap();
    });
}

#[test]
fn s06_1_5_s06_11_1_an_adapter_leaves_while_programs_do_nothing() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _interface = s.app.interface(s.nic.if_index()).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        let _looking = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .rule(matching::all().pass())
            .create()
            .unwrap();
        socket.fill_all();
        s.arrive(frames::numbered(1, 60));
        s.unplug();
        let error = socket.xsk.error(Sockopt::RX_ERROR);
        assert_eq!(error, XskError::INTERFACE_DETACH);
        let opened = s.app.interface(s.nic.if_index()).err();
        assert_eq!(opened, Some(NOT_FOUND));
    });
}

#[test]
fn s06_13_r9_a_reset_with_bound_objects_ends() {
    scene(|s| {
        for _ in 0..3 {
            let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = s.attach(matching::all().redirect(&socket.xsk));
            s.nic.reset().unwrap();
            s.lab.settle().unwrap();
            s.arrive(frames::numbered(1, 60));
            assert_eq!(s.passed().len(), 1);
        }
    });
}

#[test]
fn s06_3_1_without_users_the_filter_is_bypassed() {
    scene(|s| assert_eq!(paths(s), (false, false)));
}

#[test]
fn s06_3_1_r1_s06_3_2_a_program_needs_both_paths() {
    for hook in [HookId::RX_INSPECT, HookId::TX_INSPECT] {
        scene(|s| {
            let restarts = s.nic.restarts();
            let _program = s.app.program(s.nic).hook(hook).create().unwrap();
            let filter = filter(s);
            assert!(filter.receives && filter.sends, "already when it returns");
            assert!(s.nic.restarts() > restarts);
        });
    }
}

#[test]
fn s06_3_1_r2_r3_a_transmit_queue_needs_its_own_path() {
    scene(|s| {
        let _sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        assert_eq!(paths(s), (false, true));
    });
    scene(|s| {
        let setup = Setup::tx().tx_hook(HookId::RX_INJECT);
        let _sender = s.app.socket(s.nic, setup).unwrap();
        assert_eq!(paths(s), (true, false));
    });
}

#[test]
fn s06_3_2_nothing_goes_out_before_the_filter_is_where_it_comes_back() {
    for seed in 0..20 {
        Stage::new().seed(seed).play(|s| {
            // The filter sees what is received; what is sent goes round it until it is restarted for the program.
            let setup = Setup::tx().tx_hook(HookId::RX_INJECT);
            let _sender = s.app.socket(s.nic, setup).unwrap();
            assert_eq!(paths(s), (true, false));
            let reflect = || drop(s.attach(matching::all().l2fwd()));
            let arrive = || (0..30).for_each(|n| s.arrive(frames::numbered(n, 60)));
            s.side_by_side(&[&reflect, &arrive]);
        });
        Stage::new().seed(seed).play(|s| {
            let _sender = s.app.socket(s.nic, Setup::tx()).unwrap();
            assert_eq!(paths(s), (false, true));
            let reflect = || {
                let program = s.app.program(s.nic).hook(HookId::TX_INSPECT);
                drop(program.rule(matching::all().l2fwd()).create().unwrap());
            };
            let send = |n| s.nic.stack().send(frames::numbered(n, 60)).unwrap();
            s.side_by_side(&[&reflect, &|| (0..30).for_each(send)]);
        });
    }
}

#[test]
fn s06_3_1_r4_s08_4_5_receive_side_scaling_needs_the_receive_path() {
    Stage::new().queues(2).play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(
            paths(s),
            (false, false),
            "an open handle alone needs nothing"
        );
        let rss = Rss {
            flags: RssFlags::SET_INDIRECTION_TABLE,
            table: vec![1, 0],
            ..Rss::default()
        };
        interface.set_rss(&rss).unwrap();
        assert_eq!(paths(s), (true, false));
    });
}

#[test]
fn s06_3_1_a_socket_that_only_receives_needs_no_path_before_its_program() {
    scene(|s| {
        let _socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        assert_eq!(paths(s), (false, false));
    });
}

#[test]
fn s06_3_3_s06_13_r6_s03_5_4_s01_7_idle_paths_stay_for_a_while() {
    for (setting, seconds) in [(None, 300), (Some(20), 20)] {
        let mut stage = Stage::new().virtual_clock();
        if let Some(value) = setting {
            stage = stage.registry("GenericDelayDetachTimeoutSec", value);
        }
        stage.play(|s| {
            let create = || s.app.program(s.nic).create().unwrap();
            create().close();
            assert_eq!(paths(s), (true, true));
            s.lab.advance(Duration::from_secs(seconds - 2)).unwrap();
            assert_eq!(paths(s), (true, true));
            let restarts = s.nic.restarts();
            let next = create();
            assert_eq!(s.nic.restarts(), restarts, "a new user cancels, no restart");
            s.lab.advance(Duration::from_secs(seconds * 2)).unwrap();
            assert_eq!(paths(s), (true, true), "a user keeps them");
            next.close();
            s.lab.advance(Duration::from_secs(seconds - 2)).unwrap();
            assert_eq!(paths(s), (true, true));
            s.lab.advance(Duration::from_secs(4)).unwrap();
            assert_eq!(paths_in_time(s, (false, false)), (false, false));
            let again = create();
            s.arrive(frames::numbered(1, 60));
            assert_eq!(s.passed().len(), 1);
            again.close();
        });
    }
}

#[test]
fn s06_3_3_time_asleep_does_not_count_and_idle_paths_go_all_the_same() {
    Stage::new().virtual_clock().play(|s| {
        s.app.program(s.nic).create().unwrap().close();
        s.lab.advance(Duration::from_secs(100)).unwrap();
        s.lab.sleep(Duration::from_secs(1000)).unwrap();
        let mut awake = 100;
        while paths(s) != (false, false) {
            assert!(awake < 2000, "they stay for ever");
            s.lab.advance(Duration::from_secs(1)).unwrap();
            awake += 1;
            // What the timer sets off runs on a thread of its own.
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(awake >= 299, "gone after {awake} s");
    });
}

#[test]
fn s01_7_a_setting_changed_later_takes_effect() {
    Stage::new().virtual_clock().play(|s| {
        s.lab
            .set_registry_dword(PARAMETERS, "GenericDelayDetachTimeoutSec", 5)
            .unwrap();
        s.lab.settle().unwrap();
        s.app.program(s.nic).create().unwrap().close();
        s.lab.advance(Duration::from_secs(7)).unwrap();
        assert_eq!(paths_in_time(s, (false, false)), (false, false));
    });
}

#[test]
fn s06_3_3_a_pending_removal_blocks_neither_detach_nor_unload() {
    scene(|s| {
        s.app.program(s.nic).create().unwrap().close();
        assert_eq!(paths(s), (true, true));
        s.unplug();
    });
    scene(|s| {
        s.app.socket(s.nic, Setup::rx_tx()).unwrap().xsk.close();
    });
}

#[test]
fn s06_4_1_without_rss_there_is_one_queue() {
    for stage in [Stage::new(), Stage::new().cpus(4)] {
        stage.play(|s| {
            assert!(s.app.program(s.nic).queue(0).create().is_ok());
            let refused = s.app.program(s.nic).queue(1).create();
            assert_eq!(refused.err(), Some(INVALID_PARAMETER));
        });
    }
}

/// Ports whose frames reach the stack, with the processor that delivered each.
fn delivered(s: &Scene<'_>) -> Vec<(u16, u32)> {
    let mut result = Vec::new();
    for port in 0..48 {
        s.arrive(frames::udp4(port, b"spread"));
        if let Some(frame) = s.nic.stack().try_receive().unwrap() {
            result.push((port, frame.info.processor));
        }
    }
    result
}

/// Checks that the queues of the interface are the processors in `order`.
fn expect_queues(s: &Scene<'_>, app: &Client<'_>, order: &[u32]) {
    let all = delivered(s);
    assert_eq!(all.len(), 48);
    for (queue, processor) in order.iter().enumerate() {
        let program = app
            .program(s.nic)
            .queue(queue as u32)
            .rule(matching::all().drop())
            .create()
            .unwrap();
        let expected: Vec<_> = all.iter().copied().filter(|d| d.1 != *processor).collect();
        assert!(expected.len() < 48, "processor {processor} has frames");
        assert_eq!(delivered(s), expected, "queue {queue}");
        program.close();
    }
}

#[test]
fn s06_4_2_s06_4_3_queues_are_processors_in_the_order_of_the_table() {
    Stage::new().cpus(4).queues(4).play(|s| {
        expect_queues(s, &s.app, &[0, 1, 2, 3]);
        let table: Vec<u8> = [2, 0, 3, 1].repeat(16);
        let status = s
            .nic
            .stack()
            .set(
                OID_GEN_RECEIVE_SCALE_PARAMETERS,
                &rss_parameters(0, HASH, &table),
            )
            .unwrap();
        assert_eq!(status, 0);
        expect_queues(s, &s.app, &[2, 0, 3, 1]);
    });
}

#[test]
fn s06_4_2_queues_without_a_processor_see_nothing() {
    Stage::new().cpus(4).queues(4).play(|s| {
        // The stack sets its own table when the filter is inserted, so that comes first.
        let _inserted = s.app.program(s.nic).create().unwrap();
        let table = rss_parameters(0, HASH, &[3, 1, 3, 1]);
        let set = s.nic.stack().set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &table);
        assert_eq!(set.unwrap(), 0);
        for queue in 2..4 {
            let program = s
                .app
                .program(s.nic)
                .queue(queue)
                .rule(matching::all().drop())
                .create()
                .unwrap();
            assert_eq!(delivered(s).len(), 48, "queue {queue}");
            program.close();
        }
        expect_queues(s, &s.app, &[3, 1]);
    });
}

#[test]
fn s06_4_5_objects_stay_with_their_queue_when_the_table_changes() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let socket = s.app.socket(s.nic, Setup::rx().queue(1)).unwrap();
        let _program = s
            .app
            .program(s.nic)
            .queue(1)
            .rule(matching::all().redirect(&socket.xsk))
            .create()
            .unwrap();
        let before = delivered(s);
        assert!(before.iter().all(|d| d.1 == 0) && !before.is_empty());
        let table = rss_parameters(0, HASH, &[1, 0]);
        let set = s.nic.stack().set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &table);
        assert_eq!(set.unwrap(), 0);
        let after = delivered(s);
        assert!(after.iter().all(|d| d.1 == 1) && !after.is_empty());
        socket.fill_all();
        delivered(s);
        assert!(!socket.received().is_empty());
    });
}

#[test]
fn s06_4_3_frames_without_a_hash_belong_to_the_processor_they_come_on() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let table = rss_parameters(0, HASH, &[1, 0]);
        let set = s.nic.stack().set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &table);
        assert_eq!(set.unwrap(), 0);
        s.arrive(frames::numbered(1, 60));
        let frame = s.nic.stack().receive().unwrap();
        let queue = [1, 0]
            .iter()
            .position(|processor| *processor == frame.info.processor)
            .unwrap();
        let _program = s
            .app
            .program(s.nic)
            .queue(queue as u32)
            .rule(matching::all().drop())
            .create()
            .unwrap();
        s.arrive(frames::numbered(2, 60));
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s06_9_r1_settings_of_rss_are_validated_and_mirrored() {
    Stage::new().cpus(4).queues(4).play(|s| {
        let stack = s.nic.stack();
        let set = |bytes: &[u8]| stack.set(OID_GEN_RECEIVE_SCALE_PARAMETERS, bytes).unwrap();
        let good = rss_parameters(0, HASH, &[0, 1, 2, 3]);
        s.nic.take_oids();
        let mut revision = good.clone();
        revision[1] = 1;
        let mut kind = good.clone();
        kind[0] = 0x80;
        for bad in [&revision[..], &kind[..], &good[..10], &[]] {
            assert_eq!(set(bad), NDIS_STATUS_INVALID_PARAMETER);
        }
        let reached = s.nic.take_oids();
        assert!(reached.is_empty(), "none reached the miniport: {reached:?}");
        assert_eq!(set(&good), 0);
        let reached = s.nic.take_oids();
        assert_eq!(reached.len(), 1);
        assert_eq!(reached[0].data, good, "passed unchanged");
    });
}

#[test]
fn s06_9_r1_disabled_rss_is_one_queue_and_an_unchanged_table_stays() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let _inserted = s.app.program(s.nic).create().unwrap();
        const ITABLE_UNCHANGED: u16 = 0x4;
        const DISABLE: u16 = 0x10;
        let set = |bytes: &[u8]| {
            let stack = s.nic.stack();
            assert_eq!(
                stack.set(OID_GEN_RECEIVE_SCALE_PARAMETERS, bytes).unwrap(),
                0
            );
        };
        set(&rss_parameters(0, HASH, &[1, 0]));
        set(&rss_parameters(ITABLE_UNCHANGED, HASH, &[]));
        expect_queues(s, &s.app, &[1, 0]);
        set(&rss_parameters(DISABLE, 0, &[]));
        let _program = s
            .app
            .program(s.nic)
            .queue(0)
            .rule(matching::all().drop())
            .create()
            .unwrap();
        assert!(delivered(s).is_empty(), "everything is queue 0");
    });
}

#[test]
fn s06_9_r2_queries_of_rss_are_answered_from_the_upper_edge() {
    Stage::new().cpus(2).queues(2).play(|s| {
        let stack = s.nic.stack();
        let parameters = rss_parameters(0, HASH, &[1, 0, 1, 0]);
        stack
            .set(OID_GEN_RECEIVE_SCALE_PARAMETERS, &parameters)
            .unwrap();
        s.nic.take_oids();
        let answer = stack.query(OID_GEN_RECEIVE_SCALE_PARAMETERS).unwrap();
        let answer = answer.unwrap();
        assert!(s.nic.take_oids().is_empty());
        assert_eq!((answer[0], answer[1]), (0x89, 2));
        let word = |at: usize| u32::from_le_bytes(answer[at..at + 4].try_into().unwrap());
        let table = word(0x10) as usize;
        let table: Vec<_> = answer[table..table + 16].chunks(4).map(|e| e[2]).collect();
        assert_eq!(table, [1, 0, 1, 0]);
        assert_eq!(word(8), HASH);
    });
    Stage::new().queues(2).without_rss().play(|s| {
        let answer = s.nic.stack().query(OID_GEN_RECEIVE_SCALE_PARAMETERS);
        let status = answer.unwrap();
        assert!(
            status.is_ok() || status == Err(NDIS_STATUS_FAILURE),
            "{status:?}"
        );
    });
}

#[test]
fn s06_9_r3_s06_9_r4_s06_2_1_s06_13_r3_other_requests_pass_both_ways() {
    scene(|s| {
        let stack = s.nic.stack();
        for _ in 0..2 {
            s.nic.take_oids();
            assert!(stack.query(OID_GEN_LINK_STATE).unwrap().is_ok());
            assert_eq!(
                stack
                    .set(OID_GEN_CURRENT_LOOKAHEAD, &[100, 0, 0, 0])
                    .unwrap(),
                0
            );
            let answer = stack.query(OID_GEN_CURRENT_LOOKAHEAD).unwrap();
            assert_eq!(answer.unwrap(), [100, 0, 0, 0]);
            s.nic.answer_oid(0xFF12_3456, |input| {
                assert!(input.is_empty());
                Ok(vec![1, 2, 3, 4, 5])
            });
            let answer = stack.query(0xFF12_3456).unwrap();
            assert_eq!(answer.unwrap(), [1, 2, 3, 4, 5]);
            s.nic
                .answer_oid(0xFF12_3457, |_| Err(0xC001_0015_u32 as i32));
            let answer = stack.query(0xFF12_3457).unwrap();
            assert_eq!(answer, Err(0xC001_0015_u32 as i32));
            assert!(stack.query_direct(OID_GEN_LINK_STATE).unwrap().is_err());
            assert!(
                stack
                    .query_synchronous(OID_GEN_LINK_STATE)
                    .unwrap()
                    .is_err()
            );
            let seen = s.nic.take_oids();
            assert_eq!(seen.len(), 7, "{seen:?}");
            assert_eq!(seen.iter().filter(|oid| oid.direct).count(), 1);
            // Once more with the filter's handlers in place.
            let program = s.app.program(s.nic).create().unwrap();
            s.lab.settle().unwrap();
            program.close();
        }
    });
}

#[test]
fn s06_9_r7_statuses_pass_up() {
    scene(|s| {
        s.nic.stack().take_statuses();
        s.nic.indicate_status(0x4001_0099, &[1, 2, 3]).unwrap();
        s.nic.set_link(false).unwrap();
        s.nic.set_link(true).unwrap();
        s.lab.settle().unwrap();
        let seen = s.nic.stack().take_statuses();
        assert_eq!(seen.len(), 3, "{seen:x?}");
        assert_eq!(seen[0], 0x4001_0099);
    });
}

#[test]
fn s06_2_r2_an_unchanged_mtu_keeps_the_transmit_queues() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        for n in 0..3 {
            s.nic.pause().unwrap();
            s.nic.restart().unwrap();
            let frame = frames::numbered(n, 60);
            socket.send(n, &frame);
            assert_eq!(s.nic.wire().receive().unwrap().data, frame);
            socket.await_completions(1);
        }
        assert_eq!(socket.xsk.error(Sockopt::TX_ERROR), XskError::NO_ERROR);
    });
}

#[test]
fn s06_2_r3_a_pause_waits_for_what_is_in_flight() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::tx()).unwrap();
        let _program = s.attach(matching::all().l2fwd());
        for round in 0..5 {
            s.nic.wire().hold();
            socket.send(1, &frames::numbered(round, 60));
            s.arrive(frames::numbered(round, 70));
            s.lab.settle().unwrap();
            s.nic.pause().unwrap();
            s.nic.restart().unwrap();
            s.nic.wire().release().unwrap();
            socket.await_completions(1);
        }
    });
}

#[test]
fn s06_5_1_a_queue_without_a_program_passes_everything_in_order() {
    Stage::new().queues(2).play(|s| {
        let _elsewhere = s
            .app
            .program(s.nic)
            .queue(1)
            .rule(matching::all().drop())
            .create()
            .unwrap();
        let sent: Vec<_> = (0..100).map(|n| frames::numbered(n, 60)).collect();
        let as_frames = sent.iter().map(|f| f.clone().into());
        s.nic.wire().send_all(as_frames).unwrap();
        assert_eq!(s.passed(), sent);
    });
}

#[test]
fn s06_11_2_the_driver_unloads_from_under_its_objects() {
    // Open handles keep the image, not the filter: every adapter is detached first.
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        s.unplug();
        let read = socket.xsk.ring_info();
        assert!(read.is_ok());
    });
}

#[test]
fn s09_3_1_instances_exist_while_their_queue_does() {
    Stage::new().queues(2).play(|s| {
        let index = s.nic.if_index();
        assert!(counters::RX.instances(s.lab).is_empty());
        let program = s.app.program(s.nic).queue(1).create().unwrap();
        let looking = s
            .app
            .program(s.nic)
            .hook(HookId::TX_INSPECT)
            .create()
            .unwrap();
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        let setup = Setup::tx().tx_hook(HookId::RX_INJECT).queue(1);
        let injector = s.app.socket(s.nic, setup).unwrap();
        let names = |set: counters::CounterSet| {
            let mut names = set.instances(s.lab);
            names.sort();
            names
        };
        let receive = [
            counters::instance(index, 0, "_tx"),
            counters::instance(index, 1, ""),
        ];
        assert_eq!(names(counters::RX), receive);
        assert_eq!(names(counters::GENERIC_RX), receive);
        let transmit = [
            counters::instance(index, 0, ""),
            counters::instance(index, 1, "_rx"),
        ];
        assert_eq!(names(counters::TX), transmit);
        assert_eq!(names(counters::GENERIC_TX), transmit);
        program.close();
        looking.close();
        sender.xsk.close();
        injector.xsk.close();
        for set in [
            counters::RX,
            counters::GENERIC_RX,
            counters::TX,
            counters::GENERIC_TX,
        ] {
            assert!(names(set).is_empty(), "{}", set.name);
        }
    });
}
