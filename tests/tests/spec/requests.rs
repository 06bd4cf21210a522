//! Objects and requests: specification 01, sections 2 to 6 and 11.

use nt_sim::NtStatus;
use scenarios::{
    EA,
    client::Client,
    counters, frames, matching, open_value, scene,
    socket::Setup,
    status::{answer, *},
};
use xdp_abi::{
    ioctl::xsk as ioctl,
    open::{DEVICE_NAME, MAP_DEVICE_NAME, ObjectType, OpenPacket, XSK_DEVICE_NAME},
    xsk::{BindFlags, NotifyFlags, NotifyIn},
};
use zerocopy::IntoBytes;

#[test]
fn s01_2_4_c_only_one_attribute_is_taken() {
    scene(|s| {
        let value = open_value(ObjectType::XSK, &[]);
        let entry = |next: u32| {
            let mut ea = next.to_le_bytes().to_vec();
            ea.extend([0, EA.len() as u8]);
            ea.extend((value.len() as u16).to_le_bytes());
            ea.extend(EA.as_bytes());
            ea.push(0);
            ea.extend(&value);
            ea
        };
        let mut two = entry(40);
        two.resize(40, 0);
        two.extend(entry(0));
        let opened = answer(s.app.open(DEVICE_NAME).disposition(2).raw_ea(two).open());
        assert_eq!(opened.err(), Some(INVALID_PARAMETER));
        let one = answer(
            s.app
                .open(DEVICE_NAME)
                .disposition(2)
                .raw_ea(entry(0))
                .open(),
        );
        assert!(one.is_ok());
    });
}

#[test]
fn s01_2_3_s01_2_6_versions_of_the_open_packet_are_not_checked() {
    scene(|s| {
        for (major, minor, api) in [(0, 0, 0), (9, 9, 9), (u16::MAX, u16::MAX, u32::MAX)] {
            let packet = OpenPacket {
                major_version: major,
                minor_version: minor,
                api_version: api,
                object_type: ObjectType::XSK,
            };
            let opened = answer(s.app.open(XSK_DEVICE_NAME).ea(EA, packet.as_bytes()).open());
            assert!(opened.is_ok(), "{packet:?}");
        }
    });
}

#[test]
fn s01_2_4_h_s01_8_8_every_type_opens_through_both_kinds_of_devices() {
    scene(|s| {
        for client in [s.client("new"), s.client("old").through_common_device()] {
            let socket = client.socket(s.nic, Setup::rx()).unwrap();
            let map = client.map().unwrap();
            map.insert(0, &socket.xsk).unwrap();
            let rule = matching::all().redirect_map(&map);
            let _program = client.program(s.nic).rule(rule).create().unwrap();
            let _interface = client.interface(s.nic.if_index()).unwrap();
            socket.fill_all();
            s.arrive(frames::numbered(1, 60));
            assert_eq!(socket.received().len(), 1);
        }
    });
}

#[test]
fn s01_11_4_objects_of_both_kinds_of_devices_work_together() {
    scene(|s| {
        let old = s.client("old").through_common_device();
        let socket = old.socket(s.nic, Setup::rx()).unwrap();
        let mine = socket.xsk.handle().duplicate(&s.app, 0xC010_0000).unwrap();
        let kind = xdp_abi::RedirectTargetType::XSK;
        let rule = matching::all().redirect_to(kind, mine.value() as u64);
        let _program = s.app.program(s.nic).rule(rule).create().unwrap();
        socket.fill_all();
        s.arrive(frames::numbered(1, 60));
        assert_eq!(socket.received().len(), 1);
    });
}

#[test]
fn s10_3_r16_s10_4_1_names_behind_a_device_and_garbage_attributes_are_refused_or_harmless() {
    scene(|s| {
        let user = s.lab.user("someone").unwrap();
        for suffix in [r"\", r"\x", r"\..\map", r"\ "] {
            for device in [DEVICE_NAME, XSK_DEVICE_NAME, MAP_DEVICE_NAME] {
                let path = format!("{device}{suffix}");
                let opened = answer(user.open(&path).open());
                assert!(
                    opened.is_err(),
                    "a name does not evade the descriptor: {path}"
                );
                let _ = answer(s.app.open(&path).open());
            }
        }
        let mut random = 7_u64;
        let mut next = move || {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(99);
            (random >> 33) as usize
        };
        for _ in 0..400 {
            let mut ea = vec![0, 0, 0, 0, 0, 16, 12 + (next() % 60) as u8, 0];
            ea.extend(EA.as_bytes());
            ea.push(0);
            ea.extend(open_value(ObjectType((next() % 6) as u32), &[]));
            ea.resize(8 + 17 + 12 + 64, next() as u8);
            for _ in 0..next() % 3 {
                let at = next() % ea.len();
                ea[at] = next() as u8;
            }
            ea.truncate(next() % (ea.len() + 1));
            // The I/O manager hands well-formed lists only to drivers; a broken one must still not hurt.
            let well_formed = ea.len() > 9
                && 9 + usize::from(ea[5]) + usize::from(u16::from_le_bytes([ea[6], ea[7]]))
                    <= ea.len()
                && ea[..4] == [0; 4];
            if well_formed {
                let _ = answer(s.app.open(DEVICE_NAME).disposition(2).raw_ea(ea).open());
            }
        }
    });
}

