//! Receive-side scaling through interface handles.

use nt_sim::NtStatus;
use nt_sim::nic::{Frame, FrameInfo, Layout};
use scenarios::interface::Rss;
use scenarios::socket::Setup;
use scenarios::{Scene, Stage, failures, frames, matching, status};
use xdp_abi::ioctl::interface as ioctl;
use xdp_abi::offload::{RssFlags, RssHashTypes};

const OID_CAPABILITIES: u32 = 0x10203;
const OID_PARAMETERS: u32 = 0x10204;
const NDIS_STATUS_INVALID_PARAMETER: i32 = 0xC000_000D_u32 as i32;
const NDIS_STATUS_INVALID_LENGTH: i32 = 0xC001_0014_u32 as i32;
const NDIS_STATUS_FAILURE: i32 = 0xC000_0001_u32 as i32;
const UNSUCCESSFUL: NtStatus = NtStatus(0xC000_0001_u32 as i32);
const INVALID_BUFFER_SIZE: NtStatus = NtStatus(0xC000_0206_u32 as i32);

/// Four processors, four queues.
fn four() -> Stage {
    Stage::new().cpus(4).queues(4)
}

fn table(numbers: &[u8]) -> Rss {
    Rss {
        flags: RssFlags::SET_INDIRECTION_TABLE,
        table: numbers.to_vec(),
        ..Rss::default()
    }
}

/// Parameters that were set at the network card since the last look.
fn set_at_nic(s: &Scene<'_>) -> Vec<Vec<u8>> {
    let seen = s.nic.take_oids().into_iter();
    seen.filter(|oid| oid.set && oid.oid == OID_PARAMETERS)
        .map(|oid| oid.data)
        .collect()
}

/// The processors in the table of parameters.
fn processors(parameters: &[u8]) -> Vec<u8> {
    let at = |offset: usize| u32::from_le_bytes(parameters[offset..offset + 4].try_into().unwrap());
    let (size, start) = (at(0xc) as usize & 0xffff, at(0x10) as usize);
    let entries = parameters[start..start + size].chunks(4);
    entries.map(|entry| entry[2]).collect()
}

#[test]
fn s08_1_too_little_room_is_told_from_no_room() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        for (code, needed) in [
            (ioctl::RSS_GET_CAPABILITIES, 28),
            (ioctl::RSS_GET, 24 + 40 + 128 * 4),
        ] {
            let output = interface.request(code, &[], 0);
            assert_eq!(output.status, status::BUFFER_OVERFLOW);
            assert_eq!(output.information, needed);
            for short in [1, 23, needed - 1] {
                let output = interface.request(code, &[], short);
                assert_eq!(output.status, status::BUFFER_TOO_SMALL, "{short} bytes");
            }
            for enough in [needed, needed + 100] {
                let output = interface.request(code, &[], enough);
                assert_eq!(output.status, status::SUCCESS);
                assert_eq!(output.information, needed);
            }
        }
    });
}

#[test]
fn s08_2_capabilities_are_those_of_the_network_card() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let capabilities = interface.rss_capabilities().unwrap();
        assert_eq!(
            (capabilities.header.revision, capabilities.header.size),
            (2, 28)
        );
        assert_eq!(capabilities.hash_secret_key_size, 40);
        assert_eq!(capabilities.number_of_receive_queues, 4);
        assert_eq!(capabilities.number_of_indirection_table_entries, 128);
        let ports = RssHashTypes::TCP_IPV4
            | RssHashTypes::UDP_IPV4
            | RssHashTypes::TCP_IPV6
            | RssHashTypes::UDP_IPV6;
        assert!(capabilities.hash_types.contains(ports));
        let extended = RssHashTypes::TCP_IPV6_EX | RssHashTypes::UDP_IPV6_EX;
        assert!(!capabilities.hash_types.intersects(extended));
    });
}

