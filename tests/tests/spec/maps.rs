//! Maps of sockets: specification 04.

use scenarios::{
    Stage,
    client::{FILE_OPEN, FULL_ACCESS, GENERIC_READ},
    counters, failures, frames,
    map::SLOTS,
    matching, scene,
    socket::Setup,
    status::*,
};
use xdp_abi::{
    ioctl::map as ioctl,
    map::{MapOpen, MapType},
    open::ObjectType,
};
use zerocopy::IntoBytes;

#[test]
fn s04_1_there_is_one_type_of_map() {
    scene(|s| {
        for number in [1, 2, u32::MAX] {
            let open = MapOpen {
                map_type: MapType(number),
            };
            let opened = s.app.open_object(ObjectType::MAP, open.as_bytes());
            assert_eq!(opened.err(), Some(INVALID_PARAMETER), "type {number}");
        }
        assert!(s.app.map().is_ok());
    });
}

#[test]
fn s04_2_s01_2_7_maps_are_created_with_whole_parameters() {
    scene(|s| {
        let open = MapOpen::default();
        for length in 0..4 {
            let opened = s
                .app
                .open_object(ObjectType::MAP, &open.as_bytes()[..length]);
            assert_eq!(opened.err(), Some(INVALID_PARAMETER), "{length} bytes");
        }
        let opened = s
            .app
            .open_object_as(ObjectType::MAP, open.as_bytes(), FILE_OPEN, FULL_ACCESS);
        assert_eq!(opened.err(), Some(INVALID_PARAMETER), "disposition open");
    });
}

#[test]
fn s04_2_s01_2_8_a_map_without_memory_is_refused() {
    scene(|s| {
        let (refused, last) = failures::each_refused(s.lab, || s.app.map().map(|_| ()));
        assert!(!refused.is_empty());
        assert!(
            refused.iter().all(|status| *status == NO_MEMORY),
            "{refused:?}"
        );
        assert_eq!(last, Ok(()));
    });
}

#[test]
fn s04_3_s04_r3_keys_are_0_to_127() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let socket = s.app.xsk().unwrap();
        for key in 0..SLOTS {
            assert_eq!(map.insert(key, &socket), Ok(()), "{key}");
            assert_eq!(map.delete(key), Ok(()), "{key}");
        }
        for key in [SLOTS, 129, 0x8000_0000, u32::MAX] {
            assert_eq!(map.insert(key, &socket), Err(INVALID_PARAMETER), "{key}");
            assert_eq!(map.delete(key), Err(INVALID_PARAMETER), "{key}");
        }
    });
}

#[test]
fn s04_r1_short_requests_are_refused() {
    scene(|s| {
        let map = s.app.map().unwrap();
        for length in 0..16 {
            let refused = map.request(ioctl::INSERT, &[0; 16][..length]);
            assert_eq!(refused, Err(INVALID_PARAMETER), "insert, {length} bytes");
        }
        for length in 0..8 {
            let refused = map.request(ioctl::DELETE, &[0; 8][..length]);
            assert_eq!(refused, Err(INVALID_PARAMETER), "delete, {length} bytes");
        }
    });
}

#[test]
fn s04_r2_unreadable_keys_and_values_raise() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let socket = s.app.xsk().unwrap();
        let key = s.app.place(&[3, 0, 0, 0, 0, 0, 0, 0]).address() as u64;
        let value = s
            .app
            .place(&socket.handle().value().to_le_bytes())
            .address() as u64;
        for nowhere in [0, 0x7000, 0xFFFF_8000_0000_0000] {
            let expected = Err(ACCESS_VIOLATION);
            assert_eq!(map.insert_from(nowhere, value), expected, "{nowhere:#x}");
            assert_eq!(map.insert_from(key, nowhere), expected, "{nowhere:#x}");
            assert_eq!(map.delete_from(nowhere), expected, "{nowhere:#x}");
        }
        let odd = Err(DATATYPE_MISALIGNMENT);
        assert_eq!(map.insert_from(key + 1, value), odd);
        assert_eq!(map.insert_from(key, value + 1), odd);
        assert_eq!(map.delete_from(key + 1), odd);
        assert_eq!(map.insert_from(key, value), Ok(()));
    });
}