#[test]
fn s01_3_r4_s01_3_3_unknown_requests_are_not_supported() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let fresh = s.app.xsk().unwrap();
        for xsk in [&socket.xsk, &fresh] {
            for code in [0x128018, 0x12801C, 0x128020, 0x12FFFC, 0x128003, 0x12800F] {
                let output = xsk.request(code, &[0; 64], 64);
                assert_eq!(output.status, NOT_SUPPORTED, "{code:#x}");
                assert_eq!(output.information, 0, "{code:#x}");
            }
        }
    });
}

#[test]
fn s01_4_s10_3_r15_requests_need_write_access() {
    use scenarios::client::{FILE_CREATE, GENERIC_READ};
    scene(|s| {
        let xsk = s.app.xsk_as(GENERIC_READ).unwrap();
        for code in [
            ioctl::BIND,
            ioctl::ACTIVATE,
            ioctl::GET_SOCKOPT,
            ioctl::SET_SOCKOPT,
            ioctl::NOTIFY,
            ioctl::NOTIFY_ASYNC,
        ] {
            let output = xsk.request(code, &[0; 64], 64);
            assert_eq!(output.status, ACCESS_DENIED, "{code:#x}");
        }
        let map = s
            .app
            .open_object_as(ObjectType::MAP, &[0; 4], FILE_CREATE, GENERIC_READ)
            .unwrap();
        let status = answer(map.control_any(0x128000, &[0; 16], 0)).err();
        assert_eq!(status, Some(ACCESS_DENIED));
    });
}

fn as_packet(
    client: &Client<'_>,
    xsk: &scenarios::xsk::Xsk<'_>,
    code: u32,
    input: &[u8],
) -> NtStatus {
    let place = client.place(input);
    let range = (place.address(), input.len());
    let sent = xsk.handle().control_packet(code, range, (0, 0));
    match answer(sent) {
        Ok(pending) => pending.wait(None).unwrap().unwrap().status,
        Err(status) => status,
    }
}

#[test]
fn s01_4_1_s01_3_1_a_notification_as_a_packet_is_not_supported() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let input = NotifyIn {
            flags: NotifyFlags::POKE_TX,
            wait_timeout_milliseconds: 0,
        };
        let status = as_packet(&s.app, &socket.xsk, ioctl::NOTIFY, input.as_bytes());
        assert_eq!(status, NOT_SUPPORTED);
        let status = as_packet(&s.app, &socket.xsk, ioctl::NOTIFY_ASYNC, input.as_bytes());
        assert_eq!(status, SUCCESS);
    });
}

#[test]
fn s01_4_2_other_options_are_read_through_packets_too() {
    scene(|s| {
        let xsk = s.app.xsk().unwrap();
        let option = xdp_abi::sockopt::Sockopt::STATISTICS;
        let input = s.app.place(option.as_bytes());
        let output = s.app.alloc(32).unwrap();
        let ranges = ((input.address(), 4), (output.address(), 32));
        let sent = xsk
            .handle()
            .control_packet(ioctl::GET_SOCKOPT, ranges.0, ranges.1)
            .unwrap();
        let result = sent.wait(None).unwrap().unwrap();
        assert_eq!((result.status, result.information), (SUCCESS, 32));
    });
}

#[test]
fn s01_5_1_a_reference_to_an_object_does_not_keep_its_file() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let map = s.app.map().unwrap();
        map.insert(3, &socket.xsk).unwrap();
        let _program = s.attach(matching::all().redirect(&socket.xsk));
        let ring = socket.xsk.ring_info().unwrap().rx.ring.0 as usize;
        assert!(s.app.memory(ring, 192).is_ok());
        socket.xsk.close();
        assert!(
            s.app.memory(ring, 192).is_err(),
            "close unmapped the ring although a map and a rule refer to the socket"
        );
    });
}

#[test]
fn s01_6_r1_a_closed_program_is_gone_from_every_queue() {
    scenarios::Stage::new().queues(2).play(|s| {
        let program = s
            .app
            .program(s.nic)
            .all_queues()
            .rule(matching::all().drop())
            .create()
            .unwrap();
        assert_eq!(counters::RX.instances(s.lab).len(), 2);
        program.close();
        assert!(counters::RX.instances(s.lab).is_empty());
        for port in 0..10 {
            s.arrive(frames::udp4(port, b""));
        }
        assert_eq!(s.passed().len(), 10);
    });
}