#[test]
fn s08_2_without_scaling_there_are_no_queues() {
    Stage::new().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let capabilities = interface.rss_capabilities().unwrap();
        assert_eq!(capabilities.number_of_receive_queues, 0);
        assert_eq!(capabilities.number_of_indirection_table_entries, 0);
        assert_eq!(capabilities.hash_types, RssHashTypes::empty());
        assert_eq!(capabilities.hash_secret_key_size, 40);
    });
}

#[test]
fn s08_3_before_the_stack_sets_anything_there_is_nothing_to_get() {
    four().without_rss().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(interface.rss(), Err(status::INVALID_DEVICE_STATE));
        let set = interface.set_rss(&table(&[0, 1]));
        assert_eq!(
            set,
            Err(status::DEVICE_NOT_READY),
            "s08_4: not set by the stack"
        );
        s.nic.stack().set_rss(&[2, 3]).unwrap();
        assert_eq!(interface.rss().unwrap().table[..4], [2, 3, 2, 3]);
        assert_eq!(interface.set_rss(&table(&[0, 1])), Ok(()));
    });
}

#[test]
fn s08_3_the_settings_of_the_stack_are_read_key_first() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let rss = interface.rss().unwrap();
        assert_eq!(rss.flags, RssFlags::empty());
        assert_eq!(rss.key.len(), 40);
        assert_eq!(rss.table.len(), 128);
        assert_eq!(rss.table[..8], [0, 1, 2, 3, 0, 1, 2, 3]);
        assert!(
            rss.hash_type
                .contains(RssHashTypes::TCP_IPV4 | RssHashTypes::IPV6)
        );
        let bytes = interface.request(ioctl::RSS_GET, &[], 4096).bytes;
        let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        assert_eq!([half(0), half(4)], [1, 24], "revision and size");
        assert_eq!([half(16), half(18), half(20), half(22)], [24, 40, 64, 512]);
    });
}

#[test]
fn s08_4_each_check_has_its_status() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let good = Rss {
            flags: RssFlags::all(),
            hash_type: RssHashTypes::TCP_IPV4,
            key: vec![7; 40],
            table: vec![0, 1, 2, 3],
        };
        let with = |at: usize, bytes: &[u8]| {
            let mut request = good.to_bytes();
            request[at..at + bytes.len()].copy_from_slice(bytes);
            request
        };
        let short = good.to_bytes()[..23].to_vec();
        let cut = good.to_bytes()[..79].to_vec();
        let unflagged = Rss {
            flags: RssFlags::empty(),
            ..good.clone()
        };
        let wrong: [(&str, Vec<u8>); 17] = [
            ("shorter than the structure", short),
            ("nothing", Vec::new()),
            ("revision", with(0, &[0])),
            ("size", with(4, &[23])),
            ("flags", with(8, &[0x10])),
            ("high flags", with(11, &[0x80])),
            ("hash type", with(13, &[2])),
            ("key beyond the input", with(16, &0xffff_u16.to_le_bytes())),
            ("key too long for the input", with(18, &[60])),
            ("table beyond the input", with(20, &[65])),
            ("table cut off", cut),
            ("key not flagged and beyond the input", {
                let mut request = unflagged.to_bytes();
                request[18] = 200;
                request
            }),
            (
                "key of 41 bytes",
                Rss {
                    key: vec![1; 41],
                    ..good.clone()
                }
                .to_bytes(),
            ),
            ("table of 256 entries", table(&[0; 256]).to_bytes()),
            ("table of no entries", table(&[]).to_bytes()),
            ("table of three entries", table(&[0, 1, 2]).to_bytes()),
            ("table of two bytes", with(22, &[2])),
        ];
        s.nic.take_oids();
        for (what, request) in wrong {
            let set = interface.set_rss_bytes(&request);
            assert_eq!(set, Err(status::INVALID_PARAMETER), "{what}");
        }
        let unsupported = Rss {
            hash_type: RssHashTypes::UDP_IPV6_EX,
            ..good.clone()
        };
        assert_eq!(interface.set_rss(&unsupported), Err(status::NOT_SUPPORTED));
        assert_eq!(
            interface.set_rss(&table(&[0, 9])),
            Err(status::INVALID_PARAMETER)
        );
        let mut other_group = table(&[0, 1]).to_bytes();
        other_group[24] = 1;
        assert_eq!(
            interface.set_rss_bytes(&other_group),
            Err(status::INVALID_PARAMETER)
        );
        assert_eq!(
            set_at_nic(s),
            Vec::<Vec<u8>>::new(),
            "nothing of it was tried"
        );
        assert_eq!(
            interface.rss().unwrap().table.len(),
            128,
            "nothing has changed"
        );
        let plain = Rss {
            flags: RssFlags::SET_HASH_TYPE,
            hash_type: RssHashTypes::IPV6_EX,
            ..Rss::default()
        };
        assert_eq!(
            interface.set_rss(&plain),
            Ok(()),
            "addresses alone are not checked"
        );
        assert_eq!(interface.set_rss(&good), Ok(()));
    });
}