#[test]
fn s04_r4_s01_5_values_are_handles_of_sockets_with_write_access() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let other = s.app.map().unwrap();
        let program = s.app.program(s.nic).create().unwrap();
        let inert = s.app.open(xdp_abi::open::DEVICE_NAME).open().unwrap();
        for (what, handle) in [
            ("nothing", 0xABC0),
            ("null", 0),
            ("a map", other.handle().value()),
            ("the map itself", map.handle().value()),
            ("a program", program.handle().value()),
            ("a handle without an object", inert.value()),
        ] {
            let refused = map.insert_handle(0, handle as u64);
            assert_eq!(refused, Err(INVALID_HANDLE), "{what}");
        }
        let socket = s.app.xsk().unwrap();
        let weak = socket.handle().duplicate(&s.app, GENERIC_READ).unwrap();
        let refused = map.insert_handle(0, weak.value() as u64);
        assert_eq!(refused, Err(ACCESS_DENIED));
    });
}

#[test]
fn s04_r5_unknown_requests_are_not_supported() {
    scene(|s| {
        let map = s.app.map().unwrap();
        for code in [0x128008, 0x12800C, 0x128010, 0x128013, 0x12FFFC] {
            let refused = map.request(code, &[0; 32]);
            assert_eq!(refused, Err(NOT_SUPPORTED), "{code:#x}");
        }
    });
}

#[test]
fn s04_4_s03_5_2_sockets_in_any_state_are_taken_and_get_nothing_until_active() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let _program = s.attach(matching::all().redirect_map(&map));
        let unbound = s.app.xsk().unwrap();
        map.insert(0, &unbound).unwrap();
        s.arrive(frames::numbered(1, 60));
        let bound = s.app.idle_socket(s.nic, Setup::rx()).unwrap();
        bound.fill_all();
        map.insert(0, &bound.xsk).unwrap();
        s.arrive(frames::numbered(2, 60));
        assert!(bound.received().is_empty());
        bound.xsk.activate().unwrap();
        s.arrive(frames::numbered(3, 60));
        assert_eq!(bound.received_bytes(), [frames::numbered(3, 60)]);
        let sender = s.app.socket(s.nic, Setup::tx()).unwrap();
        map.insert(0, &sender.xsk).unwrap();
        s.arrive(frames::numbered(4, 60));
        assert!(s.passed().is_empty(), "every one of them was taken");
        assert_eq!(bound.xsk.statistics().rx_dropped, 0);
    });
}

#[test]
fn s04_4_s04_9_a_socket_of_another_queue_gets_nothing() {
    Stage::new().queues(2).play(|s| {
        let map = s.app.map().unwrap();
        let socket = s.receiver(Setup::rx().queue(1));
        map.insert(0, &socket.xsk).unwrap();
        let _program = s
            .app
            .program(s.nic)
            .queue(0)
            .rule(matching::all().redirect_map(&map))
            .create()
            .unwrap();
        // Frames without IP go to queue 0.
        s.arrive(frames::numbered(1, 60));
        assert!(socket.received().is_empty());
        assert!(s.passed().is_empty());
        assert_eq!(
            socket.xsk.statistics().rx_dropped,
            0,
            "counted nowhere of its own"
        );
    });
}

#[test]
fn s04_5_a_socket_may_be_in_many_slots_and_maps() {
    scene(|s| {
        let maps = [s.app.map().unwrap(), s.app.map().unwrap()];
        let socket = s.receiver(Setup::rx());
        for map in &maps {
            for key in [0, 1, 127] {
                map.insert(key, &socket.xsk).unwrap();
            }
        }
        let _program = s
            .app
            .program(s.nic)
            .rule(matching::udp_dst(1).redirect_map(&maps[0]))
            .rule(matching::udp_dst(2).redirect_map(&maps[1]))
            .create()
            .unwrap();
        s.arrive(frames::udp4(1, b""));
        s.arrive(frames::udp4(2, b""));
        assert_eq!(socket.received().len(), 2);
        maps[0].delete(1).unwrap();
        s.arrive(frames::udp4(1, b""));
        assert_eq!(socket.received().len(), 1, "the other slots stay");
    });
}

#[test]
fn s04_6_an_entry_outlives_the_handle_of_its_socket_and_delivers_nothing() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let socket = s.app.socket(s.nic, Setup::rx()).unwrap();
        map.insert(0, &socket.xsk).unwrap();
        let _program = s.attach(matching::all().redirect_map(&map));
        socket.xsk.close();
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        let next = s.receiver(Setup::rx());
        map.insert(0, &next.xsk).unwrap();
        s.arrive(frames::numbered(2, 60));
        assert_eq!(next.received().len(), 1);
    });
}