#[test]
fn s01_6_r2_closing_a_socket_unmaps_its_rings_from_the_process_that_has_them() {
    scene(|s| {
        let owner = s.client("owner");
        let other = s.client("other");
        let socket = owner.socket(s.nic, Setup::rx_tx()).unwrap();
        let info = socket.xsk.ring_info().unwrap();
        let copy = socket.xsk.handle().duplicate(&other, 0xC010_0000).unwrap();
        socket.xsk.close();
        let rings = [info.rx, info.fill, info.tx, info.completion];
        for ring in rings {
            assert!(owner.memory(ring.ring.0 as usize, 192).is_ok());
        }
        copy.close().unwrap();
        for ring in rings {
            assert!(owner.memory(ring.ring.0 as usize, 192).is_err());
        }
    });
}

#[test]
fn s10_3_r8_the_process_that_made_a_socket_may_end_before_its_last_handle() {
    scene(|s| {
        let other = s.client("other");
        let owner = s.client("owner");
        let copy = {
            let socket = owner.socket(s.nic, Setup::rx_tx()).unwrap();
            let _program = owner
                .program(s.nic)
                .rule(matching::all().redirect(&socket.xsk))
                .create()
                .unwrap();
            socket.fill_all();
            let copy = socket.xsk.handle().duplicate(&other, 0xC010_0000).unwrap();
            owner.exit().unwrap();
            copy
        };
        drop(owner);
        s.arrive(frames::numbered(1, 60));
        let output = answer(copy.control_any(ioctl::GET_SOCKOPT, &[7, 0, 0, 0], 32)).unwrap();
        assert_eq!(output.status, SUCCESS);
        copy.close().unwrap();
    });
}

#[test]
fn s01_6_1_a_process_may_end_with_everything_open() {
    for order in 0..4 {
        scene(|s| {
            let app = s.client("app");
            let socket = app.socket(s.nic, Setup::rx_tx()).unwrap();
            let map = app.map().unwrap();
            map.insert(0, &socket.xsk).unwrap();
            let by_map = matching::udp().redirect_map(&map);
            let program = app.program(s.nic).rule(by_map).create().unwrap();
            let interface = app.interface(s.nic.if_index()).unwrap();
            socket.fill_all();
            socket.send(20, &frames::numbered(1, 60));
            let waiting = socket.xsk.notify_async(NotifyFlags::WAIT_RX).unwrap();
            match order {
                0 => app.exit().unwrap(),
                1 => {
                    drop(map);
                    app.exit().unwrap();
                }
                2 => {
                    drop(program);
                    app.exit().unwrap();
                }
                _ => {
                    drop(interface);
                    app.exit().unwrap();
                }
            }
            assert!(waiting.result().is_some(), "its requests have ended");
            s.arrive(frames::udp4(1, b""));
            assert_eq!(s.passed().len(), 1);
        });
    }
}

#[test]
fn s01_6_2_objects_stay_valid_handles_when_the_interface_left() {
    scene(|s| {
        let socket = s.app.socket(s.nic, Setup::rx_tx()).unwrap();
        let map = s.app.map().unwrap();
        let program = s.app.program(s.nic).create().unwrap();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        s.unplug();
        assert!(socket.xsk.ring_info().is_ok());
        assert_eq!(map.insert(0, &socket.xsk), Ok(()));
        assert_eq!(interface.rss(), Err(DEVICE_NOT_READY));
        program.close();
        interface.close();
    });
}

#[test]
fn s02_19_r15_s10_3_r6_one_of_many_binds_wins() {
    use std::sync::atomic::{AtomicU32, Ordering};
    for seed in 0..40 {
        scenarios::Stage::new().seed(seed).play(|s| {
            let xsk = s.app.xsk().unwrap();
            xsk.register(8192, 2048, 0).unwrap();
            for option in [2, 3, 4, 5] {
                xsk.size_ring(xdp_abi::sockopt::Sockopt(option), 4).unwrap();
            }
            let (bound, active) = (AtomicU32::new(0), AtomicU32::new(0));
            let note = |count: &AtomicU32, result: Answer<()>| match result {
                Ok(()) => {
                    count.fetch_add(1, Ordering::Relaxed);
                }
                Err(status) => assert_eq!(status, INVALID_DEVICE_STATE),
            };
            let thread = || {
                let flags = BindFlags::RX | BindFlags::TX;
                note(&bound, xsk.bind(s.nic.if_index(), 0, flags));
                note(&active, xsk.activate());
                let _ = xsk.size_ring(xdp_abi::sockopt::Sockopt::RX_RING_SIZE, 4);
                let _ = xsk.poke(NotifyFlags::POKE_TX);
            };
            s.side_by_side(&[&thread, &thread, &thread]);
            assert_eq!(bound.load(Ordering::Relaxed), 1);
            assert!(active.load(Ordering::Relaxed) <= 1);
        });
    }
}