#[test]
fn s08_4_what_the_network_card_cannot_is_not_supported() {
    Stage::new().cpus(4).queues(2).play(|s| {
        s.nic.answer_oid(OID_CAPABILITIES, |_| {
            let mut capabilities = vec![0x88, 2, 0x12, 0];
            capabilities.extend(0x101_u32.to_le_bytes());
            capabilities.extend(2_u32.to_le_bytes());
            capabilities.extend(2_u32.to_le_bytes());
            capabilities.extend(8_u32.to_le_bytes());
            Ok(capabilities)
        });
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let known = interface.rss_capabilities().unwrap();
        assert_eq!(known.number_of_indirection_table_entries, 8);
        assert_eq!(
            interface.set_rss(&table(&[0; 16])),
            Err(status::NOT_SUPPORTED)
        );
        let many = table(&[0, 1, 2, 1]);
        assert_eq!(
            interface.set_rss(&many),
            Err(status::NOT_SUPPORTED),
            "three processors"
        );
        let udp = Rss {
            flags: RssFlags::SET_HASH_TYPE,
            hash_type: RssHashTypes::UDP_IPV4,
            ..Rss::default()
        };
        assert_eq!(interface.set_rss(&udp), Err(status::NOT_SUPPORTED));
        assert_eq!(interface.set_rss(&table(&[2, 3, 2, 2, 3, 3, 2, 2])), Ok(()));
    });
}

#[test]
fn s08_4_1_what_is_not_set_is_inherited() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let upper = interface.rss().unwrap();
        interface.set_rss(&table(&[3, 2])).unwrap();
        let lower = interface.rss().unwrap();
        assert_eq!(lower.table, [3, 2]);
        assert_eq!((&lower.key, lower.hash_type), (&upper.key, upper.hash_type));
        let key = Rss {
            flags: RssFlags::SET_HASH_SECRET_KEY,
            key: vec![9; 40],
            ..Rss::default()
        };
        interface.set_rss(&key).unwrap();
        let lower = interface.rss().unwrap();
        assert_eq!(lower.table, [3, 2], "of the override, not of the stack");
        assert_eq!(lower.key, [9; 40]);
        let types = Rss {
            flags: RssFlags::SET_HASH_TYPE,
            hash_type: RssHashTypes::UDP_IPV4,
            ..Rss::default()
        };
        interface.set_rss(&types).unwrap();
        let lower = interface.rss().unwrap();
        assert_eq!(lower.hash_type, RssHashTypes::UDP_IPV4);
        assert_eq!((lower.key, lower.table), (vec![9; 40], vec![3, 2]));
    });
}

#[test]
fn s08_4_2_closing_the_handle_restores_the_settings_of_the_stack() {
    four().play(|s| {
        let first = s.app.interface(s.nic.if_index()).unwrap();
        let second = s.app.interface(s.nic.if_index()).unwrap();
        let upper = first.rss().unwrap();
        first.set_rss(&table(&[3, 1])).unwrap();
        first.set_rss(&table(&[2, 3])).unwrap();
        assert_eq!(s.nic.queue_processors()[..2], [2, 3]);
        assert_eq!(second.rss().unwrap().table, [2, 3], "all handles see it");
        assert_eq!(
            second.set_rss(&table(&[0])),
            Err(status::INVALID_DEVICE_STATE)
        );
        // Inserting the filter has the stack set its own once more; that is not what is counted.
        s.lab.settle().unwrap();
        s.nic.take_oids();
        first.close();
        let restored = set_at_nic(s);
        assert_eq!(restored.len(), 1);
        assert_eq!(processors(&restored[0]), upper.table);
        assert_eq!(second.rss().unwrap(), upper);
        second.set_rss(&table(&[1])).unwrap();
        second.close();
        assert_eq!(s.nic.queue_processors(), [0, 1, 2, 3]);
    });
}