#[test]
fn s04_7_s01_6_r3_a_map_lives_on_while_a_program_uses_it() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let socket = s.receiver(Setup::rx());
        map.insert(0, &socket.xsk).unwrap();
        let program = s.attach(matching::all().redirect_map(&map));
        map.close();
        s.arrive(frames::numbered(1, 60));
        assert_eq!(socket.received().len(), 1);
        program.close();
        s.arrive(frames::numbered(2, 60));
        assert_eq!(s.passed().len(), 1);
        // The socket's memory can go now; the scene's end looks.
    });
}

#[test]
fn s04_8_changes_are_seen_by_the_next_frame() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let first = s.app.socket(s.nic, Setup::rx()).unwrap();
        let second = s.app.socket(s.nic, Setup::rx()).unwrap();
        first.fill_all();
        second.fill_all();
        let _program = s.attach(matching::all().redirect_map(&map));
        for round in 0..5 {
            map.insert(0, &first.xsk).unwrap();
            s.arrive(frames::numbered(round, 60));
            map.insert(0, &second.xsk).unwrap();
            s.arrive(frames::numbered(round, 61));
            map.delete(0).unwrap();
            s.arrive(frames::numbered(round, 62));
            assert_eq!(first.received_bytes(), [frames::numbered(round, 60)]);
            assert_eq!(second.received_bytes(), [frames::numbered(round, 61)]);
        }
        assert!(s.passed().is_empty());
    });
}

#[test]
fn s04_8_slots_change_under_traffic() {
    for seed in 0..30 {
        Stage::new().seed(seed).play(|s| {
            let map = s.app.map().unwrap();
            let _program = s.attach(matching::all().redirect_map(&map));
            s.side_by_side(&[
                &|| {
                    for n in 0..12 {
                        s.arrive(frames::numbered(n, 60));
                    }
                },
                &|| {
                    for _ in 0..3 {
                        let socket = s.receiver(Setup::rx());
                        map.insert(0, &socket.xsk).unwrap();
                        map.delete(0).unwrap();
                        socket.xsk.close();
                    }
                },
            ]);
            assert!(s.passed().is_empty());
        });
    }
}

#[test]
fn s04_9_s03_6_1_the_key_is_the_queue_and_an_empty_slot_drops() {
    Stage::new().queues(2).play(|s| {
        let map = s.app.map().unwrap();
        let sockets: Vec<_> = (0..2)
            .map(|queue| s.app.socket(s.nic, Setup::rx().queue(queue)).unwrap())
            .collect();
        for (queue, socket) in sockets.iter().enumerate() {
            socket.fill_all();
            map.insert(queue as u32, &socket.xsk).unwrap();
        }
        let _program = s
            .app
            .program(s.nic)
            .all_queues()
            .rule(matching::all().redirect_map(&map))
            .create()
            .unwrap();
        for port in 0..14 {
            s.arrive(frames::udp4(port, b"anywhere"));
        }
        let counts: Vec<_> = sockets
            .iter()
            .map(|socket| socket.received().len())
            .collect();
        assert_eq!(counts.iter().sum::<usize>(), 14, "{counts:?}");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        map.delete(0).unwrap();
        s.arrive(frames::numbered(1, 60));
        assert!(s.passed().is_empty());
        let dropped = counters::RX
            .of_queue(s.lab, s.nic.if_index(), 0)
            .get("Inspection Frames Dropped");
        assert_eq!(dropped, 1);
    });
}

#[test]
fn s04_insert_delete_an_empty_slot_is_deleted_and_a_full_one_replaced() {
    scene(|s| {
        let map = s.app.map().unwrap();
        let socket = s.app.xsk().unwrap();
        assert_eq!(map.delete(5), Ok(()));
        for _ in 0..3 {
            assert_eq!(map.insert(5, &socket), Ok(()));
        }
        assert_eq!(map.delete(5), Ok(()));
        assert_eq!(map.delete(5), Ok(()));
    });
}

#[test]
fn s10_3_r13_cycles_of_references_are_reclaimed() {
    scene(|s| {
        // A program holds a map that holds the socket that the program redirects to.
        let map = s.app.map().unwrap();
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        map.insert(0, &socket.xsk).unwrap();
        let program = s
            .app
            .program(s.nic)
            .rule(matching::udp().redirect(&socket.xsk))
            .rule(matching::all().redirect_map(&map))
            .create()
            .unwrap();
        map.close();
        socket.xsk.close();
        s.arrive(frames::numbered(1, 60));
        program.close();
    });
}