#[test]
fn s08_4_2_closing_a_handle_that_set_nothing_changes_nothing() {
    four().play(|s| {
        let first = s.app.interface(s.nic.if_index()).unwrap();
        let second = s.app.interface(s.nic.if_index()).unwrap();
        first.set_rss(&table(&[3])).unwrap();
        s.nic.take_oids();
        second.close();
        assert_eq!(set_at_nic(s), Vec::<Vec<u8>>::new());
        assert_eq!(first.rss().unwrap().table, [3]);
    });
}

#[test]
fn s08_4_3_hashes_that_the_stack_did_not_ask_for_are_taken_off() {
    for layout in [Layout::contiguous(), Layout::contiguous().resources()] {
        for with_program in [false, true] {
            four().play(|s| {
                s.nic.wire().set_layout(layout.clone());
                let program = with_program.then(|| {
                    let builder = s.app.program(s.nic).all_queues();
                    builder.rule(matching::udp_dst(9).drop()).create().unwrap()
                });
                let hash = || {
                    s.arrive(frames::udp4(53, b"a"));
                    let info = s.nic.stack().receive().unwrap().info;
                    (info.hash != 0, info.hash_info != 0)
                };
                assert_eq!(hash(), (true, true), "6.13.2: passed as it came");
                let interface = s.app.interface(s.nic.if_index()).unwrap();
                interface.set_rss(&table(&[3, 1])).unwrap();
                assert_eq!(hash(), (false, false));
                interface.close();
                assert_eq!(hash(), (true, true));
                drop(program);
            });
        }
    }
}

#[test]
fn s08_4_3_queues_follow_the_table_of_the_override() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let drop_all = || s.app.program(s.nic).rule(matching::all().drop()).create();
        let arrive = || {
            for port in 1..=64 {
                s.arrive(frames::udp4(port, b"a"));
            }
            s.passed().len()
        };
        let program = drop_all().unwrap();
        let passed = arrive();
        assert!((1..64).contains(&passed), "{passed}: on four queues");
        interface.set_rss(&table(&[2])).unwrap();
        assert_eq!(arrive(), 0, "all on queue 0");
        interface.set_rss(&table(&[2, 1])).unwrap();
        let passed = arrive();
        assert!((1..64).contains(&passed), "{passed}: on two queues");
        interface.set_rss(&table(&[2])).unwrap();
        interface.close();
        let passed = arrive();
        assert!((1..64).contains(&passed), "{passed}: on four queues again");
        program.close();
    });
}

#[test]
fn s06_7_3_frames_of_sockets_carry_a_hash_that_leads_to_their_queue() {
    four().play(|s| {
        let socket = s.app.socket(s.nic, Setup::tx().queue(1)).unwrap();
        let hash = || {
            socket.send(0, &frames::udp4(9, b"a"));
            socket.await_completions(1);
            s.nic.wire().receive().unwrap().info.hash
        };
        assert_eq!(hash(), 1);
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        interface.set_rss(&table(&[3, 3, 1, 1])).unwrap();
        assert_eq!(hash(), 2, "the first entry of the second processor");
        interface.close();
        assert_eq!(hash(), 1);
    });
}

#[test]
fn s08_4_4_disabled_has_no_effect() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let mut rss = table(&[1, 2]);
        rss.flags |= RssFlags::DISABLED;
        interface.set_rss(&rss).unwrap();
        assert_eq!(interface.rss().unwrap().table, [1, 2]);
        assert_eq!(interface.rss().unwrap().flags, RssFlags::empty());
        assert_eq!(s.nic.queue_processors()[..2], [1, 2]);
    });
}

#[test]
fn s08_4_5_an_override_is_in_the_receive_path_only() {
    four().play(|s| {
        let paths = || {
            let filters = s.nic.filters();
            let xdp = filters.iter().find(|filter| filter.name.contains("XDP"));
            xdp.map(|filter| (filter.receives, filter.sends))
        };
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(paths(), Some((false, false)), "a handle alone is no user");
        interface.set_rss(&table(&[1, 2])).unwrap();
        assert_eq!(paths(), Some((true, false)));
    });
}

#[test]
fn s08_4_6_a_reset_ends_the_override() {
    four().play(|s| {
        let old = s.app.interface(s.nic.if_index()).unwrap();
        old.set_rss(&table(&[3])).unwrap();
        s.nic.reset().unwrap();
        s.lab.settle().unwrap();
        assert_eq!(old.rss(), Err(status::DEVICE_NOT_READY));
        assert_eq!(old.set_rss(&table(&[3])), Err(status::DEVICE_NOT_READY));
        assert_eq!(old.rss_capabilities().err(), Some(status::DEVICE_NOT_READY));
        let wrong = old.set_rss_bytes(&[]);
        assert_eq!(wrong, Err(status::INVALID_PARAMETER), "checked before");
        let new = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(new.rss().unwrap().table.len(), 128);
        new.set_rss(&table(&[2])).unwrap();
        s.nic.take_oids();
        old.close();
        assert_eq!(set_at_nic(s), Vec::<Vec<u8>>::new());
        assert_eq!(new.rss().unwrap().table, [2]);
        s.unplug();
        assert_eq!(new.rss(), Err(status::DEVICE_NOT_READY));
    });
}

#[test]
fn s08_4_a_refusal_of_the_network_card_changes_nothing() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let upper = interface.rss().unwrap();
        for (refusal, told) in [
            (NDIS_STATUS_FAILURE, UNSUCCESSFUL),
            (NDIS_STATUS_INVALID_LENGTH, INVALID_BUFFER_SIZE),
            (NDIS_STATUS_INVALID_PARAMETER, status::INVALID_PARAMETER),
        ] {
            s.nic.answer_oid(OID_PARAMETERS, move |_| Err(refusal));
            assert_eq!(interface.set_rss(&table(&[3])), Err(told));
            assert_eq!(interface.rss().unwrap(), upper);
        }
        s.nic.answer_oid(OID_PARAMETERS, |_| Ok(Vec::new()));
        let other = s.app.interface(s.nic.if_index()).unwrap();
        other.set_rss(&table(&[3])).unwrap();
    });
}

#[test]
fn s08_4_without_memory_nothing_changes() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        let upper = interface.rss().unwrap();
        let (refused, last) = failures::each_refused(s.lab, || {
            let set = interface.set_rss(&table(&[3, 2]));
            if set.is_err() {
                assert_eq!(interface.rss().unwrap(), upper);
            }
            set
        });
        assert_eq!(last, Ok(()));
        assert!(refused.contains(&status::NO_MEMORY), "{refused:?}");
        let wanted = [
            status::NO_MEMORY,
            status::INSUFFICIENT_RESOURCES,
            status::SUCCESS,
        ];
        assert!(
            refused.iter().all(|got| wanted.contains(got)),
            "{refused:?}"
        );
        assert_eq!(interface.rss().unwrap().table, [3, 2]);
    });
}

#[test]
fn s08_4_2_closing_without_memory_restores_all_the_same() {
    four().play(|s| {
        for nth in 1..=4 {
            let interface = s.app.interface(s.nic.if_index()).unwrap();
            interface.set_rss(&table(&[3])).unwrap();
            s.lab.inject_failures(nt_sim::FaultPlan::Nth(nth));
            interface.close();
            s.lab.inject_failures(nt_sim::FaultPlan::Never);
            assert_eq!(s.nic.queue_processors(), [0, 1, 2, 3], "allocation {nth}");
        }
    });
}

#[test]
fn s06_9_the_stack_sets_its_own_edge_while_overridden() {
    four().play(|s| {
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        interface.set_rss(&table(&[3])).unwrap();
        // The restart for the filter's sake is over, after which the stack sets what it wants.
        s.lab.settle().unwrap();
        s.nic.take_oids();
        assert_eq!(s.nic.stack().set_rss(&[1, 2]).unwrap(), 0);
        assert_eq!(set_at_nic(s), Vec::<Vec<u8>>::new(), "not passed");
        assert_eq!(interface.rss().unwrap().table, [3]);
        let answer = s.nic.stack().query(OID_PARAMETERS).unwrap().unwrap();
        assert_eq!(
            processors(&answer)[..4],
            [1, 2, 1, 2],
            "the stack sees its own"
        );
        interface.close();
        let restored = set_at_nic(s);
        assert_eq!(
            processors(&restored[0])[..4],
            [1, 2, 1, 2],
            "what it set last"
        );
        assert_eq!(s.nic.queue_processors()[..2], [1, 2]);
    });
}

#[test]
fn s06_9_what_the_stack_sets_reaches_the_network_card() {
    four().without_rss().play(|s| {
        s.nic.take_oids();
        assert_eq!(s.nic.stack().set_rss(&[2, 1]).unwrap(), 0);
        assert_eq!(set_at_nic(s).len(), 1);
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        assert_eq!(interface.rss().unwrap().table[..2], [2, 1]);
        assert_eq!(s.nic.stack().set_rss(&[]).unwrap(), 0, "off");
        assert_eq!(interface.rss().unwrap().hash_type, RssHashTypes::empty());
        let program = s.app.program(s.nic).rule(matching::all().drop());
        let _program = program.create().unwrap();
        for port in 1..=16 {
            s.arrive(frames::udp4(port, b"a"));
        }
        assert_eq!(s.passed().len(), 0, "all on queue 0");
    });
}

#[test]
fn s06_9_1_what_is_set_at_dispatch_level_is_served_below() {
    four().without_rss().play(|s| {
        s.nic.stack().set_rss(&[2, 3]).unwrap();
        let parameters = s.nic.stack().query(OID_PARAMETERS).unwrap().unwrap();
        s.nic.stack().set_rss(&[0, 1]).unwrap();
        let interface = s.app.interface(s.nic.if_index()).unwrap();
        s.nic.take_oids();
        let set = s.nic.stack().set_at_dispatch(OID_PARAMETERS, &parameters);
        assert_eq!(set.unwrap(), 0);
        assert_eq!(set_at_nic(s), std::slice::from_ref(&parameters));
        assert_eq!(interface.rss().unwrap().table[..2], [2, 3]);
        assert_eq!(s.nic.queue_processors()[..2], [2, 3]);
        let set = s
            .nic
            .stack()
            .set_at_dispatch(OID_PARAMETERS, &parameters[..8]);
        assert_eq!(set.unwrap(), NDIS_STATUS_INVALID_PARAMETER);
    });
}

#[test]
fn s06_9_parameters_that_make_no_sense_are_refused() {
    four().play(|s| {
        let before = s.nic.stack().query(OID_PARAMETERS).unwrap().unwrap();
        s.nic.take_oids();
        for (at, byte) in [(0, 0x80), (1, 1), (0x11, 0x40), (0x19, 0x40)] {
            let mut wrong = before.clone();
            wrong[at] = byte;
            let set = s.nic.stack().set(OID_PARAMETERS, &wrong).unwrap();
            assert_eq!(set, NDIS_STATUS_INVALID_PARAMETER, "byte {at}");
        }
        for len in [0, 1, 0x27] {
            let set = s.nic.stack().set(OID_PARAMETERS, &before[..len]).unwrap();
            assert_eq!(set, NDIS_STATUS_INVALID_PARAMETER, "{len} bytes");
        }
        assert_eq!(set_at_nic(s), Vec::<Vec<u8>>::new());
        let after = s.nic.stack().query(OID_PARAMETERS).unwrap().unwrap();
        assert_eq!(after, before);
    });
}

#[test]
fn s06_9_a_query_is_answered_from_what_the_stack_set() {
    four().without_rss().play(|s| {
        let answer = s.nic.stack().query(OID_PARAMETERS).unwrap();
        assert_eq!(answer, Err(NDIS_STATUS_FAILURE), "nothing yet");
        s.nic.stack().set_rss(&[3, 1]).unwrap();
        s.nic.take_oids();
        let answer = s.nic.stack().query(OID_PARAMETERS).unwrap().unwrap();
        assert_eq!(answer[1], 2, "revision");
        assert_eq!(processors(&answer)[..2], [3, 1]);
        let seen = s.nic.take_oids();
        assert!(seen.iter().all(|oid| oid.oid != OID_PARAMETERS), "{seen:?}");
    });
}

#[test]
fn s08_4_the_stack_and_a_program_race() {
    for seed in 0..20 {
        four().without_rss().seed(seed).play(|s| {
            s.nic.stack().set_rss(&[0, 1, 2, 3]).unwrap();
            let program = || {
                for number in [1, 2, 3] {
                    let interface = s.app.interface(s.nic.if_index()).unwrap();
                    interface.set_rss(&table(&[number, 0])).unwrap();
                    interface.close();
                }
            };
            let stack = || {
                for processors in [[0, 1], [2, 3], [1, 3]] {
                    assert_eq!(s.nic.stack().set_rss(&processors).unwrap(), 0);
                }
            };
            s.side_by_side(&[&program, &stack]);
            assert_eq!(s.nic.queue_processors()[..2], [1, 3], "seed {seed}");
            let frame = Frame::new(frames::udp4(1, b"a")).with(FrameInfo::default());
            s.arrive(frame);
            assert_eq!(s.passed().len(), 1);
        });
    }
}

#[test]
fn s06_4_1_s06_4_2_long_answers_of_the_network_card_are_read_whole() {
    // Capabilities of four queues, and a table of their processors far behind the structure.
    let mut capabilities = vec![0x88, 2, 0x14, 0, 0, 1, 0, 3];
    capabilities.extend([4, 0, 0, 0, 4, 0, 0, 0, 128, 0, 0, 0]);
    let start = 0xF000_u32;
    let mut parameters = vec![0x89, 2, 0x28, 0, 0, 0, 0, 0];
    parameters.extend(0x101_u32.to_le_bytes());
    parameters.extend([16, 0, 0, 0]);
    parameters.extend(start.to_le_bytes());
    parameters.extend([40, 0, 0, 0]);
    parameters.extend((start + 16).to_le_bytes());
    parameters.resize(start as usize, 0);
    for processor in [2, 2, 2, 1] {
        parameters.extend([0, 0, processor, 0]);
    }
    parameters.extend([7; 40]);
    for (len, queues, hash) in [(1025, 4, 3), (1 << 16, 4, 3), ((1 << 16) + 1, 0, 0)] {
        four().without_rss().play(|s| {
            let mut answer = capabilities.clone();
            answer.resize(len, 0);
            s.nic
                .answer_oid(OID_CAPABILITIES, move |_| Ok(answer.clone()));
            let mut answer = parameters.clone();
            answer.resize(len.max(answer.len()), 0);
            s.nic
                .answer_oid(OID_PARAMETERS, move |_| Ok(answer.clone()));
            s.nic.reset().unwrap();
            let interface = s.app.interface(s.nic.if_index()).unwrap();
            let capabilities = interface.rss_capabilities().unwrap();
            assert_eq!(capabilities.number_of_receive_queues, queues, "{len} bytes");
            let last = s
                .app
                .socket(s.nic, Setup::tx().queue(u32::from(queues != 0)));
            let last = last.unwrap();
            last.send(0, &frames::numbered(1, 60));
            let sent = s.nic.wire().receive().unwrap();
            assert_eq!(sent.info.hash, hash, "{len} bytes");
            last.await_completions(1);
        });
    }
}
